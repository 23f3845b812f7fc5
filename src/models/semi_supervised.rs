//! A generative model of images with a class and a style, for data with few labels.

use super::bound::{HardBound, bound_on};
use super::{
    check_means, check_rows, check_sizes, declare_mean, right_answers, sizes, start_at_base_rates,
    whole_images, without_masks,
};
use crate::distributions::OneHot;
use crate::estimators::{Estimator, estimate_with_uniform_prior};
use crate::nn::{Init, Linear, Mlp};
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::index::check_indices;
use crate::var::{Activation, Var};
use crate::variables::{Logits, Variables};

/// The model's name in messages.
const MODEL: &str = "SemiSupervised";

/// The sizes of a [`SemiSupervised`] model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SemiSupervisedShape {
    /// Pixels of an image.
    pub pixels: usize,
    /// Classes of y.
    pub classes: usize,
    /// Numbers in z.
    pub latents: usize,
    /// Widths of the ReLU layers of each of the three nets; at least one.
    pub hidden: Vec<usize>,
}

/// The layer sizes of the three nets. The encoder's first layer is listed separately, because it has a part
/// for x and a part for y.
pub(super) struct Nets {
    pub(super) classifier: Vec<usize>,
    pub(super) encoder_inputs: [(usize, usize); 2],
    pub(super) encoder: Vec<usize>,
    pub(super) decoder: Vec<usize>,
}

impl SemiSupervisedShape {
    /// # Panics
    /// If there is no hidden layer, or a size is 0.
    #[track_caller]
    pub(super) fn nets(&self) -> Nets {
        let SemiSupervisedShape { pixels, classes, latents, ref hidden } = *self;
        check_sizes(
            MODEL,
            &[("pixels", &[pixels]), ("classes", &[classes]), ("latents", &[latents]), ("hidden", hidden)],
        );
        let Some((&first, others)) = hidden.split_first() else {
            panic!("{MODEL}: expected at least one hidden layer, found none");
        };
        let mirrored: Vec<usize> = hidden.iter().rev().copied().collect();
        Nets {
            classifier: sizes(pixels, hidden, classes),
            encoder_inputs: [(pixels, first), (classes, first)],
            encoder: sizes(first, others, 2 * latents),
            decoder: sizes(classes + latents, &mirrored, pixels),
        }
    }
}

/// The model M2: p(y) p(z) p(x | y, z) with a uniform class y and a standard normal z, and q(y | x) q(z | x,
/// y).
///
/// The bound of an image whose class is known is L(x, y) = -E\[ln p(x | y, z)\] + KL(q(z | x, y) || p(z)) -
/// ln p(y). The bound of any other image is E\[L(x, y)\] - H(q(y | x)) over q(y | x). The mean over y is left
/// to an estimator; with [`Exact`](crate::estimators::Exact) it is marginalization.
///
/// # Source
/// D. Kingma, D. Rezende, S. Mohamed, M. Welling, "Semi-Supervised Learning with Deep Generative Models",
/// NeurIPS 2014; Jang, Gu, Poole 2017, section 4.3.
#[derive(Clone, Debug)]
pub struct SemiSupervised {
    shape: SemiSupervisedShape,
    /// q(y | x).
    classifier: Mlp,
    /// q(z | x, y): the first layer's part for x, which all classes share, and its part for y; then the rest.
    encoder_x: Linear,
    encoder_y: Linear,
    encoder: Mlp,
    /// p(x | y, z).
    decoder: Mlp,
    pixel_mean: ParamId,
}

impl SemiSupervised {
    /// Declares and initialises the parameters: see [`declare`](Self::declare) and [`init`](Self::init).
    ///
    /// # Panics
    /// See [`declare`](Self::declare) and [`init`](Self::init).
    #[track_caller]
    pub fn new(
        shape: SemiSupervisedShape,
        pixel_mean: &[f32],
        params: &mut Params,
        noise: &mut Noise,
    ) -> SemiSupervised {
        let model = SemiSupervised::declare(shape, params);
        model.init(params, pixel_mean, noise);
        model
    }

