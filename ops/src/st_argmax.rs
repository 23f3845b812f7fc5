//! `st_argmax`: the one-hot vector of the largest logit, without noise, differentiated as if it were
//! softmax(logits / tau).

use crate::Tier;
use crate::parallel::{Rows, RowsMut};
use crate::perturbed::one_hot_rows;
use crate::rows::{Checked, MaskedRow, check_rows, count_rows};
use crate::soft_rows;

crate::simd! {
    fn forward_piece(logits: &[f32], classes: usize, y: &mut [f32]) -> Checked {
        y.copy_from_slice(logits);
        one_hot_rows(y, classes)
    }
}

/// y = one-hot of argmax(logits), row by row; ties take the lowest index.
///
/// # Errors
/// A row whose classes are all masked.
#[track_caller]
pub fn forward(tier: Tier, logits: &[f32], classes: usize, y: &mut [f32]) -> Result<(), MaskedRow> {
    let rows = count_rows(logits, classes, y);
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |_, (Rows(logits, _), RowsMut(y, _))| {
        forward_piece(tier, logits, classes, y)
    })
}

/// dlogits += h / tau with p = softmax(logits / tau) and h = p (dy - <p, dy>); returns dtau = -sum(h ln p) / tau if
/// `want_tau`, else 0.
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
    soft_rows::backward_from_logits(tier, logits, dy, classes, tau, want_tau, dlogits)
}
