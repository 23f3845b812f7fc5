//! ARM and DisARM: antithetic pairs of bits.

use super::registry::Entry;
use super::rows::over_row;
use super::{Estimator, Trial};
use crate::distributions::is_positive;
use crate::noise::Noise;
use crate::var::Var;
use crate::variables::Variables;

/// The gradient (f(z) - f(z')) (u - 1/2), with u uniform, z = 1 where u > 1 - p and z' = 1 where u < p. Both
/// z and z' are exact samples, and the value is the mean of their losses.
///
/// # Source
/// M. Yin, M. Zhou, "ARM: Augment-REINFORCE-Merge Gradient for Stochastic Binary Networks", ICLR 2019,
/// equation 5.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arm;

/// [`Arm`] averaged over the noise that gives the same pair of samples: (f(z) - f(z')) / 2 times (-1)^z'
/// sigmoid(|logit|) where z and z' differ, 0 where they agree. Its variance is never larger than ARM's.
///
/// # Source
/// Z. Dong, A. Mnih, G. Tucker, "DisARM: An Antithetic Gradient Estimator for Binary Latent Variables",
/// NeurIPS 2020, equation 7; found independently by M. Yin, N. Ho, B. Yan, X. Qian, M. Zhou (2020) as U2G.
#[derive(Clone, Copy, Debug, Default)]
pub struct DisArm;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        form: "arm",
        type_name: "Arm",
        summary: "antithetic pairs",
        variables: "bits",
        unbiased: "yes",
        evaluations: "2",
        usual: &["arm"],
        make: |_| Ok(Box::new(Arm)),
    },
    Entry {
        form: "disarm",
        type_name: "DisArm",
        summary: "antithetic pairs, averaged over the noise that gives them",
        variables: "bits",
        unbiased: "yes",
        evaluations: "2",
        usual: &["disarm"],
        make: |_| Ok(Box::new(DisArm)),
    },
];

impl Estimator for Arm {
    fn name(&self) -> String {
        "arm".to_owned()
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn check(&self, variables: Variables) -> Result<(), String> {
        bits_only(variables)
    }

    fn run<'t>(&mut self, trial: Trial<'_, 't>) -> Var<'t> {
        antithetic(trial, |_, l, _, _| sigmoid(l) - 0.5)
    }
}

impl Estimator for DisArm {
    fn name(&self) -> String {
        "disarm".to_owned()
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn check(&self, variables: Variables) -> Result<(), String> {
        bits_only(variables)
    }

    fn run<'t>(&mut self, trial: Trial<'_, 't>) -> Var<'t> {
        antithetic(trial, |logit, _, z, other| 0.5 * (z - other) * sigmoid(logit.abs()))
    }
}

fn bits_only(variables: Variables) -> Result<(), String> {
    match variables {
        Variables::Bits(_) => Ok(()),
        Variables::Categories { .. } => {
            Err(format!("it works on bits, and was given {variables}; use rloo:2"))
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The loss at an antithetic pair, with (f(z) - f(z')) `factor`(logit, logistic noise, z, z') as the logits'
/// gradient.
fn antithetic<'t>(mut trial: Trial<'_, 't>, factor: impl Fn(f32, f32, f32, f32) -> f32) -> Var<'t> {
    let logits = trial.logits().var();
    let (tape, shape) = (logits.tape(), logits.shape());
    // With u = sigmoid(l), z is 1 where l > -logit and z' is 1 where l < logit.
    let l = logistic(logits, trial.noise());
    let where_positive = |sign: f32| {
        let bits: Vec<f32> = logits.value().iter().zip(&l).map(|(x, l)| is_positive(x + sign * l)).collect();
        tape.input(&bits, shape.clone())
    };
    let (z, other) = (where_positive(1.0), where_positive(-1.0));
    let (f, f_other) = (trial.loss(z), trial.loss(other));
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
