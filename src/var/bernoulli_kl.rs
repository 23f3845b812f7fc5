//! `bernoulli_kl`: the divergence between Bernoulli distributions given by logits.

use reparam_ops::bernoulli_kl as kernel;

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, one_shape, tier};

/// kl = p (a - b) - softplus(a) + softplus(b)
#[derive(Debug)]
struct BernoulliKl;

impl Rule for BernoulliKl {
    fn name(&self) -> &'static str {
        "bernoulli_kl"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (p, q, dkl) = (node.input(0), node.input(1), node.gradient());
        if let Some(dp) = gradients.add_to(0) {
            kernel::backward_p(tier(), p, q, dkl, dp);
        }
        if let Some(dq) = gradients.add_to(1) {
            kernel::backward_q(tier(), p, q, dkl, dq);
        }
    }
}

/// # KL divergences of bits
impl<'t> Var<'t> {
    /// KL(p || q) = p (ln p - ln q) + (1 - p) (ln(1 - p) - ln(1 - q)), elementwise, in nats, where p and q
    /// are the sigmoids of `self` and `q`. Finite for all finite logits.
    ///
    /// With logits a and b: da = p (1 - p) (a - b) and db = q - p.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn bernoulli_kl(self, q: Var<'t>) -> Var<'t> {
        let shape = one_shape("bernoulli_kl", ("p", self), ("q", q));
        self.tape().record(BernoulliKl, &[self, q], shape, |v, kl| {
            kernel::forward(tier(), &v[0], &v[1], kl);
        })
    }
}
