//! The kernels that `bench kernels` measures, fused and composed of primitive ops, and their buffers.

use reparam::internal::MOST_SCORES;
use reparam::{Tape, Var};
use reparam_ops::noise::{Draws, Stream};
use reparam_ops::{Tier, binary_concrete, draw, elementwise, gumbel_max, gumbel_softmax, softmax};

use super::measure::checksum;

const TAU: f32 = 0.5;

/// The buffers of a kernel.
pub(super) struct Buffers {
    pub(super) tier: Tier,
    pub(super) rows: usize,
    pub(super) classes: usize,
    logits: Vec<f32>,
    dy: Vec<f32>,
    y: Vec<f32>,
    /// The numbers that a forward pass keeps for the backward pass.
    kept: Vec<f32>,
    dlogits: Vec<f32>,
    index: Vec<u32>,
    tape: Tape,
}

impl Buffers {
    pub(super) fn new(tier: Tier, rows: usize, classes: usize) -> Buffers {
        let n = rows * classes;
        let noise = |seed| {
            let mut x = vec![0.0; n];
            draw::fill_logistic(Tier::best(), stream(seed), &mut x);
            x
        };
        Buffers {
            tier,
            rows,
            classes,
            logits: noise(1),
            dy: noise(2),
            y: vec![0.0; n],
            kept: vec![0.0; n],
            dlogits: vec![0.0; n],
            index: vec![0; rows],
            tape: Tape::new(),
        }
    }

    /// The checksum of a kernel's last result.
    pub(super) fn checksum(&self, case: &Case) -> u64 {
        match (case.kernel, case.pass) {
            ("gumbel_max", _) => checksum(bytemuck::cast_slice(&self.index)),
            (_, Pass::Forward) => checksum(&self.y),
            (_, Pass::ForwardBackward) => checksum(&self.dlogits),
        }
    }
}

fn stream(seed: u64) -> Draws<'static> {
    Stream::new(seed).into()
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pass {
    Forward,
    ForwardBackward,
}

/// A kernel to measure. `bytes` is the number of bytes it must move between memory and core per element.
pub(super) struct Case {
    pub(super) kernel: &'static str,
    pub(super) pass: Pass,
    pub(super) variant: &'static str,
    pub(super) bytes: f64,
    pub(super) work: fn(&mut Buffers),
}

const fn forward(kernel: &'static str, variant: &'static str, bytes: f64, work: fn(&mut Buffers)) -> Case {
    Case { kernel, pass: Pass::Forward, variant, bytes, work }
}

const fn both(kernel: &'static str, variant: &'static str, work: fn(&mut Buffers)) -> Case {
    // Forward reads logits and writes y; backward reads y and dy, and the gradient is zeroed, read and
    // written.
    Case { kernel, pass: Pass::ForwardBackward, variant, bytes: 28.0, work }
}

pub(super) const CASES: &[Case] = &[
    forward("copy", "copy", 8.0, |b| b.y.copy_from_slice(&b.logits)),
    forward("gumbel_noise", "fused", 4.0, |b| draw::fill_gumbel(b.tier, stream(3), &mut b.y)),
    forward("logistic_noise", "fused", 4.0, |b| draw::fill_logistic(b.tier, stream(3), &mut b.y)),
    forward("exp", "fused", 8.0, |b| elementwise::exp::forward(b.tier, &b.logits, &mut b.y)),
    forward("softmax", "fused", 8.0, |b| {
        let _ = softmax::forward(b.tier, &b.logits, b.classes, TAU, &mut b.y);
    }),
    forward("gumbel_max", "fused", 4.0, |b| {
        let _ = gumbel_max::forward(b.tier, stream(3), &b.logits, b.classes, &mut b.index);
    }),
    forward("gumbel_softmax", "fused", 8.0, gumbel_softmax_forward),
    forward("gumbel_softmax", "composed", 8.0, |b| composed(b, Pass::Forward, composed_gumbel_softmax)),
    both("gumbel_softmax", "fused", |b| gumbel_softmax_both(b, false)),
    both("gumbel_softmax", "composed", |b| composed(b, Pass::ForwardBackward, composed_gumbel_softmax)),
    both("gumbel_softmax_tau", "fused", |b| gumbel_softmax_both(b, true)),
    forward("st_gumbel_softmax", "fused", 8.0, |b| {
        let _ = gumbel_softmax::st_forward(b.tier, stream(3), &b.logits, b.classes, &mut b.y);
    }),
    both("st_gumbel_softmax", "fused", st_gumbel_softmax_both),
    forward("binary_concrete", "fused", 8.0, binary_concrete_forward),
    forward("binary_concrete", "composed", 8.0, |b| composed(b, Pass::Forward, composed_binary_concrete)),
    both("binary_concrete", "fused", |b| binary_concrete_both(b, false)),
    both("binary_concrete", "composed", |b| composed(b, Pass::ForwardBackward, composed_binary_concrete)),
    both("binary_concrete_tau", "fused", |b| binary_concrete_both(b, true)),
    both("st_binary_concrete", "fused", st_binary_concrete_both),
];

