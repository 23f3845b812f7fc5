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

    /// The standard error of the mean; 0 for a single loss.
    pub(super) fn standard_error(self) -> f64 {
        let variance = (self.square - self.sum * self.mean()) / (self.count - 1.0).max(1.0);
        // Rounding may take it below 0. `max` would turn a NaN into 0.
        if variance < 0.0 { 0.0 } else { (variance / self.count).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_is_that_of_the_mean() {
        let mut moments = Moments::default();
        moments.add(1.0);
        assert_eq!((moments.mean(), moments.standard_error()), (1.0, 0.0));
        moments.add(2.0);
        moments.add(6.0);
        // Squared differences of 4, 1 and 9, divided by 2 and by 3.
        assert_eq!(moments.mean(), 3.0);
        assert!((moments.standard_error() - (14.0f64 / 6.0).sqrt()).abs() < 1e-12);
    }
}
