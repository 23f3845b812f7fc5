//! The scores of a model on one split of the data.

use super::moments::Moments;
use super::run::diverged;
use crate::checkpoint::Checkpoint;
use crate::data::{Digits, SplitKind};
use crate::error::{Error, Result};
use crate::models::{Drawn, Examples, HardBound, Model};
use crate::noise::Noise;
use crate::params::Params;

/// Means per image over some images. A standard error is over the images: the error of the mean as an
/// estimate for all images of that kind. A draw error is over the draws: how far another seed moves the mean
/// over these images.
#[derive(Clone, Copy, PartialEq, Debug)]
#[cfg_attr(feature = "cli", derive(serde::Serialize))]
pub struct Scores {
    /// The evidence lower bound, a mean over the samples of each image, in nats; `None` for a model without
    /// variables.
    pub elbo: Option<f64>,
    /// Standard error of [`elbo`](Self::elbo).
    pub elbo_standard_error: Option<f64>,
    /// Draw error of [`elbo`](Self::elbo); `None` for one sample per image, which does not determine it.
    pub elbo_draw_error: Option<f64>,
    /// An upper bound on -ln p, in nats: of the image, of its lower half given the upper one, or of the
    /// label.
    pub nll: f64,
    /// Standard error of [`nll`](Self::nll).
    pub standard_error: f64,
    /// Draw error of [`nll`](Self::nll); `None` for one sample per image, which does not determine it.
    pub draw_error: Option<f64>,
    /// Share of right answers; `None` for a model that knows no classes.
    pub accuracy: Option<f64>,
}

impl Scores {
    /// The scores of a training loss, which may be a bound or not.
    pub(super) fn of_loss(loss: Moments, is_bound: bool) -> Scores {
        let (nll, standard_error) = (loss.mean(), loss.standard_error());
        Scores {
            elbo: is_bound.then_some(-nll),
            elbo_standard_error: is_bound.then_some(standard_error),
            elbo_draw_error: None,
            nll,
            standard_error,
            draw_error: None,
            accuracy: None,
        }
    }
}

/// The scores of a run at some step.
#[derive(Clone, Copy, PartialEq, Debug)]
#[cfg_attr(feature = "cli", derive(serde::Serialize))]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// Whole passes over the training images done.
    pub epoch: u64,
    /// The images that were scored.
    pub split: SplitKind,
    /// Hard samples per image; 0 for a training loss.
    pub samples: usize,
    /// Temperature of the last step, if one is annealed.
    pub tau: Option<f64>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Means per image.
    #[cfg_attr(feature = "cli", serde(flatten))]
    pub scores: Scores,
}

impl Record {
    /// Checks that the scores are finite.
    ///
    /// # Errors
    /// If one is not.
    pub fn check(&self) -> Result<()> {
        let Scores { elbo, nll, standard_error, .. } = self.scores;
        match [Some(nll), elbo, Some(standard_error)].into_iter().flatten().find(|score| !score.is_finite()) {
            None => Ok(()),
            Some(score) => {
                let what = format!("the score on the {} images", self.split);
                Err(Error::invalid(what, "a finite number", diverged(score, self.step)))
            }
        }
    }

    /// The score to watch, where lower is better: the error rate of a model with variables that recognises
    /// classes, -ELBO for one sample, or the bound for several.
    pub(super) fn to_watch(self) -> f64 {
        match self.scores {
            Scores { elbo: Some(_), accuracy: Some(accuracy), .. } => 1.0 - accuracy,
            Scores { elbo: Some(elbo), .. } if self.samples == 1 => -elbo,
            scores => scores.nll,
        }
    }
}

/// Images evaluated at a time.
const BATCH: usize = 500;
/// Samples evaluated at a time, over all images. A killed process loses at most this much work.
const SAMPLES: usize = 500_000;

/// An evaluation in progress. It can be interrupted after any batch and continued with the same result.
#[derive(Clone, PartialEq, Debug)]
pub struct Evaluation {
    split: SplitKind,
    samples: usize,
    noise: Noise,
    bounds: Vec<HardBound>,
    right: Option<usize>,
}

