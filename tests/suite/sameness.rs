//! Is a result the same to the last bit on every SIMD tier, at any number of threads, and after an interruption?

use std::fs;
use std::ops::Range;
use std::path::Path;

use rayon::ThreadPool;
use reparam::data::{Digits, SplitKind};
use reparam::estimators::Kind;
use reparam::models::{BeliefNetShape, Guidance, Link, SemiSupervisedShape};
use reparam::train::{
    CellModel, CellRun, CellSettings, Labels, ModelKind, OptimizerKind, Record, Settings, Trainer,
};
use reparam_ops::noise::{Draws, Stream, draws_forward};
use reparam_ops::{Matrix, Tier, Write, matmul};

use crate::common::bars::images;

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

    /// Inputs of a kernel and all that it computed from them.
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

        /// Logits with extremes, ties and, where there are classes enough, masks.
        fn logits(&self, seed: u64) -> Vec<f32> {
            let mut logits = self.elements(seed);
            for (i, logit) in logits.iter_mut().enumerate() {
                match i % self.classes {
                    3 | 11 => *logit = f32::NEG_INFINITY,
                    1 | 2 if i % 5 == 0 => *logit = 1e4,
                    4 if i % 3 == 0 => *logit = -1e4,
                    _ => {}
                }
            }
            logits
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

    /// Every tail of a vector, and sizes that are split over threads.
    fn flat() -> impl Iterator<Item = (usize, usize)> {
        [1, 15, 16, 17, 33, 1000, 30_001].into_iter().map(|len| (len, 1))
    }

    /// Every size class of a row, alone, in odd company, and split over threads.
    fn rows() -> impl Iterator<Item = (usize, usize)> {
        let classes = [1, 2, 7, 10, 16, 33, 257, 4096];
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
            let (logits, dy, tier, classes) = (bench.logits(1), bench.elements(2), bench.tier, bench.classes);
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
            let (logits, dy, tier, classes) = (bench.logits(1), bench.elements(2), bench.tier, bench.classes);
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
            let (logits, dy, tier, classes) = (bench.logits(1), bench.elements(2), bench.tier, bench.classes);
            let (mut y, mut dlogits) = (bench.zeros(), bench.elements(3));
            gumbel_softmax::forward(tier, bench.draws(), &logits, classes, TAU, &mut y).unwrap();
            let dtau = gumbel_softmax::backward(tier, &y, &dy, classes, TAU, true, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);
            bench.keep_one(dtau);

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

            let mut index = vec![0; bench.rows];
            gumbel_max::forward(tier, bench.draws(), &logits, classes, &mut index).unwrap();
            bench.results.extend(index);
        });
    }

    #[test]
    fn straight_through() {
        assert_same(rows(), |bench| {
            let (logits, dy, tier, classes) = (bench.logits(1), bench.elements(2), bench.tier, bench.classes);
            let (mut y, mut dlogits) = (bench.zeros(), bench.elements(3));
            st_argmax::forward(tier, &logits, classes, &mut y).unwrap();
            let dtau = st_argmax::backward(tier, &logits, &dy, classes, TAU, true, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);
            bench.keep_one(dtau);

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
            let (logits, dy, tier) = (bench.elements(1), bench.elements(2), bench.tier);
            let (mut y, mut dlogits) = (bench.zeros(), bench.elements(3));
            bernoulli::forward(tier, bench.draws(), &logits, &mut y);
            bernoulli::st_backward(tier, &logits, &dy, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);

            binary_concrete::forward(tier, bench.draws(), &logits, TAU, &mut y);
            let dtau = binary_concrete::backward(tier, &y, &dy, TAU, true, &mut dlogits);
            bench.keep(&y);
            bench.keep_one(dtau);
            binary_concrete::st_forward(tier, bench.draws(), &logits, &mut y);
            let dtau =
                binary_concrete::st_backward(tier, bench.draws(), &logits, &dy, TAU, true, &mut dlogits);
            bench.keep(&y);
            bench.keep(&dlogits);
            bench.keep_one(dtau);

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
            let (p, tier, classes) = (bench.logits(1), bench.tier, bench.classes);
            // Masked where p is: elsewhere a divergence is infinite.
            let q = bench.logits(2);
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
            let (p, q, dkl, tier) = (bench.elements(1), bench.elements(2), bench.elements(4), bench.tier);
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
            let (logits, tier, classes) = (bench.elements(1), bench.tier, bench.classes);
            let targets: Vec<u32> = (0..bench.rows).map(|row| (row % classes) as u32).collect();
            let (mut loss, mut dlogits) = (bench.per_row(2), bench.elements(3));
            cross_entropy::forward(tier, &logits, classes, &targets, &mut loss).unwrap();
            cross_entropy::backward(tier, &logits, classes, &targets, &bench.per_row(4), &mut dlogits);
            bench.keep(&loss);
            bench.keep(&dlogits);
        });
        assert_same(flat(), |bench| {
            let (logits, dloss, tier) = (bench.elements(1), bench.elements(2), bench.tier);
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
            let gradient = bench.elements(4);
            adam::update(bench.tier, hyper, 3, &gradient, &mut first, &mut second, &mut p);
            sgd_momentum::update(bench.tier, 0.1, 0.9, 1e-3, &gradient, &mut first, &mut p);
            bench.keep(&first);
            bench.keep(&second);
            bench.keep(&p);
        });
    }

    /// A layer on dense inputs and on ones that are mostly zeros, which take another way. The dense product is
    /// `matrixmultiply`'s, whatever our tier.
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

    /// Whether a text has a name that is not a part of another one.
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
        // Those of `elementwise` that macros name are there as NAME::forward and NAME::backward.
        missing.retain(|call| !["elementwise::forward", "elementwise::backward"].contains(&&call[..]));
        assert!(missing.is_empty(), "these kernels are not compared: {missing:?}");
    }
}

