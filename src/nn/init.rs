//! Initial values of weights.

use reparam_ops::draw;

use crate::Activation;
use crate::noise::Noise;
use crate::shape::Shape;

/// A distribution for the initial entries of a weight with `fan_in` inputs and `fan_out` outputs per unit.
///
/// # Source
/// X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
/// 2010; K. He, X. Zhang, S. Ren, J. Sun, "Delving Deep into Rectifiers", ICCV 2015.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Init {
    /// One value everywhere.
    Constant(f32),
    /// Uniform on \[-a, a\], a = sqrt(6 / (fan_in + fan_out)).
    GlorotUniform,
    /// Normal, variance 2 / (fan_in + fan_out).
    GlorotNormal,
    /// Uniform on \[-a, a\], a = sqrt(6 / fan_in), for rectifiers.
    HeUniform,
    /// Normal, variance 2 / fan_in, for rectifiers.
    HeNormal,
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
}

impl Init {
    /// The usual distribution before an activation: He for rectifiers, Glorot otherwise, both uniform.
    pub fn before(activation: Activation) -> Init {
        match activation {
            Activation::Relu | Activation::LeakyRelu(_) => Init::HeUniform,
            Activation::Identity | Activation::Sigmoid | Activation::Tanh => Init::GlorotUniform,
        }
    }

    /// The entries of a `fan_in x fan_out` weight, one draw each (none for a constant).
    ///
    /// # Panics
    /// If there are no inputs or no outputs, the constant is not finite, or the standard deviation is
    /// negative or not finite.
    #[track_caller]
    pub fn values(self, fan_in: usize, fan_out: usize, noise: &mut Noise) -> Vec<f32> {
        assert!(
            fan_in > 0 && fan_out > 0,
            "Init::values: expected at least one input and one output, found {fan_in} and {fan_out}"
        );
        let count = Shape::from([fan_in, fan_out]).len();
        self.check();
        let (inputs, both) = (fan_in as f32, (fan_in + fan_out) as f32);
        match self {
            Init::Constant(value) => vec![value; count],
            Init::GlorotUniform => uniform((6.0 / both).sqrt(), count, noise),
            Init::GlorotNormal => normal((2.0 / both).sqrt(), count, noise),
            Init::HeUniform => uniform((6.0 / inputs).sqrt(), count, noise),
            Init::HeNormal => normal((2.0 / inputs).sqrt(), count, noise),
            Init::Normal(deviation) => normal(deviation, count, noise),
        }
    }

    #[track_caller]
    fn check(self) {
        match self {
            Init::Constant(value) => {
                assert!(
                    value.is_finite(),
                    "Init::Constant: the value must be finite, it is {value}; 0 is usual"
                );
            }
            Init::Normal(deviation) => assert!(
                deviation >= 0.0 && deviation.is_finite(),
                "Init::Normal: the standard deviation must be finite and at least 0, it is {deviation}; 0.01 is usual"
            ),
            Init::GlorotUniform | Init::GlorotNormal | Init::HeUniform | Init::HeNormal => {}
        }
    }
}

fn uniform(bound: f32, count: usize, noise: &mut Noise) -> Vec<f32> {
    noise.draws(count).map(|draw| bound * (2.0 * draw::uniform(draw) - 1.0)).collect()
}

fn normal(deviation: f32, count: usize, noise: &mut Noise) -> Vec<f32> {
    noise.draws(count).map(|draw| deviation * draw::normal(draw)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variances_are_as_stated() {
        for (init, variance) in [
            (Init::GlorotUniform, 2.0 / 700.0),
            (Init::GlorotNormal, 2.0 / 700.0),
            (Init::HeUniform, 2.0 / 300.0),
            (Init::HeNormal, 2.0 / 300.0),
            (Init::Normal(0.1), 0.01),
        ] {
            let values = init.values(300, 400, &mut Noise::seed(1));
            let found = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64;
            // The relative standard error of a variance of 120,000 entries is at most 0.41 %, so 2.5 % is six
            // of them.
            assert!((found / variance - 1.0).abs() < 0.025, "{init:?}: {found} instead of {variance}");
        }
    }
}
