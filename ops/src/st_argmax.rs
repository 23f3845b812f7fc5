//! `st_argmax`: the one-hot vector of the largest logit, without noise, differentiated as if it were
//! softmax(logits / tau).

use crate::Tier;
use crate::parallel::{Rows, RowsMut};
use crate::perturbed::one_hot_rows;
use crate::rows::{Checked, MaskedRow, check_rows, rows};

pub use crate::st_categorical::backward;

crate::simd! {
    fn forward_piece(logits: &[f32], classes: usize, y: &mut [f32]) -> Checked {
        y.copy_from_slice(logits);
        one_hot_rows(y, classes)
    }
}

/// y = one-hot of argmax(logits), row by row; ties take the lowest index.
///
/// # Errors
/// A row whose classes are all masked.
#[track_caller]
pub fn forward(tier: Tier, logits: &[f32], classes: usize, y: &mut [f32]) -> Result<(), MaskedRow> {
    let rows = rows(logits, classes, y);
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |_, (Rows(logits, _), RowsMut(y, _))| {
        forward_piece(tier, logits, classes, y)
    })
}