    /// Declares the parameters, all 0.
    ///
    /// # Panics
    /// If there is no hidden layer, a size is 0, or a parameter name is taken.
    #[track_caller]
    pub fn declare(shape: SemiSupervisedShape, params: &mut Params) -> SemiSupervised {
        let (nets, relu) = (shape.nets(), Activation::Relu);
        let classifier = Mlp::declare(params, "classifier", &nets.classifier, relu);
        let [x, y] = nets.encoder_inputs;
        let encoder_x = Linear::declare(params, "encoder.x", x, Activation::Identity);
        let encoder_y = Linear::declare(params, "encoder.y", y, Activation::Identity);
        let encoder = Mlp::declare(params, "encoder", &nets.encoder, relu);
        let decoder = Mlp::declare(params, "decoder", &nets.decoder, relu);
        let pixel_mean = declare_mean(params, "pixel_mean", shape.pixels);
        SemiSupervised { shape, classifier, encoder_x, encoder_y, encoder, decoder, pixel_mean }
    }

    /// Initialises the parameters. Inputs are centred by `pixel_mean`; the decoder's last bias starts at its
    /// logit.
    ///
    /// # Panics
    /// If `pixel_mean` does not have one entry from 0 to 1 per pixel.
    #[track_caller]
    pub fn init(&self, params: &mut Params, pixel_mean: &[f32], noise: &mut Noise) {
        check_means(MODEL, pixel_mean, self.shape.pixels);
        self.classifier.init(params, noise);
        // The first ReLU sees their sum.
        self.encoder_x.init(params, Init::before(Activation::Relu), noise);
        self.encoder_y.init(params, Init::before(Activation::Relu), noise);
        self.encoder.init(params, noise);
        self.decoder.init(params, noise);
        start_at_base_rates(params, self.decoder.last(), pixel_mean);
        params.value_mut(self.pixel_mean).copy_from_slice(pixel_mean);
    }

    /// Its sizes.
    pub fn shape(&self) -> &SemiSupervisedShape {
        &self.shape
    }

