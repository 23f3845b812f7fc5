//! MuProp: the loss's Taylor expansion about the mean as a control variate.

use super::baseline::Baseline;
use super::registry::Entry;
use super::rows::sum_of_row;
use super::slope::{gradient_of, own_leaf, value_and_slope};
use super::{Estimator, Trial};
use crate::checkpoint::Checkpoint;
use crate::var::Var;
use crate::variables::Variables;

/// The gradient (f(z) - f(m) - <f'(m), z - m>) d ln p(z) + <f'(m), dm>, where m is the probabilities. It is
/// the score function of the remainder of a first-order expansion about the mean, plus the gradient of the
/// expansion's mean. The value is f(z).
///
/// Because f is rarely linear, the remainder has a mean, which adds noise to the score function. A baseline,
/// learned as in [`Nvil`](super::Nvil), removes it. [`MuProp::normalised`] also divides the rest as NVIL
/// does, at the price of a bias.
///
/// # Source
/// S. Gu, S. Levine, I. Sutskever, A. Mnih, "MuProp: Unbiased Backpropagation for Stochastic Neural
/// Networks", ICLR 2016, equation 6.
#[derive(Debug, Default)]
pub struct MuProp {
    /// The baseline of the remainder.
    baseline: Option<Baseline>,
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        form: "muprop",
        type_name: "MuProp",
        summary: "Taylor expansion about the mean as control variate",
        variables: "both",
        unbiased: "yes",
        evaluations: "2",
        usual: &["muprop"],
        make: |_| Ok(Box::new(MuProp::new())),
    },
    Entry {
        form: "muprop-baseline",
        type_name: "MuProp",
        summary: "the same with a learned baseline",
        variables: "both",
        unbiased: "yes",
        evaluations: "2",
        usual: &["muprop-baseline"],
        make: |_| Ok(Box::new(MuProp::with_baseline())),
    },
    Entry {
        form: "muprop-normalised",
        type_name: "MuProp",
        summary: "the same with a learned baseline and variance normalisation",
        variables: "both",
        unbiased: "no",
        evaluations: "2",
        usual: &["muprop-normalised"],
        make: |_| Ok(Box::new(MuProp::normalised())),
    },
];

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

    fn check(&self, variables: Variables) -> Result<(), String> {
        self.baseline.as_ref().map_or(Ok(()), |baseline| baseline.check(variables))
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let (logits, z) = (trial.logits(), trial.sample());
        let f = trial.loss(z);
        let (at_mean, slope) = value_and_slope(&mut trial, logits.probs());

        let cut = own_leaf(logits);
        let probs = cut.probs();
        let left = f.stop_gradient() - at_mean - sum_of_row(slope * (z - probs.stop_gradient()));
        let signal = match &mut self.baseline {
            Some(baseline) => baseline.reduce(left, logits),
            None => left,
        };
        let surrogate = signal * cut.log_prob(z) + sum_of_row(slope * probs);
        let estimate = gradient_of(surrogate, cut.var());
        f.with_logits_gradient(logits.var(), estimate)
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

    fn restore(&mut self, prefix: &str, variables: Variables, checkpoint: &Checkpoint) -> crate::Result<()> {
        self.baseline.as_mut().map_or(Ok(()), |baseline| baseline.restore(prefix, variables, checkpoint))
    }
}
