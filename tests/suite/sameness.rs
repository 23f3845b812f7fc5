//! Is a result the same to the last bit on every SIMD tier, at any number of threads, and after an
//! interruption?

use std::fs;
use std::ops::Range;
use std::path::Path;

use rayon::ThreadPool;
use reparam::data::{Digits, SplitKind};
use reparam::models::{Link, ModelShape};
use reparam::train::{OptimizerPlan, Plan, Record, Run, Validation};
use reparam::{Checkpoint, Noise, Tape, Var, Variables};
use reparam_ops::noise::{Draws, Stream, draws_forward};
use reparam_ops::{Matrix, Tier, Write, draw, matmul};

use crate::common::bars::images;
use crate::common::plans;

/// Thread counts: alone, even, odd, and more than this machine may have.
const THREADS: [usize; 4] = [1, 2, 3, 8];

fn pool(threads: usize) -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

mod kernels {
    use super::*;

    use reparam_ops::adam::Hyper;
    use reparam_ops::linear::Activation;
    use reparam_ops::*;

    const TAU: f32 = 0.7;

    /// The inputs of a kernel, and everything that it computed from them.
    struct Bench {
        tier: Tier,
        rows: usize,
        classes: usize,
        results: Vec<u32>,
    }

    impl Bench {
        fn len(&self) -> usize {
            self.rows * self.classes
        }

        /// `len` numbers in a range, another sequence for each seed.
        fn numbers(&self, seed: u64, len: usize, range: Range<f32>) -> Vec<f32> {
            let mut words = vec![0; len];
            draws_forward(Tier::PORTABLE, Draws::Stream(Stream::new(seed)), &mut words);
            let unit = |word: u32| (word >> 8) as f32 / (1 << 24) as f32;
            words.into_iter().map(|word| range.start + unit(word) * (range.end - range.start)).collect()
        }

        /// An entry per element.
        fn elements(&self, seed: u64) -> Vec<f32> {
            self.numbers(seed, self.len(), -4.0..4.0)
        }

        /// An entry per row.
        fn per_row(&self, seed: u64) -> Vec<f32> {
            self.numbers(seed, self.rows, -2.0..2.0)
        }

        /// Logits with extremes, ties and, if there are enough classes, masks and certain classes.
        fn logits(&self, seed: u64) -> Vec<f32> {
            let mut logits = self.elements(seed);
            for (i, logit) in logits.iter_mut().enumerate() {
                match i % self.classes {
                    3 | 11 => *logit = f32::NEG_INFINITY,
                    1 | 2 if i % 5 == 0 => *logit = 1e4,
                    4 if i % 3 == 0 => *logit = -1e4,
                    5 if i % 7 == 0 => *logit = f32::INFINITY,
                    _ => {}
                }
            }
            logits
        }

        /// Like [`logits`](Self::logits), with distances that overflow f32.
        fn far_logits(&self, seed: u64) -> Vec<f32> {
            let mut logits = self.logits(seed);
            for (i, logit) in logits.iter_mut().enumerate() {
                match i % self.classes {
                    6 if i % 3 == 0 => *logit = 3e38,
                    8 if i % 2 == 0 => *logit = -3e38,
                    _ => {}
                }
            }
            logits
        }

        /// Logits of bits, some of them certain or nearly certain.
        fn bits(&self, seed: u64) -> Vec<f32> {
            let mut bits = self.elements(seed);
            for (i, bit) in bits.iter_mut().enumerate() {
                let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
                match i % 5 {
                    1 => *bit = sign * f32::INFINITY,
                    2 => *bit = sign * f32::MAX,
                    3 => *bit = sign * 17.0,
                    _ => {}
                }
            }
            bits
        }

        fn draws(&self) -> Draws<'static> {
            Draws::Stream(Stream::new(5).at(1 << 40))
        }

        fn zeros(&self) -> Vec<f32> {
            vec![0.0; self.len()]
        }

        fn keep(&mut self, values: &[f32]) {
            assert!(values.iter().all(|value| !value.is_nan()), "a kernel made NaN");
            self.results.extend(values.iter().map(|value| value.to_bits()));
        }

