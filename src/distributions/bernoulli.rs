//! Binary variables.

use crate::distributions::parts::{check_bits, check_numbers, unless_infinite};
use crate::noise::NoiseSource;
use crate::var::{Var, one_shape};

/// A binary variable for each element, with P(1) = sigmoid(logits). The logits have any shape. An infinite
/// logit makes its value certain.
///
/// # Examples
/// ```
/// use reparam::distributions::Bernoulli;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let distribution = Bernoulli::new(tape.variable(&[0.0, 3.0], [2]));
/// let z = distribution.sample(&mut Noise::seed(1));
/// assert!(z.to_vec().iter().all(|&z| z == 0.0 || z == 1.0));
/// assert!((distribution.log_prob(z).to_vec()[0] + 2f32.ln()).abs() < 1e-6);
/// assert_eq!(distribution.mode().to_vec(), [0.0, 1.0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bernoulli<'t> {
    /// ln(P(1) / P(0)).
    pub logits: Var<'t>,
}

impl<'t> Bernoulli<'t> {
    /// The distribution with these logits.
    ///
    /// # Panics
    /// In debug builds, if a logit is NaN.
    #[track_caller]
    pub fn new(logits: Var<'t>) -> Bernoulli<'t> {
        check_numbers("Bernoulli", "the logits", logits);
        Bernoulli { logits }
    }

    /// An exact sample, 1 where logits + l > 0, else 0, with one draw per element. It has no gradient;
    /// [`st_bernoulli`](Var::st_bernoulli) and [`st_binary_concrete`](Var::st_binary_concrete) give the same
    /// sample with one.
    ///
    /// # Panics
    /// If the number of injected draws is not the number of elements.
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.logits.bernoulli(noise)
    }

    /// z ln p + (1 - z) ln(1 - p), elementwise, in nats: minus [`bce_with_logits`](Var::bce_with_logits). A
    /// soft z in \[0, 1\] is allowed and gets its gradient, the logit, but the result is then not a
    /// log-probability.
    ///
    /// dlogits = d (z - p).
    ///
    /// # Panics
    /// If the shapes differ. In debug builds, if z is a constant and an element is not from 0 to 1.
    #[track_caller]
    pub fn log_prob(self, z: Var<'t>) -> Var<'t> {
        one_shape("Bernoulli::log_prob", ("z", z), ("the logits", self.logits));
        check_bits("Bernoulli::log_prob", "z", z);
        -self.logits.bce_with_logits(z)
    }

    /// p = sigmoid(logits), elementwise.
    #[track_caller]
    pub fn probs(self) -> Var<'t> {
        self.logits.sigmoid()
    }

    /// -p ln p - (1 - p) ln(1 - p), elementwise, in nats: from 0 to ln 2, never below 0, and 0 for an
    /// infinite logit.
    ///
    /// dlogits = -d logits p (1 - p).
    ///
    /// # Precision
    /// The relative error is at most 1e-6, even for small entropies.
    #[track_caller]
    pub fn entropy(self) -> Var<'t> {
        // With a = |logits| and q = sigmoid(-a), the smaller probability, ln((1 - q) / q) = a and -ln(1 -
        // q) = softplus(-a). So the entropy is q a + softplus(-a), in which nothing cancels. As for classes,
        // only the weights contribute to the gradient.
        let distance = self.logits.abs();
        let smaller = (-distance).sigmoid();
        let distance = distance.stop_gradient();
        smaller * unless_infinite(distance) + (-distance).softplus()
    }

    /// The mean, which is the probability of 1, elementwise.
    #[track_caller]
    pub fn mean(self) -> Var<'t> {
        self.probs()
    }

    /// The more probable value, elementwise: 1 where the logit is above 0, else 0; NaN where it is NaN. It
    /// has no gradient.
    #[track_caller]
    pub fn mode(self) -> Var<'t> {
        let mode: Vec<f32> = self.logits.value().iter().map(|&logit| is_positive(logit)).collect();
        self.logits.tape().input(&mode, self.logits.shape())
    }

    /// KL(self || q), elementwise, in nats: see [`bernoulli_kl`](Var::bernoulli_kl).
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn kl(self, q: Bernoulli<'t>) -> Var<'t> {
        self.logits.bernoulli_kl(q.logits)
    }

    /// KL(self || uniform) = ln 2 - entropy, elementwise, in nats. The uniform distribution has logit 0.
    #[track_caller]
    pub fn kl_uniform(self) -> Var<'t> {
        let uniform = self.logits.tape().input_with(self.logits.shape(), |logits| logits.fill(0.0));
        self.kl(Bernoulli { logits: uniform })
    }
}

/// 1 if a score is above 0, else 0; a NaN stays.
pub(crate) fn is_positive(score: f32) -> f32 {
    if score.is_nan() { score } else { f32::from(score > 0.0) }
}
