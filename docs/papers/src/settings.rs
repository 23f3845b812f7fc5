//! The settings of a cell, some of which a search chooses.

use reparam::Schedule;
use reparam::models::ModelShape;
use reparam::train::{OptimizerPlan, Plan, Sampling, Training, Validation, falling};

/// Everything that a cell's result depends on, apart from the data.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Settings {
    pub(crate) model: ModelShape,
    /// The estimator's name.
    pub(crate) estimator: String,
    /// The estimator's temperature at the first and the last step, linear in between; `None` keeps the one in
    /// its name.
    pub(crate) tau: Option<(f64, f64)>,
    /// Adam's step size. It falls linearly to a hundredth over the last 60 % of the run.
    pub(crate) learning_rate: f64,
    /// Adam's decays.
    pub(crate) betas: (f64, f64),
    /// Images per step.
    pub(crate) batch: usize,
    pub(crate) steps: u64,
    /// Steps between scores on the validation images. The parameters with the best score are kept.
    pub(crate) validate_every: u64,
    pub(crate) seed: u64,
}

/// Hard samples per image in a score on the validation images.
const VALIDATION_SAMPLES: usize = 20;

impl Settings {
    /// The run.
    pub(crate) fn plan(&self) -> Plan {
        let Settings { steps, seed, batch, betas: (beta1, beta2), .. } = *self;
        let tau = self.tau.map(|(start, end)| Schedule::Tail { start, end, from: 0, to: steps });
        let validation = Validation {
            every: self.validate_every,
            samples: VALIDATION_SAMPLES,
            keep_best: true,
            patience: None,
        };
        Plan {
            model: self.model.clone(),
            sampling: Some(Sampling { tau, ..Sampling::named(&self.estimator) }),
            training: Training {
                batch,
                steps,
                seed,
                optimizer: OptimizerPlan::Adam { beta1, beta2 },
                learning_rate: falling(self.learning_rate, steps),
                clip_norm: None,
                validation: Some(validation),
            },
        }
    }

    /// The weight of the classes of labelled images, if any.
    pub(crate) fn weight(&self) -> Option<f32> {
        match &self.model {
            ModelShape::FewLabels(shape) => Some(shape.weight),
            _ => None,
        }
    }
}
