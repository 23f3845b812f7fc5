//! Bias, variance and cost of an estimator on a problem.

use std::time::Duration;

use super::problem::{Problem, check_logits, logits};
use super::spread::{Polar, Spread, dot};
use crate::estimators::{Estimate, Estimator};
use crate::noise::Noise;
use crate::tape::Tape;

/// The measurement of an estimator on a problem. Gradients are with respect to the logits of one row.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(serde::Serialize))]
pub struct Measurement {
    /// The problem's name.
    pub problem: String,
    /// The estimator's name.
    pub estimator: String,
    /// Independent estimates.
    pub samples: usize,
    /// The bias of the mean, projected on the exact gradient. It is negative if the estimates are too short.
    pub bias: f64,
    /// The standard error of the bias.
    pub bias_standard_error: f64,
    /// The length of the mean estimate over the length of the exact gradient, |E\[G\]| / |g|. A step size
    /// corrects it. It is NaN if the exact gradient is 0.
    ///
    /// Chance makes the mean of n estimates too long, so its sideways variance is subtracted:
    /// sqrt(|mean|^2 - T / n) / |g|, where T is the variance of one estimate at right angles to the mean.
    /// Therefore `length * direction_cosine` is 1 + `bias` / |g|, unless chance takes the cosine beyond 1,
    /// where it is cut off.
    pub length: f64,
    /// The standard error of the length.
    pub length_standard_error: f64,
    /// The cosine of the angle between the mean estimate and the exact gradient, with the same correction. No
    /// step size corrects it. It is NaN if the exact gradient is 0.
    pub direction_cosine: f64,
    /// The standard error of the cosine. It is 1 if the mean is within 3 standard errors of 0: then the
    /// samples do not show a direction.
    pub direction_cosine_standard_error: f64,
    /// The variance of one estimate, summed over its components.
    pub variance: f64,
    /// The mean cosine between an estimate and the exact gradient, over those that are not 0.
    pub cosine: f64,
    /// Evaluations of the loss for one estimate.
    pub evaluations: f64,
    /// Nanoseconds per estimate with its forward and backward pass, many rows at a time. `None` if
    /// [`measure`] had no clock.
    pub ns_per_gradient: Option<f64>,
    /// The mean's error in standard errors: the largest of its components and of its projection on the exact
    /// gradient.
    pub worst_z: f64,
    /// The bound on `worst_z` without bias: [`z_bound`] for the components and the projection.
    pub z_bound: f64,
    /// True if the mean agrees with the exact gradient: `worst_z` does not exceed `z_bound`.
    #[cfg_attr(feature = "cli", serde(rename = "unbiased"))]
    pub agrees: bool,
    /// True if the estimator claims to be unbiased.
    pub claims_unbiased: bool,
    /// The mean estimate.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub mean: Vec<f64>,
    /// The exact gradient of [`Estimator::objective`].
    #[cfg_attr(feature = "cli", serde(skip))]
    pub exact: Vec<f64>,
    /// Each estimate's projection on the exact gradient's direction.
    #[cfg_attr(feature = "cli", serde(skip))]
    pub projections: Vec<f32>,
    #[cfg_attr(feature = "cli", serde(rename = "squared_bias"))]
    pub(super) square: f64,
    #[cfg_attr(feature = "cli", serde(rename = "squared_bias_standard_error"))]
    pub(super) square_error: f64,
}

impl Measurement {
    /// The squared length of the mean's error, minus its expectation from chance alone. It may be negative.
    pub fn squared_bias(&self) -> f64 {
        self.square
    }

    /// The standard error of [`squared_bias`](Self::squared_bias).
    pub fn squared_bias_standard_error(&self) -> f64 {
        self.square_error
    }

    /// The length and the ends of its interval of two standard errors, from low to high. `None` if it is NaN
    /// or 0.
    pub fn length_interval(&self) -> Option<[f64; 3]> {
        let (length, error) = (self.length, 2.0 * self.length_standard_error);
        (length > 0.0).then_some([length - error, length, length + error])
    }

