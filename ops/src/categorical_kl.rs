//! `categorical_kl`: KL(p || q) between categorical distributions given by logits, per row, in nats.
//! `categorical_kl_uniform`: the same with the uniform distribution over all classes of the row as q.
//!
//! A class that p masks (logit -inf) adds 0 to the divergence and gets the gradient 0. A class that q masks
//! and p does not makes the divergence +inf. A logit of inf masks the finite logits of its row.

use crate::Tier;
use crate::fma::Fma;
use crate::lanes;
use crate::math::{self, weighted};
use crate::parallel::{Rows, RowsMut, for_rows};
use crate::rows::{
    Checked, MODERATE, MaskedRow, block_len, by_classes, check_rows, count_rows, has_large, max_and_log_sum,
    normalizer, retry_settled, with_settled,
};
use crate::scratch;
use crate::soft_rows::shift_block;
use crate::sums::sum_in_runs;

/// Writes `shifted` = logits - largest logit of the row, and `exps` = e^shifted, for a block of rows. One
/// flat pass over the exponentials fills whole vectors, even with few classes.
#[inline(always)]
fn shift_and_exp<F: Fma>(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    shifted: &mut [f32],
    exps: &mut [f32],
) -> Checked {
    shifted.copy_from_slice(logits);
    shift_block(tier, classes, 1.0, MODERATE, shifted)?;
    for (e, &s) in exps.iter_mut().zip(shifted.iter()) {
        *e = math::exp::<F>(s);
    }
    Ok(())
}

/// Returns the sum of e and the mean of s under e / sum e, for one row. Masked classes have e = 0, s = -inf.
#[inline(always)]
fn sum_and_mean(s: &[f32], e: &[f32]) -> (f32, f32) {
    let weighted = sum_in_runs(s, e, |s, e| if e > 0.0 { e * s } else { 0.0 });
    let sum = lanes::sum_of_any(e);
    (sum, weighted / sum)
}

crate::simd! {
    fn sums_and_means(classes: usize, s: &[f32], e: &[f32], sums: &mut [f32], means: &mut [f32]) {
        by_classes!(sums_and_means_of_rows(classes, s, e, sums, means));
    }
}

#[inline(always)]
fn sums_and_means_of_rows<const C: usize>(
    classes: usize,
    s: &[f32],
    e: &[f32],
    sums: &mut [f32],
    means: &mut [f32],
) {
    let classes = if C == 0 { classes } else { C };
    let rows = s.chunks_exact(classes).zip(e.chunks_exact(classes));
    for ((s, e), (sum, mean)) in rows.zip(sums.iter_mut().zip(means)) {
        (*sum, *mean) = sum_and_mean(s, e);
    }
}

crate::simd! {
    fn uniform_forward_piece<F>(
        tier; logits: &[f32], classes: usize, scratch: &mut [f32], kl: &mut [f32],
    ) -> Checked {
        let log_classes = (classes as f64).ln() as f32;
        let block = block_len(classes);
        let (shifted, rest) = scratch.split_at_mut(block);
        let (exps, sums) = rest.split_at_mut(block);
        for (b, (logits, kl)) in logits.chunks(block).zip(kl.chunks_mut(block / classes)).enumerate() {
            let (shifted, exps) = (&mut shifted[..logits.len()], &mut exps[..logits.len()]);
            shift_and_exp::<F>(tier, logits, classes, shifted, exps)
                .map_err(|MaskedRow(r)| MaskedRow(b * block / classes + r))?;
            sums_and_means(tier, classes, shifted, exps, sums, kl);
            for (kl, &sum) in kl.iter_mut().zip(sums.iter()) {
                *kl = (*kl - math::ln::<F>(sum)) + log_classes;
            }
        }
        Ok(())
    }
}

crate::simd! {
    fn uniform_backward_piece<F>(
        tier; logits: &[f32], classes: usize, dkl: &[f32], scratch: &mut [f32], dlogits: &mut [f32],
    ) {
        let block = block_len(classes);
        let (shifted, exps) = scratch.split_at_mut(block);
        let blocks = logits.chunks(block).zip(dkl.chunks(block / classes)).zip(dlogits.chunks_mut(block));
        for ((logits, dkl), dlogits) in blocks {
            let (shifted, exps) = (&mut shifted[..logits.len()], &mut exps[..logits.len()]);
            // The forward pass found an unmasked class in every row.
            let _ = shift_and_exp::<F>(tier, logits, classes, shifted, exps);
            by_classes!(add_uniform_gradients(classes, shifted, exps, dkl, dlogits));
        }
    }
}

