//! ReinMax: a straight-through estimator of second order.

use super::{Discrete, Estimator, Kind, Loss, accept, check_temperature, evaluate};
use crate::noise::Noise;
use crate::var::Var;

/// With g = f'(z) at the hard sample z, p = softmax(logits), J(q) = diag(q) - q q', and q the mean of z and
/// softmax(logits / tau): the gradient 2 J(q) g - J(p) g / 2. Heun's method for the difference of f between states,
/// where straight-through is Euler's. At tau = 1 exact in expectation for losses that are quadratic in each variable.
/// Bits are treated as two classes.
///
/// # Source
/// L. Liu, C. Dong, X. Liu, B. Yu, J. Gao, "Bridging Discrete and Backpropagation: Straight-Through and Beyond",
/// NeurIPS 2023, algorithm 2.
#[derive(Clone, Copy, Debug)]
pub struct ReinMax {
    /// The temperature, at least 1.
    pub tau: f32,
}

impl Estimator for ReinMax {
    fn name(&self) -> String {
        format!("reinmax:{}", self.tau)
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn check(&self, _kind: Kind) -> Result<(), String> {
        check_temperature(self.tau)?;
        match self.tau >= 1.0 {
            true => Ok(()),
            false => Err(format!("its temperature is at least 1, found {}; use reinmax:1", self.tau)),
        }
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let logits = variable.as_categorical();
        let z = logits.categorical(noise);
        let mean = (z + (logits / self.tau).softmax().stop_gradient()) * 0.5;
        // Logits of that mean which move as the logits do: softmax of them is the mean, with its Jacobian.
        let moving = moving_logits(logits, mean);
        let surrogate = moving.softmax() * 2.0 - logits.softmax() * 0.5;
        let z = z.with_gradient_of(surrogate);
        evaluate(loss, variable.from_categorical(z), noise)
    }
}

/// ln `probs` with the gradient of `logits`.
fn moving_logits<'t>(logits: Var<'t>, probs: Var<'t>) -> Var<'t> {
    probs.ln().stop_gradient().with_gradient_of(logits)
}