    /// The angle between the mean and the exact gradient in degrees, between the ends of an interval that is
    /// two standard errors of the cosine. `None` if the samples show no direction.
    pub fn angle_interval(&self) -> Option<[f64; 3]> {
        let (cosine, error) = (self.direction_cosine, self.direction_cosine_standard_error);
        let cosines = [cosine + 2.0 * error, cosine, cosine - 2.0 * error];
        (error < 1.0).then_some(cosines.map(|cosine| cosine.clamp(-1.0, 1.0).acos().to_degrees()))
    }

    /// The verdict in words: "yes" (unbiased in theory, and no bias seen), "as far as these samples show"
    /// (biased in theory, and no bias seen), "no: biased", or "NO, and it should" (unbiased in theory, and a
    /// bias seen).
    pub fn verdict(&self) -> &'static str {
        match (self.agrees, self.claims_unbiased) {
            (true, true) => "yes",
            (true, false) => "as far as these samples show",
            (false, false) => "no: biased",
            (false, true) => "NO, and it should",
        }
    }

    /// The fractions of the [projections](Self::projections) in `bins` bins of equal width from `low` to
    /// `high`. Values outside count in the last bin on their side.
    ///
    /// # Panics
    /// If there are no bins, or `high - low` is not positive and finite.
    #[track_caller]
    pub fn histogram(&self, low: f64, high: f64, bins: usize) -> Vec<f64> {
        assert!(bins > 0, "Measurement::histogram: at least one bin is needed, found 0; 50 is usual");
        assert!(
            low < high && (high - low).is_finite(),
            "Measurement::histogram: low is {low} and high {high}; low must be below high, by a finite number"
        );
        let mut shares = vec![0.0; bins];
        for &x in &self.projections {
            let bin = (f64::from(x) - low) / (high - low) * bins as f64;
            shares[(bin.max(0.0) as usize).min(bins - 1)] += 1.0 / self.projections.len() as f64;
        }
        shares
    }
}

/// The approximate number of numbers on a tape at a time.
const ELEMENTS: usize = 1 << 14;
/// The number of rows in a step in which an estimator adapts.
const ADAPTING_ROWS: usize = 100;
/// The most that rounding to f32 may move a mean, relative to the size of an estimate and of the losses it is
/// a difference of.
const ROUNDING: f64 = 1e-6;
const ROUNDING_OF_LOSS: f64 = 2e-7;
/// The largest error of an unbiased mean of one component, in standard errors.
const BIAS_BOUND: f64 = 4.0;

/// Takes `samples` estimates, after `adapting_steps` calls in which the estimator may learn before it is
/// frozen.
///
/// # Errors
/// One sentence that says why the estimator does not support the problem, or why there is no exact gradient.
///
/// # Panics
/// If `samples` is 0, if the number of logits does not match the variables, or if the loss is not one number
/// per row.
#[track_caller]
pub fn measure(
    problem: &dyn Problem,
    estimator: &mut dyn Estimator,
    samples: usize,
    adapting_steps: usize,
    noise: &mut Noise,
) -> Result<Measurement, String> {
    measure_with(problem, estimator, samples, adapting_steps, noise, None)
}

/// Like [`measure`], and times the estimates with `clock`, which returns the time since any fixed moment. The
/// library has no clock of its own, because a browser's is not the operating system's.
///
/// ```
/// use std::time::Instant;
/// use reparam::{Noise, estimators::DisArm, lab::{Toy, measure_timed}};
///
/// let start = Instant::now();
/// let noise = &mut Noise::seed(1);
/// let found = measure_timed(&Toy::new(0.45), &mut DisArm, 10_000, 0, noise, &|| start.elapsed()).unwrap();
/// assert!(found.ns_per_gradient.unwrap() > 0.0);
/// ```
///
/// # Errors
/// The errors of [`measure`].
///
/// # Panics
/// If [`measure`] would panic.
#[track_caller]
pub fn measure_timed(
    problem: &dyn Problem,
    estimator: &mut dyn Estimator,
    samples: usize,
    adapting_steps: usize,
    noise: &mut Noise,
    clock: &dyn Fn() -> Duration,
) -> Result<Measurement, String> {
    measure_with(problem, estimator, samples, adapting_steps, noise, Some(clock))
}

