//! Adam and AdamW.

use reparam_ops::adam::{Hyper, LARGEST_BETA, update};

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::optim::buffers::{Buffers, OTHER_PARAMS};
use crate::optim::setting::{Range, Setting};
use crate::optim::{Optimizer, everyday_methods};
use crate::params::Params;
use crate::var::tier;

/// Adam, which steps by the running mean of gradients over the root of the running mean of their squares, and
/// AdamW with [`weight_decay`](Adam::weight_decay). Defaults: beta 0.9 and 0.999, epsilon 1e-8.
///
/// The bias correction counts the optimizer's steps, the same for all parameters (as in optax; PyTorch counts
/// per parameter). A parameter that gets its first gradient late, because it was frozen, starts with larger
/// steps.
///
/// # Source
/// D. Kingma, J. Ba, ICLR 2015, algorithm 1; I. Loshchilov, F. Hutter, ICLR 2019, algorithm 2.
#[derive(Clone, Debug)]
pub struct Adam {
    hyper: Hyper,
    steps: u64,
    means: Buffers,
    squares: Buffers,
}

const RATE: Setting = Setting { name: "Adam: the learning rate", range: Range::NotNegative, usual: "1e-3" };
const BETA1: Setting = Setting { name: "Adam: beta1", range: Range::UpTo(LARGEST_BETA), usual: "0.9" };
const BETA2: Setting = Setting { name: "Adam: beta2", range: Range::UpTo(LARGEST_BETA), usual: "0.999" };
const EPSILON: Setting = Setting { name: "Adam: epsilon", range: Range::Positive, usual: "1e-8" };
const DECAY: Setting = Setting { name: "Adam: the weight decay", range: Range::NotNegative, usual: "0.01" };

impl Adam {
    /// Adam with the usual constants.
    ///
    /// # Panics
    /// If the learning rate is not from 0 to 1e30.
    #[track_caller]
    pub fn new(learning_rate: f64) -> Adam {
        let learning_rate = RATE.demand(learning_rate);
        let hyper = Hyper { learning_rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
        Adam { hyper, steps: 0, means: Buffers::default(), squares: Buffers::default() }
    }

    /// Sets other decay rates for the two moments.
    ///
    /// # Panics
    /// If one is not from 0 to 0.99999.
    #[track_caller]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Adam {
        (self.hyper.beta1, self.hyper.beta2) = (BETA1.demand(beta1), BETA2.demand(beta2));
        self
    }

    /// Sets another epsilon, which is added to the root.
    ///
    /// ```
    /// use reparam::optim::Adam;
    /// use reparam::{Gradients, Params};
    ///
    /// let mut params = Params::new();
    /// let w = params.add("w", [1], vec![0.0]);
    /// let mut gradients = Gradients::new();
    /// gradients.add(&params, w, &[3.0]);
    /// // The first step is learning rate x g / (|g| + epsilon).
    /// Adam::new(0.1).epsilon(1.0).step(&mut params, &gradients);
    /// assert!((params.value(w)[0] + 0.1 * 3.0 / 4.0).abs() < 1e-6);
    /// ```
    ///
    /// # Panics
    /// If epsilon is above 1e30 or not above 0 in f32. With an epsilon of 0, a gradient of 0 would move a
    /// parameter by 0 / 0.
    #[track_caller]
    pub fn epsilon(mut self, epsilon: f64) -> Adam {
        self.hyper.epsilon = EPSILON.demand(epsilon);
        self
    }

    /// Sets decoupled weight decay: each step first multiplies parameters by 1 - learning rate x `decay`.
    ///
    /// # Panics
    /// If the decay is not from 0 to 1e30.
    #[track_caller]
    pub fn weight_decay(mut self, decay: f64) -> Adam {
        self.hyper.weight_decay = DECAY.demand(decay);
        self
    }
}

everyday_methods!(Adam);

impl Optimizer for Adam {
    fn update(&mut self, params: &mut Params, gradients: &Gradients) -> std::result::Result<(), String> {
        RATE.check(self.hyper.learning_rate)?;
        self.steps = self.steps.saturating_add(1);
        for id in params.ids() {
            let Some(gradient) = gradients.parameter(id).filter(|_| !params.is_frozen(id)) else { continue };
            let (mean, square) = (self.means.get(id, gradient.len()), self.squares.get(id, gradient.len()));
            let (Some(mean), Some(square)) = (mean, square) else { return Err(OTHER_PARAMS.to_owned()) };
            let value = params.free_value(id)?;
            update(tier(), self.hyper, self.steps, gradient, mean, square, value);
        }
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.hyper.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.hyper.learning_rate = learning_rate;
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    #[track_caller]
    fn save(&self, prefix: &str, params: &Params, checkpoint: &mut Checkpoint) {
        checkpoint.set(&format!("{prefix}steps"), self.steps);
        self.means.save(&format!("{prefix}mean."), params, checkpoint);
        self.squares.save(&format!("{prefix}square."), params, checkpoint);
    }

    fn restore(&mut self, prefix: &str, params: &Params, checkpoint: &Checkpoint) -> Result<()> {
        let steps = checkpoint.get(&format!("{prefix}steps"))?;
        let means = Buffers::restored(&format!("{prefix}mean."), params, checkpoint)?;
        let squares = Buffers::restored(&format!("{prefix}square."), params, checkpoint)?;
        (self.steps, self.means, self.squares) = (steps, means, squares);
        Ok(())
    }
}
