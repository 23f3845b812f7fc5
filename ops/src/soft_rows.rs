//! Rows of softmax(scores / tau), and the gradient through them.
//!
//! `softmax`, the relaxed samples and the straight-through ops share these. They differ in their [`Scores`].

use crate::Tier;
use crate::fma::Fma;
use crate::lanes;
use crate::math;
use crate::parallel::{Rows, RowsMut, for_light_rows, sum_rows};
use crate::rows::{
    BLOCK, Checked, MODERATE, MaskedRow, block_len, by_classes, count_rows, is_unusual, row_by_row,
};
use crate::simd::LANES;
use crate::soft_vectors;
use crate::vectors::has_few;

/// The most classes for which we work on blocks of rows, in several passes. Wider rows go one by one.
const NARROW: usize = 512;

/// A source of rows of scores. It is a trait because a closure cannot be marked `#[inline(always)]`, and
/// every part of a kernel must be.
pub(crate) trait Scores {
    /// The largest score that a row may have. [`normalize`] reports a row with a larger one.
    const MOST: f32 = MODERATE;

    /// The least distance from the largest score, times 1 / tau. Exponentials below this, e^-80.6 = 1e-35,
    /// become 0.
    const LEAST: f32 = -80.6;

    /// Writes the next `out.len()` scores.
    fn fill<F: Fma>(&mut self, out: &mut [f32]);
}

/// Logits serve as scores unchanged.
impl Scores for &[f32] {
    #[inline(always)]
    fn fill<F: Fma>(&mut self, out: &mut [f32]) {
        let (now, later) = self.split_at(out.len());
        out.copy_from_slice(now);
        *self = later;
    }
}

/// Scores that are already in the output.
pub(crate) struct InPlace;

impl Scores for InPlace {
    const MOST: f32 = f32::MAX;

    #[inline(always)]
    fn fill<F: Fma>(&mut self, _out: &mut [f32]) {}
}

/// Writes softmax(inverse_tau * scores) to `y`, which holds whole rows.
#[inline(always)]
pub(crate) fn normalize<F: Fma, S: Scores>(
    tier: Tier,
    classes: usize,
    inverse_tau: f32,
    scores: &mut S,
    y: &mut [f32],
) -> Checked {
    if classes > NARROW {
        for (r, y) in y.chunks_exact_mut(classes).enumerate() {
            normalize_wide::<F, _>(inverse_tau, scores, y).map_err(|_| MaskedRow(r))?;
        }
        return Ok(());
    }
    let block = block_len(classes);
    for (i, y) in y.chunks_mut(block).enumerate() {
        scores.fill::<F>(y);
        let shift = if has_few(classes) { soft_vectors::shift } else { shift_block };
        shift(tier, classes, inverse_tau, S::MOST, y)
            .map_err(|MaskedRow(r)| MaskedRow(i * block / classes + r))?;
        exponentials::<F>(S::LEAST, y);
        let scale = if has_few(classes) { soft_vectors::scale } else { scale_block };
        scale(tier, classes, y);
    }
    Ok(())
}

/// [`normalize`] for a row that is too wide to pass over several times from memory. We finish each piece
/// while it is in the L1 cache.
#[inline(always)]
fn normalize_wide<F: Fma, S: Scores>(inverse_tau: f32, scores: &mut S, y: &mut [f32]) -> Checked {
    let mut max = f32::NEG_INFINITY;
    for y in y.chunks_mut(BLOCK) {
        scores.fill::<F>(y);
        max = lanes::larger(lanes::max(y), max);
    }
    if is_unusual(y, max, S::MOST) {
        return Err(MaskedRow(0));
    }
    let mut sum = 0.0f64;
    for y in y.chunks_mut(BLOCK) {
        sum += f64::from(exponentials_and_sum::<F, S>(max, inverse_tau, y));
    }
    let scale = 1.0 / sum as f32;
    for y in y {
        *y *= scale;
    }
    Ok(())
}

/// Replaces y with e^(inverse_tau (y - max)) and returns the sum, in an order that depends only on the
/// length.
#[inline(always)]
fn exponentials_and_sum<F: Fma, S: Scores>(max: f32, inverse_tau: f32, y: &mut [f32]) -> f32 {
    let (wide, rest) = y.as_chunks_mut::<{ lanes::WIDE }>();
    let mut sums = [0.0f32; lanes::WIDE];
    for y in wide {
        for (sum, y) in sums.iter_mut().zip(y) {
            *y = math::exp_or_zero::<F>((*y - max) * inverse_tau, S::LEAST);
            *sum += *y;
        }
    }
    for y in rest.iter_mut() {
        *y = (*y - max) * inverse_tau;
    }
    exponentials::<F>(S::LEAST, rest);
    lanes::sum(&sums) + lanes::sum(rest)
}

