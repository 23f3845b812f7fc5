//! Adam and AdamW.

use reparam_ops::adam::{Hyper, LARGEST_BETA, update};

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::optim::buffers::Buffers;
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

impl Adam {
    /// Adam with the usual constants.
    pub fn new(learning_rate: f64) -> Adam {
        let hyper = Hyper { learning_rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
        Adam { hyper, steps: 0, means: Buffers::default(), squares: Buffers::default() }
    }

    /// Sets other decay rates for the two moments.
    ///
    /// # Panics
    /// If one is not from 0 to 0.99999.
    #[track_caller]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Adam {
        for (name, beta) in [("beta1", beta1), ("beta2", beta2)] {
            assert!(
                (0.0..=LARGEST_BETA).contains(&beta),
                "{name}: a number from 0 to {LARGEST_BETA} expected, found {beta}"
            );
        }
        (self.hyper.beta1, self.hyper.beta2) = (beta1, beta2);
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
    pub fn epsilon(mut self, epsilon: f64) -> Adam {
        self.hyper.epsilon = epsilon;
        self
    }

    /// Sets decoupled weight decay: each step first multiplies parameters by 1 - learning rate x `decay`.
    pub fn weight_decay(mut self, decay: f64) -> Adam {
        self.hyper.weight_decay = decay;
        self
    }
}

everyday_methods!(Adam);

impl Optimizer for Adam {
    #[track_caller]
    fn step(&mut self, params: &mut Params, gradients: &Gradients) {
        self.steps = self.steps.saturating_add(1);
        for id in params.ids() {
            let Some(gradient) = gradients.parameter(id).filter(|_| !params.is_frozen(id)) else { continue };
            let mean = self.means.get(id, gradient.len());
            let square = self.squares.get(id, gradient.len());
            update(tier(), self.hyper, self.steps, gradient, mean, square, params.value_mut(id));
        }
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
