//! A categorical VAE in fifty lines: `cargo run --release --example vae_in_fifty_lines`.
//!
//! Twenty variables of ten classes are drawn by Gumbel-Softmax with a falling temperature. We train on -ELBO,
//! and evaluate with hard samples, for which -ELBO is a bound. The yardstick is the mean image, which has no
//! latent variable.
//!
//! Source: E. Jang, S. Gu, B. Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017, section
//! 4.2.

use reparam::data::{Batches, Digits, Split};
use reparam::distributions::OneHot;
use reparam::nn::Mlp;
use reparam::optim::Adam;
use reparam::{Activation, Noise, Params, Schedule, Tape, Var};

struct Vae {
    params: Params,
    encoder: Mlp,
    decoder: Mlp,
}

impl Vae {
    fn new(noise: &mut Noise) -> Vae {
        let mut params = Params::new();
        let encoder = Mlp::new(&mut params, "encoder", &[784, 256, 200], Activation::Relu, noise);
        let decoder = Mlp::new(&mut params, "decoder", &[200, 256, 784], Activation::Relu, noise);
        Vae { params, encoder, decoder }
    }

    /// -ELBO in nats per image. `sample` draws the latent variables from their logits.
    fn negative_elbo<'t>(&self, x: Var<'t>, sample: impl FnOnce(Var<'t>) -> Var<'t>) -> Var<'t> {
        let images = x.shape().dims()[0];
        let logits = self.encoder.forward(&self.params, x).reshape([images * 20, 10]);
        let z = sample(logits).reshape([images, 200]);
        let x_logits = self.decoder.forward(&self.params, z);
        (x_logits.bce_with_logits(x).sum() + logits.categorical_kl_uniform().sum()) / images as f32
    }

    fn train(&mut self, images: &Split, steps: u64, learning_rate: f64, noise: &mut Noise) {
        let (mut adam, mut tape) = (Adam::new(learning_rate), Tape::new());
        let mut batches = Batches::new(images.len(), noise.split());
        let tau = Schedule::Anneal { start: 1.0, rate: 3e-4, floor: 0.5, every: 100 };
        for step in 0..steps {
            let batch = batches.next_batch(100);
            let x = tape.input_with([100, 784], |pixels| images.pixels_into(batch, pixels));
            let loss = self.negative_elbo(x, |logits| logits.gumbel_softmax(tau.at(step) as f32, noise));
            let gradients = loss.backward();
            tape.reset();
            adam.step(&mut self.params, &gradients);
        }
    }

    /// -ELBO with hard samples, on the first 1000 images.
    fn test(&self, images: &Split, noise: &mut Noise) -> f32 {
        let tape = Tape::inference();
        let first = Vec::from_iter(0..1000);
        let x = tape.input_with([1000, 784], |pixels| images.pixels_into(&first, pixels));
        self.negative_elbo(x, |logits| OneHot::new(logits).sample(noise)).item()
    }
}

/// The cost of the first 1000 images if each pixel has its mean as its probability, in nats per image.
fn mean_image(digits: &Digits) -> f32 {
    let tape = Tape::inference();
    let x = tape
        .input_with([1000, 784], |pixels| digits.validation().pixels_into(&Vec::from_iter(0..1000), pixels));
    let p = tape.input(&digits.train().pixel_means(), [784]) * 0.9998 + 1e-4;
    let logits = (p / (1.0 - p)).ln().broadcast_to([1000, 784]);
    logits.bce_with_logits(x).sum().item() / 1000.0
}

fn learn(digits: &Digits, steps: u64, learning_rate: f64) -> f32 {
    let mut noise = Noise::seed(7);
    let mut vae = Vae::new(&mut noise);
    vae.train(digits.train(), steps, learning_rate, &mut noise);
    vae.test(digits.validation(), &mut noise)
}

fn main() {
    let digits = Digits::embedded();
    println!("nats per validation image: {:.1} from the mean image", mean_image(&digits));
    for steps in [0, 500, 2000] {
        println!("-ELBO after {steps:4} steps: {:.1}", learn(&digits, steps, 1e-3));
    }
}

#[test]
fn the_bound_is_far_below_the_mean_image() {
    let digits = Digits::embedded();
    let (elbo, mean) = (learn(&digits, 400, 2e-3), mean_image(&digits));
    assert!(elbo < 0.85 * mean, "-ELBO {elbo}, the mean image {mean}");
}
