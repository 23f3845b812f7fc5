//! The exact gradient, by enumeration in f64.

use super::problem::Problem;
use crate::estimators::{Objective, countable_states, not_per_row, softmax_in_f64};
use crate::tape::Tape;
use crate::variables::Variables;

/// The number of rows at which a loss is evaluated together.
const ROWS: usize = 512;
/// The most tuples of states for which a multi-sample objective is enumerated.
const MOST_TUPLES: u64 = 1 << 26;

/// The gradient of the objective with respect to the logits of a row, from every state.
///
/// # Errors
/// One sentence with the number of states and the number that can be enumerated.
pub(super) fn exact_gradient(
    problem: &(impl Problem + ?Sized),
    objective: Objective,
) -> Result<Vec<f64>, String> {
    let variables = problem.variables();
    let states = countable_states(variables)?;
    let losses = losses(problem, states)?;
    let probs = marginals(problem.logits(), variables);
    let state_probs: Vec<f64> = (0..states).map(|state| probability(variables, &probs, state)).collect();
    let weights = match objective {
        Objective::Expected => losses,
        Objective::MultiSample(bound) => multi_sample_weights(&losses, &state_probs, bound.samples())?,
    };
    // For every logit, d p(s) = p(s) (z(s) - p).
    let mut gradient = vec![0.0; variables.elements()];
    let mut z = vec![0.0; variables.elements()];
    for (state, (weight, state_prob)) in weights.iter().zip(&state_probs).enumerate() {
        variables.write_state(state, &mut z);
        for ((gradient, z), p) in gradient.iter_mut().zip(&z).zip(&probs) {
            *gradient += state_prob * weight * (f64::from(*z) - p);
        }
    }
    Ok(gradient)
}

/// Returns the loss of every state.
///
/// # Errors
/// A sentence, if the loss is not one number per row.
fn losses(problem: &(impl Problem + ?Sized), states: usize) -> Result<Vec<f64>, String> {
    let variables = problem.variables();
    let mut tape = Tape::inference();
    let mut losses = Vec::with_capacity(states);
    for first in (0..states).step_by(ROWS) {
        let rows = ROWS.min(states - first);
        let mut z = vec![0.0; rows * variables.elements()];
        for (row, z) in z.chunks_exact_mut(variables.elements()).enumerate() {
            variables.write_state(first + row, z);
        }
        let loss = problem.loss(tape.input(&z, variables.shape(rows)));
        let shape = loss.shape();
        if shape.dims() != [rows] {
            return Err(not_per_row(rows, &shape));
        }
        losses.extend(loss.value().iter().map(|&loss| f64::from(loss)));
        tape.reset();
    }
    Ok(losses)
}

/// The probability of each bit or class.
fn marginals(logits: &[f32], variables: Variables) -> Vec<f64> {
    match variables {
        Variables::Categories { classes, .. } => softmax_in_f64(logits, classes),
        Variables::Bits(_) => logits.iter().map(|&logit| 1.0 / (1.0 + (-f64::from(logit)).exp())).collect(),
    }
}

fn probability(variables: Variables, probs: &[f64], state: usize) -> f64 {
    let mut z = vec![0.0; variables.elements()];
    variables.write_state(state, &mut z);
    let of = |(&z, &p): (&f32, &f64)| match (variables, z == 1.0) {
        (_, true) => p,
        (Variables::Bits(_), false) => 1.0 - p,
        (Variables::Categories { .. }, false) => 1.0,
    };
    z.iter().zip(probs).map(of).product()
}

/// The weight of d p(s) for each state s: k times the mean over k - 1 others of -ln(1/k sum e^-f).
fn multi_sample_weights(losses: &[f64], probs: &[f64], k: usize) -> Result<Vec<f64>, String> {
    let tuples = u32::try_from(k).ok().and_then(|k| (losses.len() as u64).checked_pow(k));
    if tuples.is_none_or(|tuples| tuples > MOST_TUPLES) {
        return Err(format!(
            "the objective of {k} samples has {} states to the power of {k} terms, and at most {MOST_TUPLES} are enumerated",
            losses.len()
        ));
    }
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let weights: Vec<f64> = losses.iter().map(|loss| (least - loss).exp()).collect();
    let mean = |weight: f64| k as f64 * (least - mean_log(&weights, probs, k - 1, weight) + (k as f64).ln());
    Ok(weights.iter().map(|&weight| mean(weight)).collect())
}

/// E ln(sum + w_1 + ... + w_more) over independent states.
fn mean_log(weights: &[f64], probs: &[f64], more: usize, sum: f64) -> f64 {
    if more == 0 {
        return sum.ln();
    }
    weights.iter().zip(probs).map(|(w, p)| p * mean_log(weights, probs, more - 1, sum + w)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_samples_than_32_bits_count_are_refused() {
        let error = multi_sample_weights(&[0.0, 1.0], &[0.5, 0.5], (1 << 32) + 2).unwrap_err();
        assert!(error.starts_with("the objective of 4294967298 samples"), "{error}");
    }
}
