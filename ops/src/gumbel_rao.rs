//! `gumbel_rao`: an exact one-hot sample with the gradient of `st_gumbel_softmax`, averaged over noise that
//! gives the same sample.
//!
//! `st_gumbel_softmax` differentiates softmax((logits + G) / tau), which depends on all of the noise G. The
//! sample D keeps only the winner of logits + G. The mean of the gradient over G given D has the same
//! expectation and less variance, and it needs the downstream gradient only once.
//!
//! Given D, the perturbed logits have a simple form. Let p = softmax(logits), and let E be independent
//! exponential numbers. Up to a constant for the row, the winner has `-ln E_D` and every other class has
//! `-ln(E_j / p_j + E_D)`. Read as a race, the numbers inside the logarithms are arrival times, and the
//! winner arrives first.
//!
//! # Source
//! M. Paulus, C. Maddison, A. Krause, "Rao-Blackwellizing the Straight-Through Gumbel-Softmax Gradient
//! Estimator", ICLR 2021, equations 7 to 10.

use crate::Tier;
use crate::draw;
use crate::fma::Fma;
use crate::math;
use crate::noise::{Draws, PIECE, Reader};
use crate::parallel::{Rows, RowsMut, for_rows};
use crate::perturbed::one_hot_samples;
use crate::rows::{MaskedRow, block_len, by_classes, count_rows, max_and_log_sum, row_by_row, with_settled};
use crate::scratch;
use crate::soft_rows::{InPlace, jacobian, normalize};
use crate::sums::{RUN, add_to_totals, add_totals, run_length};

/// The smallest probability that can divide an exponential number, which is at most 22.9, without overflow.
const RAREST: f32 = 1e-36;

/// Writes exponential numbers, one per draw.
#[inline(always)]
fn exponentials<F: Fma>(reader: &mut Reader<'_>, out: &mut [f32]) {
    for out in out.chunks_mut(PIECE) {
        draw::exponentials::<F>(reader.take(out.len()), out);
    }
}

/// Replaces exponential numbers with arrival times, sample by sample. The winner takes the first number of
/// each sample, and class 0 takes the number at the index of the winner.
#[inline(always)]
fn arrivals<F: Fma, const C: usize>(classes: usize, winner: usize, inverse_p: &[f32], block: &mut [f32]) {
    let classes = if C == 0 { classes } else { C };
    let inverse_p = &inverse_p[..classes];
    for sample in block.chunks_exact_mut(classes) {
        row_by_row();
        let (first, of_class_0) = (sample[0], sample[winner]);
        for (time, &inverse_p) in sample.iter_mut().zip(inverse_p) {
            *time = F::mul_add(*time, inverse_p, first);
        }
        // These come last, because loading a vector right after storing one of its entries would stall.
        sample[0] = F::mul_add(of_class_0, inverse_p[0], first);
        sample[winner] = first;
    }
}

/// Replaces exponential numbers with perturbed logits, like [`arrivals`] followed by a logarithm. It works in
/// logarithms throughout, for rows with a class so rare that 1 / p overflows.
#[inline(always)]
fn scores_in_logs<F: Fma>(winner: usize, minus_ln_p: &[f32], block: &mut [f32]) {
    for sample in block.chunks_exact_mut(minus_ln_p.len()) {
        let first = math::ln::<F>(sample[0]);
        sample[0] = sample[winner];
        for (score, &minus_ln_p) in sample.iter_mut().zip(minus_ln_p) {
            let alone = math::ln::<F>(*score) + minus_ln_p;
            let (less, more) = if alone < first { (alone, first) } else { (first, alone) };
            *score = -(more + math::log1p::<F>(math::exp::<F>(less - more)));
        }
        sample[winner] = -first;
    }
}

/// Writes 1 / p for p = softmax(logits). Where a class is so rare that this overflows, it writes -ln p for
/// all classes and returns true.
#[inline(always)]
fn invert_probabilities<F: Fma>(tier: Tier, logits: &[f32], inverse_p: &mut [f32]) -> bool {
    // Every row has an unmasked class, because it has a winner.
    let _ = normalize::<F, _>(tier, logits.len(), 1.0, &mut &*logits, inverse_p);
    let rare = inverse_p.iter().zip(logits).any(|(&p, &x)| p < RAREST && x > f32::NEG_INFINITY);
    if rare {
        let (max, log_sum) = max_and_log_sum::<F>(logits);
        inverse_p.iter_mut().zip(logits).for_each(|(m, &x)| *m = log_sum - (x - max));
    } else {
        inverse_p.iter_mut().for_each(|p| *p = 1.0 / *p);
    }
    rare
}