/// Replaces each entry of a row. We go through a row of unknown length vector by vector. Left to itself, the
/// compiler takes several vectors at a time, and single entries in a row that has fewer.
#[inline(always)]
fn change_row<const C: usize>(row: &mut [f32], change: impl Fn(f32) -> f32) {
    if C > 0 {
        return row.iter_mut().for_each(|x| *x = change(*x));
    }
    let (vectors, rest) = row.as_chunks_mut::<LANES>();
    for vector in vectors {
        row_by_row();
        for x in vector {
            *x = change(*x);
        }
    }
    for x in rest {
        *x = change(*x);
    }
}

// Loops over short rows are compiled for many lengths, so the kernels share them. Next to a block the call costs
// nothing.

crate::simd! {
    /// Replaces each score with inverse_tau (score - largest score of the row). An [unusual](is_unusual) row
    /// is an error.
    pub(crate) fn shift_block(classes: usize, inverse_tau: f32, most: f32, y: &mut [f32]) -> Checked {
        by_classes!(shift_rows(classes, inverse_tau, most, y))
    }
}

crate::simd! {
    fn scale_block(classes: usize, y: &mut [f32]) {
        by_classes!(scale_rows(classes, y));
    }
}

/// Adds the gradient of rows y = softmax(logits / tau): dlogits += h / tau with h = y (dy - <y, dy>).
pub(crate) fn jacobian(
    tier: Tier,
    classes: usize,
    y: &[f32],
    dy: &[f32],
    inverse_tau: f32,
    dlogits: &mut [f32],
) {
    let jacobian = if has_few(classes) { soft_vectors::jacobian } else { jacobian_block };
    jacobian(tier, classes, y, dy, inverse_tau, dlogits);
}

crate::simd! {
    fn jacobian_block<F>(
        classes: usize, y: &[f32], dy: &[f32], inverse_tau: f32, dlogits: &mut [f32],
    ) {
        by_classes!(jacobian_rows::<F>(classes, y, dy, inverse_tau, dlogits));
    }
}

/// Replaces each score with inverse_tau (score - largest score of the row).
#[inline(always)]
fn shift_rows<const C: usize>(classes: usize, inverse_tau: f32, most: f32, y: &mut [f32]) -> Checked {
    let classes = if C == 0 { classes } else { C };
    for (r, row) in y.chunks_exact_mut(classes).enumerate() {
        let max = if C == 0 { lanes::max(row) } else { lanes::max_of_few::<C>(row) };
        if is_unusual(row, max, most) {
            return Err(MaskedRow(r));
        }
        // We subtract before we scale, so that the error is relative to the distance from the largest score
        // and not to the size of the score.
        change_row::<C>(row, |s| (s - max) * inverse_tau);
    }
    Ok(())
}

/// Replaces y with e^y, for y <= 0, and with 0 where y is below `least`. We fill up an incomplete last
/// vector, which costs as much as a single number.
#[inline(always)]
fn exponentials<F: Fma>(least: f32, y: &mut [f32]) {
    let (vectors, rest) = y.as_chunks_mut::<LANES>();
    for y in vectors.as_flattened_mut() {
        *y = math::exp_or_zero::<F>(*y, least);
    }
    if !rest.is_empty() {
        let mut vector = [0.0; LANES];
        vector[..rest.len()].copy_from_slice(rest);
        for y in &mut vector {
            *y = math::exp_or_zero::<F>(*y, least);
        }
        rest.copy_from_slice(&vector[..rest.len()]);
    }
}

/// Divides each row by its sum.
#[inline(always)]
fn scale_rows<const C: usize>(classes: usize, y: &mut [f32]) {
    let classes = if C == 0 { classes } else { C };
    for row in y.chunks_exact_mut(classes) {
        row_by_row();
        let scale = 1.0 / lanes::sum_of_row::<C>(row);
        change_row::<C>(row, |y| y * scale);
    }
}

crate::simd! {
    /// Like [`jacobian`], but also returns the sum of h ln y, which is -tau dtau.
    pub(crate) fn jacobian_and_tau<F>(
        tier;
        classes: usize,
        y: &[f32],
        dy: &[f32],
        inverse_tau: f32,
        dlogits: &mut [f32],
    ) -> f32 {
        let mut h = [0.0f32; BLOCK];
        let mut total = 0.0;
        // Blocks of narrow rows and pieces of wide rows both fit into `h`.
        let block = if classes <= NARROW { block_len(classes) } else { classes };
        for ((y, dy), dlogits) in y.chunks(block).zip(dy.chunks(block)).zip(dlogits.chunks_mut(block)) {
            if classes <= NARROW {
                let h = &mut h[..y.len()];
                if has_few(classes) {
                    soft_vectors::h(tier, classes, y, dy, h);
                } else {
                    by_classes!(h_rows::<F>(classes, y, dy, h));
                }
                add_h::<F>(h, inverse_tau, dlogits);
                total += sum_of_h_ln_y::<F>(h, y);
                continue;
            }
            let centre = means::<F, 0>(y, dy);
            let mut of_row = 0.0f64;
            for ((y, dy), dlogits) in y.chunks(BLOCK).zip(dy.chunks(BLOCK)).zip(dlogits.chunks_mut(BLOCK)) {
                let h = &mut h[..y.len()];
                write_h(y, dy, centre, h);
                add_h::<F>(h, inverse_tau, dlogits);
                of_row += f64::from(sum_of_h_ln_y::<F>(h, y));
            }
            total += of_row as f32;
        }
        total
    }
}

