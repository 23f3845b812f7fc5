//! `exp_concrete`, the logarithm of a relaxed categorical sample, y = log_softmax((logits + g) / tau) with g standard
//! Gumbel noise, and `exp_concrete_log_prob`, its log-density in nats.
//!
//! A sample's small entries underflow where their logarithms do not, so a density wants the logarithm. A class that
//! a logit of -inf masks has log_y = -inf and does not count: the density is that of the other classes. Where log_y is
//! -inf at other places than the mask, the density is 0, its logarithm -inf, and the row passes no gradient on.
//!
//! # Source
//! C. Maddison, A. Mnih, Y. W. Teh, "The Concrete Distribution", ICLR 2017, appendix C.3.2.

use crate::Tier;
use crate::lanes;
use crate::math;
use crate::noise::Draws;
use crate::parallel::{Rows, RowsMut, for_rows, sum_rows};
use crate::perturbed::gumbel_scores;
use crate::rows::{Checked, MaskedRow, check_rows, count_rows, is_masked, max_and_log_sum, sum_exp};
use crate::scratch;
use crate::soft_rows::{Scores, normalize, with_soft};

// ------------------------------------------------------------------------------------------------ the sample

crate::simd! {
    fn forward_piece(
        draws: Draws<'_>, first: usize, logits: &[f32], classes: usize, inverse_tau: f32, y: &mut [f32],
    ) -> Checked {
        let mut reader = draws.from_element(first * classes);
        gumbel_scores(&mut reader, logits, y);
        for (r, row) in y.chunks_exact_mut(classes).enumerate() {
            let max = lanes::max(row);
            if is_masked(row, max) {
                return Err(MaskedRow(r));
            }
            for s in row.iter_mut() {
                *s = (*s - max) * inverse_tau;
            }
            let (max, log_sum) = max_and_log_sum(row);
            for s in row {
                *s = (*s - max) - log_sum;
            }
        }
        Ok(())
    }
}

crate::simd! {
    fn backward_piece(
        y: &[f32], dy: &[f32], classes: usize, inverse_tau: f32, want_tau: bool, dlogits: &mut [f32],
    ) -> f32 {
        let mut h_y = 0.0;
        let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes)).zip(dlogits.chunks_exact_mut(classes));
        for ((y, dy), dlogits) in rows {
            // The value of a masked class is -inf whatever the logits: its dy has no say.
            let mut total = 0.0;
            for (&y, &dy) in y.iter().zip(dy) {
                total += if y != f32::NEG_INFINITY { dy } else { 0.0 };
            }
            for ((dlogits, &y), &dy) in dlogits.iter_mut().zip(y).zip(dy) {
                let h = (-total).mul_add(math::exp_nonpositive(y), dy);
                *dlogits = if y != f32::NEG_INFINITY { h.mul_add(inverse_tau, *dlogits) } else { *dlogits };
                if want_tau {
                    h_y += if y != f32::NEG_INFINITY { h * y } else { 0.0 };
                }
            }
        }
        h_y
    }
}

/// y = log_softmax((logits + g) / tau), rows of `classes`; element i takes draw i. Masked classes stay at -inf.
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

/// dlogits += h / tau with h = dy - e^y sum(dy), row by row, from the output y alone; returns dtau = -sum(h y) / tau
/// if `want_tau`, else 0.
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
    let rows = count_rows(y, classes, dlogits);
    assert_eq!(y.len(), dy.len(), "y and dy must have one length");
    let h_y = sum_rows(
        rows,
        classes,
        (Rows(y, classes), Rows(dy, classes), RowsMut(dlogits, classes)),
        |_, (Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
            backward_piece(tier, y, dy, classes, 1.0 / tau, want_tau, dlogits)
        },
    );
    -h_y / tau
}

// ----------------------------------------------------------------------------------------------- its density

/// ln (n - 1)!
fn ln_factorial_below(n: usize) -> f64 {
    if n <= 20 {
        // 19! is a whole number below 2^57 with 16 factors of 2: exact.
        return (1..n).map(|k| k as f64).product::<f64>().ln();
    }
    // Stirling's series; the next term, 1 / (1680 n^7), is below 4e-13.
    let x = n as f64;
    let series = (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * x * x)) / (x * x)) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

/// What a row of n classes has in its density besides the scores: ln (n - 1)! + (n - 1) ln tau.
fn constant(n: usize, tau: f32) -> f64 {
    ln_factorial_below(n) + (n as f64 - 1.0) * f64::from(tau).ln()
}

