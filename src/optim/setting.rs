//! The settings of an optimizer, and their ranges.

/// A setting of an optimizer, and the range it must lie in.
pub(super) struct Setting {
    /// The optimizer and the setting, as in messages.
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

/// The largest number of any setting. Beyond it, an update with an ordinary gradient leaves the range of f32.
pub(crate) const LARGEST: f64 = 1e30;

impl Range {
    /// Returns true if the number is in the range. The update computes in f32, so it must be in the range in
    /// f32 too.
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
    /// A sentence that says what the number must be.
    #[inline]
    pub(super) fn check(&self, number: f64) -> Result<(), String> {
        if self.range.contains(number) { Ok(()) } else { Err(self.mistake(number)) }
    }

    #[cold]
    fn mistake(&self, number: f64) -> String {
        let Setting { name, range, usual } = self;
        format!("{name} must be {}, it is {number}; {usual} is usual", range.words())
    }

    /// Returns the number, or panics if it is out of range.
    #[track_caller]
    pub(super) fn demand(&self, number: f64) -> f64 {
        match self.check(number) {
            Ok(()) => number,
            Err(mistake) => panic!("{mistake}"),
        }
    }
}
