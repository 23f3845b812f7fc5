//! The objectives whose gradients estimators estimate.

use super::Vimco;
use super::layers::Form;
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
    pub fn discrete(samples: usize) -> MultiSample {
        MultiSample { samples, form: Form::Discrete }
    }

    /// Uses `samples` relaxed samples, with the pathwise gradient. q has temperature `posterior`, the model's
    /// own layers `prior`.
    pub fn relaxed(samples: usize, posterior: f32, prior: f32) -> MultiSample {
        MultiSample { samples, form: Form::Relaxed { posterior, prior } }
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

/// -ln(1/K sum_k w_k) of each row, from ln w `[rows, K]`.
#[track_caller]
pub(super) fn relaxed_value(log_weights: Var<'_>) -> Var<'_> {
    (log_weights.shape().classes() as f32).ln() - log_weights.logsumexp()
}
