//! The logarithm of a Concrete variable.

use crate::distributions::parts::{check_classes, check_log_simplex, check_numbers, constant, divided};
use crate::noise::NoiseSource;
use crate::var::{Temperature, Var, one_shape};

/// The logarithm of a relaxed categorical variable: y = log_softmax((logits + g) / tau), with standard Gumbel
/// noise g.
///
/// The logits are `[.., classes]`, and so are values; e^y lies on the simplex and follows
/// [`RelaxedOneHot`](crate::distributions::RelaxedOneHot). Logarithms do not underflow, so densities are
/// finite at their own samples at any temperature. Classes masked with -inf stay at -inf and do not count.
///
/// # Examples
/// ```
/// use reparam::distributions::ExpConcrete;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let posterior = ExpConcrete::new(tape.variable(&[1.0, 2.0, 3.0], [1, 3]), 2.0 / 3.0);
/// let prior = ExpConcrete::new(tape.input(&[0.0; 3], [1, 3]), 0.5);
/// let log_y = posterior.rsample(&mut Noise::seed(1));
/// let kl = posterior.sampled_kl(prior, log_y);
/// assert_eq!(kl.shape().dims(), [1]);
/// assert!(kl.is_tracked());
/// ```
///
/// # Source
/// Maddison, Mnih, Teh 2017, appendix C.3.2.
#[derive(Clone, Copy, Debug)]
pub struct ExpConcrete<'t> {
    /// Unnormalised log-probabilities `[.., classes]`.
    pub logits: Var<'t>,
    /// The temperature.
    pub tau: Temperature<'t>,
}

impl<'t> ExpConcrete<'t> {
    /// The distribution with these logits, `[.., classes]`, and this temperature.
    ///
    /// # Panics
    /// If there are no classes, or tau is not positive and finite. In debug builds, if a logit is NaN.
    #[track_caller]
    pub fn new(logits: Var<'t>, tau: impl Into<Temperature<'t>>) -> ExpConcrete<'t> {
        check_classes("ExpConcrete", logits);
        check_numbers("ExpConcrete", "the logits", logits);
        let tau = tau.into();
        tau.check("ExpConcrete");
        ExpConcrete { logits, tau }
    }

    /// A sample without a gradient, `[.., classes]`, one draw per logit.
    ///
    /// # Panics
    /// The same as [`rsample`](Self::rsample).
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.logits.stop_gradient().exp_concrete(constant(self.tau), noise)
    }

    /// A sample as a function of logits and tau, `[.., classes]`, one draw per logit: see
    /// [`exp_concrete`](Var::exp_concrete).
    ///
    /// # Panics
    /// If a row is fully masked, or the number of injected draws is not the number of logits.
    #[track_caller]
    pub fn rsample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.logits.exp_concrete(self.tau, noise)
    }

    /// The log-density of log_y per row, in nats: ln (n - 1)! + (n - 1) ln tau + sum_k u_k - n ln sum_k e^u_k
    /// with u = logits - tau log_y; the last axis disappears. See
    /// [`exp_concrete_log_prob`](Var::exp_concrete_log_prob).
    ///
    /// It is the density of the n - 1 differences y_1 - y_n, .., y_(n-1) - y_n, which determine a row.
    ///
    /// # Panics
    /// If the shapes differ, or a row is fully masked. In debug builds, if log_y is a constant and a row of
    /// e^log_y is not on the simplex.
    #[track_caller]
    pub fn log_prob(self, log_y: Var<'t>) -> Var<'t> {
        one_shape("ExpConcrete::log_prob", ("log_y", log_y), ("the logits", self.logits));
        check_log_simplex("ExpConcrete::log_prob", "log_y", log_y);
        log_y.exp_concrete_log_prob(self.logits, self.tau)
    }

    /// The value with the largest density, log_softmax(logits / tau), `[.., classes]`.
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn mode(self) -> Var<'t> {
        divided(self.logits, self.tau).log_softmax()
    }

    /// ln self(log_y) - ln prior(log_y) per row, in nats. If log_y is a sample of `self`, it is an unbiased
    /// estimate of KL(self || prior), and its gradient through [`rsample`](Self::rsample) is an unbiased
    /// estimate of the KL's gradient. A single estimate may be below 0. The prior has its own logits and
    /// temperature.
    ///
    /// # Panics
    /// If the shapes differ, or a row is fully masked.
    #[track_caller]
    pub fn sampled_kl(self, prior: ExpConcrete<'t>, log_y: Var<'t>) -> Var<'t> {
        self.log_prob(log_y) - prior.log_prob(log_y)
    }
}
