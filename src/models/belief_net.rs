//! A sigmoid belief net: layers of bits above the pixels, with a learned prior and an inference net.

use super::bound::{HardBound, bound_on};
use super::shape::ModelShape;
use super::{
    Batch, Examples, Model, check_estimators, check_means, check_rows, check_sizes, declare_mean,
    start_at_base_rates, whole_images,
};
use crate::checkpoint::Checkpoint;
use crate::distributions::Bernoulli;
use crate::estimators::{Estimator, Sample, Step, estimate_layers, loss_of_samples};
use crate::nn::Mlp;
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::{Activation, Var};
use crate::variables::{Logits, Variables};
use crate::words::words;

words! {
    /// The dependence of a layer on the one before.
    Link {
        /// Through a linear map, "-" in the paper.
        Linear = "linear",
        /// Through two tanh layers as wide as the stochastic layer, "~" in the paper.
        Nonlinear = "nonlinear",
    }
}

/// A belief net p(x, h) = p(h_L) .. p(h_1 | h_2) p(x | h_1) over pixels x and layers of bits h, with q(h | x)
/// in the other direction. Layers see bits as -1 and 1. The tanh layers of q(h_1 | x) are as wide as h_1,
/// because the paper does not give their size.
///
/// # Source
/// Maddison, Mnih, Teh 2017, section 5.
#[derive(Clone, Debug)]
pub struct BeliefNet {
    layers: Vec<usize>,
    link: Link,
    /// Logits of the top layer.
    prior: ParamId,
    /// From h_1 to the pixels, from h_2 to h_1, ..
    generative: Vec<Mlp>,
    /// From the pixels to h_1, from h_1 to h_2, ..
    inference: Vec<Mlp>,
    pixel_mean: ParamId,
}

impl BeliefNet {
    /// Declares and initialises the parameters of a net of `layers` of bits, the one next to the pixels
    /// first. Two layers of 200 give the paper's (200H-200H-784V). See [`declare`](Self::declare) and
    /// [`init`](Self::init).
    ///
    /// # Panics
    /// See [`declare`](Self::declare) and [`init`](Self::init).
    #[track_caller]
    pub fn new(
        layers: &[usize],
        link: Link,
        pixel_mean: &[f32],
        params: &mut Params,
        noise: &mut Noise,
    ) -> BeliefNet {
        let net = BeliefNet::declare(layers, link, pixel_mean.len(), params);
        net.init(params, pixel_mean, noise);
        net
    }

    /// Declares the parameters, all 0.
    ///
    /// # Panics
    /// If there are no layers, a size is 0, or a parameter name is taken.
    #[track_caller]
    pub fn declare(layers: &[usize], link: Link, pixels: usize, params: &mut Params) -> BeliefNet {
        let Some(&top) = layers.last() else {
            panic!("BeliefNet: expected at least one layer of bits, found none")
        };
        check_sizes("BeliefNet", &[("pixels", &[pixels]), ("layers", layers)]);
        let tanh = Activation::Tanh;
        let (mut generative, mut inference) = (Vec::new(), Vec::new());
        for (i, [up, down]) in BeliefNet::nets(layers, link, pixels).into_iter().enumerate() {
            inference.push(Mlp::declare(params, &format!("inference.{i}"), &up, tanh));
            generative.push(Mlp::declare(params, &format!("generative.{i}"), &down, tanh));
        }
        let prior = params.zeros("prior", [top]);
        let pixel_mean = declare_mean(params, "pixel_mean", pixels);
        BeliefNet { layers: layers.to_vec(), link, prior, generative, inference, pixel_mean }
    }

    /// The sizes of each layer's inference net and generative net.
    pub(super) fn nets(layers: &[usize], link: Link, pixels: usize) -> Vec<[Vec<usize>; 2]> {
        let widths = [&[pixels], layers].concat();
        let nets = |pair: &[usize]| {
            let (low, high) = (pair[0], pair[1]);
            match link {
                Link::Linear => [vec![low, high], vec![high, low]],
                Link::Nonlinear => [vec![low, high, high, high], vec![high, high, high, low]],
            }
        };
        widths.windows(2).map(nets).collect()
    }

    /// Initialises the parameters. Biases start at 0, except that the pixels' start at the logits of
    /// `pixel_mean`, which also centres the inputs.
    ///
    /// # Panics
    /// If `pixel_mean` does not have one entry from 0 to 1 per pixel.
    #[track_caller]
    pub fn init(&self, params: &mut Params, pixel_mean: &[f32], noise: &mut Noise) {
        check_means("BeliefNet", pixel_mean, params.shape(self.pixel_mean).len());
        for (inference, generative) in self.inference.iter().zip(&self.generative) {
            inference.init(params, noise);
            generative.init(params, noise);
        }
        start_at_base_rates(params, self.generative[0].last(), pixel_mean);
        params.value_mut(self.prior).fill(0.0);
        params.value_mut(self.pixel_mean).copy_from_slice(pixel_mean);
    }

