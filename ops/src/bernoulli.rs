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
    fn st_backward_piece(logits: &[f32], dy: &[f32], dlogits: &mut [f32]) {
        for ((dlogits, &dy), &x) in dlogits.iter_mut().zip(dy).zip(logits) {
            *dlogits = dy.mul_add(sigmoid_slope(x), *dlogits);
        }
    }
}

/// y = 1 where logits + l > 0, else 0, with l standard logistic noise: 1 with probability sigmoid(logits). Element i
/// takes draw i. A NaN stays.
#[track_caller]
pub fn forward(tier: Tier, draws: Draws<'_>, logits: &[f32], y: &mut [f32]) {
    binary_samples(tier, draws, logits, y);
}

/// dlogits += dy p (1 - p) with p = sigmoid(logits).
#[track_caller]
pub fn st_backward(tier: Tier, logits: &[f32], dy: &[f32], dlogits: &mut [f32]) {
    assert!(logits.len() == dy.len() && logits.len() == dlogits.len(), "one length");
    let parts = (Rows(logits, 1), Rows(dy, 1), RowsMut(dlogits, 1));
    for_rows(dy.len(), 1, parts, |_, (Rows(logits, _), Rows(dy, _), RowsMut(dlogits, _))| {
        st_backward_piece(tier, logits, dy, dlogits);
    });
}
