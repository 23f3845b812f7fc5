//! The unordered-set estimator: K different classes of one categorical variable, drawn without replacement.

use super::registry::Entry;
use super::rows::softmax_in_f64;
use super::{Estimator, Trial, demand};
use crate::noise::Noise;
use crate::var::Var;
use crate::variables::Variables;

/// The gradient sum_s dp(s) R(S, s) (f(s) - sum_s' p(s') R'(s, s') f(s')) over a set S of K classes drawn
/// without replacement. R(S, s) = P(S without s | s is gone) / P(S) corrects for the choice of S, and the
/// inner sum is a baseline of the same kind, from the distribution without s. The value is sum_s p(s) R(S, s)
/// f(s), an unbiased estimate of the loss.
///
/// With all classes it is the exact gradient, with one the score function.
///
/// # Source
/// W. Kool, H. van Hoof, M. Welling, "Estimating Gradients for Discrete Random Variables by Sampling without
/// Replacement", ICLR 2020, equations 11 and 16.
#[derive(Clone, Copy, Debug)]
pub struct UnorderedSet {
    samples: usize,
}

pub(super) const ENTRIES: &[Entry] = &[Entry {
    form: "unordered-set:K",
    type_name: "UnorderedSet",
    summary: "K samples without replacement",
    variables: "one categorical",
    unbiased: "yes",
    evaluations: "K",
    usual: &["unordered-set:2", "unordered-set:4"],
    make: |parameters| Ok(Box::new(UnorderedSet { samples: parameters.count(0)? })),
}];

impl UnorderedSet {
    /// The most samples allowed. The weights are sums over subsets of them.
    pub const MOST_SAMPLES: usize = 12;

    /// Uses `samples` different classes.
    ///
    /// # Panics
    /// If `samples` is not from 1 to [`MOST_SAMPLES`](Self::MOST_SAMPLES).
    #[track_caller]
    pub fn new(samples: usize) -> UnorderedSet {
        demand("UnorderedSet::new", check_samples(samples));
        UnorderedSet { samples }
    }
}

/// Checks the number of samples.
///
/// # Errors
/// A sentence that says how many samples are possible.
fn check_samples(samples: usize) -> Result<(), String> {
    let most = UnorderedSet::MOST_SAMPLES;
    match (1..=most).contains(&samples) {
        true => Ok(()),
        false => Err(format!("it takes 1 to {most} samples, found {samples}; use rloo:{}", samples.max(2))),
    }
}

