//! Rows of a variable: sums over them, and one number for each.

use crate::var::Var;

/// Merges all axes but the first: `[rows, elements]`, even without rows.
#[track_caller]
pub(super) fn flat_rows(x: Var<'_>) -> Var<'_> {
    let shape = x.shape();
    x.reshape([shape.dims()[0], shape.inner(0)])
}

/// The sum over all axes but the first: `[rows]`.
pub(super) fn sum_of_row(x: Var<'_>) -> Var<'_> {
    flat_rows(x).sum_axis(1)
}

/// Reshapes one number per row, `[rows]`, to broadcast over values of the logits' shape.
pub(super) fn over_row<'t>(x: Var<'t>, logits: Var<'t>) -> Var<'t> {
    let mut shape = vec![1; logits.shape().rank()];
    shape[0] = x.shape().len();
    x.reshape(&shape[..])
}

/// softmax in f64, row by row. Logits of inf share the probability of their row equally.
pub(crate) fn softmax_in_f64(logits: &[f32], classes: usize) -> Vec<f64> {
    let mut probs = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(classes) {
        let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let power = |x: f64| if x == largest { 1.0 } else { (x - largest).exp() };
        let powers = row.iter().map(|&x| power(f64::from(x)));
        let total: f64 = powers.clone().sum();
        probs.extend(powers.map(|power| power / total));
    }
    probs
}