        fn keep_one(&mut self, value: f32) {
            self.keep(&[value]);
        }
    }

    /// Runs `work` on every shape, and asserts that nothing it keeps depends on the tier or on the threads.
    fn assert_same(shapes: impl IntoIterator<Item = (usize, usize)>, work: fn(&mut Bench)) {
        let pools = THREADS.map(pool);
        for (rows, classes) in shapes {
            let run = |tier, pool: &ThreadPool| {
                let mut bench = Bench { tier, rows, classes, results: Vec::new() };
                pool.install(|| work(&mut bench));
                bench.results
            };
            let expected = run(Tier::PORTABLE, &pools[0]);
            for tier in Tier::available() {
                for (pool, threads) in pools.iter().zip(THREADS) {
                    let found = run(tier, pool);
                    let differs = found.iter().zip(&expected).position(|(a, b)| a != b);
                    assert_eq!(
                        (differs, found.len()),
                        (None, expected.len()),
                        "{rows} x {classes}: {tier} on {threads} threads differs from portable on one"
                    );
                }
            }
        }
    }

    /// Every remainder of a vector, and sizes that are split over threads.
    fn flat() -> impl Iterator<Item = (usize, usize)> {
        [1, 15, 16, 17, 33, 1000, 30_001].into_iter().map(|len| (len, 1))
    }

    /// Every size class of a row: alone, 17 of them, and enough to split over threads.
    fn rows() -> impl Iterator<Item = (usize, usize)> {
        let classes = [1, 2, 7, 10, 16, 17, 33, 63, 257, 4096];
        classes.into_iter().flat_map(|classes| [(1, classes), (17, classes), (30_000 / classes + 1, classes)])
    }

    type Unary = (fn(Tier, &[f32], &mut [f32]), fn(Tier, &[f32], &[f32], &[f32], &mut [f32]));

    /// Runs an elementwise kernel and its gradient on numbers in its domain.
    fn unary(bench: &mut Bench, (forward, backward): Unary, domain: Range<f32>) {
        let (x, dy) = (bench.numbers(1, bench.len(), domain), bench.elements(2));
        let (mut y, mut dx) = (bench.zeros(), bench.elements(3));
        forward(bench.tier, &x, &mut y);
        backward(bench.tier, &x, &y, &dy, &mut dx);
        bench.keep(&y);
        bench.keep(&dx);
    }

    #[test]
    fn elementwise_functions() {
        use reparam_ops::elementwise::*;
        assert_same(flat(), |bench| {
            unary(bench, (exp::forward, exp::backward), -90.0..88.0);
            unary(bench, (ln::forward, ln::backward), 1e-30..50.0);
            unary(bench, (log1p::forward, log1p::backward), -0.99..50.0);
            unary(bench, (sqrt::forward, sqrt::backward), 1e-30..50.0);
            unary(bench, (square::forward, square::backward), -9.0..9.0);
            unary(bench, (abs::forward, abs::backward), -9.0..9.0);
            unary(bench, (sigmoid::forward, sigmoid::backward), -90.0..90.0);
            unary(bench, (softplus::forward, softplus::backward), -90.0..90.0);
            unary(bench, (tanh::forward, tanh::backward), -9.0..9.0);
            unary(bench, (relu::forward, relu::backward), -9.0..9.0);
            let (x, dy, mut y, mut dx) =
                (bench.elements(1), bench.elements(2), bench.zeros(), bench.elements(3));
            leaky_relu::forward(bench.tier, 0.1, &x, &mut y);
            leaky_relu::backward(bench.tier, 0.1, &x, &dy, &mut dx);
            bench.keep(&y);
            bench.keep(&dx);
        });
    }

    #[test]
    fn arithmetic() {
        assert_same(flat(), |bench| {
            let (a, b) = (bench.elements(1), bench.numbers(2, bench.len(), 0.5..3.0));
            for kernel in [
                elementwise::add,
                elementwise::sub,
                elementwise::mul,
                elementwise::div,
                elementwise::add_product,
                elementwise::add_quotient,
            ] {
                let mut out = bench.elements(3);
                kernel(bench.tier, &a, &b, &mut out);
                bench.keep(&out);
            }
            let mut out = bench.elements(3);
            elementwise::div_backward_denominator(bench.tier, &b, &a, &bench.elements(4), &mut out);
            elementwise::add_scaled(bench.tier, 0.3, &a, &mut out);
            bench.keep(&out);
            elementwise::affine(bench.tier, 0.3, -1.7, &a, &mut out);
            bench.keep(&out);
        });
    }

    #[test]
    fn sums_and_repetitions() {
        assert_same(rows().chain(flat()), |bench| {
            let (x, n, inner) = (bench.elements(1), bench.rows, bench.classes);
            bench.keep_one(axis::sum(bench.tier, &x));
            // The sum over rows, over columns, and over both.
            for (n, inner) in [(n, inner), (inner, 1), (n * inner, 1)] {
                let mut y = bench.numbers(2, x.len() / n, -1.0..1.0);
                axis::add_sum(bench.tier, n, inner, &x, &mut y);
                bench.keep(&y);
                let mut repeated = bench.elements(3);
                axis::add_repeat(bench.tier, n, inner, &y, &mut repeated);
                bench.keep(&repeated);
            }
        });
    }

    /// The gradient of rows by index, where none, some or all indices repeat.
    #[test]
    fn rows_by_index() {
        assert_same(rows(), |bench| {
            let (dy, rows, width) = (bench.elements(1), bench.rows, bench.classes);
            for targets in [1, 3, rows] {
                let indices: Vec<u32> = (0..rows).map(|r| (r * 7 % targets) as u32).collect();
                let mut dx = bench.numbers(2, targets * width, -1.0..1.0);
                index::scatter_add(bench.tier, &indices, width, &dy, &mut dx);
                bench.keep(&dx);
            }
        });
    }

    #[test]
    fn draws() {
        assert_same(flat(), |bench| {
            let mut words = vec![0; bench.len()];
            noise::draws_forward(bench.tier, bench.draws(), &mut words);
            bench.results.extend(words);
            let mut noise = bench.zeros();
            draw::fill_uniform(bench.tier, bench.draws(), &mut noise);
            bench.keep(&noise);
            draw::fill_gumbel(bench.tier, bench.draws(), &mut noise);
            bench.keep(&noise);
            draw::fill_logistic(bench.tier, bench.draws(), &mut noise);
            bench.keep(&noise);
        });
    }

    #[test]
    fn softmax_and_its_logarithms() {
        assert_same(rows(), |bench| {
            let (logits, dy, tier, classes) =
                (bench.far_logits(1), bench.elements(2), bench.tier, bench.classes);
            let (mut y, mut dlogits) = (bench.zeros(), bench.elements(3));
            softmax::forward(tier, &logits, classes, TAU, &mut y).unwrap();
            let dtau = softmax::backward(tier, &y, &dy, classes, TAU, true, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);
            bench.keep_one(dtau);

            let (mut y, mut dlogits) = (bench.zeros(), bench.elements(3));
            softmax::log_softmax_forward(tier, &logits, classes, &mut y).unwrap();
            softmax::log_softmax_backward(tier, &y, &dy, classes, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);

            let (mut y, mut dlogits) = (bench.per_row(4), bench.elements(3));
            softmax::logsumexp_forward(tier, &logits, classes, &mut y);
            softmax::logsumexp_backward(tier, &logits, classes, &y, &bench.per_row(5), &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);
        });
    }

    #[test]
    fn gumbel_rao() {
        assert_same(rows(), |bench| {
            let (logits, dy, tier, classes) =
                (bench.far_logits(1), bench.elements(2), bench.tier, bench.classes);
            let (mut y, mut dlogits) = (bench.zeros(), bench.elements(3));
            gumbel_rao::forward(tier, bench.draws(), &logits, classes, &mut y).unwrap();
            gumbel_rao::backward(tier, bench.draws(), &logits, &y, &dy, classes, 3, TAU, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);
        });
    }

    #[test]
    fn gumbel_softmax() {
        assert_same(rows(), |bench| {
            let (logits, dy, tier, classes) =
                (bench.far_logits(1), bench.elements(2), bench.tier, bench.classes);
            let (mut y, mut dlogits) = (bench.zeros(), bench.elements(3));
            gumbel_softmax::forward(tier, bench.draws(), &logits, classes, TAU, &mut y).unwrap();
            let dtau = gumbel_softmax::backward(tier, &y, &dy, classes, TAU, true, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);
            bench.keep_one(dtau);

            let mut dlogits = bench.elements(3);
            gumbel_softmax::st_forward(tier, bench.draws(), &logits, classes, &mut y).unwrap();
            let dtau = gumbel_softmax::st_backward(
                tier,
                bench.draws(),
                &logits,
                &dy,
                classes,
                TAU,
                true,
                &mut dlogits,
            );
            bench.keep(&y);
            bench.keep(&dlogits);
            bench.keep_one(dtau);

            let replayed = (y.clone(), dlogits, dtau);
            let (mut scores, mut dlogits) = (bench.zeros(), bench.elements(3));
            gumbel_softmax::st_forward_and_scores(tier, bench.draws(), &logits, classes, &mut y, &mut scores)
                .unwrap();
            let dtau =
                gumbel_softmax::st_backward_from_scores(tier, &scores, &dy, classes, TAU, true, &mut dlogits);
            assert_eq!((y, dlogits, dtau), replayed, "kept and replayed scores");

            let mut index = vec![0; bench.rows];
            gumbel_max::forward(tier, bench.draws(), &logits, classes, &mut index).unwrap();
            bench.results.extend(index);
        });
    }

    #[test]
    fn straight_through() {
        assert_same(rows(), |bench| {
            let (logits, dy, tier, classes) =
                (bench.far_logits(1), bench.elements(2), bench.tier, bench.classes);
            let (mut y, mut dlogits) = (bench.zeros(), bench.elements(3));
            st_argmax::forward(tier, &logits, classes, &mut y).unwrap();
            let dtau = st_argmax::backward(tier, &logits, &dy, classes, TAU, true, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);
            bench.keep_one(dtau);

            categorical::forward(tier, bench.draws(), &logits, classes, &mut y).unwrap();
            bench.keep(&y);

            st_categorical::forward(tier, bench.draws(), &logits, classes, &mut y).unwrap();
            let dtau = st_categorical::backward(tier, &logits, &dy, classes, TAU, true, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);
            bench.keep_one(dtau);
        });
    }

    #[test]
    fn exp_concrete() {
        assert_same(rows(), |bench| {
            let (logits, dy, tier, classes) = (bench.logits(1), bench.elements(2), bench.tier, bench.classes);
            let (mut log_y, mut dlogits) = (bench.zeros(), bench.elements(3));
            exp_concrete::forward(tier, bench.draws(), &logits, classes, TAU, &mut log_y).unwrap();
            let dtau = exp_concrete::backward(tier, &log_y, &dy, classes, TAU, true, &mut dlogits);
            bench.keep(&log_y);
            bench.keep(&dlogits);
            bench.keep_one(dtau);

            let (mut log_prob, d, mut h) = (bench.per_row(4), bench.per_row(5), bench.zeros());
            exp_concrete::log_prob_forward(tier, &log_y, &logits, classes, TAU, &mut log_prob).unwrap();
            exp_concrete::log_prob_backward(tier, &log_y, &logits, classes, TAU, &log_prob, &d, &mut h);
            let dtau =
                exp_concrete::log_prob_backward_tau(tier, &log_y, &logits, classes, TAU, &log_prob, &d, &h);
            bench.keep(&log_prob);
            bench.keep(&h);
            bench.keep_one(dtau);
        });
    }

    #[test]
    fn bernoulli_and_binary_concrete() {
        assert_same(flat(), |bench| {
            let (logits, dy, tier) = (bench.bits(1), bench.elements(2), bench.tier);
            let (mut y, mut dlogits) = (bench.zeros(), bench.elements(3));
            bernoulli::forward(tier, bench.draws(), &logits, &mut y);
            bernoulli::st_backward(tier, &logits, &dy, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);

            let mut rest = bench.zeros();
            binary_concrete::forward(tier, bench.draws(), &logits, TAU, &mut y, &mut rest);
            let dtau = binary_concrete::backward(tier, &rest, &dy, TAU, true, &mut dlogits);
            bench.keep(&y);
            bench.keep(&rest);
            bench.keep(&dlogits);
            bench.keep_one(dtau);
            let mut dlogits = bench.elements(3);
            binary_concrete::st_forward(tier, bench.draws(), &logits, &mut y);
            let dtau =
                binary_concrete::st_backward(tier, bench.draws(), &logits, &dy, TAU, true, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);
            bench.keep_one(dtau);

            let replayed = (y.clone(), dlogits, dtau);
            let (mut scores, mut dlogits) = (bench.zeros(), bench.elements(3));
            binary_concrete::st_forward_and_scores(tier, bench.draws(), &logits, &mut y, &mut scores);
            let dtau = binary_concrete::st_backward_from_scores(tier, &scores, &dy, TAU, true, &mut dlogits);
            assert_eq!(
                (&y, dlogits, dtau),
                (&replayed.0, replayed.1, replayed.2),
                "kept and replayed scores"
            );

            logit_binary_concrete::forward(tier, bench.draws(), &logits, TAU, &mut y);
            let dtau = logit_binary_concrete::backward_tau(tier, &y, &dy, TAU);
            bench.keep(&y);
            bench.keep_one(dtau);
            let (mut log_prob, mut h) = (bench.zeros(), bench.zeros());
            logit_binary_concrete::log_prob_forward(tier, &y, &logits, TAU, &mut log_prob);
            logit_binary_concrete::log_prob_backward(tier, &y, &logits, TAU, &dy, &mut h);
            let dtau = logit_binary_concrete::log_prob_backward_tau(tier, &y, TAU, &dy, &h);
            bench.keep(&log_prob);
            bench.keep(&h);
            bench.keep_one(dtau);
        });
    }

    #[test]
    fn divergences() {
        assert_same(rows(), |bench| {
            let (p, tier, classes) = (bench.far_logits(1), bench.tier, bench.classes);
            // Masked where p is, because a divergence is infinite elsewhere.
            let q = bench.far_logits(2);
            let (dkl, mut kl) = (bench.per_row(4), bench.per_row(5));
            let (mut dp, mut dq) = (bench.elements(3), bench.elements(6));
            categorical_kl::uniform_forward(tier, &p, classes, &mut kl).unwrap();
            categorical_kl::uniform_backward(tier, &p, classes, &dkl, &mut dp);
            bench.keep(&kl);
            categorical_kl::forward(tier, &p, &q, classes, &mut kl).unwrap();
            categorical_kl::backward_p(tier, &p, &q, classes, &kl, &dkl, &mut dp);
            categorical_kl::backward_q(tier, &p, &q, classes, &dkl, &mut dq);
            bench.keep(&kl);
            bench.keep(&dp);
            bench.keep(&dq);
        });
        assert_same(flat(), |bench| {
            let (p, q, dkl, tier) = (bench.bits(1), bench.bits(2), bench.elements(4), bench.tier);
            let (mut kl, mut dp, mut dq) = (bench.zeros(), bench.elements(3), bench.elements(5));
            bernoulli_kl::forward(tier, &p, &q, &mut kl);
            bernoulli_kl::backward_p(tier, &p, &q, &dkl, &mut dp);
            bernoulli_kl::backward_q(tier, &p, &q, &dkl, &mut dq);
            bench.keep(&kl);
            bench.keep(&dp);
            bench.keep(&dq);
        });
    }

    #[test]
    fn with_logits_gradient() {
        assert_same(rows(), |bench| {
            let (estimate, dloss, mut dlogits) = (bench.elements(1), bench.per_row(2), bench.elements(3));
            with_logits_gradient::backward(bench.tier, &estimate, &dloss, bench.classes, &mut dlogits);
            bench.keep(&dlogits);
        });
    }

    #[test]
    fn likelihoods() {
        assert_same(rows(), |bench| {
            let (logits, tier, classes) = (bench.far_logits(1), bench.tier, bench.classes);
            let targets: Vec<u32> = (0..bench.rows).map(|row| (row % classes) as u32).collect();
            let (mut loss, mut dlogits) = (bench.per_row(2), bench.elements(3));
            cross_entropy::forward(tier, &logits, classes, &targets, &mut loss).unwrap();
            cross_entropy::backward(tier, &logits, classes, &targets, &bench.per_row(4), &mut dlogits);
            bench.keep(&loss);
            bench.keep(&dlogits);
        });
        assert_same(flat(), |bench| {
            let (logits, dloss, tier) = (bench.bits(1), bench.elements(2), bench.tier);
            let target = bench.numbers(3, bench.len(), 0.0..1.0);
            let (mut loss, mut dlogits, mut dtarget) = (bench.zeros(), bench.elements(4), bench.elements(5));
            bce_with_logits::forward(tier, &logits, &target, &mut loss);
            bce_with_logits::backward(tier, &logits, &target, &dloss, &mut dlogits);
            bce_with_logits::backward_target(tier, &logits, &dloss, &mut dtarget);
            bench.keep(&loss);
            bench.keep(&dlogits);
            bench.keep(&dtarget);
        });
    }

    #[test]
    fn gaussian() {
        assert_same(flat(), |bench| {
            let (mean, log_std, dz, tier) =
                (bench.elements(1), bench.elements(2), bench.elements(3), bench.tier);
            let eps = bench.elements(4);
            for noise in [bench.draws(), Draws::Normals(&eps)] {
                let (mut z, mut dlog_std) = (bench.zeros(), bench.elements(5));
                gaussian::rsample_forward(tier, noise, &mean, &log_std, &mut z);
                gaussian::rsample_backward_log_std(tier, noise, &log_std, &dz, &mut dlog_std);
                bench.keep(&z);
                bench.keep(&dlog_std);
            }
            let (mut kl, mut dmean, mut dlog_std) = (bench.zeros(), bench.elements(5), bench.elements(6));
            gaussian::kl_standard_forward(tier, &mean, &log_std, &mut kl);
            gaussian::kl_standard_backward_mean(tier, &mean, &dz, &mut dmean);
            gaussian::kl_standard_backward_log_std(tier, &log_std, &dz, &mut dlog_std);
            bench.keep(&kl);
            bench.keep(&dmean);
            bench.keep(&dlog_std);
        });
    }

    #[test]
    fn optimizers() {
        assert_same(flat(), |bench| {
            let (mut first, mut second, mut p) =
                (bench.elements(1), bench.numbers(2, bench.len(), 0.0..2.0), bench.elements(3));
            let hyper =
                Hyper { learning_rate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 };
            // Some gradients are infinite, and some have infinite squares.
            let gradient = bench.bits(4);
            adam::update(bench.tier, hyper, 3, &gradient, &mut first, &mut second, &mut p);
            sgd_momentum::update(bench.tier, 0.1, 0.9, 1e-3, &gradient, &mut first, &mut p);
            bench.keep(&first);
            bench.keep(&second);
            bench.keep(&p);
        });
    }

    /// A layer on dense inputs, and on inputs that are mostly zeros, which take another path.
    #[test]
    fn layers() {
        const INPUTS: usize = 37;
        assert_same(rows().filter(|&(rows, classes)| rows * classes <= 40_000), |bench| {
            let (tier, rows, outputs) = (bench.tier, bench.rows, bench.classes);
            let (weight, bias) =
                (bench.numbers(1, INPUTS * outputs, -1.0..1.0), bench.numbers(2, outputs, -1.0..1.0));
            let dense = bench.numbers(3, rows * INPUTS, -1.0..1.0);
            let sparse = dense.iter().map(|&x| if x > 0.75 { x } else { 0.0 }).collect();
            for x in [dense, sparse] {
                for activation in [
                    Activation::Identity,
                    Activation::Relu,
                    Activation::LeakyRelu(0.1),
                    Activation::Sigmoid,
                    Activation::Tanh,
                ] {
                    let (mut y, mut dz) = (bench.zeros(), bench.zeros());
                    let (x, weight) = (Matrix::new(&x, rows, INPUTS), Matrix::new(&weight, INPUTS, outputs));
                    linear::forward(tier, x, weight, &bias, activation, &mut y);
                    linear::backward_activation(tier, activation, &y, &bench.elements(4), &mut dz);
                    bench.keep(&y);
                    bench.keep(&dz);
                }
                let mut dweight = weight.clone();
                linear::backward_weight(tier, &x, &bench.elements(4), rows, Write::Add, &mut dweight);
                bench.keep(&dweight);
            }
        });
    }

    /// Returns true if a text contains a name that is not a part of another one.
    fn has_name(text: &str, name: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        text.match_indices(name)
            .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
    }

    /// Every public function of the kernels that takes a tier is called in this file.
    #[test]
    fn none_is_left_out() {
        let here = include_str!("sameness.rs");
        let ops = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/src");
        let mut missing = Vec::new();
        for entry in fs::read_dir(ops).unwrap() {
            let path = entry.unwrap().path();
            let module = path.file_stem().unwrap().to_str().unwrap();
            let text: String = fs::read_to_string(&path).unwrap().split_whitespace().collect();
            for piece in text.split("pubfn").skip(1) {
                let (name, rest) = piece.split_once('(').unwrap();
                let call = format!("{module}::{name}");
                if rest.starts_with("tier:Tier") && name != "$name" && !has_name(here, &call) {
                    missing.push(call);
                }
            }
        }
        // The kernels of `elementwise` that macros name are there as NAME::forward and NAME::backward.
        missing.retain(|call| !["elementwise::forward", "elementwise::backward"].contains(&&call[..]));
        assert!(missing.is_empty(), "these kernels are not compared: {missing:?}");
    }
}

