//! Distributions checked against their definitions: densities integrate to 1, samples follow them, closed
//! forms agree with sums and integrals, and gradients agree with finite differences.
//!
//! `tests/suite/golden.rs` checks the ops for log-densities and divergences of logits against f64 references.
//! The distributions call these ops, so nothing is repeated here. Seeds are fixed and were not searched for:
//! a test passes always or never. Each test states its failure probability for a correct program with a fresh
//! seed, below 0.2 % in all.

use reparam::distributions::{
    Bernoulli, Categorical, ExpConcrete, Gumbel, KlForm, Logistic, LogitRelaxedBernoulli, Normal, OneHot,
    RelaxedBernoulli, RelaxedBit, RelaxedOneHot, Simplex, Uniform,
};
use reparam::gradcheck::gradcheck;
use reparam::{Noise, Tape, Var};
use reparam_ops::draw;

use crate::common::mistake::mistake;

const MASK: f32 = f32::NEG_INFINITY;
const EULER: f64 = 0.577_215_664_901_532_9;
const PI_SQUARED: f64 = std::f64::consts::PI * std::f64::consts::PI;

// ------------------------------------------------------------------------------------------------- helpers

fn full(tape: &Tape, value: f32, n: usize) -> Var<'_> {
    tape.variable(&vec![value; n], [n])
}

/// `row` repeated, `[rows, classes]`.
fn repeated<'t>(tape: &'t Tape, row: &[f32], rows: usize) -> Var<'t> {
    tape.variable(&row.repeat(rows), [rows, row.len()])
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

#[track_caller]
fn assert_close(name: &str, found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs();
    assert!(error <= tolerance, "{name}: {found}, expected {expected}, off by {error:.1e} > {tolerance:.1e}");
}

/// A mean and its standard error.
fn mean_and_error(sample: &[f64]) -> (f64, f64) {
    let n = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / n;
    let variance = sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// The mean must lie within 4.5 standard errors of the truth: failure probability 7e-6.
#[track_caller]
fn assert_mean(name: &str, sample: &[f64], truth: f64) {
    let (mean, error) = mean_and_error(sample);
    // A sample without variance must be right to rounding.
    let z = (mean - truth) / (error + 1e-6 * truth.abs().max(1e-3));
    println!("{name}: {mean:.5} +- {error:.5}, expected {truth:.5}: z = {z:.2}");
    assert!(z.abs() < 4.5, "{name}: {mean} +- {error}, expected {truth}");
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let weights: Vec<f64> = logits.iter().map(|&x| f64::from(x).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// 0 ln 0 = 0
fn x_ln_y(x: f64, y: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x * y.ln() }
}

/// Midpoints of cells whose width is a power of two, around 0: exact in f32.
const STEP: f64 = 1.0 / 64.0;
fn midpoints(half_width: usize) -> Vec<f32> {
    let cells = (half_width as f64 / STEP) as i32;
    (-cells..cells).map(|i| ((f64::from(i) + 0.5) * STEP) as f32).collect()
}

/// The midpoint rule over `from..to` in f64. It is exact to rounding for smooth functions that vanish at the
/// ends.
fn integral(from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
    const CELLS: u32 = 40_000;
    let step = (to - from) / f64::from(CELLS);
    (0..CELLS).map(|i| f(from + (f64::from(i) + 0.5) * step)).sum::<f64>() * step
}

fn logistic_density(l: f64) -> f64 {
    (-l - 2.0 * softplus(-l)).exp()
}

// --------------------------------------------------------------------------- distributions of single numbers

trait Scalar<'t> {
    fn sample(&self, noise: &mut Noise) -> Var<'t>;
    fn rsample(&self, noise: &mut Noise) -> Var<'t>;
    fn log_prob(&self, x: Var<'t>) -> Var<'t>;
    fn entropy(&self) -> Var<'t>;
    fn mean(&self) -> Var<'t>;
    /// `None` for a flat density.
    fn mode(&self) -> Option<Var<'t>>;
}

macro_rules! scalar {
    ($($distribution:ident |$x:ident| $mode:expr;)+) => {$(
        impl<'t> Scalar<'t> for $distribution<'t> {
            fn sample(&self, noise: &mut Noise) -> Var<'t> {
                $distribution::sample(*self, noise)
            }
            fn rsample(&self, noise: &mut Noise) -> Var<'t> {
                $distribution::rsample(*self, noise)
            }
            fn log_prob(&self, x: Var<'t>) -> Var<'t> {
                $distribution::log_prob(*self, x)
            }
            fn entropy(&self) -> Var<'t> {
                $distribution::entropy(*self)
            }
            fn mean(&self) -> Var<'t> {
                $distribution::mean(*self)
            }
            fn mode(&self) -> Option<Var<'t>> {
                let $x = *self;
                $mode
            }
        }
    )+};
}

scalar! {
    Normal |distribution| Some(Normal::mode(distribution));
    Logistic |distribution| Some(Logistic::mode(distribution));
    Gumbel |distribution| Some(Gumbel::mode(distribution));
    Uniform |_distribution| None;
    LogitRelaxedBernoulli |distribution| Some(LogitRelaxedBernoulli::mode(distribution));
}

/// A distribution, its two parameters for every element (a temperature is one number), and its known
/// properties.
struct Case<'t> {
    name: String,
    distribution: Box<dyn Scalar<'t> + 't>,
    parameters: [Var<'t>; 2],
    mean: f64,
    variance: f64,
    /// The derivatives of E x^2 with respect to both parameters, if they are one per element.
    slopes: [Option<f64>; 2],
}

fn location_and_scale<'t>(
    distribution: impl Scalar<'t> + 't,
    name: &str,
    [loc, log_scale]: [Var<'t>; 2],
    standard_mean: f64,
    standard_variance: f64,
) -> Case<'t> {
    let (loc_value, scale) = (f64::from(loc.value()[0]), f64::from(log_scale.value()[0]).exp());
    let (mean, variance) = (loc_value + scale * standard_mean, scale * scale * standard_variance);
    Case {
        name: format!("{name}({loc_value}, {scale:.3})"),
        distribution: Box::new(distribution),
        parameters: [loc, log_scale],
        mean,
        variance,
        // x = loc + scale noise, so d E x^2 = 2 E x dx.
        slopes: [Some(2.0 * mean), Some(2.0 * variance + 2.0 * mean * (mean - loc_value))],
    }
}

fn scalar_cases(tape: &Tape, n: usize) -> Vec<Case<'_>> {
    let two = |a: f32, b: f32| [full(tape, a, n), full(tape, b, n)];
    let mut cases = Vec::new();
    for [a, b] in [two(0.25, 0.4), two(-3.0, -1.2)] {
        cases.push(location_and_scale(Normal::new(a, b), "Normal", [a, b], 0.0, 1.0));
        cases.push(location_and_scale(Logistic::new(a, b), "Logistic", [a, b], 0.0, PI_SQUARED / 3.0));
        cases.push(location_and_scale(Gumbel::new(a, b), "Gumbel", [a, b], EULER, PI_SQUARED / 6.0));
    }
    for (low, high) in [(-1.0, 2.5), (3.0, 3.25)] {
        let [a, b] = two(low, high);
        let (low, high) = (f64::from(low), f64::from(high));
        cases.push(Case {
            name: format!("Uniform({low}, {high})"),
            distribution: Box::new(Uniform::new(a, b)),
            parameters: [a, b],
            mean: (low + high) / 2.0,
            variance: (high - low).powi(2) / 12.0,
            slopes: [Some((2.0 * low + high) / 3.0), Some((low + 2.0 * high) / 3.0)],
        });
    }
    for (logit, tau) in [(0.5, 2.0 / 3.0), (-8.0, 0.1), (3.0, 5.0)] {
        let (logits, tau) = (full(tape, logit, n), tape.variable(&[tau], []));
        let (logit, number) = (f64::from(logit), f64::from(tau.item()));
        cases.push(Case {
            name: format!("LogitRelaxedBernoulli({logit}, {number:.3})"),
            distribution: Box::new(LogitRelaxedBernoulli::new(logits, tau)),
            parameters: [logits, tau],
            mean: logit / number,
            variance: PI_SQUARED / 3.0 / (number * number),
            slopes: [Some(2.0 * logit / (number * number)), None],
        });
    }
    cases
}

