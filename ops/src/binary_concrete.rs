//! `binary_concrete`, the relaxed sample of a binary variable: y = sigmoid((logits + l) / tau) with standard
//! logistic noise l, one draw per logit. `st_binary_concrete`, its straight-through form: the exact sample
//! with the gradient of the relaxed one.
//!
//! The gradient is y (1 - y) / tau. Where the score is 17 or more, y rounds to 1 and 1 - y is lost. So the
//! forward pass also writes the rest of each sample, which is y where y < 1/2, and y - 1 elsewhere. The
//! gradient needs only the rest.
//!
//! # Source
//! C. Maddison, A. Mnih, Y. W. Teh, "The Concrete Distribution", ICLR 2017, section 3.2 and appendix B; E.
//! Jang, S. Gu, B. Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017.

use crate::Tier;
use crate::fma::Fma;
use crate::lanes;
use crate::math::{self, sigmoid_slope};
use crate::noise::{Draws, PIECE};
use crate::parallel::{Rows, RowsMut, for_light_rows, for_rows, sum_rows};
use crate::perturbed::{binary_samples, binary_samples_and_scores, logistic_scores};

crate::simd! {
    fn forward_piece<F>(
        draws: Draws<'_>, first: usize, logits: &[f32], inverse_tau: f32, y: &mut [f32], rest: &mut [f32],
    ) {
        let mut reader = draws.from_element(first);
        for ((logits, y), rest) in logits.chunks(PIECE).zip(y.chunks_mut(PIECE)).zip(rest.chunks_mut(PIECE)) {
            logistic_scores::<F>(&mut reader, logits, y);
            for (y, rest) in y.iter_mut().zip(rest) {
                (*y, *rest) = math::sigmoid_and_rest::<F>(*y * inverse_tau);
            }
        }
    }
}

/// Returns y (1 - y) from the rest of y.
#[inline(always)]
fn slope<F: Fma>(rest: f32) -> f32 {
    F::mul_add(-rest, rest, rest.abs())
}

/// Returns h logit(y) from the rest of y, or 0 where y or 1 - y is 0 or subnormal.
#[inline(always)]
fn h_logit<F: Fma>(h: f32, rest: f32) -> f32 {
    let smaller = rest.abs();
    let distance = math::ln_normal::<F>((1.0 - smaller) / smaller);
    let value = h * distance.copysign(-rest);
    if smaller < f32::MIN_POSITIVE { 0.0 } else { value }
}

crate::simd! {
    fn backward_piece<F>(rest: &[f32], dy: &[f32], inverse_tau: f32, want_tau: bool, dlogits: &mut [f32]) -> f32 {
        let mut total = 0.0;
        let pieces = rest.chunks(PIECE).zip(dy.chunks(PIECE)).zip(dlogits.chunks_mut(PIECE));
        for ((rest, dy), dlogits) in pieces {
            for ((dlogits, &rest), &dy) in dlogits.iter_mut().zip(rest).zip(dy) {
                *dlogits = F::mul_add(dy * slope::<F>(rest), inverse_tau, *dlogits);
            }
            if want_tau {
                total += lanes::sum_of_pairs(dy, rest, |dy, rest| h_logit::<F>(dy * slope::<F>(rest), rest));
            }
        }
        total
    }
}

crate::simd! {
    fn st_backward_piece<F>(
        draws: Draws<'_>,
        first: usize,
        logits: &[f32],
        dy: &[f32],
        inverse_tau: f32,
        want_tau: bool,
        dlogits: &mut [f32],
    ) -> f32 {
        let mut reader = draws.from_element(first);
        let mut scores = [0.0f32; PIECE];
        let mut total = 0.0;
        let pieces = logits.chunks(PIECE).zip(dy.chunks(PIECE)).zip(dlogits.chunks_mut(PIECE));
        for ((logits, dy), dlogits) in pieces {
            let scores = &mut scores[..logits.len()];
            logistic_scores::<F>(&mut reader, logits, scores);
            total += slopes_of_scores::<F>(scores, dy, inverse_tau, want_tau, dlogits);
        }
        total
    }
}

crate::simd! {
    fn st_backward_from_scores_piece<F>(
        scores: &[f32], dy: &[f32], inverse_tau: f32, want_tau: bool, dlogits: &mut [f32],
    ) -> f32 {
        let mut total = 0.0;
        let pieces = scores.chunks(PIECE).zip(dy.chunks(PIECE)).zip(dlogits.chunks_mut(PIECE));
        for ((scores, dy), dlogits) in pieces {
            total += slopes_of_scores::<F>(scores, dy, inverse_tau, want_tau, dlogits);
        }
        total
    }
}

/// Adds h / tau to a piece of `dlogits`, and returns the sum of h s if `want_tau`, else 0.
#[inline(always)]
fn slopes_of_scores<F: Fma>(
    scores: &[f32],
    dy: &[f32],
    inverse_tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    let mut terms = [0.0f32; PIECE];
    let terms = &mut terms[..scores.len()];
    for (((term, &score), &dy), dlogits) in terms.iter_mut().zip(scores).zip(dy).zip(dlogits) {
        let s = score * inverse_tau;
        let slope = sigmoid_slope::<F>(s);
        *dlogits = F::mul_add(dy * slope, inverse_tau, *dlogits);
        *term = if slope == 0.0 { 0.0 } else { dy * slope * s };
    }
    if want_tau { lanes::sum(terms) } else { 0.0 }
}

