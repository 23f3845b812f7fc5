//! `gumbel_softmax` and `st_gumbel_softmax`: relaxed and straight-through samples of categorical variables.

use reparam_ops::gumbel_softmax as kernel;

use crate::gradients::InputGradients;
use crate::noise::{NoiseSource, Scores, draws_for};
use crate::tape::{Recorded, Rule};
use crate::var::temperature::{Temperature, backward_with_tau};
use crate::var::{Var, tier};

/// y = softmax((logits + g) / tau); the gradient needs only y.
#[derive(Debug)]
struct GumbelSoftmax {
    classes: usize,
    tau: f32,
}

impl Rule for GumbelSoftmax {
    fn name(&self) -> &'static str {
        "gumbel_softmax"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        backward_with_tau(node, gradients, |want_tau, dlogits| {
            kernel::backward(
                tier(),
                node.output(),
                node.gradient(),
                self.classes,
                self.tau,
                want_tau,
                dlogits,
            )
        });
    }
}

/// y = one-hot of argmax(logits + g), with the gradient of the relaxed sample, which is computed from the
/// scores.
#[derive(Debug)]
struct StGumbelSoftmax {
    classes: usize,
    tau: f32,
    scores: Scores,
}

impl Rule for StGumbelSoftmax {
    fn name(&self) -> &'static str {
        "st_gumbel_softmax"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (logits, dy, classes, tau) = (node.input(0), node.gradient(), self.classes, self.tau);
        backward_with_tau(node, gradients, |want_tau, dlogits| match &self.scores {
            Scores::Kept => {
                kernel::st_backward_from_scores(tier(), node.kept(), dy, classes, tau, want_tau, dlogits)
            }
            Scores::Replayed(replay) => {
                kernel::st_backward(tier(), replay.draws(), logits, dy, classes, tau, want_tau, dlogits)
            }
        });
    }
    fn saved_bytes(&self) -> usize {
        size_of_val(self) + self.scores.buffer_bytes()
    }
}

/// # Samples of classes: Gumbel-Softmax
impl<'t> Var<'t> {
    /// A relaxed sample of a categorical variable, row by row: y = softmax((logits + g) / tau) with standard
    /// Gumbel noise g, one draw per logit. `self` holds logits `[.., classes]`, unnormalised; rows of y lie
    /// on the simplex. Also called a sample of the Concrete distribution.
    ///
    /// At low tau, y is nearly one-hot and its gradient varies wildly. At high tau, y is smooth but a biased
    /// stand-in for the one-hot sample. A logit of -inf masks its class, whose y and gradient are exactly 0.
    ///
    /// dlogits = h / tau and dtau = -sum(h ln y) / tau with h = y (dy - <y, dy>).
    ///
    /// # Saved
    /// Nothing beyond the output y. The noise is neither stored nor drawn again.
    ///
    /// # Precision
    /// y is within a few ulp times the spread of the scores, and 0 below 1.8e-25 times the largest entry. For
    /// large tau, dtau has limited accuracy: see
    /// [`reparam_ops::softmax::backward`].
    ///
    /// # Panics
    /// If tau is not positive and finite, or a row is fully masked, or the number of injected draws is not
    /// the number of logits.
    ///
    /// # Examples
    /// ```
    /// use reparam::{Noise, Tape};
    ///
    /// let tape = Tape::new();
    /// let logits = tape.variable(&[1.0, 2.0, 3.0], [1, 3]);
    /// let y = logits.gumbel_softmax(0.5, &mut Noise::seed(1));
    /// assert!((y.sum().item() - 1.0).abs() < 1e-6);
    /// ```
    ///
    /// # Source
    /// Jang, Gu, Poole 2017, section 2; Maddison, Mnih, Teh 2017, equation 10.
    #[track_caller]
    pub fn gumbel_softmax(
        self,
        tau: impl Into<Temperature<'t>>,
        noise: &mut (impl NoiseSource + ?Sized),
    ) -> Var<'t> {
        const OP: &str = "gumbel_softmax";
        let temperature = tau.into();
        let (shape, tau) = (self.shape(), temperature.check(OP));
        let (classes, draws) = (self.classes(OP), draws_for(OP, noise, shape.len()));
        self.record_rows(GumbelSoftmax { classes, tau }, &temperature.inputs([self]), shape, |x, y| {
            kernel::forward(tier(), draws, &x[0], classes, tau, y)
        })
    }

    /// An exact one-hot sample, differentiated as if it were the relaxed one. The value is the one-hot vector
    /// of argmax(logits + g), distributed as softmax(logits) for any tau. The backward pass uses the gradient
    /// of softmax((logits + g) / tau) with the same noise. Biased; ties take the lowest index.
    ///
    /// # Saved
    /// The scores logits + g, if there are at most 2^20 of them (4 MiB) and a gradient is wanted. For a
    /// larger sample, the position of its draws in their stream, from which the backward pass computes the
    /// scores again, with the same bits.
    ///
    /// # Panics
    /// The same as [`gumbel_softmax`](Self::gumbel_softmax).
    ///
    /// # Source
    /// Jang, Gu, Poole 2017, section 2.2.
    #[track_caller]
    pub fn st_gumbel_softmax(
        self,
        tau: impl Into<Temperature<'t>>,
        noise: &mut (impl NoiseSource + ?Sized),
    ) -> Var<'t> {
        const OP: &str = "st_gumbel_softmax";
        let temperature = tau.into();
        let (shape, tau) = (self.shape(), temperature.check(OP));
        let (classes, draws) = (self.classes(OP), draws_for(OP, noise, shape.len()));
        let (rule, inputs) = (|scores| StGumbelSoftmax { classes, tau, scores }, temperature.inputs([self]));
        let mut checked = Ok(());
        let y = self.tape().record_straight_through(rule, draws, &inputs, shape, |x, y, scores| {
            checked = match scores {
                Some(scores) => kernel::st_forward_and_scores(tier(), draws, &x[0], classes, y, scores),
                None => kernel::st_forward(tier(), draws, &x[0], classes, y),
            };
        });
        y.unless_masked(OP, checked)
    }
}
