//! `cross_entropy`: the negative log-likelihood of class labels under categorical logits.

use reparam_ops::cross_entropy as kernel;

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::index::check_indices;
use crate::var::{Var, tier};

/// loss = logsumexp(logits) - logits\[target\]. The targets are the second input.
#[derive(Debug)]
struct CrossEntropy {
    classes: usize,
}

impl Rule for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dlogits) = gradients.add_to(0) {
            let targets = bytemuck::cast_slice(node.input(1));
            kernel::backward(tier(), node.input(0), self.classes, targets, node.gradient(), dlogits);
        }
    }
}

/// # Loss of classes
impl<'t> Var<'t> {
    /// ln sum_k e^x_k - x_target per row, in nats. `self` holds the logits x, `[.., classes]`, and `targets`
    /// a class for each row, counted from 0. The last axis disappears; take `.mean()` for the usual loss.
    ///
    /// dlogits = dloss (softmax(x) - one-hot of the target). A class masked with -inf has gradient 0, and as
    /// a target its loss is +inf. A logit of inf masks the finite logits of its row.
    ///
    /// # Saved
    /// The targets, as a leaf of the tape.
    ///
    /// # Panics
    /// If the number of targets is not the number of rows, a target is not a class, or a row is fully masked.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let logits = tape.variable(&[0.0, 0.0, 0.0, 5.0], [2, 2]);
    /// let loss = logits.cross_entropy(&[0, 1]);
    /// assert!((loss.to_vec()[0] - 2f32.ln()).abs() < 1e-6);
    /// assert_eq!(loss.sum().backward().of(logits).unwrap()[..2], [-0.5, 0.5]);
    /// ```
    #[track_caller]
    pub fn cross_entropy(self, targets: &[u32]) -> Var<'t> {
        const OP: &str = "cross_entropy";
        let shape = self.shape();
        let classes = self.classes(OP);
        assert!(
            targets.len() == shape.rows().len(),
            "{OP}: {} targets for logits of shape {shape}; one per row is needed, {}",
            targets.len(),
            shape.rows().len()
        );
        check_indices(OP, targets, classes, "classes");
        let inputs = [self, self.tape().indices(targets)];
        self.record_rows(CrossEntropy { classes }, &inputs, shape.rows(), |x, loss| {
            kernel::forward(tier(), &x[0], classes, targets, loss)
        })
    }
}
