//! Rows of classes: masked rows, blocks of rows, and row lengths that the compiler knows.
//!
//! A logit of -inf masks its class, so its probability and its gradient are exactly 0. A row with no other
//! class has no softmax, and forwards report it as [`MaskedRow`]. A NaN is not a mask. It spreads to the
//! result of its whole row.
//!
//! A logit of inf makes its class certain, because it masks every finite logit of its row. Several of them
//! share the probability equally, in samples too. A finite logit never masks another. A distance beyond the
//! largest number counts as the largest number.

use std::fmt;

use crate::Tier;
use crate::fma::Fma;
use crate::lanes;
use crate::math;
use crate::parallel::{Split, fold_rows};
use crate::scratch;
use crate::simd::LANES;

/// The error for a row in which every class is masked. It holds the index of the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaskedRow(pub usize);

impl fmt::Display for MaskedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} has no class left: all its logits are -inf", self.0)
    }
}

impl std::error::Error for MaskedRow {}

/// The result of a pass over rows. The error is the first masked row.
pub(crate) type Checked = Result<(), MaskedRow>;

/// Calls `work(first_row, piece)` on the pieces that [`fold_rows`] makes. `work` counts rows from the start
/// of its piece. The error returned is the first masked row of all, whichever thread found it.
pub(crate) fn check_rows<P: Split>(
    rows: usize,
    width: usize,
    parts: P,
    work: impl Fn(usize, P) -> Checked + Sync,
) -> Checked {
    let piece = |first, parts| work(first, parts).map_err(|MaskedRow(r)| MaskedRow(first + r));
    fold_rows(rows, width, parts, piece, |earlier, later| earlier.and(later))
}

/// The approximate size of a block of rows, in elements: few enough for the L1 cache, enough to fill vectors.
pub(crate) const BLOCK: usize = 2048;

/// Returns the number of elements in a block: whole rows, at least one. If sixteen rows fit, the number of
/// rows is a multiple of sixteen, so that vectors end where blocks end.
#[inline(always)]
pub(crate) fn block_len(classes: usize) -> usize {
    let rows = (BLOCK / classes).max(1);
    (if rows < LANES { rows } else { rows - rows % LANES }) * classes
}

/// Keeps the compiler from working on sixteen rows at once, which would gather and scatter their entries one
/// by one.
#[inline(always)]
pub(crate) fn row_by_row() {
    std::hint::black_box(());
}

/// Calls `f::<C>(classes, ...)` with C = classes for up to 16 classes, and with C = 0 for more. When the
/// compiler knows the length of a row, it unrolls the loops over the row.
macro_rules! by_classes {
    ($f:ident$(::<$fma:ident>)?($classes:expr, $($arg:expr),*)) => {
        match if $crate::lanes::ROWS_HAVE_OWN_CODE { $classes } else { 0 } {
            1 => $f::<$($fma,)? 1>(1, $($arg),*),
            2 => $f::<$($fma,)? 2>(2, $($arg),*),
            3 => $f::<$($fma,)? 3>(3, $($arg),*),
            4 => $f::<$($fma,)? 4>(4, $($arg),*),
            5 => $f::<$($fma,)? 5>(5, $($arg),*),
            6 => $f::<$($fma,)? 6>(6, $($arg),*),
            7 => $f::<$($fma,)? 7>(7, $($arg),*),
            8 => $f::<$($fma,)? 8>(8, $($arg),*),
            9 => $f::<$($fma,)? 9>(9, $($arg),*),
            10 => $f::<$($fma,)? 10>(10, $($arg),*),
            11 => $f::<$($fma,)? 11>(11, $($arg),*),
            12 => $f::<$($fma,)? 12>(12, $($arg),*),
            13 => $f::<$($fma,)? 13>(13, $($arg),*),
            14 => $f::<$($fma,)? 14>(14, $($arg),*),
            15 => $f::<$($fma,)? 15>(15, $($arg),*),
            16 => $f::<$($fma,)? 16>(16, $($arg),*),
            _ => $f::<$($fma,)? 0>($classes, $($arg),*),
        }
    };
}
pub(crate) use by_classes;

/// Returns true if a row of logits, or of logits with noise, has no class left or an entry beyond `most`,
/// which is too large for a kernel to work on. `max` is its largest entry apart from NaN, which is not a
/// mask.
///
/// A kernel reports both as a [`MaskedRow`], and [`retry_settled`] tells them apart. This takes one range
/// check per row. A separate search for large logits would cost a fused kernel up to a tenth of its time.
#[inline(always)]
pub(crate) fn is_unusual(row: &[f32], max: f32, most: f32) -> bool {
    // A single comparison, which rows of ordinary logits pass.
    let is_ordinary = max.abs() <= most;
    !is_ordinary && is_masked_or_large(row, max, most)
}

