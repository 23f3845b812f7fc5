//! Stochastic gradient descent with momentum.

use reparam_ops::sgd_momentum::update;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::optim::buffers::{Buffers, OTHER_PARAMS};
use crate::optim::setting::{Range, Setting};
use crate::optim::{Optimizer, everyday_methods};
use crate::params::Params;
use crate::var::tier;

/// Gradient descent with momentum: v = momentum v + g, p = p - learning rate x v. Jang, Gu and Poole's
/// experiments use momentum 0.9.
#[derive(Clone, Debug)]
pub struct Sgd {
    learning_rate: f64,
    momentum: f64,
    weight_decay: f64,
    steps: u64,
    velocities: Buffers,
}

const RATE: Setting = Setting { name: "Sgd: the learning rate", range: Range::NotNegative, usual: "0.01" };
const MOMENTUM: Setting = Setting { name: "Sgd: the momentum", range: Range::BelowOne, usual: "0.9" };
const DECAY: Setting = Setting { name: "Sgd: the weight decay", range: Range::NotNegative, usual: "1e-4" };

impl Sgd {
    /// Creates the optimizer. Momentum 0 is plain gradient descent.
    ///
    /// # Panics
    /// If the learning rate is not from 0 to 1e30, or the momentum is negative or not below 1.
    #[track_caller]
    pub fn new(learning_rate: f64, momentum: f64) -> Sgd {
        let (learning_rate, momentum) = (RATE.demand(learning_rate), MOMENTUM.demand(momentum));
        Sgd { learning_rate, momentum, weight_decay: 0.0, steps: 0, velocities: Buffers::default() }
    }

    /// Adds `decay` x p to the gradient of p.
    ///
    /// # Panics
    /// If the decay is not from 0 to 1e30.
    #[track_caller]
    pub fn weight_decay(mut self, decay: f64) -> Sgd {
        self.weight_decay = DECAY.demand(decay);
        self
    }
}

everyday_methods!(Sgd);

impl Optimizer for Sgd {
    fn update(&mut self, params: &mut Params, gradients: &Gradients) -> std::result::Result<(), String> {
        RATE.check(self.learning_rate)?;
        self.steps = self.steps.saturating_add(1);
        let (rate, momentum, decay) =
            (self.learning_rate as f32, self.momentum as f32, self.weight_decay as f32);
        for id in params.ids() {
            let Some(gradient) = gradients.parameter(id).filter(|_| !params.is_frozen(id)) else { continue };
            let Some(velocity) = self.velocities.get(id, gradient.len()) else {
                return Err(OTHER_PARAMS.to_owned());
            };
            update(tier(), rate, momentum, decay, gradient, velocity, params.free_value(id)?);
        }
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    #[track_caller]
    fn save(&self, prefix: &str, params: &Params, checkpoint: &mut Checkpoint) {
        checkpoint.set(&format!("{prefix}steps"), self.steps);
        self.velocities.save(&format!("{prefix}velocity."), params, checkpoint);
    }

    fn restore(&mut self, prefix: &str, params: &Params, checkpoint: &Checkpoint) -> Result<()> {
        let steps = checkpoint.get(&format!("{prefix}steps"))?;
        let velocities = Buffers::restored(&format!("{prefix}velocity."), params, checkpoint)?;
        (self.steps, self.velocities) = (steps, velocities);
        Ok(())
    }
}
