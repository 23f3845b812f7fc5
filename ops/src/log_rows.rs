//! The gradient through rows of logarithms of probabilities, y = log_softmax(logits / tau).
//!
//! `log_softmax` and the relaxed samples in log space share this code.

use crate::Tier;
use crate::fma::Fma;
use crate::lanes;
use crate::math;
use crate::parallel::{Rows, RowsMut, sum_rows};
use crate::rows::{block_len, by_classes, count_rows, row_by_row};
use crate::scratch;

/// The probability from which a class counts as nearly certain. A row has at most one such class.
const NEARLY_CERTAIN: f32 = 0.75;

/// Replaces the dy of each row, in `h`, with h = dy - p sum(dy).
///
/// Where p is nearly 1, dy - p sum(dy) would lose 1 - p. But the entries of h in a row sum to 0, so h of a
/// nearly certain class is minus the sum of the others.
#[inline(always)]
fn slopes<F: Fma, const C: usize>(classes: usize, p: &[f32], h: &mut [f32]) {
    let classes = if C == 0 { classes } else { C };
    for (p, h) in p.chunks_exact(classes).zip(h.chunks_exact_mut(classes)) {
        row_by_row();
        let total = lanes::sum_of_row::<C>(h);
        for (h, &p) in h.iter_mut().zip(p) {
            let slope = F::mul_add(-p, total, *h);
            *h = if p > NEARLY_CERTAIN { 0.0 } else { slope };
        }
        let others = lanes::sum_of_row::<C>(h);
        for (h, &p) in h.iter_mut().zip(p) {
            *h = if p > NEARLY_CERTAIN { -others } else { *h };
        }
    }
}

crate::simd! {
    fn backward_piece<F>(
        y: &[f32],
        dy: &[f32],
        classes: usize,
        inverse_tau: f32,
        want_tau: bool,
        room: &mut [f32],
        dlogits: &mut [f32],
    ) -> f32 {
        let mut h_y = 0.0f64;
        let (p, h) = room.split_at_mut(room.len() / 2);
        let block = p.len();
        for ((y, dy), dlogits) in y.chunks(block).zip(dy.chunks(block)).zip(dlogits.chunks_mut(block)) {
            let (p, h) = (&mut p[..y.len()], &mut h[..y.len()]);
            for (((p, h), &y), &dy) in p.iter_mut().zip(h.iter_mut()).zip(y).zip(dy) {
                *p = math::exp_nonpositive::<F>(y);
                // The value of a masked class is -inf whatever the logits are, so its dy does not count.
                *h = if y != f32::NEG_INFINITY { dy } else { 0.0 };
            }
            by_classes!(slopes::<F>(classes, p, h));
            for (dlogits, &h) in dlogits.iter_mut().zip(h.iter()) {
                *dlogits = F::mul_add(h, inverse_tau, *dlogits);
            }
            if want_tau {
                for (h, y) in h.chunks(lanes::PIECE).zip(y.chunks(lanes::PIECE)) {
                    let part = lanes::sum_of_pairs(h, y, |h, y| if y != f32::NEG_INFINITY { h * y } else { 0.0 });
                    h_y += f64::from(part);
                }
            }
        }
        h_y as f32
    }
}

/// Adds the gradient of y = log_softmax(logits / tau), from y alone: dlogits += h / tau with h = dy - e^y
/// sum(dy), per row of `classes`. Returns dtau = -sum(h y) / tau if `want_tau`, else 0. Masked classes get
/// exactly 0, and their dy does not count.
#[track_caller]
pub(crate) fn backward(
    tier: Tier,
    y: &[f32],
    dy: &[f32],
    classes: usize,
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    let rows = count_rows(y, classes, dlogits);
    assert_eq!(y.len(), dy.len(), "y and dy must have the same length");
    let parts = (Rows(y, classes), Rows(dy, classes), RowsMut(dlogits, classes));
    let h_y = sum_rows(rows, classes, parts, |_, (Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
        scratch::with(2 * block_len(classes), |room| {
            backward_piece(tier, y, dy, classes, 1.0 / tau, want_tau, room, dlogits)
        })
    });
    -h_y / tau
}
