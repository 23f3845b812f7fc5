//! Timing with many short samples, on a machine that also does other things.

use std::time::{Duration, Instant};

/// The time of one call, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// The fastest sample, which is the time of the undisturbed work.
    pub(crate) min: f64,
    /// The median sample.
    pub(crate) median: f64,
    /// The distance between the quartiles over the median, a measure of disturbance.
    pub(crate) spread: f64,
}

/// A sample shorter than this consists of several calls.
const SHORTEST_SAMPLE: Duration = Duration::from_micros(100);
const FEWEST_SAMPLES: usize = 7;

/// Calls `work` repeatedly for about `budget`, after at least one call and a tenth of that time to warm up.
pub(crate) fn time(budget: Duration, mut work: impl FnMut()) -> Timing {
    let begin = Instant::now();
    let mut calls = 0u32;
    while calls == 0 || begin.elapsed() < budget / 10 {
        work();
        calls += 1;
    }
    let once = begin.elapsed() / calls;
    let calls = (SHORTEST_SAMPLE.as_nanos() / once.as_nanos().max(1) + 1) as u32;
    let mut samples = Vec::new();
    let begin = Instant::now();
    while samples.len() < FEWEST_SAMPLES || begin.elapsed() < budget {
        let begin = Instant::now();
        for _ in 0..calls {
            work();
        }
        samples.push(begin.elapsed().as_nanos() as f64 / f64::from(calls));
    }
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples[(share * (samples.len() - 1) as f64).round() as usize];
    Timing { min: samples[0], median: at(0.5), spread: (at(0.75) - at(0.25)) / at(0.5) }
}

/// A checksum of the bits of a result, equal for equal results on every tier and thread count.
pub(crate) fn checksum(values: &[f32]) -> u64 {
    values.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, value| {
        (sum ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3)
    })
}
