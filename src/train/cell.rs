//! One cell of a table of results: a model trained with an estimator, chosen on the validation split, scored on the test
//! split.

use crate::data::{Batches, Digits, Split};
use crate::error::{Error, Result};
use crate::estimators::{Estimator, Kind, parse};
use crate::models::{Prediction, Vae, VaeShape};
use crate::noise::Noise;
use crate::optim::{Adam, Optimizer};
use crate::params::Params;
use crate::schedule::Schedule;
use crate::tape::Tape;
use crate::train::SplitKind;
use crate::var::Var;

/// What a cell trains.
#[derive(Clone, PartialEq, Debug)]
pub enum CellModel {
    /// The lower half of an image from the upper, through layers of discrete variables.
    Prediction(Vec<Kind>),
    /// A VAE with one layer of latent variables, a linear encoder, and a decoder with these hidden layers.
    Vae {
        /// The latent variables.
        latents: Kind,
        /// Widths of the decoder's hidden layers.
        decoder: Vec<usize>,
    },
}

/// Everything a cell's result depends on, beside the data.
#[derive(Clone, PartialEq, Debug)]
pub struct CellSettings {
    /// The model.
    pub model: CellModel,
    /// The estimator's name, as [`parse`] takes it.
    pub estimator: String,
    /// Its temperature by step, if it has one that is annealed.
    pub tau: Schedule,
    /// The optimizer's step size; it falls on a straight line to a hundredth over the last 60 % of the run.
    pub learning_rate: f64,
    /// Images per step.
    pub batch: usize,
    /// Steps.
    pub steps: u64,
    /// Steps between scores on the validation split, of which the best decides what is kept.
    pub validate_every: u64,
    /// Where the randomness comes from.
    pub seed: u64,
}

/// A cell in progress.
pub struct CellRun<'d> {
    settings: CellSettings,
    data: &'d Digits,
    params: Params,
    model: Model,
    estimators: Vec<Box<dyn Estimator>>,
    optimizer: Adam,
    batches: Batches,
    noise: Noise,
    evaluation_noise: Noise,
    tape: Tape,
    step: u64,
    best: Option<Best>,
}

enum Model {
    Prediction(Prediction),
    Vae(Vae),
}

