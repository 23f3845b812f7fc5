//! A model in training, with everything that a checkpoint must hold to continue it bit for bit.

use std::fmt::Display;

use super::best::Best;
use super::estimators::OfLayers;
use super::moments::Moments;
use super::plan::FORMAT;
use super::{Alone, Estimators, Evaluation, Exchange, Record, Scores, Streams, Training, epoch};
use crate::checkpoint::Checkpoint;
use crate::data::{Batches, Digits, SplitKind};
use crate::error::{Error, Result};
use crate::models::{Batch, ImageFormat, Model};
use crate::noise::Noise;
use crate::optim::Optimizer;
use crate::params::Params;
use crate::tape::Tape;

/// A run in progress.
pub struct Run<'d> {
    training: Training,
    model: Box<dyn Model>,
    params: Params,
    estimators: OfLayers,
    data: &'d Digits,
    optimizer: Box<dyn Optimizer>,
    exchange: Box<dyn Exchange>,
    batches: Batches,
    noise: Noise,
    /// The same at every evaluation.
    evaluation_noise: Noise,
    tape: Tape,
    step: u64,
    /// Training losses since the last record.
    window: Moments,
    /// The scores on the validation images, by step.
    curve: Vec<(u64, f64)>,
    best: Option<Best>,
    /// The labels of a step's images.
    labels: Vec<u32>,
    /// The settings and data that a checkpoint must share to be continued here.
    identity: Checkpoint,
}

/// The outcome of a step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stepped {
    /// The training loss per image, in nats.
    pub loss: f64,
    /// Scores on the validation images, if they were due.
    pub validation: Option<Record>,
}

