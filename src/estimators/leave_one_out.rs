//! The score-function estimator over K samples, each with the mean of the others as its baseline.

use super::registry::Entry;
use super::{Estimator, Trial, demand};
use crate::var::Var;
use crate::variables::Variables;

/// RLOO: 1/K sum_k (f(z_k) - mean of the other f) d ln p(z_k). The value is the mean loss.
///
/// # Source
/// W. Kool, H. van Hoof, M. Welling, "Buy 4 REINFORCE Samples, Get a Baseline for Free!", ICLR workshop 2019.
#[derive(Clone, Copy, Debug)]
pub struct LeaveOneOut {
    samples: usize,
}

impl LeaveOneOut {
    /// Uses `samples` samples, at least 2.
    ///
    /// # Panics
    /// If `samples` is below 2.
    #[track_caller]
    pub fn new(samples: usize) -> LeaveOneOut {
        demand("LeaveOneOut::new", at_least_two(samples));
        LeaveOneOut { samples }
    }
}

pub(super) const ENTRIES: &[Entry] = &[Entry {
    form: "rloo:K",
    type_name: "LeaveOneOut",
    summary: "the baseline of each sample is the mean of the others",
    variables: "both",
    unbiased: "yes",
    evaluations: "K",
    usual: &["rloo:2", "rloo:4"],
    make: |parameters| Ok(Box::new(LeaveOneOut { samples: parameters.count(0)? })),
}];

/// Checks for at least two samples. The error says why fewer are refused.
pub(super) fn at_least_two(samples: usize) -> Result<(), String> {
    match samples {
        0 | 1 => Err(format!(
            "{samples} sample(s) leave no others for a baseline; use 2 or more, or score-function for one"
        )),
        _ => Ok(()),
    }
}

impl Estimator for LeaveOneOut {
    fn name(&self) -> String {
        format!("rloo:{}", self.samples)
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn check(&self, _variables: Variables) -> Result<(), String> {
        at_least_two(self.samples)
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let samples: Vec<Var<'t>> = (0..self.samples).map(|_| trial.sample()).collect();
        let losses: Vec<Var<'t>> = samples.iter().map(|&z| trial.loss(z)).collect();
        let k = self.samples as f32;
        let mean = losses.iter().copied().reduce(|sum, f| sum + f).expect("at least two samples") / k;
        // (f - mean of the others) is k / (k - 1) times (f - mean of all).
        let terms = samples
            .iter()
            .zip(&losses)
            .map(|(&z, &f)| ((f - mean) / (k - 1.0)).stop_gradient() * trial.log_prob(z));
        let score = terms.reduce(|sum, term| sum + term).expect("at least two samples");
        mean.with_gradient_of(mean + score)
    }
}
