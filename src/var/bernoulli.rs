//! `bernoulli` and `st_bernoulli`: exact samples of binary variables, without and with a surrogate gradient.

use reparam_ops::bernoulli as kernel;

use crate::gradients::InputGradients;
use crate::noise::{NoiseSource, draws_for};
use crate::tape::{Recorded, Rule};
use crate::var::{Var, tier};

/// y = 1 where logits + l > 0, a constant.
#[derive(Debug)]
struct Bernoulli;

impl Rule for Bernoulli {
    fn name(&self) -> &'static str {
        "bernoulli"
    }
    fn backward(&self, _node: Recorded<'_>, _gradients: &mut InputGradients<'_>) {}
}

/// y = 1 where logits + l > 0, with the gradient of sigmoid(logits).
#[derive(Debug)]
struct StBernoulli;

impl Rule for StBernoulli {
    fn name(&self) -> &'static str {
        "st_bernoulli"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dlogits) = gradients.add_to(0) {
            kernel::st_backward(tier(), node.input(0), node.gradient(), dlogits);
        }
    }
}

/// # Samples of bits: hard and straight-through
impl<'t> Var<'t> {
    /// An exact sample of a binary variable, elementwise: 1 where logits + l > 0 with standard logistic noise
    /// l, else 0. It is 1 with probability sigmoid(logits) and takes one draw per element. It has no
    /// gradient, as score-function estimators require.
    ///
    /// # Panics
    /// If the number of injected draws is not the number of elements.
    #[track_caller]
    pub fn bernoulli(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        let shape = self.shape();
        let draws = draws_for("bernoulli", noise, shape.len());
        self.tape().record(Bernoulli, &[self.stop_gradient()], shape, |x, y| {
            kernel::forward(tier(), draws, &x[0], y);
        })
    }

    /// An exact sample of a binary variable, differentiated as if it were its probability p. The value is the
    /// same as [`bernoulli`](Self::bernoulli)'s. The backward pass uses the gradient of p = sigmoid(logits):
    /// dlogits = dy p (1 - p). Biased.
    ///
    /// # Saved
    /// Nothing beyond the logits.
    ///
    /// # Panics
    /// If the number of injected draws is not the number of elements.
    ///
    /// # Examples
    /// ```
    /// use reparam::{Noise, Tape};
    ///
    /// let tape = Tape::new();
    /// let logits = tape.variable(&[0.0], [1]);
    /// let y = logits.st_bernoulli(&mut Noise::seed(1));
    /// assert!(y.item() == 0.0 || y.item() == 1.0);
    /// assert_eq!(y.backward().of(logits).unwrap(), [0.25]);
    /// ```
    ///
    /// # Source
    /// Bengio, Léonard, Courville 2013, section 4.
    #[track_caller]
    pub fn st_bernoulli(self, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        let shape = self.shape();
        let draws = draws_for("st_bernoulli", noise, shape.len());
        self.tape().record(StBernoulli, &[self], shape, |x, y| kernel::forward(tier(), draws, &x[0], y))
    }
}
