//! A variational autoencoder with categorical or binary latent variables.

use crate::distributions::Bernoulli;
use crate::estimators::{Discrete, Estimator, Kind};
use crate::models::bound::multi_sample_bound;
use crate::models::{check_objective, frozen_mean, start_at_base_rates};
use crate::nn::Mlp;
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::{Activation, Var};

/// The sizes of a VAE: pixels - encoder - latents - decoder - pixels.
///
/// Jang, Gu and Poole's is printed as 784-(20 x 10)-200, without hidden layers in the encoder at least:
/// `VaeShape::symmetric(784, &[], 20, 10)` is one reading of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VaeShape {
    /// Pixels of an image.
    pub pixels: usize,
    /// Widths of the encoder's ReLU layers.
    pub encoder: Vec<usize>,
    /// Widths of the decoder's ReLU layers.
    pub decoder: Vec<usize>,
    /// The latent variables.
    pub latents: Kind,
}

impl VaeShape {
    /// Categorical latents, and a decoder with the encoder's layers reversed.
    pub fn symmetric(pixels: usize, hidden: &[usize], latents: usize, classes: usize) -> VaeShape {
        VaeShape {
            pixels,
            encoder: hidden.to_vec(),
            decoder: hidden.iter().rev().copied().collect(),
            latents: Kind { variables: latents, classes: Some(classes) },
        }
    }
}

/// An encoder q(z | x), a decoder p(x | z), a uniform prior over the states of z.
#[derive(Clone, Debug)]
pub struct Vae {
    shape: VaeShape,
    encoder: Mlp,
    decoder: Mlp,
    pixel_mean: ParamId,
}

impl Vae {
    /// Declares the parameters. Inputs are centred by `pixel_mean`, which is kept as a frozen parameter, and the
    /// decoder's last bias starts at its logit, so that training begins at the data's base rates.
    ///
    /// # Panics
    /// If `pixel_mean` does not have an entry per pixel.
    #[track_caller]
    pub fn new(shape: VaeShape, pixel_mean: &[f32], params: &mut Params, noise: &mut Noise) -> Vae {
        assert!(
            pixel_mean.len() == shape.pixels,
            "Vae: {} pixel means given for images of {} pixels",
            pixel_mean.len(),
            shape.pixels
        );
        let code = shape.latents.elements();
        let sizes = |first: usize, hidden: &[usize], last: usize| [&[first], hidden, &[last]].concat();
        let encoder = sizes(shape.pixels, &shape.encoder, code);
        let decoder = sizes(code, &shape.decoder, shape.pixels);
        let encoder = Mlp::new(params, "encoder", &encoder, Activation::Relu, noise);
        let decoder = Mlp::new(params, "decoder", &decoder, Activation::Relu, noise);
        let output = decoder.layers().last().expect("at least one layer");
        start_at_base_rates(params, output, pixel_mean);
        let pixel_mean = frozen_mean(params, "pixel_mean", pixel_mean);
        Vae { shape, encoder, decoder, pixel_mean }
    }

    /// Its sizes.
    pub fn shape(&self) -> &VaeShape {
        &self.shape
    }

