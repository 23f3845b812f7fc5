//! The one-hot vector of the largest entry of each row.

use crate::lanes;
use crate::rows::{Checked, MaskedRow, by_classes, is_usual, row_by_row};
use crate::vectors::{Vectors, by_vectors, has_few};

crate::simd! {
    /// Replaces each row with the one-hot vector of its largest entry; ties take the lowest index. A row that
    /// contains a NaN becomes NaN.
    pub(crate) fn one_hot_rows<F>(tier; block: &mut [f32], classes: usize) -> Checked {
        // One cheap check of the whole block, because there is hardly ever a NaN.
        let some_nan = block.iter().fold(false, |some, s| some | s.is_nan());
        if some_nan {
            for row in block.chunks_exact_mut(classes).filter(|row| row.iter().any(|s| s.is_nan())) {
                row.fill(f32::NAN);
            }
        }
        if has_few(classes) {
            one_hot_vectors(tier, block, classes)?;
        } else {
            by_classes!(one_hot(classes, block))?;
        }
        // Ties are rare, so this is one check of the whole block as well.
        if lanes::sum_of_any(block) != (block.len() / classes) as f32 {
            keep_first_of_ties(block, classes);
        }
        Ok(())
    }
}

crate::simd! {
    fn one_hot_vectors(block: &mut [f32], classes: usize) -> Checked {
        by_vectors!(one_hot_of_vectors(classes, block))
    }
}

#[inline(always)]
fn one_hot_of_vectors<const V: usize>(classes: usize, block: &mut [f32]) -> Checked {
    for (r, row) in block.chunks_exact_mut(classes).enumerate() {
        // Leave a row of NaN as it is.
        if row[0].is_nan() {
            continue;
        }
        row_by_row();
        let scores = Vectors::<V>::of(row);
        let max = scores.max();
        if !is_usual(max) {
            return Err(MaskedRow(r));
        }
        scores.map(|s| if s == max { 1.0 } else { 0.0 }).write(row);
    }
    Ok(())
}

#[inline(always)]
fn one_hot<const C: usize>(classes: usize, block: &mut [f32]) -> Checked {
    let classes = if C == 0 { classes } else { C };
    for (r, row) in block.chunks_exact_mut(classes).enumerate() {
        // Leave a row of NaN as it is.
        if row[0].is_nan() {
            continue;
        }
        if C == 0 {
            let winner = lanes::argmax(row);
            if !is_usual(row[winner]) {
                return Err(MaskedRow(r));
            }
            row.fill(0.0);
            row[winner] = 1.0;
            continue;
        }
        // In a short row a branch that looks for the index of the largest entry would usually be
        // mispredicted. So every entry that equals the largest gets a 1.
        row_by_row();
        let max = lanes::max_of_few::<C>(row);
        if !is_usual(max) {
            return Err(MaskedRow(r));
        }
        for s in row.iter_mut() {
            *s = if *s == max { 1.0 } else { 0.0 };
        }
    }
    Ok(())
}

/// Keeps the first of several ones in a row. A row of NaN stays as it is.
#[cold]
#[inline(never)]
fn keep_first_of_ties(block: &mut [f32], classes: usize) {
    for row in block.chunks_exact_mut(classes).filter(|row| row.iter().sum::<f32>() > 1.0) {
        let first = lanes::argmax(row);
        row.fill(0.0);
        row[first] = 1.0;
    }
}
