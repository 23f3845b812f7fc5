//! ARM and DisARM: antithetic pairs of bits.

use super::variable::over_row;
use super::{Discrete, Estimator, Kind, Loss, accept, evaluate};
use crate::distributions::is_positive;
use crate::noise::Noise;
use crate::var::Var;

/// With u uniform, z = 1 where u > 1 - p and z' = 1 where u < p: (f(z) - f(z')) (u - 1/2), each a sample of the law. The
/// value is the mean of both losses.
///
/// # Source
/// M. Yin, M. Zhou, "ARM: Augment-REINFORCE-Merge Gradient for Stochastic Binary Networks", ICLR 2019, equation 5.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arm;

/// [`Arm`] averaged over the noise that gives the same pair of samples: (f(z) - f(z')) / 2 times (-1)^z' sigmoid(|logit|)
/// where z and z' differ, 0 where they agree. Never of more variance.
///
/// # Source
/// Z. Dong, A. Mnih, G. Tucker, "DisARM: An Antithetic Gradient Estimator for Binary Latent Variables", NeurIPS 2020,
/// equation 7; found independently by M. Yin, N. Ho, B. Yan, X. Qian, M. Zhou (2020) as U2G.
#[derive(Clone, Copy, Debug, Default)]
pub struct DisArm;

impl Estimator for Arm {
    fn name(&self) -> String {
        "arm".to_owned()
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn check(&self, kind: Kind) -> Result<(), String> {
        bits_only(kind)
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        antithetic(variable, noise, loss, |_, l, _, _| sigmoid(l) - 0.5)
    }
}

impl Estimator for DisArm {
    fn name(&self) -> String {
        "disarm".to_owned()
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn check(&self, kind: Kind) -> Result<(), String> {
        bits_only(kind)
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        antithetic(variable, noise, loss, |logit, _, z, other| 0.5 * (z - other) * sigmoid(logit.abs()))
    }
}

fn bits_only(kind: Kind) -> Result<(), String> {
    match kind.classes {
        None => Ok(()),
        Some(_) => Err(format!("it treats bits, and was given {kind}; use rloo:2")),
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The loss at an antithetic pair, with (f(z) - f(z')) `factor`(logit, logistic noise, z, z') as the logits' gradient.
fn antithetic<'t>(
    variable: Discrete<'t>,
    noise: &mut Noise,
    loss: Loss<'_, 't>,
    factor: impl Fn(f32, f32, f32, f32) -> f32,
) -> Var<'t> {
    let logits = variable.logits();
    let (tape, shape) = (logits.tape(), logits.shape());
    // u = sigmoid(l): z is 1 where l > -logit, z' where l < logit.
    let l = logistic(logits, noise);
    let where_positive = |sign: f32| {
        let bits: Vec<f32> = logits.value().iter().zip(&l).map(|(x, l)| is_positive(x + sign * l)).collect();
        tape.input(&bits, shape.clone())
    };
    let (z, other) = (where_positive(1.0), where_positive(-1.0));
    let (f, f_other) = (evaluate(loss, z, noise), evaluate(loss, other, noise));
    let factors: Vec<f32> = {
        let (logits, z, other) = (logits.value(), z.value(), other.value());
        (0..l.len()).map(|i| factor(logits[i], l[i], z[i], other[i])).collect()
    };
    let estimate = over_row((f - f_other).stop_gradient(), logits) * tape.input(&factors, shape.clone());
    ((f + f_other) * 0.5).with_logits_gradient(logits, estimate)
}

/// Standard logistic noise, one number per logit.
pub(super) fn logistic(logits: Var<'_>, noise: &mut Noise) -> Vec<f32> {
    noise.draws(logits.shape().len()).map(reparam_ops::draw::logistic).collect()
}
