//! A categorical variable as a class index.

use reparam_ops::internal::argmax;

use crate::distributions::OneHot;
use crate::distributions::parts::{check_classes, check_numbers};
use crate::noise::NoiseSource;
use crate::var::Var;

/// A categorical variable for each row, with class indices from 0 as values and P(k) = softmax(logits)_k.
///
/// This is the distribution of [`OneHot`] with another value. An index is smaller and cheaper; a vector can
/// be multiplied. The logits are `[.., classes]`, unnormalised; one of -inf masks its class.
///
/// # Examples
/// ```
/// use reparam::distributions::Categorical;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let distribution = Categorical::new(tape.variable(&[0.0, 0.0, 0.0, 9.0], [2, 2]));
/// let classes = distribution.sample(&mut Noise::seed(1));
/// assert_eq!(distribution.log_prob(&classes).shape().dims(), [2]);
/// assert_eq!(distribution.mode(), [0, 1]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Categorical<'t> {
    /// Unnormalised log-probabilities `[.., classes]`.
    pub logits: Var<'t>,
}

impl<'t> Categorical<'t> {
    /// The distribution with these logits, `[.., classes]`.
    ///
    /// # Panics
    /// If there are no classes. In debug builds, if a logit is NaN.
    #[track_caller]
    pub fn new(logits: Var<'t>) -> Categorical<'t> {
        check_classes("Categorical", logits);
        check_numbers("Categorical", "the logits", logits);
        Categorical { logits }
    }

    /// The same distribution with one-hot vectors as values.
    pub fn one_hot(self) -> OneHot<'t> {
        OneHot { logits: self.logits }
    }

    /// An exact sample for each row, argmax(logits + g), with one draw per logit. Nothing is recorded. With
    /// the same draws, [`OneHot::sample`] puts its 1 at this index.
    ///
    /// # Panics
    /// If a row is fully masked, a logit is NaN, or the number of injected draws is not the number of logits.
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Vec<u32> {
        self.logits.gumbel_max(noise)
    }

    /// ln p_class per row, in nats, for one class per row. The last axis of the logits disappears. A masked
    /// class has log-probability -inf.
    ///
    /// # Panics
    /// If the number of classes given is not the number of rows, one is not a class, or a row is fully
    /// masked.
    #[track_caller]
    pub fn log_prob(self, classes: &[u32]) -> Var<'t> {
        -self.logits.cross_entropy(classes)
    }

    /// p = softmax(logits), `[.., classes]`.
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn probs(self) -> Var<'t> {
        self.logits.softmax()
    }

    /// -sum_k p_k ln p_k per row, in nats: see [`OneHot::entropy`].
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn entropy(self) -> Var<'t> {
        self.one_hot().entropy()
    }

    /// The most probable class of each row; ties take the lowest.
    ///
    /// # Panics
    /// If a row is fully masked or a logit is NaN.
    #[track_caller]
    pub fn mode(self) -> Vec<u32> {
        const OP: &str = "Categorical::mode";
        self.logits.panic_on_nan(OP);
        self.logits.unless_masked(OP, self.logits.check_rows());
        let logits = self.logits.value();
        let rows = logits.chunks_exact(self.logits.shape().classes());
        rows.map(|row| argmax(row) as u32).collect()
    }

    /// KL(self || q) = sum_k p_k (ln p_k - ln q_k) per row, in nats.
    ///
    /// # Panics
    /// If the shapes differ, or a row is fully masked.
    #[track_caller]
    pub fn kl(self, q: Categorical<'t>) -> Var<'t> {
        self.logits.categorical_kl(q.logits)
    }

    /// KL(self || uniform) = ln(classes) - entropy per row, in nats.
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn kl_uniform(self) -> Var<'t> {
        self.logits.categorical_kl_uniform()
    }
}
