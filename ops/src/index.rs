//! Copies by position: ranges of an axis, rows by index, one entry per row. Sums into repeated positions
//! follow the order of the indices on one thread, so that they are the same on every run.

/// A part of an axis: positions `start .. start + len` of the middle axis of `outer x axis x inner`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Length of the whole axis.
    pub axis: usize,
    /// Elements per position.
    pub inner: usize,
    /// First position.
    pub start: usize,
    /// Number of positions.
    pub len: usize,
}

impl Span {
    /// Panics unless a part and a whole of these lengths fit the span.
    #[track_caller]
    fn check(self, whole: usize, part: usize) {
        assert!(self.start + self.len <= self.axis, "{self:?} goes beyond its axis");
        assert_eq!(whole * self.len, part * self.axis, "whole and part must be those of {self:?}");
    }

    /// Pairs each stretch of the whole with its stretch of the part.
    fn zip<'a>(
        self,
        whole: &'a [f32],
        part: &'a mut [f32],
    ) -> impl Iterator<Item = (&'a [f32], &'a mut [f32])> + use<'a> {
        let (from, to) = (self.start * self.inner, (self.start + self.len) * self.inner);
        whole
            .chunks_exact((self.axis * self.inner).max(1))
            .map(move |chunk| &chunk[from..to])
            .zip(part.chunks_exact_mut((self.len * self.inner).max(1)))
    }

    fn zip_mut<'a>(
        self,
        part: &'a [f32],
        whole: &'a mut [f32],
    ) -> impl Iterator<Item = (&'a [f32], &'a mut [f32])> + use<'a> {
        let (from, to) = (self.start * self.inner, (self.start + self.len) * self.inner);
        part.chunks_exact((self.len * self.inner).max(1)).zip(
            whole.chunks_exact_mut((self.axis * self.inner).max(1)).map(move |chunk| &mut chunk[from..to]),
        )
    }
}

/// Writes part = whole\[span\], the value of a slice.
#[track_caller]
pub fn read_span(span: Span, whole: &[f32], part: &mut [f32]) {
    span.check(whole.len(), part.len());
    span.zip(whole, part).for_each(|(from, to)| to.copy_from_slice(from));
}

/// Adds part += whole\[span\], the gradient of one input of a concatenation.
#[track_caller]
pub fn add_from_span(span: Span, whole: &[f32], part: &mut [f32]) {
    span.check(whole.len(), part.len());
    span.zip(whole, part).for_each(|(from, to)| add(from, to));
}

/// Writes whole\[span\] = part, one input of a concatenation.
#[track_caller]
pub fn write_span(span: Span, part: &[f32], whole: &mut [f32]) {
    span.check(whole.len(), part.len());
    span.zip_mut(part, whole).for_each(|(from, to)| to.copy_from_slice(from));
}

/// Adds whole\[span\] += part, the gradient of a slice.
#[track_caller]
pub fn add_to_span(span: Span, part: &[f32], whole: &mut [f32]) {
    span.check(whole.len(), part.len());
    span.zip_mut(part, whole).for_each(|(from, to)| add(from, to));
}

/// Writes y\[i, :\] = x\[indices\[i\], :\], rows of `width`.
#[track_caller]
pub fn gather(indices: &[u32], width: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(y.len(), indices.len() * width, "y must be indices x width");
    for (&index, y) in indices.iter().zip(y.chunks_exact_mut(width.max(1))) {
        y.copy_from_slice(row(x, index, width));
    }
}

/// Adds the gradient of [`gather`]: dx\[indices\[i\], :\] += dy\[i, :\], in the order of i.
#[track_caller]
pub fn scatter_add(indices: &[u32], width: usize, dy: &[f32], dx: &mut [f32]) {
    assert_eq!(dy.len(), indices.len() * width, "dy must be indices x width");
    for (&index, dy) in indices.iter().zip(dy.chunks_exact(width.max(1))) {
        let start = index as usize * width;
        add(dy, &mut dx[start..start + width]);
    }
}

/// Writes y\[r\] = x\[r, indices\[r\]\], rows of `width`.
#[track_caller]
pub fn select(indices: &[u32], width: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), indices.len() * width, "x must be indices x width");
    assert_eq!(y.len(), indices.len(), "y must have an entry per index");
    for ((&index, x), y) in indices.iter().zip(x.chunks_exact(width.max(1))).zip(y) {
        *y = x[index as usize];
    }
}

/// Adds the gradient of [`select`]: dx\[r, indices\[r\]\] += dy\[r\].
#[track_caller]
pub fn select_backward(indices: &[u32], width: usize, dy: &[f32], dx: &mut [f32]) {
    assert_eq!(dx.len(), indices.len() * width, "dx must be indices x width");
    assert_eq!(dy.len(), indices.len(), "dy must have an entry per index");
    for ((&index, dx), &dy) in indices.iter().zip(dx.chunks_exact_mut(width.max(1))).zip(dy) {
        dx[index as usize] += dy;
    }
}

fn row(x: &[f32], index: u32, width: usize) -> &[f32] {
    let start = index as usize * width;
    &x[start..start + width]
}

fn add(from: &[f32], to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
