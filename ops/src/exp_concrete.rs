//! `exp_concrete`, the logarithm of a relaxed categorical sample: y = log_softmax((logits + g) / tau) with
//! standard Gumbel noise g. `exp_concrete_log_prob`, its log-density in nats.
//!
//! Small entries of a sample underflow, but their logarithms do not, so the density is a function of the
//! logarithm. A class masked by a logit of -inf has log_y = -inf and does not count, so the row has the
//! density of its other classes. If log_y is -inf at an unmasked class, or finite at a masked one, the
//! density is 0, its logarithm is -inf, and the row passes no gradient. A logit of inf masks the finite
//! logits of its row. A single one makes the row certain, and its own sample then has log-density 0.
//!
//! # Source
//! C. Maddison, A. Mnih, Y. W. Teh, "The Concrete Distribution", ICLR 2017, appendix C.3.2.

use crate::Tier;
use crate::fma::Fma;
use crate::lanes;
use crate::log_rows;
use crate::math;
use crate::noise::Draws;
use crate::parallel::{Rows, RowsMut, for_rows, sum_rows};
use crate::perturbed::gumbel_scores;
use crate::recomputed::with_soft;
use crate::rows::{
    Checked, MODERATE, MaskedRow, check_rows, count_rows, is_unusual, retry_settled, sum_exp, with_settled,
};
use crate::scratch;
use crate::soft_rows::{Scores, normalize};
use crate::sums::sum_in_runs;

// ------------------------------------------------------------------------------------------------ the sample

crate::simd! {
    fn forward_piece<F>(
        draws: Draws<'_>, first: usize, logits: &[f32], classes: usize, inverse_tau: f32, y: &mut [f32],
    ) -> Checked {
        let mut reader = draws.from_element(first * classes);
        gumbel_scores::<F>(&mut reader, logits, y);
        for (r, row) in y.chunks_exact_mut(classes).enumerate() {
            let max = lanes::max(row);
            if is_unusual(row, max, MODERATE) {
                return Err(MaskedRow(r));
            }
            for s in row.iter_mut() {
                // Only a masked class may end up at an infinite distance.
                let below = *s - max;
                let scaled = math::at_least(below * inverse_tau, -f32::MAX);
                *s = if below > f32::NEG_INFINITY { scaled } else { below };
            }
            // The largest entry is 0 now.
            let log_sum = math::ln::<F>(sum_exp::<F>(row, 0.0));
            for s in row {
                *s -= log_sum;
            }
        }
        Ok(())
    }
}

/// Samples y = log_softmax((logits + g) / tau) with standard Gumbel noise g.
///
/// `logits` and `y` are rows of `classes`. Element i takes draw i. Masked classes stay at -inf. The others
/// are at least -3.4e38, unless a logit of inf masks them.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If the slices differ in length or do not hold whole rows, or if the injected draws are not one per logit.
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
        retry_settled(tier, logits, classes, |logits| {
            forward_piece(tier, draws, first, logits, classes, 1.0 / tau, y)
        })
    })
}

/// Adds the gradient of [`forward`]: dlogits += h / tau with h = dy - e^y sum(dy), per row. Returns
/// dtau = -sum(h y) / tau if `want_tau`, else 0.
///
/// The slices are rows of `classes`. The gradient needs only the output y. Masked classes get exactly 0, and
/// their dy does not count.
///
/// # Precision
/// The entry of a nearly certain class is accurate, even where its y rounds to 0.
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
    log_rows::backward(tier, y, dy, classes, tau, want_tau, dlogits)
}

// ----------------------------------------------------------------------------------------------- its density

/// Returns ln (n - 1)!.
fn ln_factorial_below(n: usize) -> f64 {
    if n <= 20 {
        // 19! is a whole number below 2^57 with 16 factors of 2, so the product is exact.
        return (1..n).map(|k| k as f64).product::<f64>().ln();
    }
    // Stirling's series; the next term, 1 / (1680 n^7), is below 4e-13.
    let x = n as f64;
    let series = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * x * x)) / (x * x)) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

/// Returns ln (n - 1)! + (n - 1) ln tau, the part of the log-density that does not depend on the scores.
fn constant(n: usize, tau: f32) -> f64 {
    ln_factorial_below(n) + (n as f64 - 1.0) * f64::from(tau).ln()
}

/// Returns the score u = logit - tau log_y, capped at the largest number, or -inf for a masked class.
#[inline(always)]
fn score<F: Fma>(logit: f32, log_y: f32, tau: f32) -> f32 {
    let u = math::at_most(F::mul_add(-tau, log_y, logit), f32::MAX);
    if logit != f32::NEG_INFINITY { u } else { f32::NEG_INFINITY }
}

