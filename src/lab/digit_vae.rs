//! The reconstruction of one digit by a small categorical VAE.

use super::problem::Problem;
use crate::data::{Batches, Digits};
use crate::estimators::{GumbelSoftmax, countable_states};
use crate::models::{Vae, VaeShape};
use crate::noise::Noise;
use crate::optim::Adam;
use crate::params::Params;
use crate::tape::Tape;
use crate::var::Var;
use crate::variables::Variables;

/// -ln p(x | z) for one image x, with the decoder of a VAE after a short training, at the encoder's logits
/// for x.
#[derive(Debug)]
pub struct DigitVae {
    vae: Vae,
    params: Params,
    image: Vec<f32>,
    logits: Vec<f32>,
}

const HIDDEN: usize = 128;
const STEPS: usize = 300;
const BATCH: usize = 100;
const LEARNING_RATE: f64 = 2e-3;
/// The least probability of a class. A trained encoder gives some 1e-7. Those are never drawn in 100,000
/// samples, so an estimator's behaviour there does not show.
const LEAST_PROBABILITY: f64 = 0.01;

impl DigitVae {
    /// Trains 784-128-(latents x classes)-128-784 for 300 steps with Gumbel-Softmax at temperature 1. The
    /// image is the first of the test set. The logits are the encoder's for it, flattened (multiplied by a
    /// number below 1) variable by variable until every class has a probability of at least 0.01.
    ///
    /// # Panics
    /// If there are no latent variables, if they have fewer than two classes, or if they have too many states
    /// to enumerate.
    #[track_caller]
    pub fn train(digits: &Digits, latents: usize, classes: usize, seed: u64) -> DigitVae {
        let variables = Variables::Categories { count: latents, classes };
        assert!(
            latents > 0 && classes > 1,
            "DigitVae: expected at least one latent variable of two classes or more, found {variables}"
        );
        if let Err(reason) = countable_states(variables) {
            panic!("DigitVae: {reason}");
        }
        let train = digits.train();
        let pixels = train.pixels();
        let mut noise = Noise::seed(seed);
        let mut params = Params::new();
        let shape = VaeShape::symmetric(pixels, &[HIDDEN], variables);
        let vae = Vae::new(shape, &train.pixel_means(), &mut params, &mut noise);
        let mut batches = Batches::new(train.len(), noise.split());
        let (mut adam, mut tape) = (Adam::new(LEARNING_RATE), Tape::new());
        let batch = BATCH.min(train.len());
        let mut images = vec![0.0; batch * pixels];
        let mut relaxed = GumbelSoftmax { tau: 1.0 };
        for _ in 0..STEPS {
            train.sample_pixels_into(batches.next_batch(batch), &mut noise, &mut images);
            let x = tape.input(&images, [batch, pixels]);
            let gradients = vae.negative_bound(&params, x, &mut relaxed, &mut noise).mean().backward();
            tape.reset();
            adam.step(&mut params, &gradients);
        }
        let image = digits.test().sample_first(1, &mut noise);
        let mut logits = vae.encode(&params, tape.input(&image, [1, pixels])).var().to_vec();
        logits.chunks_exact_mut(classes).for_each(flatten);
        tape.reset();
        DigitVae { vae, params, image, logits }
    }
}

impl Problem for DigitVae {
    fn name(&self) -> String {
        format!("vae:{}", self.variables().code())
    }

    fn variables(&self) -> Variables {
        self.vae.shape().latents
    }

    fn logits(&self) -> &[f32] {
        &self.logits
    }

    fn loss<'t>(&self, z: Var<'t>) -> Var<'t> {
        let x = z.tape().input(&self.image, [self.image.len()]);
        let pixels = self.vae.decode(&self.params, z);
        pixels.bce_with_logits(x.broadcast_to(pixels.shape())).sum_axis(1)
    }
}

/// Multiplies logits by the largest number up to 1 that keeps every class at the least probability or above.
fn flatten(logits: &mut [f32]) {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let least_probability = |scale: f64| {
        let powers = logits.iter().map(|&x| ((f64::from(x) - largest) * scale).exp());
        powers.clone().fold(1.0, f64::min) / powers.sum::<f64>()
    };
    let bound = LEAST_PROBABILITY.min(0.5 / logits.len() as f64);
    let (mut low, mut high) = (0.0, 1.0);
    if least_probability(high) < bound {
        for _ in 0..50 {
            let middle = 0.5 * (low + high);
            if least_probability(middle) < bound { high = middle } else { low = middle }
        }
        logits.iter_mut().for_each(|x| *x = ((f64::from(*x) - largest) * low) as f32);
    }
}
