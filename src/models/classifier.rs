//! A classifier: an MLP under a softmax.

use crate::models::{frozen_mean, right_answers};
use crate::nn::Mlp;
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::{Activation, Var};

/// An MLP from centred pixels to class logits.
#[derive(Clone, Debug)]
pub struct Classifier {
    mlp: Mlp,
    pixel_mean: ParamId,
    pixels: usize,
}

impl Classifier {
    /// Declares the parameters of `pixels - hidden - classes` with ReLU between. Inputs are centred by `pixel_mean`,
    /// which is kept as a frozen parameter.
    #[track_caller]
    pub fn new(
        hidden: &[usize],
        classes: usize,
        pixel_mean: &[f32],
        params: &mut Params,
        noise: &mut Noise,
    ) -> Classifier {
        let mut sizes = vec![pixel_mean.len()];
        sizes.extend(hidden);
        sizes.push(classes);
        let mlp = Mlp::new(params, "classifier", &sizes, Activation::Relu, noise);
        let pixels = pixel_mean.len();
        Classifier { mlp, pixel_mean: frozen_mean(params, "pixel_mean", pixel_mean), pixels }
    }

    /// Class logits `[images, classes]` for images `[images, pixels]`.
    #[track_caller]
    pub fn logits<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        self.mlp.forward_centred(params, x, params.on(x.tape(), self.pixel_mean))
    }

    /// The cross-entropy of the labels, in nats, summed over the batch.
    #[track_caller]
    pub fn loss<'t>(&self, params: &Params, x: Var<'t>, labels: &[u32]) -> Var<'t> {
        self.logits(params, x).cross_entropy(labels).sum()
    }

    /// The cross-entropy of each image, in nats, and the number of right answers.
    #[track_caller]
    pub fn evaluate(&self, params: &Params, pixels: &[f32], labels: &[u32]) -> (Vec<f32>, usize) {
        let tape = Tape::inference();
        let logits = self.logits(params, tape.input(pixels, [labels.len(), self.pixels]));
        let losses = logits.cross_entropy(labels).to_vec();
        (losses, right_answers(logits, labels))
    }
}
