//! A variational autoencoder with categorical or binary latent variables.

use super::bound::{Drawn, HardBound, multi_sample_bound};
use super::shape::ModelShape;
use super::{
    Batch, Examples, Model, check_estimators, check_layers, check_means, check_rows, check_sizes,
    declare_mean, sizes, start_at_base_rates, whole_images, without_masks,
};
use crate::checkpoint::Checkpoint;
use crate::estimators::{Estimator, estimate_with_uniform_prior};
use crate::nn::Mlp;
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::{Activation, Var};
use crate::variables::{Logits, Variables};

/// The sizes of a VAE: pixels - encoder - latents - decoder - pixels.
///
/// Jang, Gu and Poole print theirs as 784-(20 x 10)-200, with no hidden layers at least in the encoder.
/// `VaeShape::symmetric(784, &[], latents)` is one reading of that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VaeShape {
    /// Pixels of an image.
    pub pixels: usize,
    /// Widths of the encoder's ReLU layers.
    pub encoder: Vec<usize>,
    /// Widths of the decoder's ReLU layers.
    pub decoder: Vec<usize>,
    /// The latent variables.
    pub latents: Variables,
}

impl VaeShape {
    /// A decoder with the encoder's layers reversed.
    pub fn symmetric(pixels: usize, hidden: &[usize], latents: Variables) -> VaeShape {
        let decoder = hidden.iter().rev().copied().collect();
        VaeShape { pixels, encoder: hidden.to_vec(), decoder, latents }
    }

    /// The sizes of the encoder's and the decoder's layers.
    pub(super) fn nets(&self) -> [Vec<usize>; 2] {
        let code = self.latents.elements();
        [sizes(self.pixels, &self.encoder, code), sizes(code, &self.decoder, self.pixels)]
    }
}

/// A VAE: an encoder q(z | x), a decoder p(x | z), and a uniform prior over the states of z.
#[derive(Clone, Debug)]
pub struct Vae {
    shape: VaeShape,
    encoder: Mlp,
    decoder: Mlp,
    pixel_mean: ParamId,
}

impl Vae {
    /// Declares and initialises the parameters: see [`declare`](Self::declare) and [`init`](Self::init).
    ///
    /// # Panics
    /// See [`declare`](Self::declare) and [`init`](Self::init).
    #[track_caller]
    pub fn new(shape: VaeShape, pixel_mean: &[f32], params: &mut Params, noise: &mut Noise) -> Vae {
        let vae = Vae::declare(shape, params);
        vae.init(params, pixel_mean, noise);
        vae
    }

    /// Declares the parameters, all 0.
    ///
    /// # Panics
    /// If a size is 0, there are no latent variables, they have fewer than two values, or a parameter name is
    /// taken.
    #[track_caller]
    pub fn declare(shape: VaeShape, params: &mut Params) -> Vae {
        let VaeShape { pixels, encoder, decoder, latents } = &shape;
        check_sizes("Vae", &[("pixels", &[*pixels]), ("encoder", encoder), ("decoder", decoder)]);
        check_layers("Vae", &[*latents]);
        let [encoder, decoder] = shape.nets();
        let encoder = Mlp::declare(params, "encoder", &encoder, Activation::Relu);
        let decoder = Mlp::declare(params, "decoder", &decoder, Activation::Relu);
        let pixel_mean = declare_mean(params, "pixel_mean", shape.pixels);
        Vae { shape, encoder, decoder, pixel_mean }
    }

    /// Initialises the parameters. Inputs are centred by `pixel_mean`, which is kept as a frozen parameter,
    /// and the decoder's last bias starts at its logit, so that training begins at the data's base rates.
    ///
    /// # Panics
    /// If `pixel_mean` does not have one entry from 0 to 1 per pixel.
    #[track_caller]
    pub fn init(&self, params: &mut Params, pixel_mean: &[f32], noise: &mut Noise) {
        check_means("Vae", pixel_mean, self.shape.pixels);
        self.encoder.init(params, noise);
        self.decoder.init(params, noise);
        start_at_base_rates(params, self.decoder.last(), pixel_mean);
        params.value_mut(self.pixel_mean).copy_from_slice(pixel_mean);
    }

    /// The sizes of the model.
    pub fn shape(&self) -> &VaeShape {
        &self.shape
    }

