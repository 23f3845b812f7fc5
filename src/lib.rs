//! Reverse-mode autodiff in which sampling a discrete variable is an ordinary, differentiable, fast operation.
#![forbid(unsafe_code)]

mod checkpoint;
pub mod data;
mod error;
mod file;
pub mod gradcheck;
mod gradients;
pub mod models;
pub mod nn;
mod noise;
pub mod optim;
mod params;
mod print;
mod schedule;
mod shape;
mod tape;
pub mod train;
mod var;

pub use checkpoint::Checkpoint;
pub use error::{Error, Result};
pub use file::write_atomically;
pub use gradients::{Gradients, InputGradients};
pub use noise::{DrawSource, Noise, NormalSource};
pub use params::{ParamId, Params};
pub use reparam_ops::matmul::Write;
pub use schedule::Schedule;
pub use shape::Shape;
pub use tape::{Inputs, NotFinite, Recorded, Rule, Tape};
pub use var::{Activation, Temperature, Var};

/// The pages of docs/ whose code runs with the tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/adding-an-op.md")]
    struct AddingAnOp;
}
