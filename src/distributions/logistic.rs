//! The logistic distribution.

use reparam_ops::draw::fill_logistic;

use crate::distributions::parts::{check_numbers, in_units, less_log_scale, noise_like};
use crate::noise::NoiseSource;
use crate::var::{Var, one_shape};

/// Logistic variables, elementwise: x = loc + e^log_scale l, with standard logistic noise l.
///
/// It is the difference of two Gumbel variables of the same scale, and the noise for which thresholding a
/// logit gives a Bernoulli sample.
///
/// # Examples
/// ```
/// use reparam::distributions::Logistic;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let (loc, log_scale) = (tape.variable(&[1.0], [1]), tape.variable(&[0.0], [1]));
/// let distribution = Logistic::new(loc, log_scale);
/// let x = distribution.rsample(&mut Noise::seed(1));
/// assert_eq!(x.sum().backward().of(loc).unwrap(), [1.0]);
/// assert!((distribution.log_prob(loc).item() - 0.25f32.ln()).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Logistic<'t> {
    /// The mean, median and mode.
    pub loc: Var<'t>,
    /// The logarithm of the scale.
    pub log_scale: Var<'t>,
}

impl<'t> Logistic<'t> {
    /// The distribution with these parameters, of the same shape.
    ///
    /// # Panics
    /// If the shapes differ. In debug builds, if an element is NaN.
    #[track_caller]
    pub fn new(loc: Var<'t>, log_scale: Var<'t>) -> Logistic<'t> {
        one_shape("Logistic", ("loc", loc), ("log_scale", log_scale));
        check_numbers("Logistic", "loc", loc);
        check_numbers("Logistic", "log_scale", log_scale);
        Logistic { loc, log_scale }
    }

    /// A sample without a gradient, one draw per element.
    ///
    /// # Panics
    /// The same as [`rsample`](Self::rsample).
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        Logistic { loc: self.loc.stop_gradient(), log_scale: self.log_scale.stop_gradient() }.rsample(noise)
    }

    /// A sample as a function of its parameters, loc + e^log_scale l, one draw per element. The noise is kept
    /// as a leaf of the tape.
    ///
    /// # Panics
    /// If the number of injected draws is not the number of elements.
    #[track_caller]
    pub fn rsample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.loc + self.log_scale.exp() * noise_like("Logistic", self.loc, noise, fill_logistic)
    }

    /// The log-density of x, elementwise, in nats: -|z| - 2 softplus(-|z|) - log_scale with z = (x - loc) /
    /// scale.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn log_prob(self, x: Var<'t>) -> Var<'t> {
        one_shape("Logistic::log_prob", ("x", x), ("loc", self.loc));
        // The density is symmetric in z. Nothing overflows on this side.
        let minus_z = -in_units(self.loc - x, self.log_scale).abs();
        less_log_scale(minus_z - 2.0 * minus_z.softplus(), self.log_scale)
    }

    /// log_scale + 2, elementwise, in nats.
    #[track_caller]
    pub fn entropy(self) -> Var<'t> {
        self.log_scale + 2.0
    }

    /// The mean: loc.
    #[track_caller]
    pub fn mean(self) -> Var<'t> {
        self.loc
    }

    /// The value with the largest density: loc.
    #[track_caller]
    pub fn mode(self) -> Var<'t> {
        self.loc
    }
}
