//! Gradient descent on E (b - t)^2 with an estimator's gradients.

use reparam::estimators::Estimate;
use reparam::{Noise, Tape, Variables};

use crate::estimators::estimator;
use crate::exchange::answer;
use crate::statistics::sigmoid;

/// Descends `steps` steps of the given rate, each with the mean of `batch` estimates.
///
/// Reads the logit at the start and t, and an estimator's name as text. Answers the probability of heads
/// before each step and after the last, `steps + 1` numbers.
///
/// # Panics
/// If the estimator does not exist or does not support one bit.
#[unsafe(no_mangle)]
pub extern "C" fn descent(rate: f64, steps: usize, batch: usize, seed: u32) -> usize {
    answer(|given, out| {
        let [mut logit, t] = given.numbers[..] else { panic!("expected a logit and t") };
        let mut estimator = estimator(given.text(), Variables::Bits(1));
        let (mut tape, noise) = (Tape::new(), &mut Noise::seed(seed.into()));
        for _ in 0..steps {
            out.push(sigmoid(logit));
            {
                let x = tape.variable(&vec![logit as f32; batch], [batch, 1]);
                let loss = estimator.estimate(Variables::Bits(1).logits(x), noise, |b, _| {
                    (b - t as f32).square().sum_axis(1)
                });
                let gradients = loss.mean().backward();
                let gradient: f64 = gradients.of(x).map_or(0.0, |g| g.iter().map(|&g| f64::from(g)).sum());
                logit -= rate * gradient;
            }
            tape.reset();
        }
        out.push(sigmoid(logit));
    })
}
