//! One cell of a table of results: a model trained with an estimator, chosen on the validation split, scored on the test
//! split.

use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::data::{Digits, Split, SplitKind};
use crate::error::Result;
use crate::optim::Adam;
use crate::params::Params;
use crate::schedule::Schedule;
use crate::train::best::Best;
use crate::train::cell_model::{CellModel, Model};
use crate::train::moments::Moments;
use crate::train::progress::Progress;
use crate::train::settings::falling;
use crate::train::training_loss::TrainingLoss;

/// Everything a cell's result depends on, beside the data.
#[derive(Clone, PartialEq, Debug)]
pub struct CellSettings {
    /// The model.
    pub model: CellModel,
    /// How its gradient is estimated: an estimator's name, as [`parse`](crate::estimators::parse) takes it; for nets of bits
    /// also `concrete:POSTERIOR:PRIOR`, two temperatures, and `vimco`.
    pub estimator: String,
    /// Samples per image in the training loss; more than one with `concrete` and `vimco` only.
    pub samples: usize,
    /// The estimator's temperature at the first and the last step, on a straight line between; `None` keeps that of its name,
    /// and is all that an estimator without such a temperature takes.
    pub tau: Option<(f64, f64)>,
    /// Adam's step size; it falls on a straight line to a hundredth over the last 60 % of the run.
    pub learning_rate: f64,
    /// Adam's decays.
    pub betas: (f64, f64),
    /// Images per step.
    pub batch: usize,
    /// Steps.
    pub steps: u64,
    /// Steps between scores on the validation split, of which the best decides what is kept.
    pub validate_every: u64,
    /// Where the randomness comes from.
    pub seed: u64,
}

impl CellSettings {
    /// The temperature at a step.
    pub(super) fn tau_at(&self, step: u64) -> Option<f32> {
        let (start, end) = self.tau?;
        Some(Schedule::Tail { start, end, from: 0, to: self.steps }.at(step) as f32)
    }

    fn learning_rate_at(&self, step: u64) -> f64 {
        falling(self.learning_rate, self.steps).at(step)
    }
}

/// A cell in progress.
pub struct CellRun<'d> {
    settings: CellSettings,
    data: &'d Digits,
    params: Params,
    model: Model,
    training_loss: TrainingLoss,
    progress: Progress,
    /// What a checkpoint must be of to be continued.
    identity: String,
    step: u64,
    curve: Vec<(u64, f64)>,
}

/// A mean over images, in nats.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Score {
    /// The mean.
    pub mean: f64,
    /// Its standard error over the images.
    pub standard_error: f64,
}

/// Images that are evaluated at a time.
const EVALUATION_BATCH: usize = 500;
/// Samples that are evaluated at a time, over all images: what they take is lost if the process is killed.
const EVALUATION_SAMPLES: usize = 500_000;
/// Hard samples per image in a score on the validation split.
const VALIDATION_SAMPLES: usize = 20;

