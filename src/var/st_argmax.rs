//! `st_argmax`: the one-hot vector of the largest logit with the gradient of softmax(logits / tau).

use reparam_ops::st_argmax as kernel;

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::temperature::{Temperature, backward_with_tau};
use crate::var::{Var, tier};

/// y = one-hot of argmax(logits), with the gradient of softmax(logits / tau).
#[derive(Debug)]
struct StArgmax {
    classes: usize,
    tau: f32,
}

impl Rule for StArgmax {
    fn name(&self) -> &'static str {
        "st_argmax"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (logits, dy) = (node.input(0), node.gradient());
        backward_with_tau(node, gradients, |want_tau, dlogits| {
            kernel::backward(tier(), logits, dy, self.classes, self.tau, want_tau, dlogits)
        });
    }
}

/// # Choices of classes: straight-through argmax
impl<'t> Var<'t> {
    /// The one-hot vector of the largest logit, without noise, differentiated as if it were softmax(logits /
    /// tau). Ties take the lowest index. `self` holds logits `[.., classes]`; the gradient of a class masked
    /// with -inf is exactly 0.
    ///
    /// With p = softmax(logits / tau) and h = p (dy - <p, dy>): dlogits = h / tau and dtau = -sum(h ln p) /
    /// tau.
    ///
    /// # Saved
    /// Nothing beyond the logits.
    ///
    /// # Panics
    /// If tau is not positive and finite, or a row is fully masked.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let y = tape.variable(&[1.0, 3.0, 2.0], [3]).st_argmax(1.0);
    /// assert_eq!(y.to_vec(), [0.0, 1.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn st_argmax(self, tau: impl Into<Temperature<'t>>) -> Var<'t> {
        const OP: &str = "st_argmax";
        let temperature = tau.into();
        let (shape, tau) = (self.shape(), temperature.check(OP));
        let classes = self.classes(OP);
        self.record_rows(StArgmax { classes, tau }, &temperature.inputs([self]), shape, |x, y| {
            kernel::forward(tier(), &x[0], classes, y)
        })
    }
}
