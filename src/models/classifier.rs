//! A classifier: an MLP followed by a softmax.

use super::shape::ModelShape;
use super::{
    Batch, Examples, HardBound, Model, check_means, check_sizes, declare_mean, right_answers, sizes,
    without_masks,
};
use crate::checkpoint::Checkpoint;
use crate::nn::Mlp;
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::{Activation, Var};
use crate::variables::Variables;

/// An MLP from centred pixels to class logits.
#[derive(Clone, Debug)]
pub struct Classifier {
    hidden: Vec<usize>,
    mlp: Mlp,
    pixel_mean: ParamId,
    pixels: usize,
}

impl Classifier {
    /// Declares and initialises the parameters of `pixels - hidden - classes` with ReLUs in between. Inputs
    /// are centred by `pixel_mean`, which is kept as a frozen parameter.
    ///
    /// # Panics
    /// See [`declare`](Self::declare) and [`init`](Self::init).
    #[track_caller]
    pub fn new(
        hidden: &[usize],
        classes: usize,
        pixel_mean: &[f32],
        params: &mut Params,
        noise: &mut Noise,
    ) -> Classifier {
        let classifier = Classifier::declare(hidden, classes, pixel_mean.len(), params);
        classifier.init(params, pixel_mean, noise);
        classifier
    }

    /// Declares the parameters, all 0.
    ///
    /// # Panics
    /// If a size is 0, or a parameter name is taken.
    #[track_caller]
    pub fn declare(hidden: &[usize], classes: usize, pixels: usize, params: &mut Params) -> Classifier {
        check_sizes("Classifier", &[("pixels", &[pixels]), ("hidden", hidden), ("classes", &[classes])]);
        let mlp = Mlp::declare(params, "classifier", &sizes(pixels, hidden, classes), Activation::Relu);
        let pixel_mean = declare_mean(params, "pixel_mean", pixels);
        Classifier { hidden: hidden.to_vec(), mlp, pixel_mean, pixels }
    }

    /// Initialises the parameters.
    ///
    /// # Panics
    /// If `pixel_mean` does not have one entry from 0 to 1 per pixel.
    #[track_caller]
    pub fn init(&self, params: &mut Params, pixel_mean: &[f32], noise: &mut Noise) {
        check_means("Classifier", pixel_mean, self.pixels);
        self.mlp.init(params, noise);
        params.value_mut(self.pixel_mean).copy_from_slice(pixel_mean);
    }

    /// Class logits `[images, classes]` for images `[images, pixels]`.
    #[track_caller]
    pub fn logits<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        let logits = self.mlp.forward_centred(params, x, params.on(x.tape(), self.pixel_mean));
        without_masks(logits, Variables::Categories { count: 1, classes: logits.shape().classes() })
    }

    /// Returns the logits of whole images.
    #[track_caller]
    fn logits_on<'t>(&self, tape: &'t Tape, params: &Params, images: Examples<'_>) -> Var<'t> {
        self.logits(params, tape.input(images.pixels, [images.labels.len(), self.pixels]))
    }
}

impl Model for Classifier {
    fn layers(&self) -> Vec<Variables> {
        Vec::new()
    }

    fn reads_intensities(&self) -> bool {
        true
    }

    /// The cross-entropy of each label, in nats.
    #[track_caller]
    fn loss<'t>(&self, batch: &mut Batch<'_, 't>) -> Var<'t> {
        let x = batch.pixels();
        self.logits(batch.params, x).cross_entropy(batch.labels)
    }

    #[track_caller]
    fn bounds(&self, params: &Params, images: Examples<'_>, _: usize, _: &mut Noise) -> Vec<HardBound> {
        let tape = Tape::inference();
        let losses = self.logits_on(&tape, params, images).cross_entropy(images.labels).to_vec();
        losses.into_iter().map(|loss| HardBound::exact(f64::from(loss))).collect()
    }

    #[track_caller]
    fn right_answers(&self, params: &Params, images: Examples<'_>) -> Option<usize> {
        Some(right_answers(self.logits_on(&Tape::inference(), params, images), images.labels))
    }

    fn describe(&self, checkpoint: &mut Checkpoint) {
        ModelShape::Classifier { hidden: self.hidden.clone() }.write(checkpoint);
    }
}
