//! Enumeration of all states: the truth the other estimators are held against, and a usable estimator for few states.

use super::{Discrete, Estimator, Kind, Loss, accept, evaluate};
use crate::noise::Noise;
use crate::var::Var;

/// The expected loss itself: sum over the states s of p(s) f(s), with its ordinary gradient. Also called
/// marginalization. The loss is evaluated once per state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exact;

impl Exact {
    /// States of a row beyond which it refuses: each is a run of the whole model behind the variable.
    pub const MOST_STATES: u64 = 1 << 16;
}

/// The number of states of a row, if they can be enumerated.
///
/// # Errors
/// A sentence that says how many there are, how many are allowed and what to do instead.
pub fn states(kind: Kind) -> Result<usize, String> {
    let most = Exact::MOST_STATES;
    match kind.states() {
        Some(states) if states <= most => Ok(states as usize),
        states => Err(format!(
            "{kind} have {} states and at most {most} can be enumerated; use an unbiased estimator that samples (rloo:4, disarm) or fewer variables",
            states.map_or("more than 2^64".to_owned(), |states| states.to_string()),
        )),
    }
}

/// Writes state number `state` of a row: variable v has digit v of it, in base of the number of classes.
pub fn one_state(kind: Kind, mut state: usize, row: &mut [f32]) {
    let base = kind.classes.unwrap_or(2);
    row.fill(0.0);
    for variable in 0..kind.variables {
        let digit = state % base;
        state /= base;
        match kind.classes {
            Some(classes) => row[variable * classes + digit] = 1.0,
            None => row[variable] = digit as f32,
        }
    }
}

impl Estimator for Exact {
    fn name(&self) -> String {
        "exact".to_owned()
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn check(&self, kind: Kind) -> Result<(), String> {
        states(kind).map(|_| ())
    }

    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t> {
        accept(self, variable);
        let (logits, kind) = (variable.logits(), variable.kind());
        let states = states(kind).expect("accepted");
        let mut first = None;
        let weighted = |state| {
            let z = logits.tape().input_with(logits.shape(), |z| {
                z.chunks_exact_mut(kind.elements()).for_each(|row| one_state(kind, state, row));
            });
            let p = variable.log_prob(z).exp();
            // A state of probability 0 counts nothing, whatever the loss says of it.
            let impossible = || {
                let p = p.value();
                (0..p.len()).filter(move |&row| p[row] == 0.0)
            };
            let f = evaluate(loss, z, noise).masked_at(0.0, impossible);
            // Probabilities sum to 1 and their gradients to 0: what all states have in common need not be rounded.
            p * (f - *first.get_or_insert(f.stop_gradient()))
        };
        let above_first = (0..states).map(weighted).reduce(|sum, term| sum + term);
        above_first.expect("at least one state") + first.expect("at least one state")
    }
}
