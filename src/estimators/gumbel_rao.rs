//! Gumbel-Rao: the straight-through relaxed gradient, averaged over the noise that gives the same sample.

use super::{Discrete, Estimator, Kind, Loss, accept, check_temperature, evaluate};
use crate::noise::Noise;
use crate::var::Var;

/// [`StGumbelSoftmax`](super::StGumbelSoftmax) with the mean over `samples` noises given the hard sample: the same
/// expectation, less variance, one evaluation of the loss. Bits are treated as two classes.
///
/// # Source
/// Paulus, Maddison, Krause 2021.
#[derive(Clone, Copy, Debug)]
pub struct GumbelRao {
    /// Noises per hard sample.
    pub samples: usize,
    /// The temperature of the relaxed sample that is differentiated.
    pub tau: f32,
}

impl Estimator for GumbelRao {
    fn name(&self) -> String {
        format!("gumbel-rao:{}:{}", self.samples, self.tau)
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn set_temperature(&mut self, tau: f32) -> bool {
        self.tau = tau;
        true
    }

    fn check(&self, _kind: Kind) -> Result<(), String> {
        match self.samples {
            0 => Err("it needs at least one noise per sample; use gumbel-rao:10:1".to_owned()),
            _ => check_temperature(self.tau),
        }
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let z = variable.as_categorical().gumbel_rao(self.samples, self.tau, noise);
        evaluate(loss, variable.from_categorical(z), noise)
    }
}
