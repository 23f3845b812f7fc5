//! The multi-sample bound that evaluates every model with latent variables.

use crate::tape::Tape;
use crate::var::Var;

/// The bounds of one image from hard samples, in nats.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HardBound {
    /// -ELBO, the mean over the samples of -ln w, or of a term with the divergence in closed form if the
    /// model has one.
    pub negative_elbo: Drawn,
    /// The bound of all samples on -ln p.
    pub nll: Drawn,
}

impl HardBound {
    /// The bound of a model that sums over its states, or has none, so that nothing is sampled.
    pub fn exact(nll: f64) -> HardBound {
        let exact = Drawn { value: nll, variance: Some(0.0) };
        HardBound { negative_elbo: exact, nll: exact }
    }
}

/// A number that depends on draws.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Drawn {
    /// The number.
    pub value: f64,
    /// An estimate of its variance over the draws; `None` from a single draw.
    pub variance: Option<f64>,
}

impl Drawn {
    /// The mean of some draws, and its variance from theirs.
    pub(super) fn mean(draws: impl ExactSizeIterator<Item = f64> + Clone) -> Drawn {
        let count = draws.len() as f64;
        let value = draws.clone().sum::<f64>() / count;
        let squares: f64 = draws.map(|draw| (draw - value).powi(2)).sum();
        Drawn { value, variance: (count > 1.0).then(|| squares / (count - 1.0) / count) }
    }
}

/// Bounds per image, in nats, from m = `samples` rounds. `log_weights(round, out)` writes ln w of a fresh
/// sample for each image. The bound is -ln(1/m sum_k w_k), and -ELBO is the mean of -ln w_k. With w = p(x, z)
/// / q(z | x) the bound is an upper bound on -ln p(x) in expectation, which gets tighter with more samples;
/// with w = p(y | z), z drawn from p(z | x), it is an upper bound on -ln p(y | x). The variance of the bound
/// is the jackknife's, which is too low if few samples carry the weight.
///
/// # Panics
/// If `samples` is 0.
///
/// # Source
/// Burda, Grosse, Salakhutdinov 2016, equation 8; B. Efron, C. Stein, "The Jackknife Estimate of
/// Variance", 1981.
#[track_caller]
pub fn multi_sample_bound(
    images: usize,
    samples: usize,
    mut log_weights: impl FnMut(usize, &mut [f64]),
) -> Vec<HardBound> {
    assert!(samples > 0, "a bound of several samples: at least one is needed, found 0");
    let mut all = vec![0.0; samples * images];
    for (round, of_round) in all.chunks_exact_mut(images.max(1)).enumerate() {
        log_weights(round, of_round);
    }
    let mut of_image = vec![0.0; samples];
    let bound = |image: usize| {
        for (log_weight, of_round) in of_image.iter_mut().zip(all.chunks_exact(images)) {
            *log_weight = of_round[image];
        }
        let LogMean { value, variance } = LogMean::of(&of_image);
        let nll = Drawn { value: -value, variance };
        HardBound { negative_elbo: Drawn::mean(of_image.iter().map(|log_weight| -log_weight)), nll }
    };
    (0..images).map(bound).collect()
}

/// Like [`multi_sample_bound`], from losses -ln w `[images]` that each round records on the tape.
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

/// ln of the mean of e^value, and the jackknife's estimate of its variance; `None` for a single value.
struct LogMean {
    value: f64,
    variance: Option<f64>,
}

impl LogMean {
    fn of(values: &[f64]) -> LogMean {
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            // All weights are 0. Their differences would be NaN.
            return LogMean { value: largest, variance: (values.len() > 1).then_some(0.0) };
        }
        let weight = |value: &f64| (value - largest).exp();
        let (sum, count) = (values.iter().map(weight).sum::<f64>(), values.len() as f64);
        let value = largest + (sum / count).ln();
        LogMean { value, variance: (values.len() > 1).then(|| jackknife(values.iter().map(weight), sum)) }
    }
}

/// (n - 1)/n sum_k (t_k - mean of t)^2 over the logarithms t_k of sums that leave the k-th of n weights out.
fn jackknife(weights: impl Iterator<Item = f64> + Clone, sum: f64) -> f64 {
    // The largest weight is 1. Taken from a sum that it makes up almost alone, it would leave rounding
    // errors.
    let largest = weights.clone().position(|weight| weight == 1.0);
    let others: f64 = weights.clone().enumerate().filter(|&(k, _)| Some(k) != largest).map(|(_, w)| w).sum();
    let without =
        weights.enumerate().map(|(k, weight)| if Some(k) == largest { others } else { sum - weight });
    let logs: Vec<f64> = without.map(f64::ln).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    if mean == f64::NEG_INFINITY {
        // One sample has all the weight.
        return f64::INFINITY;
    }
    let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
    squares * (logs.len() as f64 - 1.0) / logs.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_mean_is_the_log_of_the_mean() {
        let mean = LogMean::of(&[-1000.0, -1001.0, -999.5]);
        let expected = -1000.0 + ((1.0 + (-1.0f64).exp() + 0.5f64.exp()) / 3.0).ln();
        assert!((mean.value - expected).abs() < 1e-12);
    }

    /// Computed by leaving out each value in turn; one of the weights is e^50 times the others.
    #[test]
    fn the_variance_of_a_log_mean_is_the_jackknifes() {
        for values in [vec![-1.0, -2.5, -0.5], vec![3.0, 4.0], vec![50.0, 0.0, -1.0, 0.5]] {
            let count = values.len() as f64;
            let without = |k: usize| {
                let mut others = values.clone();
                others.remove(k);
                LogMean::of(&others).value
            };
            let logs: Vec<f64> = (0..values.len()).map(without).collect();
            let mean = logs.iter().sum::<f64>() / count;
            let expected = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() * (count - 1.0) / count;
            let variance = LogMean::of(&values).variance.unwrap();
            assert!((variance / expected - 1.0).abs() < 1e-12, "{values:?}: {variance}, expected {expected}");
        }
        assert_eq!(LogMean::of(&[1.0]).variance, None);
        assert_eq!(LogMean::of(&[1.0, f64::NEG_INFINITY]).variance, Some(f64::INFINITY));
    }

    #[test]
    fn the_negative_elbo_is_a_mean_over_the_samples() {
        let log_weights = [[-1.0, -5.0], [-2.0, -5.0], [-6.0, -5.0]];
        let bounds = multi_sample_bound(2, 3, |round, out| out.copy_from_slice(&log_weights[round]));
        assert_eq!(bounds[0].negative_elbo, Drawn { value: 3.0, variance: Some(7.0 / 3.0) });
        assert_eq!(bounds[1], HardBound::exact(5.0));
        let single = multi_sample_bound(1, 1, |_, out| out[0] = -2.0)[0];
        assert_eq!(single.negative_elbo, Drawn { value: 2.0, variance: None });
        assert_eq!(single.nll, single.negative_elbo);
    }

    #[test]
    #[should_panic = "at least one is needed, found 0"]
    fn a_bound_of_no_sample_panics() {
        multi_sample_bound(1, 0, |_, _| {});
    }

    #[test]
    fn a_sample_of_weight_0_counts_as_a_sample() {
        let nothing = f64::NEG_INFINITY;
        assert_eq!(LogMean::of(&[nothing, nothing]).value, nothing);
        let mean = LogMean::of(&[nothing, -1.0, nothing, -1.0]);
        assert!((mean.value - (-1.0 - 2f64.ln())).abs() < 1e-12, "{}", mean.value);
    }
}