impl<'d> CellRun<'d> {
    /// A run at its first step.
    ///
    /// # Errors
    /// If the estimator's name is unknown, it cannot treat the model's variables, the batch is larger than the training split,
    /// or there are not as many known classes as wanted.
    pub fn new(settings: CellSettings, data: &'d Digits) -> Result<CellRun<'d>> {
        let adam = Adam::new(settings.learning_rate).betas(settings.betas.0, settings.betas.1);
        let images = data.train().len();
        let (progress, mut init) = Progress::new(settings.seed, settings.batch, images, Box::new(adam))?;
        let training_loss = TrainingLoss::new(&settings)?;
        let mut params = Params::new();
        let model = Model::new(&settings.model, data, &mut params, &mut init)?;
        let identity = format!("{settings:?} on {}", data.fingerprint());
        let curve = Vec::new();
        Ok(CellRun { settings, data, params, model, training_loss, progress, identity, step: 0, curve })
    }

    /// Steps made.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// Whether all steps have been made.
    pub fn is_finished(&self) -> bool {
        self.step >= self.settings.steps
    }

    /// One step; returns the training loss per image, in nats. Scores the validation split where that is due.
    pub fn step(&mut self) -> f64 {
        if let Some(tau) = self.settings.tau_at(self.step) {
            for estimator in self.training_loss.estimators_mut() {
                estimator.set_temperature(tau);
            }
        }
        let Progress { tape, batches, noise, .. } = &mut self.progress;
        let batch = (self.data.train(), batches.next_batch(self.settings.batch));
        let loss = self.model.loss((tape, &self.params), batch, &mut self.training_loss, noise).mean();
        let (mean, gradients) = (f64::from(loss.item()), loss.backward());
        self.progress.update(&mut self.params, &gradients, self.settings.learning_rate_at(self.step));
        self.step += 1;
        if self.step.is_multiple_of(self.settings.validate_every) || self.is_finished() {
            self.validate();
        }
        mean
    }

    fn validate(&mut self) {
        let split = SplitKind::Validation;
        let wrong = self.accuracy(split).map(|accuracy| 1.0 - accuracy);
        let score = wrong.unwrap_or_else(|| self.evaluate(split, VALIDATION_SAMPLES).mean);
        self.curve.push((self.step, score));
        Best::keep(&mut self.progress.best, self.step, score, &self.params);
    }

    /// The best score on the validation split, a bound in nats or the share of wrong classes, and the step it was reached at.
    pub fn best(&self) -> Option<(u64, f64)> {
        self.progress.best.as_ref().map(|best| (best.step, best.score))
    }

    /// The scores on the validation split so far, by step.
    pub fn curve(&self) -> &[(u64, f64)] {
        &self.curve
    }

    /// Puts the parameters back that were best on the validation split.
    pub fn keep_best(&mut self) {
        self.progress.keep_best(&mut self.params);
    }

    /// `images` images that the model draws by itself, as probabilities of pixels; of structured prediction, the first test
    /// images with their lower halves drawn. The same at every call.
    pub fn draw(&self, images: usize) -> Vec<f32> {
        self.model.draw(&self.params, self.data.test(), images, &mut self.progress.evaluation_noise.clone())
    }

    /// The share of a split's images whose class is recognised; none where the model knows no classes.
    pub fn accuracy(&self, kind: SplitKind) -> Option<f64> {
        let split = self.data.split(kind);
        let mut noise = self.progress.evaluation_noise.clone();
        let indices: Vec<u32> = (0..split.len() as u32).collect();
        let (mut pixels, mut labels, mut right) = (Vec::new(), Vec::new(), 0);
        for indices in indices.chunks(EVALUATION_BATCH) {
            pixels.resize(indices.len() * split.pixels(), 0.0);
            labels.resize(indices.len(), 0);
            split.sample_pixels_into(indices, &mut noise, &mut pixels);
            split.labels_into(indices, &mut labels);
            right += self.model.right_answers(&self.params, &pixels, &labels)?;
        }
        Some(right as f64 / split.len() as f64)
    }

    /// The bound of `samples` hard samples on a whole split.
    pub fn evaluate(&self, kind: SplitKind, samples: usize) -> Score {
        self.evaluate_from(kind, samples, &mut Vec::new(), |_| true).expect("not stopped")
    }

    /// The same, going on behind the images whose `losses` are there already. `go_on` hears all losses so far from time to
    /// time; `None` if it says no.
    pub fn evaluate_from(
        &self,
        kind: SplitKind,
        samples: usize,
        losses: &mut Vec<f64>,
        mut go_on: impl FnMut(&[f64]) -> bool,
    ) -> Option<Score> {
        let split: &Split = self.data.split(kind);
        let mut noise = self.progress.evaluation_noise.clone();
        let indices: Vec<u32> = (0..split.len() as u32).collect();
        let mut pixels = Vec::new();
        let batch = (EVALUATION_SAMPLES / samples.max(1)).clamp(1, EVALUATION_BATCH);
        if losses.len() < split.len() {
            // Whole batches only: the others begin with noise that is not theirs.
            losses.truncate(losses.len() / batch * batch);
        }
        for (i, indices) in indices.chunks(batch).enumerate() {
            // Noise of its own, so that an evaluation can begin with any batch.
            let mut noise = noise.split();
            if i * batch < losses.len() {
                continue;
            }
            pixels.resize(indices.len() * split.pixels(), 0.0);
            split.sample_pixels_into(indices, &mut noise, &mut pixels);
            losses.extend(self.model.evaluate(&self.params, &pixels, samples, &mut noise));
            if !go_on(losses) {
                return None;
            }
        }
        Some(Score::of(losses))
    }
}

impl Score {
    fn of(losses: &[f64]) -> Score {
        let mut moments = Moments::default();
        losses.iter().for_each(|&loss| moments.add(loss));
        Score { mean: moments.mean(), standard_error: moments.standard_error() }
    }
}

/// Saving and resuming.
impl<'d> CellRun<'d> {
    /// The whole state, what the estimators have learned included: continuing from it gives the bytes that going on would
    /// have given.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint::new();
        checkpoint.set("settings", &self.identity);
        checkpoint.set("step", self.step);
        self.params.save("", &mut checkpoint);
        self.progress.write(&self.params, &mut checkpoint);
        for (layer, estimator) in self.training_loss.estimators().iter().enumerate() {
            estimator.save(&format!("estimator.{layer}."), &mut checkpoint);
        }
        let curve: Vec<f64> = self.curve.iter().flat_map(|&(step, score)| [step as f64, score]).collect();
        checkpoint.set_numbers("curve", &curve);
        checkpoint
    }

    /// Continues a run from a checkpoint read from `path`.
    ///
    /// # Errors
    /// If the checkpoint lacks something, or is of other settings or data.
    pub fn resume(settings: CellSettings, data: &'d Digits, path: &Path) -> Result<CellRun<'d>> {
        let mut run = CellRun::new(settings, data)?;
        run.restore(&Checkpoint::load(path)?)?;
        Ok(run)
    }

    fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let found: String = checkpoint.get("settings")?;
        if found != self.identity {
            let expected = "a run of this command's settings and data (remove it to begin again)";
            return Err(checkpoint.unfit(expected, "one of others"));
        }
        self.step = checkpoint.get("step")?;
        self.params.restore("", checkpoint)?;
        self.progress.read(&self.params, checkpoint)?;
        let layers = self.settings.model.layers();
        for (layer, estimator) in self.training_loss.estimators_mut().iter_mut().enumerate() {
            estimator.restore(&format!("estimator.{layer}."), layers[layer], checkpoint)?;
        }
        let curve = checkpoint.get_numbers("curve")?;
        self.curve = curve.chunks_exact(2).map(|point| (point[0] as u64, point[1])).collect();
        Ok(())
    }
}
