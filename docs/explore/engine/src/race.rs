//! The Gumbel race: the class whose perturbed logit is largest wins, under several kinds of noise.

use reparam::Noise;
use reparam_ops::draw::{fill_gumbel, normal};
use reparam_ops::{Tier, gumbel_max};

use crate::exchange::answer;
use crate::statistics::{in_f64, softmax};

/// Runs `n` races, with Gumbel noise (`kind` 0), or with normal (1) or uniform (2) noise of the same standard
/// deviation, pi / sqrt(6).
///
/// Reads the logits of `k` classes. Answers their probabilities, `k` numbers; how often each won, `k`; and
/// the noise of the first race, `k`.
///
/// # Panics
/// If the kind is another number.
#[unsafe(no_mangle)]
pub extern "C" fn race(kind: u32, seed: u32, n: usize) -> usize {
    answer(|given, out| {
        let logits = given.in_f32();
        let classes = logits.len();
        let mut stream = Noise::seed(seed.into());
        let draws = stream.clone().take(n * classes);
        let deviation = std::f32::consts::PI / 6f32.sqrt();
        let mut noise = vec![0.0; n * classes];
        match kind {
            0 => fill_gumbel(Tier::best(), draws.into(), &mut noise),
            1 => noise.fill_with(|| deviation * normal(stream.take(1).draw())),
            2 => noise.fill_with(|| deviation * 12f32.sqrt() * (stream.uniform() - 0.5)),
            _ => panic!("kind of noise: expected 0, 1 or 2, found {kind}"),
        }
        let mut winners = vec![0; n];
        if kind == 0 {
            gumbel_max::forward(Tier::best(), draws.into(), &logits.repeat(n), classes, &mut winners)
                .expect("a page masks no class");
        } else {
            for (winner, noise) in winners.iter_mut().zip(noise.chunks_exact(classes)) {
                *winner = winner_of(&logits, noise);
            }
        }
        out.extend(softmax(&given.numbers));
        let wins = |class: usize| winners.iter().filter(|&&winner| winner as usize == class).count();
        out.extend((0..classes).map(|class| wins(class) as f64));
        out.extend(in_f64(&noise[..classes]));
    })
}

fn winner_of(logits: &[f32], noise: &[f32]) -> u32 {
    let perturbed = logits.iter().zip(noise).map(|(x, g)| x + g);
    let first_largest = |best: (u32, f32), (class, x): (usize, f32)| match x > best.1 {
        true => (class as u32, x),
        false => best,
    };
    perturbed.enumerate().fold((0, f32::NEG_INFINITY), first_largest).0
}
