//! One temperature: relaxed samples of one variable, with the same noise.

use reparam::Noise;
use reparam_ops::{Tier, gumbel_max, gumbel_softmax};

use crate::exchange::answer;
use crate::statistics::{in_f64, shares, softmax};

/// Draws `n` relaxed samples, always with the same noise for a seed.
///
/// Reads the logits of `k` classes. Answers the probabilities, `k` numbers; the mean of the relaxed samples,
/// `k`; the share of each class among the hard samples of the same noise, `k`; and the samples, `n k`.
#[unsafe(no_mangle)]
pub extern "C" fn relaxed(tau: f64, seed: u32, n: usize) -> usize {
    answer(|given, out| {
        let classes = given.numbers.len();
        let logits = given.in_f32().repeat(n);
        let draws = Noise::seed(seed.into()).take(n * classes);
        let (mut y, mut index) = (vec![0.0; n * classes], vec![0; n]);
        gumbel_softmax::forward(Tier::best(), draws.into(), &logits, classes, tau as f32, &mut y)
            .expect("a page masks no class");
        gumbel_max::forward(Tier::best(), draws.into(), &logits, classes, &mut index)
            .expect("a page masks no class");
        out.extend(softmax(&given.numbers));
        let mean = |class: usize| y.iter().skip(class).step_by(classes).map(|&y| f64::from(y)).sum::<f64>();
        out.extend((0..classes).map(|class| mean(class) / n as f64));
        out.extend(shares(&index, classes));
        out.extend(in_f64(&y));
    })
}
