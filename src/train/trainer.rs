//! A run in progress: everything that a checkpoint must hold to continue it bit for bit.

use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::data::{Digits, SplitKind};
use crate::error::Result;
use crate::estimators::{Estimator, GumbelSoftmax, StGumbelSoftmax};
use crate::params::Params;
use crate::train::best::Best;
use crate::train::known::{Known, Labels};
use crate::train::moments::Moments;
use crate::train::progress::Progress;
use crate::train::task::KnownLabels;
use crate::train::{Images, LABELS_PER_CLASS, Scores, Settings, Task, Trained};

/// What a run says of itself.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// Whole passes over the training images done.
    pub epoch: u64,
    /// The images it is about.
    pub split: SplitKind,
    /// Hard samples per image; 0 for a training loss, which takes a relaxed one.
    pub samples: usize,
    /// Temperature of the last step; none for a classifier, which takes no samples.
    pub tau: Option<f64>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Means per image.
    pub scores: Scores,
}

/// A run in progress.
pub struct Trainer<'d> {
    model: Trained,
    data: &'d Digits,
    progress: Progress,
    /// What differentiates through each layer of discrete variables: relaxed samples, then straight-through ones.
    relaxed: Vec<Box<dyn Estimator>>,
    straight_through: Vec<Box<dyn Estimator>>,
    /// Training losses since the last record.
    window: Moments,
    /// The images of a step, and the labels known of the first of them.
    indices: Vec<u32>,
    labels: Vec<u32>,
    /// The images whose class is known; all where that is not said.
    known: Option<Known>,
    fingerprint: String,
}

