//! The binary Concrete distribution.

use crate::distributions::parts::{check_numbers, constant, unless_infinite};
use crate::distributions::{Bernoulli, LogitRelaxedBernoulli};
use crate::noise::NoiseSource;
use crate::var::{Temperature, Var, one_shape};

/// A number in (0, 1) for each element, together with its logit. The number itself rounds to 1 for a logit of
/// 17.4 or more, which is common at a low temperature.
///
/// # Examples
/// ```
/// use reparam::Tape;
/// use reparam::distributions::RelaxedBit;
///
/// let tape = Tape::new();
/// let y = RelaxedBit::from_logit(tape.variable(&[0.0, 200.0], [2]));
/// assert_eq!(y.value.to_vec(), [0.5, 1.0]);
/// assert_eq!(y.logit.to_vec(), [0.0, 200.0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RelaxedBit<'t> {
    /// The number.
    pub value: Var<'t>,
    /// ln(value / (1 - value)).
    pub logit: Var<'t>,
}

impl<'t> RelaxedBit<'t> {
    /// The number with this logit. The gradient of the value flows into the logit.
    #[track_caller]
    pub fn from_logit(logit: Var<'t>) -> RelaxedBit<'t> {
        RelaxedBit { value: logit.sigmoid(), logit }
    }
}

/// A relaxed binary variable, elementwise: y = sigmoid((logits + l) / tau), with standard logistic noise l.
///
/// As tau goes to 0, y becomes 0 or 1 with the distribution [`rounded`](Self::rounded).
///
/// # Examples
/// ```
/// use reparam::distributions::RelaxedBernoulli;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let distribution = RelaxedBernoulli::new(tape.variable(&[0.0, 1.0], [2]), 0.5);
/// let y = distribution.rsample(&mut Noise::seed(1));
/// assert!(y.value.to_vec().iter().all(|&y| 0.0 < y && y < 1.0));
/// assert_eq!(distribution.log_prob(y).shape().dims(), [2]);
/// ```
///
/// # Source
/// Maddison, Mnih, Teh 2017, appendix B.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "BinaryConcrete")]
pub struct RelaxedBernoulli<'t> {
    /// ln(P(1) / P(0)) of the rounded variable.
    pub logits: Var<'t>,
    /// The temperature.
    pub tau: Temperature<'t>,
}

impl<'t> RelaxedBernoulli<'t> {
    /// The distribution with these logits and this temperature.
    ///
    /// # Panics
    /// If tau is not positive and finite. In debug builds, if a logit is NaN.
    #[track_caller]
    pub fn new(logits: Var<'t>, tau: impl Into<Temperature<'t>>) -> RelaxedBernoulli<'t> {
        check_numbers("RelaxedBernoulli", "the logits", logits);
        let tau = tau.into();
        tau.check("RelaxedBernoulli");
        RelaxedBernoulli { logits, tau }
    }

    /// The distribution of the logit of its values.
    pub fn logit_space(self) -> LogitRelaxedBernoulli<'t> {
        LogitRelaxedBernoulli { logits: self.logits, tau: self.tau }
    }

    /// The distribution of its values rounded to 0 or 1: P(y > 1/2) = sigmoid(logits) at any temperature.
    pub fn rounded(self) -> Bernoulli<'t> {
        Bernoulli { logits: self.logits }
    }

    /// A sample without a gradient, one draw per element.
    ///
    /// # Panics
    /// The same as [`rsample`](Self::rsample).
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> RelaxedBit<'t> {
        let distribution = RelaxedBernoulli { logits: self.logits.stop_gradient(), tau: constant(self.tau) };
        distribution.rsample(noise)
    }

    /// A sample as a function of logits and tau, one draw per element. With the same draws its value equals
    /// [`binary_concrete`](Var::binary_concrete), which is cheaper if you need no density.
    ///
    /// # Panics
    /// If the number of injected draws is not the number of elements.
    #[track_caller]
    pub fn rsample(self, noise: &mut (impl NoiseSource + ?Sized)) -> RelaxedBit<'t> {
        RelaxedBit::from_logit(self.logit_space().rsample(noise))
    }

    /// The log-density of y, elementwise, in nats: the log-density of its logit minus ln(y (1 - y)). It reads
    /// only the logit. An entry that is certain, with an infinite logit and the same sample, has
    /// log-density 0.
    ///
    /// At a low temperature it is hundreds of nats, because most of the mass is next to 0 and 1. In a
    /// difference of two densities at one point ln(y (1 - y)) cancels, so [`sampled_kl`](Self::sampled_kl)
    /// leaves it out.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn log_prob(self, y: RelaxedBit<'t>) -> Var<'t> {
        one_shape("RelaxedBernoulli::log_prob", ("y.logit", y.logit), ("the logits", self.logits));
        // -ln(y (1 - y)) = softplus(-logit) + softplus(logit)
        let stretch = (-y.logit).softplus() + y.logit.softplus();
        self.logit_space().log_prob(y.logit) + unless_infinite(stretch)
    }

    /// ln self(y) - ln prior(y), elementwise, in nats. If y is a sample of `self`, it is an unbiased estimate
    /// of KL(self || prior), and its gradient through [`rsample`](Self::rsample) is an unbiased estimate of
    /// the KL's gradient. It is taken in logit space, where it is the same number. The prior has its own
    /// logits and temperature.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn sampled_kl(self, prior: RelaxedBernoulli<'t>, y: RelaxedBit<'t>) -> Var<'t> {
        self.logit_space().sampled_kl(prior.logit_space(), y.logit)
    }
}
