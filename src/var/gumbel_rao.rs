//! `gumbel_rao`: an exact one-hot sample with the relaxed sample's gradient, averaged over the noise that
//! gives this sample.

use reparam_ops::gumbel_rao as kernel;

use crate::gradients::InputGradients;
use crate::noise::{NoiseSource, Replay, draws_for};
use crate::tape::{Recorded, Rule};
use crate::var::temperature::Temperature;
use crate::var::{Var, tier};

/// y = one-hot of argmax(logits + g); the gradient is the relaxed sample's, averaged over `samples` noises
/// with the same winner.
#[derive(Debug)]
struct GumbelRao {
    classes: usize,
    samples: usize,
    tau: f32,
    draws: Replay,
}

impl Rule for GumbelRao {
    fn name(&self) -> &'static str {
        "gumbel_rao"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dlogits) = gradients.add_to(0) {
            let (logits, one_hot, dy) = (node.input(0), node.output(), node.gradient());
            let GumbelRao { classes, samples, tau, .. } = *self;
            let draws = self.draws.draws();
            kernel::backward(tier(), draws, logits, one_hot, dy, classes, samples, tau, dlogits);
        }
    }
    fn saved_bytes(&self) -> usize {
        size_of_val(self) + self.draws.buffer_bytes()
    }
}

/// # Samples of classes: Gumbel-Rao
impl<'t> Var<'t> {
    /// An exact one-hot sample, with the relaxed sample's gradient averaged over the noise that gives this
    /// sample. The value is the one-hot vector of argmax(logits + g), distributed as softmax(logits) for any
    /// tau. The backward pass averages the gradient of softmax((logits + G) / tau) over `samples` draws of G
    /// given the winner, held fixed. It has the same expectation as
    /// [`st_gumbel_softmax`](Self::st_gumbel_softmax) and less variance; with one sample they have the same
    /// distribution. The downstream gradient is computed once for any `samples`.
    ///
    /// `self` holds logits `[.., classes]`; a class masked with -inf is never drawn, and its gradient is
    /// exactly 0. It takes one draw per logit for the sample, then `samples` per logit for the gradient.
    ///
    /// # Saved
    /// The position of its draws in their stream. Only the backward pass takes the gradient's draws.
    ///
    /// # Panics
    /// If tau is not positive and finite, `samples` is 0, a row is fully masked, or the number of injected
    /// draws is not 1 + `samples` times the number of logits.
    ///
    /// # Examples
    /// ```
    /// use reparam::{Noise, Tape};
    ///
    /// let tape = Tape::new();
    /// let logits = tape.variable(&[1.0, 2.0, 3.0], [1, 3]);
    /// let y = logits.gumbel_rao(100, 0.1, &mut Noise::seed(1));
    /// let scores = tape.input(&[1.0, 4.0, 9.0], [1, 3]);
    /// let gradients = (y * scores).sum().backward();
    /// assert!(gradients.of(logits).unwrap().iter().sum::<f32>().abs() < 1e-5);
    /// ```
    ///
    /// # Source
    /// Paulus, Maddison, Krause 2021, equation 10.
    #[track_caller]
    pub fn gumbel_rao(self, samples: usize, tau: f32, noise: &mut (impl NoiseSource + ?Sized)) -> Var<'t> {
        const OP: &str = "gumbel_rao";
        let (shape, tau) = (self.shape(), Temperature::Fixed(tau).check(OP));
        assert!(samples > 0, "{OP}: at least one sample of the noise is needed; 10 is usual");
        let count = samples.checked_add(1).and_then(|rounds| rounds.checked_mul(shape.len()));
        let Some(count) = count else {
            panic!("{OP}: {samples} samples for logits of shape {shape} are too many; 10 is usual")
        };
        let (classes, draws) = (self.classes(OP), draws_for(OP, noise, count));
        let (for_value, for_gradient) = draws.split_at(shape.len());
        let rule = GumbelRao { classes, samples, tau, draws: for_gradient.into() };
        self.record_rows(rule, &[self], shape, |x, y| kernel::forward(tier(), for_value, &x[0], classes, y))
    }
}