/// Adds the gradients of rows: dlogits += dkl p (ln p - sum p ln p) with p = e / sum e, and s = ln e.
#[inline(always)]
fn add_uniform_gradients<const C: usize>(
    classes: usize,
    s: &[f32],
    e: &[f32],
    dkl: &[f32],
    dlogits: &mut [f32],
) {
    let classes = if C == 0 { classes } else { C };
    let rows = s.chunks_exact(classes).zip(e.chunks_exact(classes));
    for ((&dkl, (s, e)), dlogits) in dkl.iter().zip(rows).zip(dlogits.chunks_exact_mut(classes)) {
        let (sum, mean) = sum_and_mean(s, e);
        let scale = dkl / sum;
        for ((dlogits, &s), &e) in dlogits.iter_mut().zip(s).zip(e) {
            *dlogits += if e == 0.0 { 0.0 } else { scale * e * (s - mean) };
        }
    }
}

/// Writes kl\[r\] = sum_i p_i ln p_i + ln(classes) in nats, with p = softmax(logits\[r, :\]).
///
/// `logits` are rows of `classes`, and `kl` has an entry per row.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If `logits` is not `kl.len()` rows of `classes`.
#[track_caller]
pub fn uniform_forward(tier: Tier, logits: &[f32], classes: usize, kl: &mut [f32]) -> Result<(), MaskedRow> {
    assert_eq!(logits.len(), kl.len() * classes, "logits must be rows x classes");
    let (rows, parts) = (kl.len(), (Rows(logits, classes), RowsMut(kl, 1)));
    check_rows(rows, classes, parts, |_, (Rows(logits, _), RowsMut(kl, _))| {
        retry_settled(tier, logits, classes, |logits| {
            // Room for a block of logits, a block of exponentials, and at most as many sums.
            scratch::with(3 * block_len(classes), |scratch| {
                uniform_forward_piece(tier, logits, classes, scratch, kl)
            })
        })
    })
}

/// Adds the gradient of [`uniform_forward`]: dlogits_i += dkl p_i (ln p_i - sum_j p_j ln p_j), per row.
///
/// `logits` and `dlogits` are rows of `classes`, and `dkl` has an entry per row.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn uniform_backward(tier: Tier, logits: &[f32], classes: usize, dkl: &[f32], dlogits: &mut [f32]) {
    let rows = count_rows(logits, classes, dlogits);
    assert_eq!(rows, dkl.len(), "dkl must have an entry per row");
    let parts = (Rows(logits, classes), Rows(dkl, 1), RowsMut(dlogits, classes));
    for_rows(rows, classes, parts, |_, (Rows(logits, _), Rows(dkl, _), RowsMut(dlogits, _))| {
        with_settled(tier, logits, classes, |logits| {
            scratch::with(2 * block_len(classes), |scratch| {
                uniform_backward_piece(tier, logits, classes, dkl, scratch, dlogits);
            });
        });
    });
}

/// Returns the log-ratio ln p_i - ln q_i, or 0 where p masks the class.
#[inline(always)]
fn log_ratio(p: f32, q: f32, p_norm: (f32, f32), q_norm: (f32, f32)) -> f32 {
    let ratio = ((p - p_norm.0) - p_norm.1) - ((q - q_norm.0) - q_norm.1);
    if p > f32::NEG_INFINITY { ratio } else { 0.0 }
}

/// Returns the probability of a logit from the [`normalizer`] of its row.
#[inline(always)]
fn probability<F: Fma>(x: f32, norm: (f32, f32)) -> f32 {
    math::exp::<F>((x - norm.0) - norm.1)
}

crate::simd! {
    fn forward_piece<F>(p: &[f32], q: &[f32], classes: usize, kl: &mut [f32]) -> Checked {
        for (r, ((p, q), kl)) in p.chunks_exact(classes).zip(q.chunks_exact(classes)).zip(kl).enumerate() {
            let (p_norm, q_norm) = (normalizer::<F>(p, r)?, normalizer::<F>(q, r)?);
            let ratio = |p, q| log_ratio(p, q, p_norm, q_norm);
            let total = sum_in_runs(p, q, |p, q| probability::<F>(p, p_norm) * ratio(p, q));
            // A class that only q masks makes kl infinite even if its probability underflows, where 0 times
            // infinity would be NaN.
            let excluded = |(&p, &q): (&f32, &f32)| ratio(p, q) == f32::INFINITY;
            *kl = if !total.is_finite() && p.iter().zip(q).any(excluded) { f32::INFINITY } else { total };
        }
        Ok(())
    }
}

