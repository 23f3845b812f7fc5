//! `bce_with_logits`: the negative log-likelihood of a Bernoulli variable, in nats, from its logit:
//! loss = softplus(x) - t x = w |x| + ln(1 + e^-|x|), where w is 1 - t for x > 0 and t elsewhere.
//!
//! The loss is finite for every finite x. For an infinite x it is 0 if the target is the certain outcome,
//! else +inf.

use crate::Tier;
use crate::math;
use crate::noise::PIECE;
use crate::parallel::{Rows, RowsMut, for_rows};

/// Below this, ln(1 + e) rounds to e. We skip the logarithm, because e * e may be subnormal.
const SMALL: f32 = 1e-8;

crate::simd! {
    fn forward_piece<F>(logits: &[f32], target: &[f32], loss: &mut [f32]) {
        for ((logits, target), loss) in logits.chunks(PIECE).zip(target.chunks(PIECE)).zip(loss.chunks_mut(PIECE)) {
            // The exponentials have a separate loop, for the reason given in `draw` for noise.
            for (e, &x) in loss.iter_mut().zip(logits) {
                *e = math::exp_nonpositive::<F>(-x.abs());
            }
            for ((loss, &x), &t) in loss.iter_mut().zip(logits).zip(target) {
                // The part of the target that contradicts the sign of x costs |x|. Neither term is negative,
                // so nothing cancels.
                let weight = if x > 0.0 { 1.0 - t } else { t };
                let log = math::log1p_moderate::<F>(math::at_least(*loss, SMALL));
                let rest = if *loss < SMALL { *loss } else { log };
                *loss = math::weighted(weight, x.abs()) + rest;
            }
        }
    }
}

crate::simd! {
    fn backward_piece<F>(logits: &[f32], target: &[f32], dloss: &[f32], dlogits: &mut [f32]) {
        for (((dlogits, &dloss), &x), &t) in dlogits.iter_mut().zip(dloss).zip(logits).zip(target) {
            // sigmoid(x) - t, as -sigmoid(-x) + (1 - t) when t is nearer 1.
            let slope = if t > 0.5 { (1.0 - t) - math::sigmoid::<F>(-x) } else { math::sigmoid::<F>(x) - t };
            *dlogits = F::mul_add(dloss, slope, *dlogits);
        }
    }
}

/// Writes loss = -t ln sigmoid(x) - (1 - t) ln(1 - sigmoid(x)), elementwise in nats.
#[track_caller]
pub fn forward(tier: Tier, logits: &[f32], target: &[f32], loss: &mut [f32]) {
    assert!(logits.len() == target.len() && logits.len() == loss.len(), "lengths must be equal");
    let parts = (Rows(logits, 1), Rows(target, 1), RowsMut(loss, 1));
    for_rows(logits.len(), 1, parts, |_, (Rows(logits, _), Rows(target, _), RowsMut(loss, _))| {
        forward_piece(tier, logits, target, loss);
    });
}

/// Adds the gradient of the logits, elementwise: dlogits += dloss (sigmoid(x) - t).
#[track_caller]
pub fn backward(tier: Tier, logits: &[f32], target: &[f32], dloss: &[f32], dlogits: &mut [f32]) {
    assert!(logits.len() == target.len() && logits.len() == dloss.len(), "lengths must be equal");
    assert_eq!(logits.len(), dlogits.len(), "lengths must be equal");
    let parts = (Rows(logits, 1), Rows(target, 1), Rows(dloss, 1), RowsMut(dlogits, 1));
    for_rows(logits.len(), 1, parts, |_, (Rows(x, _), Rows(t, _), Rows(dloss, _), RowsMut(dlogits, _))| {
        backward_piece(tier, x, t, dloss, dlogits);
    });
}

/// Adds the gradient of the target, elementwise: dtarget -= dloss x.
#[track_caller]
pub fn backward_target(tier: Tier, logits: &[f32], dloss: &[f32], dtarget: &mut [f32]) {
    crate::simd! {
        fn piece<F>(logits: &[f32], dloss: &[f32], dtarget: &mut [f32]) {
            for ((dt, &x), &dloss) in dtarget.iter_mut().zip(logits).zip(dloss) {
                *dt = F::mul_add(-x, dloss, *dt);
            }
        }
    }
    assert!(logits.len() == dloss.len() && logits.len() == dtarget.len(), "lengths must be equal");
    let parts = (Rows(logits, 1), Rows(dloss, 1), RowsMut(dtarget, 1));
    for_rows(logits.len(), 1, parts, |_, (Rows(x, _), Rows(dloss, _), RowsMut(dt, _))| {
        piece(tier, x, dloss, dt)
    });
}