    /// The latent variables of q(z | x) for images `[images, pixels]`.
    #[track_caller]
    pub fn encode<'t>(&self, params: &Params, x: Var<'t>) -> Logits<'t> {
        let mean = params.on(x.tape(), self.pixel_mean);
        let logits = self.encoder.forward_centred(params, x, mean);
        self.shape.latents.logits(without_masks(logits, self.shape.latents))
    }

    /// The logits of p(x | z), `[images, pixels]`, for samples z of the latent variables, hard or relaxed.
    #[track_caller]
    pub fn decode<'t>(&self, params: &Params, z: Var<'t>) -> Var<'t> {
        let code = self.shape.latents.elements();
        self.decoder.forward(params, z.reshape([z.shape().len() / code, code]))
    }

    /// -ELBO of each image of a batch of binary images `[images, pixels]`, in nats, with an estimator's
    /// gradient for the encoder; -ln(1/K sum_k p(x, z_k) / q(z_k | x)) for an estimator of a K-sample bound.
    ///
    /// With a relaxed sample, -ELBO is the objective of Jang, Gu and Poole 2017, section 4.2. It is not a
    /// bound, because the decoder sees soft vectors that it never sees at evaluation, and the divergence is
    /// for the hard variables.
    ///
    /// # Panics
    /// If the images have another shape, or the estimator does not support the latent variables.
    #[track_caller]
    pub fn negative_bound<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        estimator: &mut dyn Estimator,
        noise: &mut Noise,
    ) -> Var<'t> {
        check_rows("Vae", "the images", x, self.shape.pixels);
        let logits = self.encode(params, x);
        estimate_with_uniform_prior(estimator, logits, noise, |z, _| {
            self.decode(params, z.value()).bce_with_logits(z.repeat(x)).sum_axis(1)
        })
    }

    /// With hard samples, per image and in nats: -ELBO with the closed KL, a mean over `samples` samples of
    /// z, and -ln(1/m sum p(x, z) / q(z | x)) from all of them (Burda, Grosse, Salakhutdinov 2016, equation
    /// 8). `pixels` holds whole images.
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
        let images = whole_images("Vae", pixels, self.shape.pixels);
        let mut tape = Tape::inference();
        let code = self.encode_values(&mut tape, params, pixels);
        let latents = self.shape.latents;
        let flat = [images, latents.elements()];
        // A parameter's leaf shares its values. An input would be copied in each round.
        let mut given = Params::new();
        let x = given.add("x", [images, self.shape.pixels], pixels.to_vec());
        let logits = given.add("logits", flat, code.logits);
        let log_q = given.add("log_q", flat, code.log_q);
        let log_prior = -(latents.count() as f64) * (latents.values() as f64).ln();
        let mut reconstructions = Vec::with_capacity(samples * images);
        let mut bounds = multi_sample_bound(images, samples, |_, log_weights| {
            let z = latents.logits(given.on(&tape, logits)).sample(noise);
            let reconstruction = self.decode(params, z).bce_with_logits(given.on(&tape, x)).sum_axis(1);
            let log_q = (z.reshape(flat) * given.on(&tape, log_q)).sum_axis(1);
            let terms = reconstruction.value();
            let (log_q, at_zero) = (log_q.value(), &code.log_q_at_zero);
            for (image, log_weight) in log_weights.iter_mut().enumerate() {
                let log_q = f64::from(log_q[image]) + f64::from(at_zero[image]);
                *log_weight = log_prior - f64::from(terms[image]) - log_q;
            }
            reconstructions.extend_from_slice(&terms);
            drop((terms, log_q));
            tape.reset();
        });
        for (image, bound) in bounds.iter_mut().enumerate() {
            let kl = f64::from(code.kl[image]);
            let of_rounds = reconstructions.chunks_exact(images);
            bound.negative_elbo = Drawn::mean(of_rounds.map(|terms| f64::from(terms[image]) + kl));
        }
        bounds
    }

    #[track_caller]
    fn encode_values(&self, tape: &mut Tape, params: &Params, pixels: &[f32]) -> Code {
        let images = pixels.len() / self.shape.pixels;
        let logits = self.encode(params, tape.input(pixels, [images, self.shape.pixels]));
        let kl = logits.kl_uniform();
        let (log_q, at_zero) = match logits.variables() {
            Variables::Categories { .. } => (logits.var().log_softmax(), vec![0.0; images]),
            Variables::Bits(_) => (logits.var(), (-logits.var().softplus()).sum_axis(1).to_vec()),
        };
        let code = Code {
            logits: logits.var().to_vec(),
            log_q: log_q.to_vec(),
            log_q_at_zero: at_zero,
            kl: kl.to_vec(),
        };
        tape.reset();
        code
    }
}

impl Model for Vae {
    fn layers(&self) -> Vec<Variables> {
        vec![self.shape.latents]
    }

    #[track_caller]
    fn loss<'t>(&self, batch: &mut Batch<'_, 't>) -> Var<'t> {
        check_estimators("Vae", 1, batch.estimators);
        let x = batch.binary_pixels();
        self.negative_bound(batch.params, x, &mut *batch.estimators[0], batch.noise)
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

    /// The pixel probabilities for `count` draws of z from the uniform prior.
    #[track_caller]
    fn draw(&self, params: &Params, _given: &[f32], count: usize, noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let logits = tape.input_with([count, self.shape.latents.elements()], |logits| logits.fill(0.0));
        let z = self.shape.latents.logits(logits).sample(noise);
        self.decode(params, z).sigmoid().to_vec()
    }

    /// The pixel probabilities for a hard sample z of q(z | x), one row per image.
    #[track_caller]
    fn reconstruct(&self, params: &Params, given: &[f32], noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let x = tape.input(given, [whole_images("Vae", given, self.shape.pixels), self.shape.pixels]);
        let z = self.encode(params, x).sample(noise);
        self.decode(params, z).sigmoid().to_vec()
    }

    fn describe(&self, checkpoint: &mut Checkpoint) {
        let VaeShape { encoder, decoder, latents, .. } = self.shape.clone();
        ModelShape::Vae { latents, encoder, decoder }.write(checkpoint);
    }
}

/// The encoder's output for some images.
struct Code {
    logits: Vec<f32>,
    /// ln q(z | x) is the dot product of z and `log_q`, plus `log_q_at_zero`.
    log_q: Vec<f32>,
    log_q_at_zero: Vec<f32>,
    kl: Vec<f32>,
}
