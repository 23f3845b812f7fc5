//! `softmax`, `log_softmax` and `logsumexp` over rows of classes, and the pieces that the relaxed samples share.
//!
//! A logit of -inf masks its class: probability and gradient are exactly 0. A row without any other class has no
//! softmax; forwards report it as [`MaskedRow`]. A NaN is no mask: it goes on into the whole row's result.

use std::fmt;

use crate::Tier;
use crate::lanes;
use crate::math;
use crate::parallel::{Rows, RowsMut, Split, fold_rows, for_light_rows, for_rows, sum_rows};
use crate::scratch;
use crate::simd::LANES;

/// A row in which every class is masked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaskedRow(pub usize);

impl fmt::Display for MaskedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} has no class left: all its logits are -inf", self.0)
    }
}

impl std::error::Error for MaskedRow {}

/// What a pass over rows returns: the first masked row, if any.
pub(crate) type Checked = Result<(), MaskedRow>;

/// Calls `work(first_row, piece)` on the pieces that [`fold_rows`] makes. A piece counts masked rows from its own first;
/// the error is the first one of all, whichever thread found it.
pub(crate) fn check_rows<P: Split>(
    rows: usize,
    width: usize,
    parts: P,
    work: impl Fn(usize, P) -> Checked + Sync,
) -> Checked {
    let piece = |first, parts| work(first, parts).map_err(|MaskedRow(r)| MaskedRow(first + r));
    fold_rows(rows, width, parts, piece, |earlier, later| earlier.and(later))
}

/// Elements a block of rows should have: small enough for the nearest cache, large enough for full vectors.
const BLOCK: usize = 2048;

/// Classes up to which rows are worked on in blocks, several passes over each; wider rows one by one, in pieces.
const NARROW: usize = 512;

/// Elements in the blocks that a piece is worked through in: whole rows, at least one. If sixteen rows fit, a
/// multiple of sixteen: vectors then end where blocks end.
#[inline(always)]
pub(crate) fn block_len(classes: usize) -> usize {
    let rows = (BLOCK / classes).max(1);
    (if rows < LANES { rows } else { rows - rows % LANES }) * classes
}

/// Keeps the compiler from working on sixteen rows at a time, which would gather and scatter their entries one by one.
#[inline(always)]
pub(crate) fn row_by_row() {
    std::hint::black_box(());
}

/// Calls `f::<C>(classes, ...)` with C = classes for few classes, C = 0 for more: where the compiler knows the length of
/// a row, nothing is left of the loops over it.
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

/// Whether a row whose largest entry is `max` has no class left. `max` passes NaN over, but a NaN is no mask.
#[inline(always)]
pub(crate) fn is_masked(row: &[f32], max: f32) -> bool {
    max == f32::NEG_INFINITY && has_no_nan(row)
}

#[cold]
#[inline(never)]
fn has_no_nan(row: &[f32]) -> bool {
    !row.iter().any(|x| x.is_nan())
}

/// Where rows of scores come from. A trait, because a closure cannot be told to be inlined, and a kernel's parts must be.
pub(crate) trait Scores {
    /// Writes the next `out.len()` scores.
    fn fill(&mut self, out: &mut [f32]);
}

/// Logits as they are.
impl Scores for &[f32] {
    #[inline(always)]
    fn fill(&mut self, out: &mut [f32]) {
        let (now, later) = self.split_at(out.len());
        out.copy_from_slice(now);
        *self = later;
    }
}

/// Scores that are in the output already.
pub(crate) struct InPlace;

impl Scores for InPlace {
    #[inline(always)]
    fn fill(&mut self, _out: &mut [f32]) {}
}

/// Computes softmax(inverse_tau * scores) of whole rows into `y`.
#[inline(always)]
pub(crate) fn normalize(
    classes: usize,
    inverse_tau: f32,
    scores: &mut impl Scores,
    y: &mut [f32],
) -> Checked {
    if classes > NARROW {
        for (r, y) in y.chunks_exact_mut(classes).enumerate() {
            normalize_wide(inverse_tau, scores, y).map_err(|_| MaskedRow(r))?;
        }
        return Ok(());
    }
    let block = block_len(classes);
    for (i, y) in y.chunks_mut(block).enumerate() {
        scores.fill(y);
        by_classes!(shift_rows(classes, inverse_tau, y))
            .map_err(|MaskedRow(r)| MaskedRow(i * block / classes + r))?;
        exponentials(y);
        by_classes!(scale_rows(classes, y));
    }
    Ok(())
}

