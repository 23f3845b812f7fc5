//! `sgd_momentum`: stochastic gradient descent with heavy-ball momentum, one pass over parameter and
//! velocity.

use crate::Tier;
use crate::math::or_zero;
use crate::parallel::{Rows, RowsMut, for_rows};

crate::simd! {
    fn piece<F>(rate: f32, momentum: f32, decay: f32, gradient: &[f32], velocity: &mut [f32], parameter: &mut [f32]) {
        for ((p, v), &g) in parameter.iter_mut().zip(velocity).zip(gradient) {
            *v = or_zero(F::mul_add(*v, momentum, F::mul_add(*p, decay, g)), f32::MIN_POSITIVE);
            *p = F::mul_add(*v, -rate, *p);
        }
    }
}

/// Makes one update, in place: v = momentum v + (g + weight_decay p), p = p - learning_rate v. A subnormal
/// velocity, below 1.2e-38 in magnitude, becomes 0.
#[track_caller]
pub fn update(
    tier: Tier,
    learning_rate: f32,
    momentum: f32,
    weight_decay: f32,
    gradient: &[f32],
    velocity: &mut [f32],
    parameter: &mut [f32],
) {
    let n = parameter.len();
    assert!(gradient.len() == n && velocity.len() == n, "lengths must be equal");
    let parts = (Rows(gradient, 1), RowsMut(velocity, 1), RowsMut(parameter, 1));
    for_rows(n, 1, parts, |_, (Rows(g, _), RowsMut(v, _), RowsMut(p, _))| {
        piece(tier, learning_rate, momentum, weight_decay, g, v, p);
    });
}
