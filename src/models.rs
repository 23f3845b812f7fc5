//! Models, ready to train: a categorical variational autoencoder and an MLP classifier.

mod classifier;
mod vae;

pub use classifier::Classifier;
pub use vae::{Bound, HardBound, Sample, Vae, VaeShape};
