//! The optimizers' updates.

use reparam::optim::{Adam, Optimizer, Sgd};
use reparam::{Gradients, Params};

use super::{Limits, MAX};

/// Returns the value of a parameter that starts at 1, after an update with each of these gradients.
fn course(optimizer: &mut dyn Optimizer, gradients: &[f32]) -> Vec<f32> {
    let mut params = Params::new();
    let w = params.add("w", [1], vec![1.0]);
    let update = |&gradient: &f32| {
        let mut gradients = Gradients::new();
        gradients.add(&params, w, &[gradient]);
        optimizer.step(&mut params, &gradients);
        params.value(w)[0]
    };
    gradients.iter().map(update).collect()
}

const RATE: f64 = 0.1;
const DECAY: f64 = 0.01;

/// Returns the course of Adam in f64, where no square overflows.
fn adam(gradients: &[f32], decay: f64) -> Vec<f64> {
    let (mut p, mut mean, mut square) = (1.0, 0.0, 0.0);
    let update = |(&g, step): (&f32, i32)| {
        // An infinite gradient counts as the largest one.
        let g = f64::from(g.clamp(-MAX, MAX));
        mean = 0.9 * mean + 0.1 * g;
        square = 0.999 * square + 0.001 * g * g;
        let (m, v): (f64, f64) = (mean / (1.0 - 0.9f64.powi(step)), square / (1.0 - 0.999f64.powi(step)));
        p = (1.0 - RATE * decay) * p - RATE * m / (v.sqrt() + 1e-8);
        p
    };
    gradients.iter().zip(1..).map(update).collect()
}

pub(super) fn rows(limits: &mut Limits) {
    for first in [2e19, -2e19, MAX, -MAX, f32::INFINITY, 1e-30, 0.0, 1.0] {
        let gradients = [first, 0.0, 0.0, 0.0];
        limits.relative = 2e-5;
        let place = format!("after a gradient of {first}");
        limits.compare(
            "adam",
            &place,
            &course(&mut Adam::new(RATE), &gradients),
            &adam(&gradients, 0.0),
            0.0,
        );
        let found = course(&mut Adam::new(RATE).weight_decay(DECAY), &gradients);
        limits.compare("adamw", &place, &found, &adam(&gradients, DECAY), 0.0);
        limits.relative = 2e-6;
        if first.is_finite() {
            let (mut p, mut velocity) = (1.0, 0.0);
            let expected = gradients.map(|g| {
                velocity = 0.9 * velocity + f64::from(g);
                p -= RATE * velocity;
                p
            });
            limits.compare(
                "sgd_momentum",
                &place,
                &course(&mut Sgd::new(RATE, 0.9), &gradients),
                &expected,
                0.0,
            );
        }
    }
}
