//! The model in a checkpoint.

use std::path::Path;

use super::run::steps_done;
use super::{Evaluation, Plan, Record, Scores, Streams, epoch};
use crate::data::{Digits, SplitKind};
use crate::error::Result;
use crate::models::{ImageFormat, Model};
use crate::params::Params;

/// A trained model with its parameters and plan: all that a checkpoint holds about it without the data.
pub struct Stored {
    /// The plan of its training.
    pub plan: Plan,
    /// Steps it was trained for.
    pub step: u64,
    /// The format of its images.
    pub images: ImageFormat,
    /// The model.
    pub model: Box<dyn Model>,
    /// Its parameters.
    pub params: Params,
}

impl Stored {
    /// Loads the model in the checkpoint at `path`, without any data.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a complete checkpoint of one of this crate's models.
    pub fn load(path: &Path) -> Result<Stored> {
        let checkpoint = Plan::load(path)?;
        let (plan, images) = (Plan::read(&checkpoint)?, ImageFormat::read(&checkpoint)?);
        let mut params = Params::new();
        let model = plan.model.declare(images, &mut params);
        checkpoint.check_finite(|name| params.find(name).is_some())?;
        params.restore("", &checkpoint)?;
        let step = steps_done(&checkpoint, plan.training.steps)?;
        Ok(Stored { plan, step, images, model, params })
    }

    /// Checks that the model can be used on `data`.
    ///
    /// # Errors
    /// If the images have another size, or if the model reads labels and the data has classes it does not
    /// know.
    pub fn check_fits(&self, data: &Digits) -> Result<()> {
        self.images.check_fits(data, self.plan.model.reads_labels())
    }

    /// Begins an evaluation of a split with the noise of `seed`. The seed of the run reproduces the run's
    /// scores.
    ///
    /// # Panics
    /// If `samples` is 0.
    #[track_caller]
    pub fn evaluation(&self, split: SplitKind, samples: usize, seed: u64) -> Evaluation {
        Evaluation::begin(split, samples, Streams::of(seed).evaluation)
    }

    /// The record of an evaluation.
    pub fn record(&self, evaluation: &Evaluation, data: &Digits) -> Record {
        let Plan { training, sampling, .. } = &self.plan;
        let tau = sampling.as_ref().and_then(|sampling| sampling.tau);
        let scores: Scores = evaluation.scores(&*self.model);
        let last = self.step.saturating_sub(1);
        Record {
            step: self.step,
            epoch: epoch(self.step, training.batch, data),
            split: evaluation.split(),
            samples: evaluation.samples(),
            tau: tau.map(|tau| tau.at(last)),
            learning_rate: training.learning_rate.at(last),
            scores,
        }
    }
}
