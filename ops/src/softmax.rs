//! `softmax`, `log_softmax` and `logsumexp` over rows of classes.
//!
//! A logit of -inf masks its class, so its probability and its gradient are exactly 0. A logit of inf makes
//! its class certain, as if it masked the finite logits.

use crate::Tier;
use crate::log_rows;
use crate::math;
use crate::parallel::{Rows, RowsMut, for_rows};
use crate::rows::{
    Checked, MaskedRow, check_rows, count_rows, is_infinite, max_and_log_sum, normalizer, retry_settled,
    with_settled,
};
use crate::soft_rows::{self, normalize};

crate::simd! {
    fn forward_piece<F>(
        tier; logits: &[f32], classes: usize, inverse_tau: f32, y: &mut [f32],
    ) -> Checked {
        normalize::<F, _>(tier, classes, inverse_tau, &mut &*logits, y)
    }
}

/// Writes y = softmax(logits / tau), rows of `classes`. A row of y sums to 1, and masked classes get exactly
/// 0. So does a class whose probability is below 1e-35 times the largest. Numbers not far below are
/// subnormal, and many CPUs take a hundred times as long for arithmetic with those.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If the slices differ in length or do not hold whole rows.
#[track_caller]
pub fn forward(tier: Tier, logits: &[f32], classes: usize, tau: f32, y: &mut [f32]) -> Result<(), MaskedRow> {
    let rows = count_rows(logits, classes, y);
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |_, (Rows(logits, _), RowsMut(y, _))| {
        retry_settled(tier, logits, classes, |logits| forward_piece(tier, logits, classes, 1.0 / tau, y))
    })
}

/// Adds the gradient of [`forward`]: dlogits += h / tau with h = y (dy - <y, dy>), per row. Returns
/// dtau = -sum(h ln y) / tau if `want_tau`, else 0.
///
/// The slices are rows of `classes`. The gradient needs only the output y.
///
/// # Precision
/// dlogits stays accurate where y is almost one-hot. For tau far above the spread of the logits, y is nearly
/// uniform, and rounding removes most digits of logits / tau from ln y. dtau then has a relative error of
/// about 6e-8 tau / spread.
///
/// # Panics
/// If the slices differ in length or do not hold whole rows.
#[track_caller]
pub fn backward(
    tier: Tier,
    y: &[f32],
    dy: &[f32],
    classes: usize,
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    soft_rows::backward(tier, y, dy, classes, tau, want_tau, dlogits)
}

crate::simd! {
    fn logsumexp_piece<F>(logits: &[f32], classes: usize, y: &mut [f32]) {
        for (row, y) in logits.chunks_exact(classes).zip(y) {
            let (max, log_sum) = max_and_log_sum::<F>(row);
            // The logarithm of an empty sum is -inf, and the logarithm of an infinite sum is inf. But log_sum
            // is NaN in both cases.
            *y = if is_infinite(row, max) { max } else { max + log_sum };
        }
    }
}

crate::simd! {
    fn logsumexp_backward_piece<F>(logits: &[f32], classes: usize, y: &[f32], dy: &[f32], dlogits: &mut [f32]) {
        for (((row, dlogits), &y), &dy) in
            logits.chunks_exact(classes).zip(dlogits.chunks_exact_mut(classes)).zip(y).zip(dy)
        {
            if y != f32::NEG_INFINITY {
                // Rounding removed the small terms from y, so the normalizer is computed again.
                let (max, log_sum) = max_and_log_sum::<F>(row);
                for (dlogits, &x) in dlogits.iter_mut().zip(row) {
                    *dlogits = F::mul_add(dy, math::exp::<F>((x - max) - log_sum), *dlogits);
                }
            }
        }
    }
}

/// Writes y\[r\] = ln sum_k e^logits\[r, k\], the logarithm of the sum over the classes; -inf for a fully
/// masked row, and inf for a row with a logit of inf.
///
/// `logits` are rows of `classes`, and `y` has an entry per row.
///
/// # Panics
/// If `logits` is not `y.len()` rows of `classes`.
#[track_caller]
pub fn logsumexp_forward(tier: Tier, logits: &[f32], classes: usize, y: &mut [f32]) {
    assert_eq!(logits.len(), y.len() * classes, "logits must be rows x classes");
    let parts = (Rows(logits, classes), RowsMut(y, 1));
    for_rows(logits.len() / classes, classes, parts, |_, (Rows(logits, _), RowsMut(y, _))| {
        logsumexp_piece(tier, logits, classes, y);
    });
}

/// Adds the gradient of [`logsumexp_forward`]: dlogits\[r, :\] += dy\[r\] softmax(logits\[r, :\]).
///
/// `logits` and `dlogits` are rows of `classes`; `y`, the output of the forward pass, and `dy` have an entry
/// per row. A fully masked row, where y is -inf, gets 0. Several logits of inf share dy equally.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn logsumexp_backward(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    y: &[f32],
    dy: &[f32],
    dlogits: &mut [f32],
) {
    assert_eq!(y.len(), dy.len(), "y and dy must have the same length");
    let rows = count_rows(logits, classes, dlogits);
    assert_eq!(rows, y.len(), "y must have an entry per row");
    let parts = (Rows(logits, classes), Rows(y, 1), Rows(dy, 1), RowsMut(dlogits, classes));
    for_rows(rows, classes, parts, |_, (Rows(logits, _), Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
        with_settled(tier, logits, classes, |logits| {
            logsumexp_backward_piece(tier, logits, classes, y, dy, dlogits);
        });
    });
}

