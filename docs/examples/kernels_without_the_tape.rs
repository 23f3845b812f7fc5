//! The kernels alone, on flat slices: `cargo run --release --example kernels_without_the_tape`.
//!
//! `reparam-ops` knows no tape. Forward and backward are two functions, and the caller keeps the values
//! between them. Here 64 rows of samples learn, with gradients by hand, the logits whose relaxed sample is
//! worth most: the best of twelve prices. The loop allocates nothing. Draws come from a stream, a position in
//! one sequence, so the result is the same on every SIMD tier, bit for bit.
//!
//! Source: E. Jang, S. Gu, B. Poole, ICLR 2017, section 2, for sample and gradient.

use reparam_ops::noise::Stream;
use reparam_ops::{Tier, axis, gumbel_softmax, softmax};

const CLASSES: usize = 12;
const ROWS: usize = 64;
const PRICES: [f32; CLASSES] = [0.1, 0.5, 0.3, 0.9, 0.4, 0.2, 0.6, 0.8, 0.7, 0.3, 0.5, 0.1];

/// The logits after `steps` of gradient ascent on the mean price of a sample.
fn learn(tier: Tier, tau: f32, steps: usize, learning_rate: f32) -> [f32; CLASSES] {
    let mut logits = [0.0; CLASSES];
    let mut rows = vec![0.0; ROWS * CLASSES];
    let (mut y, mut dlogits) = (rows.clone(), rows.clone());
    let dy: Vec<f32> = PRICES.map(|price| price / ROWS as f32).repeat(ROWS);
    let mut stream = Stream::new(7);
    for _ in 0..steps {
        rows.chunks_exact_mut(CLASSES).for_each(|row| row.copy_from_slice(&logits));
        gumbel_softmax::forward(tier, stream.into(), &rows, CLASSES, tau, &mut y).expect("no row is masked");
        stream = stream.skip(y.len() as u64);
        dlogits.fill(0.0);
        gumbel_softmax::backward(tier, &y, &dy, CLASSES, tau, false, &mut dlogits);
        let mut gradient = [0.0; CLASSES];
        axis::add_sum(tier, ROWS, CLASSES, &dlogits, &mut gradient);
        logits.iter_mut().zip(gradient).for_each(|(logit, d)| *logit += learning_rate * d);
    }
    logits
}

/// The mean price of a hard sample of these logits, exactly.
fn worth(tier: Tier, logits: &[f32; CLASSES]) -> f32 {
    let mut p = [0.0; CLASSES];
    softmax::forward(tier, logits, CLASSES, 1.0, &mut p).expect("no row is masked");
    p.iter().zip(PRICES).map(|(p, price)| p * price).sum()
}

fn main() {
    let tier = Tier::best();
    println!("mean price of a sample; the best price is 0.9");
    for steps in [0, 30, 100, 300, 1000] {
        println!("{steps:5} steps: {:.3}", worth(tier, &learn(tier, 0.5, steps, 1.0)));
    }
}

#[test]
fn it_learns_the_best_price_the_same_on_every_tier() {
    let logits = learn(Tier::best(), 0.5, 1000, 1.0);
    assert!((worth(Tier::best(), &[0.0; CLASSES]) - 0.45).abs() < 1e-6, "the mean price");
    assert!(worth(Tier::best(), &logits) > 0.85, "{} of 0.9", worth(Tier::best(), &logits));
    for tier in Tier::available() {
        assert_eq!(learn(tier, 0.5, 1000, 1.0).map(f32::to_bits), logits.map(f32::to_bits), "{tier:?}");
    }
}