/// Integrals by the midpoint rule on cells of 1/64 up to +-512, of densities from f32. They may miss 1 by
/// 5e-7, and the entropy and the mean by 2e-6 in units of their sizes. The density is largest at the mode.
#[test]
fn densities_of_numbers_integrate_to_one_and_give_entropy_mean_and_mode() {
    let grid = midpoints(512);
    let tape = Tape::new();
    let x = tape.input(&grid, [grid.len()]);
    for Case { name, distribution, mean, .. } in scalar_cases(&tape, grid.len()) {
        let log_density = wide(&distribution.log_prob(x).value());
        let density: Vec<f64> = log_density.iter().map(|l| l.exp() * STEP).collect();
        let total: f64 = density.iter().sum();
        let entropy: f64 = -density.iter().map(|&p| x_ln_y(p, p / STEP)).sum::<f64>();
        let first: f64 = density.iter().zip(&grid).map(|(p, &x)| p * f64::from(x)).sum();
        println!("{name}: total - 1 = {:.1e}, entropy {entropy:.5}, mean {first:.5}", total - 1.0);
        assert_close(&name, total, 1.0, 5e-7);
        assert_close(
            &name,
            f64::from(distribution.entropy().value()[0]),
            entropy,
            2e-6 * entropy.abs().max(1.0),
        );
        assert_close(&name, f64::from(distribution.mean().value()[0]), first, 2e-6 * first.abs().max(1.0));
        assert_close(&name, first, mean, 2e-6 * first.abs().max(1.0));
        if let Some(mode) = distribution.mode() {
            let peak = f64::from(distribution.log_prob(mode).value()[0]);
            let highest = log_density.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            assert!(peak >= highest - 1e-6, "{name}: {highest} on the grid above {peak} at the mode");
            assert!(peak - highest < 0.02, "{name}: nothing on the grid is near {peak}");
        }
    }
}

/// Mean and variance of 300,000 samples from each of 11 distributions, within 4.5 standard errors: failure
/// probability 1.5e-4.
#[test]
fn samples_of_numbers_have_the_moments_of_their_distributions() {
    const N: usize = 300_000;
    let tape = Tape::new();
    for (seed, Case { name, distribution, mean, variance, .. }) in (100..).zip(scalar_cases(&tape, N)) {
        let x = distribution.rsample(&mut Noise::seed(seed));
        let sample = wide(&x.value());
        let squares: Vec<f64> = sample.iter().map(|x| (x - mean).powi(2)).collect();
        assert_mean(&format!("{name} mean"), &sample, mean);
        assert_mean(&format!("{name} variance"), &squares, variance);
        let constant = distribution.sample(&mut Noise::seed(seed));
        assert!(x.is_tracked() && !constant.is_tracked());
        assert_eq!(x.to_vec(), constant.to_vec(), "{name}: sample and rsample differ");
        assert!(distribution.log_prob(x).value().iter().all(|log_prob| log_prob.is_finite()), "{name}");
    }
}

/// The derivatives of E x^2: means of 300,000 pathwise gradients for each parameter of 11 distributions,
/// within 4.5 standard errors of the exact ones; failure probability 1.3e-4.
#[test]
fn pathwise_gradients_average_to_the_gradient_of_the_mean() {
    const N: usize = 300_000;
    let tape = Tape::new();
    for (seed, Case { name, distribution, parameters, slopes, .. }) in (200..).zip(scalar_cases(&tape, N)) {
        let gradients = distribution.rsample(&mut Noise::seed(seed)).square().sum().backward();
        for (k, (parameter, slope)) in parameters.into_iter().zip(slopes).enumerate() {
            let Some(slope) = slope else { continue };
            let sample = wide(gradients.of(parameter).expect("a gradient"));
            assert_mean(&format!("{name} by parameter {k}"), &sample, slope);
        }
    }
}

/// For relaxed samples, whose moments have no closed form: the derivative of E y with respect to the logit,
/// an integral in f64. Four means of 300,000 within 4.5 standard errors at three temperatures; failure
/// probability 8e-5.
#[test]
fn relaxed_samples_have_the_mean_and_the_gradient_of_the_integral() {
    const N: usize = 300_000;
    const LOGIT: f32 = 0.7;
    for (seed, tau) in (300..).step_by(2).zip([0.3, 1.0, 4.0]) {
        let t = f64::from(tau);
        let at = |l: f64| sigmoid((f64::from(LOGIT) + l) / t);
        let mean = integral(-60.0, 60.0, |l| at(l) * logistic_density(l));
        let slope = integral(-60.0, 60.0, |l| at(l) * (1.0 - at(l)) / t * logistic_density(l));
        let tape = Tape::new();
        let logits = full(&tape, LOGIT, N);
        let y = RelaxedBernoulli::new(logits, tau).rsample(&mut Noise::seed(seed)).value;
        assert_mean("RelaxedBernoulli mean", &wide(&y.value()), mean);
        let gradients = y.sum().backward();
        assert_mean("RelaxedBernoulli slope", &wide(gradients.of(logits).unwrap()), slope);
        // Two classes: the difference of two Gumbel variables is logistic.
        let logits = repeated(&tape, &[LOGIT, 0.0], N);
        let y = RelaxedOneHot::new(logits, tau).rsample(&mut Noise::seed(seed + 1)).value.slice(1, 0..1);
        assert_mean("RelaxedOneHot mean", &wide(&y.value()), mean);
        let gradients = y.sum().backward();
        let of_first: Vec<f64> =
            gradients.of(logits).unwrap().iter().step_by(2).map(|&g| f64::from(g)).collect();
        assert_mean("RelaxedOneHot slope", &of_first, slope);
    }
}

/// Element i takes draw i, also over several of the pieces that work is split into.
#[test]
fn standard_samples_are_the_noise_of_one_draw_each() {
    const N: usize = 30_001;
    let draws: Vec<u32> = Noise::seed(310).draws(N).collect();
    let tape = Tape::inference();
    let (zero, one) = (full(&tape, 0.0, N), full(&tape, 1.0, N));
    let noise = |distribution: fn(u32) -> f32| draws.iter().map(|&x| distribution(x)).collect::<Vec<f32>>();
    assert_eq!(Uniform::new(zero, one).sample(&mut Noise::seed(310)).to_vec(), noise(draw::uniform));
    assert_eq!(Uniform::new(zero, one).sample(&mut &draws[..]).to_vec(), noise(draw::uniform));
    assert_eq!(Gumbel::new(zero, zero).sample(&mut &draws[..]).to_vec(), noise(draw::gumbel));
    assert_eq!(Logistic::new(zero, zero).sample(&mut &draws[..]).to_vec(), noise(draw::logistic));
    assert_eq!(Normal::new(zero, zero).sample(&mut &draws[..]).to_vec(), noise(draw::normal));
}

#[test]
fn a_uniform_sample_stays_inside_and_its_density_ends_there() {
    let tape = Tape::new();
    // Ends whose distance is rounded up, and draws at both ends of the noise.
    for (low, high) in [(-1.0f32, 1.2e-7f32), (1.0, 1.000_000_1), (-3e-8, 1.0), (1e-3, 1e3), (-1e30, 1e-30)] {
        let (low_var, high_var) = (full(&tape, low, 4), full(&tape, high, 4));
        let distribution = Uniform::new(low_var, high_var);
        let x = distribution.rsample(&mut &[0, 1 << 31, u32::MAX - 1, u32::MAX][..]);
        assert!(x.value().iter().all(|&x| low <= x && x <= high), "{:?} not in [{low}, {high}]", x.to_vec());
    }
    let distribution = Uniform::new(tape.variable(&[0.0; 4], [4]), tape.variable(&[2.0; 4], [4]));
    let log_prob = distribution.log_prob(tape.input(&[-0.1, 0.0, 2.0, f32::NAN], [4]));
    let inside = -2f32.ln();
    assert_eq!(log_prob.to_vec()[..3], [MASK, inside, inside]);
    assert!(log_prob.to_vec()[3].is_nan());
    let gradients = (log_prob * tape.input(&[1.0; 4], [4])).sum().backward();
    assert_eq!(gradients.of(distribution.low).unwrap(), [0.0, 0.5, 0.5, 0.0]);
    assert_eq!(gradients.of(distribution.high).unwrap(), [0.0, -0.5, -0.5, 0.0]);
}

// ----------------------------------------------------------------------------------------- relaxed densities

