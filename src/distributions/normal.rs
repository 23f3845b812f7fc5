//! The normal distribution.

use crate::distributions::parts::{check_numbers, in_units, less_log_scale};
use crate::noise::NoiseSource;
use crate::var::{Var, one_shape};

/// ln(2 pi) / 2
pub(super) const HALF_LN_2PI: f32 = 0.918_938_5;

/// Normal variables, elementwise: x = mean + e^log_std eps, with standard normal noise eps.
///
/// # Examples
/// ```
/// use reparam::distributions::Normal;
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let (mean, log_std) = (tape.variable(&[1.0], [1]), tape.variable(&[0.0], [1]));
/// let distribution = Normal::new(mean, log_std);
/// let x = distribution.rsample(&mut Noise::seed(1));
/// assert_eq!(x.sum().backward().of(mean).unwrap(), [1.0]);
/// assert!((distribution.log_prob(mean).item() + 0.918_938_5).abs() < 1e-6);
/// assert_eq!(distribution.kl(distribution).item(), 0.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Normal<'t> {
    /// The mean.
    pub mean: Var<'t>,
    /// The logarithm of the standard deviation.
    pub log_std: Var<'t>,
}

impl<'t> Normal<'t> {
    /// The distribution with these parameters, of the same shape.
    ///
    /// # Panics
    /// If the shapes differ. In debug builds, if an element is NaN.
    #[track_caller]
    pub fn new(mean: Var<'t>, log_std: Var<'t>) -> Normal<'t> {
        one_shape("Normal", ("the mean", mean), ("log_std", log_std));
        check_numbers("Normal", "the mean", mean);
        check_numbers("Normal", "log_std", log_std);
        Normal { mean, log_std }
    }

    /// A sample without a gradient, one draw per element.
    ///
    /// # Panics
    /// The same as [`rsample`](Self::rsample).
    #[track_caller]
    pub fn sample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.mean.stop_gradient().gaussian_rsample(self.log_std.stop_gradient(), noise)
    }

    /// A sample as a function of its parameters, mean + e^log_std eps, one draw per element or injected
    /// standard normals: see [`gaussian_rsample`](Var::gaussian_rsample).
    ///
    /// # Panics
    /// If the number of injected draws or normals is not the number of elements.
    #[track_caller]
    pub fn rsample(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        self.mean.gaussian_rsample(self.log_std, noise)
    }

    /// The log-density of x, elementwise, in nats: -z^2 / 2 - log_std - ln(2 pi) / 2 with z = (x - mean) /
    /// std.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn log_prob(self, x: Var<'t>) -> Var<'t> {
        one_shape("Normal::log_prob", ("x", x), ("the mean", self.mean));
        let z = in_units(x - self.mean, self.log_std);
        // We halve z before squaring, because the square itself may overflow.
        less_log_scale((z * (z * -0.5)).affine(1.0, -HALF_LN_2PI), self.log_std)
    }

    /// log_std + (1 + ln(2 pi)) / 2, elementwise, in nats.
    #[track_caller]
    pub fn entropy(self) -> Var<'t> {
        self.log_std + (0.5 + HALF_LN_2PI)
    }

    /// The mean.
    #[track_caller]
    pub fn mean(self) -> Var<'t> {
        self.mean
    }

    /// The value with the largest density: the mean.
    #[track_caller]
    pub fn mode(self) -> Var<'t> {
        self.mean
    }

    /// KL(self || q) = (r^2 + m^2 - 1) / 2 - ln r, elementwise, in nats, with r the ratio of the standard
    /// deviations and m = (mean - mean_q) / std_q.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn kl(self, q: Normal<'t>) -> Var<'t> {
        one_shape("Normal::kl", ("p", self.mean), ("q", q.mean));
        // In these units q is standard.
        let mean = in_units(self.mean - q.mean, q.log_std);
        mean.gaussian_kl_standard(self.log_std - q.log_std)
    }

    /// KL(self || N(0, 1)), elementwise, in nats: see [`gaussian_kl_standard`](Var::gaussian_kl_standard).
    #[track_caller]
    pub fn kl_standard(self) -> Var<'t> {
        self.mean.gaussian_kl_standard(self.log_std)
    }
}
