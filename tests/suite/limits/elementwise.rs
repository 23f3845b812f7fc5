//! Functions of single numbers, and arithmetic.

use reparam::Var;

use super::{ENDLESS, Expected, INF, LARGEST, Limits, MAX, POINTS, sigmoid, sigmoid_slope, softplus};

/// A function of a number that is at least `least`.
struct Unary {
    op: &'static str,
    f: for<'t> fn(Var<'t>) -> Var<'t>,
    least: f32,
    value: fn(f64) -> f64,
    slope: fn(f64) -> f64,
}

const fn unary(
    op: &'static str,
    f: for<'t> fn(Var<'t>) -> Var<'t>,
    value: fn(f64) -> f64,
    slope: fn(f64) -> f64,
) -> Unary {
    Unary { op, f, least: -INF, value, slope }
}

/// The smallest normal number of f32.
const SMALLEST: f64 = f32::MIN_POSITIVE as f64;

const UNARY: [Unary; 14] = [
    // The slopes of these five are finite where the limit is not.
    unary("exp", |x| x.exp(), f64::exp, |x| x.exp().min(LARGEST)),
    Unary { least: 0.0, ..unary("ln", |x| x.ln(), f64::ln, |x| (1.0 / x).min(LARGEST)) },
    Unary { least: -1.0, ..unary("log1p", |x| x.log1p(), f64::ln_1p, |x| (1.0 + x).max(SMALLEST).recip()) },
    Unary { least: 0.0, ..unary("sqrt", |x| x.sqrt(), f64::sqrt, |x| 0.5 / x.sqrt().max(SMALLEST)) },
    unary("square", |x| x.square(), |x| x * x, |x| (2.0 * x).clamp(-LARGEST, LARGEST)),
    unary("abs", |x| x.abs(), f64::abs, |x| if x == 0.0 { 0.0 } else { x.signum() }),
    unary("sigmoid", |x| x.sigmoid(), sigmoid, sigmoid_slope),
    unary("softplus", |x| x.softplus(), softplus, sigmoid),
    unary("tanh", |x| x.tanh(), f64::tanh, |x| 4.0 * sigmoid_slope(2.0 * x)),
    unary("relu", |x| x.relu(), |x| x.max(0.0), |x| f64::from(x > 0.0)),
    unary("leaky_relu", |x| x.leaky_relu(0.1), |x| x.max(0.1 * x), |x| if x > 0.0 { 1.0 } else { 0.1 }),
    // With slope 0, leaky_relu is relu.
    unary("leaky_relu", |x| x.leaky_relu(0.0), |x| x.max(0.0), |x| f64::from(x > 0.0)),
    unary("affine", |x| x.affine(2.0, 1.0), |x| 2.0 * x + 1.0, |_| 2.0),
    unary("affine", |x| x / 2e38, |x| x / 2e38, |_| 1.0 / 2e38),
];

pub(super) fn rows(limits: &mut Limits) {
    for &Unary { op, f, least, value, slope } in &UNARY {
        for x in POINTS.into_iter().chain([INF]).filter(|&x| x >= least) {
            let (value, slope) = (value(f64::from(x)), slope(f64::from(x)));
            let expected = Expected { value: &[value], gradients: &[&[slope]] };
            limits.row(op, &[(&[x], &[1])], |_, x| f(x[0]), &[1.0], expected);
            // With a dy of 0 the gradient is 0, however large the slope.
            let expected = Expected { value: &[value], gradients: &[&[0.0]] };
            limits.row(op, &[(&[x], &[1])], |_, x| f(x[0]), &[0.0], expected);
        }
    }
    arithmetic(limits);
}

/// Arithmetic follows IEEE 754, in the gradients too. Where a sum or a product has no limit, it is NaN.
fn arithmetic(limits: &mut Limits) {
    type Case = (f32, f32, f64, f64, f64);
    let mut table = |op: &str, f: for<'t> fn(Var<'t>, Var<'t>) -> Var<'t>, cases: &[Case]| {
        for &(a, b, value, da, db) in cases {
            let expected = Expected { value: &[value], gradients: &[&[da], &[db]] };
            limits.row(op, &[(&[a], &[1]), (&[b], &[1])], |_, x| f(x[0], x[1]), &[1.0], expected);
        }
    };
    let largest = LARGEST;
    table(
        "add",
        |a, b| a + b,
        &[(INF, 1.0, ENDLESS, 1.0, 1.0), (MAX, MAX, 2.0 * largest, 1.0, 1.0), (MAX, -MAX, 0.0, 1.0, 1.0)],
    );
    table(
        "sub",
        |a, b| a - b,
        &[
            (-INF, 1.0, -ENDLESS, 1.0, -1.0),
            (MAX, -MAX, 2.0 * largest, 1.0, -1.0),
            (MAX, MAX, 0.0, 1.0, -1.0),
        ],
    );
    table(
        "mul",
        |a, b| a * b,
        &[
            (INF, -2.0, -ENDLESS, -2.0, ENDLESS),
            (MAX, 0.0, 0.0, 0.0, largest),
            (MAX, MAX, largest * largest, largest, largest),
            (0.0, 1.0, 0.0, 1.0, 0.0),
        ],
    );
    table(
        "div",
        |a, b| a / b,
        &[
            (1.0, INF, 0.0, 0.0, 0.0),
            (MAX, INF, 0.0, 0.0, 0.0),
            (1.0, 0.0, ENDLESS, ENDLESS, -ENDLESS),
            (INF, 2.0, ENDLESS, 0.5, -ENDLESS),
            (MAX, MAX, 1.0, 1.0 / largest, -1.0 / largest),
            (0.0, 1.0, 0.0, 1.0, 0.0),
        ],
    );
}