/// Over (0, 1), through the logit: dy = y (1 - y) dlogit in f64. Within 2e-6.
#[test]
fn relaxed_binary_densities_integrate_to_one() {
    let grid = midpoints(512);
    let tape = Tape::new();
    let y = RelaxedBit::from_logit(tape.input(&grid, [grid.len()]));
    for (logit, tau) in [(0.0, 1.0), (0.5, 2.0 / 3.0), (-8.0, 0.1), (3.0, 5.0)] {
        let log_density = RelaxedBernoulli::new(full(&tape, logit, grid.len()), tau).log_prob(y);
        let cells = log_density.value().iter().zip(&grid).fold(0.0, |total, (&log_density, &x)| {
            let log_stretch = -softplus(f64::from(x)) - softplus(-f64::from(x));
            total + (f64::from(log_density) + log_stretch).exp()
        });
        assert_close(&format!("logit {logit}, tau {tau}"), cells * STEP, 1.0, 2e-6);
    }
}

/// A square of midpoints of u = (y_1 - y_3, y_2 - y_3), as rows log_softmax(u_1, u_2, 0) in f64, and a cell's
/// area.
fn log_simplex_grid(centre: [f64; 2], tau: f64) -> (Vec<f32>, f64) {
    const CELLS: i32 = 240;
    let step = 0.25 / tau;
    let place = |i: i32, centre: f64| centre + (f64::from(i) + 0.5) * step;
    let mut rows = Vec::new();
    for i in -CELLS / 2..CELLS / 2 {
        for j in -CELLS / 2..CELLS / 2 {
            let u = [place(i, centre[0]), place(j, centre[1]), 0.0];
            let max = u.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let log_sum = max + u.iter().map(|u| (u - max).exp()).sum::<f64>().ln();
            rows.extend(u.map(|u| (u - log_sum) as f32));
        }
    }
    (rows, step * step)
}

/// Three classes: over the differences u in log space, and over the simplex by dy_1 dy_2 = y_1 y_2 y_3 du.
/// 57,600 points up to 30 / tau from the mode. Within 1e-5, since tau log_y is rounded where log_y is large.
#[test]
fn relaxed_densities_of_three_classes_integrate_to_one() {
    const LOGITS: [f32; 3] = [0.5, -1.0, 1.5];
    for tau in [0.1f32, 0.5, 1.0, 3.0] {
        let t = f64::from(tau);
        let centre = [0, 1].map(|k| f64::from(LOGITS[k] - LOGITS[2]) / t);
        let (rows, area) = log_simplex_grid(centre, t);
        let count = rows.len() / 3;
        let tape = Tape::new();
        let log_y = tape.input(&rows, [count, 3]);
        let logits = repeated(&tape, &LOGITS, count);
        let in_log_space = ExpConcrete::new(logits, tau).log_prob(log_y);
        let total = wide(&in_log_space.value()).iter().map(|l| l.exp()).sum::<f64>() * area;
        let on_simplex = RelaxedOneHot::new(logits, tau).log_prob(Simplex::from_log(log_y));
        let total_on_simplex =
            on_simplex.value().iter().zip(rows.chunks(3)).fold(0.0, |total, (&log, row)| {
                total + (f64::from(log) + row.iter().map(|&y| f64::from(y)).sum::<f64>()).exp() * area
            });
        println!("tau {tau}: {:.1e} and {:.1e} off 1", total - 1.0, total_on_simplex - 1.0);
        assert_close(&format!("log space, tau {tau}"), total, 1.0, 1e-5);
        assert_close(&format!("simplex, tau {tau}"), total_on_simplex, 1.0, 1e-5);
        // A masked class does not change the density of the others.
        let masked = repeated(&tape, &[LOGITS[0], LOGITS[1], MASK, LOGITS[2]], count);
        let with_mask: Vec<f32> = rows.chunks(3).flat_map(|y| [y[0], y[1], MASK, y[2]]).collect();
        let y = Simplex::from_log(tape.input(&with_mask, [count, 4]));
        let of_masked = RelaxedOneHot::new(masked, tau).log_prob(y);
        assert_eq!(of_masked.to_vec(), on_simplex.to_vec());
        // The density in log space is largest at the mode, which is the grid's centre.
        let peak = f64::from(
            ExpConcrete::new(logits, tau).log_prob(ExpConcrete::new(logits, tau).mode()).value()[0],
        );
        let highest = wide(&in_log_space.value()).into_iter().fold(f64::NEG_INFINITY, f64::max);
        assert!(
            peak >= highest - 1e-5 && peak - highest < 0.02,
            "tau {tau}: {highest} and {peak} at the mode"
        );
    }
}

/// 100,000 samples for every number of classes from 2 to 16 at tau = 0.01, with logits up to +-10, and
/// 100,000 binary ones. Log-densities of a distribution's own samples, estimates of the KL, and the gradients
/// of both are finite.
#[test]
fn densities_of_own_samples_are_finite_at_low_temperatures() {
    const ROWS: usize = 100_000;
    const LOGITS: [f32; 16] =
        [10.0, -10.0, 0.0, 5.0, -5.0, 1.0, 9.5, -9.5, 3.0, -3.0, 0.1, 7.0, -7.0, 2.0, -2.0, 10.0];
    let all_finite = |values: &[f32]| values.iter().all(|x| x.is_finite());
    let mut underflows = 0;
    let mut tape = Tape::new();
    for classes in 2..=16 {
        tape.reset();
        let (logits, tau) = (repeated(&tape, &LOGITS[..classes], ROWS), tape.variable(&[0.01], []));
        let prior = RelaxedOneHot::new(repeated(&tape, &LOGITS[16 - classes..], ROWS), 0.02);
        let distribution = RelaxedOneHot::new(logits, tau);
        let y = distribution.rsample(&mut Noise::seed(400 + classes as u64));
        underflows += y.value.value().iter().filter(|&&y| y == 0.0).count();
        let (log_prob, kl) = (distribution.log_prob(y), distribution.sampled_kl(prior, y));
        let in_log_space = distribution.log_space().log_prob(y.log);
        for value in [log_prob, kl, in_log_space] {
            assert!(all_finite(&value.value()), "{classes} classes");
        }
        let gradients = (log_prob + kl + in_log_space).sum().backward();
        for of in [logits, tau, prior.logits] {
            assert!(all_finite(gradients.of(of).unwrap()), "{classes} classes");
        }
    }
    // Finite values alone would not be enough.
    assert!(underflows > 1_000_000, "{underflows}");
    tape.reset();
    let (logits, tau) = (tape.variable(&LOGITS.repeat(ROWS / 16), [ROWS]), tape.variable(&[0.01], []));
    let distribution = RelaxedBernoulli::new(logits, tau);
    let prior = RelaxedBernoulli::new(full(&tape, -10.0, ROWS), 0.02);
    let y = distribution.rsample(&mut Noise::seed(420));
    assert!(y.value.value().contains(&0.0) && y.value.value().contains(&1.0));
    let (log_prob, kl) = (distribution.log_prob(y), distribution.sampled_kl(prior, y));
    let gradients = (log_prob + kl).sum().backward();
    assert!(all_finite(&log_prob.value()) && all_finite(&kl.value()));
    for of in [logits, tau, prior.logits] {
        assert!(all_finite(gradients.of(of).unwrap()));
    }
}

/// With the same draws, a simplex sample agrees with `gumbel_softmax` and a bit with `binary_concrete`, to
/// 1e-6; without a gradient, bit for bit.
#[test]
fn relaxed_samples_agree_with_the_ops() {
    let tape = Tape::new();
    let (logits, noise) = (repeated(&tape, &[1.0, -2.0, 0.5, MASK], 50), || Noise::seed(430));
    let tau = tape.variable(&[0.7], [1]);
    let close = |a: Var<'_>, b: Var<'_>| a.value().iter().zip(&*b.value()).all(|(a, b)| (a - b).abs() < 1e-6);
    let distribution = RelaxedOneHot::new(logits, tau);
    let (y, constant) = (distribution.rsample(&mut noise()), distribution.sample(&mut noise()));
    assert!(close(y.value, logits.gumbel_softmax(0.7, &mut noise())));
    assert_eq!((y.value.to_vec(), y.log.to_vec()), (constant.value.to_vec(), constant.log.to_vec()));
    let in_log_space = distribution.log_space().sample(&mut noise());
    assert_eq!(y.log.to_vec(), in_log_space.to_vec());
    assert!(!in_log_space.is_tracked());
    assert!(y.value.is_tracked() && y.log.is_tracked());
    assert!(!constant.value.is_tracked() && !constant.log.is_tracked());
    let logits = repeated(&tape, &[1.0, -2.0, 0.5, 9.0], 50);
    let distribution = RelaxedBernoulli::new(logits, tau);
    let (y, constant) = (distribution.rsample(&mut noise()), distribution.sample(&mut noise()));
    assert!(close(y.value, logits.binary_concrete(0.7, &mut noise())));
    assert_eq!((y.value.to_vec(), y.logit.to_vec()), (constant.value.to_vec(), constant.logit.to_vec()));
    // The temperature as a number, and on the tape.
    let fixed = LogitRelaxedBernoulli::new(logits, 0.7);
    assert!(
        close(distribution.logit_space().entropy(), fixed.entropy())
            && close(distribution.logit_space().mean(), fixed.mean())
    );
    assert!(y.value.is_tracked() && y.logit.is_tracked());
    assert!(!constant.value.is_tracked() && !constant.logit.is_tracked());
}

