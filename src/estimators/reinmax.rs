//! ReinMax: a second-order straight-through estimator.

use super::registry::Entry;
use super::{Estimator, Trial, check_temperature};
use crate::var::Var;
use crate::variables::Variables;

/// The gradient 2 J(q) g - J(p) g / 2, with J(q) = diag(q) - q q', p = softmax(logits), g = f'(z) at the hard
/// sample z, and q the mean of z and softmax(logits / tau). It applies Heun's method to the difference of f
/// between states, where straight-through applies Euler's. At tau = 1 it is exact in expectation for losses
/// that are quadratic in each variable. Bits are treated as two classes.
///
/// # Source
/// L. Liu, C. Dong, X. Liu, B. Yu, J. Gao, "Bridging Discrete and Backpropagation: Straight-Through and
/// Beyond", NeurIPS 2023, algorithm 2.
#[derive(Clone, Copy, Debug)]
pub struct ReinMax {
    /// The temperature, at least 1.
    pub tau: f32,
}

pub(super) const ENTRIES: &[Entry] = &[Entry {
    form: "reinmax:TAU",
    type_name: "ReinMax",
    summary: "second-order straight-through",
    variables: "both",
    unbiased: "for quadratic losses, at tau 1",
    evaluations: "1",
    usual: &["reinmax:1"],
    make: |parameters| Ok(Box::new(ReinMax { tau: parameters.temperature(0)? })),
}];

impl Estimator for ReinMax {
    fn name(&self) -> String {
        format!("reinmax:{}", self.tau)
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn check(&self, _variables: Variables) -> Result<(), String> {
        check_temperature(self.tau)?;
        match self.tau >= 1.0 {
            true => Ok(()),
            false => Err(format!("its temperature is at least 1, found {}; use reinmax:1", self.tau)),
        }
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let variables = trial.logits();
        let logits = variables.as_categories();
        let z = logits.categorical(trial.noise());
        let mean = (z + (logits / self.tau).softmax().stop_gradient()) * 0.5;
        // Logits of that mean, which move with the logits. Their softmax is the mean, with its Jacobian.
        let moving = moving_logits(logits, mean);
        let surrogate = moving.softmax() * 2.0 - logits.softmax() * 0.5;
        let z = z.with_gradient_of(surrogate);
        trial.loss(variables.from_categories(z))
    }
}

/// ln `probs` with the gradient of `logits`.
fn moving_logits<'t>(logits: Var<'t>, probs: Var<'t>) -> Var<'t> {
    probs.ln().stop_gradient().with_gradient_of(logits)
}