/// A row that is too wide for several passes from memory: each piece is done with while it is in the nearest cache.
#[inline(always)]
fn normalize_wide(inverse_tau: f32, scores: &mut impl Scores, y: &mut [f32]) -> Checked {
    let mut max = f32::NEG_INFINITY;
    for y in y.chunks_mut(BLOCK) {
        scores.fill(y);
        max = lanes::larger(lanes::max(y), max);
    }
    if is_masked(y, max) {
        return Err(MaskedRow(0));
    }
    let mut sum = 0.0;
    for y in y.chunks_mut(BLOCK) {
        sum += exponentials_and_sum(max, inverse_tau, y);
    }
    let scale = 1.0 / sum;
    for y in y {
        *y *= scale;
    }
    Ok(())
}

/// y = e^(inverse_tau (y - max)); returns the sum, in an order that the length alone decides.
#[inline(always)]
fn exponentials_and_sum(max: f32, inverse_tau: f32, y: &mut [f32]) -> f32 {
    let (wide, rest) = y.as_chunks_mut::<{ lanes::WIDE }>();
    let mut sums = [0.0f32; lanes::WIDE];
    for y in wide {
        for (sum, y) in sums.iter_mut().zip(y) {
            *y = math::exp_nonpositive((*y - max) * inverse_tau);
            *sum += *y;
        }
    }
    for y in rest.iter_mut() {
        *y = (*y - max) * inverse_tau;
    }
    exponentials(rest);
    lanes::sum(&sums) + lanes::sum(rest)
}

/// Replaces each entry. A row of unknown length is gone through vector by vector: left to itself, the compiler works on
/// several vectors at a time, and on single entries in a row that has not as many.
#[inline(always)]
fn change_row<const C: usize>(row: &mut [f32], change: impl Fn(f32) -> f32) {
    if C > 0 {
        return row.iter_mut().for_each(|x| *x = change(*x));
    }
    let (vectors, rest) = row.as_chunks_mut::<LANES>();
    for vector in vectors {
        row_by_row();
        for x in vector {
            *x = change(*x);
        }
    }
    for x in rest {
        *x = change(*x);
    }
}

/// Turns scores into inverse_tau (score - the row's largest).
#[inline(always)]
fn shift_rows<const C: usize>(classes: usize, inverse_tau: f32, y: &mut [f32]) -> Checked {
    let classes = if C == 0 { classes } else { C };
    for (r, row) in y.chunks_exact_mut(classes).enumerate() {
        let max = if C == 0 { lanes::max(row) } else { lanes::max_of_few::<C>(row) };
        if is_masked(row, max) {
            return Err(MaskedRow(r));
        }
        // Subtracting before scaling: the error of s is relative to its distance from the largest, not to its size.
        change_row::<C>(row, |s| (s - max) * inverse_tau);
    }
    Ok(())
}

/// y = e^y for y <= 0. A last, incomplete vector is filled up: it costs as much as a single number.
#[inline(always)]
fn exponentials(y: &mut [f32]) {
    let (vectors, rest) = y.as_chunks_mut::<LANES>();
    for y in vectors.as_flattened_mut() {
        *y = math::exp_nonpositive(*y);
    }
    if !rest.is_empty() {
        let mut vector = [0.0; LANES];
        vector[..rest.len()].copy_from_slice(rest);
        for y in &mut vector {
            *y = math::exp_nonpositive(*y);
        }
        rest.copy_from_slice(&vector[..rest.len()]);
    }
}

/// Divides each row by its sum.
#[inline(always)]
fn scale_rows<const C: usize>(classes: usize, y: &mut [f32]) {
    let classes = if C == 0 { classes } else { C };
    for row in y.chunks_exact_mut(classes) {
        row_by_row();
        let scale = 1.0 / if C == 0 { lanes::sum(row) } else { lanes::sum_of_few::<C>(row) };
        change_row::<C>(row, |y| y * scale);
    }
}

