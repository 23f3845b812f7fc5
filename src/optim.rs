//! Optimizers: they change parameters by their gradients, in place, after the tape has let go of them.

mod adam;
mod buffers;
mod sgd;

pub use adam::Adam;
pub use sgd::Sgd;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::params::Params;

/// What every optimizer does.
pub trait Optimizer: Send {
    /// One update of every parameter that has a gradient and is not frozen.
    ///
    /// # Panics
    /// If a tape still shares a parameter: call `tape.reset()` first. If the steps before were those of other [`Params`].
    #[track_caller]
    fn step(&mut self, params: &mut Params, gradients: &Gradients);

    /// The step size of the next update.
    fn learning_rate(&self) -> f64;

    /// Sets the step size from the next update on.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// Updates made so far.
    fn steps(&self) -> u64;

    /// Puts the number of steps and the running buffers into a checkpoint, under names that begin with `prefix`.
    fn save(&self, prefix: &str, params: &Params, checkpoint: &mut Checkpoint);

    /// Takes up what [`save`](Self::save) of an optimizer of the same kind put, for parameters declared as those were.
    ///
    /// # Errors
    /// If something is missing or has another shape.
    fn restore(&mut self, prefix: &str, params: &Params, checkpoint: &Checkpoint) -> Result<()>;
}
