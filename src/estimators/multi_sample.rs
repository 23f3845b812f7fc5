//! The objectives whose gradients estimators estimate.

use super::layers::Form;
use super::leave_one_out::at_least_two;
use super::{Vimco, check_temperature, demand};
use crate::var::Var;

/// The objective of an estimator.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Objective {
    /// E\[f(z)\]
    Expected,
    /// E\[-ln(1/K sum_k e^-f(z_k))\] over K independent samples. With f = -ln w, it is the multi-sample
    /// bound.
    MultiSample(MultiSample),
}

/// A multi-sample bound, -ln(1/K sum_k w_k), and how its samples are drawn.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MultiSample {
    samples: usize,
    form: Form,
}

impl MultiSample {
    /// Uses `samples` exact samples, with VIMCO's gradient.
    ///
    /// # Panics
    /// If `samples` is below 2.
    #[track_caller]
    pub fn discrete(samples: usize) -> MultiSample {
        demand("MultiSample::discrete", at_least_two(samples));
        MultiSample::unchecked(samples, Form::Discrete)
    }

    /// Uses `samples` relaxed samples, with the pathwise gradient. q has temperature `posterior`, the model's
    /// own layers `prior`.
    ///
    /// # Panics
    /// If `samples` is 0, or a temperature is not positive and finite.
    #[track_caller]
    pub fn relaxed(samples: usize, posterior: f32, prior: f32) -> MultiSample {
        demand("MultiSample::relaxed", check_relaxed(samples, posterior, prior));
        MultiSample::unchecked(samples, Form::Relaxed { posterior, prior })
    }

    /// Makes the objective without checking it, for an estimator that checks the numbers itself.
    pub(super) fn unchecked(samples: usize, form: Form) -> MultiSample {
        MultiSample { samples, form }
    }

    /// The number of samples, K.
    pub fn samples(self) -> usize {
        self.samples
    }

    pub(super) fn form(self) -> Form {
        self.form
    }

    /// The bound of each row `[rows]` with its gradient, from the log-weights `[rows, K]` and, needed for
    /// exact samples only, ln q of the samples in the same shape.
    #[track_caller]
    pub(super) fn value<'t>(self, log_weights: Var<'t>, log_probs: impl FnOnce() -> Var<'t>) -> Var<'t> {
        match self.form {
            Form::Relaxed { .. } => relaxed_value(log_weights),
            Form::Expected | Form::Discrete => Vimco::bound(log_weights, log_probs()),
        }
    }
}

/// Checks the sample count and the temperatures of a bound with relaxed samples.
///
/// # Errors
/// A sentence about the first invalid number.
pub(super) fn check_relaxed(samples: usize, posterior: f32, prior: f32) -> Result<(), String> {
    check_temperature(posterior)?;
    check_temperature(prior)?;
    match samples {
        0 => Err("it needs at least one sample; use concrete:0.67:0.5:1".to_owned()),
        _ => Ok(()),
    }
}

/// -ln(1/K sum_k w_k) of each row, from ln w `[rows, K]`.
#[track_caller]
pub(super) fn relaxed_value(log_weights: Var<'_>) -> Var<'_> {
    (log_weights.shape().classes() as f32).ln() - log_weights.logsumexp()
}
