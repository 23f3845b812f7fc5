//! Parts that several modules of the suite share.

pub(crate) mod bars;
#[cfg(all(feature = "cli", target_os = "linux"))]
pub(crate) mod desk;
pub(crate) mod mistake;
pub(crate) mod plans;
pub(crate) mod repository;
pub(crate) mod small_vae;
