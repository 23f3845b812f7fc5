//! `binary_concrete` and `st_binary_concrete`: relaxed and straight-through samples of binary variables.

use reparam_ops::binary_concrete as kernel;

use crate::gradients::InputGradients;
use crate::noise::{NoiseSource, Scores, draws_for};
use crate::tape::{Recorded, Rule};
use crate::var::temperature::{Temperature, backward_with_tau};
use crate::var::{Var, tier};

/// y = sigmoid((logits + l) / tau). The forward pass keeps the signed distance of y from 0 or 1, which the
/// gradient needs.
#[derive(Debug)]
struct BinaryConcrete {
    tau: f32,
}

impl Rule for BinaryConcrete {
    fn name(&self) -> &'static str {
        "binary_concrete"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        backward_with_tau(node, gradients, |want_tau, dlogits| {
            kernel::backward(tier(), node.kept(), node.gradient(), self.tau, want_tau, dlogits)
        });
    }
}

/// y = 1 where logits + l > 0, with the gradient of the relaxed sample, which is computed from the scores.
#[derive(Debug)]
struct StBinaryConcrete {
    tau: f32,
    scores: Scores,
}

impl Rule for StBinaryConcrete {
    fn name(&self) -> &'static str {
        "st_binary_concrete"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (logits, dy, tau) = (node.input(0), node.gradient(), self.tau);
        backward_with_tau(node, gradients, |want_tau, dlogits| match &self.scores {
            Scores::Kept => kernel::st_backward_from_scores(tier(), node.kept(), dy, tau, want_tau, dlogits),
            Scores::Replayed(replay) => {
                kernel::st_backward(tier(), replay.draws(), logits, dy, tau, want_tau, dlogits)
            }
        });
    }
    fn saved_bytes(&self) -> usize {
        size_of_val(self) + self.scores.buffer_bytes()
    }
}

/// # Samples of bits: binary Concrete
impl<'t> Var<'t> {
    /// A relaxed sample of a binary variable, elementwise: y = sigmoid((logits + l) / tau) with standard
    /// logistic noise l, one draw per logit. Also called relaxed Bernoulli or Gumbel-sigmoid. y > 1/2 with
    /// probability sigmoid(logits) for any tau. A logit of -inf gives exactly 0 and one of +inf exactly 1,
    /// both with gradient 0.
    ///
    /// With h = dy y (1 - y): dlogits = h / tau and dtau = -sum(h logit(y)) / tau.
    ///
    /// # Saved
    /// The rest of each y, which is its difference from the nearer of 0 and 1. Where y rounds to 1, only the
    /// rest still determines the gradient. The noise is neither stored nor drawn again.
    ///
    /// # Precision
    /// y is within 2 ulp of the sigmoid of its score, and dlogits is accurate on both sides. For large tau,
    /// dtau has limited accuracy: see [`reparam_ops::binary_concrete::backward`].
    ///
    /// # Panics
    /// If tau is not positive and finite, or the number of injected draws is not the number of logits.
    ///
    /// # Examples
    /// ```
    /// use reparam::{Noise, Tape};
    ///
    /// let tape = Tape::new();
    /// let y = tape.variable(&[0.0, 1.0], [2]).binary_concrete(0.5, &mut Noise::seed(1));
    /// assert!(y.to_vec().iter().all(|&y| 0.0 < y && y < 1.0));
    /// ```
    ///
    /// # Source
    /// Maddison, Mnih, Teh 2017, section 3.2 and appendix B.
    #[doc(alias = "relaxed_bernoulli")]
    #[doc(alias = "gumbel_sigmoid")]
    #[track_caller]
    pub fn binary_concrete(
        self,
        tau: impl Into<Temperature<'t>>,
        noise: &mut (impl NoiseSource + ?Sized),
    ) -> Var<'t> {
        const OP: &str = "binary_concrete";
        let temperature = tau.into();
        let (shape, tau) = (self.shape(), temperature.check(OP));
        let draws = draws_for(OP, noise, shape.len());
        let inputs = temperature.inputs([self]);
        self.tape().record_keeping(BinaryConcrete { tau }, &inputs, shape, |x, y, rest| {
            kernel::forward(tier(), draws, &x[0], tau, y, rest);
        })
    }

    /// An exact binary sample, differentiated as if it were the relaxed one. The value is 1 where logits +
    /// l > 0, else 0, so it is 1 with probability sigmoid(logits) for any tau. The backward pass uses the
    /// gradient of sigmoid((logits + l) / tau) with the same noise. Biased.
    ///
    /// # Saved
    /// The scores logits + l, if there are at most 2^20 of them (4 MiB) and a gradient is wanted. For a
    /// larger sample, the position of its draws in their stream, from which the backward pass computes the
    /// scores again, with the same bits.
    ///
    /// # Panics
    /// The same as [`binary_concrete`](Self::binary_concrete).
    ///
    /// # Source
    /// Jang, Gu, Poole 2017, section 2.2; Maddison, Mnih, Teh 2017, appendix B.
    #[track_caller]
    pub fn st_binary_concrete(
        self,
        tau: impl Into<Temperature<'t>>,
        noise: &mut (impl NoiseSource + ?Sized),
    ) -> Var<'t> {
        const OP: &str = "st_binary_concrete";
        let temperature = tau.into();
        let (shape, tau) = (self.shape(), temperature.check(OP));
        let draws = draws_for(OP, noise, shape.len());
        let (rule, inputs) = (|scores| StBinaryConcrete { tau, scores }, temperature.inputs([self]));
        self.tape().record_straight_through(rule, draws, &inputs, shape, |x, y, scores| match scores {
            Some(scores) => kernel::st_forward_and_scores(tier(), draws, &x[0], y, scores),
            None => kernel::st_forward(tier(), draws, &x[0], y),
        })
    }
}