/// Returns the number of unmasked classes, and true if log_y is -inf at exactly the masked ones.
#[inline(always)]
fn support(log_y: &[f32], logits: &[f32]) -> (usize, bool) {
    let (mut n, mut strays) = (0u32, 0u32);
    for (&log_y, &logit) in log_y.iter().zip(logits) {
        let (masked, absent) = (logit == f32::NEG_INFINITY, log_y == f32::NEG_INFINITY);
        n += u32::from(!masked);
        strays += u32::from(masked != absent);
    }
    (n as usize, strays == 0)
}

crate::simd! {
    fn log_prob_piece<F>(
        log_y: &[f32], logits: &[f32], classes: usize, tau: f32, scores: &mut [f32], log_prob: &mut [f32],
    ) -> Checked {
        let (mut known, mut known_constant) = (0, 0.0);
        let rows = log_y.chunks_exact(classes).zip(logits.chunks_exact(classes)).zip(log_prob);
        for (r, ((log_y, logits), log_prob)) in rows.enumerate() {
            let (n, on_support) = support(log_y, logits);
            if n == 0 {
                return Err(MaskedRow(r));
            }
            if !on_support {
                *log_prob = f32::NEG_INFINITY;
                continue;
            }
            if n != known {
                (known, known_constant) = (n, constant(n, tau));
            }
            for ((u, &log_y), &logit) in scores.iter_mut().zip(log_y).zip(logits) {
                *u = score::<F>(logit, log_y, tau);
            }
            // Relative to the largest score, the sum and n times the logarithm cancel least.
            let max = lanes::max(scores);
            // In f64, because we subtract it n times, which multiplies its rounding error by n.
            let log_sum = f64::from(sum_exp::<F>(scores, max)).ln();
            for u in scores.iter_mut() {
                *u = if *u != f32::NEG_INFINITY { *u - max } else { 0.0 };
            }
            let rest = f64::from(lanes::sum_of_any(scores)) - n as f64 * log_sum;
            *log_prob = (known_constant + rest) as f32;
        }
        Ok(())
    }
}

/// The scores u. The gradient of the log-density needs their softmax.
struct DensityScores<'a> {
    log_y: &'a [f32],
    logits: &'a [f32],
    tau: f32,
}

impl Scores for DensityScores<'_> {
    const MOST: f32 = f32::MAX;

    #[inline(always)]
    fn fill<F: Fma>(&mut self, out: &mut [f32]) {
        for ((out, &log_y), &logit) in out.iter_mut().zip(self.log_y).zip(self.logits) {
            *out = score::<F>(logit, log_y, self.tau);
        }
        (self.log_y, self.logits) = (&self.log_y[out.len()..], &self.logits[out.len()..]);
    }
}

crate::simd! {
    fn log_prob_backward_piece<F>(
        tier;
        log_y: &[f32],
        logits: &[f32],
        classes: usize,
        tau: f32,
        log_prob: &[f32],
        dlog_prob: &[f32],
        p: &mut [f32],
        dlogits: &mut [f32],
    ) {
        let block = p.len();
        let rows_per_block = block / classes;
        let blocks = log_y.chunks(block).zip(logits.chunks(block)).zip(dlogits.chunks_mut(block));
        let numbers = log_prob.chunks(rows_per_block).zip(dlog_prob.chunks(rows_per_block));
        for (((log_y, logits), dlogits), (log_prob, dlog_prob)) in blocks.zip(numbers) {
            let p = &mut p[..logits.len()];
            // The forward pass found an unmasked class in every row.
            let _ = normalize::<F, _>(tier, classes, 1.0, &mut DensityScores { log_y, logits, tau }, p);
            let rows = p.chunks_exact(classes).zip(logits.chunks_exact(classes));
            let rows = rows.zip(dlogits.chunks_exact_mut(classes)).zip(log_prob.iter().zip(dlog_prob));
            for (((p, logits), dlogits), (&log_prob, &d)) in rows {
                if log_prob == f32::NEG_INFINITY {
                    continue;
                }
                let mut n = 0u32;
                for &logit in logits {
                    n += u32::from(logit != f32::NEG_INFINITY);
                }
                let n = n as i32 as f32;
                for ((dlogits, &p), &logit) in dlogits.iter_mut().zip(p).zip(logits) {
                    let slope = F::mul_add(-n, p, 1.0);
                    *dlogits = if logit != f32::NEG_INFINITY { F::mul_add(d, slope, *dlogits) } else { *dlogits };
                }
            }
        }
    }
}

crate::simd! {
    fn log_prob_backward_tau_piece(
        log_y: &[f32],
        logits: &[f32],
        classes: usize,
        tau: f32,
        log_prob: &[f32],
        dlog_prob: &[f32],
        h: &[f32],
    ) -> f32 {
        let mut total = 0.0f64;
        let rows = log_y.chunks_exact(classes).zip(logits.chunks_exact(classes)).zip(h.chunks_exact(classes));
        for (((log_y, logits), h), (&log_prob, &d)) in rows.zip(log_prob.iter().zip(dlog_prob)) {
            if log_prob == f32::NEG_INFINITY {
                continue;
            }
            let (n, _) = support(log_y, logits);
            let h_log_y = sum_in_runs(h, log_y, |h, log_y| if log_y != f32::NEG_INFINITY { h * log_y } else { 0.0 });
            total += f64::from(d * ((n - 1) as f32 / tau) - h_log_y);
        }
        total as f32
    }
}

