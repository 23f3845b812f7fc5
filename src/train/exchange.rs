//! Gradients between processes.

use crate::gradients::Gradients;
use crate::params::Params;

/// Exchanges the gradients of a step between the processes of one run, before clipping and the update.
pub trait Exchange: Send {
    /// Replaces each process's gradients with their mean over all processes.
    fn exchange(&mut self, params: &Params, gradients: &mut Gradients);
}

/// A single process, which exchanges nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Exchange for Alone {
    fn exchange(&mut self, _params: &Params, _gradients: &mut Gradients) {}
}
