//! Models, ready to train: a variational autoencoder, a net of discrete layers that predicts, and an MLP classifier.

mod bound;
mod classifier;
mod prediction;
mod vae;

pub use bound::multi_sample_bound;
pub use classifier::Classifier;
pub use prediction::Prediction;
pub use vae::{Bound, HardBound, Sample, Vae, VaeShape};

/// The logit of a base rate, which is kept off 0 and 1: some pixels are never lit.
fn base_rate_logit(mean: f32) -> f32 {
    let rate = mean.clamp(1e-3, 1.0 - 1e-3);
    (rate / (1.0 - rate)).ln()
}
