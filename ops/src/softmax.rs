//! `softmax`, `log_softmax` and `logsumexp` over rows of classes, and the pieces that the relaxed samples share.
//!
//! A logit of -inf masks its class: probability and gradient are exactly 0. A row without any other class has no
//! softmax; forwards report it as [`MaskedRow`]. A NaN is no mask: it goes on into the whole row's result.

use std::fmt;

use crate::Tier;
use crate::lanes;
use crate::math;
use crate::parallel::{Rows, RowsMut, fold_rows, for_rows};

/// A row in which every class is masked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaskedRow(pub usize);

impl fmt::Display for MaskedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} has no class left: all its logits are -inf", self.0)
    }
}

impl std::error::Error for MaskedRow {}

/// What a pass over rows returns: the first masked row, if any.
pub(crate) type Checked = Result<(), MaskedRow>;

/// Keeps the error of the earlier rows.
pub(crate) fn first_error(earlier: Checked, later: Checked) -> Checked {
    earlier.and(later)
}

/// Elements a block of rows should have: small enough for the nearest cache, large enough for full vectors.
const BLOCK: usize = 2048;

/// Elements in the blocks that a piece is worked through in: whole rows, at least one.
#[inline(always)]
pub(crate) fn block_len(classes: usize) -> usize {
    (BLOCK / classes).max(1) * classes
}

/// Whether a row whose largest entry is `max` has no class left. `max` passes NaN over, but a NaN is no mask.
#[inline(always)]
pub(crate) fn is_masked(row: &[f32], max: f32) -> bool {
    max == f32::NEG_INFINITY && has_no_nan(row)
}

#[cold]
#[inline(never)]
fn has_no_nan(row: &[f32]) -> bool {
    !row.iter().any(|x| x.is_nan())
}

/// Turns a block of scores into softmax(inverse_tau * scores), row by row, in place.
#[inline(always)]
pub(crate) fn normalize(block: &mut [f32], classes: usize, inverse_tau: f32) -> Checked {
    for (r, row) in block.chunks_exact_mut(classes).enumerate() {
        let max = lanes::max(row);
        if is_masked(row, max) {
            return Err(MaskedRow(r));
        }
        // Subtracting before scaling: the error of s is relative to its distance from the largest, not to its size.
        for s in row {
            *s = (*s - max) * inverse_tau;
        }
    }
    for s in block.iter_mut() {
        *s = math::exp(*s);
    }
    for row in block.chunks_exact_mut(classes) {
        let scale = 1.0 / lanes::sum(row);
        for y in row {
            *y *= scale;
        }
    }
    Ok(())
}

/// dlogits += J dy for a block of rows y = softmax(logits / tau): h = y (dy - <y, dy>), dlogits += h / tau.
/// Returns the sum of h ln y, which is -tau times dtau.
#[inline(always)]
pub(crate) fn jacobian(
    y: &[f32],
    dy: &[f32],
    classes: usize,
    inverse_tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    let mut h_ln_y = 0.0;
    let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes)).zip(dlogits.chunks_exact_mut(classes));
    for ((y, dy), dlogits) in rows {
        // Relative to dy at the largest entry nothing cancels when y is almost one-hot.
        let shift = dy[lanes::argmax(y)];
        let mean = lanes::dot_shifted(y, dy, shift);
        for ((dlogits, &y), &dy) in dlogits.iter_mut().zip(y).zip(dy) {
            let h = y * ((dy - shift) - mean);
            *dlogits = h.mul_add(inverse_tau, *dlogits);
        }
        if want_tau {
            h_ln_y += row_h_ln_y(y, dy, shift, mean);
        }
    }
    h_ln_y
}

/// Sum over a row of h ln y, with 0 ln 0 = 0.
#[inline(always)]
fn row_h_ln_y(y: &[f32], dy: &[f32], shift: f32, mean: f32) -> f32 {
    let mut total = 0.0;
    for (&y, &dy) in y.iter().zip(dy) {
        let h = y * ((dy - shift) - mean);
        total += if y == 0.0 { 0.0 } else { h * math::ln(y) };
    }
    total
}