    /// The latent variables of q(z | x) for images `[images, pixels]`: logits `[images, latents, classes]`, or
    /// `[images, latents]` of bits.
    #[track_caller]
    pub fn encode<'t>(&self, params: &Params, x: Var<'t>) -> Discrete<'t> {
        let mean = params.on(x.tape(), self.pixel_mean);
        let logits = self.encoder.forward_centred(params, x, mean);
        self.shape.latents.with_logits(logits)
    }

    /// The logits of p(x | z), `[images, pixels]`, for samples z of the latent variables, hard or relaxed.
    #[track_caller]
    pub fn decode<'t>(&self, params: &Params, z: Var<'t>) -> Var<'t> {
        let code = self.shape.latents.elements();
        self.decoder.forward(params, z.reshape([z.shape().len() / code, code]))
    }

    /// KL(q(z | x) || uniform) of each variable, in nats.
    fn kl_of_each(variable: Discrete<'_>) -> Var<'_> {
        match variable {
            Discrete::Bernoulli(logits) => Bernoulli::new(logits).kl_uniform(),
            Discrete::Categorical(logits) => logits.categorical_kl_uniform(),
        }
    }

    /// -ELBO of each image of a batch of binary images `[images, pixels]`, in nats, with an estimator's gradient for the
    /// encoder. With a relaxed sample it is the objective of Jang, Gu and Poole 2017, section 4.2, which is no bound: the
    /// decoder sees vectors that it will not see at evaluation, and the divergence is that of the hard sample.
    ///
    /// # Panics
    /// If the estimator is of a bound of several samples: the divergence would have to be inside it.
    #[track_caller]
    pub fn loss<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        estimator: &mut dyn Estimator,
        noise: &mut Noise,
    ) -> Var<'t> {
        check_objective("Vae", estimator);
        let variable = self.encode(params, x);
        let reconstruction = estimator
            .estimate(variable, noise, &mut |z, _| self.decode(params, z).bce_with_logits(x).sum_axis(1));
        reconstruction + Vae::kl_of_each(variable).sum_axis(1)
    }

    /// With hard samples, per image and in nats: -ELBO from one sample of z and the closed KL, and
    /// -ln(1/m sum p(x, z) / q(z | x)) from `samples` of them (Burda, Grosse, Salakhutdinov 2016, equation 8).
    /// `pixels` holds whole images.
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
        let images = pixels.len() / self.shape.pixels;
        let mut tape = Tape::inference();
        let code = self.encode_values(&mut tape, params, pixels);
        let latents = self.shape.latents;
        let log_prior = -(latents.variables as f64) * (latents.classes.unwrap_or(2) as f64).ln();
        let mut negative_elbo = Vec::with_capacity(images);
        let nll = multi_sample_bound(images, samples, |round, log_weights| {
            let x = tape.input(pixels, [images, self.shape.pixels]);
            let flat = [images, latents.elements()];
            let z = latents.with_logits(tape.input(&code.logits, flat)).sample(noise);
            let reconstruction = self.decode(params, z).bce_with_logits(x).sum_axis(1);
            let log_q = (z.reshape(flat) * tape.input(&code.log_q, flat)).sum_axis(1);
            let terms = reconstruction.value();
            if round == 0 {
                negative_elbo
                    .extend(terms.iter().zip(&code.kl).map(|(&r, &kl)| f64::from(r) + f64::from(kl)));
            }
            let (log_q, at_zero) = (log_q.value(), &code.log_q_at_zero);
            for (image, log_weight) in log_weights.iter_mut().enumerate() {
                let log_q = f64::from(log_q[image]) + f64::from(at_zero[image]);
                *log_weight = log_prior - f64::from(terms[image]) - log_q;
            }
            drop((terms, log_q));
            tape.reset();
        });
        let bounds = negative_elbo.into_iter().zip(nll);
        bounds.map(|(negative_elbo, nll)| HardBound { negative_elbo, nll }).collect()
    }

    fn encode_values(&self, tape: &mut Tape, params: &Params, pixels: &[f32]) -> Code {
        let images = pixels.len() / self.shape.pixels;
        let variable = self.encode(params, tape.input(pixels, [images, self.shape.pixels]));
        let kl = Vae::kl_of_each(variable).reshape([images, self.shape.latents.variables]).sum_axis(1);
        let (log_q, at_zero) = match variable {
            Discrete::Categorical(logits) => (logits.log_softmax(), vec![0.0; images]),
            Discrete::Bernoulli(logits) => (logits, (-logits.softplus()).sum_axis(1).to_vec()),
        };
        let code = Code {
            logits: variable.logits().to_vec(),
            log_q: log_q.to_vec(),
            log_q_at_zero: at_zero,
            kl: kl.to_vec(),
        };
        tape.reset();
        code
    }

    /// The pixels' probabilities for a hard sample z of q(z | x), one row per image.
    #[track_caller]
    pub fn reconstruct(&self, params: &Params, pixels: &[f32], noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let x = tape.input(pixels, [pixels.len() / self.shape.pixels, self.shape.pixels]);
        let z = self.encode(params, x).sample(noise);
        self.decode(params, z).sigmoid().to_vec()
    }

    /// The pixels' probabilities for `images` draws of z from the uniform prior.
    pub fn generate(&self, params: &Params, images: usize, noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let logits = tape.input_with([images, self.shape.latents.elements()], |logits| logits.fill(0.0));
        let z = self.shape.latents.with_logits(logits).sample(noise);
        self.decode(params, z).sigmoid().to_vec()
    }
}

/// What the encoder says of some images.
struct Code {
    logits: Vec<f32>,
    /// What each entry of z adds to ln q(z | x), and what that is where all entries are 0.
    log_q: Vec<f32>,
    log_q_at_zero: Vec<f32>,
    kl: Vec<f32>,
}

/// The two bounds of one image, in nats: see [`Vae::evaluate`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HardBound {
    /// -ELBO from a single hard sample.
    pub negative_elbo: f64,
    /// The multi-sample bound on -ln p(x).
    pub nll: f64,
}
