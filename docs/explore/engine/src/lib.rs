//! The engine as WebAssembly: the functions that the pages in docs/explore call.
//!
//! Every function takes numbers, reads more of them from [`exchange`], and leaves its answer there. It calls
//! reparam and reparam-ops for samples, gradients and estimates, and computes the exact quantities in f64.
//! The pages only draw.

pub mod baseline;
pub mod bump;
pub mod darts;
pub mod descent;
pub mod elbo;
mod estimators;
pub mod exchange;
pub mod live_tape;
pub mod proof;
pub mod race;
pub mod relaxed;
pub mod staircase;
mod statistics;
#[cfg(any(test, feature = "vae"))]
pub mod vae;

#[cfg(test)]
mod tests;