/// Samples y = sigmoid((logits + l) / tau) with standard logistic noise l, elementwise, and writes the rest
/// of each sample, which [`backward`] needs. Element i takes draw i.
///
/// # Precision
/// Both y and the rest are within 2 ulp of the exact values at the score.
///
/// # Panics
/// If the slices differ in length, or if the injected draws are not one per logit.
#[track_caller]
pub fn forward(tier: Tier, draws: Draws<'_>, logits: &[f32], tau: f32, y: &mut [f32], rest: &mut [f32]) {
    assert!(
        logits.len() == y.len() && logits.len() == rest.len(),
        "logits, y and rest must have the same length"
    );
    draws.check(logits.len());
    let parts = (Rows(logits, 1), RowsMut(y, 1), RowsMut(rest, 1));
    for_rows(logits.len(), 1, parts, |first, (Rows(logits, _), RowsMut(y, _), RowsMut(rest, _))| {
        forward_piece(tier, draws, first, logits, 1.0 / tau, y, rest);
    });
}

/// Adds the gradient of [`forward`], elementwise: dlogits += h / tau with h = dy y (1 - y). Returns
/// dtau = -sum(h logit(y)) / tau if `want_tau`, else 0.
///
/// The gradient needs only the rest of y, which [`forward`] wrote, so the noise is not drawn again. Both
/// gradients are 0 for an infinite logit.
///
/// # Precision
/// dlogits is accurate in both tails, even where y rounded to 1. For tau far above the logits, y is near 1/2,
/// and rounding removes most digits of its logit. dtau then has a relative error of about 1e-7 tau /
/// |logits + l|.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn backward(tier: Tier, rest: &[f32], dy: &[f32], tau: f32, want_tau: bool, dlogits: &mut [f32]) -> f32 {
    assert!(rest.len() == dy.len() && rest.len() == dlogits.len(), "lengths must be equal");
    let parts = (Rows(rest, 1), Rows(dy, 1), RowsMut(dlogits, 1));
    if !want_tau {
        for_light_rows(rest.len(), 1, parts, |_, (Rows(rest, _), Rows(dy, _), RowsMut(dlogits, _))| {
            backward_piece(tier, rest, dy, 1.0 / tau, false, dlogits);
        });
        return 0.0;
    }
    let h_logit = sum_rows(rest.len(), 1, parts, |_, (Rows(rest, _), Rows(dy, _), RowsMut(dlogits, _))| {
        backward_piece(tier, rest, dy, 1.0 / tau, true, dlogits)
    });
    -h_logit / tau
}

/// Samples y = 1 where logits + l > 0 and 0 elsewhere, with standard logistic noise l: an exact sample of
/// Bernoulli(sigmoid(logits)), elementwise.
///
/// Element i takes draw i. NaN stays NaN.
///
/// # Panics
/// If the slices differ in length, or if the injected draws are not one per logit.
#[track_caller]
pub fn st_forward(tier: Tier, draws: Draws<'_>, logits: &[f32], y: &mut [f32]) {
    binary_samples(tier, draws, logits, y);
}

/// Like [`st_forward`], but also writes the scores logits + l, from which [`st_backward_from_scores`]
/// computes the gradient without drawing the noise again.
///
/// # Panics
/// In the same cases as [`st_forward`].
#[track_caller]
pub fn st_forward_and_scores(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    y: &mut [f32],
    scores: &mut [f32],
) {
    binary_samples_and_scores(tier, draws, logits, y, scores);
}

/// Adds the gradient of the relaxed sample, elementwise: dlogits += h / tau with y = sigmoid(s), s = (logits
/// + l) / tau and h = dy y (1 - y). Returns dtau = -sum(h s) / tau if `want_tau`, else 0.
///
/// `draws` are the draws of the forward pass, from which s is recomputed.
///
/// # Precision
/// s does not pass through y, so dtau stays accurate for large tau.
///
/// # Panics
/// If the slices differ in length, or if the injected draws are not one per logit.
#[track_caller]
pub fn st_backward(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    dy: &[f32],
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    assert!(logits.len() == dy.len() && logits.len() == dlogits.len(), "lengths must be equal");
    draws.check(logits.len());
    let h_logit = sum_rows(
        dy.len(),
        1,
        (Rows(logits, 1), Rows(dy, 1), RowsMut(dlogits, 1)),
        |first, (Rows(logits, _), Rows(dy, _), RowsMut(dlogits, _))| {
            st_backward_piece(tier, draws, first, logits, dy, 1.0 / tau, want_tau, dlogits)
        },
    );
    -h_logit / tau
}

/// Like [`st_backward`], but reads the scores that [`st_forward_and_scores`] wrote. Gives the same bits.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn st_backward_from_scores(
    tier: Tier,
    scores: &[f32],
    dy: &[f32],
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    assert!(scores.len() == dy.len() && scores.len() == dlogits.len(), "lengths must be equal");
    let parts = (Rows(scores, 1), Rows(dy, 1), RowsMut(dlogits, 1));
    let h_logit = sum_rows(dy.len(), 1, parts, |_, (Rows(scores, _), Rows(dy, _), RowsMut(dlogits, _))| {
        st_backward_from_scores_piece(tier, scores, dy, 1.0 / tau, want_tau, dlogits)
    });
    -h_logit / tau
}
