//! Gumbel-Rao: the straight-through relaxed gradient, averaged over the noise that gives the same sample.

use super::registry::Entry;
use super::{Estimator, Trial, check_temperature};
use crate::var::Var;
use crate::variables::Variables;

/// [`StGumbelSoftmax`](super::StGumbelSoftmax) averaged over `samples` noises given the hard sample. It has
/// the same expectation and less variance, with one evaluation of the loss. Bits are treated as two classes.
///
/// # Source
/// Paulus, Maddison, Krause 2021.
#[derive(Clone, Copy, Debug)]
pub struct GumbelRao {
    /// Noises per hard sample.
    pub samples: usize,
    /// The temperature of the relaxed sample that is differentiated.
    pub tau: f32,
}

pub(super) const ENTRIES: &[Entry] = &[Entry {
    form: "gumbel-rao:K:TAU",
    type_name: "GumbelRao",
    summary: "`st-gumbel-softmax`, averaged over K noises with one sample",
    variables: "both",
    unbiased: "no",
    evaluations: "1",
    usual: &["gumbel-rao:1:0.5", "gumbel-rao:10:0.5", "gumbel-rao:100:0.5"],
    make: |parameters| {
        Ok(Box::new(GumbelRao { samples: parameters.count(0)?, tau: parameters.temperature(1)? }))
    },
}];

impl Estimator for GumbelRao {
    fn name(&self) -> String {
        format!("gumbel-rao:{}:{}", self.samples, self.tau)
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn set_temperature(&mut self, tau: f32) -> bool {
        self.tau = tau;
        true
    }

    fn check(&self, _variables: Variables) -> Result<(), String> {
        match self.samples {
            0 => Err("it needs at least one noise per sample; use gumbel-rao:10:1".to_owned()),
            _ => check_temperature(self.tau),
        }
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let logits = trial.logits();
        let z = logits.as_categories().gumbel_rao(self.samples, self.tau, trial.noise());
        trial.loss(logits.from_categories(z))
    }
}
