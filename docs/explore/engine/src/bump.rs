//! The bump: the relaxed gradient of a coin as an integral over the noise.

use reparam::{Noise, Tape};

use crate::exchange::answer;
use crate::statistics::{in_f64, moments, over_noise, sigmoid};

/// Pieces of the integrals over the noise.
const PIECES: usize = 5_000;

/// Estimates the gradient of E f(b) with respect to a coin's logit by `n` relaxed samples y: f'(y) dy/dx.
///
/// Reads f at 0, 1/2 and 1, which a parabola joins. Answers the exact gradient p (1 - p) (f(1) - f(0)); the
/// mean of the estimates, its standard error, and the variance of one estimate; the expectations of the mean
/// and of the variance, by integration; and the estimates, `n`.
#[unsafe(no_mangle)]
pub extern "C" fn bump(logit: f64, tau: f64, seed: u32, n: usize) -> usize {
    answer(|given, out| {
        let [at_0, half, at_1] = given.numbers[..] else { panic!("expected three values of f") };
        let bend = 2.0 * (at_0 + at_1 - 2.0 * half);
        let slope = at_1 - at_0 - bend;

        let tape = Tape::new();
        let x = tape.variable(&vec![logit as f32; n], [n]);
        let y = x.binary_concrete(tau as f32, &mut Noise::seed(seed.into()));
        let loss = (y * slope as f32 + y.square() * bend as f32).sum();
        let gradients = loss.backward();
        let estimates = in_f64(gradients.of(x).expect("the logits are tracked"));

        let p = sigmoid(logit);
        out.push(p * (1.0 - p) * (at_1 - at_0));
        out.extend(moments(&estimates));
        let estimate = |noise: f64| {
            let y = sigmoid((logit + noise) / tau);
            (slope + 2.0 * bend * y) * y * (1.0 - y) / tau
        };
        let mean = over_noise(PIECES, estimate);
        out.extend([mean, over_noise(PIECES, |noise| (estimate(noise) - mean).powi(2))]);
        out.extend(estimates);
    })
}
