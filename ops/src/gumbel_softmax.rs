//! `gumbel_softmax`, the relaxed sample of a categorical variable, and `st_gumbel_softmax`, its straight-through
//! form: y = softmax((logits + g) / tau) with g standard Gumbel noise, one draw per logit.
//!
//! # Source
//! E. Jang, S. Gu, B. Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017, section 2;
//! C. Maddison, A. Mnih, Y. W. Teh, "The Concrete Distribution", ICLR 2017, section 3.

use crate::Tier;
use crate::draw;
use crate::gumbel_max::winner_of_wide;
use crate::lanes;
use crate::math;
use crate::noise::{Draws, PIECE, Reader};
use crate::parallel::{Rows, RowsMut, sum_rows};
use crate::simd::LANES;
use crate::softmax::{
    self, Checked, MaskedRow, Scores, by_classes, check_rows, jacobian_of_scores, normalize, row_by_row,
    with_soft,
};

/// out = logits + Gumbel noise.
#[inline(always)]
pub(crate) fn perturb(reader: &mut Reader<'_>, logits: &[f32], out: &mut [f32]) {
    for (logits, out) in logits.chunks(PIECE).zip(out.chunks_mut(PIECE)) {
        let draws = reader.take(out.len());
        let (vectors, rest) = out.as_chunks_mut::<LANES>();
        let whole = vectors.as_flattened_mut();
        draw::exponentials(draws, whole);
        for (out, &logit) in whole.iter_mut().zip(logits) {
            *out = logit + math::minus_ln_normal(*out);
        }
        if !rest.is_empty() {
            // A whole vector of noise costs as much as a single number.
            let mut noise = [0.0f32; LANES];
            draw::gumbels(&draws[whole.len()..], &mut noise);
            for ((out, &logit), &noise) in rest.iter_mut().zip(&logits[whole.len()..]).zip(&noise) {
                *out = logit + noise;
            }
        }
    }
}

/// Logits with Gumbel noise.
pub(crate) struct Perturbed<'a> {
    reader: Reader<'a>,
    logits: &'a [f32],
}

impl<'a> Perturbed<'a> {
    /// Those from element `first` of the draws on.
    #[inline(always)]
    fn new(draws: Draws<'a>, first: usize, logits: &'a [f32]) -> Self {
        Perturbed { reader: draws.from_element(first), logits }
    }
}

impl Scores for Perturbed<'_> {
    #[inline(always)]
    fn fill(&mut self, out: &mut [f32]) {
        let (now, later) = self.logits.split_at(out.len());
        perturb(&mut self.reader, now, out);
        self.logits = later;
    }
}

/// Replaces each row by the one-hot vector of its largest entry (ties: the lowest index), or by NaN if one is in it.
#[inline(always)]
pub(crate) fn one_hot_rows(block: &mut [f32], classes: usize) -> Checked {
    // Looked for in the whole block at once, which is cheap: there is hardly ever one.
    let some_nan = block.iter().fold(false, |some, s| some | s.is_nan());
    if some_nan {
        for row in block.chunks_exact_mut(classes).filter(|row| row.iter().any(|s| s.is_nan())) {
            row.fill(f32::NAN);
        }
    }
    by_classes!(one_hot(classes, block))
}

#[inline(always)]
fn one_hot<const C: usize>(classes: usize, block: &mut [f32]) -> Checked {
    let classes = if C == 0 { classes } else { C };
    for (r, row) in block.chunks_exact_mut(classes).enumerate() {
        // A row of NaN stays.
        if row[0].is_nan() {
            continue;
        }
        if C == 0 {
            let winner = lanes::argmax(row);
            if row[winner] == f32::NEG_INFINITY {
                return Err(MaskedRow(r));
            }
            row.fill(0.0);
            row[winner] = 1.0;
            continue;
        }
        // In a short row a branch that finds the place would be mispredicted more often than not. Ties are rare: all
        // of them get a 1 first.
        row_by_row();
        let max = lanes::max_of_few::<C>(row);
        if max == f32::NEG_INFINITY {
            return Err(MaskedRow(r));
        }
        for s in row.iter_mut() {
            *s = if *s == max { 1.0 } else { 0.0 };
        }
        if lanes::sum_of_few::<C>(row) > 1.0 {
            keep_first(row);
        }
    }
    Ok(())
}

/// The one-hot vectors of rows that are wider than a piece, without a score for each class.
#[inline(always)]
fn wide_one_hots(reader: &mut Reader<'_>, logits: &[f32], classes: usize, y: &mut [f32]) -> Checked {
    for (r, (logits, y)) in logits.chunks_exact(classes).zip(y.chunks_exact_mut(classes)).enumerate() {
        let winner = winner_of_wide(reader, logits);
        if logits.iter().fold(false, |some, logit| some | logit.is_nan()) {
            y.fill(f32::NAN);
            continue;
        }
        y.fill(0.0);
        y[winner.ok_or(MaskedRow(r))?] = 1.0;
    }
    Ok(())
}

#[cold]
fn keep_first(row: &mut [f32]) {
    let first = lanes::argmax(row);
    row.fill(0.0);
    row[first] = 1.0;
}

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
    fn st_forward_piece(draws: Draws<'_>, first: usize, logits: &[f32], classes: usize, y: &mut [f32]) -> Checked {
        let mut reader = draws.from_element(first * classes);
        if classes > PIECE {
            return wide_one_hots(&mut reader, logits, classes, y);
        }
        perturb(&mut reader, logits, y);
        one_hot_rows(y, classes)
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
    let rows = softmax::rows(logits, classes, y);
    draws.check(logits.len());
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |first, (Rows(logits, _), RowsMut(y, _))| {
        forward_piece(tier, draws, first, logits, classes, 1.0 / tau, y)
    })
}

/// The gradient of [`forward`] from its output: see [`softmax::backward`], which it is.
pub use crate::softmax::backward;

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
    let rows = softmax::rows(logits, classes, y);
    draws.check(logits.len());
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |first, (Rows(logits, _), RowsMut(y, _))| {
        st_forward_piece(tier, draws, first, logits, classes, y)
    })
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
    let rows = softmax::rows(logits, classes, dlogits);
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