impl<'d> Trainer<'d> {
    /// A run at its first step.
    ///
    /// # Errors
    /// If a setting is out of its range, the batch is larger than the training split, or, for the semi-supervised model, there
    /// are not as many images of each class as are to be known.
    pub fn new(settings: Settings, data: &'d Digits) -> Result<Trainer<'d>> {
        Trainer::with_fingerprint(settings, data, data.fingerprint())
    }

    fn with_fingerprint(settings: Settings, data: &'d Digits, fingerprint: String) -> Result<Trainer<'d>> {
        settings.check()?;
        let Settings { seed, batch, .. } = settings;
        let (progress, mut init) = Progress::new(seed, batch, data.train().len(), settings.optimizer())?;
        let mut params = Params::new();
        let images = Images::of(data);
        let task = Task::new(&settings, &images, &mut params, &mut init);
        let known = match task {
            Task::Semi(_) => {
                let labels = Labels::OfEachClass(LABELS_PER_CLASS);
                Some(Known::choose(labels, images.classes, data.train(), &mut init)?)
            }
            _ => None,
        };
        let layers = task.layers();
        Ok(Trainer {
            relaxed: (0..layers).map(|_| Box::new(GumbelSoftmax { tau: 1.0 }) as _).collect(),
            straight_through: (0..layers).map(|_| Box::new(StGumbelSoftmax::new(1.0)) as _).collect(),
            model: Trained { settings, step: 0, images, task, params },
            data,
            progress,
            window: Moments::default(),
            indices: Vec::new(),
            labels: Vec::new(),
            known,
            fingerprint,
        })
    }

    /// The model with its parameters and settings.
    pub fn model(&self) -> &Trained {
        &self.model
    }

    /// Steps done.
    pub fn step_count(&self) -> u64 {
        self.model.step
    }

    /// Whether all steps are done, or patience has run out.
    pub fn is_finished(&self) -> bool {
        let Settings { steps, patience, validate_every, .. } = self.model.settings;
        let waited = |best: &Best| self.model.step.saturating_sub(best.step) / validate_every.max(1);
        let out_of_patience = self.progress.best.as_ref().is_some_and(|best| waited(best) >= patience);
        self.model.step >= steps || (patience > 0 && out_of_patience)
    }

    /// One step: a batch forward, backward, an update. Returns the loss per image, in nats.
    pub fn step(&mut self) -> f64 {
        let split = self.data.train();
        let (tau, rate) = (
            self.model.settings.tau.at(self.model.step),
            self.model.settings.learning_rate.at(self.model.step),
        );
        let Progress { tape, batches, noise, .. } = &mut self.progress;
        let batch = batches.next_batch(self.model.settings.batch);
        self.indices.clear();
        self.indices.extend(self.known.iter().flat_map(|known| &known.indices));
        self.indices.extend(batch);
        let labels = match &self.known {
            Some(known) => &known.labels,
            None => {
                self.labels.resize(batch.len(), 0);
                split.labels_into(batch, &mut self.labels);
                &self.labels
            }
        };
        let known = KnownLabels { labels, share: labels.len() as f32 / split.len() as f32 };
        let shape = [self.indices.len(), split.pixels()];
        let x = tape.input_with(shape, |out| split.sample_pixels_into(&self.indices, noise, out));
        let is_relaxed = self.model.step < self.model.settings.straight_through_from;
        let estimators = if is_relaxed { &mut self.relaxed } else { &mut self.straight_through };
        for estimator in estimators.iter_mut() {
            estimator.set_temperature(tau as f32);
        }
        let loss = self.model.task.loss(&self.model.params, x, known, estimators, noise);
        let value = f64::from(loss.item());
        let mut gradients = loss.backward();
        if self.model.settings.clip_norm > 0.0 {
            gradients.clip_norm(self.model.settings.clip_norm);
        }
        self.progress.update(&mut self.model.params, &gradients, rate);
        self.model.step += 1;
        self.window.add(value);
        value
    }

    /// The mean training loss since the last call.
    pub fn training_record(&mut self) -> Record {
        let window = std::mem::take(&mut self.window);
        let mean = window.mean();
        let scores = Scores {
            elbo: matches!(self.model.task, Task::Vae(_) | Task::Sbn(_)).then_some(-mean),
            nll: mean,
            standard_error: window.standard_error(),
            accuracy: None,
        };
        self.record(SplitKind::Train, 0, scores)
    }

    /// Scores on a split, with the same noise at every call. `tick` hears the number of images done.
    pub fn evaluate(&self, kind: SplitKind, samples: usize, tick: impl FnMut(usize)) -> Record {
        let split = self.data.split(kind);
        let mut noise = self.progress.evaluation_noise.clone();
        self.record(
            kind,
            samples,
            self.model.task.evaluate(&self.model.params, split, samples, &mut noise, tick),
        )
    }

    /// Whether it is time for [`validate`](Self::validate): every so many steps, and after the last one if the best
    /// parameters are to be kept.
    pub fn is_validation_due(&self) -> bool {
        let Settings { validate_every, patience, steps, .. } = self.model.settings;
        let step = self.model.step;
        let is_last = patience > 0 && step == steps;
        step > 0 && (is_last || validate_every > 0 && step.is_multiple_of(validate_every))
    }

    /// Scores on the validation split from one hard sample; remembers the best parameters if the run has patience.
    pub fn validate(&mut self) -> Record {
        let record = self.evaluate(SplitKind::Validation, 1, |_| ());
        if self.model.settings.patience > 0 {
            let score = record.scores.to_watch();
            Best::keep(&mut self.progress.best, self.model.step, score, &self.model.params);
        }
        record
    }

    /// Ends a run with patience: the parameters become the best that validation saw.
    pub fn keep_best(&mut self) {
        self.progress.keep_best(&mut self.model.params);
    }

    fn record(&self, split: SplitKind, samples: usize, scores: Scores) -> Record {
        self.model.record(split, self.data.train().len(), samples, scores)
    }
}

/// Saving and resuming.
impl<'d> Trainer<'d> {
    /// The whole state: continuing from it gives the bytes that going on would have given.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint::new();
        self.model.write(&mut checkpoint);
        checkpoint.set("data", &self.fingerprint);
        self.progress.write(&self.model.params, &mut checkpoint);
        checkpoint.set_numbers("window", &[self.window.sum, self.window.square, self.window.count]);
        checkpoint
    }

    /// Continues a run from a checkpoint read from `path`, on the data it was made with.
    ///
    /// # Errors
    /// If the checkpoint lacks something, or is of other data.
    pub fn resume(path: &Path, data: &'d Digits) -> Result<Trainer<'d>> {
        let checkpoint = Checkpoint::load(path)?;
        let settings = Settings::read(&checkpoint)?;
        let (made_with, fingerprint): (String, _) = (checkpoint.get("data")?, data.fingerprint());
        if made_with != fingerprint {
            let expected = format!("a checkpoint of the data {fingerprint}");
            return Err(checkpoint.unfit(expected, format_args!("one of {made_with}")));
        }
        settings.check_read(data.train().pixels(), &checkpoint)?;
        let mut trainer = Trainer::with_fingerprint(settings, data, fingerprint)
            .map_err(|error| checkpoint.unfit("settings that can be run", error))?;
        trainer.model.step = checkpoint.get("step")?;
        let [sum, square, count] = checkpoint.get_array("window")?;
        trainer.window = Moments { sum, square, count };
        trainer.model.params.restore("", &checkpoint)?;
        trainer.progress.read(&trainer.model.params, &checkpoint)?;
        Ok(trainer)
    }
}
