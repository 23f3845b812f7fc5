//! The relaxed sample, and the hard sample with the relaxed sample's gradient.

use super::registry::Entry;
use super::{Estimator, Trial, check_temperature, demand};
use crate::var::Var;
use crate::variables::Variables;

/// The relaxed sample in place of the hard one, in both passes: softmax((logits + g) / tau), or for bits
/// sigmoid((logits + l) / tau). The value is the loss at the relaxed sample.
///
/// # Source
/// Jang, Gu, Poole 2017; Maddison, Mnih, Teh 2017.
#[derive(Clone, Copy, Debug)]
pub struct GumbelSoftmax {
    /// The temperature.
    pub tau: f32,
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        form: "gumbel-softmax:TAU",
        type_name: "GumbelSoftmax",
        summary: "the relaxed sample",
        variables: "both",
        unbiased: "no",
        evaluations: "1",
        usual: &["gumbel-softmax:1", "gumbel-softmax:0.5", "gumbel-softmax:0.1"],
        make: |parameters| Ok(Box::new(GumbelSoftmax { tau: parameters.temperature(0)? })),
    },
    Entry {
        form: "st-gumbel-softmax:TAU",
        type_name: "StGumbelSoftmax",
        summary: "hard forward, relaxed backward",
        variables: "both",
        unbiased: "no",
        evaluations: "1",
        usual: &["st-gumbel-softmax:1", "st-gumbel-softmax:0.5"],
        make: |parameters| Ok(Box::new(StGumbelSoftmax::new(parameters.temperature(0)?))),
    },
    Entry {
        form: "st-gumbel-softmax:FORWARD:BACKWARD",
        type_name: "StGumbelSoftmax",
        summary: "the same with two temperatures: the sample is one of softmax(logits / FORWARD)",
        variables: "both",
        unbiased: "no",
        evaluations: "1",
        usual: &["st-gumbel-softmax:0.5:1"],
        make: |parameters| {
            let (forward, backward) = (parameters.temperature(0)?, parameters.temperature(1)?);
            Ok(Box::new(StGumbelSoftmax { forward, backward }))
        },
    },
];

impl Estimator for GumbelSoftmax {
    fn name(&self) -> String {
        format!("gumbel-softmax:{}", self.tau)
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn check(&self, _variables: Variables) -> Result<(), String> {
        check_temperature(self.tau)
    }

    fn set_temperature(&mut self, tau: f32) -> bool {
        self.tau = tau;
        true
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let logits = trial.logits();
        let z = logits.relaxed(self.tau, trial.noise());
        trial.loss(z)
    }
}

/// The hard sample with the gradient of the relaxed sample for the same noise. With a forward temperature
/// other than 1, the sample is drawn from softmax(logits / forward), so the loss belongs to another
/// distribution.
///
/// With noise g, the value is the one-hot of argmax(logits / forward + g), and the gradient is taken from
/// softmax((logits + g) / backward). Jang, Gu and Poole use forward = 1.
///
/// # Source
/// Jang, Gu, Poole 2017, section 2.2; two temperatures, with the noise added after the division: R. Shah, M.
/// Yan, M. Mozer, D. Liu, "Improving Discrete Optimisation Via Decoupled Straight-Through
/// Gumbel-Softmax", 2024.
#[derive(Clone, Copy, Debug)]
pub struct StGumbelSoftmax {
    /// The temperature that sharpens or flattens the sample's distribution. 1 leaves it unchanged.
    pub forward: f32,
    /// The temperature of the relaxed sample that is differentiated.
    pub backward: f32,
}

impl StGumbelSoftmax {
    /// One temperature, for the gradient only.
    ///
    /// # Panics
    /// If tau is not positive and finite.
    #[track_caller]
    pub fn new(tau: f32) -> StGumbelSoftmax {
        demand("StGumbelSoftmax::new", check_temperature(tau));
        StGumbelSoftmax { forward: 1.0, backward: tau }
    }
}

impl Estimator for StGumbelSoftmax {
    fn name(&self) -> String {
        match self.forward {
            1.0 => format!("st-gumbel-softmax:{}", self.backward),
            forward => format!("st-gumbel-softmax:{forward}:{}", self.backward),
        }
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn check(&self, _variables: Variables) -> Result<(), String> {
        check_temperature(self.forward).and_then(|()| check_temperature(self.backward))
    }

    fn set_temperature(&mut self, tau: f32) -> bool {
        self.backward = tau;
        true
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let logits = trial.logits();
        if self.forward == 1.0 {
            let z = logits.straight_through(self.backward, trial.noise());
            return trial.loss(z);
        }
        let sharpened = logits.with(logits.var() / self.forward);
        let hard = sharpened.sample(&mut trial.noise().clone());
        let soft = logits.relaxed(self.backward, trial.noise());
        trial.loss(hard.with_gradient_of(soft))
    }
}
