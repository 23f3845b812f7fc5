//! Rows of classes: softmax and related ops, divergences, samples and densities.

use reparam::Var;
use reparam_ops::draw;

use super::{ENDLESS, Expected, INF, LARGEST, Limits, MAX, underflowed, weighted, wide};

/// Rows of logits: infinite and at the ends of f32, masked, certain, and nearly certain on either side.
const ROWS: [[f32; 3]; 17] = [
    [INF, 0.0, 0.0],
    [INF, INF, 0.0],
    [0.0, INF, -INF],
    [MAX, INF, -MAX],
    [MAX, -MAX, MAX],
    [3e38, -3e38, 3e38],
    [MAX, 0.0, -INF],
    [-MAX, -MAX, -MAX],
    [-MAX, -INF, 1.0],
    [-INF, -INF, 5.0],
    [0.0, -16.0, -20.0],
    [-18.0, 0.0, -18.0],
    [-200.0, 0.5, -1.0],
    [0.0, -1e4, 200.0],
    [0.0, -INF, 0.0],
    [0.0, 0.0, 1.0],
    [1.0, 1.0, 1.0],
];

const DY: [f32; 3] = [-1.125, 0.625, -0.375];

/// Returns the scores relative to the largest. A score of +inf masks the finite ones, and a finite score is
/// at most the largest number of f32 below the largest.
fn settled(scores: &[f64]) -> Vec<f64> {
    let max = scores.iter().copied().fold(-ENDLESS, f64::max);
    let below = |x: f64| match x {
        x if x == max => 0.0,
        x if max == ENDLESS || x == -ENDLESS => -ENDLESS,
        x => (x - max).max(-LARGEST),
    };
    scores.iter().map(|&x| below(x)).collect()
}

fn log_softmax(scores: &[f64]) -> Vec<f64> {
    let scores = settled(scores);
    let log_sum = scores.iter().map(|x| x.exp()).sum::<f64>().ln();
    scores.iter().map(|x| (x - log_sum).max(if *x == -ENDLESS { *x } else { -LARGEST })).collect()
}

fn exps(logs: &[f64]) -> Vec<f64> {
    logs.iter().map(|x| x.exp()).collect()
}

/// Returns y (dy - <y, dy>), as a sum in which nothing cancels.
fn jacobian(y: &[f64], dy: &[f32]) -> Vec<f64> {
    let of = |i: usize| y.iter().zip(dy).map(|(y, &dyj)| y * f64::from(dy[i] - dyj)).sum::<f64>();
    (0..y.len()).map(|i| y[i] * of(i)).collect()
}

/// Returns dy - p sum(dy) over the classes that are not masked, with 1 - p as the sum of the other p.
fn log_jacobian(log_p: &[f64], dy: &[f32]) -> Vec<f64> {
    let p = exps(log_p);
    let counts: Vec<usize> = (0..p.len()).filter(|&i| log_p[i] > -ENDLESS).collect();
    let of = |i: usize| {
        let others = counts.iter().filter(|&&j| j != i);
        let pull = |(sum, rest): (f64, f64), &j: &usize| (sum + f64::from(dy[j]), rest + p[j]);
        let (sum, rest) = others.fold((0.0, 0.0), pull);
        f64::from(dy[i]) * rest - p[i] * sum
    };
    (0..p.len()).map(|i| if counts.contains(&i) { of(i) } else { 0.0 }).collect()
}

/// Returns a row, and longer rows with the same limits. Other numbers of classes take other paths through the
/// kernels.
fn lengths(row: [f32; 3]) -> [Vec<f32>; 3] {
    [3, 20, 700].map(|classes| {
        let mut long = row.to_vec();
        long.resize(classes, -30.0);
        long
    })
}

fn dy_of(classes: usize) -> Vec<f32> {
    let mut dy = DY.to_vec();
    dy.resize(classes, 0.25);
    dy
}

pub(super) fn rows(limits: &mut Limits) {
    for row in ROWS.into_iter().flat_map(lengths) {
        normalized(limits, &row);
        losses(limits, &row);
        hard_samples(limits, &row);
        relaxed_samples(limits, &row);
    }
    for (p, q) in ROWS.into_iter().flat_map(|p| ROWS.map(|q| (p, q))) {
        divergence(limits, &p, &q);
    }
    densities(limits);
    limits.absolute = [0.0; 2];
    ready_made_gradients(limits);
}

