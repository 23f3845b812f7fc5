//! NVIL: the score function with a learned baseline and a normalised learning signal.

use super::baseline::Baseline;
use super::{Discrete, Estimator, Kind, Loss, accept, evaluate, with_score};
use crate::checkpoint::Checkpoint;
use crate::noise::Noise;
use crate::var::Var;

/// (f(z) - C(p) - c) / max(1, v) times d ln p(z): c is a moving average of what C leaves, v^2 its moving variance, and C a
/// network of one hidden layer of tanh units, trained here on the squared residual, which sees the probabilities p.
///
/// The division by v makes the estimate another multiple of the gradient than 1, so it is biased: [`Nvil::new`] leaves
/// it out, [`Nvil::normalised`] has it.
///
/// # Source
/// A. Mnih, K. Gregor, "Neural Variational Inference and Learning in Belief Networks", ICML 2014, sections 2.3 to 2.5.
#[derive(Debug)]
pub struct Nvil {
    baseline: Baseline,
}

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

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let z = variable.sample(noise);
        let f = evaluate(loss, z, noise);
        let signal = self.baseline.reduce("nvil", f.stop_gradient(), variable);
        with_score(f, signal, variable.log_prob(z))
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

    fn restore(&mut self, prefix: &str, kind: Kind, checkpoint: &Checkpoint) -> crate::Result<()> {
        self.baseline.restore(prefix, kind, checkpoint)
    }
}