#[track_caller]
fn measure_with(
    problem: &dyn Problem,
    estimator: &mut dyn Estimator,
    samples: usize,
    adapting_steps: usize,
    noise: &mut Noise,
    clock: Option<&dyn Fn() -> Duration>,
) -> Result<Measurement, String> {
    assert!(samples > 0, "measure: at least one estimate is needed, found 0; 10000 is usual");
    check_logits(problem);
    estimator.check(problem.variables())?;
    let exact = problem.exact_gradient(estimator.objective())?;
    let mut tape = Tape::new();
    if estimator.adapts() {
        for _ in 0..adapting_steps {
            run(problem, estimator, &mut tape, ADAPTING_ROWS, noise);
        }
    }
    estimator.freeze();

    let at_once = (ELEMENTS / problem.variables().elements()).clamp(1, samples.max(1));
    let mut sums = Sums::new(&exact, samples);
    let mut evaluations = 0;
    // The first run allocates the tape's buffers.
    run(problem, estimator, &mut tape, at_once, noise);
    let mut time = Duration::ZERO;
    while sums.count < samples {
        let rows = at_once.min(samples - sums.count);
        let begin = clock.map(|clock| clock());
        let batch = run(problem, estimator, &mut tape, rows, noise);
        if let (Some(clock), Some(begin)) = (clock, begin) {
            time += clock().saturating_sub(begin);
        }
        evaluations += batch.evaluations * rows;
        sums.losses += batch.loss;
        batch.estimates.chunks_exact(exact.len()).for_each(|estimate| sums.add(estimate));
    }
    let ns_per_gradient = clock.map(|_| time.as_nanos() as f64 / samples as f64);
    Ok(Measurement { ns_per_gradient, ..sums.summary(problem, estimator, evaluations as f64) })
}

struct Batch {
    /// The gradients of the logits, row after row.
    estimates: Vec<f32>,
    evaluations: usize,
    /// The sum of the losses' absolute values.
    loss: f64,
}

/// Makes one call for `rows` independent estimates.
#[track_caller]
fn run(
    problem: &dyn Problem,
    estimator: &mut dyn Estimator,
    tape: &mut Tape,
    rows: usize,
    noise: &mut Noise,
) -> Batch {
    let (estimates, size);
    let mut evaluations = 0;
    {
        let logits = logits(problem, tape, rows);
        let loss = estimator.estimate(logits, noise, |z, _| {
            evaluations += 1;
            problem.loss(z)
        });
        size = loss.value().iter().map(|&loss| f64::from(loss).abs()).sum();
        let gradients = loss.sum().gradients_if_any();
        estimates = match gradients.of(logits.var()) {
            Some(gradient) => gradient.to_vec(),
            None => vec![0.0; logits.var().shape().len()],
        };
    }
    tape.reset();
    Batch { estimates, evaluations, loss: size }
}

/// Running sums over estimates.
struct Sums<'a> {
    exact: &'a [f64],
    /// The direction of the exact gradient; any direction if that is 0.
    direction: Vec<f64>,
    count: usize,
    /// Sums of the differences from the exact gradient, batch by batch, and of their squares, so that nothing
    /// cancels.
    spread: Spread,
    squares: Vec<f64>,
    size: f64,
    losses: f64,
    cosines: f64,
    cosine_count: usize,
    projections: Vec<f32>,
}

