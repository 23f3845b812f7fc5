//! The settings of a run of one of this crate's models.

use std::path::Path;

use super::{Estimators, OptimizerPlan, Run, Sampling, Streams, Training, Validation, falling};
use crate::checkpoint::Checkpoint;
use crate::data::Digits;
use crate::error::{Error, Result};
use crate::models::{FewLabelsShape, Guidance, ImageFormat, KnownLabels, Link, ModelShape};
use crate::params::Params;
use crate::schedule::Schedule;
use crate::variables::Variables;

/// Everything that defines a run except its data: the model, its estimators and its training settings.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// The model.
    pub model: ModelShape,
    /// The estimators; `None` for a model without discrete variables.
    pub sampling: Option<Sampling>,
    /// The training settings.
    pub training: Training,
}

/// The format version of run checkpoints.
pub(super) const FORMAT: u32 = 2;

impl Plan {
    /// Checks that the plan can run on `data`.
    ///
    /// # Errors
    /// Names the first setting that does not fit.
    pub fn check(&self, data: &Digits) -> Result<()> {
        self.training.check()?;
        self.model.check(ImageFormat::of(data))?;
        let estimators = self.sampling.as_ref().map(Sampling::estimators).transpose()?;
        if let Some(estimators) = estimators {
            estimators.for_layers(&self.model.layers(data.classes()), self.training.steps)?;
        }
        Ok(())
    }

    /// Returns a run at its first step.
    ///
    /// # Errors
    /// If a setting is out of range, the estimator does not support the model's variables, the batch is
    /// larger than the training split, or there are too few labelled images.
    pub fn begin<'d>(&self, data: &'d Digits) -> Result<Run<'d>> {
        self.check(data)?;
        let estimators = self.sampling.as_ref().map_or(Ok(Estimators::none()), Sampling::estimators)?;
        self.begin_with(estimators, data)
    }

    /// Like [`begin`](Self::begin), with other estimators than the plan's, for example your own.
    ///
    /// # Errors
    /// The same as [`begin`](Self::begin).
    pub fn begin_with<'d>(&self, estimators: Estimators, data: &'d Digits) -> Result<Run<'d>> {
        self.model.check(ImageFormat::of(data))?;
        let mut params = Params::new();
        let mut noise = Streams::of(self.training.seed).init;
        let model = self.model.begin(data, &mut params, &mut noise)?;
        Run::new(self.training.clone(), model, params, estimators, data)
    }

    /// Returns the run in a checkpoint, to continue on the data it began with.
    ///
    /// # Errors
    /// If the checkpoint is incomplete or damaged, or belongs to other data.
    pub fn resume<'d>(checkpoint: &Checkpoint, data: &'d Digits) -> Result<(Plan, Run<'d>)> {
        let plan = Plan::read(checkpoint)?;
        plan.model.check_read(ImageFormat::of(data), checkpoint)?;
        // An optimizer may hold an infinity from an overflow that it has recovered from.
        checkpoint.check_finite(|name| !name.contains("optimizer."))?;
        let mut run =
            plan.begin(data).map_err(|error| checkpoint.unfit("settings that can be run", error))?;
        run.restore(checkpoint)?;
        Ok((plan, run))
    }

    /// Loads the checkpoint of a run. It reads the tensors only after checking that their names and shapes
    /// match the settings.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a whole checkpoint of one of this crate's models.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        Checkpoint::load_if(path, |outline| {
            let images = ImageFormat::read(outline)?;
            Plan::read(outline)?.model.check_read(images, outline)
        })
    }

    /// The plan of the run in a checkpoint.
    pub(super) fn read(checkpoint: &Checkpoint) -> Result<Plan> {
        let found = match checkpoint.get_if_set::<u32>("format")? {
            Some(FORMAT) => None,
            Some(format) => Some(format!("one of format {format}")),
            None => Some("one without a format, as older versions wrote".to_owned()),
        };
        if let Some(found) = found {
            return Err(checkpoint.unfit(format_args!("a checkpoint of format {FORMAT}"), found));
        }
        let (model, sampling) = (ModelShape::read(checkpoint)?, Sampling::read(checkpoint)?);
        let training = Training::read(checkpoint)?;
        training.check().map_err(|error| checkpoint.unfit("settings that can be run", error))?;
        Ok(Plan { model, sampling, training })
    }
}

