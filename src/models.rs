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

pub use belief_net::{BeliefNet, BeliefNetShape, Link};
pub use bound::multi_sample_bound;
pub use classifier::Classifier;
pub use nodes::Nodes;
pub use prediction::Prediction;
pub use semi_supervised::{Guidance, LossWeights, SemiSupervised, SemiSupervisedShape};
pub use vae::{Bound, HardBound, Sample, Vae, VaeShape};

/// The logit of a base rate, which is kept off 0 and 1: some pixels are never lit.
fn base_rate_logit(mean: f32) -> f32 {
    let rate = mean.clamp(1e-3, 1.0 - 1e-3);
    (rate / (1.0 - rate)).ln()
}
