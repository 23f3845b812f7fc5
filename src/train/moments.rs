//! Mean and standard error of losses that arrive one by one.

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Moments {
    pub(super) sum: f64,
    pub(super) square: f64,
    pub(super) count: f64,
}

impl Moments {
    pub(super) fn add(&mut self, loss: f64) {
        self.sum += loss;
        self.square += loss * loss;
        self.count += 1.0;
    }

    pub(super) fn mean(self) -> f64 {
        self.sum / self.count
    }

    /// Of the mean; 0 for a single loss.
    pub(super) fn standard_error(self) -> f64 {
        let variance = (self.square - self.sum * self.mean()) / (self.count - 1.0).max(1.0);
        // Rounding may take it below 0; a NaN stays, which `max` would make 0.
        if variance < 0.0 { 0.0 } else { (variance / self.count).sqrt() }
    }
}
