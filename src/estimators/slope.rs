//! Gradients taken on the way: an estimator that needs the loss's slope runs a backward pass of its own.

use super::{Discrete, Loss, evaluate};
use crate::noise::Noise;
use crate::var::Var;

/// The variable with its logits as a leaf of its own: what is differentiated by it goes no further.
pub(super) fn own_leaf(variable: Discrete<'_>) -> Discrete<'_> {
    variable.with_logits(copy_as_variable(variable.logits()))
}

/// A copy of a value as a variable.
pub(super) fn copy_as_variable(x: Var<'_>) -> Var<'_> {
    x.tape().variable(&x.to_vec(), x.shape())
}

/// The gradient of the sum of a loss by a variable, as a constant; 0 where the loss has none, as on a tape that keeps
/// nothing to go back along.
pub(super) fn gradient_of<'t>(loss: Var<'t>, variable: Var<'t>) -> Var<'t> {
    let gradients = loss.sum().gradients_if_any();
    variable.tape().input_with(variable.shape(), |out| match gradients.of(variable) {
        Some(gradient) => out.copy_from_slice(gradient),
        None => out.fill(0.0),
    })
}

/// f and f' at `z`, both as constants.
pub(super) fn value_and_slope<'t>(loss: Loss<'_, 't>, z: Var<'t>, noise: &mut Noise) -> (Var<'t>, Var<'t>) {
    let z = copy_as_variable(z);
    let f = evaluate(loss, z, noise);
    (f.stop_gradient(), gradient_of(f, z))
}
