//! Optimizers, which update parameters in place with their gradients, after the tape has released them.

mod adam;
mod buffers;
mod setting;
mod sgd;

pub use adam::Adam;
pub(crate) use setting::LARGEST;
pub use sgd::Sgd;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::params::Params;
use crate::tape::Tape;
use crate::var::Var;

/// An optimizer, which updates parameters step by step. Implement this trait for your own. To make an update,
/// call the method `step` of [`Adam`], [`Sgd`] or `dyn Optimizer`.
pub trait Optimizer: Send {
    /// Updates every parameter that has a gradient and is not frozen. This is the method to implement.
    /// Callers use `step`, which panics with the error at the caller's line.
    ///
    /// # Errors
    /// A sentence about the mistake, if a tape still shares a parameter, if earlier steps were for other
    /// [`Params`], or if the step size is out of range.
    fn update(&mut self, params: &mut Params, gradients: &Gradients) -> std::result::Result<(), String>;

    /// The step size of the next update.
    fn learning_rate(&self) -> f64;

    /// Sets the step size from the next update on. That update returns an error if it is out of range.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// Updates made so far.
    fn steps(&self) -> u64;

    /// Saves the number of steps and the running buffers into a checkpoint, under names that begin with
    /// `prefix`.
    ///
    /// # Panics
    /// If the checkpoint already has a tensor of the same name, for example a parameter.
    #[track_caller]
    fn save(&self, prefix: &str, params: &Params, checkpoint: &mut Checkpoint);

    /// Loads what [`save`](Self::save) of an optimizer of the same kind stored, for parameters declared the
    /// same way.
    ///
    /// # Errors
    /// If something is missing or has another shape.
    fn restore(&mut self, prefix: &str, params: &Params, checkpoint: &Checkpoint) -> Result<()>;
}

impl dyn Optimizer + '_ {
    /// Updates every parameter that has a gradient and is not frozen.
    ///
    /// # Panics
    /// If a tape still shares a parameter: call `tape.reset()` first. If earlier steps were for other
    /// [`Params`], or the step size is out of range.
    #[track_caller]
    pub fn step(&mut self, params: &mut Params, gradients: &Gradients) {
        step(self, params, gradients);
    }
}

#[track_caller]
fn step(optimizer: &mut (impl Optimizer + ?Sized), params: &mut Params, gradients: &Gradients) {
    if let Err(mistake) = optimizer.update(params, gradients) {
        panic!("{mistake}");
    }
}

/// Records a loss on an empty tape, runs the backward pass, resets the tape and updates. A loop written by
/// hand must keep this order.
#[track_caller]
fn minimize(
    optimizer: &mut impl Optimizer,
    tape: &mut Tape,
    params: &mut Params,
    loss: impl for<'t> FnOnce(&'t Tape, &Params) -> Var<'t>,
) -> f32 {
    tape.reset();
    let loss = loss(tape, params);
    let (value, gradients) = (loss.item(), loss.backward());
    tape.reset();
    step(optimizer, params, &gradients);
    value
}

/// The methods that a training loop calls, on the optimizer itself so that it imports no trait.
macro_rules! everyday_methods {
    ($optimizer:ident) => {
        impl $optimizer {
            /// Takes one training step: `loss` records a scalar on the empty tape, and its gradient updates
            /// the parameters. Returns the loss.
            ///
            /// ```
            #[doc = concat!("use reparam::optim::", stringify!($optimizer), ";")]
            /// use reparam::{Params, Tape};
            ///
            /// let (mut tape, mut params) = (Tape::new(), Params::new());
            /// let x = params.add("x", [1], vec![5.0]);
            #[doc = concat!("let mut optimizer = ", everyday_methods!(@example $optimizer), ";")]
            /// for _ in 0..200 {
            ///     optimizer.minimize(&mut tape, &mut params, |tape, params| (params.on(tape, x) - 3.0).square().sum());
            /// }
            /// assert!((params.value(x)[0] - 3.0).abs() < 0.01);
            /// ```
            ///
            /// # Panics
            /// If the loss is not a scalar, or earlier steps were for other [`Params`].
            #[track_caller]
            pub fn minimize(
                &mut self,
                tape: &mut $crate::Tape,
                params: &mut $crate::Params,
                loss: impl for<'t> FnOnce(&'t $crate::Tape, &$crate::Params) -> $crate::Var<'t>,
            ) -> f32 {
                $crate::optim::minimize(self, tape, params, loss)
            }

            /// Updates every parameter that has a gradient and is not frozen.
            ///
            /// # Panics
            /// If a tape still shares a parameter: call `tape.reset()` first. If earlier steps were for other
            /// [`Params`](crate::Params).
            #[track_caller]
            pub fn step(&mut self, params: &mut $crate::Params, gradients: &$crate::Gradients) {
                $crate::optim::step(self, params, gradients);
            }

            /// Sets the step size from the next update on.
            ///
            /// # Panics
            /// If the step size is not from 0 to 1e30.
            #[track_caller]
            pub fn set_learning_rate(&mut self, learning_rate: f64) {
                $crate::optim::Optimizer::set_learning_rate(self, RATE.demand(learning_rate));
            }
        }
    };
    (@example Adam) => {
        "Adam::new(0.1)"
    };
    (@example Sgd) => {
        "Sgd::new(0.02, 0.9)"
    };
}
use everyday_methods;