fn normalized(limits: &mut Limits, row: &[f32]) {
    let (classes, dy, scores) = (row.len(), dy_of(row.len()), wide(row));
    let input = [(row, &[1, classes][..])];
    let log_p = log_softmax(&scores);
    let p = exps(&log_p);
    // The gradient of a nearly certain class has a small relative error. In long rows the other classes add
    // their errors.
    limits.absolute = [1e-7, if classes == 3 { 0.0 } else { 1e-7 }];
    let gradients = [&jacobian(&p, &dy)[..]];
    limits.row("softmax", &input, |_, x| x[0].softmax(), &dy, Expected { value: &p, gradients: &gradients });
    let one_hot: Vec<f32> = p.iter().map(|&p| f32::from(p > 0.9)).collect();
    for dy in [&dy, &one_hot] {
        let gradients = [&log_jacobian(&log_p, dy)[..]];
        let expected = Expected { value: &log_p, gradients: &gradients };
        limits.row("log_softmax", &input, |_, x| x[0].log_softmax(), dy, expected);
    }
    let max = scores.iter().copied().fold(-ENDLESS, f64::max);
    let log_sum = settled(&scores).iter().map(|x| x.exp()).sum::<f64>().ln();
    let share: Vec<f64> = p.iter().map(|p| 0.5 * p).collect();
    let expected = Expected { value: &[max + log_sum], gradients: &[&share] };
    limits.row("logsumexp", &input, |_, x| x[0].logsumexp(), &[0.5], expected);
}

fn losses(limits: &mut Limits, row: &[f32]) {
    let classes = row.len();
    let input = [(row, &[1, classes][..])];
    let log_p = log_softmax(&wide(row));
    let p = exps(&log_p);
    limits.absolute = [1e-7, if classes == 3 { 0.0 } else { 1e-7 }];
    for target in 0..3 {
        // A masked target has no gradient. For others, 1 - p is the sum of the other p.
        let rest: f64 = (0..classes).filter(|&i| i != target).map(|i| p[i]).sum();
        let mut gradient: Vec<f64> = p.iter().map(|p| 0.5 * p).collect();
        gradient[target] = if log_p[target] > -ENDLESS { -0.5 * rest } else { 0.0 };
        let expected = Expected { value: &[-log_p[target]], gradients: &[&gradient] };
        limits.row("cross_entropy", &input, |_, x| x[0].cross_entropy(&[target as u32]), &[0.5], expected);
    }
    let mean: f64 = p.iter().zip(&log_p).map(|(&p, &log_p)| weighted(p, log_p)).sum();
    let gradient: Vec<f64> =
        p.iter().zip(&log_p).map(|(&p, &log_p)| 0.5 * weighted(p, log_p - mean)).collect();
    limits.absolute = [1e-6, if classes == 3 { 1e-7 } else { 1e-6 }];
    let expected = Expected { value: &[mean + (classes as f64).ln()], gradients: &[&gradient] };
    limits.row("categorical_kl_uniform", &input, |_, x| x[0].categorical_kl_uniform(), &[0.5], expected);
}

fn noise(classes: usize) -> (Vec<u32>, Vec<f64>) {
    let draws: Vec<u32> = (0..classes as u32).map(|i| 0x9e37_79b9u32.wrapping_mul(i + 5)).collect();
    let noise = draws.iter().map(|&draw| f64::from(draw::gumbel(draw))).collect();
    (draws, noise)
}

/// Returns logits plus noise, rounded to f32. Logits beyond 1e8 lose their noise, except in rows whose
/// largest logit is near the end of f32, which are settled first.
fn with_noise(row: &[f32], noise: &[f64]) -> Vec<f64> {
    let is_moderate = row.iter().all(|&x| x < 1e30);
    let scores = if is_moderate { wide(row) } else { settled(&wide(row)) };
    scores.iter().zip(noise).map(|(x, g)| f64::from((x + g) as f32)).collect()
}

/// Returns the class of the largest score, the first if there are several.
fn winner(scores: &[f64]) -> usize {
    (0..scores.len()).rev().max_by(|&a, &b| scores[a].total_cmp(&scores[b])).expect("a class")
}

const TAU: f64 = 0.5;

