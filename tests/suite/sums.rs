//! Are long sums right? Each reduction is compared with f64, for equal terms, whose rounding errors do not
//! cancel, and for random terms of both signs.

use std::sync::LazyLock;

use rayon::ThreadPool;
use reparam::{Activation, Tape};
use reparam_ops::noise::{Draws, Stream, draws_forward};
use reparam_ops::*;

/// The terms of a reduction, and the tier to run it on.
struct Bench<'a> {
    tier: Tier,
    terms: &'a [f32],
}

/// A sum computed by a kernel, its exact value, and the sum of the absolute values of its terms.
#[derive(Clone, Copy, Debug)]
struct Sum {
    found: f32,
    right: f64,
    size: f64,
}

impl Sum {
    fn of(found: f32, terms: impl Iterator<Item = f64>) -> Sum {
        let (right, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
        Sum { found, right, size }
    }

    fn error(&self) -> f64 {
        (f64::from(self.found) - self.right).abs() / self.size
    }
}

/// Sums of columns, each of which starts from `before`.
fn of_columns(found: &[f32], x: &[f32], before: f32) -> Vec<Sum> {
    let column = |c: usize| [before].into_iter().chain(x.iter().skip(c).step_by(found.len()).copied());
    found.iter().enumerate().map(|(c, &found)| Sum::of(found, column(c).map(f64::from))).collect()
}

/// A reduction: its name, the largest error allowed relative to the sum of the absolute values of its terms,
/// and its sums.
type Reduction = (&'static str, f64, fn(&Bench<'_>) -> Vec<Sum>);

/// The error allowed for a sum of equal or random terms.
const OF_SUM: f64 = 1e-6;
/// The error allowed for an entry of a product.
const OF_PRODUCT: f64 = 5e-6;

