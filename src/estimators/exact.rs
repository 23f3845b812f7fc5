//! Enumeration of all states: the ground truth for the other estimators, and a usable estimator for few
//! states.

use super::registry::Entry;
use super::trial::sampling_estimators;
use super::{Estimator, Trial};
use crate::var::Var;
use crate::variables::Variables;

/// The expected loss itself: sum over the states s of p(s) f(s), with its ordinary gradient. Also called
/// marginalization. It evaluates the loss once per state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exact;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    form: "exact",
    type_name: "Exact",
    summary: "the sum over all states",
    variables: "both",
    unbiased: "yes, without variance",
    evaluations: "states",
    usual: &["exact"],
    make: |_| Ok(Box::new(Exact)),
}];

impl Exact {
    /// The largest number of states per row that it accepts. Each state runs the whole model after the
    /// variables.
    pub const MOST_STATES: u64 = 1 << 16;
}

/// The number of states of a row, if they can be enumerated.
///
/// # Errors
/// One sentence with the number of states, the number allowed, and what to do instead.
pub(crate) fn countable_states(variables: Variables) -> Result<usize, String> {
    let most = Exact::MOST_STATES;
    match variables.states() {
        Some(states) if states <= most => Ok(states as usize),
        states => Err(format!(
            "{variables} have {} states and at most {most} can be enumerated; use {}, or fewer variables",
            states.map_or("more than 2^64".to_owned(), |states| states.to_string()),
            sampling_estimators(variables)
        )),
    }
}

impl Estimator for Exact {
    fn name(&self) -> String {
        "exact".to_owned()
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn check(&self, variables: Variables) -> Result<(), String> {
        countable_states(variables).map(|_| ())
    }

    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let logits = trial.logits();
        let (variables, rows) = (logits.variables(), logits.rows());
        let states = countable_states(variables).expect("accepted");
        let mut first = None;
        let weighted = |state| {
            let z = logits.var().tape().input_with(variables.shape(rows), |z| {
                z.chunks_exact_mut(variables.elements()).for_each(|row| variables.write_state(state, row));
            });
            let p = trial.log_prob(z).exp();
            // A state of probability 0 contributes nothing, whatever its loss.
            let impossible = || {
                let p = p.value();
                (0..p.len()).filter(move |&row| p[row] == 0.0)
            };
            let f = trial.loss(z).masked_at(0.0, impossible);
            // Probabilities sum to 1 and their gradients to 0, so a loss common to all states need not be
            // rounded.
            p * (f - *first.get_or_insert(f.stop_gradient()))
        };
        let above_first = (0..states).map(weighted).reduce(|sum, term| sum + term);
        above_first.expect("at least one state") + first.expect("at least one state")
    }
}
