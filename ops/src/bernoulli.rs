//! `bernoulli`, exact samples of binary variables from their logits, and `st_bernoulli`, the same samples
//! differentiated as if they were sigmoid(logits).
//!
//! # Source
//! Y. Bengio, N. Léonard, A. Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
//! Conditional Computation", 2013, section 4.

use crate::Tier;
use crate::math::sigmoid_slope;
use crate::noise::Draws;
use crate::parallel::{Rows, RowsMut, for_rows};
use crate::perturbed::binary_samples;

crate::simd! {
    fn st_backward_piece<F>(logits: &[f32], dy: &[f32], dlogits: &mut [f32]) {
        for ((dlogits, &dy), &x) in dlogits.iter_mut().zip(dy).zip(logits) {
            *dlogits = F::mul_add(dy, sigmoid_slope::<F>(x), *dlogits);
        }
    }
}

/// Samples y = 1 where logits + l > 0 and 0 elsewhere, with standard logistic noise l: an exact sample of
/// Bernoulli(sigmoid(logits)), elementwise.
///
/// Element i takes draw i. NaN stays NaN.
///
/// # Panics
/// If the slices differ in length, or if the injected draws are not one per logit.
#[track_caller]
pub fn forward(tier: Tier, draws: Draws<'_>, logits: &[f32], y: &mut [f32]) {
    binary_samples(tier, draws, logits, y);
}

/// Adds the gradient of sigmoid(logits), elementwise: dlogits += dy p (1 - p) with p = sigmoid(logits).
///
/// # Precision
/// p (1 - p) is computed without subtracting from 1, so it is accurate in both tails.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn st_backward(tier: Tier, logits: &[f32], dy: &[f32], dlogits: &mut [f32]) {
    assert!(logits.len() == dy.len() && logits.len() == dlogits.len(), "lengths must be equal");
    let parts = (Rows(logits, 1), Rows(dy, 1), RowsMut(dlogits, 1));
    for_rows(dy.len(), 1, parts, |_, (Rows(logits, _), Rows(dy, _), RowsMut(dlogits, _))| {
        st_backward_piece(tier, logits, dy, dlogits);
    });
}
