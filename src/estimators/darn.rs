//! DARN's estimator: a Taylor expansion of the loss about the sample, taken at the uniform vector.

use super::registry::Entry;
use super::{Estimator, Trial};
use crate::var::Var;
use crate::variables::Variables;

/// The gradient <f'(z), z - c> d ln p(z) for each variable, with c = 1/2 for a bit and 1/classes for a
/// categorical variable. This is the score function with f(z) replaced by f(z) minus its first-order
/// expansion at z, evaluated at c.
///
/// It is exact in expectation for losses that are quadratic in each bit. It is biased for other losses, and
/// for categorical variables because their samples are not symmetric about c.
///
/// (Jang, Gu and Poole 2017 print the baseline as an expansion at c, f(c) + f'(c)(z - c), whose correction is
/// dropped. Read literally, that gives a linear loss the gradient 0. The expansion at the sample is unbiased
/// for quadratic losses, as they claim.)
///
/// # Source
/// K. Gregor et al., "Deep AutoRegressive Networks", ICML 2014, section 3.
#[derive(Clone, Copy, Debug, Default)]
pub struct Darn;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    form: "darn",
    type_name: "Darn",
    summary: "Taylor expansion about the sample, taken at the uniform vector",
    variables: "both",
    unbiased: "for quadratic losses of bits",
    evaluations: "1",
    usual: &["darn"],
    make: |_| Ok(Box::new(Darn)),
}];

impl Estimator for Darn {
    fn name(&self) -> String {
        "darn".to_owned()
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let (logits, z) = (trial.logits(), trial.sample());
        let centre = 1.0 / logits.variables().values() as f32;
        // The estimate is f'(z) times the derivative of (z - c) ln p(z) with respect to the logits.
        let log_prob = logits.log_prob_of_each(z);
        let over_classes = match logits.variables() {
            Variables::Categories { count, .. } => log_prob.reshape([logits.rows(), count, 1]),
            Variables::Bits(_) => log_prob,
        };
        trial.loss(z.with_gradient_of((z - centre) * over_classes))
    }
}