/// [`jacobian`] for rows of a length that the compiler knows, or of any length if `C` is 0.
#[inline(always)]
fn jacobian_rows<F: Fma, const C: usize>(
    classes: usize,
    y: &[f32],
    dy: &[f32],
    inverse_tau: f32,
    dlogits: &mut [f32],
) {
    let classes = if C == 0 { classes } else { C };
    let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes)).zip(dlogits.chunks_exact_mut(classes));
    for ((y, dy), dlogits) in rows {
        row_by_row();
        let (mean, rest) = means::<F, C>(y, dy);
        let add = |dlogits: &mut f32, y: f32, dy: f32| {
            let h = y * ((dy - mean) - rest);
            *dlogits = F::mul_add(h, inverse_tau, *dlogits);
        };
        // Vector by vector, for the reason given at `change_row`.
        let done = if C == 0 { y.len() - y.len() % LANES } else { 0 };
        let whole = dlogits.as_chunks_mut::<LANES>().0.iter_mut().zip(y.as_chunks::<LANES>().0);
        for ((dlogits, y), dy) in whole.zip(dy.as_chunks::<LANES>().0).take(done / LANES) {
            row_by_row();
            for ((dlogits, &y), &dy) in dlogits.iter_mut().zip(y).zip(dy) {
                add(dlogits, y, dy);
            }
        }
        for ((dlogits, &y), &dy) in dlogits[done..].iter_mut().zip(&y[done..]).zip(&dy[done..]) {
            add(dlogits, y, dy);
        }
    }
}

/// Returns the mean of dy under y, and the mean of the remainder, which the first mean lost in rounding. With
/// both subtracted nothing cancels, even when y is almost one-hot.
#[inline(always)]
fn means<F: Fma, const C: usize>(y: &[f32], dy: &[f32]) -> (f32, f32) {
    let mean = lanes::dot_shifted_of_row::<F, C>(y, dy, 0.0);
    (mean, lanes::dot_shifted_of_row::<F, C>(y, dy, mean))
}

/// Writes h = y (dy - <y, dy>) for rows.
#[inline(always)]
fn h_rows<F: Fma, const C: usize>(classes: usize, y: &[f32], dy: &[f32], h: &mut [f32]) {
    let classes = if C == 0 { classes } else { C };
    let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes));
    for ((y, dy), h) in rows.zip(h.chunks_exact_mut(classes)) {
        row_by_row();
        write_h(y, dy, means::<F, C>(y, dy), h);
    }
}

/// Writes h for a row or a part of it.
#[inline(always)]
fn write_h(y: &[f32], dy: &[f32], (mean, rest): (f32, f32), h: &mut [f32]) {
    for ((h, &y), &dy) in h.iter_mut().zip(y).zip(dy) {
        *h = y * ((dy - mean) - rest);
    }
}

/// Adds h / tau to `dlogits`.
#[inline(always)]
fn add_h<F: Fma>(h: &[f32], inverse_tau: f32, dlogits: &mut [f32]) {
    for (dlogits, &h) in dlogits.iter_mut().zip(h) {
        *dlogits = F::mul_add(h, inverse_tau, *dlogits);
    }
}

/// Returns the sum of h ln y. Where y is 0 or subnormal, h is too small to change the sum, and the term
/// counts as 0.
#[inline(always)]
fn sum_of_h_ln_y<F: Fma>(h: &[f32], y: &[f32]) -> f32 {
    lanes::sum_of_pairs(h, y, |h, y| if y < f32::MIN_POSITIVE { 0.0 } else { h * math::ln_normal::<F>(y) })
}

/// Adds the gradient of y = softmax((logits + g) / tau) for a constant g, from y alone: dlogits += h / tau
/// with h = y (dy - <y, dy>). Returns dtau = -sum(h ln y) / tau if `want_tau`, else 0.
#[track_caller]
pub(crate) fn backward(
    tier: Tier,
    y: &[f32],
    dy: &[f32],
    classes: usize,
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    assert_eq!(y.len(), dy.len(), "y and dy must have the same length");
    let rows = count_rows(y, classes, dlogits);
    let parts = (Rows(y, classes), Rows(dy, classes), RowsMut(dlogits, classes));
    if !want_tau {
        for_light_rows(rows, classes, parts, |_, (Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
            jacobian(tier, classes, y, dy, 1.0 / tau, dlogits);
        });
        return 0.0;
    }
    let h_ln_y = sum_rows(rows, classes, parts, |_, (Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
        jacobian_and_tau(tier, classes, y, dy, 1.0 / tau, dlogits)
    });
    -h_ln_y / tau
}