/// dlogits += J dy for rows y = softmax(logits / tau): h = y (dy - <y, dy>), dlogits += h / tau.
/// Returns the sum of h ln y, which is -tau times dtau, if `want_tau`.
#[inline(always)]
pub(crate) fn jacobian(
    y: &[f32],
    dy: &[f32],
    classes: usize,
    inverse_tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    if !want_tau {
        by_classes!(jacobian_rows(classes, y, dy, inverse_tau, dlogits));
        return 0.0;
    }
    let mut h = [0.0f32; BLOCK];
    let mut total = 0.0;
    // Blocks of narrow rows, or wide rows one by one in pieces: they fit into `h`.
    let block = if classes <= NARROW { block_len(classes) } else { classes };
    for ((y, dy), dlogits) in y.chunks(block).zip(dy.chunks(block)).zip(dlogits.chunks_mut(block)) {
        if classes <= NARROW {
            let h = &mut h[..y.len()];
            by_classes!(jacobian_rows_and_h(classes, y, dy, inverse_tau, h, dlogits));
            total += sum_of_h_ln_y(h, y);
            continue;
        }
        let centre = means::<0>(y, dy);
        for ((y, dy), dlogits) in y.chunks(BLOCK).zip(dy.chunks(BLOCK)).zip(dlogits.chunks_mut(BLOCK)) {
            let h = &mut h[..y.len()];
            add_and_keep_h(y, dy, centre, inverse_tau, h, dlogits);
            total += sum_of_h_ln_y(h, y);
        }
    }
    total
}

/// [`jacobian`] without the temperature's gradient.
#[inline(always)]
pub(crate) fn jacobian_rows<const C: usize>(
    classes: usize,
    y: &[f32],
    dy: &[f32],
    inverse_tau: f32,
    dlogits: &mut [f32],
) {
    let classes = if C == 0 { classes } else { C };
    let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes)).zip(dlogits.chunks_exact_mut(classes));
    for ((y, dy), dlogits) in rows {
        row_by_row();
        let (mean, rest) = means::<C>(y, dy);
        let add = |dlogits: &mut f32, y: f32, dy: f32| {
            let h = y * ((dy - mean) - rest);
            *dlogits = h.mul_add(inverse_tau, *dlogits);
        };
        // Vector by vector, as in `change_row`.
        let done = if C == 0 { y.len() - y.len() % LANES } else { 0 };
        let whole = dlogits.as_chunks_mut::<LANES>().0.iter_mut().zip(y.as_chunks::<LANES>().0);
        for ((dlogits, y), dy) in whole.zip(dy.as_chunks::<LANES>().0).take(done / LANES) {
            row_by_row();
            for ((dlogits, &y), &dy) in dlogits.iter_mut().zip(y).zip(dy) {
                add(dlogits, y, dy);
            }
        }
        for ((dlogits, &y), &dy) in dlogits[done..].iter_mut().zip(&y[done..]).zip(&dy[done..]) {
            add(dlogits, y, dy);
        }
    }
}

/// The mean of dy under y, and the mean of what is left, which the first has lost in rounding. With both subtracted
/// nothing cancels, even when y is almost one-hot.
#[inline(always)]
fn means<const C: usize>(y: &[f32], dy: &[f32]) -> (f32, f32) {
    if C == 0 {
        let mean = lanes::dot_shifted(y, dy, 0.0);
        return (mean, lanes::dot_shifted(y, dy, mean));
    }
    let mean = lanes::dot_shifted_of_few::<C>(y, dy, 0.0);
    (mean, lanes::dot_shifted_of_few::<C>(y, dy, mean))
}

/// As [`jacobian_rows`], and keeps h.
#[inline(always)]
fn jacobian_rows_and_h<const C: usize>(
    classes: usize,
    y: &[f32],
    dy: &[f32],
    inverse_tau: f32,
    h: &mut [f32],
    dlogits: &mut [f32],
) {
    let classes = if C == 0 { classes } else { C };
    let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes));
    for ((y, dy), (h, dlogits)) in
        rows.zip(h.chunks_exact_mut(classes).zip(dlogits.chunks_exact_mut(classes)))
    {
        row_by_row();
        add_and_keep_h(y, dy, means::<C>(y, dy), inverse_tau, h, dlogits);
    }
}

/// For a row or a part of it: h, and dlogits += h / tau.
#[inline(always)]
fn add_and_keep_h(
    y: &[f32],
    dy: &[f32],
    (mean, rest): (f32, f32),
    inverse_tau: f32,
    h: &mut [f32],
    dlogits: &mut [f32],
) {
    for (((dlogits, h), &y), &dy) in dlogits.iter_mut().zip(h).zip(y).zip(dy) {
        *h = y * ((dy - mean) - rest);
        *dlogits = h.mul_add(inverse_tau, *dlogits);
    }
}