/// Products of any layout, added to what is there, at any number of threads.
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
            pool(threads).install(|| matmul::matmul(a, b, Write::Add, &mut c));
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

/// Goes on to the end, or to a step, as the command line does; returns what validation said.
fn train(trainer: &mut Trainer<'_>, until: u64) -> Vec<Record> {
    let mut records = Vec::new();
    while !trainer.is_finished() && trainer.step_count() < until {
        trainer.step();
        if trainer.is_validation_due() {
            records.push(trainer.validate());
        }
    }
    records
}

/// Layers that are wide enough for their products to be split.
fn assert_training_is_the_same_at_any_number_of_threads(settings: &Settings, data: &Digits) {
    let run = |threads| {
        pool(threads).install(|| {
            let mut trainer = Trainer::new(settings.clone(), data).unwrap();
            let records = train(&mut trainer, u64::MAX);
            assert_eq!(trainer.step_count(), settings.steps);
            (records, trainer.checkpoint().to_bytes())
        })
    };
    let expected = run(1);
    for threads in [2, 8] {
        assert!(run(threads) == expected, "{} on {threads} threads", settings.model);
    }
}

#[cfg(feature = "embedded")]
#[test]
fn training_on_digits_does_not_depend_on_threads() {
    let settings =
        Settings { hidden: vec![64], batch: 100, ..Settings::defaults(ModelKind::Vae).with_steps(30) };
    assert_training_is_the_same_at_any_number_of_threads(&settings, &Digits::embedded());
}

#[test]
fn training_on_grey_images_does_not_depend_on_threads() {
    let data = images(28, 180, 10);
    for &model in ModelKind::ALL {
        let settings = Settings {
            hidden: if model == ModelKind::Sbn { vec![] } else { vec![80, 40] },
            batch: 100,
            validate_every: 10,
            patience: 9,
            clip_norm: 5.0,
            ..Settings::defaults(model).with_steps(20)
        };
        assert_training_is_the_same_at_any_number_of_threads(&settings, &data);
    }
}

/// Settings of a run whose epochs, of 250 images, end in the middle of a step and, every other one, with a step.
fn small(model: ModelKind, optimizer: OptimizerKind) -> Settings {
    Settings {
        hidden: if model == ModelKind::Sbn { vec![] } else { vec![16] },
        latents: 3,
        classes: 4,
        batch: 20,
        optimizer,
        weight_decay: 1e-3,
        clip_norm: 10.0,
        validate_every: 4,
        patience: 100,
        ..Settings::defaults(model).with_steps(30)
    }
}

/// A run that is stopped after `step` steps, saved, and taken up again by another trainer.
fn interrupted(settings: &Settings, data: &Digits, step: u64) -> (Vec<Record>, Vec<u8>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut trainer = Trainer::new(settings.clone(), data).unwrap();
    let mut records = train(&mut trainer, step);
    trainer.checkpoint().save(&path).unwrap();
    let mut trainer = Trainer::resume(&path, data).unwrap();
    assert!(trainer.checkpoint().to_bytes() == fs::read(&path).unwrap(), "resuming alone changes the state");
    records.extend(train(&mut trainer, u64::MAX));
    trainer.keep_best();
    (records, trainer.checkpoint().to_bytes(), trainer.step_count())
}

#[test]
fn a_resumed_run_continues_bit_for_bit() {
    let data = images(12, 300, 20);
    for &model in ModelKind::ALL {
        for optimizer in [OptimizerKind::Adam, OptimizerKind::AdamW, OptimizerKind::Sgd] {
            let settings = small(model, optimizer);
            let whole = interrupted(&settings, &data, settings.steps);
            // At the start, inside the first epoch, just behind its end, exactly at the second's, at a validation.
            for step in [0, 7, 13, 25, 28] {
                assert!(
                    interrupted(&settings, &data, step) == whole,
                    "{model} with {optimizer}, stopped at {step}"
                );
            }
        }
    }
}

#[test]
fn a_resumed_run_loses_patience_at_the_same_step() {
    let data = images(12, 300, 20);
    let settings = Settings {
        learning_rate: "0.5".parse().unwrap(),
        clip_norm: 0.0,
        patience: 2,
        ..small(ModelKind::Vae, OptimizerKind::Sgd).with_steps(400)
    };
    let whole = interrupted(&settings, &data, settings.steps);
    assert!(whole.2 < settings.steps, "patience must run out for this test to mean anything");
    // Before the best, with the best behind it, and after the end.
    for step in [3, whole.2 - 5, whole.2] {
        assert!(interrupted(&settings, &data, step) == whole, "stopped at {step} of {}", whole.2);
    }
}