// ------------------------------------------------------------------------------------ discrete distributions

/// One class masked; from 0.05 % to 63 %.
const LOGITS: [f32; 6] = [0.5, -1.0, MASK, 2.0, -5.0, 1.0];

fn one_hot<'t>(tape: &'t Tape, rows: usize, classes: usize) -> Var<'t> {
    tape.input_with([rows, classes], |z| {
        z.iter_mut().enumerate().for_each(|(i, z)| *z = f32::from(i / classes == i % classes));
    })
}

/// Rounding allows 3e-7.
#[test]
fn probabilities_of_all_outcomes_sum_to_one() {
    let tape = Tape::new();
    let p = softmax(&LOGITS);
    let logits = repeated(&tape, &LOGITS, 6);
    let log_prob = OneHot::new(logits).log_prob(one_hot(&tape, 6, 6));
    assert_eq!(log_prob.to_vec(), Categorical::new(logits).log_prob(&[0, 1, 2, 3, 4, 5]).to_vec());
    assert_eq!(log_prob.value()[2], MASK);
    let total: f64 = wide(&log_prob.value()).iter().map(|l| l.exp()).sum();
    assert_close("one-hot", total, 1.0, 3e-7);
    let (probs, mean) = (OneHot::new(logits).probs(), OneHot::new(logits).mean());
    for (k, p) in p.into_iter().enumerate() {
        assert_close("one-hot", f64::from(log_prob.value()[k]).exp(), p, 3e-7);
        assert_close("probs", f64::from(probs.value()[k]), p, 3e-7);
        assert_close("mean", f64::from(mean.value()[k]), p, 3e-7);
    }
    for logit in [-100.0, -10.0, -0.3, 0.0, 4.0, 100.0] {
        let distribution = Bernoulli::new(full(&tape, logit, 2));
        let log_prob = wide(&distribution.log_prob(tape.input(&[0.0, 1.0], [2])).value());
        assert_close("bits", log_prob[0].exp() + log_prob[1].exp(), 1.0, 3e-7);
        let exact = -softplus(-f64::from(logit));
        assert_close("a bit", log_prob[1], exact, 3e-7 * exact.abs() + f64::from(f32::MIN_POSITIVE));
        assert_close("probs", f64::from(distribution.probs().value()[0]), sigmoid(f64::from(logit)), 1e-7);
        assert_close("mean", f64::from(distribution.mean().value()[0]), sigmoid(f64::from(logit)), 1e-7);
    }
}

/// A masked class leaves no NaN in the value or in any gradient, and its own gradient is 0.
#[test]
fn masked_classes_count_nothing() {
    let tape = Tape::new();
    let rows = |row: [f32; 3]| repeated(&tape, &row, 2);
    let logits = rows([0.0, MASK, 0.0]);
    let distribution = OneHot::new(logits);
    let z = tape.variable(&[1.0, 0.0, 0.0, 0.25, 0.0, 0.75], [2, 3]);
    let log_prob = distribution.log_prob(z);
    assert_eq!(log_prob.to_vec(), [-2f32.ln(); 2]);
    let gradients = log_prob.sum().backward();
    assert_eq!(gradients.of(logits).unwrap(), [0.5, 0.0, -0.5, -0.25, 0.0, 0.25]);
    let half = -2f32.ln();
    assert_eq!(gradients.of(z).unwrap(), [half, 0.0, half, half, 0.0, half]);

    let entropy = distribution.entropy();
    assert_eq!(entropy.to_vec(), [2f32.ln(); 2]);
    assert!(entropy.sum().backward().of(logits).unwrap().iter().all(|&g| g.abs() < 1e-7));

    // An impossible outcome: -inf, and no gradient.
    let impossible = tape.input(&[0.0, 1.0, 0.0, 0.0, 1.0, 0.0], [2, 3]);
    let log_prob = distribution.log_prob(impossible);
    assert_eq!(log_prob.to_vec(), [MASK; 2]);
    assert_eq!(log_prob.sum().backward().of(logits).unwrap(), [0.0; 6]);

    // A certain outcome.
    let certain = OneHot::new(rows([MASK, 3.0, MASK]));
    assert_eq!(certain.entropy().to_vec(), [0.0; 2]);
    assert_eq!(certain.log_prob(impossible).to_vec(), [0.0; 2]);
    assert_eq!(certain.sample(&mut Noise::seed(1)).to_vec(), impossible.to_vec());
    assert_eq!(certain.mode().to_vec(), impossible.to_vec());

    let relaxed = RelaxedOneHot::new(logits, 0.5);
    let y = relaxed.rsample(&mut Noise::seed(440));
    let mass = KlForm::RelaxedMass.categorical(relaxed, RelaxedOneHot::new(rows([1.0, MASK, 0.0]), 1.0), y);
    let total = (relaxed.log_prob(y) + relaxed.log_space().log_prob(y.log) + mass).sum();
    let gradients = total.backward();
    let of_logits = gradients.of(logits).unwrap();
    assert!(total.item().is_finite() && of_logits.iter().all(|g| g.is_finite()), "{of_logits:?}");
    assert_eq!((of_logits[1], of_logits[4]), (0.0, 0.0));

    // The same for the temperature's gradient.
    let tau = tape.variable(&[0.7], []);
    let mode = ExpConcrete::new(rows([0.5, MASK, 1.0]), tau).mode();
    assert_eq!(mode.to_vec()[1], MASK);
    let dtau = mode.slice(1, 0..1).sum().backward().of(tau).unwrap()[0];
    // d/dtau of a - ln(e^a + e^b), a = 0.5 / tau and b = 1 / tau, is p_b (b - a) / tau; twice, for two rows.
    let expected = 2.0 * (0.5 / 0.7) / 0.7 / (1.0 + (-0.5f32 / 0.7).exp());
    assert!((dtau - expected).abs() < 1e-5, "{dtau} {expected}");

    let bits = tape.variable(&[f32::INFINITY, MASK, 1.4], [3]);
    let mean = LogitRelaxedBernoulli::new(bits, tau).mean();
    assert_eq!(mean.to_vec(), [f32::INFINITY, MASK, 1.4 / 0.7]);
    let dtau = mean.sigmoid().sum().backward().of(tau).unwrap()[0];
    let at = 1.0 / (1.0 + (-2.0f32).exp());
    assert!((dtau + at * (1.0 - at) * 1.4 / 0.49).abs() < 1e-5, "{dtau}");

    // A bit that is certain.
    let distribution = RelaxedBernoulli::new(tape.variable(&[f32::INFINITY, MASK, 0.0], [3]), 1.0);
    let y = distribution.rsample(&mut &[1 << 31; 3][..]);
    assert_eq!(distribution.log_prob(y).to_vec()[..2], [0.0, 0.0]);
    assert!(
        distribution
            .log_prob(y)
            .sum()
            .backward()
            .of(distribution.logits)
            .unwrap()
            .iter()
            .all(|g| g.is_finite())
    );
}