/// The plans of `reparam train MODEL` without flags.
impl Plan {
    /// The README's main example: 784-512-256-(20 x 10)-256-512-784 with Gumbel-Softmax. The temperature
    /// falls from 1 to 0.1 over the whole run, so gradients are smooth at first and samples almost one-hot at
    /// the end.
    pub fn vae() -> Plan {
        let steps = 18_000;
        Plan {
            model: ModelShape::Vae {
                latents: Variables::Categories { count: 20, classes: 10 },
                encoder: vec![512, 256],
                decoder: vec![256, 512],
            },
            sampling: gumbel_softmax(1.0, 0.1, steps),
            // Short memories suit a VAE that trains for only a minute: see the README.
            training: training(steps, 100, 2e-3, [0.6, 0.99]),
        }
    }

    /// Two layers of 20 categorical variables with ten classes, between the halves of an image.
    pub fn sbn() -> Plan {
        let steps = 20_000;
        Plan {
            model: ModelShape::Prediction {
                layers: vec![Variables::Categories { count: 20, classes: 10 }; 2],
            },
            sampling: Some(Sampling::named("gumbel-softmax:1")),
            training: training(steps, 100, 3e-3, [0.9, 0.99]),
        }
    }

    /// (200H~200H-784V), with the relaxed bound at the temperatures of Maddison, Mnih and Teh 2017.
    pub fn belief() -> Plan {
        let steps = 20_000;
        Plan {
            model: ModelShape::BeliefNet { layers: vec![200, 200], link: Link::Nonlinear },
            sampling: Some(Sampling::named("concrete:0.6666667:0.5:1")),
            training: training(steps, 100, 1e-3, [0.9, 0.99]),
        }
    }

    /// The semi-supervised model, with a hundred labelled images.
    pub fn semi() -> Plan {
        let steps = 4_000;
        Plan {
            model: ModelShape::FewLabels(FewLabelsShape {
                latents: 10,
                hidden: vec![400],
                labels: KnownLabels::OfEachClass(10),
                weight: 100.0,
                shift: 2,
                // Chosen by the accuracy on the validation images of MNIST, for Gumbel-Softmax and seed 1.
                guidance: Some(Guidance { smoothness: 30.0, radius: 2.0, balance: 400.0 }),
            }),
            sampling: gumbel_softmax(1.0, 0.5, steps),
            training: training(steps, 250, 2e-3, [0.9, 0.999]),
        }
    }

    /// The classifier.
    pub fn mlp() -> Plan {
        Plan {
            model: ModelShape::Classifier { hidden: vec![256, 128] },
            sampling: None,
            training: training(5_000, 100, 1e-3, [0.9, 0.999]),
        }
    }

    /// Changes the length of the run. Schedules that end with the run are stretched to the new end.
    pub fn with_steps(mut self, steps: u64) -> Plan {
        let old = std::mem::replace(&mut self.training.steps, steps);
        let tau = self.sampling.as_mut().and_then(|sampling| sampling.tau.as_mut());
        for schedule in [Some(&mut self.training.learning_rate), tau].into_iter().flatten() {
            if let Schedule::Tail { from, to, .. } = schedule
                && *to == old
            {
                *from = (u128::from(*from) * u128::from(steps) / u128::from(old.max(1))) as u64;
                *to = steps.max(1);
            }
        }
        self
    }

    /// Sets the estimator.
    ///
    /// # Errors
    /// If the model has no discrete variables.
    pub fn with_sampling(self, sampling: Sampling) -> Result<Plan> {
        if matches!(self.model, ModelShape::Classifier { .. }) {
            let expected = format!(
                "none: {} has no discrete variables to estimate a gradient through",
                self.model.name()
            );
            return Err(Error::invalid("estimator", expected, format!("`{}`", sampling.estimator)));
        }
        Ok(Plan { sampling: Some(sampling), ..self })
    }
}

fn gumbel_softmax(start: f64, end: f64, steps: u64) -> Option<Sampling> {
    let tau = Schedule::Tail { start, end, from: 0, to: steps };
    Some(Sampling { tau: Some(tau), ..Sampling::named("gumbel-softmax:1") })
}

fn training(steps: u64, batch: usize, rate: f64, [beta1, beta2]: [f64; 2]) -> Training {
    Training {
        batch,
        steps,
        optimizer: OptimizerPlan::Adam { beta1, beta2 },
        learning_rate: falling(rate, steps),
        validation: Some(Validation { every: 2_000, samples: 1, keep_best: false, patience: None }),
        ..Training::default()
    }
}
