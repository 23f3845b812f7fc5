//! `categorical_kl` and `categorical_kl_uniform`: divergences between categorical distributions given by
//! logits.

use reparam_ops::categorical_kl as kernel;

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, one_shape, tier};

/// kl = sum p (ln p - ln q), per row.
#[derive(Debug)]
struct CategoricalKl {
    classes: usize,
}

impl Rule for CategoricalKl {
    fn name(&self) -> &'static str {
        "categorical_kl"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (p, q, dkl) = (node.input(0), node.input(1), node.gradient());
        if let Some(dp) = gradients.add_to(0) {
            kernel::backward_p(tier(), p, q, self.classes, node.output(), dkl, dp);
        }
        if let Some(dq) = gradients.add_to(1) {
            kernel::backward_q(tier(), p, q, self.classes, dkl, dq);
        }
    }
}

/// kl = sum p ln p + ln(classes), per row.
#[derive(Debug)]
struct CategoricalKlUniform {
    classes: usize,
}

impl Rule for CategoricalKlUniform {
    fn name(&self) -> &'static str {
        "categorical_kl_uniform"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dlogits) = gradients.add_to(0) {
            kernel::uniform_backward(tier(), node.input(0), self.classes, node.gradient(), dlogits);
        }
    }
}

/// # KL divergences of classes
impl<'t> Var<'t> {
    /// KL(p || q) = sum_i p_i (ln p_i - ln q_i) per row, in nats, where p and q are the softmax of `self` and
    /// `q`. The last axis, the classes, disappears. A class that p masks with -inf adds 0 and has gradient 0;
    /// one that only q masks makes the divergence infinite.
    ///
    /// # Panics
    /// If the shapes differ, or a row is fully masked.
    #[track_caller]
    pub fn categorical_kl(self, q: Var<'t>) -> Var<'t> {
        let shape = one_shape("categorical_kl", ("p", self), ("q", q));
        let classes = self.classes("categorical_kl");
        self.record_rows(CategoricalKl { classes }, &[self, q], shape.rows(), |v, kl| {
            kernel::forward(tier(), &v[0], &v[1], classes, kl)
        })
    }

    /// KL(p || uniform) = sum_i p_i ln p_i + ln(classes) per row, in nats, where p is the softmax of `self`.
    /// The last axis, the classes, disappears. A class masked with -inf adds 0 and has gradient 0.
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn categorical_kl_uniform(self) -> Var<'t> {
        let shape = self.shape();
        let classes = self.classes("categorical_kl_uniform");
        self.record_rows(CategoricalKlUniform { classes }, &[self], shape.rows(), |v, kl| {
            kernel::uniform_forward(tier(), &v[0], classes, kl)
        })
    }
}
