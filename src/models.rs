//! Models, ready to train: a variational autoencoder, sigmoid belief nets that predict or generate, semi-supervised models
//! and an MLP classifier.
//!
//! Each is a [`Model`], which is all that training, evaluation and drawing need; a model of your own implements the same
//! trait. [`ModelShape`] is the list of those that the command line trains and checkpoints name.

mod belief_net;
mod bound;
mod classifier;
mod few_labels;
mod image_format;
mod prediction;
mod semi_supervised;
mod shape;
mod vae;

use reparam_ops::internal::argmax;

use crate::checkpoint::Checkpoint;
use crate::data::Split;
use crate::estimators::Estimator;
use crate::nn::Linear;
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::Var;
use crate::variables::Variables;

pub use belief_net::{BeliefNet, Link};
pub use bound::{Drawn, HardBound, multi_sample_bound};
pub use classifier::Classifier;
pub use few_labels::{FewLabels, FewLabelsShape, Guidance, KnownLabels};
pub use image_format::ImageFormat;
pub use prediction::Prediction;
pub use semi_supervised::{SemiSupervised, SemiSupervisedShape};
pub use shape::ModelShape;
pub use vae::{Vae, VaeShape};

/// The images of one training step, and everything that the step works with.
pub struct Batch<'a, 't> {
    /// Where the step is recorded.
    pub tape: &'t Tape,
    /// The model's parameters.
    pub params: &'a Params,
    /// The images that the step's are chosen from.
    pub split: &'a Split,
    /// The chosen ones.
    pub indices: &'a [u32],
    /// Their labels.
    pub labels: &'a [u32],
    /// One estimator for each layer of the model's variables.
    pub estimators: &'a mut [Box<dyn Estimator>],
    /// The noise of the step.
    pub noise: &'a mut Noise,
}

impl<'t> Batch<'_, 't> {
    /// The images as rows of intensities from 0 to 1, `[images, pixels]`: see [`Split::pixels_into`].
    #[track_caller]
    pub fn pixels(&mut self) -> Var<'t> {
        let shape = [self.indices.len(), self.split.pixels()];
        self.tape.input_with(shape, |out| self.split.pixels_into(self.indices, out))
    }

    /// The images as rows of zeros and ones, `[images, pixels]`: see [`Split::sample_pixels_into`].
    #[track_caller]
    pub fn binary_pixels(&mut self) -> Var<'t> {
        self.binary_pixels_of(self.indices)
    }

    /// The images of the split at these indices, as [`binary_pixels`](Self::binary_pixels).
    #[track_caller]
    pub fn binary_pixels_of(&mut self, indices: &[u32]) -> Var<'t> {
        let shape = [indices.len(), self.split.pixels()];
        self.tape.input_with(shape, |out| self.split.sample_pixels_into(indices, self.noise, out))
    }
}

/// Images to evaluate a model on.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    /// Whole images, one after another.
    pub pixels: &'a [f32],
    /// Their labels.
    pub labels: &'a [u32],
}

/// A model: what it learns from images, how good it is, and what it draws.
pub trait Model: Send + Sync {
    /// The layers of discrete variables that it samples, in the order in which [`loss`](Self::loss) takes their estimators.
    fn layers(&self) -> Vec<Variables>;

    /// Returns true if the model reads intensities. For others, an evaluation binarizes 8-bit images, always in the same way.
    fn reads_intensities(&self) -> bool {
        false
    }

    /// The loss of each image of a batch, `[images]`, or one number for all, in nats, with the gradient of the batch's
    /// estimators.
    fn loss<'t>(&self, batch: &mut Batch<'_, 't>) -> Var<'t>;

    /// Whether [`loss`](Self::loss) is -ELBO, or the negative of another bound, and nothing else.
    fn loss_is_bound(&self) -> bool {
        !self.layers().is_empty()
    }

    /// The bounds of each image from `samples` hard samples. A model that draws nothing gives [`HardBound::exact`].
    fn bounds(
        &self,
        params: &Params,
        images: Examples<'_>,
        samples: usize,
        noise: &mut Noise,
    ) -> Vec<HardBound>;

    /// The number of images whose class it recognises; `None` for a model that knows no classes.
    fn right_answers(&self, params: &Params, images: Examples<'_>) -> Option<usize> {
        let _ = (params, images);
        None
    }

    /// `count` images that the model draws, as probabilities of pixels. A model that completes images takes them from the whole
    /// images in `given`, in turn. Empty for a model that draws nothing.
    fn draw(&self, params: &Params, given: &[f32], count: usize, noise: &mut Noise) -> Vec<f32> {
        let _ = (params, given, count, noise);
        Vec::new()
    }

    /// The whole images in `given` as the model sees them through one hard sample, as probabilities of pixels. Empty for a
    /// model that reconstructs nothing.
    fn reconstruct(&self, params: &Params, given: &[f32], noise: &mut Noise) -> Vec<f32> {
        let _ = (params, given, noise);
        Vec::new()
    }

    /// Writes into a checkpoint what the model must be made from again, if anything.
    fn describe(&self, checkpoint: &mut Checkpoint) {
        let _ = checkpoint;
    }
}

/// Sets the last layer's bias to the logits of the base rates, which are kept off 0 and 1: some pixels are never lit.
fn start_at_base_rates(params: &mut Params, last: &Linear, means: &[f32]) {
    for (bias, mean) in params.value_mut(last.bias).iter_mut().zip(means) {
        let rate = mean.clamp(1e-3, 1.0 - 1e-3);
        *bias = (rate / (1.0 - rate)).ln();
    }
}

/// Declares the mean of the inputs as a frozen parameter, so that a checkpoint holds it.
fn declare_mean(params: &mut Params, name: &str, inputs: usize) -> ParamId {
    let id = params.add(name, [inputs], vec![0.0; inputs]);
    params.freeze(id);
    id
}

/// Panics unless there is one estimator for each of `layers` layers.
#[track_caller]
fn check_estimators(model: &str, layers: usize, estimators: &[Box<dyn Estimator>]) {
    let found = estimators.len();
    assert!(found == layers, "{model}: {found} estimators given for {layers} layers");
}

/// How many rows of logits are largest at their label.
fn right_answers(logits: Var<'_>, labels: &[u32]) -> usize {
    let (rows, classes) = (logits.value(), logits.shape().classes());
    // A NaN is no answer.
    let is_answer = |row: &[f32]| !row.iter().any(|logit| logit.is_nan());
    let right = |(row, label): &(&[f32], &u32)| is_answer(row) && argmax(row) == **label as usize;
    rows.chunks_exact(classes).zip(labels).filter(right).count()
}

/// The sizes of a net's layers from first to last.
fn sizes(first: usize, hidden: &[usize], last: usize) -> Vec<usize> {
    [&[first], hidden, &[last]].concat()
}
