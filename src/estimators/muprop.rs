//! MuProp: the loss's Taylor expansion about the mean as a control variate.

use super::baseline::Baseline;
use super::slope::{gradient_of, own_leaf, value_and_slope};
use super::variable::sum_of_row;
use super::{Discrete, Estimator, Kind, Loss, accept, evaluate};
use crate::checkpoint::Checkpoint;
use crate::noise::Noise;
use crate::var::Var;

/// (f(z) - f(m) - <f'(m), z - m>) d ln p(z) + <f'(m), dm>, m being the probabilities: the score function of what a
/// first-order expansion about the mean leaves, and the gradient of the expansion's mean. The value is f(z).
///
/// What the expansion leaves has a mean of its own (f is rarely linear), which is noise in the score function: a baseline learned
/// as that of [`Nvil`](super::Nvil) takes it away, and [`MuProp::normalised`] divides the rest as NVIL does, at the price of a bias.
///
/// # Source
/// S. Gu, S. Levine, I. Sutskever, A. Mnih, "MuProp: Unbiased Backpropagation for Stochastic Neural Networks", ICLR 2016,
/// equation 6.
#[derive(Debug, Default)]
pub struct MuProp {
    /// Of what the expansion leaves.
    baseline: Option<Baseline>,
}

impl MuProp {
    /// The expansion alone: unbiased.
    pub fn new() -> MuProp {
        MuProp::default()
    }

    /// With a learned baseline: unbiased.
    pub fn with_baseline() -> MuProp {
        MuProp { baseline: Some(Baseline::new(false)) }
    }

    /// With a learned baseline and variance normalisation: biased.
    pub fn normalised() -> MuProp {
        MuProp { baseline: Some(Baseline::new(true)) }
    }
}

impl Estimator for MuProp {
    fn name(&self) -> String {
        let name = match &self.baseline {
            None => "muprop",
            Some(baseline) if baseline.normalise => "muprop-normalised",
            Some(_) => "muprop-baseline",
        };
        name.to_owned()
    }

    fn is_unbiased(&self) -> bool {
        self.baseline.as_ref().is_none_or(|baseline| !baseline.normalise)
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let z = variable.sample(noise);
        let f = evaluate(loss, z, noise);
        let (at_mean, slope) = value_and_slope(loss, variable.probs(), noise);

        let cut = own_leaf(variable);
        let probs = cut.probs();
        let left = f.stop_gradient() - at_mean - sum_of_row(slope * (z - probs.stop_gradient()));
        let signal = match &mut self.baseline {
            Some(baseline) => baseline.reduce("muprop", left, variable),
            None => left,
        };
        let surrogate = signal * cut.log_prob(z) + sum_of_row(slope * probs);
        let estimate = gradient_of(surrogate, cut.logits());
        f.with_logits_gradient(variable.logits(), estimate)
    }

    fn adapts(&self) -> bool {
        self.baseline.is_some()
    }

    fn freeze(&mut self) {
        if let Some(baseline) = &mut self.baseline {
            baseline.freeze();
        }
    }

    fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        if let Some(baseline) = &self.baseline {
            baseline.save(prefix, checkpoint);
        }
    }

    fn restore(&mut self, prefix: &str, kind: Kind, checkpoint: &Checkpoint) -> crate::Result<()> {
        self.baseline.as_mut().map_or(Ok(()), |baseline| baseline.restore(prefix, kind, checkpoint))
    }
}
