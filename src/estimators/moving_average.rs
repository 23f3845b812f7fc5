//! A moving average, the simplest baseline.

use crate::checkpoint::Checkpoint;
use crate::error::Result;

/// A moving average of numbers that come in batches.
#[derive(Clone, Debug)]
pub(super) struct MovingAverage {
    decay: f64,
    /// The weighted sum of means, and the sum of weights. Their quotient is not biased towards 0 at the
    /// start.
    sum: f64,
    weight: f64,
    frozen: bool,
}

impl MovingAverage {
    #[track_caller]
    pub(super) fn new(decay: f64) -> MovingAverage {
        assert!(
            (0.0..1.0).contains(&decay),
            "moving-average: the decay must be from 0 to below 1, it is {decay}; 0.99 is usual"
        );
        MovingAverage { decay, sum: 0.0, weight: 0.0, frozen: false }
    }

    /// Returns the average so far, 0 at first, and then includes the mean of `batch` if it is finite.
    pub(super) fn next(&mut self, batch: &[f32]) -> f32 {
        let average = if self.weight > 0.0 { self.sum / self.weight } else { 0.0 };
        let mean = batch.iter().map(|&x| f64::from(x)).sum::<f64>() / batch.len() as f64;
        // One loss that is not finite, or no loss, would spoil it for good.
        if !self.frozen && mean.is_finite() {
            self.sum = self.decay * self.sum + (1.0 - self.decay) * mean;
            self.weight = self.decay * self.weight + (1.0 - self.decay);
        }
        average as f32
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = true;
    }

    pub(super) fn save(&self, key: &str, checkpoint: &mut Checkpoint) {
        checkpoint.set_numbers(key, &[self.sum, self.weight]);
    }

    pub(super) fn restore(&mut self, key: &str, checkpoint: &Checkpoint) -> Result<()> {
        [self.sum, self.weight] = checkpoint.get_array(key)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_is_not_finite_is_passed_over() {
        let mut average = MovingAverage::new(0.9);
        assert_eq!(average.next(&[2.0, 4.0]), 0.0);
        for bad in [f32::NAN, f32::INFINITY] {
            assert_eq!(average.next(&[bad, 1.0]), 3.0);
        }
        assert_eq!(average.next(&[]), 3.0);
        assert_eq!(average.next(&[5.0]), 3.0);
        assert!((average.next(&[0.0]) - (0.9 * 3.0 + 5.0) / 1.9).abs() < 1e-6);
    }
}
