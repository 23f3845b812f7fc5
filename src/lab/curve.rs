//! Training on the toy, with the loss computed exactly.

use super::problem::Problem;
use super::toys::Toy;
use crate::estimators::{Estimate, Estimator};
use crate::noise::Noise;
use crate::tape::Tape;
use crate::variables::Logits;

/// A point of a training curve.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CurvePoint {
    /// Steps taken.
    pub step: usize,
    /// Evaluations of the loss until then, with those in which the estimator adapted.
    pub evaluations: usize,
    /// E (b - t)^2 at the logit of that step, without sampling. [`Toy::least_loss`] is its optimum.
    pub loss: f64,
}

/// Runs gradient descent on a toy's logit, with one estimate per step, and records the exact loss every
/// `every` steps. Estimators adapt along the way.
///
/// # Errors
/// The reason why the estimator does not support a bit.
///
/// # Panics
/// If `every` is 0, or the learning rate is negative or not finite.
#[track_caller]
pub fn training_curve(
    toy: &Toy,
    estimator: &mut dyn Estimator,
    steps: usize,
    every: usize,
    learning_rate: f32,
    noise: &mut Noise,
) -> Result<Vec<CurvePoint>, String> {
    assert!(every > 0, "training_curve: at least one step between points is needed, found 0");
    assert!(
        learning_rate >= 0.0 && learning_rate.is_finite(),
        "training_curve: the learning rate must be finite and at least 0, it is {learning_rate}; 0.1 is usual"
    );
    estimator.check(toy.variables())?;
    let mut logit = toy.logits()[0];
    let mut tape = Tape::new();
    let mut curve = Vec::new();
    let mut evaluations = 0;
    for step in 0..=steps {
        if step % every == 0 {
            curve.push(CurvePoint { step, evaluations, loss: exact_loss(toy, logit) });
        }
        let gradient = {
            let logits = tape.variable(&[logit], [1, 1]);
            let loss = estimator.estimate(Logits::bits(logits), noise, |z, _| {
                evaluations += z.shape().dims()[0];
                toy.loss(z)
            });
            loss.sum().gradients_if_any().of(logits).map_or(0.0, |gradient| gradient[0])
        };
        tape.reset();
        logit -= learning_rate * gradient;
    }
    Ok(curve)
}

fn exact_loss(toy: &Toy, logit: f32) -> f64 {
    let (t, p) = (f64::from(toy.t()), 1.0 / (1.0 + (-f64::from(logit)).exp()));
    p * (1.0 - t).powi(2) + (1.0 - p) * t * t
}
