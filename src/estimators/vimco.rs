//! VIMCO: the score-function estimator of the multi-sample bound.

use super::layers::Form;
use super::leave_one_out::at_least_two;
use super::registry::Entry;
use super::{Estimator, MultiSample, Objective, Trial, demand};
use crate::var::Var;
use crate::variables::Variables;

/// The gradient of E\[L\] with L = -ln(1/K sum_k w_k) and w_k = e^-f(z_k). The score of each sample is
/// multiplied by L minus the value of L when that sample's weight is replaced by the geometric mean of the
/// others. The pathwise gradient is shared among the samples in proportion to their weights. The value is L.
///
/// With f = ln q(z | x) - ln p(x, z), this trains the importance-weighted bound. All of f belongs to the
/// loss, because a divergence outside it would belong to another objective, and ln q counts as a function of
/// the logits. An estimator inside the closure is biased, because L is not linear in f.
///
/// A loss may be +inf. Its sample then has weight 0 and is left out of the geometric means. A row whose
/// samples all have weight 0 has L = inf, and a loss of -inf makes L = -inf. Such rows give no learning
/// signal.
///
/// # Source
/// A. Mnih, D. Rezende, "Variational Inference for Monte Carlo Objectives", ICML 2016, equations 8 to 10.
#[derive(Clone, Copy, Debug)]
pub struct Vimco {
    samples: usize,
}

pub(super) const ENTRIES: &[Entry] = &[Entry {
    form: "vimco:K",
    type_name: "Vimco",
    summary: "the bound of K samples, with the score function and a baseline for each sample",
    variables: "both",
    unbiased: "yes, for that bound",
    evaluations: "K",
    usual: &["vimco:2"],
    make: |parameters| Ok(Box::new(Vimco { samples: parameters.count(0)? })),
}];

impl Vimco {
    /// Uses `samples` samples, at least 2.
    ///
    /// # Panics
    /// If `samples` is below 2.
    #[track_caller]
    pub fn new(samples: usize) -> Vimco {
        demand("Vimco::new", at_least_two(samples));
        Vimco { samples }
    }

    /// L of each row `[rows]` with its gradient, from the log-weights and the log-probabilities of the
    /// samples, both `[rows, samples]`. The samples may be of several layers.
    ///
    /// # Panics
    /// If the shapes differ or there are fewer than two samples.
    #[track_caller]
    pub fn bound<'t>(log_weights: Var<'t>, log_probs: Var<'t>) -> Var<'t> {
        let shape = log_weights.shape();
        assert!(
            shape == log_probs.shape() && shape.rank() == 2 && shape.classes() > 1,
            "Vimco::bound: log-weights and log-probabilities must be [rows, samples] with two samples or more, they are {shape} \
             and {}",
            log_probs.shape()
        );
        let samples = shape.classes();
        let bound = (samples as f32).ln() - log_weights.logsumexp();
        let signals = learning_signals(&log_weights.value(), samples);
        let score = (log_weights.tape().input(&signals, shape) * log_probs).sum_axis(1);
        bound.with_gradient_of(bound + score)
    }
}

impl Estimator for Vimco {
    fn name(&self) -> String {
        format!("vimco:{}", self.samples)
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn objective(&self) -> Objective {
        Objective::MultiSample(MultiSample::unchecked(self.samples, Form::Discrete))
    }

    fn check(&self, _variables: Variables) -> Result<(), String> {
        at_least_two(self.samples)
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let rows = trial.logits().rows();
        let samples: Vec<Var<'t>> = (0..self.samples).map(|_| trial.sample()).collect();
        let columns: Vec<Var<'t>> = samples.iter().map(|&z| trial.loss(z).reshape([rows, 1])).collect();
        let log_probs: Vec<Var<'t>> = samples.iter().map(|&z| trial.log_prob(z).reshape([rows, 1])).collect();
        Vimco::bound(-Var::concat(&columns, 1), Var::concat(&log_probs, 1))
    }
}

/// For each sample of each row, L minus its value when the sample's log-weight is replaced by the mean of the
/// others'.
///
/// A baseline may be anything that does not depend on its sample. So the mean leaves out weights of 0, and if
/// no other weight is left, the weight 1 stands in. A row whose L is infinite has the signals 0.
fn learning_signals(log_weights: &[f32], k: usize) -> Vec<f32> {
    let mut signals = Vec::with_capacity(log_weights.len());
    for row in log_weights.chunks_exact(k) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if largest.is_infinite() && !row.iter().any(|log_w| log_w.is_nan()) {
            signals.extend(std::iter::repeat_n(0.0, k));
            continue;
        }
        // We subtract the largest, so that the difference of two bounds keeps its digits.
        let row: Vec<f64> = row.iter().map(|&log_w| f64::from(log_w) - f64::from(largest)).collect();
        let all = logsumexp(row.iter().copied());
        for sample in 0..k {
            let others = row.iter().enumerate().filter(|&(i, &w)| i != sample && w != f64::NEG_INFINITY);
            let (sum, count) = others.fold((0.0, 0.0), |(sum, count), (_, w)| (sum + w, count + 1.0));
            let stand_in = if count > 0.0 { sum / count } else { -f64::from(largest) };
            let replaced = row.iter().enumerate().map(|(i, &w)| if i == sample { stand_in } else { w });
            signals.push((logsumexp(replaced) - all) as f32);
        }
    }
    signals
}

fn logsumexp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + terms.map(|term| (term - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L of the weights 1, 2, 4 is -ln(7/3); the geometric mean of two of them stands in for the third.
    #[test]
    fn a_sample_is_compared_with_the_geometric_mean_of_the_others() {
        let signals = learning_signals(&[0.0, 2f32.ln(), 4f32.ln()], 3);
        let expected = [(8f64.sqrt() + 6.0) / 7.0, 1.0, (3.0 + 2f64.sqrt()) / 7.0].map(f64::ln);
        for (signal, expected) in signals.iter().zip(expected) {
            assert!((f64::from(*signal) - expected).abs() < 1e-6, "{signals:?}, expected {expected:?}");
        }
    }
}