/// A straight-through sample of more than 2^20 numbers does not keep its scores.
#[test]
fn a_large_sample_computes_its_scores_again_with_the_same_bits() {
    let mut logits = vec![0.0; 1_200_000];
    draw::fill_logistic(Tier::best(), Stream::new(1).into(), &mut logits);
    type Op = for<'t> fn(Var<'t>) -> Var<'t>;
    let ops: [Op; 2] = [
        |x| x.st_gumbel_softmax(0.5, &mut Noise::seed(2)),
        |x| x.st_binary_concrete(0.5, &mut Noise::seed(2)),
    ];
    for op in ops {
        let gradient = |logits: &[f32]| {
            let tape = Tape::new();
            let x = tape.variable(logits, [logits.len() / 10, 10]);
            let gradients = (op(x) * x.stop_gradient()).sum().backward();
            (tape.to_string(), gradients.of(x).unwrap().to_vec())
        };
        let (large_tape, large) = gradient(&logits);
        let (small_tape, small) = gradient(&logits[..1_000_000]);
        assert!(large_tape.contains("scores: Replayed") && small_tape.contains("scores: Kept"));
        assert!(large[..1_000_000] == small, "{small_tape}");
    }
}

/// Products of any layout, added to existing numbers, on any number of threads.
#[test]
fn matrix_products_do_not_depend_on_threads() {
    let numbers = |n: usize| (0..n).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect::<Vec<_>>();
    for (m, k, n) in [(100, 784, 200), (784, 100, 200), (65, 2000, 67), (1, 4096, 512), (300, 1, 5000)] {
        let (a, b) = (numbers(m * k), numbers(k * n));
        let product = |threads: usize, transposed: bool| {
            let mut c = numbers(m * n);
            let (a, b) = match transposed {
                false => (Matrix::new(&a, m, k), Matrix::new(&b, k, n)),
                true => (Matrix::new(&a, k, m).t(), Matrix::new(&b, n, k).t()),
            };
            pool(threads).install(|| matmul::matmul(Tier::best(), a, b, Write::Add, &mut c));
            c
        };
        for transposed in [false, true] {
            let expected = product(1, transposed);
            for threads in [2, 3, 8] {
                assert!(product(threads, transposed) == expected, "{m} {k} {n} on {threads} threads");
            }
        }
    }
}

