//! MuProp: the loss's Taylor expansion about the mean as a control variate.

use super::score_function::MovingAverage;
use super::slope::{gradient_of, own_leaf, value_and_slope};
use super::variable::sum_of_row;
use super::{Discrete, Estimator, Kind, Loss, accept, evaluate, with_logits_gradient};
use crate::checkpoint::Checkpoint;
use crate::noise::Noise;
use crate::var::Var;

/// (f(z) - f(m) - <f'(m), z - m>) d ln p(z) + <f'(m), dm>, m being the probabilities: the score function of what a
/// first-order expansion about the mean leaves, and the gradient of the expansion's mean. The value is f(z).
///
/// [`MuProp::normalised`] divides what is left by max(1, v), v^2 its moving mean square, as [`Nvil`](super::Nvil) does: less
/// noise, at the price of a bias.
///
/// # Source
/// S. Gu, S. Levine, I. Sutskever, A. Mnih, "MuProp: Unbiased Backpropagation for Stochastic Neural Networks", ICLR 2016,
/// equation 6.
#[derive(Clone, Debug, Default)]
pub struct MuProp {
    /// Of the squares of what the expansion leaves.
    variance: Option<MovingAverage>,
}

/// The decay of the moving average.
const DECAY: f64 = 0.9;

impl MuProp {
    /// Without variance normalisation: unbiased.
    pub fn new() -> MuProp {
        MuProp::default()
    }

    /// With variance normalisation: biased.
    pub fn normalised() -> MuProp {
        MuProp { variance: Some(MovingAverage::new(DECAY)) }
    }

    /// What the residuals are to be divided by.
    fn scale(&mut self, residuals: &[f32]) -> f32 {
        self.variance.as_mut().map_or(1.0, |variance| {
            let squares: Vec<f32> = residuals.iter().map(|r| r * r).collect();
            variance.next(&squares).sqrt().max(1.0)
        })
    }
}

impl Estimator for MuProp {
    fn name(&self) -> String {
        if self.variance.is_some() { "muprop-normalised" } else { "muprop" }.to_owned()
    }

    fn is_unbiased(&self) -> bool {
        self.variance.is_none()
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let z = variable.sample(noise);
        let f = evaluate(loss, z, noise);
        let (at_mean, slope) = value_and_slope(loss, variable.probs(), noise);

        let cut = own_leaf(variable);
        let probs = cut.probs();
        let signal = f.stop_gradient() - at_mean - sum_of_row(slope * (z - probs.stop_gradient()));
        let scale = self.scale(&signal.value());
        let surrogate = signal / scale * cut.log_prob(z) + sum_of_row(slope * probs);
        let estimate = gradient_of(surrogate, cut.logits());
        with_logits_gradient(f, variable.logits(), estimate)
    }

    fn adapts(&self) -> bool {
        self.variance.is_some()
    }

    fn freeze(&mut self) {
        if let Some(variance) = &mut self.variance {
            variance.freeze();
        }
    }

    fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        if let Some(variance) = &self.variance {
            variance.save(&format!("{prefix}variance"), checkpoint);
        }
    }

    fn restore(&mut self, prefix: &str, _kind: Kind, checkpoint: &Checkpoint) -> Result<(), String> {
        let variance = self.variance.as_mut();
        variance.map_or(Ok(()), |variance| variance.restore(&format!("{prefix}variance"), checkpoint))
    }
}