/// Checked against sums over all outcomes in f64: within 3e-7 of 1 + the entropy, for a bit 1e-6 of the
/// entropy, small ones too.
#[test]
fn entropies_are_minus_the_mean_log_probability() {
    let tape = Tape::new();
    for row in [LOGITS, [0.0; 6], [1e4, 0.0, 0.0, -1e4, MASK, MASK], [20.0, 0.0, 1.0, 2.0, 3.0, 4.0]] {
        let shifted = row.map(|x| x - row.iter().copied().fold(MASK, f32::max));
        let entropy = -softmax(&shifted).iter().map(|&p| x_ln_y(p, p)).sum::<f64>();
        let logits = repeated(&tape, &row, 1);
        for found in [OneHot::new(logits).entropy(), Categorical::new(logits).entropy()] {
            assert_close(&format!("{row:?}"), f64::from(found.item()), entropy, 3e-7 * (1.0 + entropy));
            assert!(found.item() >= 0.0);
        }
    }
    let bits = [-80.0f32, -20.0, -3.0, -0.1, 0.0, 1e-3, 2.0, 20.0, 80.0, 1000.0];
    let found = Bernoulli::new(tape.variable(&bits, [bits.len()])).entropy();
    for (&x, &found) in bits.iter().zip(&*found.value()) {
        let x = f64::from(x);
        let entropy = sigmoid(x) * softplus(-x) + sigmoid(-x) * softplus(x);
        assert_close(&format!("bit {x}"), f64::from(found), entropy, 1e-6 * entropy + 1e-37);
    }
}