fn gumbel_softmax_forward(b: &mut Buffers) {
    let _ = gumbel_softmax::forward(b.tier, stream(3), &b.logits, b.classes, TAU, &mut b.y);
}

fn gumbel_softmax_both(b: &mut Buffers, want_tau: bool) {
    gumbel_softmax_forward(b);
    b.dlogits.fill(0.0);
    gumbel_softmax::backward(b.tier, &b.y, &b.dy, b.classes, TAU, want_tau, &mut b.dlogits);
}

/// Keeps the scores of a small sample and replays the noise of a large one, as a tape does.
fn st_gumbel_softmax_both(b: &mut Buffers) {
    let Buffers { tier, classes, logits, dy, y, kept: scores, dlogits, .. } = b;
    dlogits.fill(0.0);
    if logits.len() <= MOST_SCORES {
        let _ = gumbel_softmax::st_forward_and_scores(*tier, stream(3), logits, *classes, y, scores);
        gumbel_softmax::st_backward_from_scores(*tier, scores, dy, *classes, TAU, false, dlogits);
    } else {
        let _ = gumbel_softmax::st_forward(*tier, stream(3), logits, *classes, y);
        gumbel_softmax::st_backward(*tier, stream(3), logits, dy, *classes, TAU, false, dlogits);
    }
}

fn st_binary_concrete_both(b: &mut Buffers) {
    let Buffers { tier, logits, dy, y, kept: scores, dlogits, .. } = b;
    dlogits.fill(0.0);
    if logits.len() <= MOST_SCORES {
        binary_concrete::st_forward_and_scores(*tier, stream(3), logits, y, scores);
        binary_concrete::st_backward_from_scores(*tier, scores, dy, TAU, false, dlogits);
    } else {
        binary_concrete::st_forward(*tier, stream(3), logits, y);
        binary_concrete::st_backward(*tier, stream(3), logits, dy, TAU, false, dlogits);
    }
}

fn binary_concrete_forward(b: &mut Buffers) {
    binary_concrete::forward(b.tier, stream(3), &b.logits, TAU, &mut b.y, &mut b.kept);
}

fn binary_concrete_both(b: &mut Buffers, want_tau: bool) {
    binary_concrete_forward(b);
    b.dlogits.fill(0.0);
    binary_concrete::backward(b.tier, &b.kept, &b.dy, TAU, want_tau, &mut b.dlogits);
}

/// Runs the op composed of primitive ops on a tape, on the fastest tier only. The backward pass starts from
/// <y, dy>, which adds a product and a sum.
fn composed(b: &mut Buffers, pass: Pass, op: for<'t> fn(Var<'t>) -> Var<'t>) {
    let shape = [b.rows, b.classes];
    let x = b.tape.variable(&b.logits, shape);
    let y = op(x);
    if pass == Pass::Forward {
        b.y.copy_from_slice(&y.value());
    } else {
        let gradients = (y * b.tape.input(&b.dy, shape)).sum().backward();
        b.dlogits.copy_from_slice(gradients.of(x).expect("a variable"));
    }
    b.tape.reset();
}

fn composed_gumbel_softmax(x: Var<'_>) -> Var<'_> {
    let noise = x.tape().input_with(x.shape(), |out| draw::fill_gumbel(Tier::best(), stream(3), out));
    let scores = (x + noise) / TAU;
    let rows = scores.shape().dims()[0];
    (scores - scores.logsumexp().reshape([rows, 1])).exp()
}

fn composed_binary_concrete(x: Var<'_>) -> Var<'_> {
    let noise = x.tape().input_with(x.shape(), |out| draw::fill_logistic(Tier::best(), stream(3), out));
    ((x + noise) / TAU).sigmoid()
}
