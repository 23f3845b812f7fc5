//! NVIL: the score function with a learned baseline and a normalised learning signal.

use super::baseline::Baseline;
use super::registry::Entry;
use super::{Estimator, Trial};
use crate::checkpoint::Checkpoint;
use crate::var::Var;
use crate::variables::Variables;

/// The gradient (f(z) - C(p) - c) / max(1, v) times d ln p(z). C is a network with one hidden layer of tanh
/// units on the probabilities p, trained here on the squared residual; c is a moving average of f - C, and
/// v^2 its moving variance.
///
/// Dividing by v rescales the gradient and so biases it. [`Nvil::new`] does not divide; [`Nvil::normalised`]
/// does.
///
/// # Source
/// A. Mnih, K. Gregor, "Neural Variational Inference and Learning in Belief Networks", ICML 2014, sections
/// 2.3 to 2.5.
#[derive(Debug)]
pub struct Nvil {
    baseline: Baseline,
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        form: "nvil",
        type_name: "Nvil",
        summary: "the score function with a learned baseline",
        variables: "both",
        unbiased: "yes",
        evaluations: "1",
        usual: &["nvil"],
        make: |_| Ok(Box::new(Nvil::new())),
    },
    Entry {
        form: "nvil-normalised",
        type_name: "Nvil",
        summary: "the same with variance normalisation",
        variables: "both",
        unbiased: "no",
        evaluations: "1",
        usual: &["nvil-normalised"],
        make: |_| Ok(Box::new(Nvil::normalised())),
    },
];

impl Nvil {
    /// Without variance normalisation: unbiased.
    pub fn new() -> Nvil {
        Nvil { baseline: Baseline::new(false) }
    }

    /// With variance normalisation, as in the paper: biased in scale.
    pub fn normalised() -> Nvil {
        Nvil { baseline: Baseline::new(true) }
    }
}

impl Default for Nvil {
    fn default() -> Nvil {
        Nvil::new()
    }
}

impl Estimator for Nvil {
    fn name(&self) -> String {
        if self.baseline.normalise { "nvil-normalised" } else { "nvil" }.to_owned()
    }

    fn is_unbiased(&self) -> bool {
        !self.baseline.normalise
    }

    fn check(&self, variables: Variables) -> Result<(), String> {
        self.baseline.check(variables)
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let z = trial.sample();
        let f = trial.loss(z);
        let signal = self.baseline.reduce(f.stop_gradient(), trial.logits());
        trial.score(f, signal, z)
    }

    fn adapts(&self) -> bool {
        true
    }

    fn freeze(&mut self) {
        self.baseline.freeze();
    }

    fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        self.baseline.save(prefix, checkpoint);
    }

    fn restore(&mut self, prefix: &str, variables: Variables, checkpoint: &Checkpoint) -> crate::Result<()> {
        self.baseline.restore(prefix, variables, checkpoint)
    }
}
