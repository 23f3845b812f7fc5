//! Plans of runs that take no time.

use reparam::Variables;
use reparam::models::{FewLabelsShape, Guidance, KnownLabels, Link, ModelShape};
use reparam::train::{OptimizerPlan, Plan, Sampling, Training, Validation, falling};

/// A VAE of such variables.
pub(crate) fn vae(latents: Variables) -> ModelShape {
    ModelShape::Vae { latents, encoder: vec![], decoder: vec![8] }
}

/// A net with two layers of such variables between the halves of an image.
pub(crate) fn sbn(layer: Variables) -> ModelShape {
    ModelShape::Prediction { layers: vec![layer, layer] }
}

/// A belief net of two layers of bits.
pub(crate) fn belief(link: Link) -> ModelShape {
    ModelShape::BeliefNet { layers: vec![8, 6], link }
}

/// Few images, of which two of each class are labelled, with all that regularises q(y | x) on the others.
pub(crate) fn semi() -> ModelShape {
    ModelShape::FewLabels(FewLabelsShape {
        latents: 2,
        hidden: vec![20],
        labels: KnownLabels::OfEachClass(2),
        weight: 30.0,
        shift: 0,
        guidance: Some(Guidance { smoothness: 1.0, radius: 1.0, balance: 1.0 }),
    })
}

/// Each of the models that the command line trains.
pub(crate) fn every_model() -> [ModelShape; 5] {
    let layer = Variables::Categories { count: 3, classes: 4 };
    [vae(layer), sbn(layer), belief(Link::Nonlinear), semi(), ModelShape::Classifier { hidden: vec![16] }]
}

/// A plan with the estimator of that name, or without one for a classifier.
pub(crate) fn plan(model: ModelShape, estimator: &str, steps: u64) -> Plan {
    let sampling = match model {
        ModelShape::Classifier { .. } => None,
        _ => Some(Sampling::named(estimator)),
    };
    let training = Training {
        batch: 20,
        steps,
        seed: 5,
        optimizer: OptimizerPlan::Adam { beta1: 0.9, beta2: 0.99 },
        learning_rate: falling(1e-2, steps),
        clip_norm: None,
        validation: Some(Validation { every: 7, samples: 2, keep_best: true, patience: None }),
    };
    Plan { model, sampling, training }
}