crate::simd! {
    fn forward_piece(logits: &[f32], classes: usize, inverse_tau: f32, y: &mut [f32]) -> Checked {
        let block = block_len(classes);
        for (b, (logits, y)) in logits.chunks(block).zip(y.chunks_mut(block)).enumerate() {
            y.copy_from_slice(logits);
            normalize(y, classes, inverse_tau).map_err(|MaskedRow(r)| MaskedRow(b * block / classes + r))?;
        }
        Ok(())
    }
}

crate::simd! {
    fn backward_piece(
        y: &[f32], dy: &[f32], classes: usize, inverse_tau: f32, want_tau: bool, dlogits: &mut [f32],
    ) -> f32 {
        jacobian(y, dy, classes, inverse_tau, want_tau, dlogits)
    }
}

/// y = softmax(logits / tau), rows of `classes`.
///
/// # Errors
/// A row whose classes are all masked.
#[track_caller]
pub fn forward(tier: Tier, logits: &[f32], classes: usize, tau: f32, y: &mut [f32]) -> Result<(), MaskedRow> {
    let rows = rows(logits, classes, y);
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    fold_rows(
        rows,
        classes,
        parts,
        |first, (Rows(logits, _), RowsMut(y, _))| {
            forward_piece(tier, logits, classes, 1.0 / tau, y).map_err(|MaskedRow(r)| MaskedRow(first + r))
        },
        first_error,
    )
}

/// dlogits += h / tau with h = y (dy - <y, dy>), from the output y alone; returns dtau = -sum(h ln y) / tau if
/// `want_tau`, else 0. This is the backward of every op whose value is softmax of something over tau.
///
/// # Precision
/// For tau far above the spread of the logits, y is nearly uniform and ln y keeps only what rounding left of
/// logits / tau: dtau then has a relative error of about 6e-8 tau / spread.
#[track_caller]
pub fn backward(
    tier: Tier,
    y: &[f32],
    dy: &[f32],
    classes: usize,
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    assert_eq!(y.len(), dy.len(), "y and dy must have one length");
    let rows = rows(y, classes, dlogits);
    let parts = (Rows(y, classes), Rows(dy, classes), RowsMut(dlogits, classes));
    let h_ln_y = fold_rows(
        rows,
        classes,
        parts,
        |_, (Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
            backward_piece(tier, y, dy, classes, 1.0 / tau, want_tau, dlogits)
        },
        |a, b| a + b,
    );
    -h_ln_y / tau
}

/// Number of rows, after checking that both slices are the same whole rows.
#[track_caller]
pub(crate) fn rows(x: &[f32], classes: usize, y: &[f32]) -> usize {
    assert_eq!(x.len(), y.len(), "both slices must be rows x classes");
    assert!(classes > 0 && x.len().is_multiple_of(classes), "{} elements are not rows of {classes}", x.len());
    x.len() / classes
}

/// The largest logit and ln(sum of exp(logits - largest)) of a row.
#[inline(always)]
pub(crate) fn max_and_log_sum(row: &[f32]) -> (f32, f32) {
    let max = lanes::max(row);
    (max, math::ln(sum_exp(row, max)))
}

/// Sum of exp(x - shift) in the order of [`lanes::sum`].
#[inline(always)]
pub(crate) fn sum_exp(row: &[f32], shift: f32) -> f32 {
    const PIECE: usize = 256;
    let mut total = 0.0;
    let mut piece = [0.0f32; PIECE];
    for row in row.chunks(PIECE) {
        for (piece, &x) in piece.iter_mut().zip(row) {
            *piece = math::exp(x - shift);
        }
        total += lanes::sum(&piece[..row.len()]);
    }
    total
}

crate::simd! {
    fn logsumexp_piece(logits: &[f32], classes: usize, y: &mut [f32]) {
        for (row, y) in logits.chunks_exact(classes).zip(y) {
            let (max, log_sum) = max_and_log_sum(row);
            // An empty sum is ln 0, not -inf - -inf.
            *y = if is_masked(row, max) { max } else { max + log_sum };
        }
    }
}