    /// -ELBO of each image of a batch `[images, pixels]`, in nats, with the gradient of one estimator per
    /// layer, the layer next to the pixels first. Estimators of a K-sample bound give -ln(1/K sum_k p(x, h_k)
    /// / q(h_k | x)), which is the bound of the relaxed model for relaxed samples and VIMCO's for hard ones.
    ///
    /// # Panics
    /// If the number of estimators is not the number of layers, if one does not support bits, or if the
    /// images have another shape.
    #[track_caller]
    pub fn negative_bound<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        estimators: &mut [Box<dyn Estimator>],
        noise: &mut Noise,
    ) -> Var<'t> {
        check_estimators("BeliefNet", self.layers.len(), estimators);
        check_rows("BeliefNet", "the images", x, params.shape(self.pixel_mean).len());
        let first = Logits::bits(self.first_logits(params, x));
        estimate_layers(estimators, first, noise, |layer, below, h, _| self.step(params, x, layer, below, h))
    }

    /// The terms that a layer's sample determines: its ln q, and -ln p of the layer below.
    fn step<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        layer: usize,
        below: Option<&Sample<'t>>,
        h: &Sample<'t>,
    ) -> Step<'t> {
        let value = signs(h.value());
        let log_q = h.log_q();
        let below_logits = self.generative[layer].forward(params, value);
        let log_p = match below {
            None => Bernoulli { logits: below_logits }.log_prob(h.repeat(x)).sum_axis(1),
            Some(below) => below.log_prior(below_logits),
        };
        let terms = log_q - log_p;
        match self.inference.get(layer + 1) {
            Some(net) => Step::Next(Some(terms), Logits::bits(net.forward(params, value))),
            None => Step::Last(terms - h.log_prior(self.prior_logits(params, value))),
        }
    }

    /// The bounds of each image from `samples` hard samples of h, in nats. `pixels` holds whole images.
    ///
    /// # Panics
    /// If `samples` is 0 or `pixels` is not whole images.
    #[track_caller]
    pub fn evaluate(
        &self,
        params: &Params,
        pixels: &[f32],
        samples: usize,
        noise: &mut Noise,
    ) -> Vec<HardBound> {
        let of_image = params.shape(self.pixel_mean).len();
        let images = whole_images("BeliefNet", pixels, of_image);
        let mut tape = Tape::inference();
        let first = self.first_logits(params, tape.input(pixels, [images, of_image])).to_vec();
        tape.reset();
        bound_on(&mut tape, images, samples, |tape| {
            let x = tape.input(pixels, [images, of_image]);
            let logits = Logits::bits(tape.input(&first, [images, self.layers[0]]));
            loss_of_samples(logits, noise, |layer, below, h, _| self.step(params, x, layer, below, h))
        })
    }

    /// The logits of q(h_1 | x).
    #[track_caller]
    fn first_logits<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        self.inference[0].forward_centred(params, x, params.on(x.tape(), self.pixel_mean))
    }

    /// The logits of the top layer's prior, for each row of its values.
    fn prior_logits<'t>(&self, params: &Params, top: Var<'t>) -> Var<'t> {
        params.on(top.tape(), self.prior).broadcast_to(top.shape())
    }
}

impl Model for BeliefNet {
    fn layers(&self) -> Vec<Variables> {
        self.layers.iter().map(|&bits| Variables::Bits(bits)).collect()
    }

    #[track_caller]
    fn loss<'t>(&self, batch: &mut Batch<'_, 't>) -> Var<'t> {
        let x = batch.binary_pixels();
        self.negative_bound(batch.params, x, batch.estimators, batch.noise)
    }

    #[track_caller]
    fn bounds(
        &self,
        params: &Params,
        images: Examples<'_>,
        samples: usize,
        noise: &mut Noise,
    ) -> Vec<HardBound> {
        self.evaluate(params, images.pixels, samples, noise)
    }

    /// The pixel probabilities for `count` draws of h from the prior.
    #[track_caller]
    fn draw(&self, params: &Params, _given: &[f32], count: usize, noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let top = params.shape(self.prior).len();
        let mut logits = params.on(&tape, self.prior).broadcast_to([count, top]);
        for net in self.generative.iter().rev() {
            logits = net.forward(params, signs(Bernoulli { logits }.sample(&mut *noise)));
        }
        logits.sigmoid().to_vec()
    }

    /// The pixel probabilities for a hard sample of h_1 given each image.
    #[track_caller]
    fn reconstruct(&self, params: &Params, given: &[f32], noise: &mut Noise) -> Vec<f32> {
        let (tape, of_image) = (Tape::inference(), params.shape(self.pixel_mean).len());
        let x = tape.input(given, [whole_images("BeliefNet", given, of_image), of_image]);
        let h = Bernoulli { logits: self.first_logits(params, x) }.sample(noise);
        self.generative[0].forward(params, signs(h)).sigmoid().to_vec()
    }

    fn describe(&self, checkpoint: &mut Checkpoint) {
        ModelShape::BeliefNet { layers: self.layers.clone(), link: self.link }.write(checkpoint);
    }
}

/// Bits, hard or relaxed, as -1 and 1.
fn signs(bits: Var<'_>) -> Var<'_> {
    bits.affine(2.0, -1.0)
}