#[cold]
#[inline(never)]
fn is_masked_or_large(row: &[f32], max: f32, most: f32) -> bool {
    max > most || (max == f32::NEG_INFINITY && has_no_nan(row))
}

/// Returns true if a row whose largest entry is `max` has a class left and is not too large.
#[inline(always)]
pub(crate) fn is_usual(max: f32) -> bool {
    max.abs() <= MODERATE || (f32::NEG_INFINITY < max && max < 0.0)
}

/// Returns true if `max`, the largest entry of a row, is infinite and the row has no NaN.
#[inline(always)]
pub(crate) fn is_infinite(row: &[f32], max: f32) -> bool {
    max.is_infinite() && has_no_nan(row)
}

#[cold]
#[inline(never)]
fn has_no_nan(row: &[f32]) -> bool {
    !row.iter().any(|x| x.is_nan())
}

/// A bound for the largest logit of a row. Below it, the distances to the other logits do not overflow.
pub(crate) const MODERATE: f32 = 1e30;

crate::simd! {
    fn largest(x: &[f32]) -> f32 {
        lanes::max(x)
    }
}

/// Calls `work` with rows of logits. If `work` reports an [unusual](is_unusual) row and some are large, this
/// calls it again with the rows [settled](with_settled).
#[inline]
pub(crate) fn retry_settled(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    mut work: impl FnMut(&[f32]) -> Checked,
) -> Checked {
    match work(logits) {
        Err(_) if has_large(tier, logits) => on_settled_copy(logits, classes, work),
        checked => checked,
    }
}

/// Returns true if any row would be settled.
pub(crate) fn has_large(tier: Tier, logits: &[f32]) -> bool {
    largest(tier, logits) > MODERATE
}

/// Calls `work` with rows of logits. Rows whose largest entry is infinite or close to the end of `f32` are
/// first replaced with equivalent ones. In the rows that `work` receives, no entry is inf, and only a masked
/// class is at an infinite distance from the largest entry of its row.
#[inline]
pub(crate) fn with_settled<T>(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    work: impl FnOnce(&[f32]) -> T,
) -> T {
    if has_large(tier, logits) { on_settled_copy(logits, classes, work) } else { work(logits) }
}

#[cold]
fn on_settled_copy<T>(logits: &[f32], classes: usize, work: impl FnOnce(&[f32]) -> T) -> T {
    scratch::with(logits.len(), |copy| {
        copy.copy_from_slice(logits);
        copy.chunks_exact_mut(classes).for_each(settle);
        work(copy)
    })
}

/// Shifts a row so that its largest entry is 0, unless that entry is moderate.
#[cold]
fn settle(row: &mut [f32]) {
    let max = lanes::max(row);
    if max <= MODERATE {
        return;
    }
    for x in row {
        // NaN for a NaN, and -inf for a masked class.
        let below = *x - max;
        let masked = max == f32::INFINITY || *x == f32::NEG_INFINITY;
        let below = if masked { below } else { math::at_least(below, -f32::MAX) };
        *x = if *x == max { 0.0 } else { below };
    }
}

/// Returns the number of rows, after checking that both slices have the same length and hold whole rows.
#[track_caller]
pub(crate) fn count_rows(x: &[f32], classes: usize, y: &[f32]) -> usize {
    assert_eq!(x.len(), y.len(), "both slices must be rows x classes");
    assert!(classes > 0 && x.len().is_multiple_of(classes), "{} elements are not rows of {classes}", x.len());
    x.len() / classes
}

/// Returns the largest logit of a row and ln(sum of exp(logits - largest)).
#[inline(always)]
pub(crate) fn max_and_log_sum<F: Fma>(row: &[f32]) -> (f32, f32) {
    let max = lanes::max(row);
    (max, math::ln::<F>(sum_exp::<F>(row, max)))
}

/// Like [`max_and_log_sum`], for row number `r`. An [unusual](is_unusual) row is an error.
#[inline(always)]
pub(crate) fn normalizer<F: Fma>(row: &[f32], r: usize) -> Result<(f32, f32), MaskedRow> {
    let (max, log_sum) = max_and_log_sum::<F>(row);
    if is_unusual(row, max, MODERATE) { Err(MaskedRow(r)) } else { Ok((max, log_sum)) }
}

/// Returns the sum of exp(x - shift), in an order that depends only on the length.
#[inline(always)]
pub(crate) fn sum_exp<F: Fma>(row: &[f32], shift: f32) -> f32 {
    const PIECE: usize = 256;
    let mut total = 0.0f64;
    let mut piece = [0.0f32; PIECE];
    for row in row.chunks(PIECE) {
        for (piece, &x) in piece.iter_mut().zip(row) {
            *piece = math::exp::<F>(x - shift);
        }
        total += f64::from(lanes::sum(&piece[..row.len()]));
    }
    total as f32
}