crate::simd! {
    fn backward_piece<F>(
        tier;
        draws: Draws<'_>,
        first: usize,
        logits: &[f32],
        y: &[f32],
        dy: &[f32],
        classes: usize,
        samples: usize,
        inverse_tau: f32,
        inverse_p: &mut [f32],
        soft: &mut [f32],
        sums: &mut [f32],
        totals: &mut [f64],
        dlogits: &mut [f32],
    ) {
        let of_row = |row: usize| draws.from_element((first + row) * samples * classes);
        let mut reader = of_row(0);
        let (scale, run) = (inverse_tau / samples as f32, run_length(samples, RUN));
        let rows = logits.chunks_exact(classes).zip(y.chunks_exact(classes)).zip(dy.chunks_exact(classes));
        for (r, (((logits, y), dy), dlogits)) in rows.zip(dlogits.chunks_exact_mut(classes)).enumerate() {
            let Some(winner) = y.iter().position(|&y| y == 1.0) else {
                // The forward pass found a NaN in this row.
                dlogits.fill(f32::NAN);
                reader = of_row(r + 1);
                continue;
            };
            let rare = invert_probabilities::<F>(tier, logits, inverse_p);
            sums.fill(0.0);
            totals.fill(0.0);
            let mut in_run = 0;
            let mut left = samples * classes;
            while left > 0 {
                let block = &mut soft[..left.min(block_len(classes))];
                left -= block.len();
                exponentials::<F>(&mut reader, block);
                if rare {
                    scores_in_logs::<F>(winner, inverse_p, block);
                } else {
                    by_classes!(arrivals::<F>(classes, winner, inverse_p, block));
                    for time in block.iter_mut() {
                        *time = -math::ln::<F>(*time);
                    }
                }
                let _ = normalize::<F, _>(tier, classes, inverse_tau, &mut InPlace, block);
                for sample in block.chunks_exact(classes) {
                    if in_run == run {
                        add_to_totals(sums, totals);
                        sums.fill(0.0);
                        in_run = 0;
                    }
                    jacobian(tier, classes, sample, dy, scale, sums);
                    in_run += 1;
                }
            }
            add_to_totals(sums, totals);
            add_totals(totals, dlogits);
        }
    }
}

/// Samples y = one-hot of argmax(logits + g) with standard Gumbel noise g: an exact sample of
/// softmax(logits).
///
/// `logits` and `y` are rows of `classes`. Element i takes draw i. Ties take the lowest index, and a masked
/// class never wins. A row that contains a NaN becomes NaN.
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
    y: &mut [f32],
) -> Result<(), MaskedRow> {
    one_hot_samples(tier, draws, logits, classes, y)
}

/// Adds the mean gradient of the relaxed sample over `samples` of the noise G given the winner: dlogits +=
/// the mean of h / tau with y = softmax((logits + G) / tau) and h = y (dy - <y, dy>), per row.
///
/// The slices are rows of `classes`, and `one_hot` is the output of [`forward`]. `draws` are separate from
/// the draws of the forward pass. Sample k of row r takes `classes` of them, from draw (r samples + k)
/// classes on. Masked classes get exactly 0, and a row of NaN gets NaN.
///
/// # Precision
/// The mean has the precision of the sums in [`axis`](crate::axis), for any number of samples.
///
/// # Panics
/// If `samples` is 0, if the slices differ in length or do not hold whole rows, or if the injected draws are
/// not `samples` per logit.
#[track_caller]
#[allow(clippy::too_many_arguments)]
pub fn backward(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    one_hot: &[f32],
    dy: &[f32],
    classes: usize,
    samples: usize,
    tau: f32,
    dlogits: &mut [f32],
) {
    assert!(samples > 0, "gumbel_rao needs at least one sample of the noise");
    let rows = count_rows(logits, classes, dlogits);
    assert!(one_hot.len() == logits.len() && dy.len() == logits.len(), "all must be rows x classes");
    draws.check(logits.len() * samples);
    let parts = (Rows(logits, classes), Rows(one_hot, classes), Rows(dy, classes), RowsMut(dlogits, classes));
    for_rows(
        rows,
        classes * samples,
        parts,
        |first, (Rows(logits, _), Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
            scratch::with(classes + block_len(classes), |room| {
                let (inverse_p, soft) = room.split_at_mut(classes);
                with_settled(tier, logits, classes, |logits| {
                    scratch::with_totals(classes, |sums, totals| {
                        backward_piece(
                            tier,
                            draws,
                            first,
                            logits,
                            y,
                            dy,
                            classes,
                            samples,
                            1.0 / tau,
                            inverse_p,
                            soft,
                            sums,
                            totals,
                            dlogits,
                        );
                    });
                });
            });
        },
    );
}
