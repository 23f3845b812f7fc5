//! Reverse-mode autodiff in which sampling a discrete variable is an ordinary, differentiable, fast operation.
#![forbid(unsafe_code)]

mod gradients;
mod noise;
mod params;
mod shape;
mod tape;
mod var;

pub use gradients::{Gradients, InputGradients};
pub use noise::{DrawSource, Noise};
pub use params::{ParamId, Params};
pub use reparam_ops::matmul::Write;
pub use shape::Shape;
pub use tape::{Inputs, NotFinite, Recorded, Rule, Tape};
pub use var::{Activation, Temperature, Var};