/// Sum of h ln y. Where y is 0 or subnormal, h is so small that its share would be lost among the others: it counts as 0.
#[inline(always)]
fn sum_of_h_ln_y(h: &[f32], y: &[f32]) -> f32 {
    lanes::sum_of_pairs(h, y, |h, y| if y < f32::MIN_POSITIVE { 0.0 } else { h * math::ln_normal(y) })
}

/// Lends room for a block of the soft rows that a straight-through op's backward pass computes anew.
pub(crate) fn with_soft<T>(classes: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    scratch::with(block_len(classes), work)
}

/// [`jacobian`] at y = softmax(inverse_tau * scores), which is computed block by block.
#[inline(always)]
pub(crate) fn jacobian_of_scores(
    dy: &[f32],
    classes: usize,
    inverse_tau: f32,
    want_tau: bool,
    soft: &mut [f32],
    dlogits: &mut [f32],
    scores: &mut impl Scores,
) -> f32 {
    let mut h_ln_y = 0.0;
    let block = soft.len();
    for (dy, dlogits) in dy.chunks(block).zip(dlogits.chunks_mut(block)) {
        let soft = &mut soft[..dy.len()];
        // The forward pass found an unmasked class in every row.
        let _ = normalize(classes, inverse_tau, scores, soft);
        h_ln_y += jacobian(soft, dy, classes, inverse_tau, want_tau, dlogits);
    }
    h_ln_y
}

crate::simd! {
    fn forward_piece(
        logits: &[f32], classes: usize, inverse_tau: f32, y: &mut [f32],
    ) -> Checked {
        normalize(classes, inverse_tau, &mut &*logits, y)
    }
}

crate::simd! {
    fn backward_piece(
        y: &[f32],
        dy: &[f32],
        classes: usize,
        inverse_tau: f32,
        want_tau: bool,
        dlogits: &mut [f32],
    ) -> f32 {
        jacobian(y, dy, classes, inverse_tau, want_tau, dlogits)
    }
}

/// y = softmax(logits / tau), rows of `classes`.
///
/// # Errors
/// A row whose classes are all masked.
#[track_caller]
pub fn forward(tier: Tier, logits: &[f32], classes: usize, tau: f32, y: &mut [f32]) -> Result<(), MaskedRow> {
    let rows = rows(logits, classes, y);
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |_, (Rows(logits, _), RowsMut(y, _))| {
        forward_piece(tier, logits, classes, 1.0 / tau, y)
    })
}

/// dlogits += h / tau with h = y (dy - <y, dy>), from the output y alone; returns dtau = -sum(h ln y) / tau if
/// `want_tau`, else 0. This is the backward of every op whose value is softmax of something over tau.
///
/// # Precision
/// For tau far above the spread of the logits, y is nearly uniform and ln y keeps only what rounding left of
/// logits / tau: dtau then has a relative error of about 6e-8 tau / spread.
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
    assert_eq!(y.len(), dy.len(), "y and dy must have one length");
    let rows = rows(y, classes, dlogits);
    let parts = (Rows(y, classes), Rows(dy, classes), RowsMut(dlogits, classes));
    if !want_tau {
        for_light_rows(rows, classes, parts, |_, (Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
            backward_piece(tier, y, dy, classes, 1.0 / tau, false, dlogits);
        });
        return 0.0;
    }
    let h_ln_y = sum_rows(rows, classes, parts, |_, (Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
        backward_piece(tier, y, dy, classes, 1.0 / tau, true, dlogits)
    });
    -h_ln_y / tau
}

/// Number of rows, after checking that both slices are the same whole rows.
#[track_caller]
pub(crate) fn rows(x: &[f32], classes: usize, y: &[f32]) -> usize {
    assert_eq!(x.len(), y.len(), "both slices must be rows x classes");
    assert!(classes > 0 && x.len().is_multiple_of(classes), "{} elements are not rows of {classes}", x.len());
    x.len() / classes
}

/// The largest logit and ln(sum of exp(logits - largest)) of a row.
#[inline(always)]
pub(crate) fn max_and_log_sum(row: &[f32]) -> (f32, f32) {
    let max = lanes::max(row);
    (max, math::ln(sum_exp(row, max)))
}