impl Estimator for UnorderedSet {
    fn name(&self) -> String {
        format!("unordered-set:{}", self.samples)
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn check(&self, variables: Variables) -> Result<(), String> {
        let most = Self::MOST_SAMPLES;
        match variables {
            Variables::Categories { count: 1, classes } if self.samples > classes => Err(format!(
                "{} different classes cannot be drawn from {classes}; use at most unordered-set:{}",
                self.samples,
                classes.min(most)
            )),
            Variables::Categories { count: 1, .. } => check_samples(self.samples),
            _ => Err(format!(
                "it works on one categorical variable per row, and was given {variables}; use rloo:{}",
                self.samples.max(2)
            )),
        }
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let (logits, rows) = (trial.logits().var(), trial.logits().rows());
        let (tape, shape) = (logits.tape(), logits.shape());
        let (k, classes) = (self.samples, shape.classes());
        let probs = softmax_in_f64(&logits.value(), classes);
        let sets: Vec<Set> = probs.chunks_exact(classes).map(|p| Set::draw(p, k, trial.noise())).collect();

        let mut value = None;
        let mut losses = vec![0.0; rows * k];
        for sample in 0..k {
            let z = tape.input_with(shape.clone(), |z| {
                z.fill(0.0);
                for (row, set) in z.chunks_exact_mut(classes).zip(&sets) {
                    row[set.classes[sample]] = 1.0;
                }
            });
            // A class of probability 0 contributes nothing, whatever its loss.
            let impossible = || (0..rows).filter(|&row| sample >= sets[row].chosen.len());
            let f = trial.loss(z).masked_at(0.0, impossible);
            for (row, &f) in f.value().iter().enumerate() {
                losses[row * k + sample] = f64::from(f);
            }
            let weight = tape.input_with([rows], |weight| {
                weight.iter_mut().zip(&sets).for_each(|(w, set)| *w = set.weights[sample] as f32);
            });
            let term = weight * f;
            value = Some(value.map_or(term, |sum: Var<'t>| sum + term));
        }
        let estimate = tape.input_with(shape.clone(), |estimate| {
            let rows = estimate.chunks_exact_mut(classes).zip(probs.chunks_exact(classes));
            for ((estimate, p), (set, losses)) in rows.zip(sets.iter().zip(losses.chunks_exact(k))) {
                set.gradient(p, losses, estimate);
            }
        });
        value.expect("at least one sample").with_logits_gradient(logits, estimate)
    }
}

/// Different classes of one row, with their weights.
struct Set {
    /// The K classes. Classes of probability 0, such as masked ones, come last.
    classes: Vec<usize>,
    /// The probabilities of the others.
    chosen: Vec<f64>,
    /// The probability of all classes that were not drawn.
    others: f64,
    /// p(s) R(S, s), for all K.
    weights: Vec<f64>,
}

impl Set {
    /// Draws the `k` classes of largest ln p + g, which is a draw without replacement.
    fn draw(p: &[f64], k: usize, noise: &mut Noise) -> Set {
        let mut scores: Vec<(f64, usize)> = noise
            .draws(p.len())
            .zip(p)
            .enumerate()
            .map(|(class, (draw, p))| (p.ln() + f64::from(reparam_ops::draw::gumbel(draw)), class))
            .collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        let order = || scores.iter().map(|&(_, class)| class);
        // A NaN is kept and reaches the loss.
        let chosen: Vec<f64> = order().take(k).map(|class| p[class]).filter(|&p| p != 0.0).collect();
        // The sum over the remaining classes, never 1 minus the drawn ones, so that nothing cancels.
        let others = order().skip(k).map(|class| p[class]).sum();
        let all = set_probability(&chosen, others);
        let mut weights: Vec<f64> = (0..chosen.len())
            .map(|s| chosen[s] * set_probability(&without(&chosen, s), others) / all)
            .collect();
        weights.resize(k, 0.0);
        Set { classes: order().take(k).collect(), chosen, others, weights }
    }

    /// Writes the gradient of the row's logits: sum over s of p(s) R(S, s) (f(s) - baseline of s) (one-hot of
    /// s - p).
    fn gradient(&self, p: &[f64], losses: &[f64], out: &mut [f32]) {
        let mut gradient = vec![0.0; p.len()];
        for s in 0..self.chosen.len() {
            let signal = self.weights[s] * (losses[s] - self.baseline(s, losses));
            for (gradient, p) in gradient.iter_mut().zip(p) {
                *gradient -= signal * p;
            }
            gradient[self.classes[s]] += signal;
        }
        out.iter_mut().zip(gradient).for_each(|(out, g)| *out = g as f32);
    }

    /// sum over s' of p(s') R'(s, s') f(s'): an estimate of the loss from the distribution after s is drawn,
    /// to which s itself contributes with weight p(s). A single class gives none.
    fn baseline(&self, s: usize, losses: &[f64]) -> f64 {
        if self.chosen.len() == 1 {
            return 0.0;
        }
        let rest = set_probability(&without(&self.chosen, s), self.others);
        let term = |other: usize| {
            if other == s {
                return self.chosen[s] * losses[s];
            }
            let (first, second) = (s.min(other), s.max(other));
            let left = without(&without(&self.chosen, second), first);
            self.chosen[other] * set_probability(&left, self.others) / rest * losses[other]
        };
        (0..self.chosen.len()).map(term).sum()
    }
}

fn without(chosen: &[f64], s: usize) -> Vec<f64> {
    chosen.iter().enumerate().filter(|&(i, _)| i != s).map(|(_, &p)| p).collect()
}

/// The probability that draws without replacement give the `chosen` classes first, in any order, when these
/// and others of total probability `others` are left. It is a sum over the subsets of `chosen` that may come
/// before.
fn set_probability(chosen: &[f64], others: f64) -> f64 {
    let mut of_subset = vec![0.0; 1 << chosen.len()];
    of_subset[0] = 1.0;
    for subset in 1..of_subset.len() {
        for (i, p) in chosen.iter().enumerate().filter(|&(i, _)| subset >> i & 1 == 1) {
            let before = subset & !(1 << i);
            let not_drawn = chosen.iter().enumerate().filter(|&(j, _)| before >> j & 1 == 0).map(|(_, p)| p);
            of_subset[subset] += of_subset[before] * p / (others + not_drawn.sum::<f64>());
        }
    }
    of_subset[of_subset.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_of_all_pairs_sum_to_one() {
        let p = [0.5, 0.25, 0.15, 0.1];
        let mut total = 0.0;
        for i in 0..4 {
            for j in 0..i {
                total += set_probability(&[p[i], p[j]], 1.0 - p[i] - p[j]);
            }
        }
        assert!((total - 1.0f64).abs() < 1e-12, "{total}");
        let by_hand = 0.5 * 0.25 / 0.5 + 0.25 * 0.5 / 0.75;
        assert!((set_probability(&[0.5, 0.25], 0.25) - by_hand).abs() < 1e-12);
    }
}
