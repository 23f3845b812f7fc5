//! Optimizers: they change parameters by their gradients, in place, after the tape has let go of them.

mod adam;
mod sgd;

pub use adam::Adam;
pub use sgd::Sgd;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::params::Params;
use crate::shape::Shape;

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

    /// Puts the number of steps and the running buffers into a checkpoint, under names that begin with `prefix`.
    fn save(&self, prefix: &str, params: &Params, checkpoint: &mut Checkpoint);

    /// Takes up what [`save`](Self::save) of an optimizer of the same kind put, for parameters declared as those were.
    ///
    /// # Errors
    /// If something is missing or has another shape.
    fn restore(&mut self, prefix: &str, params: &Params, checkpoint: &Checkpoint) -> Result<()>;
}

/// Puts one tensor per parameter; one of no length where there is no buffer yet.
fn save_buffers(prefix: &str, params: &Params, buffers: &[Vec<f32>], checkpoint: &mut Checkpoint) {
    for id in params.ids() {
        let name = format!("{prefix}{}", params.name(id));
        match buffers.get(id.index()).filter(|buffer| !buffer.is_empty()) {
            Some(buffer) => checkpoint.put(&name, params.shape(id), buffer),
            None => checkpoint.put(&name, &Shape::from([0]), &[]),
        }
    }
}

/// What [`save_buffers`] put.
fn restore_buffers(prefix: &str, params: &Params, checkpoint: &Checkpoint) -> Result<Vec<Vec<f32>>> {
    let buffer = |id| {
        let name = format!("{prefix}{}", params.name(id));
        let has_none = checkpoint.tensor(&name).is_some_and(|(shape, _)| *shape == Shape::from([0]));
        Ok(if has_none { Vec::new() } else { checkpoint.shaped(&name, params.shape(id))?.to_vec() })
    };
    params.ids().map(buffer).collect()
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
