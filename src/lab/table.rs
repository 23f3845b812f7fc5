//! Measurements as a table.

use std::fmt;

use super::measure::comparisons;
use super::{Measurement, Problem, z_bound};

/// The columns of the table explained, for a help text.
pub const COLUMNS: &str = "\
Columns:
  length     length of the mean estimate over the length of the exact gradient: a step size corrects it
  direction  cosine of the angle between the mean estimate and the exact gradient: nothing corrects it
  +-         the standard error of the number before it; for a direction, 1.0e0 says that the samples show none
  variance   variance of one estimate, summed over the logits
  cosine     mean cosine of the angle between one estimate and the exact gradient
  evals      evaluations of the loss per estimate
  ns         nanoseconds per estimate with its forward and backward pass, many at a time
  worst z    error of the mean in standard errors: the largest of its components and of its projection on the
             exact gradient; without bias it stays below the bound in the last column's title (all but once in 16,000)

Does the mean agree with the exact gradient?
  yes                           unbiased in theory, and these samples show no bias
  as far as these samples show  biased in theory, or only sometimes unbiased, but the bias is too small for these samples
  no: biased                    biased in theory, and these samples show it
  NO, and it should             unbiased in theory, but these samples show a bias: a mistake in its code";

/// The two lines above the rows of a problem.
pub fn heading(problem: &dyn Problem) -> String {
    let variables = problem.variables();
    format!(
        "{}: {variables}\n{:<24} {:>8} {:>8} {:>9} {:>8} {:>9} {:>7} {:>5} {:>8} {:>8}  agrees (worst z up to {:.1})",
        problem.name(),
        "estimator",
        "length",
        "+-",
        "direction",
        "+-",
        "variance",
        "cosine",
        "evals",
        "ns",
        "worst z",
        z_bound(comparisons(variables.elements()))
    )
}

/// The row of the table, to be printed below [`heading`].
impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measurement { estimator, length, direction_cosine, variance, cosine, evaluations, .. } = self;
        let errors = [self.length_standard_error, self.direction_cosine_standard_error];
        let ns = self.ns_per_gradient.map_or("-".to_owned(), |ns| format!("{ns:.0}"));
        write!(f, "{estimator:<24} ")?;
        match length.is_nan() {
            // The exact gradient is 0.
            true => write!(f, "{:>8} {:>8} {:>9} {:>8}", "-", "-", "-", "-")?,
            false => {
                write!(f, "{length:>8.3} {:>8.1e} {direction_cosine:>9.4} {:>8.1e}", errors[0], errors[1])?
            }
        }
        write!(f, " {variance:>9.2e} {cosine:>7.3} {evaluations:>5} {ns:>8} {:>8.1}", self.worst_z)?;
        write!(f, "  {}", self.verdict())
    }
}