const REDUCTIONS: [Reduction; 23] = [
    ("a sum", OF_SUM, |bench| of_columns(&[axis::sum(bench.tier, bench.terms)], bench.terms, 0.0)),
    ("sums over rows of 1", OF_SUM, |bench| sums_over_rows(bench, 1)),
    ("sums over rows of 2", OF_SUM, |bench| sums_over_rows(bench, 2)),
    ("sums over rows of 15", OF_SUM, |bench| sums_over_rows(bench, 15)),
    ("sums over rows of 16", OF_SUM, |bench| sums_over_rows(bench, 16)),
    ("sums over rows of 300", OF_SUM, |bench| sums_over_rows(bench, 300)),
    ("the gradient of gather, one index", OF_SUM, |bench| gathered(bench, 1, 1, |_| 0)),
    ("the gradient of gather, rows of 3", OF_SUM, |bench| gathered(bench, 2, 3, |_| 1)),
    ("the gradient of gather, eight indices", OF_SUM, |bench| gathered(bench, 8, 1, |i| i % 8)),
    ("the gradient of gather, an index in every other row", OF_SUM, |bench| {
        gathered(bench, bench.terms.len(), 1, |i| if i % 2 == 0 { 3 } else { i })
    }),
    ("the gradient of weights, sparse inputs", OF_PRODUCT, |bench| {
        let (dz, _) = bench.terms.as_chunks::<16>();
        let x: Vec<f32> = (0..dz.len()).map(|r| if r % 5 == 3 { 1.0 } else { 0.0 }).collect();
        let lit: Vec<f32> = dz.iter().skip(3).step_by(5).flatten().copied().collect();
        let mut dweight = [1.0; 16];
        linear::backward_weight(bench.tier, &x, dz.as_flattened(), x.len(), Write::Add, &mut dweight);
        of_columns(&dweight, &lit, 1.0)
    }),
    ("the gradient of weights, dense inputs", OF_PRODUCT, |bench| {
        let (x, mut dweight) = (vec![1.0; bench.terms.len()], [0.0]);
        linear::backward_weight(bench.tier, &x, bench.terms, x.len(), Write::Replace, &mut dweight);
        of_columns(&dweight, bench.terms, 0.0)
    }),
    ("a layer of one row", OF_PRODUCT, |bench| {
        let (weight, _) = bench.terms.as_chunks::<16>();
        let (x, mut y) = (vec![1.0; weight.len()], [0.0; 16]);
        let (x, matrix) = (Matrix::new(&x, 1, x.len()), Matrix::new(weight.as_flattened(), x.len(), 16));
        linear::forward(bench.tier, x, matrix, &[0.0; 16], linear::Activation::Identity, &mut y);
        of_columns(&y, weight.as_flattened(), 0.0)
    }),
    ("the sum in the gradient of log_softmax", OF_SUM, |bench| {
        let (y, mut dlogits) = (vec![-1.0; bench.terms.len()], vec![0.0; bench.terms.len()]);
        softmax::log_softmax_backward(bench.tier, &y, bench.terms, y.len(), &mut dlogits);
        vec![subtracted_share(dlogits[0], bench.terms)]
    }),
    ("the sum in the gradient of exp_concrete", OF_SUM, |bench| {
        let (y, mut dlogits) = (vec![-1.0; bench.terms.len()], vec![0.0; bench.terms.len()]);
        exp_concrete::backward(bench.tier, &y, bench.terms, y.len(), 1.0, false, &mut dlogits);
        vec![subtracted_share(dlogits[0], bench.terms)]
    }),
    ("the temperature of exp_concrete", OF_SUM, |bench| {
        let (y, mut dlogits) = (vec![-1.0; bench.terms.len()], vec![0.0; bench.terms.len()]);
        let dtau = exp_concrete::backward(bench.tier, &y, bench.terms, 1, 1.0, true, &mut dlogits);
        vec![Sum::of(dtau, bench.terms.iter().map(|&dy| f64::from(dy) * (1.0 - (-1f64).exp())))]
    }),
    ("the temperature of exp_concrete_log_prob, one row", OF_SUM, |bench| {
        let (log_y, logits) = (vec![-1.0; bench.terms.len()], vec![0.0; bench.terms.len()]);
        let (classes, h) = (bench.terms.len(), bench.terms);
        let dtau =
            exp_concrete::log_prob_backward_tau(bench.tier, &log_y, &logits, classes, 1.0, &[0.0], &[0.0], h);
        of_columns(&[dtau], h, 0.0)
    }),
    ("the temperature of exp_concrete_log_prob, rows of one", OF_SUM, |bench| {
        let (log_y, zeros) = (vec![-1.0; bench.terms.len()], vec![0.0; bench.terms.len()]);
        let h = bench.terms;
        let dtau = exp_concrete::log_prob_backward_tau(bench.tier, &log_y, &zeros, 1, 1.0, &zeros, &zeros, h);
        of_columns(&[dtau], h, 0.0)
    }),
    ("the temperature of logit_binary_concrete", OF_SUM, |bench| {
        let y = vec![-1.0; bench.terms.len()];
        let dtau = logit_binary_concrete::backward_tau(bench.tier, &y, bench.terms, 1.0);
        of_columns(&[dtau], bench.terms, 0.0)
    }),
    ("the mean in the gradient of softmax", OF_SUM, |bench| {
        let n = 1 << bench.terms.len().ilog2();
        let (dy, y, mut dlogits) = (&bench.terms[..n], vec![1.0 / n as f32; n], vec![0.0; n]);
        softmax::backward(bench.tier, &y, dy, n, 1.0, false, &mut dlogits);
        let mean = dy[0] - dlogits[0] * n as f32;
        vec![Sum::of(mean, dy.iter().map(|&dy| f64::from(dy) / n as f64))]
    }),
    ("the normalizer of softmax", OF_SUM, |bench| {
        let (logits, mut y) = (logits_of(bench.terms), vec![0.0; bench.terms.len()]);
        softmax::forward(bench.tier, &logits, logits.len(), 1.0, &mut y).unwrap();
        vec![Sum::of(1.0 / y[0], probabilities(&logits))]
    }),
    ("the normalizer of logsumexp", OF_SUM, |bench| {
        let (logits, mut y) = (logits_of(bench.terms), [0.0]);
        softmax::logsumexp_forward(bench.tier, &logits, logits.len(), &mut y);
        let right = probabilities(&logits).sum::<f64>().ln();
        vec![Sum { found: y[0], right, size: right }]
    }),
    ("the mean in categorical_kl_uniform", OF_SUM, |bench| {
        let (logits, mut kl) = (logits_of(bench.terms), [0.0]);
        categorical_kl::uniform_forward(bench.tier, &logits, logits.len(), &mut kl).unwrap();
        let sum: f64 = probabilities(&logits).sum();
        let weighted: f64 = probabilities(&logits).zip(&logits).map(|(p, &x)| p * f64::from(x)).sum();
        let log_n = (logits.len() as f64).ln();
        vec![Sum { found: kl[0], right: weighted / sum - sum.ln() + log_n, size: log_n }]
    }),
];

fn sums_over_rows(bench: &Bench<'_>, width: usize) -> Vec<Sum> {
    let rows = bench.terms.len() / width;
    let x = &bench.terms[..rows * width];
    // We sum two outer slices, because the sum of a single one of width 1 is a sum of all elements.
    let (two, mut y) = ([x, x].concat(), vec![1.0; 2 * width]);
    axis::add_sum(bench.tier, rows, width, &two, &mut y);
    [of_columns(&y[..width], x, 1.0), of_columns(&y[width..], x, 1.0)].concat()
}

