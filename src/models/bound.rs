//! The multi-sample bound, with which every model with latent variables is evaluated.

use crate::tape::Tape;
use crate::var::Var;

/// The bounds of one image from hard samples, in nats.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HardBound {
    /// -ELBO from a single sample: -ln w, or with the divergence in closed form where the model has one.
    pub negative_elbo: f64,
    /// The bound of all samples on -ln p.
    pub nll: f64,
}

/// -ln(1/m sum_k w_k) per image, in nats, over m = `samples` rounds, and -ln w of the first round. `log_weights(round, out)`
/// writes ln w of a fresh sample for each image. With w = p(x, z) / q(z | x) it is an upper bound on -ln p(x) in expectation,
/// which gets tighter with more samples; with w = p(y | z), z drawn from p(z | x), an upper bound on -ln p(y | x).
///
/// # Panics
/// If `samples` is 0.
///
/// # Source
/// Burda, Grosse, Salakhutdinov 2016, equation 8.
#[track_caller]
pub fn multi_sample_bound(
    images: usize,
    samples: usize,
    mut log_weights: impl FnMut(usize, &mut [f64]),
) -> Vec<HardBound> {
    assert!(samples > 0, "a bound of several samples: at least one is needed, found 0");
    let mut means = vec![LogMean::default(); images];
    let mut of_round = vec![0.0; images];
    let mut first = Vec::new();
    for round in 0..samples {
        log_weights(round, &mut of_round);
        for (mean, &log_weight) in means.iter_mut().zip(&of_round) {
            mean.add(log_weight);
        }
        if round == 0 {
            first.clone_from(&of_round);
        }
    }
    let bound =
        |(mean, log_weight): (LogMean, f64)| HardBound { negative_elbo: -log_weight, nll: -mean.value() };
    means.into_iter().zip(first).map(bound).collect()
}

/// The same, from losses -ln w `[images]` that each round records on the tape.
#[track_caller]
pub(super) fn bound_on(
    tape: &mut Tape,
    images: usize,
    samples: usize,
    mut losses: impl for<'t> FnMut(&'t Tape) -> Var<'t>,
) -> Vec<HardBound> {
    multi_sample_bound(images, samples, |_, out| {
        for (out, &loss) in out.iter_mut().zip(&losses(tape).value()[..]) {
            *out = -f64::from(loss);
        }
        tape.reset();
    })
}

/// ln of the mean of e^value over values that arrive one by one.
#[derive(Clone, Copy)]
struct LogMean {
    largest: f64,
    sum: f64,
    count: f64,
}

impl Default for LogMean {
    fn default() -> LogMean {
        LogMean { largest: f64::NEG_INFINITY, sum: 0.0, count: 0.0 }
    }
}

impl LogMean {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if value == f64::NEG_INFINITY {
            // Nothing to add, and its difference to another such value would be NaN.
            return;
        }
        if value > self.largest {
            self.sum = self.sum * (self.largest - value).exp() + 1.0;
            self.largest = value;
        } else {
            self.sum += (value - self.largest).exp();
        }
    }

    fn value(self) -> f64 {
        self.largest + (self.sum / self.count).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_mean_is_the_log_of_the_mean() {
        let mut mean = LogMean::default();
        for value in [-1000.0, -1001.0, -999.5] {
            mean.add(value);
        }
        let expected = -1000.0 + ((1.0 + (-1.0f64).exp() + 0.5f64.exp()) / 3.0).ln();
        assert!((mean.value() - expected).abs() < 1e-12);
    }

    #[test]
    #[should_panic = "at least one is needed, found 0"]
    fn a_bound_of_no_sample_panics() {
        multi_sample_bound(1, 0, |_, _| {});
    }

    #[test]
    fn a_sample_of_weight_0_counts_as_a_sample() {
        let mut mean = LogMean::default();
        mean.add(f64::NEG_INFINITY);
        assert_eq!(mean.value(), f64::NEG_INFINITY);
        for value in [-1.0, f64::NEG_INFINITY, -1.0] {
            mean.add(value);
        }
        assert!((mean.value() - (-1.0 - 2f64.ln())).abs() < 1e-12, "{}", mean.value());
    }
}
