//! The parts of [`soft_rows`](crate::soft_rows) for rows of two to four [`Vectors`].
//!
//! They are separate kernels, so that the compiler optimises their loops independently of the others.

use crate::fma::Fma;
use crate::rows::{Checked, MaskedRow, is_unusual, row_by_row};
use crate::vectors::{Vectors, by_vectors};

crate::simd! {
    /// Replaces each score with inverse_tau (score - largest score of the row).
    pub(crate) fn shift(classes: usize, inverse_tau: f32, most: f32, y: &mut [f32]) -> Checked {
        by_vectors!(shift_rows(classes, inverse_tau, most, y))
    }
}

#[inline(always)]
fn shift_rows<const V: usize>(classes: usize, inverse_tau: f32, most: f32, y: &mut [f32]) -> Checked {
    for (r, row) in y.chunks_exact_mut(classes).enumerate() {
        row_by_row();
        let scores = Vectors::<V>::of(row);
        let max = scores.max();
        if is_unusual(row, max, most) {
            return Err(MaskedRow(r));
        }
        scores.map(|s| (s - max) * inverse_tau).write(row);
    }
    Ok(())
}

crate::simd! {
    /// Divides each row by its sum.
    pub(crate) fn scale(classes: usize, y: &mut [f32]) {
        by_vectors!(scale_rows(classes, y));
    }
}

#[inline(always)]
fn scale_rows<const V: usize>(classes: usize, y: &mut [f32]) {
    for row in y.chunks_exact_mut(classes) {
        row_by_row();
        let y = Vectors::<V>::of(row);
        let scale = 1.0 / y.sum(classes);
        y.map(|y| y * scale).write(row);
    }
}

crate::simd! {
    /// Adds h / tau to `dlogits`, with h = y (dy - <y, dy>).
    pub(crate) fn jacobian<F>(
        classes: usize, y: &[f32], dy: &[f32], inverse_tau: f32, dlogits: &mut [f32],
    ) {
        by_vectors!(jacobian_rows::<F>(classes, y, dy, inverse_tau, dlogits));
    }
}

#[inline(always)]
fn jacobian_rows<F: Fma, const V: usize>(
    classes: usize,
    y: &[f32],
    dy: &[f32],
    inverse_tau: f32,
    dlogits: &mut [f32],
) {
    let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes)).zip(dlogits.chunks_exact_mut(classes));
    for ((y, dy), dlogits) in rows {
        row_by_row();
        let h = h_of_row::<V>(classes, y, dy);
        Vectors::of(dlogits).zip(&h, |dlogits, h| F::mul_add(h, inverse_tau, dlogits)).write(dlogits);
    }
}

crate::simd! {
    /// Writes h = y (dy - <y, dy>).
    pub(crate) fn h(classes: usize, y: &[f32], dy: &[f32], h: &mut [f32]) {
        by_vectors!(h_rows(classes, y, dy, h));
    }
}

#[inline(always)]
fn h_rows<const V: usize>(classes: usize, y: &[f32], dy: &[f32], h: &mut [f32]) {
    let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes));
    for ((y, dy), h) in rows.zip(h.chunks_exact_mut(classes)) {
        row_by_row();
        h_of_row::<V>(classes, y, dy).write(h);
    }
}

/// Returns h for a row. We subtract the mean of dy in two steps, as for other rows, to avoid cancellation.
#[inline(always)]
fn h_of_row<const V: usize>(classes: usize, y: &[f32], dy: &[f32]) -> Vectors<V> {
    let (y, dy) = (Vectors::<V>::of(y), Vectors::<V>::of(dy));
    let mean = y.zip(&dy, |y, dy| y * dy).sum(classes);
    let distance = dy.map(|dy| dy - mean);
    let rest = y.zip(&distance, |y, distance| y * distance).sum(classes);
    y.zip(&distance, |y, distance| y * (distance - rest))
}
