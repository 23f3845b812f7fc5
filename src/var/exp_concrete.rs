//! `exp_concrete` and `exp_concrete_log_prob`: the logarithm of a relaxed categorical sample, and its
//! density.

use reparam_ops::elementwise::add_scaled;
use reparam_ops::exp_concrete as kernel;
use reparam_ops::internal::scratch;

use crate::gradients::InputGradients;
use crate::noise::{NoiseSource, draws_for};
use crate::tape::{Recorded, Rule};
use crate::var::temperature::{Temperature, add_tau, backward_with_tau, wants_tau};
use crate::var::{Var, one_shape, tier};

/// y = log_softmax((logits + g) / tau); the gradient needs only y.
#[derive(Debug)]
struct ExpConcrete {
    classes: usize,
    tau: f32,
}

impl Rule for ExpConcrete {
    fn name(&self) -> &'static str {
        "exp_concrete"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (y, dy) = (node.output(), node.gradient());
        backward_with_tau(node, gradients, |want_tau, dlogits| {
            kernel::backward(tier(), y, dy, self.classes, self.tau, want_tau, dlogits)
        });
    }
}

/// log_prob = ln (n - 1)! + (n - 1) ln tau + sum u - n logsumexp(u), u = logits - tau log_y.
#[derive(Debug)]
struct ExpConcreteLogProb {
    classes: usize,
    tau: f32,
}

impl Rule for ExpConcreteLogProb {
    fn name(&self) -> &'static str {
        "exp_concrete_log_prob"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (log_y, logits, d) = (node.input(0), node.input(1), node.gradient());
        let (classes, tau, log_prob) = (self.classes, self.tau, node.output());
        scratch::with(logits.len(), |h| {
            h.fill(0.0);
            kernel::log_prob_backward(tier(), log_y, logits, classes, tau, log_prob, d, h);
            if let Some(dlog_y) = gradients.add_to(0) {
                add_scaled(tier(), -tau, h, dlog_y);
            }
            if let Some(dlogits) = gradients.add_to(1) {
                add_scaled(tier(), 1.0, h, dlogits);
            }
            let dtau = wants_tau(node, gradients, 2)
                .then(|| kernel::log_prob_backward_tau(tier(), log_y, logits, classes, tau, log_prob, d, h));
            add_tau(gradients, 2, dtau);
        });
    }
}

/// # Samples of classes in log space, with their density
impl<'t> Var<'t> {
    /// The logarithm of a relaxed sample of a categorical variable, row by row: y = log_softmax((logits + g)
    /// / tau) with standard Gumbel noise g, one draw per logit. `self` holds logits `[.., classes]`.
    ///
    /// Its exponential is the [`gumbel_softmax`](Self::gumbel_softmax) for the same draws. A logarithm does
    /// not underflow, so take densities of this form. Masked classes (-inf) stay at -inf with gradient 0.
    ///
    /// With h = dy - e^y sum(dy): dlogits = h / tau and dtau = -sum(h y) / tau.
    ///
    /// # Saved
    /// Nothing beyond the output y. The noise is neither stored nor drawn again.
    ///
    /// # Panics
    /// If tau is not positive and finite, or a row is fully masked, or the number of injected draws is not
    /// the number of logits.
    ///
    /// # Examples
    /// ```
    /// use reparam::{Noise, Tape};
    ///
    /// let tape = Tape::new();
    /// let logits = tape.variable(&[1.0, 2.0, 3.0], [1, 3]);
    /// let log_y = logits.exp_concrete(0.5, &mut Noise::seed(1));
    /// assert!(log_y.logsumexp().to_vec()[0].abs() < 1e-6);
    /// let log_prob = log_y.exp_concrete_log_prob(logits, 0.5);
    /// assert_eq!(log_prob.shape().dims(), [1]);
    /// ```
    ///
    /// # Source
    /// Maddison, Mnih, Teh 2017, appendix C.3.2.
    #[track_caller]
    pub fn exp_concrete(
        self,
        tau: impl Into<Temperature<'t>>,
        noise: &mut (impl NoiseSource + ?Sized),
    ) -> Var<'t> {
        const OP: &str = "exp_concrete";
        let temperature = tau.into();
        let (shape, tau) = (self.shape(), temperature.check(OP));
        let (classes, draws) = (self.classes(OP), draws_for(OP, noise, shape.len()));
        self.record_rows(ExpConcrete { classes, tau }, &temperature.inputs([self]), shape, |x, y| {
            kernel::forward(tier(), draws, &x[0], classes, tau, y)
        })
    }

    /// The log-density of an [`exp_concrete`](Self::exp_concrete) sample, per row, in nats: `ln (n - 1)! +
    /// (n - 1) ln tau + sum_k u_k - n ln sum_k e^u_k` with u = logits - tau log_y, over the n unmasked
    /// classes. `self` is the sample log_y; both are `[.., classes]`, and the last axis disappears.
    ///
    /// The temperatures of the relaxation and the density may differ, because a prior has its own. A masked
    /// class (logit -inf) does not count, and its gradients are 0. If log_y is -inf anywhere but at the mask,
    /// the density is 0, the value -inf, and the row's gradients are 0.
    ///
    /// With h = d (1 - n softmax(u)): dlogits = h, dlog_y = -tau h, dtau = sum(d (n - 1) / tau) - sum(h
    /// log_y).
    ///
    /// # Saved
    /// Nothing beyond inputs and output.
    ///
    /// # Panics
    /// If the shapes differ, tau is not positive and finite, or a row of the logits is fully masked.
    ///
    /// # Source
    /// Maddison, Mnih, Teh 2017, appendix C.3.2.
    #[track_caller]
    pub fn exp_concrete_log_prob(self, logits: Var<'t>, tau: impl Into<Temperature<'t>>) -> Var<'t> {
        const OP: &str = "exp_concrete_log_prob";
        let temperature = tau.into();
        let tau = temperature.check(OP);
        let shape = one_shape(OP, ("log_y", self), ("the logits", logits));
        let classes = self.classes(OP);
        let rule = ExpConcreteLogProb { classes, tau };
        self.record_rows(rule, &temperature.inputs([self, logits]), shape.rows(), |x, log_prob| {
            kernel::log_prob_forward(tier(), &x[0], &x[1], classes, tau, log_prob)
        })
    }
}
