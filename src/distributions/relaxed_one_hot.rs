//! The Concrete distribution, also called Gumbel-Softmax.

use crate::distributions::parts::{check_classes, check_log_simplex, check_numbers, constant, sum_classes};
use crate::distributions::{ExpConcrete, OneHot};
use crate::noise::NoiseSource;
use crate::var::{Temperature, Var, one_shape};

/// A point on the simplex for each row, together with its logarithm. An f32 on the simplex rounds to 0 for a
/// logarithm of -104 or less, which is common at a low temperature.
///
/// # Examples
/// ```
/// use reparam::Tape;
/// use reparam::distributions::Simplex;
///
/// let tape = Tape::new();
/// let y = Simplex::from_log(tape.variable(&[0.0, -500.0], [1, 2]));
/// assert_eq!(y.value.to_vec(), [1.0, 0.0]);
/// assert_eq!(y.log.to_vec(), [0.0, -500.0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Simplex<'t> {
    /// The point, `[.., classes]`: rows of nonnegative numbers that sum to 1.
    pub value: Var<'t>,
    /// Its logarithm, `[.., classes]`.
    pub log: Var<'t>,
}

impl<'t> Simplex<'t> {
    /// The point with this logarithm. The gradient of the value flows into the logarithm.
    #[track_caller]
    pub fn from_log(log: Var<'t>) -> Simplex<'t> {
        Simplex { value: log.exp(), log }
    }
}

/// A relaxed categorical variable for each row: y = softmax((logits + g) / tau), with standard Gumbel noise
/// g.
///
/// Rows lie on the simplex. As tau goes to 0 they become one-hot vectors with the distribution
/// [`rounded`](Self::rounded). The logits are `[.., classes]`; one of -inf masks its class, which then does
/// not count.
///
/// # Examples
/// ```
/// use reparam::distributions::RelaxedOneHot;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let logits = tape.variable(&[1.0, 2.0, 3.0], [1, 3]);
/// let distribution = RelaxedOneHot::new(logits, 0.5);
/// let y = distribution.rsample(&mut Noise::seed(1));
/// assert!((y.value.sum().item() - 1.0).abs() < 1e-6);
/// assert!(distribution.log_prob(y).item().is_finite());
/// assert!(y.value.is_tracked());
/// ```
///
/// # Source
/// Maddison, Mnih, Teh 2017, equation 10; Jang, Gu, Poole 2017, appendix B.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "Concrete")]
#[doc(alias = "GumbelSoftmax")]
pub struct RelaxedOneHot<'t> {
    /// Unnormalised log-probabilities `[.., classes]`.
    pub logits: Var<'t>,
    /// The temperature.
    pub tau: Temperature<'t>,
}

impl<'t> RelaxedOneHot<'t> {
    /// The distribution with these logits, `[.., classes]`, and this temperature.
    ///
    /// # Panics
    /// If there are no classes, or tau is not positive and finite. In debug builds, if a logit is NaN.
    #[track_caller]
    pub fn new(logits: Var<'t>, tau: impl Into<Temperature<'t>>) -> RelaxedOneHot<'t> {
        check_classes("RelaxedOneHot", logits);
        check_numbers("RelaxedOneHot", "the logits", logits);
        let tau = tau.into();
        tau.check("RelaxedOneHot");
        RelaxedOneHot { logits, tau }
    }

    /// The distribution of the logarithm of its values.
    pub fn log_space(self) -> ExpConcrete<'t> {
        ExpConcrete { logits: self.logits, tau: self.tau }
    }

    /// The distribution of its values rounded to the nearest one-hot vector: P(y_k is the largest) =
    /// softmax(logits)_k at any temperature.
    ///
    /// # Source
    /// Maddison, Mnih, Teh 2017, proposition 1(b).
    pub fn rounded(self) -> OneHot<'t> {
        OneHot { logits: self.logits }
    }

    /// A sample without a gradient, `[.., classes]`, one draw per logit.
    ///
    /// # Panics
    /// The same as [`rsample`](Self::rsample).
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Simplex<'t> {
        let distribution = RelaxedOneHot { logits: self.logits.stop_gradient(), tau: constant(self.tau) };
        distribution.rsample(noise)
    }

    /// A sample as a function of logits and tau, `[.., classes]`, one draw per logit. With the same draws its
    /// value equals [`gumbel_softmax`](Var::gumbel_softmax), which is cheaper if you need no density.
    ///
    /// # Panics
    /// If a row is fully masked, or the number of injected draws is not the number of logits.
    #[track_caller]
    pub fn rsample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Simplex<'t> {
        Simplex::from_log(self.log_space().rsample(noise))
    }

    /// The log-density of y per row, in nats, with respect to its first n - 1 entries: ln (n - 1)! + (n - 1)
    /// ln tau + sum_k (u_k - ln y_k) - n ln sum_k e^u_k with u = logits - tau ln y, over the n unmasked
    /// classes. The last axis disappears. It reads only y's logarithm.
    ///
    /// At a low temperature it is thousands of nats, because most of the mass is next to the corners. In a
    /// difference of two densities at one point sum_k ln y_k cancels, so [`sampled_kl`](Self::sampled_kl)
    /// leaves it out.
    ///
    /// # Panics
    /// If the shapes differ, or a row is fully masked. In debug builds, if y is a constant and a row is not
    /// on the simplex.
    ///
    /// # Source
    /// Maddison, Mnih, Teh 2017, equation 11; Jang, Gu, Poole 2017, appendix B.
    #[track_caller]
    pub fn log_prob(self, y: Simplex<'t>) -> Var<'t> {
        one_shape("RelaxedOneHot::log_prob", ("y.log", y.log), ("the logits", self.logits));
        check_log_simplex("RelaxedOneHot::log_prob", "y.log", y.log);
        let in_log_space = self.log_space().log_prob(y.log);
        in_log_space - sum_classes(y.log.masked_where(0.0, |log| log == f32::NEG_INFINITY))
    }

    /// ln self(y) - ln prior(y) per row, in nats. If y is a sample of `self`, it is an unbiased estimate of
    /// KL(self || prior), and its gradient through [`rsample`](Self::rsample) is an unbiased estimate of the
    /// KL's gradient. It is taken in log space, where it is the same number. The prior has its own logits and
    /// temperature.
    ///
    /// # Panics
    /// If the shapes differ, or a row is fully masked.
    #[track_caller]
    pub fn sampled_kl(self, prior: RelaxedOneHot<'t>, y: Simplex<'t>) -> Var<'t> {
        self.log_space().sampled_kl(prior.log_space(), y.log)
    }
}
