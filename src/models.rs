//! Models, ready to train: a variational autoencoder, sigmoid belief nets that predict or generate, a semi-supervised model
//! and an MLP classifier.

mod adversary;
mod belief_net;
mod bound;
mod classifier;
mod nodes;
mod prediction;
mod semi_supervised;
mod vae;

use reparam_ops::internal::argmax;

use crate::estimators::{Estimator, Objective};
use crate::nn::Linear;
use crate::params::{ParamId, Params};
use crate::var::Var;

pub use belief_net::{BeliefNet, BeliefNetShape, Link};
pub use bound::multi_sample_bound;
pub use classifier::Classifier;
pub use nodes::Nodes;
pub use prediction::Prediction;
pub use semi_supervised::{Guidance, LossWeights, SemiSupervised, SemiSupervisedShape};
pub use vae::{HardBound, Vae, VaeShape};

/// Gives the last layer's bias the logits of the base rates, which are kept off 0 and 1: some pixels are never lit.
fn start_at_base_rates(params: &mut Params, last: &Linear, means: &[f32]) {
    for (bias, mean) in params.value_mut(last.bias).iter_mut().zip(means) {
        let rate = mean.clamp(1e-3, 1.0 - 1e-3);
        *bias = (rate / (1.0 - rate)).ln();
    }
}

/// The mean of the inputs as a parameter, so that a checkpoint has it; frozen.
fn frozen_mean(params: &mut Params, name: &str, mean: &[f32]) -> ParamId {
    let id = params.add(name, [mean.len()], mean.to_vec());
    params.freeze(id);
    id
}

/// Panics unless the estimator is one of an expected loss: the models' losses are, and a bound of several samples is the minimum
/// of something else.
#[track_caller]
fn check_objective(model: &str, estimator: &dyn Estimator) {
    assert!(
        estimator.objective() == Objective::Expected,
        "{model}: its loss is an expectation, and {} estimates a bound of several samples; `bound` is that where there is one",
        estimator.name()
    );
}

/// Panics unless there is such an estimator for each of so many layers.
#[track_caller]
fn check_estimators(model: &str, layers: usize, estimators: &[Box<dyn Estimator>]) {
    let found = estimators.len();
    assert!(found == layers, "{model}: {found} estimators given for {layers} layers");
    for estimator in estimators {
        check_objective(model, estimator.as_ref());
    }
}

/// How many rows of logits are largest at their label.
fn right_answers(logits: Var<'_>, labels: &[u32]) -> usize {
    let (rows, classes) = (logits.value(), logits.shape().classes());
    // A NaN is no answer.
    let is_answer = |row: &[f32]| !row.iter().any(|logit| logit.is_nan());
    let right = |(row, label): &(&[f32], &u32)| is_answer(row) && argmax(row) == **label as usize;
    rows.chunks_exact(classes).zip(labels).filter(right).count()
}
