//! DARN's estimator: a Taylor expansion of the loss about the sample, taken at the uniform vector.

use super::{Discrete, Estimator, Loss, accept, evaluate};
use crate::noise::Noise;
use crate::var::Var;

/// <f'(z), z - c> d ln p(z) for each variable, c being 1/2 for a bit and 1/classes for a categorical variable: the score
/// function with f(z) less its first-order expansion at z, evaluated at c, in place of f(z).
///
/// Exact in expectation for losses that are quadratic in each bit; biased for others, and for categorical variables,
/// whose samples are not opposite about c.
///
/// (Jang, Gu and Poole 2017 print the baseline as an expansion at c, f(c) + f'(c)(z - c), whose correction is dropped:
/// read literally that gives a linear loss the gradient 0. The expansion at the sample is the one that is unbiased for
/// quadratic losses, as they say it is.)
///
/// # Source
/// K. Gregor et al., "Deep AutoRegressive Networks", ICML 2014, section 3.
#[derive(Clone, Copy, Debug, Default)]
pub struct Darn;

impl Estimator for Darn {
    fn name(&self) -> String {
        "darn".to_owned()
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let kind = variable.kind();
        let z = variable.sample(noise);
        let centre = 1.0 / kind.classes.unwrap_or(2) as f32;
        // The derivative of (z - c) ln p(z) by the logits, met by f'(z): what is wanted.
        let log_prob = variable.log_prob_of_each(z);
        let over_classes = match kind.classes {
            Some(_) => log_prob.reshape([variable.rows(), kind.variables, 1]),
            None => log_prob,
        };
        evaluate(loss, z.with_gradient_of((z - centre) * over_classes), noise)
    }
}
