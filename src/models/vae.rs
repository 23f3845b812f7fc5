//! A variational autoencoder with categorical latent variables.

use crate::nn::Mlp;
use crate::noise::Noise;
use crate::params::{ParamId, Params};
use crate::tape::Tape;
use crate::var::{Activation, Temperature, Var};

/// The sizes of a categorical VAE: pixels - hidden - (latents x classes) - hidden reversed - pixels.
///
/// The default is 784-512-256-(20 x 10)-256-512-784. Jang, Gu and Poole's table has no hidden layers:
/// `hidden: vec![]` is their 784-(20 x 10)-784.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VaeShape {
    /// Pixels of an image.
    pub pixels: usize,
    /// Widths of the encoder's ReLU layers; the decoder's are the same, reversed.
    pub hidden: Vec<usize>,
    /// Number of latent variables.
    pub latents: usize,
    /// Classes of each.
    pub classes: usize,
}

impl Default for VaeShape {
    fn default() -> VaeShape {
        VaeShape { pixels: 784, hidden: vec![512, 256], latents: 20, classes: 10 }
    }
}

/// What stands for the one-hot sample of q(z | x) while training.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sample {
    /// The relaxed sample: smooth gradients, but the decoder sees vectors it will not see at evaluation.
    GumbelSoftmax,
    /// The one-hot sample with the relaxed one's gradient: the loss is -ELBO itself, the encoder's gradient biased.
    StGumbelSoftmax,
}

/// The two terms of -ELBO on a batch, in nats, each summed over the batch.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'t> {
    /// -ln p(x | z) at one sample z of q(z | x).
    pub reconstruction: Var<'t>,
    /// KL(q(z | x) || uniform), the discrete one, in closed form.
    pub kl: Var<'t>,
}