/// The score u = logit - tau log_y, -inf for a masked class.
#[inline(always)]
fn score(logit: f32, log_y: f32, tau: f32) -> f32 {
    let u = (-tau).mul_add(log_y, logit);
    if logit != f32::NEG_INFINITY { u } else { f32::NEG_INFINITY }
}

/// Number of classes that are not masked, and whether log_y is -inf at the masked ones and nowhere else.
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
    fn log_prob_piece(
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
                *u = score(logit, log_y, tau);
            }
            // Relative to the largest score, the sum and n times the logarithm cancel least.
            let max = lanes::max(scores);
            // In f64: n of them would add up one rounding n times.
            let log_sum = f64::from(sum_exp(scores, max)).ln();
            for u in scores.iter_mut() {
                *u = if *u != f32::NEG_INFINITY { *u - max } else { 0.0 };
            }
            let rest = f64::from(lanes::sum(scores)) - n as f64 * log_sum;
            *log_prob = (known_constant + rest) as f32;
        }
        Ok(())
    }
}

/// The scores of which a log-density's gradient needs the softmax.
struct DensityScores<'a> {
    log_y: &'a [f32],
    logits: &'a [f32],
    tau: f32,
}

impl Scores for DensityScores<'_> {
    #[inline(always)]
    fn fill(&mut self, out: &mut [f32]) {
        for ((out, &log_y), &logit) in out.iter_mut().zip(self.log_y).zip(self.logits) {
            *out = score(logit, log_y, self.tau);
        }
        (self.log_y, self.logits) = (&self.log_y[out.len()..], &self.logits[out.len()..]);
    }
}

crate::simd! {
    fn log_prob_backward_piece(
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
            let _ = normalize(classes, 1.0, &mut DensityScores { log_y, logits, tau }, p);
            let rows = p.chunks_exact(classes).zip(logits.chunks_exact(classes)).zip(dlogits.chunks_exact_mut(classes));
            for (((p, logits), dlogits), (&log_prob, &d)) in rows.zip(log_prob.iter().zip(dlog_prob)) {
                if log_prob == f32::NEG_INFINITY {
                    continue;
                }
                let mut n = 0u32;
                for &logit in logits {
                    n += u32::from(logit != f32::NEG_INFINITY);
                }
                let n = n as i32 as f32;
                for ((dlogits, &p), &logit) in dlogits.iter_mut().zip(p).zip(logits) {
                    let slope = (-n).mul_add(p, 1.0);
                    *dlogits = if logit != f32::NEG_INFINITY { d.mul_add(slope, *dlogits) } else { *dlogits };
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
        let mut total = 0.0;
        let rows = log_y.chunks_exact(classes).zip(logits.chunks_exact(classes)).zip(h.chunks_exact(classes));
        for (((log_y, logits), h), (&log_prob, &d)) in rows.zip(log_prob.iter().zip(dlog_prob)) {
            if log_prob == f32::NEG_INFINITY {
                continue;
            }
            let (n, _) = support(log_y, logits);
            let mut h_log_y = 0.0;
            for (&h, &log_y) in h.iter().zip(log_y) {
                h_log_y += if log_y != f32::NEG_INFINITY { h * log_y } else { 0.0 };
            }
            total += d * ((n - 1) as f32 / tau) - h_log_y;
        }
        total
    }
}

/// log_prob\[r\] = ln (n - 1)! + (n - 1) ln tau + sum_k u_k - n ln sum_k e^u_k with u = logits - tau log_y, both sums
/// over the n unmasked classes of the row: the log-density of [`forward`]'s output, in nats.
///
/// # Errors
/// A row whose classes are all masked.
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
        scratch::with(classes, |scores| log_prob_piece(tier, log_y, logits, classes, tau, scores, log_prob))
    })
}

/// dlogits += dlog_prob (1 - n p) with p = softmax(u); the gradient of log_y is -tau times the same.
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
            with_soft(classes, |p| {
                log_prob_backward_piece(tier, log_y, logits, classes, tau, log_prob, d, p, dlogits);
            });
        },
    );
}

/// dtau = sum over the rows of dlog_prob (n - 1) / tau - sum_k log_y_k h_k, `h` being what [`log_prob_backward`] adds
/// to zeros.
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
            log_prob_backward_tau_piece(tier, log_y, logits, classes, tau, log_prob, d, h)
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
