//! The score-function estimator (REINFORCE), without a baseline or with a moving average.

use super::moving_average::MovingAverage;
use super::registry::Entry;
use super::{Estimator, Trial};
use crate::checkpoint::Checkpoint;
use crate::var::Var;
use crate::variables::Variables;

/// The gradient (f(z) - b) d ln p(z), with b = 0 or a moving average of f over earlier calls.
///
/// # Source
/// R. Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning",
/// Machine Learning 8, 1992.
#[derive(Clone, Debug)]
pub struct ScoreFunction {
    baseline: Option<MovingAverage>,
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        form: "score-function",
        type_name: "ScoreFunction",
        summary: "f times the score, also called REINFORCE",
        variables: "both",
        unbiased: "yes",
        evaluations: "1",
        usual: &["score-function"],
        make: |_| Ok(Box::new(ScoreFunction::new())),
    },
    Entry {
        form: "moving-average",
        type_name: "ScoreFunction",
        summary: "the same, less a moving average of f",
        variables: "both",
        unbiased: "yes",
        evaluations: "1",
        usual: &["moving-average"],
        make: |_| Ok(Box::new(ScoreFunction::moving_average(0.99))),
    },
];

impl ScoreFunction {
    /// No baseline.
    pub fn new() -> ScoreFunction {
        ScoreFunction { baseline: None }
    }

    /// Subtracts a moving average of earlier batches' mean f. Each batch counts `decay` times as much as the
    /// one after it, and the weights sum to 1, so the average is not biased towards 0 at the start. 0.99 is
    /// usual.
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

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let z = trial.sample();
        let f = trial.loss(z);
        let baseline = self.baseline.as_mut().map_or(0.0, |average| average.next(&f.value()));
        trial.score(f, f - baseline, z)
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

    fn restore(&mut self, prefix: &str, _variables: Variables, checkpoint: &Checkpoint) -> crate::Result<()> {
        let average = self.baseline.as_mut();
        average.map_or(Ok(()), |average| average.restore(&format!("{prefix}average"), checkpoint))
    }
}
