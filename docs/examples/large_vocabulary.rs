//! A hundred thousand classes: `cargo run --release --example large_vocabulary`.
//!
//! First we sample without a gradient: `gumbel_max` streams over the logits of a Zipf distribution and keeps
//! only the winner. Then we learn: words are drawn from softmax(table query) with half of the vocabulary
//! masked with -inf, and the query learns to draw one word. RLOO sees only how close each drawn word was.
//! Straight-through differentiates through the table, and so sees how close every word is.
//!
//! Source: Y. Bengio, J.-S. Senécal, 2003, for the problem; C. Maddison, D. Tarlow, T. Minka, "A* Sampling",
//! 2014.

use std::time::Instant;

use reparam::estimators::{Estimate, parse};
use reparam::nn::Init;
use reparam::optim::Adam;
use reparam::{Logits, Noise, Params, Tape};

const WORDS: usize = 100_000;
const WIDTH: usize = 16;
const ROWS: usize = 4;
const TARGET: usize = 41_234;

/// The logits of a Zipf distribution: word k has probability 1 / ((k + 1) H).
fn zipf() -> Vec<f32> {
    (1..=WORDS).map(|rank| -(rank as f32).ln()).collect()
}

/// Groups of words whose counts are compared with theory: from, to.
const GROUPS: [(usize, usize); 5] = [(0, 1), (1, 10), (10, 1000), (1000, 50_000), (50_000, WORDS)];

/// Counts of each group in `samples` words, and the expected ones.
fn count(samples: usize, noise: &mut Noise) -> Vec<(f64, f64)> {
    let tape = Tape::inference();
    let logits = tape.input(&zipf(), [1, WORDS]);
    let mut counts = [0.0; GROUPS.len()];
    for _ in 0..samples {
        let word = logits.gumbel_max(noise)[0] as usize;
        counts[GROUPS.iter().position(|&(_, end)| word < end).unwrap()] += 1.0;
    }
    let harmonic = |from: usize, to: usize| (from..to).map(|k| 1.0 / (k + 1) as f64).sum::<f64>();
    let expected = |&(from, to): &(usize, usize)| samples as f64 * harmonic(from, to) / harmonic(0, WORDS);
    counts.into_iter().zip(GROUPS.iter().map(expected)).collect()
}

/// The result of training: the probability of the target, the largest probability and the largest score of a
/// masked word, and the time of a step.
struct Trained {
    target: f32,
    masked: f32,
    masked_gradient: f32,
    milliseconds: f64,
}

/// The mask: odd words are not allowed.
fn mask() -> Vec<f32> {
    (0..WORDS).map(|word| if word % 2 == 0 { 0.0 } else { f32::NEG_INFINITY }).collect()
}

/// Random points on a sphere, one per word.
fn embeddings(noise: &mut Noise) -> Vec<f32> {
    let mut table = Init::Normal(1.0).values(WORDS, WIDTH, noise);
    for word in table.chunks_exact_mut(WIDTH) {
        let norm = word.iter().map(|x| x * x).sum::<f32>().sqrt();
        word.iter_mut().for_each(|x| *x /= norm);
    }
    table
}

/// Draws words from softmax(table query + mask) and learns the query. A drawn word costs 1 - its cosine with
/// the target.
fn train(estimator: &str, steps: usize, learning_rate: f64) -> Trained {
    let (mut estimator, mut noise, mask) = (parse(estimator).unwrap(), Noise::seed(1), mask());
    let mut params = Params::new();
    let table = params.add("table", [WORDS, WIDTH], embeddings(&mut noise));
    params.freeze(table);
    let query = params.add("query", [WIDTH, 1], vec![0.0; WIDTH]);
    let (mut adam, mut tape) = (Adam::new(learning_rate), Tape::new());
    let (mut masked_gradient, start) = (0f32, Instant::now());
    for _ in 0..steps {
        let table = params.on(&tape, table);
        let logits = table.matmul(params.on(&tape, query)).reshape([WORDS]) + tape.input(&mask, [WORDS]);
        let words = Logits::categories(logits.broadcast_to([ROWS, 1, WORDS]));
        let loss = estimator.estimate(words, &mut noise, |word, _| {
            let drawn = word.reshape([ROWS, WORDS]).matmul(table);
            1.0 - (drawn * table.slice(0, TARGET..TARGET + 1)).sum_axis(1)
        });
        let gradients = loss.mean().backward();
        masked_gradient =
            odd(gradients.of(logits).unwrap()).fold(masked_gradient, |most, g| most.max(g.abs()));
        tape.reset();
        adam.step(&mut params, &gradients);
    }
    let milliseconds = start.elapsed().as_secs_f64() * 1e3 / steps as f64;
    let tape = Tape::inference();
    let logits = params.on(&tape, table).matmul(params.on(&tape, query)).reshape([WORDS]);
    let probs = (logits + tape.input(&mask, [WORDS])).softmax().to_vec();
    Trained { target: probs[TARGET], masked: odd(&probs).fold(0.0, f32::max), masked_gradient, milliseconds }
}

/// Every second number, from the second on.
fn odd(numbers: &[f32]) -> impl Iterator<Item = f32> {
    numbers.iter().skip(1).step_by(2).copied()
}

fn main() {
    let (samples, start) = (20_000, Instant::now());
    let counts = count(samples, &mut Noise::seed(1));
    let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / (samples * WORDS) as f64;
    println!("{samples} samples, {nanoseconds:.2} ns per logit\n\nwords             drawn   expected");
    for ((from, to), (found, expected)) in GROUPS.into_iter().zip(counts) {
        println!("{from:6}..{to:<6} {found:8} {expected:10.1}");
    }
    println!("\nestimator            ms per step   p(target)          of masked words: largest p, gradient");
    for name in ["st-gumbel-softmax:1", "rloo:2"] {
        let Trained { target, masked, masked_gradient, milliseconds } = train(name, 200, 0.1);
        println!("{name:<20} {milliseconds:11.1}   2.0e-5 -> {target:.2}   {masked:26}, {masked_gradient}");
    }
}

#[test]
fn rare_and_common_words_come_as_often_as_they_should() {
    for (group, (found, expected)) in GROUPS.into_iter().zip(count(4000, &mut Noise::seed(1))) {
        // Five standard deviations of a binomial count: a false alarm in 3e-6 of all seeds.
        let deviation = (expected * (1.0 - expected / 4000.0)).sqrt();
        assert!((found - expected).abs() < 5.0 * deviation, "{group:?}: {found} drawn, {expected} expected");
    }
}

#[test]
fn the_target_gains_and_masked_words_stay_impossible() {
    for name in ["st-gumbel-softmax:1", "rloo:2"] {
        let Trained { target, masked, masked_gradient, .. } = train(name, 50, 0.2);
        assert!(target > 0.02, "{name}: p(target) {target}, 2e-5 at first");
        assert_eq!((masked, masked_gradient), (0.0, 0.0), "{name}: probability and gradient of masked words");
    }
}
