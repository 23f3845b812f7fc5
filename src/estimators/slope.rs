//! Gradients in the middle of a forward pass, for estimators that need the slope of the loss. Each runs its
//! own backward pass.

use super::Trial;
use crate::var::Var;
use crate::variables::Logits;

/// The same variables, with a copy of their logits as a leaf, where a backward pass ends.
pub(super) fn own_leaf(logits: Logits<'_>) -> Logits<'_> {
    logits.with(copy_as_variable(logits.var()))
}

/// A copy of a value as a variable.
pub(super) fn copy_as_variable(x: Var<'_>) -> Var<'_> {
    x.tape().variable(&x.to_vec(), x.shape())
}

/// The gradient of the sum of a loss with respect to a variable, as a constant. It is 0 if there is none, as
/// on an inference tape.
pub(super) fn gradient_of<'t>(loss: Var<'t>, variable: Var<'t>) -> Var<'t> {
    let gradients = loss.sum().gradients_if_any();
    variable.tape().input_with(variable.shape(), |out| match gradients.of(variable) {
        Some(gradient) => out.copy_from_slice(gradient),
        None => out.fill(0.0),
    })
}

/// f and f' at `z`, both as constants.
pub(super) fn value_and_slope<'t>(trial: &mut Trial<'_, 't>, z: Var<'t>) -> (Var<'t>, Var<'t>) {
    let z = copy_as_variable(z);
    let f = trial.loss(z);
    (f.stop_gradient(), gradient_of(f, z))
}
