//! Gradient estimators at variables that are certain or nearly certain.

use reparam::estimators::{Estimate, Vimco, entries, parse};
use reparam::{Noise, Tape, Variables};

use super::{ENDLESS, Expected, INF, LARGEST, Limits, MAX};

/// Logits of one categorical variable, and the class that is certain.
const CLASSES: [([f32; 3], usize); 6] = [
    ([INF, 0.0, -1.0], 0),
    ([0.0, INF, -INF], 1),
    ([MAX, -MAX, 0.0], 0),
    ([-3e38, -INF, 3e38], 2),
    ([1e4, -1e4, 0.0], 0),
    ([-INF, 0.5, -INF], 1),
];

pub(super) fn rows(limits: &mut Limits) {
    for entry in entries() {
        // The relaxed bound has no usual parameters, so we give some.
        let names = if entry.usual.is_empty() { &["concrete:0.67:0.5:2"] } else { entry.usual };
        for name in names {
            for logit in [INF, -INF, MAX, -MAX, 1e4, -1e4] {
                bits(limits, entry.form, name, logit);
            }
            for (logits, class) in CLASSES {
                categories(limits, entry.form, name, logits, class);
            }
            ties(limits, entry.form, name);
        }
    }
    bounds(limits);
}

/// Returns the values and gradients of a few calls, each of which may learn from earlier ones. `None` if the
/// estimator does not support the variables.
fn calls(name: &str, variables: Variables, logits: &[f32]) -> Option<Vec<(f32, Vec<f32>)>> {
    let (mut estimator, mut noise) = (parse(name).unwrap(), Noise::seed(1));
    estimator.check(variables).ok()?;
    let mut call = || {
        let tape = Tape::new();
        let x = tape.variable(logits, [1, logits.len()]);
        // The loss depends on the first bit or class most, and on the others a little.
        let loss = estimator.estimate(variables.logits(x), &mut noise, |z, _| {
            let rows = z.shape().dims()[0];
            let z = z.reshape([rows, logits.len()]);
            (z.slice(1, 0..1).reshape([rows]) - 0.3).square() + z.square().sum_axis(1) * 0.5
        });
        let gradient = loss.sum().backward().of(x).map_or(vec![0.0; logits.len()], <[f32]>::to_vec);
        // No intermediate number may be NaN either.
        let value = if tape.to_table(None).contains("NaN") { f32::NAN } else { loss.item() };
        (value, gradient)
    };
    Some((0..3).map(|_| call()).collect())
}

/// Compares the loss at a certain bit, whose gradient is 0, and at a certain bit next to a free one.
fn bits(limits: &mut Limits, form: &str, name: &str, logit: f32) {
    let bit = f64::from(logit > 0.0);
    let expected = (bit - 0.3).powi(2) + 0.5 * bit;
    // `st-identity` differentiates a sample as its logit, so a finite logit has the slope of the loss.
    let slope = if name == "st-identity" && logit.is_finite() { 2.0 * (bit - 0.3) + bit } else { 0.0 };
    limits.absolute = [1e-6; 2];
    for (value, gradient) in calls(name, Variables::Bits(1), &[logit]).into_iter().flatten() {
        let place = format!("{name} at a bit of {logit}");
        limits.compare(form, &place, &[value], &[expected], 1e-6);
        limits.compare(form, &format!("{place}, gradient"), &gradient, &[slope], 1e-6);
    }
    for (value, gradient) in calls(name, Variables::Bits(2), &[0.4, logit]).into_iter().flatten() {
        let finite = value.is_finite() && gradient.iter().all(|g| g.is_finite());
        let place = format!("{name} at bits of 0.4 and {logit}: {value} {gradient:?}");
        limits.compare(form, &place, &[f32::from(finite)], &[1.0], 0.0);
        // The gradient of `arm` is noise with mean 0.
        if logit.is_infinite() && name != "arm" {
            limits.compare(form, &place, &gradient[1..], &[0.0], 1e-6);
        }
    }
    limits.absolute = [0.0; 2];
}

fn categories(limits: &mut Limits, form: &str, name: &str, logits: [f32; 3], class: usize) {
    let first = f64::from(class == 0);
    let expected = (first - 0.3).powi(2) + 0.5;
    let variables = Variables::Categories { count: 1, classes: 3 };
    for (value, gradient) in calls(name, variables, &logits).into_iter().flatten() {
        let place = format!("{name} at classes of {logits:?}");
        limits.compare(form, &place, &[value], &[expected], 1e-6);
        if name == "st-identity" {
            let finite =
                gradient.iter().zip(logits).all(|(&g, x)| g.is_finite() && (x.is_finite() || g == 0.0));
            limits.compare(form, &place, &[f32::from(finite)], &[1.0], 0.0);
        } else {
            limits.compare(form, &format!("{place}, gradient"), &gradient, &[0.0; 3], 1e-6);
        }
    }
}

/// Checks two infinite logits, which share the probability.
fn ties(limits: &mut Limits, form: &str, name: &str) {
    let variables = Variables::Categories { count: 1, classes: 3 };
    for (value, gradient) in calls(name, variables, &[INF, INF, 0.0]).into_iter().flatten() {
        let finite = value.is_finite() && gradient.iter().all(|g| g.is_finite());
        let place = format!("{name} at two infinite logits: {value} {gradient:?}");
        limits.compare(form, &place, &[f32::from(finite)], &[1.0], 0.0);
    }
}

/// Compares the bound -ln(1/K sum_k w_k), its gradient with respect to the log-weights, and the learning
/// signals, which are the gradient with respect to the log-probabilities.
fn bounds(limits: &mut Limits) {
    let (ln_2, ln_3) = (std::f64::consts::LN_2, 3f64.ln());
    type Row = ([f32; 3], f64, [f64; 3], [f64; 3]);
    let rows: [Row; 5] = [
        ([INF, 0.0, 0.0], -ENDLESS, [-1.0, 0.0, 0.0], [0.0; 3]),
        ([-INF, -INF, -INF], ENDLESS, [0.0; 3], [0.0; 3]),
        // The mean of the others leaves out weights of 0. If no other weight is left, the baseline has
        // weight 1.
        ([-INF, 0.0, 0.0], ln_3 - ln_2, [0.0, -0.5, -0.5], [ln_3 - ln_2, 0.0, 0.0]),
        ([-INF, -INF, 1.0], ln_3 - 1.0, [0.0, 0.0, -1.0], [ln_2, ln_2, -1.0]),
        ([MAX, MAX, -MAX], ln_3 - LARGEST, [-0.5, -0.5, 0.0], [-ln_2, -ln_2, 1.5f64.ln()]),
    ];
    for (log_weights, bound, dlog_weights, signals) in rows {
        let inputs = [(&log_weights[..], &[1, 3][..]), (&[-0.5; 3][..], &[1, 3][..])];
        limits.absolute = [1e-6, 1e-6];
        let gradients = [&dlog_weights[..], &signals[..]];
        let expected = Expected { value: &[bound], gradients: &gradients };
        limits.row("vimco:K", &inputs, |_, x| Vimco::bound(x[0], x[1]), &[1.0], expected);
        limits.absolute = [0.0; 2];
    }
}
