//! Backward passes that recompute soft rows block by block, because their op kept only logits or scores.

use crate::Tier;
use crate::fma::Fma;
use crate::parallel::{Rows, RowsMut, sum_rows};
use crate::rows::{block_len, count_rows, with_settled};
use crate::scratch;
use crate::soft_rows::{Scores, jacobian, jacobian_and_tau, normalize};

/// Lends room for a block of soft rows to the backward pass of a straight-through op, which recomputes them.
pub(crate) fn with_soft<T>(classes: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    scratch::with(block_len(classes), work)
}

/// [`jacobian`] at y = softmax(inverse_tau * scores). We compute y block by block into `soft`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn jacobian_of_scores<F: Fma, S: Scores>(
    tier: Tier,
    dy: &[f32],
    classes: usize,
    inverse_tau: f32,
    want_tau: bool,
    soft: &mut [f32],
    dlogits: &mut [f32],
    scores: &mut S,
) -> f32 {
    let mut h_ln_y = 0.0;
    let block = soft.len();
    for (dy, dlogits) in dy.chunks(block).zip(dlogits.chunks_mut(block)) {
        let soft = &mut soft[..dy.len()];
        // The forward pass found an unmasked class in every row.
        let _ = normalize::<F, _>(tier, classes, inverse_tau, scores, soft);
        if want_tau {
            h_ln_y += jacobian_and_tau(tier, classes, soft, dy, inverse_tau, dlogits);
        } else {
            jacobian(tier, classes, soft, dy, inverse_tau, dlogits);
        }
    }
    h_ln_y
}

crate::simd! {
    fn backward_from_logits_piece<F>(
        tier;
        logits: &[f32],
        dy: &[f32],
        classes: usize,
        inverse_tau: f32,
        want_tau: bool,
        soft: &mut [f32],
        dlogits: &mut [f32],
    ) -> f32 {
        jacobian_of_scores::<F, _>(tier, dy, classes, inverse_tau, want_tau, soft, dlogits, &mut &*logits)
    }
}

/// [`soft_rows::backward`](crate::soft_rows::backward) at y = softmax(logits / tau), which is recomputed from
/// the logits.
#[track_caller]
pub(crate) fn backward_from_logits(
    tier: Tier,
    logits: &[f32],
    dy: &[f32],
    classes: usize,
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    backward_by_blocks(logits, dy, classes, tau, dlogits, |_, logits, dy, soft, dlogits| {
        with_settled(tier, logits, classes, |logits| {
            backward_from_logits_piece(tier, logits, dy, classes, 1.0 / tau, want_tau, soft, dlogits)
        })
    })
}

/// Runs a backward pass that recomputes y from `x`, which holds logits or scores. Returns dtau. `piece(first,
/// x, dy, soft, dlogits)` computes y block by block in `soft`, adds h / tau for the rows from `first` on, and
/// returns the sum of h ln y.
#[track_caller]
pub(crate) fn backward_by_blocks(
    x: &[f32],
    dy: &[f32],
    classes: usize,
    tau: f32,
    dlogits: &mut [f32],
    piece: impl Fn(usize, &[f32], &[f32], &mut [f32], &mut [f32]) -> f32 + Sync,
) -> f32 {
    let rows = count_rows(x, classes, dlogits);
    assert_eq!(x.len(), dy.len(), "dy must be rows x classes");
    let parts = (Rows(x, classes), Rows(dy, classes), RowsMut(dlogits, classes));
    let h_ln_y = sum_rows(rows, classes, parts, |first, (Rows(x, _), Rows(dy, _), RowsMut(dlogits, _))| {
        with_soft(classes, |soft| piece(first, x, dy, soft, dlogits))
    });
    -h_ln_y / tau
}
