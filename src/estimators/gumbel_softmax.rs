//! The relaxed sample, and the hard one with the relaxed one's gradient.

use super::{Discrete, Estimator, Kind, Loss, accept, check_temperature, evaluate};
use crate::noise::Noise;
use crate::var::Var;

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

impl Estimator for GumbelSoftmax {
    fn name(&self) -> String {
        format!("gumbel-softmax:{}", self.tau)
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn check(&self, _kind: Kind) -> Result<(), String> {
        check_temperature(self.tau)
    }

    fn set_temperature(&mut self, tau: f32) -> bool {
        self.tau = tau;
        true
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let z = match variable {
            Discrete::Bernoulli(logits) => logits.binary_concrete(self.tau, noise),
            Discrete::Categorical(logits) => logits.gumbel_softmax(self.tau, noise),
        };
        evaluate(loss, z, noise)
    }
}

/// The hard sample, with the gradient of the relaxed sample of the same noise. With a forward temperature other than 1
/// the sample is one of softmax(logits / forward), so the loss is that of another law.
///
/// With noise g: the value is the one-hot of argmax(logits / forward + g), the gradient that of
/// softmax((logits + g) / backward). Forward 1 is Jang, Gu and Poole's.
///
/// # Source
/// Jang, Gu, Poole 2017, section 2.2; two temperatures, with the noise added behind the division: R. Shah, M. Yan,
/// M. Mozer, D. Liu, "Improving Discrete Optimisation Via Decoupled Straight-Through Gumbel-Softmax", 2024.
#[derive(Clone, Copy, Debug)]
pub struct StGumbelSoftmax {
    /// The temperature that the sample's law is sharpened or flattened by: 1 for none.
    pub forward: f32,
    /// The temperature of the relaxed sample that is differentiated.
    pub backward: f32,
}

impl StGumbelSoftmax {
    /// One temperature, for the gradient only.
    pub fn new(tau: f32) -> StGumbelSoftmax {
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

    fn check(&self, _kind: Kind) -> Result<(), String> {
        check_temperature(self.forward).and_then(|()| check_temperature(self.backward))
    }

    fn set_temperature(&mut self, tau: f32) -> bool {
        self.backward = tau;
        true
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let logits = variable.logits();
        if self.forward == 1.0 {
            let z = match variable {
                Discrete::Bernoulli(_) => logits.st_binary_concrete(self.backward, noise),
                Discrete::Categorical(_) => logits.st_gumbel_softmax(self.backward, noise),
            };
            return evaluate(loss, z, noise);
        }
        let sharpened = logits / self.forward;
        let mut same = noise.clone();
        let (hard, soft) = match variable {
            Discrete::Bernoulli(_) => {
                (sharpened.bernoulli(&mut same), logits.binary_concrete(self.backward, noise))
            }
            Discrete::Categorical(_) => {
                (sharpened.categorical(&mut same), logits.gumbel_softmax(self.backward, noise))
            }
        };
        evaluate(loss, hard.with_gradient_of(soft), noise)
    }
}
