//! Rows of classes: masked rows, blocks of rows, and row lengths that the compiler knows.
//!
//! A logit of -inf masks its class: its probability and its gradient are exactly 0. A row with no other class
//! has no softmax, and forwards report it as [`MaskedRow`]. A NaN is not a mask: it spreads to the result of
//! its whole row.

use std::fmt;

use crate::lanes;
use crate::math;
use crate::parallel::{Split, fold_rows};
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

/// Elements in a block of rows, about: few enough for the nearest cache, enough to fill vectors.
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
    ($f:ident($classes:expr, $($arg:expr),*)) => {
        match $classes {
            1 => $f::<1>(1, $($arg),*),
            2 => $f::<2>(2, $($arg),*),
            3 => $f::<3>(3, $($arg),*),
            4 => $f::<4>(4, $($arg),*),
            5 => $f::<5>(5, $($arg),*),
            6 => $f::<6>(6, $($arg),*),
            7 => $f::<7>(7, $($arg),*),
            8 => $f::<8>(8, $($arg),*),
            9 => $f::<9>(9, $($arg),*),
            10 => $f::<10>(10, $($arg),*),
            11 => $f::<11>(11, $($arg),*),
            12 => $f::<12>(12, $($arg),*),
            13 => $f::<13>(13, $($arg),*),
            14 => $f::<14>(14, $($arg),*),
            15 => $f::<15>(15, $($arg),*),
            16 => $f::<16>(16, $($arg),*),
            classes => $f::<0>(classes, $($arg),*),
        }
    };
}
pub(crate) use by_classes;

/// Returns true if a row has no class left. `max` is its largest entry apart from NaN, and a NaN is not a
/// mask.
#[inline(always)]
pub(crate) fn is_masked(row: &[f32], max: f32) -> bool {
    max == f32::NEG_INFINITY && has_no_nan(row)
}

#[cold]
#[inline(never)]
fn has_no_nan(row: &[f32]) -> bool {
    !row.iter().any(|x| x.is_nan())
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
pub(crate) fn max_and_log_sum(row: &[f32]) -> (f32, f32) {
    let max = lanes::max(row);
    (max, math::ln(sum_exp(row, max)))
}

/// Like [`max_and_log_sum`], for row number `r`. A masked row is an error.
#[inline(always)]
pub(crate) fn normalizer(row: &[f32], r: usize) -> Result<(f32, f32), MaskedRow> {
    let (max, log_sum) = max_and_log_sum(row);
    if is_masked(row, max) { Err(MaskedRow(r)) } else { Ok((max, log_sum)) }
}

/// Returns the sum of exp(x - shift), in an order that depends only on the length.
#[inline(always)]
pub(crate) fn sum_exp(row: &[f32], shift: f32) -> f32 {
    const PIECE: usize = 256;
    let mut total = 0.0f64;
    let mut piece = [0.0f32; PIECE];
    for row in row.chunks(PIECE) {
        for (piece, &x) in piece.iter_mut().zip(row) {
            *piece = math::exp(x - shift);
        }
        total += f64::from(lanes::sum(&piece[..row.len()]));
    }
    total as f32
}