/// Steps to the end, or to a given step. Returns the losses and the scores on the validation images.
fn train(run: &mut Run<'_>, until: u64) -> (Vec<f64>, Vec<Record>) {
    let (mut losses, mut records) = (Vec::new(), Vec::new());
    while !run.is_finished() && run.step_count() < until {
        let stepped = run.step();
        losses.push(stepped.loss);
        records.extend(stepped.validation);
    }
    (losses, records)
}

/// The layers are wide enough for their products to be split.
fn assert_training_is_the_same_at_any_number_of_threads(plan: &Plan, data: &Digits) {
    let run = |threads| {
        pool(threads).install(|| {
            let mut run = plan.begin(data).unwrap();
            let records = train(&mut run, u64::MAX);
            assert_eq!(run.step_count(), plan.training.steps);
            (records, run.checkpoint().to_bytes())
        })
    };
    let expected = run(1);
    for threads in [2, 8] {
        assert!(run(threads) == expected, "{} on {threads} threads", plan.model.name());
    }
}

#[cfg(feature = "embedded")]
#[test]
fn training_on_digits_does_not_depend_on_threads() {
    let mut plan = Plan::vae().with_steps(30);
    let latents = Variables::Categories { count: 20, classes: 10 };
    plan.model = ModelShape::Vae { latents, encoder: vec![64], decoder: vec![64] };
    assert_training_is_the_same_at_any_number_of_threads(&plan, &Digits::embedded());
}

