//! `bce_with_logits`: the negative log-likelihood of binary data under Bernoulli logits.

use reparam_ops::bce_with_logits as kernel;

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, one_shape, tier};

/// loss = softplus(x) - t x
#[derive(Debug)]
struct BceWithLogits;

impl Rule for BceWithLogits {
    fn name(&self) -> &'static str {
        "bce_with_logits"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (logits, target, dloss) = (node.input(0), node.input(1), node.gradient());
        if let Some(dlogits) = gradients.add_to(0) {
            kernel::backward(tier(), logits, target, dloss, dlogits);
        }
        if let Some(dtarget) = gradients.add_to(1) {
            kernel::backward_target(tier(), logits, dloss, dtarget);
        }
    }
}

/// # Loss of bits
impl<'t> Var<'t> {
    /// -t ln sigmoid(x) - (1 - t) ln(1 - sigmoid(x)), elementwise, in nats. `self` holds the logits x and
    /// `target` the data t in \[0, 1\]. The loss is finite for every finite x. For an infinite x it is 0 if t
    /// is the certain outcome, else +inf.
    ///
    /// dx = dy (sigmoid(x) - t) and dt = -dy x.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn bce_with_logits(self, target: Var<'t>) -> Var<'t> {
        let shape = one_shape("bce_with_logits", ("x", self), ("the target", target));
        self.tape().record(BceWithLogits, &[self, target], shape, |v, y| {
            kernel::forward(tier(), &v[0], &v[1], y);
        })
    }
}
