//! Criterion benches of the stochastic kernels, for work on one of them: `cargo bench --bench kernels --
//! gumbel`.
//!
//! `reparam bench kernels` measures the same kernels, with a table for comparison and a checksum. This one
//! compares with its last run and draws distributions.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use reparam_ops::noise::{Draws, Stream};
use reparam_ops::{Tier, adam, binary_concrete, categorical_kl, draw, gumbel_max, gumbel_softmax, softmax};

const SIZES: [(usize, usize); 3] = [(2_000, 10), (1024, 1024), (64, 50_257)];
const TAU: f32 = 0.5;

fn draws() -> Draws<'static> {
    Stream::new(1).into()
}

fn logistic(n: usize, seed: u64) -> Vec<f32> {
    let mut x = vec![0.0; n];
    draw::fill_logistic(Tier::best(), Stream::new(seed).into(), &mut x);
    x
}

/// Runs a bench for each size. `work` gets logits, dy, y, dlogits and the number of classes.
fn each_size(
    c: &mut Criterion,
    name: &str,
    mut work: impl FnMut(&[f32], &[f32], &mut [f32], &mut [f32], usize),
) {
    let mut group = c.benchmark_group(name);
    for (rows, classes) in SIZES {
        let n = rows * classes;
        let (logits, dy, mut dlogits) = (logistic(n, 2), logistic(n, 3), vec![0.0; n]);
        let mut y = vec![0.0; n];
        softmax::forward(Tier::best(), &logits, classes, TAU, &mut y).expect("no row is masked");
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{rows}x{classes}")), |b| {
            b.iter(|| work(black_box(&logits), &dy, &mut y, &mut dlogits, classes));
        });
    }
    group.finish();
}

fn kernels(c: &mut Criterion) {
    let tier = Tier::best();
    each_size(c, "gumbel_noise", |_, _, y, _, _| draw::fill_gumbel(tier, draws(), y));
    each_size(c, "gumbel_softmax/forward", |x, _, y, _, classes| {
        gumbel_softmax::forward(tier, draws(), x, classes, TAU, y).expect("no row is masked");
    });
    each_size(c, "gumbel_softmax/backward", |_, dy, y, dx, classes| {
        gumbel_softmax::backward(tier, y, dy, classes, TAU, false, dx);
    });
    each_size(c, "gumbel_softmax/backward with tau", |_, dy, y, dx, classes| {
        black_box(gumbel_softmax::backward(tier, y, dy, classes, TAU, true, dx));
    });
    each_size(c, "st_gumbel_softmax/forward", |x, _, _, dx, classes| {
        gumbel_softmax::st_forward(tier, draws(), x, classes, dx).expect("no row is masked");
    });
    each_size(c, "st_gumbel_softmax/backward", |x, dy, _, dx, classes| {
        gumbel_softmax::st_backward(tier, draws(), x, dy, classes, TAU, false, dx);
    });
    each_size(c, "softmax/forward", |x, _, y, _, classes| {
        softmax::forward(tier, x, classes, TAU, y).expect("no row is masked");
    });
    let mut index = Vec::new();
    each_size(c, "gumbel_max/forward", |x, _, _, _, classes| {
        index.resize(x.len() / classes, 0);
        gumbel_max::forward(tier, draws(), x, classes, &mut index).expect("no row is masked");
    });
    let mut kl = Vec::new();
    each_size(c, "categorical_kl_uniform/forward", |x, _, _, _, classes| {
        kl.resize(x.len() / classes, 0.0);
        categorical_kl::uniform_forward(tier, x, classes, &mut kl).expect("no row is masked");
    });
    let mut rest = Vec::new();
    each_size(c, "binary_concrete/forward", |x, _, y, _, _| {
        rest.resize(x.len(), 0.0);
        binary_concrete::forward(tier, draws(), x, TAU, y, &mut rest)
    });
    each_size(c, "binary_concrete/backward", |_, dy, y, dx, _| {
        binary_concrete::backward(tier, y, dy, TAU, false, dx);
    });
    let hyper =
        adam::Hyper { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
    let (mut mean, mut square) = (Vec::new(), Vec::new());
    each_size(c, "adam", |x, _, y, _, _| {
        mean.resize(x.len(), 0.0);
        square.resize(x.len(), 0.0);
        adam::update(tier, hyper, 1, x, &mut mean, &mut square, y);
    });
}

criterion_group!(benches, kernels);
criterion_main!(benches);
