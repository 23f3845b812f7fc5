//! The baseline: score-function estimates of a coin's gradient with a constant subtracted from the loss.

use reparam::distributions::Bernoulli;
use reparam::{Noise, Tape};

use crate::exchange::answer;
use crate::statistics::{in_f64, moments, sigmoid};

/// Takes `n` estimates (f(b) - c) d ln p(b) of the gradient with respect to the logit.
///
/// Reads f(0), f(1) and c. Answers the exact gradient p (1 - p) (f(1) - f(0)); the mean of the estimates, its
/// standard error, and the variance of one; the exact variance; the constant of least variance,
/// (1 - p) f(1) + p f(0); the variance there; the mean loss; and the estimates for tails and for heads.
#[unsafe(no_mangle)]
pub extern "C" fn baseline(logit: f64, seed: u32, n: usize) -> usize {
    answer(|given, out| {
        let [at_0, at_1, c] = given.numbers[..] else { panic!("expected f(0), f(1) and c") };
        let tape = Tape::new();
        let x = tape.variable(&vec![logit as f32; n], [n]);
        let coin = Bernoulli::new(x);
        let b = coin.sample(&mut Noise::seed(seed.into()));
        let loss = b * (at_1 - at_0) as f32 + at_0 as f32;
        let surrogate = (loss - c as f32).stop_gradient() * coin.log_prob(b);
        let gradients = surrogate.sum().backward();
        let estimates = gradients.of(x).expect("the logits are tracked");

        let p = sigmoid(logit);
        let exact = p * (1.0 - p) * (at_1 - at_0);
        let of = |c: f64| [-(at_0 - c) * p, (at_1 - c) * (1.0 - p)];
        let variance = |c: f64| {
            let [tails, heads] = of(c);
            (1.0 - p) * tails.powi(2) + p * heads.powi(2) - exact.powi(2)
        };
        let best = (1.0 - p) * at_1 + p * at_0;
        out.push(exact);
        out.extend(moments(&in_f64(estimates)));
        out.extend([variance(c), best, variance(best), p * at_1 + (1.0 - p) * at_0]);
        out.extend(of(c));
    })
}
