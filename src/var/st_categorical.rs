//! `st_categorical`: an exact one-hot sample with the gradient of softmax(logits / tau).

use reparam_ops::st_categorical as kernel;

use crate::gradients::InputGradients;
use crate::noise::{NoiseSource, draws_for};
use crate::tape::{Recorded, Rule};
use crate::var::temperature::{Temperature, backward_with_tau};
use crate::var::{Var, tier};

/// y = one-hot of argmax(logits + g), with the gradient of softmax(logits / tau), which contains no noise.
#[derive(Debug)]
struct StCategorical {
    classes: usize,
    tau: f32,
}

impl Rule for StCategorical {
    fn name(&self) -> &'static str {
        "st_categorical"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (logits, dy) = (node.input(0), node.gradient());
        backward_with_tau(node, gradients, |want_tau, dlogits| {
            kernel::backward(tier(), logits, dy, self.classes, self.tau, want_tau, dlogits)
        });
    }
}

/// # Samples of classes: straight-through
impl<'t> Var<'t> {
    /// An exact one-hot sample, differentiated as if it were the probabilities. The value is the one-hot
    /// vector of argmax(logits + g), distributed as softmax(logits) for any tau. The backward pass uses the
    /// gradient of softmax(logits / tau), which contains no noise. Biased; ties take the lowest index. `self`
    /// holds logits `[.., classes]`; a class masked with -inf is never drawn, and its gradient is exactly 0.
    ///
    /// With p = softmax(logits / tau) and h = p (dy - <p, dy>): dlogits = h / tau and dtau = -sum(h ln p) /
    /// tau.
    ///
    /// # Saved
    /// Nothing beyond the logits.
    ///
    /// # Panics
    /// If tau is not positive and finite, or a row is fully masked, or the number of injected draws is not
    /// the number of logits.
    ///
    /// # Source
    /// Bengio, Léonard, Courville 2013, section 4.
    #[track_caller]
    pub fn st_categorical(
        self,
        tau: impl Into<Temperature<'t>>,
        noise: &mut (impl NoiseSource + ?Sized),
    ) -> Var<'t> {
        const OP: &str = "st_categorical";
        let temperature = tau.into();
        let (shape, tau) = (self.shape(), temperature.check(OP));
        let (classes, draws) = (self.classes(OP), draws_for(OP, noise, shape.len()));
        self.record_rows(StCategorical { classes, tau }, &temperature.inputs([self]), shape, |x, y| {
            kernel::forward(tier(), draws, &x[0], classes, y)
        })
    }
}
