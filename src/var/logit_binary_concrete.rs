//! `logit_binary_concrete` and `logit_binary_concrete_log_prob`: the logit of a relaxed binary sample, and
//! its density.

use reparam_ops::elementwise::add_scaled;
use reparam_ops::internal::scratch;
use reparam_ops::logit_binary_concrete as kernel;

use crate::gradients::InputGradients;
use crate::noise::{NoiseSource, draws_for};
use crate::tape::{Recorded, Rule};
use crate::var::temperature::{Temperature, add_tau, wants_tau};
use crate::var::{Var, one_shape, tier};

/// y = (logits + l) / tau; the gradient needs only y.
#[derive(Debug)]
struct LogitBinaryConcrete {
    tau: f32,
}

impl Rule for LogitBinaryConcrete {
    fn name(&self) -> &'static str {
        "logit_binary_concrete"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dlogits) = gradients.add_to(0) {
            add_scaled(tier(), 1.0 / self.tau, node.gradient(), dlogits);
        }
        let dtau = wants_tau(node, gradients, 1)
            .then(|| kernel::backward_tau(tier(), node.output(), node.gradient(), self.tau));
        add_tau(gradients, 1, dtau);
    }
}

/// log_prob = ln tau + u - 2 softplus(u), u = logits - tau y.
#[derive(Debug)]
struct LogitBinaryConcreteLogProb {
    tau: f32,
}

impl Rule for LogitBinaryConcreteLogProb {
    fn name(&self) -> &'static str {
        "logit_binary_concrete_log_prob"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (y, logits, d) = (node.input(0), node.input(1), node.gradient());
        scratch::with(y.len(), |h| {
            h.fill(0.0);
            kernel::log_prob_backward(tier(), y, logits, self.tau, d, h);
            if let Some(dy) = gradients.add_to(0) {
                add_scaled(tier(), -self.tau, h, dy);
            }
            if let Some(dlogits) = gradients.add_to(1) {
                add_scaled(tier(), 1.0, h, dlogits);
            }
            let dtau = wants_tau(node, gradients, 2)
                .then(|| kernel::log_prob_backward_tau(tier(), y, self.tau, d, h));
            add_tau(gradients, 2, dtau);
        });
    }
}

/// # Samples of bits in log space, with their density
impl<'t> Var<'t> {
    /// The logit of a relaxed sample of a binary variable, elementwise: y = (logits + l) / tau with standard
    /// logistic noise l, one draw per logit. Its sigmoid is the [`binary_concrete`](Self::binary_concrete)
    /// for the same draws. A logit does not round to 0 or 1, so take densities of this form. An infinite
    /// logit stays infinite.
    ///
    /// dlogits = dy / tau and dtau = -sum(dy y) / tau.
    ///
    /// # Saved
    /// Nothing beyond the output y. The noise is neither stored nor drawn again.
    ///
    /// # Panics
    /// If tau is not positive and finite, or the number of injected draws is not the number of logits.
    ///
    /// # Source
    /// Maddison, Mnih, Teh 2017, appendix C.3.1.
    #[track_caller]
    pub fn logit_binary_concrete(
        self,
        tau: impl Into<Temperature<'t>>,
        noise: &mut (impl NoiseSource + ?Sized),
    ) -> Var<'t> {
        const OP: &str = "logit_binary_concrete";
        let temperature = tau.into();
        let (shape, tau) = (self.shape(), temperature.check(OP));
        let draws = draws_for(OP, noise, shape.len());
        self.tape().record(LogitBinaryConcrete { tau }, &temperature.inputs([self]), shape, |x, y| {
            kernel::forward(tier(), draws, &x[0], tau, y);
        })
    }

    /// The log-density of a [`logit_binary_concrete`](Self::logit_binary_concrete) sample, elementwise, in
    /// nats: ln tau + u - 2 softplus(u) with u = logits - tau y. `self` is the sample y, a logit; the logits
    /// have its shape.
    ///
    /// The temperatures of the relaxation and the density may differ, because a prior has its own. An entry
    /// that is certain (an infinite logit and the same sample) has log-density and gradients 0.
    ///
    /// With h = d (1 - 2 sigmoid(u)): dlogits = h, dy = -tau h, dtau = sum(d / tau - h y).
    ///
    /// # Saved
    /// Nothing beyond the inputs.
    ///
    /// # Panics
    /// If the shapes differ, or tau is not positive and finite.
    ///
    /// # Examples
    /// ```
    /// use reparam::{Noise, Tape};
    ///
    /// let tape = Tape::new();
    /// let logits = tape.variable(&[0.5, -0.5], [2]);
    /// let y = logits.logit_binary_concrete(0.5, &mut Noise::seed(1));
    /// let log_prob = y.logit_binary_concrete_log_prob(logits, 0.5);
    /// assert!(log_prob.to_vec().iter().all(|&log_prob| log_prob < 0.0));
    /// ```
    ///
    /// # Source
    /// Maddison, Mnih, Teh 2017, appendix C.3.1.
    #[track_caller]
    pub fn logit_binary_concrete_log_prob(self, logits: Var<'t>, tau: impl Into<Temperature<'t>>) -> Var<'t> {
        const OP: &str = "logit_binary_concrete_log_prob";
        let temperature = tau.into();
        let tau = temperature.check(OP);
        let shape = one_shape(OP, ("the sample", self), ("the logits", logits));
        let rule = LogitBinaryConcreteLogProb { tau };
        self.tape().record(rule, &temperature.inputs([self, logits]), shape, |x, log_prob| {
            kernel::log_prob_forward(tier(), &x[0], &x[1], tau, log_prob);
        })
    }
}