/// log_softmax(scores / tau)
fn tempered(scores: &[f64]) -> Vec<f64> {
    let scaled = settled(scores).into_iter().map(|x| if x == -ENDLESS { x } else { (x / TAU).max(-LARGEST) });
    log_softmax(&scaled.collect::<Vec<f64>>())
}

/// Returns the gradients of softmax(scores / tau) with respect to the logits and the temperature.
fn tempered_gradients(log_y: &[f64], dy: &[f32]) -> (Vec<f64>, f64) {
    let h = jacobian(&exps(log_y), dy);
    let dtau = -h.iter().zip(log_y).map(|(&h, &log_y)| weighted(h, log_y)).sum::<f64>() / TAU;
    (h.iter().map(|h| h / TAU).collect(), dtau)
}

fn hard_samples(limits: &mut Limits, row: &[f32]) {
    let (classes, dy, scores) = (row.len(), dy_of(row.len()), wide(row));
    let (draws, noise) = noise(classes);
    let noisy = with_noise(row, &noise);
    let hard = |winner: usize| (0..classes).map(|i| f64::from(i == winner)).collect::<Vec<f64>>();
    let (argmax, sample) = (hard(winner(&scores)), hard(winner(&noisy)));
    let inputs = [(row, &[1, classes][..]), (&[TAU as f32][..], &[][..])];
    limits.absolute = [0.0, if classes == 3 { 5e-7 } else { 1e-6 }];
    let (dlogits, dtau) = tempered_gradients(&tempered(&scores), &dy);
    let gradients = [&dlogits[..], &[dtau][..]];
    let expected = |value| Expected { value, gradients: &gradients };
    limits.row("st_argmax", &inputs, |_, x| x[0].st_argmax(x[1]), &dy, expected(&argmax));
    limits.row(
        "st_categorical",
        &inputs,
        |_, x| x[0].st_categorical(x[1], &mut &draws[..]),
        &dy,
        expected(&sample),
    );
    let (dlogits, dtau) = tempered_gradients(&tempered(&noisy), &dy);
    let gradients = [&dlogits[..], &[dtau][..]];
    let expected = Expected { value: &sample, gradients: &gradients };
    limits.row(
        "st_gumbel_softmax",
        &inputs,
        |_, x| x[0].st_gumbel_softmax(x[1], &mut &draws[..]),
        &dy,
        expected,
    );
    let expected = Expected { value: &sample, gradients: &[] };
    limits.row("categorical", &inputs[..1], |_, x| x[0].categorical(&mut &draws[..]), &dy, expected);
    let found = reparam::Tape::inference().input(row, [1, classes]).gumbel_max(&mut &draws[..])[0];
    limits.compare(
        "gumbel_max",
        &format!("gumbel_max at {row:?}"),
        &[found as f32],
        &[winner(&noisy) as f64],
        0.0,
    );

    // If a class is certain, every sample has gradient 0.
    let p = exps(&log_softmax(&scores));
    let zeros = vec![0.0; classes];
    let gradients = [&zeros[..]];
    let certain = p.iter().any(|&p| p > 1.0 - 1e-30);
    let expected = Expected { value: &sample, gradients: if certain { &gradients } else { &[] } };
    let twice = [&draws[..], &draws].concat();
    limits.row("gumbel_rao", &inputs[..1], |_, x| gumbel_rao(x[0], &twice), &dy, expected);
}

/// Returns a hard sample from the first draws. Its gradient uses the second draws.
fn gumbel_rao<'t>(x: Var<'t>, draws: &[u32]) -> Var<'t> {
    x.gumbel_rao(1, TAU as f32, &mut &draws[..])
}

