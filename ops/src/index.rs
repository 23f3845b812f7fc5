//! Copies by position: ranges of an axis, rows by index, one entry per row. Where an index repeats, the
//! gradient sums the rows in the order of the indices.

use crate::Tier;
use crate::lists::{Lists, lengths_to_starts};
use crate::matrix::Write;
use crate::parallel::{RowsMut, for_rows};
use crate::scratch;
use crate::sums::{RUN, RowSums, with_room};

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
        assert_eq!(whole * self.len, part * self.axis, "the lengths of whole and part must fit {self:?}");
    }

    /// Pairs each stretch of the whole with the matching stretch of the part.
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

/// Adds the gradient of [`gather`]: dx\[indices\[i\], :\] += dy\[i, :\], rows of `width`.
///
/// # Precision
/// The error is at most 1e-6 times the sum of the absolute values of the terms, however often an index
/// repeats. For an index that repeats up to 128 times, the sums have the precision of [`axis`](crate::axis).
///
/// # Panics
/// If `dy` is not indices x width, or if an index is not below the number of rows of `dx`.
#[track_caller]
pub fn scatter_add(tier: Tier, indices: &[u32], width: usize, dy: &[f32], dx: &mut [f32]) {
    assert_eq!(dy.len(), indices.len() * width, "dy must be indices x width");
    if dy.is_empty() {
        return;
    }
    if some_repeat_often(indices) {
        return sum_by_index(tier, indices, width, dy, dx);
    }
    if width == 1 {
        return indices.iter().zip(dy).for_each(|(&index, dy)| dx[index as usize] += dy);
    }
    add_one_by_one(tier, indices, width, dy, dx);
}

crate::simd! {
    fn add_one_by_one(indices: &[u32], width: usize, dy: &[f32], dx: &mut [f32]) {
        for (&index, dy) in indices.iter().zip(dy.chunks_exact(width)) {
            let start = index as usize * width;
            // We add eight entries at a time, because many rows are too short for the compiler to vectorize.
            let (eights, rest) = dx[start..start + width].as_chunks_mut::<8>();
            let (dy_eights, dy_rest) = dy.as_chunks::<8>();
            for (dx, dy) in eights.iter_mut().zip(dy_eights) {
                for lane in 0..8 {
                    dx[lane] += dy[lane];
                }
            }
            for (dx, dy) in rest.iter_mut().zip(dy_rest) {
                *dx += dy;
            }
        }
    }
}

/// From this many repetitions on, we sum the terms of an entry before adding them. With fewer, the rounding
/// errors stay below 1e-6.
const MANY: u32 = 16;

/// Returns false only if each index repeats fewer than [`MANY`] times. Indices that agree in their low bits
/// are counted together, so that the cost depends only on the number of indices.
fn some_repeat_often(indices: &[u32]) -> bool {
    if indices.len() < MANY as usize {
        return false;
    }
    scratch::with_indices(indices.len().next_power_of_two(), 0, |counts, _| {
        counts.fill(0);
        let low_bits = counts.len() - 1;
        for &index in indices {
            counts[index as usize & low_bits] += 1;
        }
        // MANY is a power of two, so a count below it has neither its bit nor a higher one.
        counts.iter().fold(0, |bits, &count| bits | count) >= MANY
    })
}

/// Like [`scatter_add`], for indices that repeat. It sums the rows of each index, then adds the sum.
#[track_caller]
fn sum_by_index(tier: Tier, indices: &[u32], width: usize, dy: &[f32], dx: &mut [f32]) {
    let targets = dx.len() / width;
    scratch::with_indices(targets, indices.len(), |ends, positions| {
        let lists = list_by_index(indices, ends, positions);
        let cost = dy.len() / targets;
        for_rows(targets, cost, (RowsMut(dx, width),), |first, (RowsMut(dx, _),)| {
            with_room(|sums, totals| sum_piece(tier, &lists, first, dy, width, sums, totals, dx));
        });
    });
}

/// Lists the positions of each index; `ends` has an entry per possible index.
#[track_caller]
fn list_by_index<'a>(indices: &[u32], ends: &'a mut [u32], positions: &'a mut [u32]) -> Lists<'a> {
    ends.fill(0);
    for &index in indices {
        ends[index as usize] += 1;
    }
    lengths_to_starts(ends);
    for (position, &index) in indices.iter().enumerate() {
        let end = &mut ends[index as usize];
        positions[*end as usize] = position as u32;
        *end += 1;
    }
    Lists { ends, positions }
}

crate::simd! {
    fn sum_piece(
        lists: &Lists<'_>, first: usize, dy: &[f32], width: usize, sums: &mut [f32], totals: &mut [f64],
        dx: &mut [f32],
    ) {
        let mut room = RowSums { run: RUN, sums, totals };
        for (i, dx) in dx.chunks_exact_mut(width).enumerate() {
            let list = lists.line(first + i);
            if !list.is_empty() {
                let row = |l: usize| ((), &dy[list[l] as usize * width..][..width]);
                room.sum(list.len(), row, |sum, (), dy| sum + dy, Write::Add, dx);
            }
        }
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
