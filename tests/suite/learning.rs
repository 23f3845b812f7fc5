//! Do the cells of the papers' tables learn, whatever they train?

use reparam::data::{Digits, SplitKind};
use reparam::estimators::Kind;
use reparam::models::{BeliefNetShape, Guidance, Link, SemiSupervisedShape};
use reparam::train::{CellModel, CellRun, CellSettings, Labels};

use crate::common::bars::images;

const BITS: Kind = Kind { variables: 8, classes: None };
const CATEGORIES: Kind = Kind { variables: 2, classes: Some(10) };

fn settings(model: CellModel, estimator: &str, samples: usize) -> CellSettings {
    CellSettings {
        model,
        estimator: estimator.to_owned(),
        samples,
        tau: None,
        learning_rate: 1e-2,
        betas: (0.9, 0.99),
        batch: 50,
        steps: 600,
        validate_every: 600,
        seed: 1,
    }
}

/// What a cell scores on the validation images before its first step and behind its last.
fn scores(settings: CellSettings, data: &Digits) -> [f64; 2] {
    let mut run = CellRun::new(settings, data).unwrap();
    let before = run.evaluate(SplitKind::Validation, 20).mean;
    while !run.is_finished() {
        run.step();
    }
    [before, run.evaluate(SplitKind::Validation, 20).mean]
}

/// A cell begins at the rates at which pixels are lit. Which of ten bars there is saves nats beyond that: up to ten or so of a
/// whole image, a few of its lower half, of which the upper tells only whether there is one.
#[test]
fn every_kind_of_cell_learns() {
    let data = images(10, 600, 20);
    let vae = |latents| CellModel::Vae { latents, encoder: vec![], decoder: vec![20] };
    let net = |link| CellModel::BeliefNet(BeliefNetShape { layers: vec![8, 6], link });
    let cells = [
        settings(vae(BITS), "gumbel-softmax:0.5", 1),
        settings(vae(BITS), "disarm", 1),
        settings(vae(CATEGORIES), "st-gumbel-softmax:1", 1),
        settings(vae(CATEGORIES), "rebar", 1),
        settings(CellModel::Prediction(vec![BITS, BITS]), "st-softmax:1", 1),
        settings(CellModel::Prediction(vec![CATEGORIES, CATEGORIES]), "gumbel-softmax:1", 1),
        settings(CellModel::Prediction(vec![BITS, BITS]), "concrete:0.6666667:0.5", 3),
        settings(net(Link::Linear), "nvil", 1),
        settings(net(Link::Nonlinear), "vimco", 3),
        settings(net(Link::Nonlinear), "concrete:0.6666667:0.5", 1),
    ];
    for settings in cells {
        let (model, estimator) = (format!("{:?}", settings.model), settings.estimator.clone());
        let [before, after] = scores(settings, &data);
        assert!(after < before - 0.75, "{before:.2} to {after:.2}: {model} by {estimator}");
    }
}

/// A temperature that is not there would be annealed without effect, and stand in the results all the same.
#[test]
fn only_a_temperature_can_be_annealed() {
    let data = images(10, 60, 20);
    let vae = CellModel::Vae { latents: CATEGORIES, encoder: vec![], decoder: vec![20] };
    let net = CellModel::BeliefNet(BeliefNetShape { layers: vec![8, 6], link: Link::Linear });
    let refusal = |model: &CellModel, estimator: &str| {
        let settings = CellSettings { tau: Some((2.0, 1.0)), ..settings(model.clone(), estimator, 1) };
        CellRun::new(settings, &data).err().map(|error| error.to_string())
    };
    for estimator in ["gumbel-softmax:1", "st-gumbel-softmax:1", "gumbel-rao:10:1", "st-softmax:1"] {
        assert_eq!(refusal(&vae, estimator), None, "{estimator}");
    }
    for (model, estimator) in [(&vae, "reinmax:1.5"), (&vae, "rloo:2"), (&net, "concrete:0.6666667:0.5")] {
        let expected =
            format!("tau: expected an estimator with a temperature to anneal, found `{estimator}`");
        assert_eq!(refusal(model, estimator), Some(expected));
    }
}

/// Twenty images with a class among five hundred; one class in ten is right by chance.
#[test]
fn a_semi_supervised_cell_learns_to_tell_classes() {
    let data = images(10, 600, 200);
    let shape = SemiSupervisedShape { classes: 10, latents: 2, hidden: vec![20], shift: 0 };
    let guidance = Some(Guidance { smoothness: 1.0, radius: 1.0, balance: 1.0 });
    let model = CellModel::SemiSupervised { shape, labels: Labels::OfEachClass(2), weight: 30.0, guidance };
    let mut run = CellRun::new(settings(model, "gumbel-softmax:0.5", 1), &data).unwrap();
    let before = run.evaluate(SplitKind::Test, 1).mean;
    while !run.is_finished() {
        run.step();
    }
    let (after, accuracy) = (run.evaluate(SplitKind::Test, 1).mean, run.accuracy(SplitKind::Test).unwrap());
    assert!(accuracy > 0.9 && after < before - 5.0, "accuracy {accuracy}, -ELBO {before} to {after}");
}
