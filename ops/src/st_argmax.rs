//! `st_argmax`: the one-hot vector of the largest logit, without noise, differentiated as if it were
//! softmax(logits / tau).
//!
//! # Source
//! Y. Bengio, N. Léonard, A. Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
//! Conditional Computation", 2013, section 4, for categories.

use crate::Tier;
use crate::one_hot::one_hot_rows;
use crate::parallel::{Rows, RowsMut};
use crate::recomputed;
use crate::rows::{Checked, MaskedRow, check_rows, count_rows, retry_settled};

crate::simd! {
    fn forward_piece<F>(tier; logits: &[f32], classes: usize, y: &mut [f32]) -> Checked {
        y.copy_from_slice(logits);
        one_hot_rows(tier, y, classes)
    }
}

/// Writes y = one-hot of argmax(logits), rows of `classes`. Ties take the lowest index. A row that contains a
/// NaN becomes NaN.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If the slices differ in length or do not hold whole rows.
#[track_caller]
pub fn forward(tier: Tier, logits: &[f32], classes: usize, y: &mut [f32]) -> Result<(), MaskedRow> {
    let rows = count_rows(logits, classes, y);
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |_, (Rows(logits, _), RowsMut(y, _))| {
        retry_settled(tier, logits, classes, |logits| forward_piece(tier, logits, classes, y))
    })
}

/// Adds the gradient of softmax(logits / tau): dlogits += h / tau with p = softmax(logits / tau) and
/// h = p (dy - <p, dy>), per row. Returns dtau = -sum(h ln p) / tau if `want_tau`, else 0.
///
/// The slices are rows of `classes`. We recompute p from the logits, and masked classes get exactly 0.
///
/// # Precision
/// The same as for [`softmax::backward`](crate::softmax::backward).
///
/// # Panics
/// If the slices differ in length or do not hold whole rows.
#[track_caller]
pub fn backward(
    tier: Tier,
    logits: &[f32],
    dy: &[f32],
    classes: usize,
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    recomputed::backward_from_logits(tier, logits, dy, classes, tau, want_tau, dlogits)
}
