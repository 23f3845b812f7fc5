//! `st_categorical`: an exact one-hot sample, differentiated as if it were softmax(logits / tau).
//!
//! The value is that of [`gumbel_softmax::st_forward`](crate::gumbel_softmax::st_forward); the gradient contains no
//! noise.
//!
//! # Source
//! Y. Bengio, N. Léonard, A. Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
//! Conditional Computation", 2013, section 4, for categories.

use crate::Tier;
use crate::parallel::{Rows, RowsMut, sum_rows};
use crate::rows::rows;
use crate::soft_rows::{jacobian_of_scores, with_soft};

pub use crate::gumbel_softmax::st_forward as forward;

crate::simd! {
    fn backward_piece(
        logits: &[f32],
        dy: &[f32],
        classes: usize,
        inverse_tau: f32,
        want_tau: bool,
        soft: &mut [f32],
        dlogits: &mut [f32],
    ) -> f32 {
        jacobian_of_scores(dy, classes, inverse_tau, want_tau, soft, dlogits, &mut &*logits)
    }
}

/// dlogits += h / tau with p = softmax(logits / tau) and h = p (dy - <p, dy>); returns dtau = -sum(h ln p) / tau if
/// `want_tau`, else 0.
#[track_caller]
pub fn backward(
    tier: Tier,
    logits: &[f32],
    dy: &[f32],
    classes: usize,
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    let rows = rows(logits, classes, dlogits);
    assert_eq!(logits.len(), dy.len(), "dy must be rows x classes");
    let h_ln_y = sum_rows(
        rows,
        classes,
        (Rows(logits, classes), Rows(dy, classes), RowsMut(dlogits, classes)),
        |_, (Rows(logits, _), Rows(dy, _), RowsMut(dlogits, _))| {
            with_soft(classes, |soft| {
                backward_piece(tier, logits, dy, classes, 1.0 / tau, want_tau, soft, dlogits)
            })
        },
    );
    -h_ln_y / tau
}