    /// The logits of q(y | x), `[images, classes]`, for images `[images, pixels]`.
    #[track_caller]
    pub fn classify<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        let logits = self.classifier.forward_centred(params, x, params.on(x.tape(), self.pixel_mean));
        without_masks(logits, Variables::Categories { count: 1, classes: self.shape.classes })
    }

    /// The bound of each image whose class is not known, `[images]`, in nats, with an estimator's gradient
    /// for q(y | x).
    ///
    /// # Panics
    /// If the images have another shape, or the estimator does not support a categorical variable.
    #[track_caller]
    pub fn unlabelled_loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        estimator: &mut dyn Estimator,
        noise: &mut Noise,
    ) -> Var<'t> {
        check_rows(MODEL, "the images", x, self.shape.pixels);
        let (images, classes) = (x.shape().dims()[0], self.shape.classes);
        let logits = self.classify(params, x).reshape([images, 1, classes]);
        let image_part = self.image_part(params, x);
        // -H(q) - E ln p(y) is the divergence from the uniform distribution.
        estimate_with_uniform_prior(estimator, Logits::categories(logits), noise, |y, noise| {
            let (x, image_part) = (y.repeat(x), y.repeat(image_part));
            let class = y.value().reshape([x.shape().dims()[0], classes]);
            self.loss_given(params, (x, image_part), class, y.is_in_bound(), noise)
        })
    }

    /// The bound of each image whose class is known, L(x, y), `[images]`, in nats.
    ///
    /// # Panics
    /// If the images have another shape, the number of labels is not the number of images, or a label is not
    /// a class.
    #[track_caller]
    pub fn labelled_loss<'t>(
        &self,
        params: &Params,
        (x, labels): (Var<'t>, &[u32]),
        noise: &mut Noise,
    ) -> Var<'t> {
        let classes = self.shape.classes;
        check_rows(MODEL, "the images", x, self.shape.pixels);
        let (images, found) = (x.shape().dims()[0], labels.len());
        assert!(images == found, "{MODEL}: {found} labels for {images} images; one each is needed");
        check_indices(MODEL, labels, classes, "classes");
        let y = x.tape().input_with([labels.len(), classes], |y| {
            y.fill(0.0);
            for (row, &label) in y.chunks_exact_mut(classes).zip(labels) {
                row[label as usize] = 1.0;
            }
        });
        let log_prior = -(classes as f32).ln();
        self.loss_given(params, (x, self.image_part(params, x)), y, false, noise) - log_prior
    }

    /// The image's part of the encoder's first layer.
    #[track_caller]
    fn image_part<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        self.encoder_x.forward_centred(params, x, params.on(x.tape(), self.pixel_mean))
    }

    /// Mean and log standard deviation of q(z | x, y).
    fn encode<'t>(&self, params: &Params, image_part: Var<'t>, y: Var<'t>) -> (Var<'t>, Var<'t>) {
        let latents = self.shape.latents;
        let hidden = (image_part + self.encoder_y.forward(params, y)).relu();
        let both = self.encoder.forward(params, hidden);
        (both.slice(1, 0..latents), both.slice(1, latents..2 * latents))
    }

    /// The logits of p(x | y, z).
    fn decode<'t>(&self, params: &Params, y: Var<'t>, z: Var<'t>) -> Var<'t> {
        self.decoder.forward(params, Var::concat(&[y, z], 1))
    }

    /// L(x, y) + ln p(y) of each image for classes y, hard or relaxed, `[images, classes]`. Inside a
    /// multi-sample bound the divergence of z is the sampled ln q(z | x, y) - ln p(z); otherwise it is in
    /// closed form.
    fn loss_given<'t>(
        &self,
        params: &Params,
        (x, image_part): (Var<'t>, Var<'t>),
        y: Var<'t>,
        is_in_bound: bool,
        noise: &mut Noise,
    ) -> Var<'t> {
        let (mean, log_std) = self.encode(params, image_part, y);
        let z = mean.gaussian_rsample(log_std, noise);
        let reconstruction = self.decode(params, y, z).bce_with_logits(x).sum_axis(1);
        if !is_in_bound {
            return reconstruction + mean.gaussian_kl_standard(log_std).sum_axis(1);
        }
        // The constants of both densities cancel.
        let residual = (z - mean) / log_std.exp();
        let log_ratio = ((residual.square() - z.square()) * 0.5 + log_std).sum_axis(1);
        reconstruction - log_ratio
    }

    /// The number of images whose most probable class is their label.
    #[track_caller]
    pub fn right_answers(&self, params: &Params, pixels: &[f32], labels: &[u32]) -> usize {
        let tape = Tape::inference();
        let x = tape.input(pixels, [labels.len(), self.shape.pixels]);
        right_answers(self.classify(params, x), labels)
    }

    /// The pixel probabilities given one hard sample of (y, z) for each image; `pixels` holds whole images.
    #[track_caller]
    pub fn reconstruct(&self, params: &Params, pixels: &[f32], noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let of_image = self.shape.pixels;
        let x = tape.input(pixels, [whole_images(MODEL, pixels, of_image), of_image]);
        let y = OneHot { logits: self.classify(params, x) }.sample(noise);
        let (mean, log_std) = self.encode(params, self.image_part(params, x), y);
        let z = mean.gaussian_rsample(log_std, noise);
        self.decode(params, y, z).sigmoid().to_vec()
    }

    /// Generates `images` images as pixel probabilities. Their classes take turns, and each draw of z from
    /// the prior serves one round of classes.
    #[track_caller]
    pub fn generate(&self, params: &Params, images: usize, noise: &mut Noise) -> Vec<f32> {
        let (tape, classes, latents) = (Tape::inference(), self.shape.classes, self.shape.latents);
        let styles = images.div_ceil(classes);
        let y = tape.input_with([images, classes], |y| {
            y.fill(0.0);
            y.chunks_exact_mut(classes).enumerate().for_each(|(i, y)| y[i % classes] = 1.0);
        });
        let zero = tape.input_with([styles, latents], |zero| zero.fill(0.0));
        let style = zero.gaussian_rsample(zero, noise).to_vec();
        let z = tape.input_with([images, latents], |z| {
            for (i, z) in z.chunks_exact_mut(latents).enumerate() {
                z.copy_from_slice(&style[i / classes * latents..][..latents]);
            }
        });
        self.decode(params, y, z).sigmoid().to_vec()
    }

    /// The bounds of each image from `samples` samples of (y, z), in nats. `pixels` holds whole images.
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
        let images = whole_images(MODEL, pixels, self.shape.pixels);
        let mut tape = Tape::inference();
        // Every round needs these.
        let (logits, image_part) = {
            let x = tape.input(pixels, [images, self.shape.pixels]);
            (self.classify(params, x).to_vec(), self.image_part(params, x).to_vec())
        };
        tape.reset();
        let log_p_y = -(self.shape.classes as f32).ln();
        bound_on(&mut tape, images, samples, |tape| {
            let x = tape.input(pixels, [images, self.shape.pixels]);
            let class = OneHot { logits: tape.input(&logits, [images, self.shape.classes]) };
            let y = class.sample(noise);
            let image_part = tape.input(&image_part, [images, self.shape.hidden[0]]);
            let given = self.loss_given(params, (x, image_part), y, true, noise);
            given + class.log_prob(y) - log_p_y
        })
    }
}
