//! Measurements of estimators by name, and of a family at every temperature.

use super::{Measurement, Problem, measure};
use crate::estimators::parse;
use crate::noise::Noise;

/// The temperatures of a sweep.
const TAUS: [f32; 9] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 4.0];

/// Measures the named estimator without letting it adapt first; `None` if it does not support the problem.
///
/// # Panics
/// If there is no such name.
#[track_caller]
pub fn measure_named(problem: &dyn Problem, name: &str, samples: usize, seed: u64) -> Option<Measurement> {
    let Ok(mut estimator) = parse(name) else {
        panic!("`{name}` is not an estimator; see estimators::entries")
    };
    measure(problem, estimator.as_mut(), samples, 0, &mut Noise::seed(seed)).ok()
}

/// Measures the estimators FAMILY:TAU of a family such as `gumbel-rao:10`, at every temperature from 0.05 to
/// 4 at which it supports the problem.
///
/// # Panics
/// If there is no such family.
#[track_caller]
pub fn sweep_temperatures(
    problem: &dyn Problem,
    family: &str,
    samples: usize,
    seed: u64,
) -> Vec<(f32, Measurement)> {
    let mut sweep = Vec::new();
    for tau in TAUS {
        let measured = measure_named(problem, &format!("{family}:{tau}"), samples, seed);
        sweep.extend(measured.map(|measurement| (tau, measurement)));
    }
    sweep
}