impl<'a> Sums<'a> {
    fn new(exact: &'a [f64], samples: usize) -> Sums<'a> {
        let length = norm(exact);
        let direction = match length > 0.0 {
            true => exact.iter().map(|g| g / length).collect(),
            false => (0..exact.len()).map(|i| f64::from(i == 0)).collect(),
        };
        Sums {
            exact,
            direction,
            count: 0,
            spread: Spread::new(exact.len(), samples),
            squares: vec![0.0; exact.len()],
            size: 0.0,
            losses: 0.0,
            cosines: 0.0,
            cosine_count: 0,
            projections: Vec::with_capacity(samples),
        }
    }

    fn add(&mut self, estimate: &[f32]) {
        let misses = self.spread.batch(self.count);
        self.count += 1;
        let (mut projection, mut square) = (0.0, 0.0);
        for (i, &g) in estimate.iter().enumerate() {
            let g = f64::from(g);
            let miss = g - self.exact[i];
            misses[i] += miss;
            self.squares[i] += miss * miss;
            projection += g * self.direction[i];
            square += g * g;
        }
        self.size += square;
        if square > 0.0 {
            self.cosines += projection / square.sqrt();
            self.cosine_count += 1;
        }
        self.projections.push(projection as f32);
    }

    /// The measurement, given the evaluations that all estimates took.
    fn summary(self, problem: &dyn Problem, estimator: &dyn Estimator, evaluations: f64) -> Measurement {
        let n = self.count as f64;
        let (misses, deviations) = self.spread.mean_and_deviations();
        let variances: Vec<f64> = self
            .squares
            .iter()
            .zip(&misses)
            .map(|(square, miss)| square / n - miss * miss)
            // Rounding may take it below 0. `max` would turn a NaN into 0.
            .map(|variance| if variance < 0.0 { 0.0 } else { variance * n / (n - 1.0).max(1.0) })
            .collect();
        let variance = variances.iter().sum::<f64>();
        let bias: f64 = misses.iter().zip(&self.direction).map(|(miss, d)| miss * d).sum();
        let bias_standard_error = standard_error(&self.projections);
        let rounding = ROUNDING * (self.size / n).sqrt() + ROUNDING_OF_LOSS * self.losses / n;
        let z = |(miss, error): (f64, f64)| (miss.abs() - rounding).max(0.0) / error;
        let standard_errors = variances.iter().map(|variance| (variance / n).sqrt());
        let worst_z = misses.iter().copied().zip(standard_errors).chain([(bias, bias_standard_error)]).map(z);
        let worst_z = worst_z.filter(|z| !z.is_nan()).fold(0.0, f64::max);
        let z_bound = z_bound(comparisons(misses.len()));
        let mean: Vec<f64> = misses.iter().zip(self.exact).map(|(miss, exact)| exact + miss).collect();
        let polar = Polar::of(&mean, self.exact, &deviations);
        let (square, square_error) = deviations.squared_length(&misses, variance / n);
        Measurement {
            problem: problem.name(),
            estimator: estimator.name(),
            samples: self.count,
            bias,
            bias_standard_error,
            length: polar.length,
            length_standard_error: polar.length_error,
            direction_cosine: polar.cosine,
            direction_cosine_standard_error: polar.cosine_error,
            variance,
            cosine: if self.cosine_count > 0 { self.cosines / self.cosine_count as f64 } else { 0.0 },
            evaluations: evaluations / n,
            ns_per_gradient: None,
            worst_z,
            z_bound,
            // A NaN agrees with nothing.
            agrees: worst_z <= z_bound && !bias.is_nan(),
            claims_unbiased: estimator.is_unbiased(),
            mean,
            exact: self.exact.to_vec(),
            projections: self.projections,
            square,
            square_error,
        }
    }
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

/// The standard error of a mean.
fn standard_error(x: &[f32]) -> f64 {
    let n = x.len() as f64;
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let square = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
    (square / (n - 1.0).max(1.0) / n).sqrt()
}

/// The numbers that `worst_z` is the largest of: the components and the projection, which are one in one
/// dimension.
pub(super) fn comparisons(components: usize) -> usize {
    if components == 1 { 1 } else { components + 1 }
}

/// The z-score that the largest of `components` exceeds with at most the probability that a single one
/// exceeds 4 (6.3e-5), from the union bound and P(|Z| > z) < 2 phi(z) / z.
pub fn z_bound(components: usize) -> f64 {
    let tail = |z: f64| 2.0 * (-0.5 * z * z).exp() / ((2.0 * std::f64::consts::PI).sqrt() * z);
    let allowed = tail(BIAS_BOUND) / components.max(1) as f64;
    let (mut low, mut high) = (BIAS_BOUND - 1.0, 40.0);
    while high - low > 1e-9 {
        let middle = 0.5 * (low + high);
        if tail(middle) > allowed { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_grows_with_the_number_of_components() {
        assert!((z_bound(1) - 4.0).abs() < 1e-6);
        // 6.7e-5 / 100 is exceeded on both sides beyond 4.97.
        assert!((z_bound(100) - 4.97).abs() < 0.02, "{}", z_bound(100));
    }
}
