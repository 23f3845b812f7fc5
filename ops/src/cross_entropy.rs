//! `cross_entropy`: the negative log-likelihood of a class, in nats, from logits: loss = logsumexp(logits) -
//! logits\[target\].
//!
//! A target whose class is masked (logit -inf) is impossible: its loss is +inf.

use crate::Tier;
use crate::math;
use crate::parallel::{Rows, RowsMut, for_rows};
use crate::rows::{Checked, MaskedRow, check_rows, count_rows, max_and_log_sum, normalizer};

crate::simd! {
    fn forward_piece(logits: &[f32], classes: usize, targets: &[u32], loss: &mut [f32]) -> Checked {
        for (r, ((row, &target), loss)) in logits.chunks_exact(classes).zip(targets).zip(loss).enumerate() {
            let (max, log_sum) = normalizer(row, r)?;
            *loss = log_sum + (max - row[target as usize]);
        }
        Ok(())
    }
}

crate::simd! {
    fn backward_piece(logits: &[f32], classes: usize, targets: &[u32], dloss: &[f32], dlogits: &mut [f32]) {
        let rows = logits.chunks_exact(classes).zip(dlogits.chunks_exact_mut(classes));
        for (((row, dlogits), &target), &dloss) in rows.zip(targets).zip(dloss) {
            let (max, log_sum) = max_and_log_sum(row);
            let target = target as usize;
            let before = dlogits[target];
            for (dlogits, &x) in dlogits.iter_mut().zip(row) {
                *dlogits = dloss.mul_add(math::exp_nonpositive((x - max) - log_sum), *dlogits);
            }
            // Where the target is nearly certain the difference is small, so we take it before we add
            // anything.
            let miss = math::exp_nonpositive((row[target] - max) - log_sum) - 1.0;
            let possible = row[target] != f32::NEG_INFINITY;
            dlogits[target] = if possible { dloss.mul_add(miss, before) } else { before };
        }
    }
}

/// Writes loss\[r\] = ln sum_k e^logits\[r, k\] - logits\[r, targets\[r\]\] in nats; +inf if the class of the
/// target is masked.
///
/// `logits` are rows of `classes`; `targets` and `loss` have an entry per row.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If a target is not below `classes`, or if the lengths do not fit.
#[track_caller]
pub fn forward(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    targets: &[u32],
    loss: &mut [f32],
) -> Result<(), MaskedRow> {
    assert_eq!(logits.len(), loss.len() * classes, "logits must be rows x classes");
    assert_eq!(targets.len(), loss.len(), "targets must have an entry per row");
    let (rows, parts) = (loss.len(), (Rows(logits, classes), Rows(targets, 1), RowsMut(loss, 1)));
    check_rows(rows, classes, parts, |_, (Rows(logits, _), Rows(targets, _), RowsMut(loss, _))| {
        forward_piece(tier, logits, classes, targets, loss)
    })
}

/// Adds the gradient of [`forward`]: dlogits += dloss (softmax(logits) - one-hot of the target), per row.
///
/// `logits` and `dlogits` are rows of `classes`; `targets` and `dloss` have an entry per row. Masked classes
/// get exactly 0.
///
/// # Precision
/// The entry of the target is accurate where the target is nearly certain.
///
/// # Panics
/// If a target is not below `classes`, or if the lengths do not fit.
#[track_caller]
pub fn backward(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    targets: &[u32],
    dloss: &[f32],
    dlogits: &mut [f32],
) {
    let rows = count_rows(logits, classes, dlogits);
    assert!(targets.len() == rows && dloss.len() == rows, "targets and dloss must have an entry per row");
    let parts = (Rows(logits, classes), Rows(targets, 1), Rows(dloss, 1), RowsMut(dlogits, classes));
    for_rows(
        rows,
        classes,
        parts,
        |_, (Rows(logits, _), Rows(targets, _), Rows(dloss, _), RowsMut(dlogits, _))| {
            backward_piece(tier, logits, classes, targets, dloss, dlogits);
        },
    );
}