struct Best {
    step: u64,
    score: f64,
    params: Vec<Vec<f32>>,
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
/// Hard samples per image in a score on the validation split.
const VALIDATION_SAMPLES: usize = 5;

impl<'d> CellRun<'d> {
    /// A run at its first step.
    ///
    /// # Errors
    /// If the estimator's name is unknown or it cannot treat the model's variables.
    pub fn new(settings: CellSettings, data: &'d Digits) -> Result<CellRun<'d>> {
        let mut root = Noise::seed(settings.seed);
        let (mut init, order, noise, evaluation_noise) =
            (root.split(), root.split(), root.split(), root.split());
        let mean = data.train().pixel_means();
        let mut params = Params::new();
        let (model, layers) = match &settings.model {
            CellModel::Prediction(layers) => {
                let (upper, lower) = mean.split_at(mean.len() / 2);
                let model = Prediction::new(layers, upper, lower, &mut params, &mut init);
                (Model::Prediction(model), layers.clone())
            }
            CellModel::Vae { latents, decoder } => {
                let (encoder, decoder) = (Vec::new(), decoder.clone());
                let shape = VaeShape { pixels: mean.len(), encoder, decoder, latents: *latents };
                (Model::Vae(Vae::new(shape, &mean, &mut params, &mut init)), vec![*latents])
            }
        };
        let estimators: Vec<Box<dyn Estimator>> =
            layers.iter().map(|_| parse(&settings.estimator)).collect::<Result<_>>()?;
        for (estimator, &kind) in estimators.iter().zip(&layers) {
            estimator.check(kind).map_err(|reason| {
                Error::invalid(&settings.estimator, format!("an estimator for {kind}"), reason)
            })?;
        }
        Ok(CellRun {
            optimizer: Adam::new(settings.learning_rate).betas(0.9, 0.99),
            batches: Batches::new(data.train().len(), order),
            settings,
            data,
            params,
            model,
            estimators,
            noise,
            evaluation_noise,
            tape: Tape::new(),
            step: 0,
            best: None,
        })
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
        let CellSettings { batch, steps, learning_rate, tau, validate_every, .. } = self.settings;
        let fall = Schedule::Tail {
            start: learning_rate,
            end: learning_rate / 100.0,
            from: steps * 2 / 5,
            to: steps,
        };
        self.optimizer.set_learning_rate(fall.at(self.step));
        for estimator in &mut self.estimators {
            estimator.set_temperature(tau.at(self.step) as f32);
        }
        let train = self.data.train();
        let mut images = vec![0.0; batch * train.pixels()];
        train.sample_pixels_into(self.batches.next_batch(batch), &mut self.noise, &mut images);
        let (mean, gradients) = {
            let loss =
                self.model.loss(&self.tape, &self.params, &images, &mut self.estimators, &mut self.noise);
            let mean = loss.mean();
            (f64::from(mean.item()), mean.backward())
        };
        self.tape.reset();
        self.optimizer.step(&mut self.params, &gradients);
        self.step += 1;
        if self.step.is_multiple_of(validate_every) || self.is_finished() {
            self.validate();
        }
        mean
    }

    fn validate(&mut self) {
        let score =
            self.evaluate(SplitKind::Validation, VALIDATION_SAMPLES, |_| true).expect("not stopped").mean;
        if self.best.as_ref().is_none_or(|best| score < best.score) {
            let params = self.params.ids().map(|id| self.params.value(id).to_vec()).collect();
            self.best = Some(Best { step: self.step, score, params });
        }
    }

    /// The best score on the validation split and the step it was reached at.
    pub fn best(&self) -> Option<(u64, f64)> {
        self.best.as_ref().map(|best| (best.step, best.score))
    }

    /// Puts the parameters back that were best on the validation split.
    pub fn keep_best(&mut self) {
        let Some(best) = &self.best else { return };
        for (id, kept) in self.params.ids().zip(&best.params) {
            self.params.value_mut(id).copy_from_slice(kept);
        }
    }

    /// The bound of `samples` hard samples on a whole split. `tick` hears the number of images done and says whether to go
    /// on; `None` if not.
    pub fn evaluate(
        &self,
        kind: SplitKind,
        samples: usize,
        mut tick: impl FnMut(usize) -> bool,
    ) -> Option<Score> {
        let split: &Split = self.data.split(kind);
        let mut noise = self.evaluation_noise.clone();
        let indices: Vec<u32> = (0..split.len() as u32).collect();
        let mut pixels = Vec::new();
        let mut losses = Vec::with_capacity(split.len());
        for indices in indices.chunks(EVALUATION_BATCH) {
            pixels.resize(indices.len() * split.pixels(), 0.0);
            split.sample_pixels_into(indices, &mut noise, &mut pixels);
            losses.extend(self.model.evaluate(&self.params, &pixels, split.pixels(), samples, &mut noise));
            if !tick(losses.len()) {
                return None;
            }
        }
        let n = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / n;
        let square = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>();
        Some(Score { mean, standard_error: (square / (n - 1.0) / n).sqrt() })
    }
}

impl Model {
    /// The training loss per image.
    fn loss<'t>(
        &self,
        tape: &'t Tape,
        params: &Params,
        images: &[f32],
        estimators: &mut [Box<dyn Estimator>],
        noise: &mut Noise,
    ) -> Var<'t> {
        match self {
            Model::Vae(vae) => {
                let pixels = vae.shape().pixels;
                let x = tape.input(images, [images.len() / pixels, pixels]);
                vae.loss(params, x, estimators[0].as_mut(), noise)
            }
            Model::Prediction(prediction) => {
                let width = prediction.inputs();
                let (upper, lower) = halves(images, 2 * width);
                let rows = upper.len() / width;
                let (x, y) = (tape.input(&upper, [rows, width]), tape.input(&lower, [rows, width]));
                prediction.loss(params, x, y, estimators, noise)
            }
        }
    }

    /// The bound per image.
    fn evaluate(
        &self,
        params: &Params,
        images: &[f32],
        pixels: usize,
        samples: usize,
        noise: &mut Noise,
    ) -> Vec<f64> {
        match self {
            Model::Vae(vae) => {
                let bounds = vae.evaluate(params, images, samples, noise);
                bounds.into_iter().map(|bound| bound.nll).collect()
            }
            Model::Prediction(prediction) => {
                let (upper, lower) = halves(images, pixels);
                prediction.evaluate(params, &upper, &lower, samples, noise)
            }
        }
    }
}

/// The upper and the lower half of every image.
fn halves(images: &[f32], pixels: usize) -> (Vec<f32>, Vec<f32>) {
    let half = pixels / 2;
    let upper = images.chunks_exact(pixels).flat_map(|image| &image[..half]).copied().collect();
    let lower = images.chunks_exact(pixels).flat_map(|image| &image[half..]).copied().collect();
    (upper, lower)
}