impl<'d> Run<'d> {
    /// Returns a run at its first step, starting from `params` as they are.
    ///
    /// # Errors
    /// If a setting is out of range, the batch is larger than the training split, the estimators do not fit
    /// the model's layers, or a parameter has a name that checkpoints of runs use for another tensor.
    pub fn new(
        training: Training,
        model: Box<dyn Model>,
        params: Params,
        estimators: Estimators,
        data: &'d Digits,
    ) -> Result<Run<'d>> {
        training.check()?;
        let images = data.train().len();
        if training.batch > images {
            let expected = format!("at most the {images} training images");
            return Err(Error::invalid("batch", expected, training.batch));
        }
        check_names(&params)?;
        let estimators = estimators.for_layers(&model.layers(), training.steps)?;
        let Streams { order, steps, evaluation, .. } = Streams::of(training.seed);
        let mut identity = Checkpoint::new();
        identity.set("format", FORMAT);
        model.describe(&mut identity);
        training.write(&mut identity);
        estimators.write_settings(&mut identity);
        ImageFormat::of(data).write(&mut identity);
        identity.set("data", data.fingerprint());
        Ok(Run {
            optimizer: training.optimizer.begin(training.learning_rate.at(0)),
            exchange: Box::new(Alone),
            batches: Batches::new(images, order),
            noise: steps,
            evaluation_noise: evaluation,
            training,
            model,
            params,
            estimators,
            data,
            tape: Tape::new(),
            step: 0,
            window: Moments::default(),
            curve: Vec::new(),
            best: None,
            labels: Vec::new(),
            identity,
        })
    }

    /// Exchanges gradients with other processes from now on.
    pub fn with_exchange(self, exchange: impl Exchange + 'static) -> Run<'d> {
        Run { exchange: Box::new(exchange), ..self }
    }

    /// The training settings.
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// The model.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The parameters as they are now.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Samples per image in the training loss.
    pub fn training_samples(&self) -> usize {
        self.estimators.samples()
    }

    /// Checks that all parameters are finite.
    ///
    /// # Errors
    /// If one is not.
    pub fn check(&self) -> Result<()> {
        for id in self.params.ids() {
            if let Some(number) = self.params.value(id).iter().find(|number| !number.is_finite()) {
                let what = format!("the parameter `{}`", self.params.name(id));
                return Err(Error::invalid(what, "finite numbers", diverged(number, self.step)));
            }
        }
        Ok(())
    }

    /// Steps done.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// Returns true once all steps are done or patience has run out.
    pub fn is_finished(&self) -> bool {
        self.step >= self.training.steps || self.is_out_of_patience()
    }

    fn is_out_of_patience(&self) -> bool {
        let Some(validation) = self.training.validation else { return false };
        let (Some(patience), Some(best)) = (validation.patience, &self.best) else { return false };
        self.step.saturating_sub(best.step) / validation.every >= patience
    }

    /// Takes one step: a batch forward and backward, and an update. Scores the validation images when due.
    /// After the last step, restores the best parameters if they are to be kept.
    ///
    /// # Panics
    /// If the loss has no gradient.
    #[track_caller]
    pub fn step(&mut self) -> Stepped {
        let loss = self.update();
        self.step += 1;
        self.window.add(loss);
        let validation = self.is_validation_due().then(|| self.validate());
        let keeps_best = self.training.validation.is_some_and(|validation| validation.keep_best);
        if self.is_finished()
            && keeps_best
            && let Some(best) = &self.best
        {
            best.put_back(&mut self.params);
        }
        Stepped { loss, validation }
    }

    /// Updates the parameters and returns the loss.
    #[track_caller]
    fn update(&mut self) -> f64 {
        let Training { batch, learning_rate, clip_norm, .. } = self.training;
        let split = self.data.train();
        let indices = self.batches.next_batch(batch);
        self.labels.resize(indices.len(), 0);
        split.labels_into(indices, &mut self.labels);
        let mut batch = Batch {
            tape: &self.tape,
            params: &self.params,
            split,
            indices,
            labels: &self.labels,
            estimators: self.estimators.at(self.step),
            noise: &mut self.noise,
        };
        let loss = self.model.loss(&mut batch).mean();
        let value = f64::from(loss.item());
        let mut gradients = loss.backward();
        self.exchange.exchange(&self.params, &mut gradients);
        if let Some(norm) = clip_norm {
            gradients.clip_norm(norm);
        }
        self.tape.reset();
        self.optimizer.set_learning_rate(learning_rate.at(self.step));
        self.optimizer.step(&mut self.params, &gradients);
        value
    }

    fn is_validation_due(&self) -> bool {
        let Some(validation) = self.training.validation else { return false };
        self.step.is_multiple_of(validation.every) || validation.keep_best && self.step == self.training.steps
    }

    fn validate(&mut self) -> Record {
        let samples = self.training.validation.map_or(1, |validation| validation.samples);
        let record = self.evaluate(SplitKind::Validation, samples);
        let score = record.to_watch();
        self.curve.push((self.step, score));
        if self.training.validation.is_some_and(|validation| validation.keep_best) {
            Best::keep(&mut self.best, self.step, score, &self.params);
        }
        record
    }

    /// The best score on the validation images and its step, if the best parameters are kept.
    pub fn best(&self) -> Option<(u64, f64)> {
        self.best.as_ref().map(|best| (best.step, best.score))
    }

    /// The scores on the validation images so far, by step.
    pub fn curve(&self) -> &[(u64, f64)] {
        &self.curve
    }

    /// The mean training loss since the last call.
    pub fn training_record(&mut self) -> Record {
        let window = std::mem::take(&mut self.window);
        let scores = Scores::of_loss(window, self.model.loss_is_bound());
        self.record(SplitKind::Train, 0, scores)
    }

    /// Begins an evaluation of a split, with the same noise at every call.
    ///
    /// # Panics
    /// If `samples` is 0.
    #[track_caller]
    pub fn evaluation(&self, split: SplitKind, samples: usize) -> Evaluation {
        Evaluation::begin(split, samples, self.evaluation_noise.clone())
    }

    /// The scores on a split from `samples` hard samples per image.
    ///
    /// # Panics
    /// If `samples` is 0.
    #[track_caller]
    pub fn evaluate(&self, split: SplitKind, samples: usize) -> Record {
        let mut evaluation = self.evaluation(split, samples);
        while evaluation.advance(&*self.model, &self.params, self.data) {}
        self.evaluated(&evaluation)
    }

    /// The record of an evaluation.
    pub fn evaluated(&self, evaluation: &Evaluation) -> Record {
        self.record(evaluation.split(), evaluation.samples(), evaluation.scores(&*self.model))
    }

    fn record(&self, split: SplitKind, samples: usize, scores: Scores) -> Record {
        let last = self.step.saturating_sub(1);
        Record {
            step: self.step,
            epoch: epoch(self.step, self.training.batch, self.data),
            split,
            samples,
            tau: self.estimators.tau_at(last),
            learning_rate: self.training.learning_rate.at(last),
            scores,
        }
    }
}

