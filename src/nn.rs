//! Layers: parameters with a forward method.

mod init;
mod linear;
mod mlp;

pub use init::Init;
pub use linear::Linear;
pub use mlp::Mlp;
