//! Kernels on flat `f32` slices: forward and backward side by side, no tape, no shapes beyond rows x classes.

pub mod adam;
pub mod axis;
pub mod bce_with_logits;
pub mod bernoulli;
pub mod bernoulli_kl;
pub mod binary_concrete;
pub mod categorical_kl;
pub mod cross_entropy;
pub mod draw;
pub mod elementwise;
pub mod exp_concrete;
pub mod gaussian;
pub mod gumbel_max;
pub mod gumbel_softmax;
pub mod index;
pub mod lanes;
pub mod linear;
pub mod logit_binary_concrete;
pub mod math;
pub mod matmul;
pub mod noise;
pub mod parallel;
pub mod scratch;
pub mod sgd_momentum;
pub mod simd;
pub mod softmax;
pub mod st_argmax;
pub mod st_categorical;

pub use simd::{LANES, Tier};
