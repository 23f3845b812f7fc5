//! `logit_binary_concrete`, the logit of a relaxed binary sample: y = (logits + l) / tau with standard
//! logistic noise l. `logit_binary_concrete_log_prob`, its log-density in nats. sigmoid(y) is the
//! `binary_concrete` sample.
//!
//! An entry with an infinite logit is certain, and its sample is the same infinity. It adds nothing to the
//! density or to the gradients. An infinite sample of any other logit has density 0.
//!
//! # Source
//! C. Maddison, A. Mnih, Y. W. Teh, "The Concrete Distribution", ICLR 2017, appendix C.3.1.

use crate::Tier;
use crate::lanes;
use crate::math;
use crate::noise::{Draws, PIECE};
use crate::parallel::{Rows, RowsMut, for_rows, sum_rows};
use crate::perturbed::logistic_scores;

crate::simd! {
    fn forward_piece<F>(draws: Draws<'_>, first: usize, logits: &[f32], inverse_tau: f32, y: &mut [f32]) {
        logistic_scores::<F>(&mut draws.from_element(first), logits, y);
        for y in y {
            *y *= inverse_tau;
        }
    }
}

/// Samples y = (logits + l) / tau with standard logistic noise l, elementwise. Element i takes draw i.
///
/// # Panics
/// If the slices differ in length, or if the injected draws are not one per logit.
#[track_caller]
pub fn forward(tier: Tier, draws: Draws<'_>, logits: &[f32], tau: f32, y: &mut [f32]) {
    assert_eq!(logits.len(), y.len(), "logits and y must have the same length");
    draws.check(logits.len());
    for_rows(y.len(), 1, (Rows(logits, 1), RowsMut(y, 1)), |first, (Rows(logits, _), RowsMut(y, _))| {
        forward_piece(tier, draws, first, logits, 1.0 / tau, y);
    });
}

/// Returns the gradient of tau, from the output y: dtau = -sum(dy y) / tau over the finite entries.
///
/// The gradient of the logits is dy / tau, which `elementwise::add_scaled` adds.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn backward_tau(tier: Tier, y: &[f32], dy: &[f32], tau: f32) -> f32 {
    crate::simd! {
        fn piece(y: &[f32], dy: &[f32]) -> f32 {
            let mut shares = [0.0f32; PIECE];
            let mut total = 0.0;
            for (y, dy) in y.chunks(PIECE).zip(dy.chunks(PIECE)) {
                let shares = &mut shares[..y.len()];
                for ((share, &y), &dy) in shares.iter_mut().zip(y).zip(dy) {
                    *share = if y.abs() != f32::INFINITY { dy * y } else { 0.0 };
                }
                total += lanes::sum(shares);
            }
            total
        }
    }
    assert_eq!(y.len(), dy.len(), "lengths must be equal");
    let parts = (Rows(y, 1), Rows(dy, 1));
    let total = sum_rows(y.len(), 1, parts, |_, (Rows(y, _), Rows(dy, _))| piece(tier, y, dy));
    -total / tau
}

/// Returns true if an entry is certain: its logit is infinite and its sample is the same.
#[inline(always)]
fn certain(y: f32, logit: f32) -> bool {
    (y == logit) & (y.abs() == f32::INFINITY)
}

crate::simd! {
    fn log_prob_piece<F>(y: &[f32], logits: &[f32], tau: f32, log_tau: f32, log_prob: &mut [f32]) {
        let distance = |y: f32, logit: f32| F::mul_add(-tau, y, logit).abs();
        let pieces = y.chunks(PIECE).zip(logits.chunks(PIECE)).zip(log_prob.chunks_mut(PIECE));
        for ((y, logits), log_prob) in pieces {
            // The exponentials have a separate loop, for the reason given in `draw` for noise.
            for ((e, &y), &logit) in log_prob.iter_mut().zip(y).zip(logits) {
                *e = math::exp_nonpositive::<F>(-distance(y, logit));
            }
            for ((log_prob, &y), &logit) in log_prob.iter_mut().zip(y).zip(logits) {
                // u - 2 softplus(u) = -|u| - 2 ln(1 + e^-|u|): the logistic density is even.
                let value = F::mul_add(-2.0f32, math::log1p::<F>(*log_prob), log_tau - distance(y, logit));
                *log_prob = if certain(y, logit) { 0.0 } else { value };
            }
        }
    }
}

