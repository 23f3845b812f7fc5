//! Lists of positions, stored one after another.

/// Lists in one buffer. List `i` is `positions[ends[i - 1]..ends[i]]`.
pub(crate) struct Lists<'a> {
    pub(crate) ends: &'a [u32],
    pub(crate) positions: &'a [u32],
}

impl Lists<'_> {
    #[inline(always)]
    pub(crate) fn line(&self, i: usize) -> &[u32] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.positions[start..self.ends[i] as usize]
    }
}

/// Replaces the length of each list with its start. Filling a list then moves its start to its end.
pub(crate) fn lengths_to_starts(lengths: &mut [u32]) {
    let mut start = 0;
    for length in lengths {
        start += std::mem::replace(length, start);
    }
}