/// Saving and resuming.
impl Run<'_> {
    /// Saves the whole state, including everything the estimators have learned. A run that continues from it
    /// ends with the same bytes as one that was never interrupted.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = self.identity.clone();
        checkpoint.set("step", self.step);
        self.params.save("", &mut checkpoint);
        self.noise.save("noise.", &mut checkpoint);
        self.batches.save("order.", &mut checkpoint);
        self.optimizer.save("optimizer.", &self.params, &mut checkpoint);
        self.estimators.save(&mut checkpoint);
        if let Some(best) = &self.best {
            best.write(&self.params, &mut checkpoint);
        }
        let curve: Vec<f64> = self.curve.iter().flat_map(|&(step, score)| [step as f64, score]).collect();
        checkpoint.set_numbers("curve", &curve);
        checkpoint.set_numbers("window", &[self.window.sum, self.window.square, self.window.count]);
        checkpoint
    }

    /// Continues from a checkpoint of a run with the same settings and data. A setting that the checkpoint
    /// lacks counts as equal, because an older version wrote it.
    ///
    /// # Errors
    /// If the checkpoint is incomplete, or belongs to other settings or data. The run is then unchanged.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        for (key, expected) in self.identity.settings() {
            if let Some(found) = checkpoint.text(key).filter(|&found| found != expected) {
                let expected = format_args!("a run with {key} {expected}");
                return Err(checkpoint.unfit(expected, format_args!("one with {found}")));
            }
        }
        let before = self.checkpoint();
        let outcome = self.load(checkpoint);
        if outcome.is_err() {
            self.load(&before).expect("a run can load its own checkpoint");
        }
        outcome
    }

    /// Loads one part after another, and stops at the first that cannot be read.
    fn load(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.step = steps_done(checkpoint, self.training.steps)?;
        self.params.restore("", checkpoint)?;
        self.noise.restore("noise.", checkpoint)?;
        self.batches.restore("order.", checkpoint)?;
        self.optimizer.restore("optimizer.", &self.params, checkpoint)?;
        self.estimators.restore(checkpoint)?;
        self.best = Best::read(checkpoint, &self.params)?;
        let curve = checkpoint.get_numbers("curve")?;
        self.curve = curve.as_chunks::<2>().0.iter().map(|&[step, score]| (step as u64, score)).collect();
        let [sum, square, count] = checkpoint.get_array("window")?;
        self.window = Moments { sum, square, count };
        Ok(())
    }
}

/// The prefixes of tensors in a run's checkpoints that are not parameters.
const PREFIXES: [&str; 3] = ["optimizer.", "estimator.", "best."];

/// Checks that no parameter has the name of another tensor of the run's checkpoints.
fn check_names(params: &Params) -> Result<()> {
    let is_taken = |name: &&str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    match params.ids().map(|id| params.name(id)).find(is_taken) {
        None => Ok(()),
        Some(name) => {
            let expected =
                "a name that does not begin with optimizer., estimator. or best., as other tensors do";
            Err(Error::invalid("a parameter of the model", expected, format!("`{name}`")))
        }
    }
}

/// Describes a number that is not finite, for an error message, with a hint.
pub(super) fn diverged(number: impl Display, step: u64) -> String {
    format!(
        "{number} after step {step}: the run has diverged; a smaller --learning-rate or a --clip-norm may help"
    )
}

/// The number of steps that a checkpoint's run has done, out of `steps`.
pub(super) fn steps_done(checkpoint: &Checkpoint, steps: u64) -> Result<u64> {
    let step: u64 = checkpoint.get("step")?;
    match step <= steps {
        true => Ok(step),
        false => Err(checkpoint.unfit(format_args!("at most {steps} steps made"), step)),
    }
}