#[test]
fn modes_are_the_most_probable_values() {
    let tape = Tape::new();
    let logits = tape.variable(&[1.0, 3.0, 3.0, MASK, -2.0, -1.0], [2, 3]);
    assert_eq!(OneHot::new(logits).mode().to_vec(), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(Categorical::new(logits).mode(), [1, 2]);
    assert!(!OneHot::new(logits).mode().is_tracked());
    let bits = Bernoulli::new(tape.variable(&[-0.1, 0.0, 0.1], [3]));
    assert_eq!(bits.mode().to_vec(), [0.0, 0.0, 1.0]);
    assert!(!bits.mode().is_tracked());
}

/// tests/suite/statistics.rs checks their frequencies against the softmax. With the same draws, a relaxed
/// sample, rounded, is the exact one, by its values and by its logarithms, at any temperature.
#[test]
fn exact_and_rounded_samples_agree_with_the_ops() {
    const ROWS: usize = 20_000;
    let tape = Tape::new();
    let (logits, noise) = (repeated(&tape, &LOGITS, ROWS), || Noise::seed(450));
    let z = OneHot::new(logits).sample(&mut noise());
    assert!(!z.is_tracked());
    assert_eq!(z.to_vec(), logits.categorical(&mut noise()).to_vec());
    let classes = Categorical::new(logits).sample(&mut noise());
    assert_eq!(classes, logits.gumbel_max(&mut noise()));
    assert!(z.value().chunks(6).zip(&classes).all(|(row, &class)| row[class as usize] == 1.0));
    for tau in [0.1, 1.0, 10.0] {
        let distribution = RelaxedOneHot::new(logits, tau);
        let y = distribution.sample(&mut noise());
        for rows in [y.value, y.log] {
            assert_eq!(Categorical::new(rows).mode(), classes, "tau {tau}");
        }
        assert_eq!(distribution.rounded().logits.index(), logits.index());
    }

    let bits = repeated(&tape, &[-7.0, -3.0, -1.0, -0.1, 0.0, 0.5, 2.0, 6.0], ROWS);
    let z = Bernoulli::new(bits).sample(&mut noise());
    assert!(!z.is_tracked());
    assert_eq!(z.to_vec(), bits.bernoulli(&mut noise()).to_vec());
    for tau in [0.1, 5.0] {
        let y = RelaxedBernoulli::new(bits, tau).sample(&mut noise());
        let (z, value, logit) = (z.value(), y.value.value(), y.logit.value());
        let agree = |i: usize| (value[i] > 0.5) == (z[i] == 1.0) && (logit[i] > 0.0) == (z[i] == 1.0);
        assert!((0..z.len()).all(|i| agree(i) || logit[i].abs() < 1e-6), "tau {tau}");
    }
}

// ----------------------------------------------------------------------------------------------- divergences

/// Sums over outcomes and integrals in f64, with densities written independently; within 1e-6 of the larger
/// of 1 and the result, and for Gumbel distributions within the documented error.
#[test]
fn closed_divergences_agree_with_sums_and_integrals() {
    let tape = Tape::new();
    let one = |x: f64| tape.variable(&[x as f32], [1]);
    let (p_row, q_row) = ([0.5, -1.0, MASK, 2.0], [0.0, 1.0, 0.3, -1.5]);
    let (p, q) = (softmax(&p_row), softmax(&q_row));
    let kl: f64 = p.iter().zip(&q).map(|(&p, &q)| x_ln_y(p, p) - x_ln_y(p, q)).sum();
    let to_uniform: f64 = p.iter().map(|&p| x_ln_y(p, p)).sum::<f64>() + 4f64.ln();
    let (p_logits, q_logits) = (repeated(&tape, &p_row, 1), repeated(&tape, &q_row, 1));
    let found = OneHot::new(p_logits).kl(OneHot::new(q_logits)).item();
    assert_close("OneHot", f64::from(found), kl, 1e-6);
    assert_eq!(found, Categorical::new(p_logits).kl(Categorical::new(q_logits)).item());
    assert_close("uniform", f64::from(OneHot::new(p_logits).kl_uniform().item()), to_uniform, 1e-6);
    assert_close("uniform", f64::from(Categorical::new(p_logits).kl_uniform().item()), to_uniform, 1e-6);

    for (a, b) in [(0.3, -2.0), (4.0, 4.5), (-9.0, 3.0)] {
        let (p, q) = (sigmoid(a), sigmoid(b));
        let kl = p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
        let to_uniform = 2f64.ln() + p * p.ln() + (1.0 - p) * (1.0 - p).ln();
        let found = Bernoulli::new(one(a)).kl_uniform().item();
        assert_close("bit to uniform", f64::from(found), to_uniform, 1e-6);
        let found = Bernoulli::new(one(a)).kl(Bernoulli::new(one(b))).item();
        assert_close("Bernoulli", f64::from(found), kl, 1e-6 * kl.max(1.0));
    }

    let divergence = |p: &dyn Fn(f64) -> f64, q: &dyn Fn(f64) -> f64, from: f64, to: f64| {
        integral(from, to, |x| if p(x) < -700.0 { 0.0 } else { p(x).exp() * (p(x) - q(x)) })
    };
    // In f32 first, so that both sides have the same parameters.
    let distributions =
        [[0.5, 0.2, -0.3, -0.4], [0.0, 0.0, 0.0, 1.0], [1.0, -1.5, 1.2, 0.3], [-2.0, 0.7, 1.0, -0.5]];
    for [m, s, n, t] in distributions.map(|row: [f32; 4]| row.map(f64::from)) {
        let normal = |m: f64, s: f64| {
            move |x: f64| -0.5 * ((x - m) / s.exp()).powi(2) - s - 0.5 * std::f64::consts::TAU.ln()
        };
        let (from, to) = (m - 20.0 * s.exp(), m + 20.0 * s.exp());
        let kl = divergence(&normal(m, s), &normal(n, t), from, to);
        let found = Normal::new(one(m), one(s)).kl(Normal::new(one(n), one(t))).item();
        println!("Normal {kl:.6}");
        assert_close("Normal", f64::from(found), kl, 1e-6 * kl.max(1.0));
        let standard = divergence(&normal(m, s), &normal(0.0, 0.0), from, to);
        let found = Normal::new(one(m), one(s)).kl_standard().item();
        assert_close("standard", f64::from(found), standard, 1e-6 * standard.max(1.0));

        let gumbel = |m: f64, s: f64| {
            move |x: f64| {
                let z = (x - m) / s.exp();
                -z - (-z).exp() - s
            }
        };
        let kl = divergence(&gumbel(m, s), &gumbel(n, t), m - 8.0 * s.exp(), m + 60.0 * s.exp());
        let found = Gumbel::new(one(m), one(s)).kl(Gumbel::new(one(n), one(t))).item();
        println!("Gumbel {kl:.6}, found {found:.6}");
        assert_close("Gumbel", f64::from(found), kl, 2e-6 * kl.max((n - m).abs() / t.exp()).max(1.0));
    }
    // Ratios of scales far from 1, which test the Gamma function.
    for s in (-24..=8).map(|quarters| f64::from(quarters) / 4.0) {
        let kl = divergence_of_scaled_gumbel(s);
        let found = f64::from(Gumbel::new(one(0.0), one(s)).kl(Gumbel::new(one(0.0), one(0.0))).item());
        println!("Gumbel ratio e^{s}: {kl:.6e}, off by {:.1e}", found - kl);
        assert_close(&format!("Gumbel ratio e^{s}"), found, kl, 2e-6 * kl.max(1.0));
    }

    let ends =
        |low: &[f32; 4], high: &[f32; 4]| Uniform::new(tape.variable(low, [4]), tape.variable(high, [4]));
    let p = ends(&[0.0, 0.0, -1.0, 0.0], &[1.0, 1.0, 1.0, 3.0]);
    let q = ends(&[-1.0, 0.0, 0.0, 0.0], &[3.0, 1.0, 2.0, 2.0]);
    let kl = p.kl(q);
    assert_eq!(kl.to_vec(), [4f32.ln(), 0.0, f32::INFINITY, f32::INFINITY]);
    let gradients = kl.sum().backward();
    assert_eq!(gradients.of(p.low).unwrap(), [1.0, 1.0, 0.0, 0.0]);
    assert_eq!(gradients.of(q.high).unwrap(), [0.25, 1.0, 0.0, 0.0]);
}

/// KL of a Gumbel distribution with log-scale s from the standard one, by integration over the standard
/// noise.
fn divergence_of_scaled_gumbel(s: f64) -> f64 {
    let scale = s.exp();
    integral(-8.0, 80.0, |g| {
        let log_p = -g - (-g).exp();
        let x = scale * g;
        if log_p < -700.0 { 0.0 } else { log_p.exp() * ((log_p - s) - (-x - (-x).exp())) }
    })
}

/// Means of 300,000 estimates against the integral in logit space, within 4.5 standard errors, for bits and
/// for two classes, and the mean of their gradients against a central difference of the integral. Failure
/// probability 3e-5.
#[test]
fn sampled_divergences_of_relaxed_variables_average_to_the_integral() {
    const N: usize = 300_000;
    let kl_of = |a: f64| {
        let density = |a: f64, tau: f64, y: f64| tau.ln() + (a - tau * y) - 2.0 * softplus(a - tau * y);
        let (q, p) = (|y: f64| density(a, 2.0 / 3.0, y), |y: f64| density(-0.5, 0.5, y));
        integral(-120.0, 120.0, |y| q(y).exp() * (q(y) - p(y)))
    };
    let (kl, slope) = (kl_of(1.5), (kl_of(1.501) - kl_of(1.499)) / 0.002);
    let tape = Tape::new();
    let posterior = RelaxedBernoulli::new(full(&tape, 1.5, N), 2.0 / 3.0);
    let prior = RelaxedBernoulli::new(full(&tape, -0.5, N), 0.5);
    let z = posterior.rsample(&mut Noise::seed(470));
    let term = KlForm::Relaxed.binary(posterior, prior, z);
    assert_mean("bits", &wide(&term.value()), kl);
    let gradients = term.sum().backward();
    assert_mean("bits' gradient", &wide(gradients.of(posterior.logits).unwrap()), slope);

    let posterior = RelaxedOneHot::new(repeated(&tape, &[1.5, 0.0], N), 2.0 / 3.0);
    let prior = RelaxedOneHot::new(repeated(&tape, &[-0.5, 0.0], N), 0.5);
    let z = posterior.rsample(&mut Noise::seed(471));
    let term = KlForm::Relaxed.categorical(posterior, prior, z);
    assert_mean("classes", &wide(&term.value()), kl);
    let gradients = term.sum().backward();
    let of_first: Vec<f64> =
        gradients.of(posterior.logits).unwrap().iter().step_by(2).map(|&g| f64::from(g)).collect();
    assert_mean("classes' gradient", &of_first, slope);

    // On the simplex the densities differ from the densities in log space, but their difference does not.
    let on_simplex = posterior.log_prob(z) - prior.log_prob(z);
    for (a, b) in on_simplex.value().iter().zip(&*term.value()) {
        assert!((a - b).abs() < 1e-4, "{a} and {b}");
    }
}

/// Equation 21 at a hard sample is the sampled KL of the discrete model, whose mean is equation 22. At a soft
/// sample it is linear in the sample, and its mean may be below 0, unlike a divergence's. 100,000 samples;
/// failure probability 1.4e-5.
#[test]
fn the_forms_of_the_divergence_are_what_they_say() {
    const N: usize = 100_000;
    let (q_row, p_row) = ([1.0, 0.0, -1.0], [0.0, 0.5, 0.0]);
    let tape = Tape::new();
    let q = RelaxedOneHot::new(repeated(&tape, &q_row, N), 10.0);
    let p = RelaxedOneHot::new(repeated(&tape, &p_row, N), 1.0);
    let hard = q.rounded().sample(&mut Noise::seed(480));
    let hard = Simplex { value: hard, log: hard.ln() };
    let mass = KlForm::RelaxedMass.categorical(q, p, hard);
    let exact = KlForm::Discrete.categorical(q, p, hard);
    let (q_probs, p_probs) = (softmax(&q_row), softmax(&p_row));
    let kl: f64 = q_probs.iter().zip(&p_probs).map(|(q, p)| q * (q / p).ln()).sum();
    assert!(exact.value().iter().all(|&x| (f64::from(x) - kl).abs() < 1e-6));
    assert_mean("hard samples", &wide(&mass.value()), kl);

    let soft = q.rsample(&mut Noise::seed(481));
    assert_eq!(KlForm::Discrete.categorical(q, p, soft).to_vec(), exact.to_vec());
    let mass = KlForm::RelaxedMass.categorical(q, p, soft);
    for (row, &found) in soft.value.value().chunks(3).zip(&*mass.value()) {
        let terms =
            row.iter().zip(q_probs.iter().zip(&p_probs)).map(|(&z, (q, p))| f64::from(z) * (q / p).ln());
        assert!((f64::from(found) - terms.sum::<f64>()).abs() < 1e-6);
    }
    let (mean, error) = mean_and_error(&wide(&mass.value()));
    println!("equation 21 at tau = 10: {mean:.4} +- {error:.4}; KL {kl:.4}");
    assert!(mean < -20.0 * error);
    // The relaxed densities' KL is a divergence, so it is not below 0 for a prior of another temperature.
    let (mean, error) = mean_and_error(&wide(&KlForm::Relaxed.categorical(q, p, soft).value()));
    assert!(mean > 20.0 * error);

    let q = RelaxedBernoulli::new(full(&tape, 1.5, N), 10.0);
    let p = RelaxedBernoulli::new(full(&tape, 0.0, N), 1.0);
    let hard = q.rounded().sample(&mut Noise::seed(482));
    let mass = KlForm::RelaxedMass.binary(q, p, RelaxedBit { value: hard, logit: hard });
    let exact = KlForm::Discrete.binary(q, p, q.sample(&mut Noise::seed(483)));
    let kl = sigmoid(1.5) * (2.0 * sigmoid(1.5)).ln() + sigmoid(-1.5) * (2.0 * sigmoid(-1.5)).ln();
    assert!(exact.value().iter().all(|&x| (f64::from(x) - kl).abs() < 1e-6));
    assert_mean("hard bits", &wide(&mass.value()), kl);
    let soft = q.rsample(&mut Noise::seed(484));
    let (mean, error) = mean_and_error(&wide(&KlForm::RelaxedMass.binary(q, p, soft).value()));
    assert!(mean < -20.0 * error, "{mean} +- {error}");
}

// ------------------------------------------------------------------------------------------------- gradients

/// Values and gradients agree, by finite differences, for every method that has a gradient.
#[test]
fn gradients_agree_with_finite_differences() {
    const A: [f32; 6] = [0.5, -1.0, 1.5, 0.3, 2.0, -0.7];
    const B: [f32; 6] = [0.2, 0.4, -0.6, 1.1, -0.3, 0.9];
    const S: [f32; 6] = [0.3, -0.4, 0.1, -0.2, 0.5, 0.0];
    const MASKED: [f32; 6] = [0.5, MASK, 1.5, 0.3, 2.0, -0.7];
    const Z: [f32; 6] = [0.2, 0.0, 0.8, 0.3, 0.6, 0.1];
    const LOG_Y: [f32; 6] = [-0.4, -2.0, -1.7, -1.2, -0.9, -1.3];
    const RELATED: [f32; 6] = [-0.4, MASK, -1.7, -1.2, -0.9, -1.3];
    const LOW: [f32; 6] = [-2.0, -3.0, -2.5, -2.0, -4.0, -2.2];
    const HIGH: [f32; 6] = [3.0, 2.6, 3.5, 2.7, 4.0, 2.8];
    const ROWS: &[usize] = &[2, 3];
    type Function = for<'t> fn(&'t Tape, &[Var<'t>]) -> Var<'t>;
    let checks: &[(&str, &[&[f32; 6]], Function)] = &[
        ("OneHot::log_prob", &[&A, &Z], |_, x| OneHot::new(x[0]).log_prob(x[1])),
        ("OneHot::log_prob, masked", &[&MASKED], |tape, x| {
            OneHot::new(x[0]).log_prob(tape.input(&Z, [2, 3]))
        }),
        ("OneHot::log_probs", &[&A], |_, x| OneHot::new(x[0]).log_probs()),
        ("OneHot::entropy", &[&A], |_, x| OneHot::new(x[0]).entropy()),
        ("OneHot::entropy, masked", &[&MASKED], |_, x| OneHot::new(x[0]).entropy()),
        ("OneHot::mean", &[&A], |_, x| OneHot::new(x[0]).mean()),
        ("OneHot::kl", &[&A, &B], |_, x| OneHot::new(x[0]).kl(OneHot::new(x[1]))),
        ("OneHot::kl_uniform", &[&A], |_, x| OneHot::new(x[0]).kl_uniform()),
        ("Categorical::log_prob", &[&A], |_, x| Categorical::new(x[0]).log_prob(&[2, 0])),
        ("Categorical::probs", &[&A], |_, x| Categorical::new(x[0]).probs()),
        ("Bernoulli::log_prob", &[&A, &Z], |_, x| Bernoulli::new(x[0]).log_prob(x[1])),
        ("Bernoulli::entropy", &[&A], |_, x| Bernoulli::new(x[0]).entropy()),
        ("Bernoulli::mean", &[&A], |_, x| Bernoulli::new(x[0]).mean()),
        ("Bernoulli::kl", &[&A, &B], |_, x| Bernoulli::new(x[0]).kl(Bernoulli::new(x[1]))),
        ("ExpConcrete::rsample", &[&A], |_, x| ExpConcrete::new(x[0], 0.8).rsample(&mut Noise::seed(490))),
        ("ExpConcrete::log_prob", &[&A, &LOG_Y], |_, x| ExpConcrete::new(x[0], 0.8).log_prob(x[1])),
        ("ExpConcrete::mode", &[&A, &S], |_, x| {
            ExpConcrete::new(x[0], x[1].sum().exp().reshape([1, 1])).mode()
        }),
        ("ExpConcrete::sampled_kl", &[&A, &B], |_, x| {
            let (q, p) = (ExpConcrete::new(x[0], 0.8), ExpConcrete::new(x[1], 0.6));
            q.sampled_kl(p, q.rsample(&mut Noise::seed(490)))
        }),
        ("RelaxedOneHot::rsample", &[&A, &S], |_, x| {
            RelaxedOneHot::new(x[0], x[1].sum().exp()).rsample(&mut Noise::seed(490)).value
        }),
        ("RelaxedOneHot::log_prob", &[&A, &LOG_Y], |_, x| {
            RelaxedOneHot::new(x[0], 0.8).log_prob(Simplex::from_log(x[1]))
        }),
        ("RelaxedOneHot::log_prob, masked", &[&MASKED, &RELATED], |_, x| {
            RelaxedOneHot::new(x[0], 0.8).log_prob(Simplex::from_log(x[1]))
        }),
        ("RelaxedOneHot::log_prob by tau", &[&S], |tape, x| {
            let y = Simplex::from_log(tape.input(&LOG_Y, [2, 3]).log_softmax());
            RelaxedOneHot::new(tape.input(&A, [2, 3]), x[0].sum().exp()).log_prob(y)
        }),
        ("KlForm::RelaxedMass, classes", &[&A, &B], |_, x| {
            let (q, p) = (RelaxedOneHot::new(x[0], 0.8), RelaxedOneHot::new(x[1], 0.6));
            KlForm::RelaxedMass.categorical(q, p, q.rsample(&mut Noise::seed(490)))
        }),
        ("KlForm::Discrete, classes", &[&A, &B], |_, x| {
            let (q, p) = (RelaxedOneHot::new(x[0], 0.8), RelaxedOneHot::new(x[1], 0.6));
            KlForm::Discrete.categorical(q, p, q.rsample(&mut Noise::seed(490)))
        }),
        ("LogitRelaxedBernoulli::log_prob", &[&A, &B], |_, x| {
            LogitRelaxedBernoulli::new(x[0], 0.8).log_prob(x[1])
        }),
        ("LogitRelaxedBernoulli::entropy", &[&S], |tape, x| {
            LogitRelaxedBernoulli::new(tape.input(&A, [2, 3]), x[0].sum().exp()).entropy()
        }),
        ("LogitRelaxedBernoulli::mean", &[&A, &S], |_, x| {
            LogitRelaxedBernoulli::new(x[0], x[1].sum().exp()).mean()
        }),
        ("RelaxedBernoulli::rsample", &[&A, &S], |_, x| {
            RelaxedBernoulli::new(x[0], x[1].sum().exp()).rsample(&mut Noise::seed(490)).value
        }),
        ("RelaxedBernoulli::log_prob", &[&A, &B], |_, x| {
            RelaxedBernoulli::new(x[0], 0.8).log_prob(RelaxedBit::from_logit(x[1]))
        }),
        ("KlForm::Relaxed, bits", &[&A, &B], |_, x| {
            let (q, p) = (RelaxedBernoulli::new(x[0], 0.8), RelaxedBernoulli::new(x[1], 0.6));
            KlForm::Relaxed.binary(q, p, q.rsample(&mut Noise::seed(490)))
        }),
        ("KlForm::RelaxedMass, bits", &[&A, &B], |_, x| {
            let (q, p) = (RelaxedBernoulli::new(x[0], 0.8), RelaxedBernoulli::new(x[1], 0.6));
            KlForm::RelaxedMass.binary(q, p, q.rsample(&mut Noise::seed(490)))
        }),
        ("Normal::rsample", &[&A, &S], |_, x| Normal::new(x[0], x[1]).rsample(&mut Noise::seed(490))),
        ("Normal::log_prob", &[&A, &S, &B], |_, x| Normal::new(x[0], x[1]).log_prob(x[2])),
        ("Normal::entropy", &[&A, &S], |_, x| Normal::new(x[0], x[1]).entropy()),
        ("Normal::kl", &[&A, &S, &B, &Z], |_, x| Normal::new(x[0], x[1]).kl(Normal::new(x[2], x[3]))),
        ("Normal::kl_standard", &[&A, &S], |_, x| Normal::new(x[0], x[1]).kl_standard()),
        ("Logistic::rsample", &[&A, &S], |_, x| Logistic::new(x[0], x[1]).rsample(&mut Noise::seed(490))),
        ("Logistic::log_prob", &[&A, &S, &B], |_, x| Logistic::new(x[0], x[1]).log_prob(x[2])),
        ("Logistic::entropy", &[&A, &S], |_, x| Logistic::new(x[0], x[1]).entropy()),
        ("Gumbel::rsample", &[&A, &S], |_, x| Gumbel::new(x[0], x[1]).rsample(&mut Noise::seed(490))),
        ("Gumbel::log_prob", &[&A, &S, &B], |_, x| Gumbel::new(x[0], x[1]).log_prob(x[2])),
        ("Gumbel::entropy", &[&A, &S], |_, x| Gumbel::new(x[0], x[1]).entropy()),
        ("Gumbel::mean", &[&A, &S], |_, x| Gumbel::new(x[0], x[1]).mean()),
        ("Gumbel::kl", &[&A, &S, &B, &Z], |_, x| Gumbel::new(x[0], x[1]).kl(Gumbel::new(x[2], x[3]))),
        ("Uniform::rsample", &[&LOW, &HIGH], |_, x| Uniform::new(x[0], x[1]).rsample(&mut Noise::seed(490))),
        ("Uniform::log_prob", &[&LOW, &HIGH], |tape, x| {
            Uniform::new(x[0], x[1]).log_prob(tape.input(&A, [2, 3]))
        }),
        ("Uniform::entropy", &[&LOW, &HIGH], |_, x| Uniform::new(x[0], x[1]).entropy()),
        ("Uniform::mean", &[&LOW, &HIGH], |_, x| Uniform::new(x[0], x[1]).mean()),
        ("Uniform::kl", &[&A, &HIGH, &LOW], |_, x| {
            Uniform::new(x[0], x[1]).kl(Uniform::new(x[2], x[1] + 1.0))
        }),
    ];
    let mut failures = Vec::new();
    for (name, inputs, f) in checks {
        let inputs: Vec<(&[f32], &[usize])> = inputs.iter().map(|input| (&input[..], ROWS)).collect();
        match gradcheck(&inputs, f) {
            Ok(report) => println!("{name}: {:.2} of what is allowed", report.worst),
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

// -------------------------------------------------------------------------------------------------- mistakes

/// Scales and inverse scales beyond the range of f32.
#[test]
fn densities_at_extreme_scales_agree_with_the_formulas() {
    for extreme in [-90.0f32, 90.0] {
        let tape = Tape::new();
        let (at, log_scale) = (tape.input(&[0.0], [1]), tape.variable(&[extreme], [1]));
        let at_the_centre = [
            ("normal", Normal::new(at, log_scale).log_prob(at), -0.918_938_5),
            ("gumbel", Gumbel::new(at, log_scale).log_prob(at), -1.0),
            ("logistic", Logistic::new(at, log_scale).log_prob(at), -2.0 * std::f64::consts::LN_2),
        ];
        for (name, log_prob, standard) in at_the_centre {
            assert_close(name, log_prob.item().into(), standard - f64::from(extreme), 1e-4);
            assert_eq!(log_prob.backward().of(log_scale).unwrap(), [-1.0], "{name} at {extreme}");
        }
    }
}

#[test]
fn a_bit_of_nan_has_no_mode() {
    let tape = Tape::new();
    let mode = Bernoulli { logits: tape.input(&[f32::NAN, 0.0, 1.0], [3]) }.mode().to_vec();
    assert!(mode[0].is_nan() && mode[1..] == [0.0, 1.0], "{mode:?}");
}

#[test]
fn mistakes_name_the_distribution_the_shapes_and_a_hint() {
    let tape = Tape::new();
    let zeros = |dims: &[usize]| tape.input(&vec![0.0; dims.iter().product()], dims);
    let (scalar, two, three, a23) = (zeros(&[]), zeros(&[2]), zeros(&[3]), zeros(&[2, 3]));
    let one_draw = &[1u32];
    let texts = [
        mistake(|| OneHot::new(scalar)),
        mistake(|| Categorical::new(zeros(&[2, 0]))),
        mistake(|| RelaxedOneHot::new(scalar, 1.0)),
        mistake(|| RelaxedOneHot::new(a23, 0.0)),
        mistake(|| ExpConcrete::new(a23, f32::NAN)),
        mistake(|| RelaxedBernoulli::new(a23, -1.0)),
        mistake(|| LogitRelaxedBernoulli::new(a23, two)),
        mistake(|| OneHot::new(a23).log_prob(three)),
        mistake(|| OneHot::new(a23).kl(OneHot::new(three))),
        mistake(|| OneHot::new(tape.input(&[MASK; 3], [3])).entropy()),
        mistake(|| Categorical::new(a23).log_prob(&[0])),
        mistake(|| Categorical::new(a23).log_prob(&[0, 3])),
        mistake(|| Bernoulli::new(a23).log_prob(three)),
        mistake(|| ExpConcrete::new(a23, 1.0).log_prob(three)),
        mistake(|| RelaxedOneHot::new(a23, 1.0).log_prob(Simplex::from_log(three))),
        mistake(|| LogitRelaxedBernoulli::new(a23, 1.0).log_prob(three)),
        mistake(|| RelaxedBernoulli::new(a23, 1.0).log_prob(RelaxedBit::from_logit(three))),
        mistake(|| Normal::new(a23, three)),
        mistake(|| Normal::new(a23, a23).log_prob(three)),
        mistake(|| Normal::new(a23, a23).kl(Normal::new(three, three))),
        mistake(|| Logistic::new(a23, three)),
        mistake(|| Logistic::new(a23, a23).log_prob(three)),
        mistake(|| Gumbel::new(a23, three)),
        mistake(|| Gumbel::new(a23, a23).log_prob(three)),
        mistake(|| Gumbel::new(a23, a23).kl(Gumbel::new(three, three))),
        mistake(|| Uniform::new(a23, three)),
        mistake(|| Uniform::new(tape.input(&[0.0, 1.0], [2]), tape.input(&[1.0, 1.0], [2]))),
        mistake(|| Uniform::new(three, three + 1.0).log_prob(two)),
        mistake(|| Uniform::new(three, three + 1.0).kl(Uniform::new(two, two + 1.0))),
        mistake(|| Gumbel::new(a23, a23).rsample(&mut &one_draw[..])),
        mistake(|| Logistic::new(a23, a23).sample(&mut &one_draw[..])),
        mistake(|| Uniform::new(a23, a23 + 1.0).rsample(&mut &one_draw[..])),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r"
    OneHot: the logits' shape [] leaves no classes; the last axis must have some
    Categorical: the logits' shape [2, 0] leaves no classes; the last axis must have some
    RelaxedOneHot: the logits' shape [] leaves no classes; the last axis must have some
    RelaxedOneHot: tau must be finite and at least 1.2e-38, it is 0; for the limit tau -> 0 use a straight-through op
    ExpConcrete: tau must be finite and at least 1.2e-38, it is NaN; 0.1 to 1 is usual
    RelaxedBernoulli: tau must be finite and at least 1.2e-38, it is -1; 0.1 to 1 is usual
    LogitRelaxedBernoulli: tau must be one number, its shape is [2]
    OneHot::log_prob: z is [3] and the logits [2, 3]; they must have the same shape: use .broadcast_to([2, 3])
    categorical_kl: p is [2, 3] and q [3]; they must have the same shape: use .broadcast_to([2, 3])
    softmax: row 0 has no class left: all its logits are -inf; leave at least one class of every row unmasked
    cross_entropy: 1 targets for logits of shape [2, 3]; one per row is needed, 2
    cross_entropy: index 3 at position 1, but there are 3 classes; they count from 0
    Bernoulli::log_prob: z is [3] and the logits [2, 3]; they must have the same shape: use .broadcast_to([2, 3])
    ExpConcrete::log_prob: log_y is [3] and the logits [2, 3]; they must have the same shape: use .broadcast_to([2, 3])
    RelaxedOneHot::log_prob: y.log is [3] and the logits [2, 3]; they must have the same shape: use .broadcast_to([2, 3])
    LogitRelaxedBernoulli::log_prob: y is [3] and the logits [2, 3]; they must have the same shape: use .broadcast_to([2, 3])
    RelaxedBernoulli::log_prob: y.logit is [3] and the logits [2, 3]; they must have the same shape: use .broadcast_to([2, 3])
    Normal: the mean is [2, 3] and log_std [3]; they must have the same shape: use .broadcast_to([2, 3])
    Normal::log_prob: x is [3] and the mean [2, 3]; they must have the same shape: use .broadcast_to([2, 3])
    Normal::kl: p is [2, 3] and q [3]; they must have the same shape: use .broadcast_to([2, 3])
    Logistic: loc is [2, 3] and log_scale [3]; they must have the same shape: use .broadcast_to([2, 3])
    Logistic::log_prob: x is [3] and loc [2, 3]; they must have the same shape: use .broadcast_to([2, 3])
    Gumbel: loc is [2, 3] and log_scale [3]; they must have the same shape: use .broadcast_to([2, 3])
    Gumbel::log_prob: x is [3] and loc [2, 3]; they must have the same shape: use .broadcast_to([2, 3])
    Gumbel::kl: p is [2, 3] and q [3]; they must have the same shape: use .broadcast_to([2, 3])
    Uniform: low is [2, 3] and high [3]; they must have the same shape: use .broadcast_to([2, 3])
    Uniform: low is 1 and high 1 at element 1; low must be below high, by a finite number
    Uniform::log_prob: x is [2] and low [3]; they must have the same shape
    Uniform::kl: p is [3] and q [2]; they must have the same shape
    Gumbel: 1 draws injected, 6 are needed
    Logistic: 1 draws injected, 6 are needed
    Uniform: 1 draws injected, 6 are needed
    ");
}
