//! `with_logits_gradient`: a loss with a ready-made gradient for the logits. Nothing is copied.

use reparam_ops::elementwise::add_scaled;
use reparam_ops::with_logits_gradient as kernel;

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, tier};

/// The value of input 0, whose gradient passes; input 1 gets input 2 times the gradient of its row.
#[derive(Debug)]
struct WithLogitsGradient;

impl Rule for WithLogitsGradient {
    fn name(&self) -> &'static str {
        "with_logits_gradient"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (estimate, dy) = (node.input(2), node.gradient());
        if let Some(dloss) = gradients.add_to(0) {
            add_scaled(tier(), 1.0, dy, dloss);
        }
        let width = node.input_shape(1).inner(0);
        if let Some(dlogits) = gradients.add_to(1) {
            kernel::backward(tier(), estimate, dy, width, dlogits);
        }
    }
}

/// # Your own gradient for logits
impl<'t> Var<'t> {
    /// The same loss, with a ready-made gradient for `logits` in addition to its own: d loss_r / d logits_r =
    /// `estimate_r`, row by row. An estimator that has computed its gradient returns it this way. The loss is
    /// `[rows]`, one number per row; `logits` and `estimate` have the same shape, `[rows, ..]`.
    ///
    /// dlogits_r = dy_r estimate_r. The gradient of the loss passes through, and the estimate gets none.
    ///
    /// # Saved
    /// Nothing beyond the estimate.
    ///
    /// # Panics
    /// If the shapes do not fit.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let logits = tape.variable(&[0.0; 4], [2, 2]);
    /// let estimate = tape.input(&[0.5, -0.5, 0.25, -0.25], [2, 2]);
    /// let loss = tape.input(&[3.0, 4.0], [2]).with_logits_gradient(logits, estimate);
    /// assert_eq!(loss.to_vec(), [3.0, 4.0]);
    /// assert_eq!(loss.mean().backward().of(logits).unwrap(), [0.25, -0.25, 0.125, -0.125]);
    /// ```
    #[track_caller]
    pub fn with_logits_gradient(self, logits: Var<'t>, estimate: Var<'t>) -> Var<'t> {
        const OP: &str = "with_logits_gradient";
        let (loss, shape) = (self.shape(), logits.shape());
        assert!(
            shape == estimate.shape() && shape.dims().get(..1) == Some(loss.dims()),
            "{OP}: the loss must be [rows], logits and their gradient [rows, ..]; they are {loss}, {shape} and {}",
            estimate.shape()
        );
        self.tape().record_view(OP, Some(WithLogitsGradient), &[self, logits, estimate], loss)
    }
}
