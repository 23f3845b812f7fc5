//! The logit of a binary Concrete variable.

use crate::distributions::parts::{check_numbers, constant, divided};
use crate::noise::NoiseSource;
use crate::var::{Temperature, Var, one_shape};

/// The logit of a relaxed binary variable, elementwise: y = (logits + l) / tau, with standard logistic noise
/// l.
///
/// sigmoid(y) follows [`RelaxedBernoulli`](crate::distributions::RelaxedBernoulli), but a logit does not
/// round to 0 or 1, so densities are finite at their own samples at any temperature. It is the logistic
/// distribution with location logits / tau and scale 1 / tau.
///
/// # Examples
/// ```
/// use reparam::distributions::LogitRelaxedBernoulli;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let distribution = LogitRelaxedBernoulli::new(tape.variable(&[0.5, -9.0], [2]), 0.01);
/// let y = distribution.rsample(&mut Noise::seed(1));
/// assert!(distribution.log_prob(y).to_vec().iter().all(|log_prob| log_prob.is_finite()));
/// ```
///
/// # Source
/// Maddison, Mnih, Teh 2017, appendix C.3.1.
#[derive(Clone, Copy, Debug)]
pub struct LogitRelaxedBernoulli<'t> {
    /// ln(P(1) / P(0)) of the rounded variable.
    pub logits: Var<'t>,
    /// The temperature.
    pub tau: Temperature<'t>,
}

impl<'t> LogitRelaxedBernoulli<'t> {
    /// The distribution with these logits and this temperature.
    ///
    /// # Panics
    /// If tau is not positive and finite. In debug builds, if a logit is NaN.
    #[track_caller]
    pub fn new(logits: Var<'t>, tau: impl Into<Temperature<'t>>) -> LogitRelaxedBernoulli<'t> {
        check_numbers("LogitRelaxedBernoulli", "the logits", logits);
        let tau = tau.into();
        tau.check("LogitRelaxedBernoulli");
        LogitRelaxedBernoulli { logits, tau }
    }

    /// A sample without a gradient, one draw per element.
    ///
    /// # Panics
    /// The same as [`rsample`](Self::rsample).
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.logits.stop_gradient().logit_binary_concrete(constant(self.tau), noise)
    }

    /// A sample as a function of logits and tau, one draw per element: see
    /// [`logit_binary_concrete`](Var::logit_binary_concrete).
    ///
    /// # Panics
    /// If the number of injected draws is not the number of elements.
    #[track_caller]
    pub fn rsample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.logits.logit_binary_concrete(self.tau, noise)
    }

    /// The log-density of y, elementwise, in nats: ln tau + u - 2 softplus(u) with u = logits - tau y. See
    /// [`logit_binary_concrete_log_prob`](Var::logit_binary_concrete_log_prob).
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn log_prob(self, y: Var<'t>) -> Var<'t> {
        one_shape("LogitRelaxedBernoulli::log_prob", ("y", y), ("the logits", self.logits));
        y.logit_binary_concrete_log_prob(self.logits, self.tau)
    }

    /// 2 - ln tau, elementwise, in nats, for any logits.
    #[track_caller]
    pub fn entropy(self) -> Var<'t> {
        let shape = self.logits.shape();
        match self.tau {
            Temperature::Fixed(tau) => self.logits.tape().input_with(shape, |out| out.fill(2.0 - tau.ln())),
            Temperature::Variable(tau) => (2.0 - tau.reshape([]).ln()).broadcast_to(shape),
        }
    }

    /// The mean logits / tau, elementwise.
    #[track_caller]
    pub fn mean(self) -> Var<'t> {
        divided(self.logits, self.tau)
    }

    /// The value with the largest density, logits / tau, elementwise.
    #[track_caller]
    pub fn mode(self) -> Var<'t> {
        self.mean()
    }

    /// ln self(y) - ln prior(y), elementwise, in nats. If y is a sample of `self`, it is an unbiased estimate
    /// of KL(self || prior), and its gradient through [`rsample`](Self::rsample) is an unbiased estimate of
    /// the KL's gradient. A single estimate may be below 0. The prior has its own logits and temperature.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn sampled_kl(self, prior: LogitRelaxedBernoulli<'t>, y: Var<'t>) -> Var<'t> {
        self.log_prob(y) - prior.log_prob(y)
    }
}