#[test]
fn training_on_grey_images_does_not_depend_on_threads() {
    let data = images(28, 180, 10);
    let latents = Variables::Categories { count: 20, classes: 10 };
    let wide = [
        ModelShape::Vae { latents, encoder: vec![80, 40], decoder: vec![40, 80] },
        ModelShape::Prediction { layers: vec![latents, latents] },
        ModelShape::BeliefNet { layers: vec![80, 40], link: Link::Nonlinear },
        ModelShape::Classifier { hidden: vec![80, 40] },
        plans::semi(),
    ];
    for model in wide {
        let estimator = if model.name() == "belief" { "vimco:3" } else { "gumbel-softmax:1" };
        let mut plan = plans::plan(model, estimator, 20);
        (plan.training.batch, plan.training.clip_norm) = (100, Some(5.0));
        assert_training_is_the_same_at_any_number_of_threads(&plan, &data);
    }
}

/// A run whose epochs, of 250 images, end in the middle of a step and, every other one, with a step.
fn small(model: ModelShape, optimizer: OptimizerPlan) -> Plan {
    let mut plan = plans::plan(model, "gumbel-softmax:1", 30);
    plan.training.optimizer = optimizer;
    plan.training.clip_norm = Some(10.0);
    plan.training.validation =
        Some(Validation { every: 4, samples: 1, keep_best: true, patience: Some(100) });
    plan
}

