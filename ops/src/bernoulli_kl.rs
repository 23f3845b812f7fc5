//! `bernoulli_kl`: KL(p || q) between Bernoulli distributions given by logits, elementwise, in nats.
//!
//! Swapping the two outcomes flips the signs of both logits and does not change the divergence. So we can
//! always compute it on the side where p <= 1/2, and nothing is subtracted from 1. A logit of p may be
//! infinite; p is then exactly 0 or 1. Where q excludes an outcome that p allows, the divergence is +inf.

use crate::Tier;
use crate::fma::Fma;
use crate::math::{self, sigmoid_slope, weighted};
use crate::parallel::{Rows, RowsMut, for_rows};

/// Returns p, q and the logit of q on the side where p <= 1/2.
#[inline(always)]
fn smaller_side<F: Fma>(a: f32, b: f32) -> (f32, f32, f32) {
    let b = if a > 0.0 { -b } else { b };
    (math::sigmoid::<F>(-a.abs()), math::sigmoid::<F>(b), b)
}

crate::simd! {
    fn forward_piece<F>(p: &[f32], q: &[f32], kl: &mut [f32]) {
        for ((kl, &a), &b) in kl.iter_mut().zip(p).zip(q) {
            let (p, _, b) = smaller_side::<F>(a, b);
            // -H(p) = -p |a| - softplus(-|a|), and the cross entropy softplus(b) - p b.
            let negative_entropy = -weighted(p, a.abs()) - math::softplus::<F>(-a.abs());
            let weight = if b > 0.0 { 1.0 - p } else { p };
            let value = negative_entropy + (weighted(weight, b.abs()) + math::softplus::<F>(-b.abs()));
            // This holds even if the probability of the excluded outcome underflows.
            let excluded = (b.abs() == f32::INFINITY) & (a.abs() < f32::INFINITY);
            *kl = if excluded { f32::INFINITY } else { value };
        }
    }
}

crate::simd! {
    fn backward_p_piece<F>(p: &[f32], q: &[f32], dkl: &[f32], dp: &mut [f32]) {
        for (((dp, &a), &b), &dkl) in dp.iter_mut().zip(p).zip(q).zip(dkl) {
            *dp = F::mul_add(dkl, weighted(sigmoid_slope::<F>(a), a - b), *dp);
        }
    }
}

crate::simd! {
    fn backward_q_piece<F>(p: &[f32], q: &[f32], dkl: &[f32], dq: &mut [f32]) {
        for (((dq, &a), &b), &dkl) in dq.iter_mut().zip(p).zip(q).zip(dkl) {
            let (p, q, _) = smaller_side::<F>(a, b);
            let slope = if a > 0.0 { p - q } else { q - p };
            *dq = F::mul_add(dkl, slope, *dq);
        }
    }
}

/// Writes kl = p (a - b) - softplus(a) + softplus(b), elementwise in nats, for logits a in `p` and b in `q`,
/// with p = sigmoid(a).
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn forward(tier: Tier, p: &[f32], q: &[f32], kl: &mut [f32]) {
    assert!(p.len() == q.len() && p.len() == kl.len(), "lengths must be equal");
    let parts = (Rows(p, 1), Rows(q, 1), RowsMut(kl, 1));
    for_rows(p.len(), 1, parts, |_, (Rows(p, _), Rows(q, _), RowsMut(kl, _))| forward_piece(tier, p, q, kl));
}

/// Adds the gradient of the logits a of p, elementwise: dp += dkl p (1 - p) (a - b).
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn backward_p(tier: Tier, p: &[f32], q: &[f32], dkl: &[f32], dp: &mut [f32]) {
    assert!(p.len() == q.len() && p.len() == dkl.len() && p.len() == dp.len(), "lengths must be equal");
    let parts = (Rows(p, 1), Rows(q, 1), Rows(dkl, 1), RowsMut(dp, 1));
    for_rows(p.len(), 1, parts, |_, (Rows(p, _), Rows(q, _), Rows(dkl, _), RowsMut(dp, _))| {
        backward_p_piece(tier, p, q, dkl, dp);
    });
}

/// Adds the gradient of the logits b of q, elementwise: dq += dkl (q - p).
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn backward_q(tier: Tier, p: &[f32], q: &[f32], dkl: &[f32], dq: &mut [f32]) {
    assert!(p.len() == q.len() && p.len() == dkl.len() && p.len() == dq.len(), "lengths must be equal");
    let parts = (Rows(p, 1), Rows(q, 1), Rows(dkl, 1), RowsMut(dq, 1));
    for_rows(p.len(), 1, parts, |_, (Rows(p, _), Rows(q, _), Rows(dkl, _), RowsMut(dq, _))| {
        backward_q_piece(tier, p, q, dkl, dq);
    });
}
