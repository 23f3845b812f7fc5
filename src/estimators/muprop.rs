//! MuProp: the loss's Taylor expansion about the mean as a control variate.

use super::slope::{gradient_of, own_leaf, value_and_slope};
use super::variable::sum_of_row;
use super::{Discrete, Estimator, Loss, accept, evaluate, with_logits_gradient};
use crate::noise::Noise;
use crate::var::Var;

/// (f(z) - f(m) - <f'(m), z - m>) d ln p(z) + <f'(m), dm>, m being the probabilities: the score function of what a
/// first-order expansion about the mean leaves, and the gradient of the expansion's mean. The value is f(z).
///
/// # Source
/// S. Gu, S. Levine, I. Sutskever, A. Mnih, "MuProp: Unbiased Backpropagation for Stochastic Neural Networks", ICLR 2016,
/// equation 6.
#[derive(Clone, Copy, Debug, Default)]
pub struct MuProp;

impl Estimator for MuProp {
    fn name(&self) -> String {
        "muprop".to_owned()
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let z = variable.sample(noise);
        let f = evaluate(loss, z, noise);
        let (at_mean, slope) = value_and_slope(loss, variable.probs(), noise);

        let cut = own_leaf(variable);
        let probs = cut.probs();
        let signal = f.stop_gradient() - at_mean - sum_of_row(slope * (z - probs.stop_gradient()));
        let surrogate = signal * cut.log_prob(z) + sum_of_row(slope * probs);
        let estimate = gradient_of(surrogate, cut.logits());
        with_logits_gradient(f, variable.logits(), estimate)
    }
}
