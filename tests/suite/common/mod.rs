//! Parts that several modules of the suite share.

pub(crate) mod bars;
pub(crate) mod mistake;
pub(crate) mod repository;
pub(crate) mod small_vae;
