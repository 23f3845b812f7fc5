//! `st_categorical`: an exact one-hot sample, differentiated as if it were softmax(logits / tau).
//!
//! The value is that of [`gumbel_softmax::st_forward`](crate::gumbel_softmax::st_forward); the gradient contains no
//! noise.
//!
//! # Source
//! Y. Bengio, N. Léonard, A. Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
//! Conditional Computation", 2013, section 4, for categories.

use crate::Tier;
use crate::noise::Draws;
use crate::perturbed::one_hot_samples;
use crate::rows::MaskedRow;
use crate::soft_rows;

/// y = one-hot of argmax(logits + g), an exact sample of softmax(logits); ties take the lowest index.
///
/// # Errors
/// A row whose classes are all masked.
#[track_caller]
pub fn forward(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    classes: usize,
    y: &mut [f32],
) -> Result<(), MaskedRow> {
    one_hot_samples(tier, draws, logits, classes, y)
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
