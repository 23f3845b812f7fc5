//! The score-function estimator (REINFORCE), without a baseline or with a moving average.

use super::moving_average::MovingAverage;
use super::{Discrete, Estimator, Kind, Loss, accept, evaluate, with_score};
use crate::checkpoint::Checkpoint;
use crate::noise::Noise;
use crate::var::Var;

/// (f(z) - b) d ln p(z), with b = 0 or a moving average of f over the calls before.
///
/// # Source
/// R. Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning", Machine
/// Learning 8, 1992.
#[derive(Clone, Debug)]
pub struct ScoreFunction {
    baseline: Option<MovingAverage>,
}

impl ScoreFunction {
    /// No baseline.
    pub fn new() -> ScoreFunction {
        ScoreFunction { baseline: None }
    }

    /// Less the average of earlier batches' mean f, of which one counts `decay` times the one after it; their weights sum to
    /// 1, so that the first batches are not drawn to 0. 0.99 is usual.
    ///
    /// # Panics
    /// If `decay` is not in \[0, 1).
    #[track_caller]
    pub fn moving_average(decay: f64) -> ScoreFunction {
        ScoreFunction { baseline: Some(MovingAverage::new(decay)) }
    }
}

impl Default for ScoreFunction {
    fn default() -> ScoreFunction {
        ScoreFunction::new()
    }
}

impl Estimator for ScoreFunction {
    fn name(&self) -> String {
        if self.baseline.is_some() { "moving-average" } else { "score-function" }.to_owned()
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let z = variable.sample(noise);
        let f = evaluate(loss, z, noise);
        let baseline = self.baseline.as_mut().map_or(0.0, |average| average.next(&f.value()));
        with_score(f, f - baseline, variable.log_prob(z))
    }

    fn adapts(&self) -> bool {
        self.baseline.is_some()
    }

    fn freeze(&mut self) {
        if let Some(average) = &mut self.baseline {
            average.freeze();
        }
    }

    fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        if let Some(average) = &self.baseline {
            average.save(&format!("{prefix}average"), checkpoint);
        }
    }

    fn restore(&mut self, prefix: &str, _kind: Kind, checkpoint: &Checkpoint) -> crate::Result<()> {
        let average = self.baseline.as_mut();
        average.map_or(Ok(()), |average| average.restore(&format!("{prefix}average"), checkpoint))
    }
}