/// The same of row number `r`, or the error if it has no class.
#[inline(always)]
pub(crate) fn normalizer(row: &[f32], r: usize) -> Result<(f32, f32), MaskedRow> {
    let (max, log_sum) = max_and_log_sum(row);
    if is_masked(row, max) { Err(MaskedRow(r)) } else { Ok((max, log_sum)) }
}

/// Sum of exp(x - shift), in an order that the length alone decides.
#[inline(always)]
pub(crate) fn sum_exp(row: &[f32], shift: f32) -> f32 {
    const PIECE: usize = 256;
    let mut total = 0.0;
    let mut piece = [0.0f32; PIECE];
    for row in row.chunks(PIECE) {
        for (piece, &x) in piece.iter_mut().zip(row) {
            *piece = math::exp(x - shift);
        }
        total += lanes::sum(&piece[..row.len()]);
    }
    total
}

crate::simd! {
    fn logsumexp_piece(logits: &[f32], classes: usize, y: &mut [f32]) {
        for (row, y) in logits.chunks_exact(classes).zip(y) {
            let (max, log_sum) = max_and_log_sum(row);
            // An empty sum is ln 0, not -inf - -inf.
            *y = if is_masked(row, max) { max } else { max + log_sum };
        }
    }
}

crate::simd! {
    fn logsumexp_backward_piece(logits: &[f32], classes: usize, y: &[f32], dy: &[f32], dlogits: &mut [f32]) {
        for (((row, dlogits), &y), &dy) in
            logits.chunks_exact(classes).zip(dlogits.chunks_exact_mut(classes)).zip(y).zip(dy)
        {
            if y != f32::NEG_INFINITY {
                // Not from y, which has lost what is small beside the largest logit.
                let (max, log_sum) = max_and_log_sum(row);
                for (dlogits, &x) in dlogits.iter_mut().zip(row) {
                    *dlogits = dy.mul_add(math::exp((x - max) - log_sum), *dlogits);
                }
            }
        }
    }
}

/// y\[r\] = ln sum over the classes of e^logits; -inf for a fully masked row.
#[track_caller]
pub fn logsumexp_forward(tier: Tier, logits: &[f32], classes: usize, y: &mut [f32]) {
    assert_eq!(logits.len(), y.len() * classes, "logits must be rows x classes");
    let parts = (Rows(logits, classes), RowsMut(y, 1));
    for_rows(logits.len() / classes, classes, parts, |_, (Rows(logits, _), RowsMut(y, _))| {
        logsumexp_piece(tier, logits, classes, y);
    });
}

/// dlogits += dy softmax(logits), 0 for a fully masked row, where the forward's y is -inf.
#[track_caller]
pub fn logsumexp_backward(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    y: &[f32],
    dy: &[f32],
    dlogits: &mut [f32],
) {
    assert_eq!(y.len(), dy.len(), "y and dy must have one length");
    let rows = rows(logits, classes, dlogits);
    assert_eq!(rows, y.len(), "y must have an entry per row");
    let parts = (Rows(logits, classes), Rows(y, 1), Rows(dy, 1), RowsMut(dlogits, classes));
    for_rows(rows, classes, parts, |_, (Rows(logits, _), Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
        logsumexp_backward_piece(tier, logits, classes, y, dy, dlogits);
    });
}

crate::simd! {
    fn log_softmax_piece(logits: &[f32], classes: usize, y: &mut [f32]) -> Checked {
        for (r, (row, y)) in logits.chunks_exact(classes).zip(y.chunks_exact_mut(classes)).enumerate() {
            let (max, log_sum) = normalizer(row, r)?;
            for (y, &x) in y.iter_mut().zip(row) {
                *y = (x - max) - log_sum;
            }
        }
        Ok(())
    }
}

crate::simd! {
    fn log_softmax_backward_piece(y: &[f32], dy: &[f32], classes: usize, dlogits: &mut [f32]) {
        let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes)).zip(dlogits.chunks_exact_mut(classes));
        for ((y, dy), dlogits) in rows {
            // The value of a masked class is -inf whatever the logits: its dy has no say.
            let mut total = 0.0;
            for (&y, &dy) in y.iter().zip(dy) {
                total += if y != f32::NEG_INFINITY { dy } else { 0.0 };
            }
            for ((dlogits, &y), &dy) in dlogits.iter_mut().zip(y).zip(dy) {
                let slope = (-total).mul_add(math::exp(y), dy);
                *dlogits += if y != f32::NEG_INFINITY { slope } else { 0.0 };
            }
        }
    }
}