/// A run that is stopped after `step` steps, saved, and continued by another.
fn interrupted(plan: &Plan, data: &Digits, step: u64) -> (Vec<f64>, Vec<Record>, Vec<u8>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut run = plan.begin(data).unwrap();
    let (mut losses, mut records) = train(&mut run, step);
    run.checkpoint().save(&path).unwrap();
    let (read, mut run) = Plan::resume(&Checkpoint::load(&path).unwrap(), data).unwrap();
    assert_eq!(read, *plan);
    assert!(run.checkpoint().to_bytes() == fs::read(&path).unwrap(), "resuming alone changes the state");
    let (later, scored) = train(&mut run, u64::MAX);
    losses.extend(later);
    records.extend(scored);
    (losses, records, run.checkpoint().to_bytes(), run.step_count())
}

#[test]
fn a_resumed_run_continues_bit_for_bit() {
    let data = images(12, 300, 20);
    for model in plans::every_model() {
        for optimizer in [
            OptimizerPlan::Adam { beta1: 0.9, beta2: 0.99 },
            OptimizerPlan::AdamW { beta1: 0.9, beta2: 0.99, weight_decay: 1e-3 },
            OptimizerPlan::Sgd { momentum: 0.9, weight_decay: 1e-3 },
        ] {
            let plan = small(model.clone(), optimizer);
            let whole = interrupted(&plan, &data, plan.training.steps);
            // At the start, inside the first epoch, just after its end, exactly at the end of the second, at
            // a validation.
            for step in [0, 7, 13, 25, 28] {
                assert!(
                    interrupted(&plan, &data, step) == whole,
                    "{} with {}, stopped at {step}",
                    model.name(),
                    optimizer.name()
                );
            }
        }
    }
}

