//! The numbers that an optimizer is set to.

/// A number of an optimizer and the range it must lie in.
pub(super) struct Setting {
    /// The optimizer and the number.
    pub(super) name: &'static str,
    pub(super) range: Range,
    /// A value that works.
    pub(super) usual: &'static str,
}

#[derive(Clone, Copy)]
pub(super) enum Range {
    NotNegative,
    Positive,
    BelowOne,
    /// From 0 to this number.
    UpTo(f64),
}

/// The largest number of any setting: beyond it an update of a plain gradient leaves the range of f32.
pub(crate) const LARGEST: f64 = 1e30;

impl Range {
    /// Returns true if the update, which computes in f32, can use the number.
    #[inline]
    fn contains(self, number: f64) -> bool {
        match self {
            Range::NotNegative => (0.0..=LARGEST).contains(&number),
            Range::Positive => number as f32 > 0.0 && number <= LARGEST,
            Range::BelowOne => (0.0..1.0).contains(&(number as f32)),
            Range::UpTo(largest) => (0.0..=largest).contains(&number),
        }
    }

    fn words(self) -> String {
        match self {
            Range::NotNegative => format!("from 0 to {LARGEST:e}"),
            Range::Positive => format!("above 0, and at most {LARGEST:e}"),
            Range::BelowOne => "from 0 to below 1".to_owned(),
            Range::UpTo(largest) => format!("from 0 to {largest}"),
        }
    }
}

impl Setting {
    /// Checks that a number is in the range.
    ///
    /// # Errors
    /// A sentence that says what it must be.
    #[inline]
    pub(super) fn check(&self, number: f64) -> Result<(), String> {
        if self.range.contains(number) { Ok(()) } else { Err(self.mistake(number)) }
    }

    #[cold]
    fn mistake(&self, number: f64) -> String {
        let Setting { name, range, usual } = self;
        format!("{name} must be {}, it is {number}; {usual} is usual", range.words())
    }

    /// The number, which must be in the range.
    #[track_caller]
    pub(super) fn demand(&self, number: f64) -> f64 {
        match self.check(number) {
            Ok(()) => number,
            Err(mistake) => panic!("{mistake}"),
        }
    }
}