/// y = logits - logsumexp(logits), row by row; -inf for masked classes.
///
/// # Errors
/// A row whose classes are all masked.
#[track_caller]
pub fn log_softmax_forward(
    tier: Tier,
    logits: &[f32],
    classes: usize,
    y: &mut [f32],
) -> Result<(), MaskedRow> {
    let rows = rows(logits, classes, y);
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |_, (Rows(logits, _), RowsMut(y, _))| {
        log_softmax_piece(tier, logits, classes, y)
    })
}

/// dlogits += dy - e^y sum(dy), row by row, from the output alone.
#[track_caller]
pub fn log_softmax_backward(tier: Tier, y: &[f32], dy: &[f32], classes: usize, dlogits: &mut [f32]) {
    assert_eq!(y.len(), dy.len(), "y and dy must have one length");
    let rows = rows(y, classes, dlogits);
    let parts = (Rows(y, classes), Rows(dy, classes), RowsMut(dlogits, classes));
    for_rows(rows, classes, parts, |_, (Rows(y, _), Rows(dy, _), RowsMut(dlogits, _))| {
        log_softmax_backward_piece(tier, y, dy, classes, dlogits);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw;
    use crate::noise::Stream;

    /// softmax(logits / tau) in f64.
    fn softmax64(logits: &[f32], tau: f64) -> Vec<f64> {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exps: Vec<f64> = logits.iter().map(|&x| ((f64::from(x) - f64::from(max)) / tau).exp()).collect();
        let sum: f64 = exps.iter().sum();
        exps.iter().map(|e| e / sum).collect()
    }

    /// Each h / tau = y_i sum_j y_j (dy_i - dy_j) / tau, in which nothing cancels, and the sum of its terms' sizes.
    fn jacobian64(y: &[f32], dy: &[f32], tau: f64) -> Vec<(f64, f64)> {
        let entry = |i: usize| {
            let terms = y.iter().zip(dy).map(|(&y, &d)| f64::from(y) * (f64::from(dy[i]) - f64::from(d)));
            let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
            (f64::from(y[i]) * sum / tau, f64::from(y[i]) * size / tau)
        };
        (0..y.len()).map(entry).collect()
    }

    fn close(got: f32, want: f64, scale: f64) -> bool {
        (f64::from(got) - want).abs() <= 1e-6 * scale + 1e-35
    }

    /// Every path: few classes, blocks of rows, wide rows; whole vectors and not; flat rows and almost one-hot ones.
    #[test]
    fn values_and_gradients_are_close_to_f64_for_any_number_of_classes() {
        for classes in [1, 2, 3, 10, 15, 16, 17, 31, 100, 511, 512, 513, 700, 1024, 2100] {
            for tau in [0.02f32, 1.0, 30.0] {
                let n = if classes < 100 { 37 } else { 3 } * classes;
                let (mut logits, mut dy) = (vec![0.0; n], vec![0.0; n]);
                draw::fill_logistic(Tier::best(), Stream::new(1).into(), &mut logits);
                draw::fill_logistic(Tier::best(), Stream::new(2).into(), &mut dy);
                let (mut y, mut dlogits) = (vec![0.0; n], vec![0.0; n]);
                forward(Tier::best(), &logits, classes, tau, &mut y).unwrap();
                let dtau = backward(Tier::best(), &y, &dy, classes, tau, true, &mut dlogits);
                let (mut want_dtau, mut dtau_size) = (0.0, 0.0);
                for start in (0..n).step_by(classes) {
                    let row = start..start + classes;
                    let soft = softmax64(&logits[row.clone()], f64::from(tau));
                    let want = jacobian64(&y[row.clone()], &dy[row.clone()], f64::from(tau));
                    for (e, (soft, (h, size))) in row.zip(soft.into_iter().zip(want)) {
                        let spread = f64::from(logits[e].abs() / tau);
                        assert!(close(y[e], soft, soft * (1.0 + spread)), "y: {classes} {tau}");
                        assert!(close(dlogits[e], h, size), "dlogits: {classes} {tau}: {} {h}", dlogits[e]);
                        let ln_y = if y[e] == 0.0 { 0.0 } else { f64::from(y[e]).ln() };
                        want_dtau -= h * ln_y;
                        dtau_size += size * ln_y.abs();
                    }
                }
                assert!(close(dtau, want_dtau, dtau_size), "dtau: {classes} {tau}: {dtau} {want_dtau}");
            }
        }
    }
}
