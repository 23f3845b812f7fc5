//! The `adam` and `adamw` updates, one pass over parameter, gradient and both moments.
//!
//! # Source
//! D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1; I. Loshchilov,
//! F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.

use crate::Tier;
use crate::math::{at_least, at_most, or_zero};
use crate::parallel::{Rows, RowsMut, for_rows};

/// The constants of an update. `beta1` and `beta2` are the decay rates of the two moments.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hyper {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay, multiplied by the learning rate at each step; 0 gives Adam.
    pub weight_decay: f64,
}

/// The largest decay rate of a moment. The moments decay by the nearest `f32`, but the bias corrections use
/// the `f64`. At this rate the two are 0.14 % apart, and nearer to 1 the gap is much larger.
pub const LARGEST_BETA: f64 = 0.99999;

/// The largest gradient entry whose square is finite. Larger entries are clamped to it. A step depends on the
/// ratios of gradients, and with an infinite second moment the parameter would never move again.
const LARGEST_GRADIENT: f32 = 1.844_674_3e19;

/// The smallest gradient mean that is kept. Without new gradients a mean would decay until it is subnormal
/// and stay there. An update takes three times as long if one weight in ten has such a mean.
const SMALLEST_MEAN: f32 = 1e-30;

/// The constants of one step with the bias corrections folded in, so that the loop has a single division.
#[derive(Clone, Copy)]
struct Step {
    beta1: f32,
    beta2: f32,
    keep: f32,
    rate: f32,
    root_scale: f32,
    epsilon: f32,
}

impl Step {
    fn new(hyper: Hyper, step: u64) -> Step {
        let correction1 = 1.0 - hyper.beta1.powf(step as f64);
        let correction2 = 1.0 - hyper.beta2.powf(step as f64);
        Step {
            beta1: hyper.beta1 as f32,
            beta2: hyper.beta2 as f32,
            keep: (1.0 - hyper.learning_rate * hyper.weight_decay) as f32,
            rate: (hyper.learning_rate / correction1) as f32,
            root_scale: (1.0 / correction2.sqrt()) as f32,
            epsilon: hyper.epsilon as f32,
        }
    }
}

crate::simd! {
    fn piece<F>(step: Step, gradient: &[f32], mean: &mut [f32], square: &mut [f32], parameter: &mut [f32]) {
        for (((p, m), v), &g) in parameter.iter_mut().zip(mean).zip(square).zip(gradient) {
            let g = at_least(at_most(g, LARGEST_GRADIENT), -LARGEST_GRADIENT);
            // m += (1 - beta)(g - m) keeps beta exact where 1 - beta rounds.
            let new_m = or_zero(F::mul_add(g - *m, 1.0 - step.beta1, *m), SMALLEST_MEAN);
            let new_v = or_zero(F::mul_add(g * g - *v, 1.0 - step.beta2, *v), f32::MIN_POSITIVE);
            *m = new_m;
            *v = new_v;
            let root = F::mul_add(new_v.sqrt(), step.root_scale, step.epsilon);
            *p = F::mul_add(*p, step.keep, -step.rate * new_m / root);
        }
    }
}

/// Makes one update, in place, at `step` = 1, 2, ...:
///
/// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
/// p = (1 - lr wd) p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon).
///
/// A gradient entry larger than 1.8e19 in magnitude, even an infinite one, is clamped to 1.8e19 with its
/// sign, so that its square stays finite. A mean below 1e-30 in magnitude becomes 0, as does a mean square
/// below 1.2e-38.
#[track_caller]
pub fn update(
    tier: Tier,
    hyper: Hyper,
    step: u64,
    gradient: &[f32],
    mean: &mut [f32],
    square: &mut [f32],
    parameter: &mut [f32],
) {
    let n = parameter.len();
    assert!(gradient.len() == n && mean.len() == n && square.len() == n, "lengths must be equal");
    assert!(step >= 1, "steps count from 1");
    let step = Step::new(hyper, step);
    let parts = (Rows(gradient, 1), RowsMut(mean, 1), RowsMut(square, 1), RowsMut(parameter, 1));
    for_rows(n, 1, parts, |_, (Rows(g, _), RowsMut(m, _), RowsMut(v, _), RowsMut(p, _))| {
        piece(tier, step, g, m, v, p);
    });
}
