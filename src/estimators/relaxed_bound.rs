//! The bound of the relaxed model: Concrete samples with their densities.

use super::layers::Form;
use super::multi_sample::{check_relaxed, relaxed_value};
use super::registry::Entry;
use super::{Estimator, MultiSample, Objective, Trial};
use crate::var::Var;
use crate::variables::Variables;

/// The pathwise gradient of -ln(1/K sum_k w_k) over K relaxed samples. In a model with a bound, w = p(x, z) /
/// q(z | x) uses the densities of the relaxed variables, so it is a true bound of the relaxed model.
///
/// # Source
/// Maddison, Mnih, Teh 2017, equation 20 and appendix C.3; several samples: section 5.2.
#[derive(Clone, Copy, Debug)]
pub struct RelaxedBound {
    /// The temperature of the sampled q(z | x).
    pub posterior: f32,
    /// The temperature of the model's own layers, p(z).
    pub prior: f32,
    /// The number of samples, K.
    pub samples: usize,
}

pub(super) const ENTRIES: &[Entry] = &[Entry {
    form: "concrete:POSTERIOR:PRIOR:K",
    type_name: "RelaxedBound",
    summary: "the bound of K samples of the relaxed model, with a temperature for q and one for the prior",
    variables: "both",
    unbiased: "for the relaxed model",
    evaluations: "K",
    usual: &[],
    make: |parameters| {
        let (posterior, prior) = (parameters.temperature(0)?, parameters.temperature(1)?);
        Ok(Box::new(RelaxedBound { posterior, prior, samples: parameters.count(2)? }))
    },
}];

impl Estimator for RelaxedBound {
    fn name(&self) -> String {
        format!("concrete:{}:{}:{}", self.posterior, self.prior, self.samples)
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn check(&self, _variables: Variables) -> Result<(), String> {
        check_relaxed(self.samples, self.posterior, self.prior)
    }

    fn objective(&self) -> Objective {
        let RelaxedBound { posterior, prior, samples } = *self;
        Objective::MultiSample(MultiSample::unchecked(samples, Form::Relaxed { posterior, prior }))
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let logits = trial.logits();
        let rows = logits.rows();
        let columns: Vec<Var<'t>> = (0..self.samples)
            .map(|_| {
                let z = logits.relaxed(self.posterior, trial.noise());
                -trial.loss(z).reshape([rows, 1])
            })
            .collect();
        relaxed_value(Var::concat(&columns, 1))
    }
}
