//! Infinite and saturated input. Every op, distribution and estimator is tested at infinity, at the ends of
//! f32, at exactly 0 and 1, and on both sides where a function has rounded to its limit.
//!
//! A row holds a value and gradients in f64. They are the limit if it exists, else the documented
//! value.

mod bits;
mod classes;
mod distributions;
mod elementwise;
mod estimators;
mod numbers;
mod products;
mod updates;

use std::collections::BTreeSet;

use reparam::estimators::entries;
use reparam::{Tape, Var};

use crate::common::repository::read;

const INF: f32 = f32::INFINITY;
const MAX: f32 = f32::MAX;
const ENDLESS: f64 = f64::INFINITY;
/// The largest number of f32.
const LARGEST: f64 = f32::MAX as f64;

/// Numbers to test functions at: -inf (tests add +inf), both ends of f32, numbers whose double or square
/// overflows, numbers where exponentials overflow or sigmoids round to their limits, and numbers around 0
/// and 1.
const POINTS: [f32; 27] = [
    -INF, -MAX, -1.8e38, -2e19, -1e4, -200.0, -89.0, -18.0, -16.0, -9.5, -2.0, -1.0, -1e-30, 0.0, 1e-30, 0.5,
    1.0, 2.0, 9.5, 16.0, 18.0, 89.0, 200.0, 1e4, 2e19, 1.8e38, MAX,
];

/// Numbers and their shape.
type Input<'a> = (&'a [f32], &'a [usize]);

/// The value and gradients that a row expects.
struct Expected<'a> {
    value: &'a [f64],
    /// The gradients of the sum of dy y, one per input.
    gradients: &'a [&'a [f64]],
}

/// The rows of the table tested so far.
struct Limits {
    covered: BTreeSet<String>,
    failures: Vec<String>,
    rows: usize,
    /// The relative error that a number may have.
    relative: f64,
    /// The absolute errors that a value and a gradient may have.
    absolute: [f64; 2],
}

impl Limits {
    fn new() -> Limits {
        let (covered, failures) = (BTreeSet::new(), Vec::new());
        Limits { covered, failures, rows: 0, relative: 2e-6, absolute: [0.0; 2] }
    }

    /// Compares the value y of an op, and the gradients of the sum of dy y.
    fn row(
        &mut self,
        op: &str,
        inputs: &[Input<'_>],
        f: impl for<'t> Fn(&'t Tape, &[Var<'t>]) -> Var<'t>,
        dy: &[f32],
        expected: Expected<'_>,
    ) {
        let tape = Tape::new();
        let vars: Vec<Var<'_>> = inputs.iter().map(|&(x, shape)| tape.variable(x, shape)).collect();
        let y = f(&tape, &vars);
        let place = format!("{op} at {:?}", inputs.iter().map(|input| input.0).collect::<Vec<_>>());
        self.compare(op, &place, &y.value(), expected.value, self.absolute[0]);
        let loss = (y.reshape([dy.len()]) * tape.input(dy, [dy.len()])).sum();
        let gradients = loss.is_tracked().then(|| loss.backward());
        for (i, (&var, expected)) in vars.iter().zip(expected.gradients).enumerate() {
            let gradient = gradients.as_ref().and_then(|gradients| gradients.of(var));
            // A hard sample passes no gradient on.
            let zeros = vec![0.0; expected.len()];
            let place = format!("{place}, gradient {i}");
            self.compare(op, &place, gradient.unwrap_or(&zeros), expected, self.absolute[1]);
        }
    }

    fn compare(&mut self, name: &str, place: &str, found: &[f32], expected: &[f64], absolute: f64) {
        self.rows += 1;
        self.covered.insert(name.to_owned());
        let agree = |(&found, &expected): (&f32, &f64)| self.agree(f64::from(found), expected, absolute);
        if found.len() != expected.len() || !found.iter().zip(expected).all(agree) {
            self.failures.push(format!("{place}: {found:?}, expected {expected:?}"));
        }
    }

    /// Returns true if a number is as expected. A finite number beyond f32 may be the largest number or
    /// infinity. NaN agrees with nothing.
    fn agree(&self, found: f64, expected: f64, absolute: f64) -> bool {
        if expected.is_infinite() {
            return found == expected;
        }
        if expected.abs() > LARGEST {
            return found.abs() >= LARGEST && found.signum() == expected.signum();
        }
        // The smallest number of f32.
        const TINY: f64 = 1.5e-45;
        (found - expected).abs() <= self.relative * expected.abs() + absolute + TINY
    }

    /// Fails if a row failed, or if one of these names has no row.
    fn finish(self, names: impl IntoIterator<Item = String>) {
        let Limits { covered, failures, rows, .. } = self;
        assert!(failures.is_empty(), "{} of {rows} failed:\n{}", failures.len(), failures.join("\n"));
        let missing: Vec<String> = names.into_iter().filter(|name| !covered.contains(name)).collect();
        assert!(missing.is_empty(), "without a row: {missing:?}");
        println!("{rows} values and gradients");
    }
}

/// Returns the first word in backquotes of every line that begins with `start`.
fn words(text: &str, start: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with(start));
    lines.map(|line| line.split('`').nth(1).expect("a name").to_owned()).collect()
}

#[test]
fn every_op_has_its_limits() {
    let mut limits = Limits::new();
    elementwise::rows(&mut limits);
    products::rows(&mut limits);
    classes::rows(&mut limits);
    bits::rows(&mut limits);
    numbers::rows(&mut limits);
    updates::rows(&mut limits);
    limits.finish(words(&read("ops/src/lib.rs"), "//! | `"));
}

#[test]
fn every_distribution_has_its_limits() {
    let mut limits = Limits::new();
    distributions::rows(&mut limits);
    let text = read("src/distributions.rs");
    // Gumbel and Logistic share a line.
    let lines = text.lines().filter(|line| line.starts_with("//! | [`"));
    let names =
        lines.flat_map(|line| line.split(" | ").next().expect("a cell").split('`').skip(1).step_by(2));
    limits.finish(names.map(str::to_owned));
}

#[test]
fn every_estimator_has_its_limits() {
    let mut limits = Limits::new();
    estimators::rows(&mut limits);
    limits.finish(entries().map(|entry| entry.form.to_owned()));
}

// ------------------------------------------------------------------------------------------ functions in f64

fn sigmoid(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

/// sigmoid(x) (1 - sigmoid(x))
fn sigmoid_slope(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    e / ((1.0 + e) * (1.0 + e))
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Returns a product in which 0 times infinity is 0.
fn weighted(weight: f64, x: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * x }
}

/// Returns a number rounded to f32, where a small one underflows.
fn underflowed(x: f64) -> f64 {
    f64::from(x as f32)
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}
