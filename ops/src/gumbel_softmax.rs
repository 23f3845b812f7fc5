//! `gumbel_softmax`, the relaxed sample of a categorical variable, and `st_gumbel_softmax`, its straight-through
//! form: y = softmax((logits + g) / tau) with g standard Gumbel noise, one draw per logit.
//!
//! # Source
//! E. Jang, S. Gu, B. Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017, section 2;
//! C. Maddison, A. Mnih, Y. W. Teh, "The Concrete Distribution", ICLR 2017, section 3.

use crate::Tier;
use crate::noise::Draws;
use crate::parallel::{Rows, RowsMut, sum_rows};
use crate::perturbed::{Perturbed, one_hot_samples};
use crate::rows::{Checked, MaskedRow, check_rows, count_rows};
use crate::soft_rows::{self, jacobian_of_scores, normalize, with_soft};

crate::simd! {
    fn forward_piece(
        draws: Draws<'_>,
        first: usize,
        logits: &[f32],
        classes: usize,
        inverse_tau: f32,
        y: &mut [f32],
    ) -> Checked {
        let mut scores = Perturbed::new(draws, first * classes, logits);
        normalize(classes, inverse_tau, &mut scores, y)
    }
}

crate::simd! {
    fn st_backward_piece(
        draws: Draws<'_>,
        first: usize,
        logits: &[f32],
        dy: &[f32],
        classes: usize,
        inverse_tau: f32,
        want_tau: bool,
        soft: &mut [f32],
        dlogits: &mut [f32],
    ) -> f32 {
        let mut scores = Perturbed::new(draws, first * classes, logits);
        jacobian_of_scores(dy, classes, inverse_tau, want_tau, soft, dlogits, &mut scores)
    }
}

/// y = softmax((logits + g) / tau), rows of `classes`; element i takes draw i.
///
/// # Errors
/// A row whose classes are all masked.
#[track_caller]
pub fn forward(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    classes: usize,
    tau: f32,
    y: &mut [f32],
) -> Result<(), MaskedRow> {
    let rows = count_rows(logits, classes, y);
    draws.check(logits.len());
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |first, (Rows(logits, _), RowsMut(y, _))| {
        forward_piece(tier, draws, first, logits, classes, 1.0 / tau, y)
    })
}

/// The gradient of [`forward`] from its output y alone: dlogits += h / tau with h = y (dy - <y, dy>). Returns
/// dtau = -sum(h ln y) / tau if `want_tau`, else 0.
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

/// y = one-hot of argmax(logits + g), an exact sample of softmax(logits); ties take the lowest index.
///
/// # Errors
/// A row whose classes are all masked.
#[track_caller]
pub fn st_forward(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    classes: usize,
    y: &mut [f32],
) -> Result<(), MaskedRow> {
    one_hot_samples(tier, draws, logits, classes, y)
}

/// The gradient of the relaxed sample that the same draws give, replayed: adds to `dlogits` and returns dtau (0
/// unless `want_tau`).
#[track_caller]
#[allow(clippy::too_many_arguments)]
pub fn st_backward(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    dy: &[f32],
    classes: usize,
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    let rows = count_rows(logits, classes, dlogits);
    assert_eq!(logits.len(), dy.len(), "dy must be rows x classes");
    draws.check(logits.len());
    let h_ln_y = sum_rows(
        rows,
        classes,
        (Rows(logits, classes), Rows(dy, classes), RowsMut(dlogits, classes)),
        |first, (Rows(logits, _), Rows(dy, _), RowsMut(dlogits, _))| {
            with_soft(classes, |soft| {
                st_backward_piece(tier, draws, first, logits, dy, classes, 1.0 / tau, want_tau, soft, dlogits)
            })
        },
    );
    -h_ln_y / tau
}
