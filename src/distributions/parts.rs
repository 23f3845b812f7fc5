//! Parts that several distributions need: checks, sums over classes in which 0 times -inf is 0, noise as a
//! leaf.

use reparam_ops::Tier;
use reparam_ops::noise::Draws;

use crate::noise::{NoiseSource, draws_for};
use crate::var::{Temperature, Var, tier};

/// Panics unless the last axis holds classes.
#[track_caller]
pub(super) fn check_classes(op: &str, logits: Var<'_>) {
    let shape = logits.shape();
    assert!(
        shape.rank() > 0 && shape.classes() > 0,
        "{op}: the logits' shape {shape} leaves no classes; the last axis must have some"
    );
}

/// Panics in debug builds if an element of a parameter is NaN. Without this check, only samples and densities
/// would show it.
#[track_caller]
pub(super) fn check_numbers(op: &str, name: &str, parameter: Var<'_>) {
    if !cfg!(debug_assertions) {
        return;
    }
    if let Some(i) = parameter.value().iter().position(|number| number.is_nan()) {
        panic!("{op}: element {i} of {name} is NaN; tape.check_finite() names the op that it came from");
    }
}

/// The range of sums of rows on the simplex: 1 up to rounding.
const SUM: std::ops::RangeInclusive<f64> = 0.999..=1.001;

/// Returns true if the support of a value is checked. Debug builds check constants, such as data and samples.
/// A value with a gradient may leave its support, because a difference quotient moves it. A NaN passes the
/// check, because the mistake was made earlier.
fn is_checked(value: Var<'_>) -> bool {
    cfg!(debug_assertions) && !value.is_tracked()
}

/// Panics in debug builds if an element of a constant is not from 0 to 1.
#[track_caller]
pub(super) fn check_bits(op: &str, name: &str, value: Var<'_>) {
    if !is_checked(value) {
        return;
    }
    let values = value.value();
    if let Some(i) = values.iter().position(|z| !(0.0..=1.0).contains(z) && !z.is_nan()) {
        panic!(
            "{op}: element {i} of {name} is {}; it must be 0 or 1, or between them if it is soft",
            values[i]
        );
    }
}

/// Panics in debug builds unless a constant consists of rows of numbers from 0 to 1 that sum to 1.
#[track_caller]
pub(super) fn check_simplex(op: &str, name: &str, value: Var<'_>) {
    if !is_checked(value) {
        return;
    }
    check_bits(op, name, value);
    for (row, values) in value.value().chunks(value.shape().classes().max(1)).enumerate() {
        let sum: f64 = values.iter().map(|&z| f64::from(z)).sum();
        if !(SUM.contains(&sum) || sum.is_nan()) {
            panic!("{op}: row {row} of {name} sums to {sum}; it must be one-hot, or sum to 1 if it is soft");
        }
    }
}

/// Panics in debug builds unless a constant consists of rows of logarithms whose exponentials sum to 1.
#[track_caller]
pub(super) fn check_log_simplex(op: &str, name: &str, value: Var<'_>) {
    if !is_checked(value) {
        return;
    }
    for (row, values) in value.value().chunks(value.shape().classes().max(1)).enumerate() {
        let sum: f64 = values.iter().map(|&log| f64::from(log).exp()).sum();
        if !(SUM.contains(&sum) || sum.is_nan()) {
            panic!(
                "{op}: the exponentials of row {row} of {name} sum to {sum} and must sum to 1; use .log_softmax()"
            );
        }
    }
}

/// The temperature without its gradient.
pub(super) fn constant(tau: Temperature<'_>) -> Temperature<'_> {
    match tau {
        Temperature::Fixed(_) => tau,
        Temperature::Variable(tau) => Temperature::Variable(tau.stop_gradient()),
    }
}

/// x / tau, in the shape of x. Infinite logits stay, and contribute nothing to tau's gradient.
#[track_caller]
pub(crate) fn divided<'t>(x: Var<'t>, tau: Temperature<'t>) -> Var<'t> {
    let tau = match tau {
        Temperature::Fixed(tau) => return x / tau,
        Temperature::Variable(tau) => tau.reshape([]),
    };
    if !x.value().iter().any(|x| x.is_infinite()) {
        return x / tau;
    }
    let infinities: Vec<f32> = x.value().iter().map(|&x| if x.is_infinite() { x } else { 0.0 }).collect();
    x.masked_where(0.0, f32::is_infinite) / tau + x.tape().input(&infinities, x.shape())
}

/// x / e^log_scale, with two factors, because a single one leaves the range of f32 at a log-scale of 88. A
/// distance of 0 is 0 in any unit, even in one that rounds to 0.
#[track_caller]
pub(super) fn in_units<'t>(x: Var<'t>, log_scale: Var<'t>) -> Var<'t> {
    let root = (log_scale * -0.5).exp();
    let indifferent = || {
        let (x, root) = (x.value(), root.value());
        (0..x.len()).filter(move |&i| root[i] == f32::INFINITY && x[i] == 0.0)
    };
    let root = root.masked_at(0.0, indifferent);
    x * root * root
}

/// value - log_scale, the last step of a log-density. Where the scale is 0 and the value is -inf, the density
/// is 0, so the result is -inf.
#[track_caller]
pub(super) fn less_log_scale<'t>(value: Var<'t>, log_scale: Var<'t>) -> Var<'t> {
    let decided = || {
        let (value, log_scale) = (value.value(), log_scale.value());
        (0..value.len()).filter(move |&i| value[i] == f32::NEG_INFINITY && log_scale[i] == f32::NEG_INFINITY)
    };
    value - log_scale.masked_at(0.0, decided)
}

/// x, with 0 in place of inf. It serves sums in which another term is infinite there.
#[track_caller]
pub(super) fn unless_infinite(x: Var<'_>) -> Var<'_> {
    x.masked_where(0.0, |x| x == f32::INFINITY)
}

/// Numbers without a gradient, from one draw each, in the shape of `like`.
#[track_caller]
pub(super) fn noise_like<'t>(
    op: &str,
    like: Var<'t>,
    noise: &mut (impl NoiseSource + ?Sized),
    fill: impl FnOnce(Tier, Draws<'_>, &mut [f32]),
) -> Var<'t> {
    let shape = like.shape();
    let draws = draws_for(op, noise, shape.len());
    like.tape().input_with(shape, |out| fill(tier(), draws, out))
}

/// The sum over the last axis, which disappears.
#[track_caller]
pub(super) fn sum_classes(x: Var<'_>) -> Var<'_> {
    x.sum_axis(x.shape().rank() - 1)
}

/// sum_k w_k l_k over the last axis, where a logarithm of -inf with weight 0 counts 0, in the gradient as
/// well. The same holds for a logarithm at the lower end of f32, which stands for a probability that is
/// nearly 0.
#[track_caller]
pub(super) fn weighted_sum<'t>(weights: Var<'t>, logs: Var<'t>) -> Var<'t> {
    let masked = || {
        let (w, l) = (weights.value(), logs.value());
        (0..l.len()).filter(move |&i| l[i] <= -f32::MAX && w[i] == 0.0)
    };
    sum_classes(weights * logs.masked_at(0.0, masked))
}
