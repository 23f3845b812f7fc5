//! A loss with a ready-made gradient for the logits.

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::Var;

/// The value of input 0, whose gradient passes; input 1 gets input 2 times the gradient of its row.
#[derive(Debug)]
struct WithLogitsGradient;

impl Rule for WithLogitsGradient {
    fn name(&self) -> &'static str {
        "with_logits_gradient"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let dy = node.gradient();
        if let Some(dloss) = gradients.add_to(0) {
            dloss.iter_mut().zip(dy).for_each(|(dloss, dy)| *dloss += dy);
        }
        if let Some(dlogits) = gradients.add_to(1).filter(|dlogits| !dlogits.is_empty()) {
            let width = dlogits.len() / dy.len();
            let estimates = node.input(2).chunks_exact(width);
            for ((dlogits, estimate), dy) in dlogits.chunks_exact_mut(width).zip(estimates).zip(dy) {
                dlogits.iter_mut().zip(estimate).for_each(|(dlogit, g)| *dlogit += g * dy);
            }
        }
    }
}

/// The loss `[rows]` with its own gradient, and beside it d loss_r / d logits_r = `estimate_r`, row by row. `estimate` has
/// the logits' shape.
///
/// # Panics
/// If the shapes do not fit.
#[track_caller]
pub fn with_logits_gradient<'t>(loss: Var<'t>, logits: Var<'t>, estimate: Var<'t>) -> Var<'t> {
    assert!(
        logits.shape() == estimate.shape() && logits.shape().dims()[0] == loss.shape().len(),
        "the loss must be [rows], logits and their gradient [rows, ..]; they are {}, {} and {}",
        loss.shape(),
        logits.shape(),
        estimate.shape()
    );
    let tape = loss.tape();
    tape.record(WithLogitsGradient, &[loss, logits, estimate], loss.shape(), |inputs, y| {
        y.copy_from_slice(&inputs[0]);
    })
}