crate::simd! {
    fn log_prob_backward_piece<F>(y: &[f32], logits: &[f32], tau: f32, dlog_prob: &[f32], dlogits: &mut [f32]) {
        for (((dlogits, &y), &logit), &d) in dlogits.iter_mut().zip(y).zip(logits).zip(dlog_prob) {
            // 1 - 2 sigmoid(u) = -tanh(u / 2), which does not cancel where u is small.
            let slope = -math::tanh::<F>(0.5 * F::mul_add(-tau, y, logit));
            *dlogits = if certain(y, logit) { *dlogits } else { F::mul_add(d, slope, *dlogits) };
        }
    }
}

crate::simd! {
    fn log_prob_backward_tau_piece<F>(y: &[f32], tau: f32, dlog_prob: &[f32], h: &[f32]) -> f32 {
        let mut shares = [0.0f32; PIECE];
        let mut total = 0.0;
        for ((y, d), h) in y.chunks(PIECE).zip(dlog_prob.chunks(PIECE)).zip(h.chunks(PIECE)) {
            let shares = &mut shares[..y.len()];
            for (((share, &y), &d), &h) in shares.iter_mut().zip(y).zip(d).zip(h) {
                *share = if y.abs() != f32::INFINITY { F::mul_add(-y, h, d / tau) } else { 0.0 };
            }
            total += lanes::sum(shares);
        }
        total
    }
}

/// Writes the log-density of the output of [`forward`], elementwise in nats: log_prob = ln tau + u - 2
/// softplus(u) with u = logits - tau y.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn log_prob_forward(tier: Tier, y: &[f32], logits: &[f32], tau: f32, log_prob: &mut [f32]) {
    assert!(y.len() == logits.len() && y.len() == log_prob.len(), "lengths must be equal");
    let log_tau = f64::from(tau).ln() as f32;
    let parts = (Rows(y, 1), Rows(logits, 1), RowsMut(log_prob, 1));
    for_rows(y.len(), 1, parts, |_, (Rows(y, _), Rows(logits, _), RowsMut(log_prob, _))| {
        log_prob_piece(tier, y, logits, tau, log_tau, log_prob);
    });
}

/// Adds the gradient of the logits, elementwise: dlogits += dlog_prob (1 - 2 sigmoid(u)). The gradient of y
/// is -tau times the same.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn log_prob_backward(
    tier: Tier,
    y: &[f32],
    logits: &[f32],
    tau: f32,
    dlog_prob: &[f32],
    dlogits: &mut [f32],
) {
    assert!(
        y.len() == logits.len() && y.len() == dlog_prob.len() && y.len() == dlogits.len(),
        "lengths must be equal"
    );
    let parts = (Rows(y, 1), Rows(logits, 1), Rows(dlog_prob, 1), RowsMut(dlogits, 1));
    for_rows(y.len(), 1, parts, |_, (Rows(y, _), Rows(logits, _), Rows(d, _), RowsMut(dlogits, _))| {
        log_prob_backward_piece(tier, y, logits, tau, d, dlogits);
    });
}

/// Returns the gradient of tau: dtau = sum(dlog_prob / tau - y h). `h` is the gradient that
/// [`log_prob_backward`] adds to a zeroed slice.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn log_prob_backward_tau(tier: Tier, y: &[f32], tau: f32, dlog_prob: &[f32], h: &[f32]) -> f32 {
    assert!(y.len() == dlog_prob.len() && y.len() == h.len(), "lengths must be equal");
    sum_rows(
        y.len(),
        1,
        (Rows(y, 1), Rows(dlog_prob, 1), Rows(h, 1)),
        |_, (Rows(y, _), Rows(d, _), Rows(h, _))| log_prob_backward_tau_piece(tier, y, tau, d, h),
    )
}
