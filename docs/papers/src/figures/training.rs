//! A short training of the categorical VAE, from which two pictures are made.

use reparam::data::SplitKind;
use reparam::models::{ModelShape, Vae, VaeShape};
use reparam::train::Plan;
use reparam::{Noise, Params, Result, Tape, Variables};

use super::{code_usage, digits};
use reparam::cli::args::embedded;

pub(super) const LATENTS: usize = 20;
pub(super) const CLASSES: usize = 10;
pub(super) const EPOCHS: u64 = 12;
const STEPS_PER_EPOCH: u64 = 500;
/// Validation images on which the use of the codes is measured.
const IMAGES: u32 = 5_000;

/// Hard samples of each test image for the score.
const SAMPLES: usize = 10;

/// The number of classes that a latent variable uses, as exp of an entropy: from 1 to [`CLASSES`].
#[derive(Clone, Copy)]
pub(super) struct Usage {
    /// Over all images: exp of the entropy of the mean of q(z | x).
    pub(super) together: f64,
    /// For an image: exp of the mean entropy of q(z | x).
    pub(super) alone: f64,
}

impl Usage {
    /// The variable's information about an image, in nats: the mutual information of image and variable.
    pub(super) fn information(self) -> f64 {
        (self.together / self.alone).ln()
    }
}

/// The digits, and the use of the codes by epoch.
pub(super) fn draw() -> Result<Vec<String>> {
    let data = embedded()?;
    let latents = Variables::Categories { count: LATENTS, classes: CLASSES };
    let mut plan = Plan::vae().with_steps(EPOCHS * STEPS_PER_EPOCH);
    plan.model = ModelShape::Vae { latents, encoder: vec![256], decoder: vec![256] };
    plan.training.validation = None;
    let mut run = plan.begin(&data)?;
    let indices: Vec<u32> = (0..IMAGES).collect();
    let mut images = vec![0.0; indices.len() * data.validation().pixels()];
    data.validation().pixels_into(&indices, &mut images);
    // The model whose parameters follow the run's.
    let mut params = Params::new();
    let vae = Vae::declare(VaeShape::symmetric(data.train().pixels(), &[256], latents), &mut params);
    let mut usages = Vec::new();
    loop {
        params.restore("", &run.checkpoint())?;
        usages.push(usage(&vae, &params, &images));
        if run.is_finished() {
            break;
        }
        for _ in 0..STEPS_PER_EPOCH {
            run.step();
        }
    }
    let mut evaluation = run.evaluation(SplitKind::Test, SAMPLES);
    while evaluation.advance(run.model(), run.params(), &data) {}
    let elbo = evaluation.scores(run.model()).elbo.expect("a model with latent variables");
    let caption = format!(
        "VAE, {LATENTS} latent variables of {CLASSES} classes, one hidden layer of 256 units each way, after {} steps: test −ELBO {:.1} nats",
        EPOCHS * STEPS_PER_EPOCH,
        -elbo
    );
    let digits = digits::draw(&vae, &params, data.test(), &caption, &mut Noise::seed(1))?;
    Ok(vec![digits, code_usage::draw(&usages)?])
}

/// The use of each latent variable's classes on some images.
fn usage(vae: &Vae, params: &Params, images: &[f32]) -> Vec<Usage> {
    let tape = Tape::inference();
    let pixels = vae.shape().pixels;
    let x = tape.input(images, [images.len() / pixels, pixels]);
    let log_q = vae.encode(params, x).var().log_softmax();
    let count = log_q.shape().len() / (LATENTS * CLASSES);
    let log_q = log_q.value();
    let per_latent = |latent: usize| {
        let rows = log_q.chunks_exact(CLASSES).skip(latent).step_by(LATENTS);
        let (mut mean, mut alone) = ([0.0; CLASSES], 0.0);
        for row in rows {
            for (mean, &log_q) in mean.iter_mut().zip(row) {
                let log_q = f64::from(log_q);
                *mean += log_q.exp() / count as f64;
                alone -= log_q.exp() * log_q / count as f64;
            }
        }
        let together: f64 = mean.iter().filter(|&&q| q > 0.0).map(|q| -q * q.ln()).sum();
        Usage { together: together.exp(), alone: alone.exp() }
    };
    (0..LATENTS).map(per_latent).collect()
}