/// Writes the log-density of the output of [`forward`], in nats.
///
/// log_prob\[r\] = ln (n - 1)! + (n - 1) ln tau + sum_k u_k - n ln sum_k e^u_k with u = logits - tau log_y.
/// Both sums run over the n unmasked classes of the row.
///
/// `log_y` and `logits` are rows of `classes`, and `log_prob` has an entry per row.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn log_prob_forward(
    tier: Tier,
    log_y: &[f32],
    logits: &[f32],
    classes: usize,
    tau: f32,
    log_prob: &mut [f32],
) -> Result<(), MaskedRow> {
    assert_eq!(log_y.len(), logits.len(), "log_y and logits must both be rows x classes");
    assert_eq!(logits.len(), log_prob.len() * classes, "log_prob must have an entry per row");
    let (rows, parts) = (log_prob.len(), (Rows(log_y, classes), Rows(logits, classes), RowsMut(log_prob, 1)));
    check_rows(rows, classes, parts, |_, (Rows(log_y, _), Rows(logits, _), RowsMut(log_prob, _))| {
        with_settled(tier, logits, classes, |logits| {
            scratch::with(classes, |scores| {
                log_prob_piece(tier, log_y, logits, classes, tau, scores, log_prob)
            })
        })
    })
}

/// Adds the gradient of the logits: dlogits += dlog_prob (1 - n p) with p = softmax(u), per row. The gradient
/// of log_y is -tau times the same.
///
/// `log_y`, `logits` and `dlogits` are rows of `classes`; `log_prob`, the output of [`log_prob_forward`], and
/// `dlog_prob` have an entry per row. Masked classes get exactly 0.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
#[allow(clippy::too_many_arguments)]
pub fn log_prob_backward(
    tier: Tier,
    log_y: &[f32],
    logits: &[f32],
    classes: usize,
    tau: f32,
    log_prob: &[f32],
    dlog_prob: &[f32],
    dlogits: &mut [f32],
) {
    let rows = count_rows(logits, classes, dlogits);
    assert_eq!(log_y.len(), logits.len(), "log_y and logits must both be rows x classes");
    assert!(log_prob.len() == rows && dlog_prob.len() == rows, "log_prob must have an entry per row");
    let parts = (
        Rows(log_y, classes),
        Rows(logits, classes),
        Rows(log_prob, 1),
        Rows(dlog_prob, 1),
        RowsMut(dlogits, classes),
    );
    for_rows(
        rows,
        classes,
        parts,
        |_, (Rows(log_y, _), Rows(logits, _), Rows(log_prob, _), Rows(d, _), RowsMut(dlogits, _))| {
            with_settled(tier, logits, classes, |logits| {
                with_soft(classes, |p| {
                    log_prob_backward_piece(tier, log_y, logits, classes, tau, log_prob, d, p, dlogits);
                });
            });
        },
    );
}

/// Returns the gradient of tau: dtau = sum over the rows of dlog_prob (n - 1) / tau - sum_k log_y_k h_k.
///
/// `h` is the gradient that [`log_prob_backward`] adds to a zeroed slice. The other slices are the same.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
#[allow(clippy::too_many_arguments)]
pub fn log_prob_backward_tau(
    tier: Tier,
    log_y: &[f32],
    logits: &[f32],
    classes: usize,
    tau: f32,
    log_prob: &[f32],
    dlog_prob: &[f32],
    h: &[f32],
) -> f32 {
    let rows = count_rows(logits, classes, h);
    assert_eq!(log_y.len(), logits.len(), "log_y and logits must both be rows x classes");
    assert!(log_prob.len() == rows && dlog_prob.len() == rows, "log_prob must have an entry per row");
    let parts = (
        Rows(log_y, classes),
        Rows(logits, classes),
        Rows(log_prob, 1),
        Rows(dlog_prob, 1),
        Rows(h, classes),
    );
    sum_rows(
        rows,
        classes,
        parts,
        |_, (Rows(log_y, _), Rows(logits, _), Rows(log_prob, _), Rows(d, _), Rows(h, _))| {
            with_settled(tier, logits, classes, |logits| {
                log_prob_backward_tau_piece(tier, log_y, logits, classes, tau, log_prob, d, h)
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stirling_continues_the_factorials() {
        let mut exact = 0.0;
        for n in 1..200usize {
            assert!((ln_factorial_below(n) - exact).abs() < 1e-11 * (1.0 + exact), "n = {n}");
            exact += (n as f64).ln();
        }
    }
}
