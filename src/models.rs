//! Models, ready to train: a variational autoencoder, sigmoid belief nets that predict or generate,
//! semi-supervised models and an MLP classifier.
//!
//! Each implements [`Model`], which is all that training, evaluation and drawing need. Your own model can
//! implement the same trait. [`ModelShape`] lists the models that the command line trains and checkpoints
//! name.

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
pub use shape::{MOST_WEIGHTS, ModelShape};
pub use vae::{Vae, VaeShape};

/// The images of one training step, and everything else the step needs.
pub struct Batch<'a, 't> {
    /// The tape that records the step.
    pub tape: &'t Tape,
    /// The model's parameters.
    pub params: &'a Params,
    /// The split that the images are chosen from.
    pub split: &'a Split,
    /// The chosen images.
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

    /// Like [`binary_pixels`](Self::binary_pixels), for the images of the split at these indices.
    #[track_caller]
    pub fn binary_pixels_of(&mut self, indices: &[u32]) -> Var<'t> {
        self.split.check(indices);
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

/// A model that learns from images, is scored, and may draw.
pub trait Model: Send + Sync {
    /// The layers of discrete variables that it samples, in the order in which [`loss`](Self::loss) takes
    /// their estimators.
    fn layers(&self) -> Vec<Variables>;

    /// Returns true if the model reads intensities. For others, an evaluation binarizes 8-bit images, always
    /// in the same way.
    fn reads_intensities(&self) -> bool {
        false
    }

    /// The loss of each image of a batch, `[images]`, or one number for all, in nats, with the gradient of
    /// the batch's estimators.
    fn loss<'t>(&self, batch: &mut Batch<'_, 't>) -> Var<'t>;

    /// Returns true if [`loss`](Self::loss) is -ELBO or the negative of another bound, and nothing else.
    fn loss_is_bound(&self) -> bool {
        !self.layers().is_empty()
    }

    /// The bounds of each image from `samples` hard samples. A model that samples nothing returns
    /// [`HardBound::exact`].
    fn bounds(
        &self,
        params: &Params,
        images: Examples<'_>,
        samples: usize,
        noise: &mut Noise,
    ) -> Vec<HardBound>;

    /// The number of correctly classified images; `None` for a model without classes.
    fn right_answers(&self, params: &Params, images: Examples<'_>) -> Option<usize> {
        let _ = (params, images);
        None
    }

    /// Draws `count` images, as pixel probabilities. A model that completes images takes the whole images in
    /// `given` in turn. Empty for a model that does not draw.
    fn draw(&self, params: &Params, given: &[f32], count: usize, noise: &mut Noise) -> Vec<f32> {
        let _ = (params, given, count, noise);
        Vec::new()
    }

    /// Reconstructs the whole images in `given` through one hard sample, as pixel probabilities. Empty for a
    /// model that does not reconstruct.
    fn reconstruct(&self, params: &Params, given: &[f32], noise: &mut Noise) -> Vec<f32> {
        let _ = (params, given, noise);
        Vec::new()
    }

    /// Writes whatever is needed to rebuild the model into a checkpoint.
    fn describe(&self, checkpoint: &mut Checkpoint) {
        let _ = checkpoint;
    }
}

/// Panics unless every size of a model is at least 1.
#[track_caller]
fn check_sizes(model: &str, sizes: &[(&str, &[usize])]) {
    for (what, sizes) in sizes {
        assert!(!sizes.contains(&0), "{model}: expected {what} of at least 1, found {sizes:?}");
    }
}

/// Panics unless there are layers, each with at least one variable of at least two values.
#[track_caller]
fn check_layers(model: &str, layers: &[Variables]) {
    assert!(!layers.is_empty(), "{model}: expected at least one layer of variables, found none");
    for layer in layers {
        assert!(
            layer.count() > 0 && layer.values() > 1,
            "{model}: expected at least one variable of two values or more, found {layer}"
        );
    }
}

/// Panics unless there is a mean from 0 to 1 for each of `count` pixels.
#[track_caller]
fn check_means(model: &str, means: &[f32], count: usize) {
    assert!(means.len() == count, "{model}: {} means given for {count} pixels", means.len());
    if let Some(mean) = means.iter().find(|mean| !(0.0..=1.0).contains(*mean)) {
        panic!(
            "{model}: the mean of a pixel must be from 0 to 1, it is {mean}; Split::pixel_means gives them"
        );
    }
}

/// Panics unless `x` is `[rows, width]`.
#[track_caller]
fn check_rows(model: &str, what: &str, x: Var<'_>, width: usize) {
    let shape = x.shape();
    assert!(
        shape.rank() == 2 && shape.classes() == width,
        "{model}: {what} must be [images, {width}], the shape is {shape}"
    );
}

/// Returns the number of images of `of_image` pixels each. Panics if the pixels are not whole images.
#[track_caller]
fn whole_images(model: &str, pixels: &[f32], of_image: usize) -> usize {
    let len = pixels.len();
    assert!(
        len.is_multiple_of(of_image),
        "{model}: {len} pixels given, which are not whole images of {of_image}"
    );
    len / of_image
}

/// Sets the last layer's bias to the logits of the base rates, which are kept away from 0 and 1 because some
/// pixels are never lit.
#[track_caller]
fn start_at_base_rates(params: &mut Params, last: &Linear, means: &[f32]) {
    for (bias, mean) in params.value_mut(last.bias).iter_mut().zip(means) {
        let rate = mean.clamp(1e-3, 1.0 - 1e-3);
        *bias = (rate / (1.0 - rate)).ln();
    }
}

/// Declares the mean of the inputs as a frozen parameter, so that a checkpoint holds it.
#[track_caller]
fn declare_mean(params: &mut Params, name: &str, inputs: usize) -> ParamId {
    let id = params.zeros(name, [inputs]);
    params.freeze(id);
    id
}

/// Panics unless there is one estimator for each of `layers` layers.
#[track_caller]
fn check_estimators(model: &str, layers: usize, estimators: &[Box<dyn Estimator>]) {
    let found = estimators.len();
    assert!(found == layers, "{model}: {found} estimators given for {layers} layers");
}

/// Returns the logits of a net, with NaN in place of a variable whose classes have all overflowed to -inf.
/// Otherwise -inf would count as a mask, and a variable without a class as a mistake in the program.
#[track_caller]
fn without_masks<'t>(logits: Var<'t>, variables: Variables) -> Var<'t> {
    let Variables::Categories { classes, .. } = variables else { return logits };
    let is_mask = |row: &[f32]| row.iter().all(|&logit| logit == f32::NEG_INFINITY);
    if !logits.value().chunks_exact(classes).any(is_mask) {
        return logits;
    }
    logits.masked_at(f32::NAN, || {
        let values = logits.value();
        (0..values.len()).filter(move |i| is_mask(&values[i / classes * classes..][..classes]))
    })
}

/// The number of rows of logits that are largest at their label.
fn right_answers(logits: Var<'_>, labels: &[u32]) -> usize {
    let (rows, classes) = (logits.value(), logits.shape().classes());
    // A row with a NaN is not an answer.
    let is_answer = |row: &[f32]| !row.iter().any(|logit| logit.is_nan());
    let right = |(row, label): &(&[f32], &u32)| is_answer(row) && argmax(row) == **label as usize;
    rows.chunks_exact(classes).zip(labels).filter(right).count()
}

/// The sizes of a net's layers from first to last.
fn sizes(first: usize, hidden: &[usize], last: usize) -> Vec<usize> {
    [&[first], hidden, &[last]].concat()
}
