//! `st_categorical`: an exact one-hot sample, differentiated as if it were softmax(logits / tau).
//!
//! With the same draws, the sample equals the sample of `st_gumbel_softmax`. The gradient contains no noise.
//!
//! # Source
//! Y. Bengio, N. Léonard, A. Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
//! Conditional Computation", 2013, section 4, for categories.

use crate::Tier;
use crate::noise::Draws;
use crate::perturbed::one_hot_samples;
use crate::recomputed;
use crate::rows::MaskedRow;

/// Samples y = one-hot of argmax(logits + g) with standard Gumbel noise g: an exact sample of
/// softmax(logits).
///
/// `logits` and `y` are rows of `classes`. Element i takes draw i. Ties take the lowest index, and a masked
/// class never wins. A row that contains a NaN becomes NaN.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If the slices differ in length or do not hold whole rows, or if the injected draws are not one per logit.
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
