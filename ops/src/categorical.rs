//! `categorical`: exact samples of categorical variables as one-hot vectors of argmax(logits + g), with one
//! draw per logit. There is no gradient.
//!
//! With the same draws, [`gumbel_max`](crate::gumbel_max) gives the position of the 1, and
//! [`st_categorical`](crate::st_categorical) the same vectors with a gradient.
//!
//! # Source
//! E. J. Gumbel, "Statistical Theory of Extreme Values and Some Practical Applications", 1954; C. Maddison,
//! D. Tarlow, T. Minka, "A* Sampling", NIPS 2014, section 2.

use crate::Tier;
use crate::noise::Draws;
use crate::perturbed::one_hot_samples;
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