#[test]
fn a_resumed_run_loses_patience_at_the_same_step() {
    let data = images(12, 300, 20);
    let sgd = OptimizerPlan::Sgd { momentum: 0.9, weight_decay: 1e-3 };
    let mut plan = small(plans::vae(Variables::Categories { count: 3, classes: 4 }), sgd).with_steps(400);
    plan.training.learning_rate = "0.5".parse().unwrap();
    plan.training.clip_norm = None;
    plan.training.validation = Some(Validation { every: 4, samples: 1, keep_best: true, patience: Some(2) });
    let whole = interrupted(&plan, &data, plan.training.steps);
    let end = whole.3;
    assert!(end < plan.training.steps, "patience must run out for this test to mean anything");
    // Before the best, after the best, and after the end.
    for step in [3, end - 5, end] {
        assert!(interrupted(&plan, &data, step) == whole, "stopped at {step} of {end}");
    }
}

/// With everything that estimators learn as they go: networks, moving averages, temperatures.
#[test]
fn a_resumed_run_continues_bit_for_bit_with_every_estimator() {
    let data = images(6, 60, 10);
    let bits = Variables::Bits(4);
    let annealed = |mut plan: Plan| {
        plan.sampling.as_mut().unwrap().tau = Some("tail:1,0.5,0,30".parse().unwrap());
        plan
    };
    let mut switched = plans::plan(plans::vae(bits), "relax", 30);
    switched.sampling.as_mut().unwrap().then = Some((10, "nvil".to_owned()));
    let plans = [
        plans::plan(plans::vae(bits), "relax", 30),
        plans::plan(plans::vae(bits), "rebar", 30),
        plans::plan(plans::vae(bits), "moving-average", 30),
        plans::plan(plans::vae(bits), "st-slope-annealed", 30),
        plans::plan(plans::vae(bits), "vimco:5", 30),
        plans::plan(plans::vae(bits), "concrete:0.67:0.5:5", 30),
        plans::plan(plans::vae(bits), "exact", 30),
        annealed(plans::plan(plans::vae(bits), "st-softmax:1", 30)),
        annealed(plans::plan(plans::vae(bits), "gumbel-rao:10:0.5", 30)),
        plans::plan(plans::sbn(bits), "nvil-normalised", 30),
        plans::plan(plans::sbn(bits), "muprop-normalised", 30),
        plans::plan(plans::sbn(bits), "vimco:3", 30),
        plans::plan(plans::belief(Link::Nonlinear), "nvil", 30),
        plans::plan(plans::belief(Link::Nonlinear), "concrete:0.7:0.5:3", 30),
        annealed(plans::plan(plans::semi(), "gumbel-softmax:1", 30)),
        switched,
    ];
    for plan in plans {
        let whole = interrupted(&plan, &data, 30);
        for step in [0, 7, 18] {
            assert!(interrupted(&plan, &data, step) == whole, "{:?} from step {step}", plan.sampling);
        }
    }
}