crate::simd! {
    fn log_softmax_piece<F>(logits: &[f32], classes: usize, y: &mut [f32]) -> Checked {
        for (r, (row, y)) in logits.chunks_exact(classes).zip(y.chunks_exact_mut(classes)).enumerate() {
            let (max, log_sum) = normalizer::<F>(row, r)?;
            for (y, &x) in y.iter_mut().zip(row) {
                *y = (x - max) - log_sum;
            }
        }
        Ok(())
    }
}

/// Writes y = logits - logsumexp(logits), per row of `classes`. Masked classes stay at -inf. The others are
/// at least -3.4e38, unless a logit of inf masks them.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If the slices differ in length or do not hold whole rows.
#[track_caller]
pub fn log_softmax_forward(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    y: &mut [f32],
) -> Result<(), MaskedRow> {
    let rows = count_rows(logits, classes, y);
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |_, (Rows(logits, _), RowsMut(y, _))| {
        retry_settled(tier, logits, classes, |logits| log_softmax_piece(tier, logits, classes, y))
    })
}

/// Adds the gradient of [`log_softmax_forward`]: dlogits += dy - e^y sum(dy), per row of `classes`.
///
/// The gradient needs only the output y. Masked classes get exactly 0, and their dy does not count.
///
/// # Precision
/// The entry of a nearly certain class is accurate, even where its y rounds to 0.
///
/// # Panics
/// If the slices differ in length or do not hold whole rows.
#[track_caller]
pub fn log_softmax_backward(tier: Tier, y: &[f32], dy: &[f32], classes: usize, dlogits: &mut [f32]) {
    log_rows::backward(tier, y, dy, classes, 1.0, false, dlogits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw;
    use crate::noise::Stream;

    /// softmax(logits / tau) in f64.
    fn softmax64(logits: &[f32], tau: f64) -> Vec<f64> {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exps: Vec<f64> = logits.iter().map(|&x| ((f64::from(x) - f64::from(max)) / tau).exp()).collect();
        let sum: f64 = exps.iter().sum();
        exps.iter().map(|e| e / sum).collect()
    }

    /// Each h / tau, computed as y_i sum_j y_j (dy_i - dy_j) / tau so that nothing cancels, and the sum of
    /// the absolute values of its terms.
    fn jacobian64(y: &[f32], dy: &[f32], tau: f64) -> Vec<(f64, f64)> {
        let entry = |i: usize| {
            let terms = y.iter().zip(dy).map(|(&y, &d)| f64::from(y) * (f64::from(dy[i]) - f64::from(d)));
            let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
            (f64::from(y[i]) * sum / tau, f64::from(y[i]) * size / tau)
        };
        (0..y.len()).map(entry).collect()
    }

    fn close(got: f32, want: f64, scale: f64) -> bool {
        (f64::from(got) - want).abs() <= 1e-6 * scale + 1e-35
    }

    /// Takes every path: few classes, blocks of rows and wide rows; rows of whole vectors and others; flat
    /// rows and almost one-hot rows.
    #[test]
    fn values_and_gradients_are_close_to_f64_for_any_number_of_classes() {
        for classes in [1, 2, 3, 10, 15, 16, 17, 31, 100, 511, 512, 513, 700, 1024, 2100] {
            for tau in [0.02f32, 1.0, 30.0] {
                let n = if classes < 100 { 37 } else { 3 } * classes;
                let (mut logits, mut dy) = (vec![0.0; n], vec![0.0; n]);
                draw::fill_logistic(Tier::best(), Stream::new(1).into(), &mut logits);
                draw::fill_logistic(Tier::best(), Stream::new(2).into(), &mut dy);
                let (mut y, mut dlogits) = (vec![0.0; n], vec![0.0; n]);
                forward(Tier::best(), &logits, classes, tau, &mut y).unwrap();
                let dtau = backward(Tier::best(), &y, &dy, classes, tau, true, &mut dlogits);
                let (mut want_dtau, mut dtau_size) = (0.0, 0.0);
                for start in (0..n).step_by(classes) {
                    let row = start..start + classes;
                    let soft = softmax64(&logits[row.clone()], f64::from(tau));
                    let want = jacobian64(&y[row.clone()], &dy[row.clone()], f64::from(tau));
                    for (e, (soft, (h, size))) in row.zip(soft.into_iter().zip(want)) {
                        let spread = f64::from(logits[e].abs() / tau);
                        assert!(close(y[e], soft, soft * (1.0 + spread)), "y: {classes} {tau}");
                        assert!(close(dlogits[e], h, size), "dlogits: {classes} {tau}: {} {h}", dlogits[e]);
                        let ln_y = if y[e] == 0.0 { 0.0 } else { f64::from(y[e]).ln() };
                        want_dtau -= h * ln_y;
                        dtau_size += size * ln_y.abs();
                    }
                }
                assert!(close(dtau, want_dtau, dtau_size), "dtau: {classes} {tau}: {dtau} {want_dtau}");
            }
        }
    }
}