crate::simd! {
    fn logsumexp_backward_piece(logits: &[f32], classes: usize, y: &[f32], dy: &[f32], dlogits: &mut [f32]) {
        for (((row, dlogits), &y), &dy) in
            logits.chunks_exact(classes).zip(dlogits.chunks_exact_mut(classes)).zip(y).zip(dy)
        {
            if y != f32::NEG_INFINITY {
                for (dlogits, &x) in dlogits.iter_mut().zip(row) {
                    *dlogits = dy.mul_add(math::exp(x - y), *dlogits);
                }
            }
        }
    }
}

/// y\[r\] = ln sum over the classes of e^logits; -inf for a fully masked row.
#[track_caller]
pub fn logsumexp_forward(tier: Tier, logits: &[f32], classes: usize, y: &mut [f32]) {
    assert_eq!(logits.len(), y.len() * classes, "logits must be rows x classes");
    let parts = (Rows(logits, classes), RowsMut(y, 1));
    for_rows(logits.len() / classes, classes, parts, |_, (Rows(logits, _), RowsMut(y, _))| {
        logsumexp_piece(tier, logits, classes, y);
    });
}

/// dlogits += dy softmax(logits), from logits and the forward's y.
#[track_caller]
pub fn logsumexp_backward(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    y: &[f32],
    dy: &[f32],
    dlogits: &mut [f32],
) {
    assert_eq!(y.len(), dy.len(), "y and dy must have one length");
    let rows = rows(logits, classes, dlogits);
    assert_eq!(rows, y.len(), "y must have an entry per row");
    let parts = (Rows(logits, classes), Rows(y, 1), Rows(dy, 1), RowsMut(dlogits, classes));
    for_rows(rows, classes, parts, |_, (Rows(logits, _), Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
        logsumexp_backward_piece(tier, logits, classes, y, dy, dlogits);
    });
}

crate::simd! {
    fn log_softmax_piece(logits: &[f32], classes: usize, y: &mut [f32]) -> Checked {
        for (r, (row, y)) in logits.chunks_exact(classes).zip(y.chunks_exact_mut(classes)).enumerate() {
            let (max, log_sum) = max_and_log_sum(row);
            if is_masked(row, max) {
                return Err(MaskedRow(r));
            }
            for (y, &x) in y.iter_mut().zip(row) {
                *y = (x - max) - log_sum;
            }
        }
        Ok(())
    }
}

crate::simd! {
    fn log_softmax_backward_piece(y: &[f32], dy: &[f32], classes: usize, dlogits: &mut [f32]) {
        let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes)).zip(dlogits.chunks_exact_mut(classes));
        for ((y, dy), dlogits) in rows {
            // The value of a masked class is -inf whatever the logits: its dy has no say.
            let mut total = 0.0;
            for (&y, &dy) in y.iter().zip(dy) {
                total += if y != f32::NEG_INFINITY { dy } else { 0.0 };
            }
            for ((dlogits, &y), &dy) in dlogits.iter_mut().zip(y).zip(dy) {
                let slope = (-total).mul_add(math::exp(y), dy);
                *dlogits += if y != f32::NEG_INFINITY { slope } else { 0.0 };
            }
        }
    }
}

/// y = logits - logsumexp(logits), row by row; -inf for masked classes.
///
/// # Errors
/// A row whose classes are all masked.
#[track_caller]
pub fn log_softmax_forward(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    y: &mut [f32],
) -> Result<(), MaskedRow> {
    let rows = rows(logits, classes, y);
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    fold_rows(
        rows,
        classes,
        parts,
        |first, (Rows(logits, _), RowsMut(y, _))| {
            log_softmax_piece(tier, logits, classes, y).map_err(|MaskedRow(r)| MaskedRow(first + r))
        },
        first_error,
    )
}

/// dlogits += dy - e^y sum(dy), row by row, from the output alone.
#[track_caller]
pub fn log_softmax_backward(tier: Tier, y: &[f32], dy: &[f32], classes: usize, dlogits: &mut [f32]) {
    assert_eq!(y.len(), dy.len(), "y and dy must have one length");
    let rows = rows(y, classes, dlogits);
    let parts = (Rows(y, classes), Rows(dy, classes), RowsMut(dlogits, classes));
    for_rows(rows, classes, parts, |_, (Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
        log_softmax_backward_piece(tier, y, dy, classes, dlogits);
    });
}
