//! `gumbel_max`: exact samples of categorical variables as class indices, argmax(logits + g), in one pass and
//! without a buffer as large as the logits. There is no gradient.
//!
//! With the same draws, `categorical`, `st_categorical` and `st_gumbel_softmax` put their 1 at this index.
//!
//! # Source
//! E. J. Gumbel, "Statistical Theory of Extreme Values and Some Practical Applications", 1954; C. Maddison,
//! D. Tarlow, T. Minka, "A* Sampling", NIPS 2014, section 2.

use crate::Tier;
use crate::lanes;
use crate::noise::{Draws, PIECE};
use crate::parallel::{Rows, RowsMut};
use crate::perturbed::{gumbel_scores, winner_of_wide};
use crate::rows::{
    Checked, MODERATE, MaskedRow, by_classes, check_rows, is_unusual, retry_settled, row_by_row,
};

/// Writes the index of the first largest entry of each row. In a short row we look at all entries, because
/// the processor would mispredict a branch that ends the search more often than not.
#[inline(always)]
fn winners<const C: usize>(classes: usize, scores: &[f32], index: &mut [u32]) -> Checked {
    let classes = if C == 0 { classes } else { C };
    for (r, (row, index)) in scores.chunks_exact(classes).zip(index).enumerate() {
        row_by_row();
        let max = lanes::max(row);
        if is_unusual(row, max, MODERATE) {
            return Err(MaskedRow(r));
        }
        if C == 0 {
            *index = lanes::argmax(row) as u32;
            continue;
        }
        let mut winner = 0;
        for (i, &score) in row.iter().enumerate().rev() {
            winner = if score == max { i as u32 } else { winner };
        }
        *index = winner;
    }
    Ok(())
}

crate::simd! {
    fn piece<F>(draws: Draws<'_>, first: usize, logits: &[f32], classes: usize, index: &mut [u32]) -> Checked {
        let mut reader = draws.from_element(first * classes);
        if classes <= PIECE {
            let mut scores = [0.0f32; PIECE];
            let rows = PIECE / classes;
            let blocks = logits.chunks(rows * classes).zip(index.chunks_mut(rows));
            for (b, (logits, index)) in blocks.enumerate() {
                let scores = &mut scores[..logits.len()];
                gumbel_scores::<F>(&mut reader, logits, scores);
                by_classes!(winners(classes, scores, index))
                    .map_err(|MaskedRow(r)| MaskedRow(b * rows + r))?;
            }
            return Ok(());
        }
        for (r, (row, index)) in logits.chunks_exact(classes).zip(index).enumerate() {
            *index = winner_of_wide::<F>(&mut reader, row).ok_or(MaskedRow(r))? as u32;
        }
        Ok(())
    }
}

/// Samples index\[r\] = argmax(logits\[r, :\] + g), an exact sample of softmax(logits\[r, :\]), with standard
/// Gumbel noise g.
///
/// `logits` are rows of `classes`, and `index` has an entry per row. Element i takes draw i. Ties take the
/// lowest index, and a masked class never wins. A NaN is skipped, because an index cannot report it.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// If `logits` is not `index.len()` rows of `classes`, or if the injected draws are not one per logit.
#[track_caller]
pub fn forward(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    classes: usize,
    index: &mut [u32],
) -> Result<(), MaskedRow> {
    assert!(classes > 0 && logits.len() == index.len() * classes, "logits must be rows x classes");
    draws.check(logits.len());
    let (rows, parts) = (index.len(), (Rows(logits, classes), RowsMut(index, 1)));
    check_rows(rows, classes, parts, |first, (Rows(logits, _), RowsMut(index, _))| {
        retry_settled(tier, logits, classes, |logits| piece(tier, draws, first, logits, classes, index))
    })
}
