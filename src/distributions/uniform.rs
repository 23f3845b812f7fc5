//! The uniform distribution on an interval.

use reparam_ops::draw::fill_uniform;

use crate::distributions::parts::noise_like;
use crate::noise::NoiseSource;
use crate::var::{Var, one_shape};

/// Uniform variables, elementwise: x = low + (high - low) v, with v uniform on (0, 1).
///
/// # Examples
/// ```
/// use reparam::distributions::Uniform;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let distribution = Uniform::new(tape.input(&[-1.0, 0.0], [2]), tape.variable(&[1.0, 4.0], [2]));
/// let x = distribution.rsample(&mut Noise::seed(1)).to_vec();
/// assert!(-1.0 <= x[0] && x[0] <= 1.0 && 0.0 <= x[1] && x[1] <= 4.0);
/// let log_prob = distribution.log_prob(tape.input(&[0.0, 5.0], [2]));
/// assert_eq!(log_prob.to_vec(), [-2f32.ln(), f32::NEG_INFINITY]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Uniform<'t> {
    /// The lower end.
    pub low: Var<'t>,
    /// The upper end.
    pub high: Var<'t>,
}

impl<'t> Uniform<'t> {
    /// The distribution on these intervals, whose ends have the same shape.
    ///
    /// # Panics
    /// If the shapes differ, or an interval's lower end is not below its upper end, or its length is not
    /// finite.
    #[track_caller]
    pub fn new(low: Var<'t>, high: Var<'t>) -> Uniform<'t> {
        one_shape("Uniform", ("low", low), ("high", high));
        for (i, (&low, &high)) in low.value().iter().zip(&*high.value()).enumerate() {
            assert!(
                low < high && (high - low).is_finite(),
                "Uniform: low is {low} and high {high} at element {i}; low must be below high, by a finite number"
            );
        }
        Uniform { low, high }
    }

    /// A sample without a gradient, one draw per element.
    ///
    /// # Panics
    /// The same as [`rsample`](Self::rsample).
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        Uniform { low: self.low.stop_gradient(), high: self.high.stop_gradient() }.rsample(noise)
    }

    /// A sample as a function of its parameters, low + (high - low) v, one draw per element. Rounding does
    /// not take it out of \[low, high\]. The noise is kept as a leaf of the tape.
    ///
    /// # Panics
    /// If the number of injected draws is not the number of elements.
    #[track_caller]
    pub fn rsample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.low + (self.high - self.low) * noise_like("Uniform", self.low, noise, fill_uniform)
    }

    /// The log-density of x, elementwise, in nats: -ln(high - low) in \[low, high\], and -inf, with gradients
    /// 0, outside. A NaN stays.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn log_prob(self, x: Var<'t>) -> Var<'t> {
        one_shape("Uniform::log_prob", ("x", x), ("low", self.low));
        let outside = || {
            let (low, high, x) = (self.low.value(), self.high.value(), x.value());
            (0..x.len()).filter(move |&i| x[i] < low[i] || x[i] > high[i])
        };
        let nan = || {
            let x = x.value();
            (0..x.len()).filter(move |&i| x[i].is_nan())
        };
        (-self.entropy()).masked_at(f32::NEG_INFINITY, outside).masked_at(f32::NAN, nan)
    }

    /// ln(high - low), elementwise, in nats.
    #[track_caller]
    pub fn entropy(self) -> Var<'t> {
        (self.high - self.low).ln()
    }

    /// (low + high) / 2, elementwise.
    #[track_caller]
    pub fn mean(self) -> Var<'t> {
        0.5 * self.low + 0.5 * self.high
    }

    /// KL(self || q) = ln(width of q / width of self), elementwise, in nats. It is +inf, with gradients 0,
    /// where q's interval does not contain this one.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn kl(self, q: Uniform<'t>) -> Var<'t> {
        one_shape("Uniform::kl", ("p", self.low), ("q", q.low));
        let outside = || {
            let (p_low, q_low) = (self.low.value(), q.low.value());
            let (p_high, q_high) = (self.high.value(), q.high.value());
            (0..p_low.len()).filter(move |&i| !(q_low[i] <= p_low[i] && p_high[i] <= q_high[i]))
        };
        (q.entropy() - self.entropy()).masked_at(f32::INFINITY, outside)
    }
}