/// The gradient of `rows` rows, where row `index(i)` was gathered for each i, added to ones.
fn gathered(bench: &Bench<'_>, rows: usize, width: usize, index: fn(usize) -> usize) -> Vec<Sum> {
    let dy = &bench.terms[..bench.terms.len() / width * width];
    let indices: Vec<u32> = (0..dy.len() / width).map(|i| index(i) as u32).collect();
    let mut dx = vec![1.0; rows * width];
    index::scatter_add(bench.tier, &indices, width, dy, &mut dx);
    let mut sums = vec![Sum { found: 0.0, right: 1.0, size: 1.0 }; dx.len()];
    for (&index, dy) in indices.iter().zip(dy.chunks_exact(width)) {
        for (sum, &dy) in sums[index as usize * width..].iter_mut().zip(dy) {
            sum.right += f64::from(dy);
            sum.size += f64::from(dy).abs();
        }
    }
    sums.into_iter().zip(dx).map(|(sum, found)| Sum { found, ..sum }).collect()
}

/// Returns one logit per term, for 0.1 times e^(-|term|), except that the first is the largest, 0.
fn logits_of(terms: &[f32]) -> Vec<f32> {
    let mut logits: Vec<f32> = terms.iter().map(|term| -2.3 - term.abs()).collect();
    logits[0] = 0.0;
    logits
}

/// The p sum(dy) that was subtracted from the first dy to give `h`, for p = e^-1.
fn subtracted_share(h: f32, dy: &[f32]) -> Sum {
    Sum::of(dy[0] - h, dy.iter().map(|&dy| f64::from(dy) * (-1f64).exp()))
}

/// Returns e^logit in f64.
fn probabilities(logits: &[f32]) -> impl Iterator<Item = f64> {
    logits.iter().map(|&x| f64::from(x).exp())
}

type Term = (&'static str, fn(u32) -> f32);

/// Equal terms, including values that rounding affects most, and random terms.
const TERMS: [Term; 4] = [
    ("terms of 0.1", |_| 0.1),
    ("terms of 0.7", |_| 0.7),
    ("terms of 1.8825", |_| 1.8825),
    ("random terms", |word| (word >> 8) as f32 / (1 << 23) as f32 - 1.0),
];

static POOLS: LazyLock<[ThreadPool; 2]> = LazyLock::new(|| {
    [1, 3].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap())
});