/// Settings of a cell that takes no time.
fn small_cell(model: CellModel, estimator: &str, samples: usize) -> CellSettings {
    CellSettings {
        model,
        estimator: estimator.to_owned(),
        samples,
        tau: estimator.contains("softmax").then_some((1.0, 0.5)),
        learning_rate: 1e-3,
        betas: (0.9, 0.99),
        batch: 20,
        steps: 30,
        validate_every: 7,
        seed: 5,
    }
}

/// Few images of which two of each class are known, with all that leads q(y | x) for the others.
fn semi_supervised(classes: usize) -> CellModel {
    let shape = SemiSupervisedShape { classes, latents: 2, hidden: vec![8], shift: 1 };
    let guidance = Some(Guidance { smoothness: 1.0, radius: 0.5, balance: 1.0 });
    CellModel::SemiSupervised { shape, labels: Labels::OfEachClass(2), weight: 30.0, guidance }
}

/// With everything that estimators learn on the way: networks, moving averages, temperatures.
#[test]
fn a_resumed_cell_continues_bit_for_bit() {
    let data = images(6, 60, 10);
    let bits = Kind { variables: 4, classes: None };
    let vae = || CellModel::Vae { latents: bits, encoder: vec![], decoder: vec![8] };
    let net = || CellModel::BeliefNet(BeliefNetShape { layers: vec![5, 4], link: Link::Nonlinear });
    let cells = [
        small_cell(vae(), "relax", 1),
        small_cell(vae(), "rebar", 1),
        small_cell(vae(), "moving-average", 1),
        small_cell(vae(), "st-softmax:1", 1),
        small_cell(vae(), "st-slope-annealed", 1),
        small_cell(CellModel::Prediction(vec![bits, bits]), "nvil-normalised", 1),
        small_cell(CellModel::Prediction(vec![bits, bits]), "muprop-normalised", 1),
        small_cell(CellModel::Prediction(vec![bits, bits]), "vimco", 3),
        small_cell(net(), "nvil", 1),
        small_cell(net(), "concrete:0.7:0.5", 3),
        small_cell(semi_supervised(10), "gumbel-softmax:1", 1),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cell.safetensors");
    for settings in cells {
        let mut whole = CellRun::new(settings.clone(), &data).unwrap();
        let losses: Vec<f64> = (0..30).map(|_| whole.step()).collect();
        for at in [0, 7, 18] {
            let mut first = CellRun::new(settings.clone(), &data).unwrap();
            let mut resumed: Vec<f64> = (0..at).map(|_| first.step()).collect();
            first.checkpoint().save(&path).unwrap();
            let mut second = CellRun::resume(settings.clone(), &data, &path).unwrap();
            resumed.extend((at..30).map(|_| second.step()));
            assert_eq!(losses, resumed, "{} from step {at}", settings.estimator);
            assert!(
                whole.checkpoint().to_bytes() == second.checkpoint().to_bytes(),
                "{} from step {at}",
                settings.estimator
            );
            assert_eq!(whole.curve(), second.curve());
        }
    }
}

/// An evaluation that begins with the bounds of its first images gives what a whole one gives.
#[test]
fn an_evaluation_goes_on_where_it_was() {
    let data = images(4, 30, 1100);
    let bits = Kind { variables: 4, classes: None };
    let model = CellModel::Vae { latents: bits, encoder: vec![], decoder: vec![] };
    let run = CellRun::new(small_cell(model, "disarm", 1), &data).unwrap();
    let mut losses = Vec::new();
    assert!(run.evaluate_from(SplitKind::Test, 3, &mut losses, |losses| losses.len() < 1000).is_none());
    assert_eq!(losses.len(), 1000);
    let score = run.evaluate_from(SplitKind::Test, 3, &mut losses, |_| true);
    assert_eq!(score, Some(run.evaluate(SplitKind::Test, 3)));
    assert_eq!(losses.len(), 1100);
    // With many samples the batches are smaller; what is no whole number of them is evaluated again.
    let score = run.evaluate_from(SplitKind::Test, 3000, &mut Vec::new(), |_| true);
    let mut again = Vec::new();
    assert!(run.evaluate_from(SplitKind::Test, 3000, &mut again, |_| false).is_none());
    assert_eq!(again.len(), 166);
    again.extend([f64::NAN; 3]);
    assert_eq!(run.evaluate_from(SplitKind::Test, 3000, &mut again, |_| true), score);
}

#[test]
fn seeds_differ_and_repeat() {
    let data = images(12, 300, 20);
    let run = |seed| {
        let settings = Settings { seed, ..small(ModelKind::Vae, OptimizerKind::Adam) };
        let mut trainer = Trainer::new(settings, &data).unwrap();
        train(&mut trainer, 5);
        trainer.model().params.ids().map(|id| trainer.model().params.value(id).to_vec()).collect::<Vec<_>>()
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
