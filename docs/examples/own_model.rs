//! Your own model and estimator, trained by `Run` with checkpoints: `cargo run --release --example
//! own_model`.
//!
//! The model is ten prototypes of digits. q(z | x) chooses one, and the pixels of p(x | z) are independent,
//! with its probabilities. Stop it and start it again: it resumes, and ends with the same bytes.

use std::path::Path;

use reparam::data::{Digits, SplitKind};
use reparam::estimators::{Estimator, Exact, Trial, estimate_with_uniform_prior};
use reparam::models::{Batch, Examples, HardBound, Model};
use reparam::nn::{Init, Linear};
use reparam::train::{Estimators, Run, Training};
use reparam::{Activation, Checkpoint, Noise, Params, Schedule, Tape, Var, Variables};

const IDENTITY: Activation = Activation::Identity;
const CHOICE: Variables = Variables::Categories { count: 1, classes: 10 };

struct Prototypes {
    encoder: Linear,
    decoder: Linear,
}

impl Prototypes {
    fn nll<'t>(&self, params: &Params, x: Var<'t>, by: &mut dyn Estimator, n: &mut Noise) -> Var<'t> {
        let q = CHOICE.logits(self.encoder.forward(params, x));
        estimate_with_uniform_prior(by, q, n, |z, _| {
            let choice = z.value().reshape([z.rows(), 10]);
            self.decoder.forward(params, choice).bce_with_logits(z.repeat(x)).sum_axis(1)
        })
    }
}

impl Model for Prototypes {
    fn layers(&self) -> Vec<Variables> {
        vec![CHOICE]
    }
    fn loss<'t>(&self, batch: &mut Batch<'_, 't>) -> Var<'t> {
        let x = batch.binary_pixels();
        self.nll(batch.params, x, &mut *batch.estimators[0], batch.noise)
    }
    fn bounds(&self, params: &Params, images: Examples<'_>, _: usize, n: &mut Noise) -> Vec<HardBound> {
        let tape = Tape::inference();
        let x = tape.input(images.pixels, [images.labels.len(), images.pixels.len() / images.labels.len()]);
        let exact = self.nll(params, x, &mut Exact, n).to_vec();
        exact.into_iter().map(|nll| HardBound::exact(f64::from(nll))).collect()
    }
}

/// REINFORCE with the loss of the most probable state as its baseline.
struct SelfCritical;

impl Estimator for SelfCritical {
    fn name(&self) -> String {
        "self-critical".to_owned()
    }
    fn is_unbiased(&self) -> bool {
        true
    }
    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let z = trial.sample();
        let (f, baseline) = (trial.loss(z), trial.loss(trial.logits().mode()));
        trial.score(f, f - baseline, z)
    }
}

fn begin(data: &Digits, steps: u64) -> reparam::Result<Run<'_>> {
    let (mut params, noise) = (Params::new(), &mut Noise::seed(1));
    let mut layer = |name, size| Linear::new(&mut params, name, size, IDENTITY, Init::Normal(0.1), noise);
    let model = Prototypes { encoder: layer("encoder", (784, 10)), decoder: layer("decoder", (10, 784)) };
    let training = Training { steps, learning_rate: Schedule::Fixed(3e-2), ..Training::default() };
    let estimators = Estimators::made_by(|_| Box::new(SelfCritical));
    Run::new(training, Box::new(model), params, estimators, data)
}

/// Trains to the end, and resumes an earlier run if there was one.
fn train(run: &mut Run<'_>, path: &Path) -> reparam::Result<()> {
    if path.exists() {
        run.restore(&Checkpoint::load(path)?)?;
    }
    while !run.is_finished() {
        run.step();
        if run.step_count().is_multiple_of(100) {
            run.checkpoint().save(path)?;
        }
    }
    Ok(())
}

fn main() -> reparam::Result<()> {
    let data = Digits::embedded();
    let mut run = begin(&data, 1000)?;
    train(&mut run, Path::new("own_model.safetensors"))?;
    println!("-ELBO of the test images: {:.1} nats", run.evaluate(SplitKind::Test, 1).scores.nll);
    Ok(())
}

#[test]
fn it_learns_and_resumes_to_the_same_bytes() {
    let (data, folder) = (Digits::embedded(), tempfile::tempdir().unwrap());
    let path = folder.path().join("model.safetensors");
    let mut whole = begin(&data, 250).unwrap();
    let before = whole.evaluate(SplitKind::Test, 1).scores.nll;
    train(&mut whole, &path).unwrap();
    let after = whole.evaluate(SplitKind::Test, 1).scores.nll;
    assert!(after < 205.0 && before > 500.0, "{before} to {after}");
    // The file holds step 200.
    let mut resumed = begin(&data, 250).unwrap();
    train(&mut resumed, &path).unwrap();
    assert!(resumed.checkpoint().to_bytes() == whole.checkpoint().to_bytes());
}
