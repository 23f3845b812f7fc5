//! Reverse-mode autodiff in which sampling a discrete variable is an ordinary, differentiable, fast operation.
//!
//! A [`Tape`] records; a [`Var`] is a handle to a value on it, with the ops as methods; [`Var::backward`] gives
//! [`Gradients`]. [`Params`] hold what is trained, [`optim`] changes them, [`Noise`] is where randomness comes from.
//! [`distributions`] and [`estimators`] are built on that, and the [`lab`] holds the estimators against the truth.
//! To read the engine, begin with `src/shape.rs`, `src/tape.rs`, `src/var.rs`; the arithmetic is in [`reparam_ops`].
//!
//! ```
//! use reparam::{Noise, Tape};
//!
//! let tape = Tape::new();
//! let logits = tape.variable(&[0.5, 1.5, -1.0], [1, 3]);
//! let scores = tape.input(&[1.0, 2.0, 3.0], [1, 3]);
//! let sample = logits.gumbel_softmax(0.5, &mut Noise::seed(1));
//! let gradients = (sample * scores).sum().backward();
//! println!("{tape}{:?}", gradients.of(logits));
//! ```
//!
//! # Errors and panics
//!
//! A mistake in the program (shapes that do not fit, two tapes mixed, tau <= 0) panics at the caller's line with the
//! op, the shapes and a hint. Data from outside (files, checkpoints) gives a [`Result`] with one [`Error`] type.
#![forbid(unsafe_code)]

mod checkpoint;
#[cfg(any(doc, doctest))]
pub mod course;
pub mod data;
pub mod distributions;
mod drawing;
mod error;
pub mod estimators;
mod file;
pub mod gradcheck;
mod gradients;
pub mod lab;
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
mod words;

pub use checkpoint::Checkpoint;
pub use error::{Error, Result};
pub use file::write_atomically;
pub use gradients::{Gradients, InputGradients};
pub use noise::{Noise, NoiseSource};
pub use params::{ParamId, Params};
pub use reparam_ops::Write;
pub use reparam_ops::noise::Draws;
pub use schedule::Schedule;
pub use shape::Shape;
pub use tape::{Inputs, NotFinite, Recorded, Rule, Tape};
pub use var::{Activation, Temperature, Var};

/// The page whose code runs with the tests, beside those of the course.
#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../README.md")]
struct Readme;