/// An evaluation that is saved after its first images and continued gives the same scores as a whole one.
#[test]
fn an_evaluation_continues_where_it_was() {
    let data = images(4, 30, 1100);
    let run = plans::plan(plans::vae(Variables::Bits(4)), "disarm", 30).begin(&data).unwrap();
    // With many samples the batches are smaller.
    for (samples, first) in [(3, 500), (3000, 166)] {
        let whole = run.evaluate(SplitKind::Test, samples);
        let mut begun = run.evaluation(SplitKind::Test, samples);
        assert!(begun.advance(run.model(), run.params(), &data));
        assert_eq!(begun.done(), first);
        let mut checkpoint = Checkpoint::new();
        begun.save("test.", &mut checkpoint);
        let mut continued = run.evaluation(SplitKind::Test, samples);
        continued.restore("test.", &checkpoint).unwrap();
        assert_eq!(continued, begun);
        while continued.advance(run.model(), run.params(), &data) {}
        assert_eq!(run.evaluated(&continued), whole);
    }
}

#[test]
fn seeds_differ_and_repeat() {
    let data = images(12, 300, 20);
    let run = |seed| {
        let layer = Variables::Categories { count: 3, classes: 4 };
        let mut plan = plans::plan(plans::vae(layer), "gumbel-softmax:1", 30);
        plan.training.seed = seed;
        let mut run = plan.begin(&data).unwrap();
        train(&mut run, 5);
        run.params().ids().map(|id| run.params().value(id).to_vec()).collect::<Vec<_>>()
    };
    assert!(run(1) == run(1) && run(1) != run(2));
}

#[cfg(feature = "cli")]
mod binary {
    use std::process::Command;

    use super::*;
    use crate::common::bars;

    /// The checkpoint that `reparam train ARGS` writes.
    fn checkpoint(args: &[&str], threads: &str, tier: &str) -> Vec<u8> {
        let out = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_reparam"))
            .args(["train", "vae", "--samples", "1", "--threads", threads])
            .args(args)
            .arg("--out")
            .arg(out.path())
            .env("REPARAM_SIMD", tier)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(out.path().join("model.safetensors")).unwrap()
    }

    #[test]
    fn a_process_trains_the_same_on_every_tier() {
        let folder = tempfile::tempdir().unwrap();
        bars::write_images(folder.path(), 12, 300, 20);
        let data = folder.path().to_str().unwrap();
        let args = ["--data", data, "--steps", "30", "--hidden", "32", "--latents", "3"];
        let expected = checkpoint(&args, "1", "portable");
        for tier in Tier::available() {
            assert!(checkpoint(&args, "2", &tier.to_string()) == expected, "{tier}");
        }
    }

    #[cfg(feature = "embedded")]
    #[test]
    #[ignore = "the main job's shapes: a minute"]
    fn the_main_job_is_the_same_at_any_number_of_threads() {
        let best = Tier::best().to_string();
        let expected = checkpoint(&["--steps", "600"], "1", &best);
        for threads in ["2", "8"] {
            assert!(checkpoint(&["--steps", "600"], threads, &best) == expected, "{threads} threads");
        }
    }
}
