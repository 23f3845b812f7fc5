//! Reverse-mode autodiff in which sampling a discrete variable is an ordinary, differentiable, fast
//! operation.
//!
//! A [`Tape`] records a computation. A [`Var`] is a handle to a value on it and has the ops as methods.
//! [`Var::backward`] returns [`Gradients`]. [`Params`] hold the trained values, [`optim`] updates them, and
//! [`Noise`] supplies the randomness. To read the engine, start with `src/shape.rs`, `src/tape.rs`,
//! `src/var.rs`; the arithmetic is in [`reparam_ops`].
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
//! # Learn
//!
//! [The course](course) leads from a coin to a VAE with discrete latent variables in thirteen chapters,
//! and all its code runs. The [`lab`] compares any estimator of a discrete gradient with the exact gradient:
//!
//! ```
//! use reparam::estimators::LeaveOneOut;
//! use reparam::lab::{Quadratic, measure};
//! use reparam::Noise;
//!
//! let found = measure(&Quadratic::new(5), &mut LeaveOneOut::new(4), 2_000, 0, &mut Noise::seed(1)).unwrap();
//! println!("bias {:.1e} +- {:.1e}, variance {:.1e}", found.bias, found.bias_standard_error, found.variance);
//! assert!(found.agrees);
//! ```
//!
//! # Build
//!
//! - [`Var`] has the ops, [`nn`] the layers, [`optim`] Adam and SGD. [`gradcheck`] checks your own [`Rule`].
//! - [`distributions`] has samples, densities and divergences of bits, classes and their relaxations.
//! - [`estimators`] passes a gradient through [`Logits`] of bits or classes: relaxed, straight-through,
//!   score-function.
//! - [`models`] has VAEs, belief nets, a semi-supervised model, a classifier, and the trait for your own
//!   model.
//! - [`train`] trains any model with any estimator that fits it, with checkpoints, on the embedded digits or
//!   your own [`data`].
//!
//! ```
//! use reparam::nn::Mlp;
//! use reparam::optim::Adam;
//! use reparam::{Activation, Noise, Params, Tape};
//!
//! let (mut tape, mut params, mut noise) = (Tape::new(), Params::new(), Noise::seed(1));
//! let net = Mlp::new(&mut params, "net", &[2, 8, 3], Activation::Tanh, &mut noise);
//! let mut adam = Adam::new(0.02);
//! let mut loss = 0.0;
//! for _ in 0..100 {
//!     loss = adam.minimize(&mut tape, &mut params, |tape, params| {
//!         let points = tape.input(&[0.5, -1.0, -0.5, 2.0], [2, 2]);
//!         let choice = net.forward(params, points).gumbel_softmax(0.5, &mut noise);
//!         (choice * tape.input(&[3.0, 1.0, 2.0, 1.0, 3.0, 2.0], [2, 3])).sum_axis(1).mean()
//!     });
//! }
//! assert!(loss < 1.2, "the cheaper class of each point costs 1, it pays {loss}");
//! ```
//!
//! # Measure
//!
//! The kernels live in a separate crate, [`reparam_ops`]: slices in, slices out. `reparam bench kernels`
//! compares each with a copy of the same memory, and `reparam bench step` compares a training step with its
//! matrix products alone.
//!
//! ```
//! use reparam_ops::{Tier, gumbel_softmax, noise::Stream};
//!
//! let (logits, mut sample) = ([0.5, 1.5, -1.0, 2.0, 0.0, 1.0], [0.0; 6]);
//! let _ = gumbel_softmax::forward(Tier::best(), Stream::new(1).into(), &logits, 3, 0.5, &mut sample);
//! assert!(sample.chunks(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
//! ```
//!
//! # Features
//!
//! All are on by default.
//!
//! | feature | brings |
//! | --- | --- |
//! | `embedded` | `data::Digits::embedded`: 70,000 digits inside the crate, 2.3 MB |
//! | `gzip` | compressed IDX files |
//! | `cli` | the command `reparam`, and `reparam::cli` for your own command line |
//!
//! The engine alone: `cargo add reparam --no-default-features`.
//!
//! # Errors and panics
//!
//! A mistake in the program (shapes that do not fit, two tapes mixed, tau <= 0) panics at the caller's line
//! with the op, the shapes and a hint. Debug builds also panic for a distribution parameter that is NaN and
//! for constants outside the support. Functions that read outside data (files, checkpoints) return a
//! [`Result`] with a single [`Error`] type.
#![forbid(unsafe_code)]

mod checkpoint;
mod checksum;
#[cfg(feature = "cli")]
pub mod cli;
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
#[cfg(feature = "cli")]
mod interrupt;
pub mod lab;
pub mod models;
pub mod nn;
mod noise;
mod numbers;
pub mod optim;
mod params;
mod print;
mod schedule;
mod shape;
mod tape;
pub mod train;
mod var;
mod variables;
mod words;

pub use checkpoint::Checkpoint;
pub use error::{Error, Result};
pub use gradients::{Gradients, InputGradients};
pub use noise::{Noise, NoiseSource};
pub use params::{ParamId, Params};
pub use reparam_ops::noise::Draws;
pub use schedule::Schedule;
pub use shape::Shape;
pub use tape::{Inputs, NotFinite, Recorded, Rule, Tape};
pub use var::{Activation, Temperature, Var};
pub use variables::{Logits, Variables};

/// Items shared by the packages of this repository. They are not part of the public API.
#[doc(hidden)]
pub mod internal {
    pub use crate::file::write_atomically;
    pub use crate::tape::MOST_SCORES;
}

/// The README, whose code runs with the tests, like the course's.
#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../README.md")]
struct Readme;
