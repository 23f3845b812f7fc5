//! `with_logits_gradient`: a loss per row with a ready-made gradient for the logits. Its value is the loss
//! itself, so only the gradient is computed here.

use crate::Tier;
use crate::parallel::{Rows, RowsMut, for_rows};

crate::simd! {
    fn backward_piece(estimate: &[f32], dloss: &[f32], width: usize, dlogits: &mut [f32]) {
        let rows = dlogits.chunks_exact_mut(width).zip(estimate.chunks_exact(width));
        for ((dlogits, estimate), &dloss) in rows.zip(dloss) {
            for (dlogit, &g) in dlogits.iter_mut().zip(estimate) {
                *dlogit += g * dloss;
            }
        }
    }
}

/// Adds the gradient of the logits: dlogits\[r, :\] += estimate\[r, :\] dloss\[r\], rows of `width`.
#[track_caller]
pub fn backward(tier: Tier, estimate: &[f32], dloss: &[f32], width: usize, dlogits: &mut [f32]) {
    assert!(
        estimate.len() == dlogits.len() && dlogits.len() == dloss.len() * width,
        "dlogits and the estimate must be rows x width"
    );
    if width == 0 {
        return;
    }
    let parts = (Rows(estimate, width), Rows(dloss, 1), RowsMut(dlogits, width));
    for_rows(dloss.len(), width, parts, |_, (Rows(estimate, _), Rows(dloss, _), RowsMut(dlogits, _))| {
        backward_piece(tier, estimate, dloss, width, dlogits);
    });
}