fn relaxed_samples(limits: &mut Limits, row: &[f32]) {
    let (classes, dy) = (row.len(), dy_of(row.len()));
    let (draws, noise) = noise(classes);
    let noisy = with_noise(row, &noise);
    let log_y = tempered(&noisy);
    let inputs = [(row, &[1, classes][..]), (&[TAU as f32][..], &[][..])];
    // The absolute errors allow for the rounding of the scores.
    limits.absolute = [5e-7, if classes == 3 { 5e-7 } else { 1e-6 }];
    let (dlogits, dtau) = tempered_gradients(&log_y, &dy);
    let (y, gradients) = (exps(&log_y), [&dlogits[..], &[dtau][..]]);
    let expected = Expected { value: &y, gradients: &gradients };
    limits.row("gumbel_softmax", &inputs, |_, x| x[0].gumbel_softmax(x[1], &mut &draws[..]), &dy, expected);

    let h = log_jacobian(&log_y, &dy);
    let dtau = -h.iter().zip(&log_y).map(|(&h, &log_y)| weighted(h, log_y)).sum::<f64>() / TAU;
    let dlogits: Vec<f64> = h.iter().map(|h| h / TAU).collect();
    limits.absolute = [1e-5, if classes == 3 { 1e-5 } else { 2e-2 }];
    let gradients = [&dlogits[..], &[dtau][..]];
    let expected = Expected { value: &log_y, gradients: &gradients };
    limits.row("exp_concrete", &inputs, |_, x| x[0].exp_concrete(x[1], &mut &draws[..]), &dy, expected);
}

fn divergence(limits: &mut Limits, p_row: &[f32; 3], q_row: &[f32; 3]) {
    let (log_p, log_q) = (log_softmax(&wide(p_row)), log_softmax(&wide(q_row)));
    let (p, q) = (exps(&log_p), exps(&log_q));
    // The ratio is ln p - ln q. A class that p masks does not count.
    let ratio = |i: usize| if log_p[i] == -ENDLESS { 0.0 } else { log_p[i] - log_q[i] };
    let excluded = (0..3).any(|i| ratio(i) == ENDLESS);
    let kl = if excluded { ENDLESS } else { (0..3).map(|i| p[i] * ratio(i)).sum() };
    // A probability that underflows counts as 0.
    let of_p = |i: usize| match ratio(i) {
        ENDLESS => weighted(underflowed(p[i]), ENDLESS),
        ratio => weighted(underflowed(p[i]), ratio - kl.min(LARGEST)),
    };
    let (dp, dq) = ([0, 1, 2].map(of_p), [0, 1, 2].map(|i| q[i] - p[i]));
    let inputs = [(&p_row[..], &[1, 3][..]), (&q_row[..], &[1, 3][..])];
    limits.absolute = [1e-6, 1e-6 * (1.0 + kl.min(LARGEST))];
    let expected = Expected { value: &[kl], gradients: &[&dp, &dq] };
    limits.row("categorical_kl", &inputs, |_, x| x[0].categorical_kl(x[1]), &[1.0], expected);
}

/// Log-densities. Certain rows have 0 at their own samples, and points outside the support have -inf. Neither
/// has gradients.
fn densities(limits: &mut Limits) {
    for (log_y, logits, log_prob) in [
        ([0.0, -INF, -INF], [INF, 0.0, 5.0], 0.0),
        ([0.0, -INF, -INF], [0.0, -INF, -INF], 0.0),
        ([0.0, -MAX, -INF], [INF, 0.0, 5.0], -ENDLESS),
        ([-0.5, -1.0, -INF], [1.0, 2.0, 3.0], -ENDLESS),
        ([-0.5, -1.0, -2.0], [INF, 2.0, 3.0], -ENDLESS),
        ([-MAX, 0.0, 0.0], [0.0, 0.0, 0.0], -ENDLESS),
    ] {
        let inputs = [(&log_y[..], &[1, 3][..]), (&logits[..], &[1, 3][..]), (&[2.0f32][..], &[][..])];
        let zeros: [&[f64]; 3] = [&[0.0; 3], &[0.0; 3], &[0.0]];
        let expected = Expected { value: &[log_prob], gradients: &zeros };
        limits.row(
            "exp_concrete_log_prob",
            &inputs,
            |_, x| x[0].exp_concrete_log_prob(x[1], x[2]),
            &[1.0],
            expected,
        );
    }
}

/// An estimate replaces the gradient of the loss, whatever the loss is.
fn ready_made_gradients(limits: &mut Limits) {
    for loss in [INF, -INF, MAX] {
        let inputs = [(&[loss][..], &[1][..]), (&[INF, 0.0, -MAX][..], &[1, 3][..])];
        let expected = Expected { value: &[f64::from(loss)], gradients: &[&[1.0], &[0.5, -0.5, 0.0]] };
        limits.row(
            "with_logits_gradient",
            &inputs,
            |tape, x| x[0].with_logits_gradient(x[1], tape.input(&[0.5, -0.5, 0.0], [1, 3])),
            &[1.0],
            expected,
        );
    }
}
