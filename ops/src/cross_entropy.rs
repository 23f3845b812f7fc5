//! `cross_entropy`: the negative log-likelihood of a class, in nats, from logits: loss = logsumexp(logits) -
//! logits\[target\].
//!
//! A target whose class is masked is impossible: its loss is +inf. A class is masked if its logit is -inf, or
//! if its logit is finite and another logit of its row is inf.

use crate::Tier;
use crate::lanes;
use crate::math;
use crate::noise::PIECE;
use crate::parallel::{Rows, RowsMut, for_rows};
use crate::rows::{
    Checked, MaskedRow, check_rows, count_rows, max_and_log_sum, normalizer, retry_settled, with_settled,
};

crate::simd! {
    fn forward_piece<F>(logits: &[f32], classes: usize, targets: &[u32], loss: &mut [f32]) -> Checked {
        for (r, ((row, &target), loss)) in logits.chunks_exact(classes).zip(targets).zip(loss).enumerate() {
            let (max, log_sum) = normalizer::<F>(row, r)?;
            *loss = log_sum + (max - row[target as usize]);
        }
        Ok(())
    }
}

crate::simd! {
    fn backward_piece<F>(logits: &[f32], classes: usize, targets: &[u32], dloss: &[f32], dlogits: &mut [f32]) {
        let rows = logits.chunks_exact(classes).zip(dlogits.chunks_exact_mut(classes));
        let mut p = [0.0f32; PIECE];
        for (((row, dlogits), &target), &dloss) in rows.zip(targets).zip(dloss) {
            let (max, log_sum) = max_and_log_sum::<F>(row);
            // 1 - p of the target is the sum of the other probabilities, which keeps the digits that 1 - p
            // loses where p rounds to 1.
            let mut others = 0.0f64;
            let pieces = row.chunks(PIECE).zip(dlogits.chunks_mut(PIECE));
            for ((row, dlogits), first) in pieces.zip((0..).step_by(PIECE)) {
                let p = &mut p[..row.len()];
                for ((p, &x), place) in p.iter_mut().zip(row).zip(first..) {
                    let probability = math::exp_nonpositive::<F>((x - max) - log_sum);
                    *p = if place == target { 0.0 } else { probability };
                }
                for (dlogits, &p) in dlogits.iter_mut().zip(p.iter()) {
                    *dlogits = F::mul_add(dloss, p, *dlogits);
                }
                others += f64::from(lanes::sum(p));
            }
            let target = target as usize;
            if row[target] != f32::NEG_INFINITY {
                dlogits[target] = F::mul_add(-dloss, others as f32, dlogits[target]);
            }
        }
    }
}

/// Writes loss\[r\] = ln sum_k e^logits\[r, k\] - logits\[r, targets\[r\]\] in nats; +inf if the target class
/// is masked.
///
/// `logits` are rows of `classes`; `targets` and `loss` have an entry per row.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If a target is not below `classes`, or if the lengths do not match.
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
        retry_settled(tier, logits, classes, |logits| forward_piece(tier, logits, classes, targets, loss))
    })
}

/// Adds the gradient of [`forward`]: dlogits += dloss (softmax(logits) - one-hot of the target), per row.
///
/// `logits` and `dlogits` are rows of `classes`; `targets` and `dloss` have an entry per row. Masked classes
/// get exactly 0.
///
/// # Precision
/// The target's entry is accurate when the target is nearly certain, even where its probability rounds to 1.
///
/// # Panics
/// If a target is not below `classes`, or if the lengths do not match.
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
            with_settled(tier, logits, classes, |logits| {
                backward_piece(tier, logits, classes, targets, dloss, dlogits);
            });
        },
    );
}
