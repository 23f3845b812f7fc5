//! The Gumbel distribution, an extreme-value distribution of maxima.

use reparam_ops::draw::fill_gumbel;

use crate::distributions::normal::HALF_LN_2PI;
use crate::distributions::parts::{check_numbers, in_units, less_log_scale, noise_like, unless_infinite};
use crate::noise::NoiseSource;
use crate::var::{Var, one_shape};

/// The Euler-Mascheroni constant, the mean of a standard Gumbel variable.
const EULER: f32 = 0.577_215_7;

/// Gumbel variables, elementwise: x = loc + e^log_scale g, with standard Gumbel noise g.
///
/// # Examples
/// ```
/// use reparam::distributions::Gumbel;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let (loc, log_scale) = (tape.variable(&[1.0], [1]), tape.variable(&[0.0], [1]));
/// let distribution = Gumbel::new(loc, log_scale);
/// let x = distribution.rsample(&mut Noise::seed(1));
/// assert_eq!(x.sum().backward().of(loc).unwrap(), [1.0]);
/// assert!((distribution.log_prob(loc).item() + 1.0).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gumbel<'t> {
    /// The mode.
    pub loc: Var<'t>,
    /// The logarithm of the scale.
    pub log_scale: Var<'t>,
}

impl<'t> Gumbel<'t> {
    /// The distribution with these parameters, of the same shape.
    ///
    /// # Panics
    /// If the shapes differ. In debug builds, if an element is NaN.
    #[track_caller]
    pub fn new(loc: Var<'t>, log_scale: Var<'t>) -> Gumbel<'t> {
        one_shape("Gumbel", ("loc", loc), ("log_scale", log_scale));
        check_numbers("Gumbel", "loc", loc);
        check_numbers("Gumbel", "log_scale", log_scale);
        Gumbel { loc, log_scale }
    }

    /// A sample without a gradient, one draw per element.
    ///
    /// # Panics
    /// The same as [`rsample`](Self::rsample).
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        Gumbel { loc: self.loc.stop_gradient(), log_scale: self.log_scale.stop_gradient() }.rsample(noise)
    }

    /// A sample as a function of its parameters, loc + e^log_scale g, one draw per element. The noise is kept
    /// as a leaf of the tape.
    ///
    /// # Panics
    /// If the number of injected draws is not the number of elements.
    #[track_caller]
    pub fn rsample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.loc + self.log_scale.exp() * noise_like("Gumbel", self.loc, noise, fill_gumbel)
    }

    /// The log-density of x, elementwise, in nats: -z - e^-z - log_scale with z = (x - loc) / scale.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn log_prob(self, x: Var<'t>) -> Var<'t> {
        one_shape("Gumbel::log_prob", ("x", x), ("loc", self.loc));
        let minus_z = in_units(self.loc - x, self.log_scale);
        less_log_scale(unless_infinite(minus_z) - minus_z.exp(), self.log_scale)
    }

    /// log_scale + 1.577.. (one more than the Euler-Mascheroni constant), elementwise, in nats.
    #[track_caller]
    pub fn entropy(self) -> Var<'t> {
        self.log_scale + (1.0 + EULER)
    }

    /// loc + 0.577.. scale, elementwise.
    #[track_caller]
    pub fn mean(self) -> Var<'t> {
        self.loc + self.log_scale.exp() * EULER
    }

    /// The value with the largest density: loc.
    #[track_caller]
    pub fn mode(self) -> Var<'t> {
        self.loc
    }

    /// KL(self || q), elementwise, in nats: -ln r + c (r - 1) - a + e^a Gamma(1 + r) - 1 with r the ratio of
    /// the scales, a = (loc_q - loc) / scale_q, and c the Euler-Mascheroni constant. Beyond r = 34 it may
    /// overflow to +inf.
    ///
    /// # Precision
    /// Within 2e-6 times the largest of 1, |a| and the result, which limits the result for nearly equal
    /// distributions.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn kl(self, q: Gumbel<'t>) -> Var<'t> {
        one_shape("Gumbel::kl", ("p", self.loc), ("q", q.loc));
        let log_ratio = self.log_scale - q.log_scale;
        let ratio = log_ratio.exp();
        let shift = in_units(q.loc - self.loc, q.log_scale);
        // E e^-z, with z = (x - loc_q) / scale_q.
        let moment = (shift + ln_gamma_of_one_plus(unless_infinite(ratio))).exp();
        (ratio * EULER - unless_infinite(log_ratio) - unless_infinite(shift)) + (moment - (1.0 + EULER))
    }
}

/// ln Gamma(1 + r) for r >= 0: Stirling's series at y = r + 4, brought down by Gamma(y) = (y - 1) Gamma(y -
/// 1). The remainder of the series is below 1 / (1680 y^7) < 4e-8.
#[track_caller]
fn ln_gamma_of_one_plus(r: Var<'_>) -> Var<'_> {
    let y = r + 4.0;
    let inverse = 1.0 / y;
    let square = inverse.square();
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0)));
    let stirling = (y - 0.5) * y.ln() - y + HALF_LN_2PI + series;
    stirling - ((r + 1.0).ln() + (r + 2.0).ln() + (r + 3.0).ln())
}