/// An encoder q(z | x), a decoder p(x | z), a uniform prior over z.
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
        let code = shape.latents * shape.classes;
        let mut sizes = vec![shape.pixels];
        sizes.extend(&shape.hidden);
        sizes.push(code);
        let encoder = Mlp::new(params, "encoder", &sizes, Activation::Relu, noise);
        sizes.reverse();
        let decoder = Mlp::new(params, "decoder", &sizes, Activation::Relu, noise);
        let output = decoder.layers().last().expect("at least one layer");
        for (bias, &mean) in params.value_mut(output.bias).iter_mut().zip(pixel_mean) {
            *bias = base_rate_logit(mean);
        }
        let pixel_mean = params.add("pixel_mean", [shape.pixels], pixel_mean.to_vec());
        params.freeze(pixel_mean);
        Vae { shape, encoder, decoder, pixel_mean }
    }

    /// Its sizes.
    pub fn shape(&self) -> &VaeShape {
        &self.shape
    }

    /// The logits of q(z | x), `[images x latents, classes]`, for images `[images, pixels]`.
    #[track_caller]
    pub fn encode<'t>(&self, params: &Params, x: Var<'t>) -> Var<'t> {
        let mean = params.on(x.tape(), self.pixel_mean);
        let logits = self.encoder.forward_centred(params, x, mean);
        logits.reshape([x.shape().dims()[0] * self.shape.latents, self.shape.classes])
    }

    /// The logits of p(x | z), `[images, pixels]`, for samples z `[images x latents, classes]`.
    #[track_caller]
    pub fn decode<'t>(&self, params: &Params, z: Var<'t>) -> Var<'t> {
        let code = self.shape.latents * self.shape.classes;
        self.decoder.forward(params, z.reshape([z.shape().len() / code, code]))
    }

    /// Both terms of -ELBO for a batch of binary images `[images, pixels]`: with a relaxed sample the objective of
    /// Jang, Gu and Poole 2017, section 4.2, which is not a bound, since the sample is relaxed and the KL discrete.
    #[track_caller]
    pub fn negative_elbo<'t>(
        &self,
        params: &Params,
        x: Var<'t>,
        sample: Sample,
        tau: impl Into<Temperature<'t>>,
        noise: &mut Noise,
    ) -> Bound<'t> {
        let logits = self.encode(params, x);
        let z = match sample {
            Sample::GumbelSoftmax => logits.gumbel_softmax(tau, noise),
            Sample::StGumbelSoftmax => logits.st_gumbel_softmax(tau, noise),
        };
        let reconstruction = self.decode(params, z).bce_with_logits(x).sum();
        Bound { reconstruction, kl: logits.categorical_kl_uniform().sum() }
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
        assert!(samples > 0, "Vae::evaluate: at least one sample is needed");
        let images = pixels.len() / self.shape.pixels;
        let mut tape = Tape::inference();
        let code = self.encode_values(&mut tape, params, pixels);
        let log_prior = -(self.shape.latents as f64) * (self.shape.classes as f64).ln();
        let mut weights = vec![LogMean::default(); images];
        let mut negative_elbo = Vec::with_capacity(images);
        for sample in 0..samples {
            let x = tape.input(pixels, [images, self.shape.pixels]);
            let logits = tape.input(&code.logits, [images * self.shape.latents, self.shape.classes]);
            let z = logits.st_gumbel_softmax(1.0, &mut *noise);
            let reconstruction = self.decode(params, z).bce_with_logits(x).sum_axis(1);
            let log_q = (z * tape.input(&code.log_q, z.shape()))
                .reshape([images, code.logits.len() / images])
                .sum_axis(1);
            if sample == 0 {
                let terms = reconstruction.value();
                negative_elbo
                    .extend(terms.iter().zip(&code.kl).map(|(&r, &kl)| f64::from(r) + f64::from(kl)));
            }
            for ((weight, &r), &log_q) in
                weights.iter_mut().zip(&*reconstruction.value()).zip(&*log_q.value())
            {
                weight.add(log_prior - f64::from(r) - f64::from(log_q));
            }
            tape.reset();
        }
        let bounds = negative_elbo.into_iter().zip(weights);
        bounds.map(|(negative_elbo, weight)| HardBound { negative_elbo, nll: -weight.value() }).collect()
    }

    fn encode_values(&self, tape: &mut Tape, params: &Params, pixels: &[f32]) -> Code {
        let images = pixels.len() / self.shape.pixels;
        let logits = self.encode(params, tape.input(pixels, [images, self.shape.pixels]));
        let kl = logits.categorical_kl_uniform().reshape([images, self.shape.latents]).sum_axis(1);
        let code = Code { logits: logits.to_vec(), log_q: logits.log_softmax().to_vec(), kl: kl.to_vec() };
        tape.reset();
        code
    }

    /// The pixels' probabilities for a hard sample z of q(z | x), one row per image.
    #[track_caller]
    pub fn reconstruct(&self, params: &Params, pixels: &[f32], noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let x = tape.input(pixels, [pixels.len() / self.shape.pixels, self.shape.pixels]);
        let z = self.encode(params, x).st_gumbel_softmax(1.0, noise);
        self.decode(params, z).sigmoid().to_vec()
    }

    /// The pixels' probabilities for `images` draws of z from the uniform prior.
    pub fn generate(&self, params: &Params, images: usize, noise: &mut Noise) -> Vec<f32> {
        let tape = Tape::inference();
        let rows = images * self.shape.latents;
        let logits = tape.input_with([rows, self.shape.classes], |logits| logits.fill(0.0));
        self.decode(params, logits.st_gumbel_softmax(1.0, noise)).sigmoid().to_vec()
    }
}

/// What the encoder says of some images.
struct Code {
    logits: Vec<f32>,
    log_q: Vec<f32>,
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

/// ln of the mean of e^value over values that arrive one by one.
#[derive(Clone, Copy)]
struct LogMean {
    largest: f64,
    sum: f64,
    count: f64,
}

impl Default for LogMean {
    fn default() -> LogMean {
        LogMean { largest: f64::NEG_INFINITY, sum: 0.0, count: 0.0 }
    }
}

impl LogMean {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if value > self.largest {
            self.sum = self.sum * (self.largest - value).exp() + 1.0;
            self.largest = value;
        } else {
            self.sum += (value - self.largest).exp();
        }
    }

    fn value(self) -> f64 {
        self.largest + (self.sum / self.count).ln()
    }
}

/// The logit of a base rate, which is kept off 0 and 1: some pixels are never lit.
fn base_rate_logit(mean: f32) -> f32 {
    let rate = mean.clamp(1e-3, 1.0 - 1e-3);
    (rate / (1.0 - rate)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_mean_is_the_log_of_the_mean() {
        let mut mean = LogMean::default();
        for value in [-1000.0, -1001.0, -999.5] {
            mean.add(value);
        }
        let expected = -1000.0 + ((1.0 + (-1.0f64).exp() + 0.5f64.exp()) / 3.0).ln();
        assert!((mean.value() - expected).abs() < 1e-12);
    }
}