/// Runs every reduction of `count` terms on every tier, on one thread and on three. An error of up to `least`
/// is always allowed.
fn assert_right(count: usize, least: f64) {
    let mut words = vec![0; count];
    draws_forward(Tier::best(), Draws::Stream(Stream::new(11)), &mut words);
    let mut wrong = Vec::new();
    for (of_terms, term) in TERMS {
        let terms: Vec<f32> = words.iter().map(|&word| term(word)).collect();
        for (name, bound, reduce) in REDUCTIONS {
            let run = |tier, pool: &ThreadPool| pool.install(|| reduce(&Bench { tier, terms: &terms }));
            let sums = run(Tier::PORTABLE, &POOLS[0]);
            let error = sums
                .iter()
                .map(Sum::error)
                .fold(0.0, |worst, error| if error < worst { worst } else { error });
            if error.is_nan() || error > bound.max(least) {
                wrong.push(format!("{name}: {error:.1e} for {count} {of_terms}"));
            }
            for tier in Tier::available() {
                for pool in &*POOLS {
                    let same = run(tier, pool)
                        .iter()
                        .zip(&sums)
                        .all(|(a, b)| a.found.to_bits() == b.found.to_bits());
                    assert!(same, "{name}: {count} {of_terms} give other bits with {tier} on {pool:?}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "errors beyond the bound:\n  {}", wrong.join("\n  "));
}

#[test]
fn every_reduction_of_a_million_terms_is_right() {
    assert_right(1_000_000, 0.0);
}

#[test]
#[ignore = "a few minutes"]
fn every_reduction_of_ten_million_terms_is_right() {
    assert_right(10_000_000, 0.0);
}

/// A sum of up to 128 terms is a single run, which may be off by 2e-6.
#[test]
fn every_reduction_around_the_longest_run_is_right() {
    for count in [100, 300, 2_000, 4_100, 16_400] {
        assert_right(count, 2e-6);
    }
}

/// A hundred terms of 0.1, each of which a large number would swallow.
#[test]
fn the_terms_are_summed_before_they_are_added_to_what_is_there() {
    const LARGE: f32 = 8_388_608.0;
    for tier in Tier::available() {
        for width in [1, 3, 40, 300] {
            let (terms, right) = (vec![0.1; 100 * width], vec![LARGE + 10.0; width]);
            let mut y = vec![LARGE; width];
            axis::add_sum(tier, 100, width, &terms, &mut y);
            assert_eq!(y, right, "a sum over rows of {width}, {tier}");

            let mut dx = vec![LARGE; width];
            index::scatter_add(tier, &[0; 100], width, &terms, &mut dx);
            assert_eq!(dx, right, "the gradient of gather, rows of {width}, {tier}");

            for lit in [100, 10] {
                let x: Vec<f32> = (0..100).map(|r| if r < lit { 1.0 } else { 0.0 }).collect();
                let mut dweight = vec![LARGE; width];
                linear::backward_weight(tier, &x, &terms, 100, Write::Add, &mut dweight);
                let right = vec![LARGE + (lit / 10) as f32; width];
                assert_eq!(
                    dweight, right,
                    "the gradient of weights, {lit} rows lit, {width} outputs, {tier}"
                );
            }
        }
    }
}

#[test]
fn the_mean_of_a_million_rows_is_right() {
    let tape = Tape::new();
    let x = tape.variable(&vec![0.1; 2_000_000], [1_000_000, 2]);
    let means = [x.mean_axis(0).to_vec(), vec![x.mean().item()]].concat();
    for mean in means {
        // This is 0.1 in f32.
        assert!((f64::from(mean) / 0.100_000_001_49 - 1.0).abs() < OF_SUM, "{mean}");
    }
}

/// Returns three gradients of means over n rows, with respect to a broadcast value, a layer's bias and its
/// weight. Each sums over the rows.
fn gradients_by_broadcasting(n: usize) -> [Vec<f32>; 3] {
    let tape = Tape::new();
    let b = tape.variable(&[0.0, 0.0], [2]);
    let losses = (b.broadcast_to([n, 2]) * tape.input(&[3.0, 1.0], [2])).sum_axis(1);
    let of_b = losses.mean().backward().of(b).expect("a gradient").to_vec();

    let (weight, bias) = (tape.variable(&[0.5, -0.5], [1, 2]), tape.variable(&[0.0, 0.0], [2]));
    let y = tape.input(&vec![1.0; n], [n, 1]).linear(weight, bias, Activation::Identity);
    let gradients = y.mean().backward();
    let of = |var| gradients.of(var).expect("a gradient").to_vec();
    [of_b, of(bias), of(weight)]
}

fn assert_gradients_by_broadcasting(n: usize) {
    let [of_b, of_bias, of_weight] = gradients_by_broadcasting(n);
    for (found, right, bound) in [
        (of_b[0], 3.0, OF_SUM),
        (of_b[1], 1.0, OF_SUM),
        (of_bias[0], 0.5, OF_SUM),
        (of_bias[1], 0.5, OF_SUM),
        (of_weight[0], 0.5, OF_PRODUCT),
        (of_weight[1], 0.5, OF_PRODUCT),
    ] {
        // The error includes a few more roundings, from 1 / n and the products with it.
        let error = (f64::from(found) / right - 1.0).abs();
        assert!(error < bound, "n = {n}: {found}, should be {right}");
    }
}

#[test]
fn gradients_by_broadcasting_do_not_depend_on_the_number_of_samples() {
    for n in [1, 100, 10_000, 100_000, 1_000_000] {
        assert_gradients_by_broadcasting(n);
    }
}

#[test]
#[ignore = "a second and 400 MB"]
fn gradients_by_broadcasting_of_ten_million_samples() {
    assert_gradients_by_broadcasting(10_000_000);
}

#[test]
fn the_gradient_of_gather_counts_every_repetition() {
    let tape = Tape::new();
    let x = tape.variable(&[1.0, 2.0, 3.0], [3]);
    let y = x.gather(&vec![1; 1_000_000]);
    let gradients = (y * 0.1).sum().backward();
    let found = gradients.of(x).expect("a gradient");
    assert!(
        (found[1] / 100_000.0 - 1.0).abs() < OF_SUM as f32 && found[0] == 0.0 && found[2] == 0.0,
        "{found:?}"
    );
}

/// The mean over many samples is the mean of the means over a hundred each.
#[test]
fn the_gradient_of_gumbel_rao_is_right_for_many_samples() {
    const SAMPLES: usize = 100_000;
    let (logits, one_hot, dy) = ([0.3, -0.2], [0.0, 1.0], [1.0, 0.5]);
    for tier in Tier::available() {
        let gradient = |samples: usize, first: usize| {
            let (draws, mut dlogits) = (Draws::Stream(Stream::new(5).at(2 * first as u64)), [0.0; 2]);
            gumbel_rao::backward(tier, draws, &logits, &one_hot, &dy, 2, samples, 0.5, &mut dlogits);
            dlogits.map(f64::from)
        };
        let of_hundred = (0..SAMPLES).step_by(100).map(|first| gradient(100, first)[0]);
        let right = of_hundred.sum::<f64>() / (SAMPLES / 100) as f64;
        let found = gradient(SAMPLES, 0)[0];
        assert!((found / right - 1.0).abs() < OF_SUM, "{found} instead of {right}, {tier}");
    }
}
