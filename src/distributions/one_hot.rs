//! A categorical variable as a one-hot vector.

use crate::distributions::parts::{check_classes, check_numbers, check_simplex, weighted_sum};
use crate::noise::NoiseSource;
use crate::var::{Var, one_shape};

/// A categorical variable for each row, with one-hot vectors as values and P(class k) = softmax(logits)_k.
///
/// The logits are `[.., classes]`, unnormalised; one of -inf masks its class, whose probability, gradient and
/// contribution to every sum are then exactly 0.
///
/// # Examples
/// ```
/// use reparam::distributions::OneHot;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let distribution = OneHot::new(tape.variable(&[0.0, 0.0, f32::NEG_INFINITY], [1, 3]));
/// let z = distribution.sample(&mut Noise::seed(1));
/// assert_eq!(z.sum().item(), 1.0);
/// assert!((distribution.log_prob(z).item() + 2f32.ln()).abs() < 1e-6);
/// assert!((distribution.entropy().item() - 2f32.ln()).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OneHot<'t> {
    /// Unnormalised log-probabilities `[.., classes]`.
    pub logits: Var<'t>,
}

impl<'t> OneHot<'t> {
    /// The distribution with these logits, `[.., classes]`.
    ///
    /// # Panics
    /// If there are no classes. In debug builds, if a logit is NaN.
    #[track_caller]
    pub fn new(logits: Var<'t>) -> OneHot<'t> {
        check_classes("OneHot", logits);
        check_numbers("OneHot", "the logits", logits);
        OneHot { logits }
    }

    /// An exact sample for each row: one-hot of argmax(logits + g), `[.., classes]`, with one draw per logit.
    /// It has no gradient; [`st_categorical`](Var::st_categorical) and
    /// [`st_gumbel_softmax`](Var::st_gumbel_softmax) give the same sample with one.
    ///
    /// # Panics
    /// If a row is fully masked, or the number of injected draws is not the number of logits.
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.logits.categorical(noise)
    }

    /// sum_k z_k ln p_k per row, in nats: the log-probability of a one-hot z `[.., classes]`. The last axis
    /// disappears.
    ///
    /// For soft weights z it follows the formula, and z gets its gradient, ln p, but the result is not a
    /// log-probability. A masked class counts 0 where its z is 0, in the gradients too. A nonzero z there
    /// gives -inf, and the row's logits get no gradient from a one-hot z of that kind.
    ///
    /// dlogits = d (z - p sum(z)).
    ///
    /// # Panics
    /// If the shapes differ, or a row is fully masked. In debug builds, if z is a constant and a row is not
    /// on the simplex.
    #[track_caller]
    pub fn log_prob(self, z: Var<'t>) -> Var<'t> {
        one_shape("OneHot::log_prob", ("z", z), ("the logits", self.logits));
        check_simplex("OneHot::log_prob", "z", z);
        weighted_sum(z, self.log_probs())
    }

    /// ln p = logits - ln sum e^logits, `[.., classes]`, in nats.
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn log_probs(self) -> Var<'t> {
        self.logits.log_softmax()
    }

    /// p = softmax(logits), `[.., classes]`.
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn probs(self) -> Var<'t> {
        self.logits.softmax()
    }

    /// -sum_k p_k ln p_k per row, in nats: from 0 for a certain class to ln(classes), never below 0.
    ///
    /// dlogits = -d p (ln p + entropy).
    ///
    /// # Precision
    /// Within 3e-7 (1 + entropy), because ln p of a nearly certain class has its own rounding error.
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn entropy(self) -> Var<'t> {
        // sum_k p_k d(ln p_k) = d(sum_k p_k) = 0, so only the weights contribute to the gradient.
        -weighted_sum(self.probs(), self.logits.stop_gradient().log_softmax())
    }

    /// The mean of the one-hot vector, which is the probabilities, `[.., classes]`.
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn mean(self) -> Var<'t> {
        self.probs()
    }

    /// The most probable value, one-hot, `[.., classes]`; ties take the lowest index. It has no gradient;
    /// [`st_argmax`](Var::st_argmax) gives the same with one.
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn mode(self) -> Var<'t> {
        self.logits.stop_gradient().st_argmax(1.0)
    }

    /// KL(self || q) = sum_k p_k (ln p_k - ln q_k) per row, in nats: see
    /// [`categorical_kl`](Var::categorical_kl).
    ///
    /// # Panics
    /// If the shapes differ, or a row is fully masked.
    #[track_caller]
    pub fn kl(self, q: OneHot<'t>) -> Var<'t> {
        self.logits.categorical_kl(q.logits)
    }

    /// KL(self || uniform) = ln(classes) - entropy per row, in nats: see
    /// [`categorical_kl_uniform`](Var::categorical_kl_uniform).
    ///
    /// # Panics
    /// If a row is fully masked.
    #[track_caller]
    pub fn kl_uniform(self) -> Var<'t> {
        self.logits.categorical_kl_uniform()
    }
}
