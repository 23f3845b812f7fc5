//! Optimizers: they change parameters by their gradients, in place, after the tape has let go of them.

mod adam;
mod sgd;

pub use adam::Adam;
pub use sgd::Sgd;

use crate::gradients::Gradients;
use crate::params::Params;

/// What every optimizer does.
pub trait Optimizer: Send {
    /// One update of every parameter that has a gradient and is not frozen.
    ///
    /// # Panics
    /// If a tape still shares a parameter: call `tape.reset()` first.
    #[track_caller]
    fn step(&mut self, params: &mut Params, gradients: &Gradients);

    /// The step size of the next update.
    fn learning_rate(&self) -> f64;

    /// Sets the step size from the next update on.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// Updates made so far.
    fn steps(&self) -> u64;

    /// The running buffers by name, one entry per parameter in declaration order: what a checkpoint stores.
    fn buffers(&self) -> Vec<(&'static str, &[Vec<f32>])>;

    /// Puts back the steps and buffers of an optimizer of the same kind. An empty buffer is one not used yet.
    fn restore(&mut self, steps: u64, buffers: Vec<Vec<Vec<f32>>>);
}

/// The buffer of parameter `index`, zero when first used.
fn buffer(buffers: &mut Vec<Vec<f32>>, index: usize, len: usize) -> &mut [f32] {
    if buffers.len() <= index {
        buffers.resize_with(index + 1, Vec::new);
    }
    let buffer = &mut buffers[index];
    buffer.resize(len, 0.0);
    buffer
}