crate::simd! {
    fn backward_p_piece<F>(p: &[f32], q: &[f32], classes: usize, kl: &[f32], dkl: &[f32], dp: &mut [f32]) {
        let rows = p.chunks_exact(classes).zip(q.chunks_exact(classes)).zip(dp.chunks_exact_mut(classes));
        for (((p, q), dp), (&kl, &dkl)) in rows.zip(kl.iter().zip(dkl)) {
            let (p_norm, q_norm) = (max_and_log_sum::<F>(p), max_and_log_sum::<F>(q));
            // An infinite divergence has infinite slopes: positive for a class that makes it infinite,
            // negative for the others.
            let kl = math::at_most(kl, f32::MAX);
            for ((dp, &p), &q) in dp.iter_mut().zip(p).zip(q) {
                // A class with probability 0 has slope 0, even if the other factor is infinite.
                let slope = weighted(probability::<F>(p, p_norm), log_ratio(p, q, p_norm, q_norm) - kl);
                *dp = F::mul_add(dkl, slope, *dp);
            }
        }
    }
}

crate::simd! {
    fn backward_q_piece<F>(p: &[f32], q: &[f32], classes: usize, dkl: &[f32], dq: &mut [f32]) {
        let rows = p.chunks_exact(classes).zip(q.chunks_exact(classes)).zip(dq.chunks_exact_mut(classes));
        for (((p, q), dq), &dkl) in rows.zip(dkl) {
            let (p_norm, q_norm) = (max_and_log_sum::<F>(p), max_and_log_sum::<F>(q));
            for ((dq, &p), &q) in dq.iter_mut().zip(p).zip(q) {
                *dq = F::mul_add(dkl, probability::<F>(q, q_norm) - probability::<F>(p, p_norm), *dq);
            }
        }
    }
}

/// Like [`with_settled`], for the logits of two distributions.
fn with_settled_pair<T>(
    tier: Tier,
    p: &[f32],
    q: &[f32],
    classes: usize,
    work: impl FnOnce(&[f32], &[f32]) -> T,
) -> T {
    with_settled(tier, p, classes, |p| with_settled(tier, q, classes, |q| work(p, q)))
}

/// Writes kl\[r\] = sum_i p_i (ln p_i - ln q_i) in nats, where p_i and q_i are the softmax of the logits in
/// `p` and `q`.
///
/// `p` and `q` are rows of `classes`, and `kl` has an entry per row.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn forward(tier: Tier, p: &[f32], q: &[f32], classes: usize, kl: &mut [f32]) -> Result<(), MaskedRow> {
    assert!(p.len() == q.len() && p.len() == kl.len() * classes, "logits must be rows x classes");
    let (rows, parts) = (kl.len(), (Rows(p, classes), Rows(q, classes), RowsMut(kl, 1)));
    check_rows(rows, classes, parts, |_, (Rows(p, _), Rows(q, _), RowsMut(kl, _))| {
        match forward_piece(tier, p, q, classes, kl) {
            Err(_) if has_large(tier, p) || has_large(tier, q) => {
                with_settled_pair(tier, p, q, classes, |p, q| forward_piece(tier, p, q, classes, kl))
            }
            checked => checked,
        }
    })
}

/// Adds the gradient of the logits of p: dp_i += dkl p_i ((ln p_i - ln q_i) - kl), per row. An infinite kl
/// counts as 3.4e38.
///
/// `p`, `q` and `dp` are rows of `classes`; `kl`, the output of [`forward`], and `dkl` have an entry per row.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn backward_p(tier: Tier, p: &[f32], q: &[f32], classes: usize, kl: &[f32], dkl: &[f32], dp: &mut [f32]) {
    let rows = count_rows(p, classes, dp);
    assert!(q.len() == p.len() && kl.len() == rows && dkl.len() == rows, "q must be rows x classes");
    let parts = (Rows(p, classes), Rows(q, classes), Rows(kl, 1), Rows(dkl, 1), RowsMut(dp, classes));
    for_rows(
        rows,
        classes,
        parts,
        |_, (Rows(p, _), Rows(q, _), Rows(kl, _), Rows(dkl, _), RowsMut(dp, _))| {
            with_settled_pair(tier, p, q, classes, |p, q| {
                backward_p_piece(tier, p, q, classes, kl, dkl, dp);
            });
        },
    );
}

/// Adds the gradient of the logits of q: dq_i += dkl (q_i - p_i), per row.
///
/// `p`, `q` and `dq` are rows of `classes`, and `dkl` has an entry per row.
///
/// # Panics
/// If the lengths do not match.
#[track_caller]
pub fn backward_q(tier: Tier, p: &[f32], q: &[f32], classes: usize, dkl: &[f32], dq: &mut [f32]) {
    let rows = count_rows(p, classes, dq);
    assert!(q.len() == p.len() && dkl.len() == rows, "q must be rows x classes");
    let parts = (Rows(p, classes), Rows(q, classes), Rows(dkl, 1), RowsMut(dq, classes));
    for_rows(rows, classes, parts, |_, (Rows(p, _), Rows(q, _), Rows(dkl, _), RowsMut(dq, _))| {
        with_settled_pair(tier, p, q, classes, |p, q| backward_q_piece(tier, p, q, classes, dkl, dq));
    });
}
