//! Bits: losses, divergences, samples and densities.

use reparam_ops::draw;

use super::{
    ENDLESS, Expected, INF, LARGEST, Limits, MAX, POINTS, sigmoid, sigmoid_slope, softplus, underflowed,
    weighted,
};

/// The middle draw. Its noise is 2^-31, so a score is nearly its logit.
const MIDDLE: u32 = 1 << 31;

pub(super) fn rows(limits: &mut Limits) {
    for x in POINTS.into_iter().chain([INF]) {
        [0.0, 0.1, 0.5, 0.9, 1.0].into_iter().for_each(|t| loss(limits, x, t));
        [-INF, -MAX, -18.0, 0.0, 16.0, 1e4, INF].into_iter().for_each(|q| divergence(limits, x, q));
        [0.5f32, 1.0, 4.0].into_iter().for_each(|tau| samples(limits, x, tau));
    }
    densities(limits);
}

fn loss(limits: &mut Limits, x: f32, t: f32) {
    let (logit, target) = (f64::from(x), f64::from(t));
    let weight = if x > 0.0 { 1.0 - target } else { target };
    let value = weighted(weight, logit.abs()) + (-logit.abs()).exp().ln_1p();
    // sigmoid(x) - t, on the side where nothing cancels.
    let slope = if t > 0.5 { (1.0 - target) - sigmoid(-logit) } else { sigmoid(logit) - target };
    let inputs = [(&[x][..], &[1][..]), (&[t][..], &[1][..])];
    // Where the target is close to the probability, two similar numbers cancel.
    limits.absolute = [0.0, if [0.0, 1.0].contains(&t) { 0.0 } else { 1e-7 }];
    let expected = Expected { value: &[value], gradients: &[&[slope], &[-logit]] };
    limits.row("bce_with_logits", &inputs, |_, x| x[0].bce_with_logits(x[1]), &[1.0], expected);
    limits.absolute = [0.0; 2];
}

/// The KL divergence between bits with logits a and b, as the cross-entropy minus the entropy, on the side
/// where p <= 1/2.
fn divergence(limits: &mut Limits, a: f32, b: f32) {
    let (of_p, of_q) = (f64::from(a), f64::from(b));
    let (x, y) = if of_p > 0.0 { (-of_p, -of_q) } else { (of_p, of_q) };
    let (p, q) = (sigmoid(x), sigmoid(y));
    let cross_entropy = weighted(p, softplus(-y)) + weighted(1.0 - p, softplus(y));
    let entropy = weighted(p, -x) + softplus(x);
    let excluded = of_q.is_infinite() && of_p.is_finite();
    let kl = if excluded { ENDLESS } else { cross_entropy - entropy };
    let dp = weighted(underflowed(sigmoid_slope(of_p)), of_p - of_q);
    let dq = if of_p > 0.0 { p - q } else { q - p };
    let inputs = [(&[a][..], &[1][..]), (&[b][..], &[1][..])];
    limits.absolute = [1e-6, 1e-7];
    let expected = Expected { value: &[kl], gradients: &[&[dp], &[dq]] };
    limits.row("bernoulli_kl", &inputs, |_, x| x[0].bernoulli_kl(x[1]), &[1.0], expected);
    limits.absolute = [0.0; 2];
}

/// A sample of each kind, whose score is the logit divided by tau.
fn samples(limits: &mut Limits, x: f32, tau: f32) {
    let (logit, t) = (f64::from(x) + f64::from(draw::logistic(MIDDLE)), f64::from(tau));
    let (s, bit) = (logit / t, f64::from(logit > 0.0));
    let draws = [MIDDLE];
    let inputs = [(&[x][..], &[1][..]), (&[tau][..], &[][..])];
    let slope = sigmoid_slope(s);
    let gradients: [&[f64]; 2] = [&[slope / t], &[-weighted(slope, s) / t]];
    let expected = |value| Expected { value, gradients: &gradients };
    // Where s is small, y keeps only what rounding leaves of s. Where 1 - y is subnormal, dtau is 0.
    limits.absolute = [0.0, if s.abs() < 1.0 { 1e-7 } else { 1e-36 }];
    // A relative error of s grows by a factor of s in the exponential.
    limits.relative = 2e-6 * (1.0 + s.abs().min(100.0));
    let (soft, hard) = ([sigmoid(s)], [bit]);
    limits.row(
        "binary_concrete",
        &inputs,
        |_, x| x[0].binary_concrete(x[1], &mut &draws[..]),
        &[1.0],
        expected(&soft),
    );
    limits.row(
        "st_binary_concrete",
        &inputs,
        |_, x| x[0].st_binary_concrete(x[1], &mut &draws[..]),
        &[1.0],
        expected(&hard),
    );
    limits.relative = 2e-6;
    limits.absolute = [0.0; 2];
    // An infinite sample does not depend on tau.
    let dtau = if s.abs() <= LARGEST { -s / t } else { 0.0 };
    let gradients: [&[f64]; 2] = [&[1.0 / t], &[dtau]];
    limits.row(
        "logit_binary_concrete",
        &inputs,
        |_, x| x[0].logit_binary_concrete(x[1], &mut &draws[..]),
        &[1.0],
        Expected { value: &[s], gradients: &gradients },
    );
    let gradients: [&[f64]; 1] = [&[sigmoid_slope(f64::from(x))]];
    let hard = Expected { value: &[bit], gradients: &[&[0.0]] };
    limits.row("bernoulli", &inputs[..1], |_, x| x[0].bernoulli(&mut &draws[..]), &[1.0], hard);
    let surrogate = Expected { value: &[bit], gradients: &gradients };
    limits.row("st_bernoulli", &inputs[..1], |_, x| x[0].st_bernoulli(&mut &draws[..]), &[1.0], surrogate);
}

/// The log-density ln tau + u - 2 softplus(u) with u = logit - tau y. An entry is certain if its logit is
/// infinite and y is equal to it.
fn densities(limits: &mut Limits) {
    for (y, logit, tau) in [
        (INF, INF, 0.5),
        (-INF, -INF, 2.0),
        (INF, -INF, 0.5),
        (INF, 0.0, 0.5),
        (-INF, 3.0, 1.0),
        (1.0, INF, 0.5),
        (1.0, -INF, 0.5),
        (MAX, MAX, 1.0),
        (MAX, MAX, 2.0),
        (-MAX, MAX, 0.5),
        (3e38, 0.0, 0.5),
        (16.0, -2.0, 1.0),
        (-1e4, 18.0, 0.1),
        (0.0, 0.0, 1.0),
    ] {
        let (a, x, t) = (f64::from(y), f64::from(logit), f64::from(tau));
        let u = x - t * a;
        let certain = y.is_infinite() && y == logit;
        let value = if certain { 0.0 } else { t.ln() - u.abs() - 2.0 * (-u.abs()).exp().ln_1p() };
        let h = if certain { 0.0 } else { -(0.5 * u).tanh() };
        let dtau = if y.is_infinite() { 0.0 } else { 1.0 / t - a * h };
        let inputs = [(&[y][..], &[1][..]), (&[logit][..], &[1][..]), (&[tau][..], &[][..])];
        let gradients: [&[f64]; 3] = [&[-t * h], &[h], &[dtau]];
        let expected = Expected { value: &[value], gradients: &gradients };
        limits.row(
            "logit_binary_concrete_log_prob",
            &inputs,
            |_, x| x[0].logit_binary_concrete_log_prob(x[1], x[2]),
            &[1.0],
            expected,
        );
    }
}
