//! Does every model learn, with every kind of estimator?

use reparam::Variables;
use reparam::data::{Digits, SplitKind};
use reparam::models::{Link, ModelShape};
use reparam::train::{Plan, Sampling, Training, falling};

use crate::common::bars::images;
use crate::common::plans;

const BITS: Variables = Variables::Bits(8);
const CATEGORIES: Variables = Variables::Categories { count: 2, classes: 10 };

fn plan(model: ModelShape, estimator: &str) -> Plan {
    let model = match model {
        ModelShape::Vae { latents, .. } => ModelShape::Vae { latents, encoder: vec![], decoder: vec![20] },
        other => other,
    };
    let training = Training {
        batch: 50,
        learning_rate: falling(1e-2, 600),
        validation: None,
        seed: 1,
        steps: 600,
        ..plans::plan(plans::semi(), estimator, 600).training
    };
    Plan { model, sampling: Some(Sampling::named(estimator)), training }
}

/// The scores of a run on the validation images before its first step and after its last.
fn scores(plan: &Plan, data: &Digits) -> [f64; 2] {
    let mut run = plan.begin(data).unwrap();
    let before = run.evaluate(SplitKind::Validation, 20).scores.nll;
    while !run.is_finished() {
        run.step();
    }
    [before, run.evaluate(SplitKind::Validation, 20).scores.nll]
}

/// A run begins at the rates at which pixels are lit. Knowing which of ten bars is there saves nats beyond
/// that: up to ten or so for a whole image, and a few for its lower half, because the upper half only shows
/// whether there is a bar in it.
#[test]
fn every_kind_of_model_and_estimator_learns() {
    let data = images(10, 600, 20);
    let plans = [
        plan(plans::vae(BITS), "gumbel-softmax:0.5"),
        plan(plans::vae(BITS), "disarm"),
        plan(plans::vae(BITS), "vimco:5"),
        plan(plans::vae(BITS), "concrete:0.67:0.5:5"),
        plan(plans::vae(CATEGORIES), "st-gumbel-softmax:1"),
        plan(plans::vae(CATEGORIES), "rebar"),
        plan(plans::vae(CATEGORIES), "vimco:3"),
        plan(plans::vae(CATEGORIES), "concrete:0.67:0.5:3"),
        plan(plans::sbn(BITS), "st-softmax:1"),
        plan(plans::sbn(CATEGORIES), "gumbel-softmax:1"),
        plan(plans::sbn(BITS), "concrete:0.6666667:0.5:3"),
        plan(plans::belief(Link::Linear), "nvil"),
        plan(plans::belief(Link::Nonlinear), "vimco:3"),
        plan(plans::belief(Link::Nonlinear), "concrete:0.6666667:0.5:1"),
    ];
    for plan in plans {
        let [before, after] = scores(&plan, &data);
        assert!(
            after < before - 0.75,
            "{before:.2} to {after:.2}: {:?} with {:?}",
            plan.model,
            plan.sampling
        );
    }
}

/// A temperature that the estimator does not have would be annealed without effect, and would still appear in
/// the results.
#[test]
fn only_a_temperature_can_be_annealed() {
    let data = images(10, 60, 20);
    let refusal = |model: ModelShape, estimator: &str| {
        let tau = Some("tail:2,1,0,600".parse().unwrap());
        let sampling = Sampling { tau, ..Sampling::named(estimator) };
        let plan = plan(model, estimator).with_sampling(sampling).unwrap();
        plan.begin(&data).err().map(|error| error.to_string())
    };
    for estimator in ["gumbel-softmax:1", "st-gumbel-softmax:1", "gumbel-rao:10:1", "st-softmax:1"] {
        assert_eq!(refusal(plans::vae(CATEGORIES), estimator), None, "{estimator}");
    }
    let net = || plans::belief(Link::Linear);
    for (model, estimator) in [
        (plans::vae(CATEGORIES), "reinmax:1.5"),
        (plans::vae(CATEGORIES), "rloo:2"),
        (net(), "concrete:0.6666667:0.5:1"),
    ] {
        let expected =
            format!("tau: expected an estimator with a temperature to anneal, found `{estimator}`");
        assert_eq!(refusal(model, estimator), Some(expected));
    }
}

/// Twenty images with a known class among five hundred; one class in ten is right by chance.
#[test]
fn a_semi_supervised_model_learns_to_tell_classes() {
    let data = images(10, 600, 200);
    for estimator in ["gumbel-softmax:0.5", "vimco:3"] {
        let mut run = plan(plans::semi(), estimator).begin(&data).unwrap();
        let before = run.evaluate(SplitKind::Test, 1).scores.nll;
        while !run.is_finished() {
            run.step();
        }
        let scores = run.evaluate(SplitKind::Test, 1).scores;
        let accuracy = scores.accuracy.unwrap();
        assert!(
            accuracy > 0.9 && scores.nll < before - 5.0,
            "{estimator}: accuracy {accuracy}, -ELBO {before} to {}",
            scores.nll
        );
    }
}
