//! The three ways to write an ELBO's divergence when the samples are relaxed.

use crate::distributions::{RelaxedBernoulli, RelaxedBit, RelaxedOneHot, Simplex};
use crate::var::Var;

/// The divergence that an ELBO subtracts from E ln p(x | z) when the sample z of q(z | x) is relaxed.
///
/// P and Q are the discrete prior and posterior, and p and q their relaxations, each with its own
/// temperature:
///
/// | form | term to subtract | equation | a bound? |
/// | --- | --- | --- | --- |
/// | [`Relaxed`](KlForm::Relaxed) | ln q(z) - ln p(z) | 20 | always: the ELBO of the relaxed model |
/// | [`RelaxedMass`](KlForm::RelaxedMass) | sum_k z_k (ln Q_k - ln P_k) | 21 | no |
/// | [`Discrete`](KlForm::Discrete) | sum_k Q_k (ln Q_k - ln P_k) | 22 | no |
///
/// Only the first gives a lower bound on a log-likelihood while samples are soft. The other two combine a
/// soft sample with a divergence that belongs to hard samples. Training on them raises a number that bounds
/// nothing and may exploit the difference; the term of `RelaxedMass` can even have a negative mean. With hard
/// samples, the last two are the ELBO of the discrete model, the former with a sampled KL and the latter with
/// the exact KL. So compare models by evaluating with hard samples, whatever they were trained on.
///
/// # Examples
/// ```
/// use reparam::distributions::{KlForm, RelaxedOneHot};
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let posterior = RelaxedOneHot::new(tape.variable(&[0.0, 1.0, 2.0], [1, 3]), 2.0 / 3.0);
/// let prior = RelaxedOneHot::new(tape.input(&[0.0; 3], [1, 3]), 0.5);
/// let z = posterior.rsample(&mut Noise::seed(1));
/// for form in [KlForm::Relaxed, KlForm::RelaxedMass, KlForm::Discrete] {
///     assert_eq!(form.categorical(posterior, prior, z).shape().dims(), [1]);
/// }
/// ```
///
/// # Source
/// Maddison, Mnih, Teh 2017, appendix C.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KlForm {
    /// ln q(z) - ln p(z) with the relaxed densities: equation 20, the only one that is always a bound.
    Relaxed,
    /// sum_k z_k (ln Q_k - ln P_k), the discrete log-probabilities weighted by the sample: equation 21.
    RelaxedMass,
    /// KL(Q || P) in closed form, for any sample: equation 22.
    Discrete,
}

impl KlForm {
    /// The term per row, in nats, from a sample z of the posterior, all `[.., classes]`. The last axis
    /// disappears. The temperatures matter only for [`Relaxed`](KlForm::Relaxed), and the sample does not
    /// matter for [`Discrete`](KlForm::Discrete).
    ///
    /// # Panics
    /// If the shapes differ, or a row is fully masked.
    #[track_caller]
    pub fn categorical<'t>(
        self,
        posterior: RelaxedOneHot<'t>,
        prior: RelaxedOneHot<'t>,
        z: Simplex<'t>,
    ) -> Var<'t> {
        let (q, p) = (posterior.rounded(), prior.rounded());
        match self {
            KlForm::Relaxed => posterior.sampled_kl(prior, z),
            KlForm::RelaxedMass => q.log_prob(z.value) - p.log_prob(z.value),
            KlForm::Discrete => q.kl(p),
        }
    }

    /// The term of binary variables, elementwise, in nats, from a sample z of the posterior, all of the same
    /// shape. The temperatures matter only for [`Relaxed`](KlForm::Relaxed), and the sample does not matter
    /// for [`Discrete`](KlForm::Discrete).
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn binary<'t>(
        self,
        posterior: RelaxedBernoulli<'t>,
        prior: RelaxedBernoulli<'t>,
        z: RelaxedBit<'t>,
    ) -> Var<'t> {
        let (q, p) = (posterior.rounded(), prior.rounded());
        match self {
            KlForm::Relaxed => posterior.sampled_kl(prior, z),
            KlForm::RelaxedMass => q.log_prob(z.value) - p.log_prob(z.value),
            KlForm::Discrete => q.kl(p),
        }
    }
}
