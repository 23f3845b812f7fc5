//! Frozen dice: a sample as a function of one logit, with the draws held fixed.

use reparam::Noise;
use reparam_ops::draw::fill_gumbel;
use reparam_ops::{Tier, gumbel_max};

use crate::exchange::answer;
use crate::statistics::{shares, softmax};

/// Draws `n` classes, always with the same noise for a seed.
///
/// Reads the logits of `k` classes. Answers the share of each class among the draws, `k` numbers; the
/// probability of each, `k`; and, ascending, for each draw the value of logit `which` above which the draw
/// gives class `which`, `n`.
#[unsafe(no_mangle)]
pub extern "C" fn staircase(which: usize, seed: u32, n: usize) -> usize {
    answer(|given, out| {
        let logits = given.in_f32();
        let classes = logits.len();
        let mut index = vec![0; n];
        let draws = Noise::seed(seed.into()).take(n * classes);
        gumbel_max::forward(Tier::best(), draws.into(), &logits.repeat(n), classes, &mut index)
            .expect("a page masks no class");
        out.extend(shares(&index, classes));
        out.extend(softmax(&given.numbers));

        let mut noise = vec![0.0; n * classes];
        fill_gumbel(Tier::best(), draws.into(), &mut noise);
        let begin = out.len();
        out.extend(noise.chunks_exact(classes).map(|row| jump(&logits, row, which)));
        out[begin..].sort_by(f64::total_cmp);
    })
}

/// The logit `which` at which a draw changes to class `which`: the largest perturbed logit of the others,
/// less its own noise.
fn jump(logits: &[f32], noise: &[f32], which: usize) -> f64 {
    let others = logits.iter().zip(noise).enumerate().filter(|(class, _)| *class != which);
    let most = others.map(|(_, (&x, &g))| f64::from(x + g)).fold(f64::NEG_INFINITY, f64::max);
    most - f64::from(noise[which])
}
