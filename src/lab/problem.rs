//! The problems that an estimator is measured on.

use super::exact::exact_gradient;
use crate::estimators::Objective;
use crate::tape::Tape;
use crate::var::Var;
use crate::variables::{Logits, Variables};

/// A distribution of discrete variables and a loss.
pub trait Problem {
    /// Its name.
    fn name(&self) -> String;

    /// The variables of a row.
    fn variables(&self) -> Variables;

    /// Their logits as one row, in the order of the variables, classes innermost.
    fn logits(&self) -> &[f32];

    /// The loss per row, `[rows]`, at samples `[rows, variables]` or `[rows, variables, classes]`, hard or
    /// relaxed. It must not depend on the logits otherwise.
    fn loss<'t>(&self, z: Var<'t>) -> Var<'t>;

    /// The exact gradient of the objective with respect to the logits, by default from all states.
    ///
    /// # Errors
    /// One sentence that says why there is none.
    fn exact_gradient(&self, objective: Objective) -> Result<Vec<f64>, String> {
        exact_gradient(self, objective)
    }
}

/// Panics unless the problem has one logit for each number in a row of its variables.
#[track_caller]
pub(super) fn check_logits(problem: &(impl Problem + ?Sized)) {
    let (variables, found) = (problem.variables(), problem.logits().len());
    assert!(
        found == variables.elements() && found > 0,
        "{}: {variables} have {} logits per row, and the problem has {found}",
        problem.name(),
        variables.elements()
    );
}

/// The variables on a tape: `rows` rows of the same logits.
pub(super) fn logits<'t>(problem: &(impl Problem + ?Sized), tape: &'t Tape, rows: usize) -> Logits<'t> {
    let (logits, variables) = (problem.logits().repeat(rows), problem.variables());
    variables.logits(tape.variable(&logits, [rows, variables.elements()]))
}
