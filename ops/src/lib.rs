//! Kernels on flat `f32` slices: forward and backward side by side, no tape, no shapes beyond rows x classes.

pub mod adam;
pub mod axis;
pub mod bce_with_logits;
pub mod categorical_kl;
pub mod draw;
pub mod elementwise;
pub mod gumbel_softmax;
pub mod index;
pub mod lanes;
pub mod linear;
pub mod math;
pub mod matmul;
pub mod noise;
pub mod parallel;
pub mod scratch;
pub mod sgd_momentum;
pub mod simd;
pub mod softmax;

pub use simd::{LANES, Tier};