impl Evaluation {
    /// The evaluation of a split with `samples` hard samples per image.
    #[track_caller]
    pub(super) fn begin(split: SplitKind, samples: usize, noise: Noise) -> Evaluation {
        assert!(samples > 0, "an evaluation: at least one hard sample per image is needed, found 0");
        Evaluation { split, samples, noise, bounds: Vec::new(), right: None }
    }

    /// The number of images done.
    pub fn done(&self) -> usize {
        self.bounds.len()
    }

    /// Evaluates the next images, and returns false if none were left.
    pub fn advance(&mut self, model: &dyn Model, params: &Params, data: &Digits) -> bool {
        let split = data.split(self.split);
        let batch = (SAMPLES / self.samples.max(1)).clamp(1, BATCH).min(split.len() - self.done());
        if batch == 0 {
            return false;
        }
        let indices: Vec<u32> = (self.done() as u32..(self.done() + batch) as u32).collect();
        let (mut pixels, mut labels) = (vec![0.0; batch * split.pixels()], vec![0; batch]);
        match model.reads_intensities() {
            true => split.pixels_into(&indices, &mut pixels),
            false => split.binarized_pixels_into(&indices, &mut pixels),
        }
        split.labels_into(&indices, &mut labels);
        let images = Examples { pixels: &pixels, labels: &labels };
        self.bounds.extend(model.bounds(params, images, self.samples, &mut self.noise));
        if let Some(right) = model.right_answers(params, images) {
            *self.right.get_or_insert(0) += right;
        }
        true
    }

    /// The scores of the images done so far.
    pub fn scores(&self, model: &dyn Model) -> Scores {
        let of_all = |of: fn(&HardBound) -> Drawn| {
            let (mut values, mut variance) = (Moments::default(), Some(0.0));
            for bound in &self.bounds {
                values.add(of(bound).value);
                variance = variance.zip(of(bound).variance).map(|(sum, of_image)| sum + of_image);
            }
            let draw_error = variance.map(|sum| sum.sqrt() / values.count);
            (values.mean(), values.standard_error(), draw_error)
        };
        let elbo = (!model.layers().is_empty()).then(|| of_all(|bound| bound.negative_elbo));
        let (nll, standard_error, draw_error) = of_all(|bound| bound.nll);
        Scores {
            elbo: elbo.map(|(mean, ..)| -mean),
            elbo_standard_error: elbo.map(|(_, error, _)| error),
            elbo_draw_error: elbo.and_then(|(.., error)| error),
            nll,
            standard_error,
            draw_error,
            accuracy: self.right.map(|right| right as f64 / self.bounds.len() as f64),
        }
    }

    /// The split being evaluated.
    pub fn split(&self) -> SplitKind {
        self.split
    }

    /// Hard samples per image.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Saves its progress under names that begin with `prefix`.
    ///
    /// # Panics
    /// If the prefix contains `=` or a line break.
    #[track_caller]
    pub fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        let drawn = |bound: &HardBound| [bound.negative_elbo, bound.nll];
        let numbers = |drawn: Drawn| [drawn.value, drawn.variance.unwrap_or(f64::NAN)];
        let numbers: Vec<f64> = self.bounds.iter().flat_map(drawn).flat_map(numbers).collect();
        checkpoint.set_numbers(&format!("{prefix}bounds"), &numbers);
        if let Some(right) = self.right {
            checkpoint.set(&format!("{prefix}right"), right);
        }
        self.noise.save(&format!("{prefix}noise."), checkpoint);
    }

    /// Continues from the progress that [`save`](Self::save) stored.
    ///
    /// # Errors
    /// If something is missing. The evaluation is then unchanged.
    pub fn restore(&mut self, prefix: &str, checkpoint: &Checkpoint) -> Result<()> {
        let numbers = checkpoint.get_numbers(&format!("{prefix}bounds"))?;
        let right = checkpoint.get_if_set(&format!("{prefix}right"))?;
        self.noise.restore(&format!("{prefix}noise."), checkpoint)?;
        self.right = right;
        let drawn =
            |value: f64, variance: f64| Drawn { value, variance: (!variance.is_nan()).then_some(variance) };
        let bound = |&[elbo, of_elbo, nll, of_nll]: &[f64; 4]| HardBound {
            negative_elbo: drawn(elbo, of_elbo),
            nll: drawn(nll, of_nll),
        };
        self.bounds = numbers.as_chunks().0.iter().map(bound).collect();
        Ok(())
    }
}
