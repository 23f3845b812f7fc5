//! A learned baseline and a normalisation, which lower the variance of a learning signal.

use super::learned::{Learned, declare_network, network};
use super::moving_average::MovingAverage;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::params::Params;
use crate::var::Var;
use crate::variables::{Logits, Variables};

/// Reduces a signal s to (s - C(p) - c) / max(1, v). C is a network with one hidden layer of tanh units,
/// trained here on the squared residual; c is a moving average of s - C(p), and v^2 its moving variance. C
/// reads only the probabilities p, which carry the model's input, so that the baseline of any layer needs
/// nothing else.
#[derive(Debug)]
pub(super) struct Baseline {
    /// Divides by max(1, v) if true.
    pub(super) normalise: bool,
    frozen: bool,
    average: MovingAverage,
    variance: MovingAverage,
    /// Made when the size of a row is known.
    network: Option<Learned>,
}

/// Hidden units of the network.
const HIDDEN: usize = 100;
const LEARNING_RATE: f64 = 1e-3;
/// The decay of both moving averages.
const DECAY: f64 = 0.9;

fn new_network(variables: Variables) -> Learned {
    let mut params = Params::new();
    declare_network(&mut params, variables.elements(), HIDDEN);
    Learned::new(Some(variables.elements()), params, LEARNING_RATE)
}

impl Baseline {
    pub(super) fn new(normalise: bool) -> Baseline {
        let average = MovingAverage::new(DECAY);
        Baseline { normalise, frozen: false, variance: average.clone(), average, network: None }
    }

    /// Checks that the network, if there is one yet, has learned on rows of the same length.
    pub(super) fn check(&self, variables: Variables) -> std::result::Result<(), String> {
        Learned::check(self.network.as_ref(), variables)
    }

    /// Returns the reduced learning signal, from a constant `signal` per row.
    pub(super) fn reduce<'t>(&mut self, signal: Var<'t>, logits: Logits<'t>) -> Var<'t> {
        let (tape, variables) = (signal.tape(), logits.variables());
        let learned = self.network.get_or_insert_with(|| new_network(variables));
        let copies = learned.on(tape);
        let left = signal - network(&copies, logits.probs().stop_gradient());
        let average = self.average.next(&left.value());
        let residual = left - average;
        let squares: Vec<f32> = residual.value().iter().map(|r| r * r).collect();
        let deviation = self.variance.next(&squares).sqrt();
        if !self.frozen && tape.is_recording() {
            learned.step(&copies, &residual.square().mean().backward());
        }
        let scale = if self.normalise { deviation.max(1.0) } else { 1.0 };
        residual.stop_gradient() / scale
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = true;
        self.average.freeze();
        self.variance.freeze();
    }

    pub(super) fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        self.average.save(&format!("{prefix}average"), checkpoint);
        self.variance.save(&format!("{prefix}variance"), checkpoint);
        Learned::save(self.network.as_ref(), prefix, checkpoint);
    }

    pub(super) fn restore(
        &mut self,
        prefix: &str,
        variables: Variables,
        checkpoint: &Checkpoint,
    ) -> Result<()> {
        let (mut average, mut variance) = (self.average.clone(), self.variance.clone());
        average.restore(&format!("{prefix}average"), checkpoint)?;
        variance.restore(&format!("{prefix}variance"), checkpoint)?;
        self.network = Learned::restore(|| new_network(variables), prefix, checkpoint)?;
        (self.average, self.variance) = (average, variance);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;

    /// The network starts at 0 and takes steps of 1e-3, so it subtracts less than 0.2 from the second batch.
    #[test]
    fn a_signal_loses_the_mean_before_it_and_is_divided_by_the_root_of_the_variance_before_it() {
        for normalise in [false, true] {
            let mut baseline = Baseline::new(normalise);
            let tape = Tape::new();
            let variable = Logits::bits(tape.variable(&[0.3, -0.2], [2, 1]));
            let mut reduce = |signal: [f32; 2]| baseline.reduce(tape.input(&signal, [2]), variable).to_vec();
            assert_eq!(reduce([10.0, 30.0]), [10.0, 30.0]);
            // The mean was 20, the mean square 500.
            let scale = if normalise { 500f32.sqrt() } else { 1.0 };
            for (left, expected) in reduce([50.0, -50.0]).iter().zip([30.0, -70.0]) {
                assert!((left * scale - expected).abs() < 0.2, "{left} times {scale}, expected {expected}");
            }
        }
    }

    /// The rows' signals differ, so no average over them is a baseline for both.
    #[test]
    fn the_network_learns_what_the_average_cannot() {
        let mut baseline = Baseline::new(false);
        let mut left = Vec::new();
        for _ in 0..3000 {
            let tape = Tape::new();
            let variable = Logits::bits(tape.variable(&[2.0, -2.0], [2, 1]));
            left = baseline.reduce(tape.input(&[5.0, -5.0], [2]), variable).to_vec();
        }
        assert!(left.iter().all(|left| left.abs() < 0.5), "{left:?} of 5");
    }

    #[test]
    fn a_signal_of_nan_teaches_nothing() {
        let mut baseline = Baseline::new(false);
        let tape = Tape::new();
        let variable = Logits::bits(tape.variable(&[2.0, -2.0], [2, 1]));
        baseline.reduce(tape.input(&[f32::NAN, 1.0], [2]), variable);
        let params = &baseline.network.expect("it was made").params;
        assert!(params.ids().all(|id| params.value(id).iter().all(|weight| weight.is_finite())));
    }
}
