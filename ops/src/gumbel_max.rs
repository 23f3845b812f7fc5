//! `gumbel_max`: exact samples of categorical variables as class indices, argmax(logits + g), in one pass and
//! without a buffer of the logits' size. There is no gradient.
//!
//! With the same draws, the index is where `st_gumbel_softmax` and `st_categorical` put their 1.
//!
//! In a wide row, what a class can reach is first bounded, in a tenth of the instructions, and the noise itself is computed
//! for the few that can win.
//!
//! # Source
//! E. J. Gumbel, "Statistical Theory of Extreme Values and Some Practical Applications", 1954; C. Maddison, D. Tarlow,
//! T. Minka, "A* Sampling", NIPS 2014, section 2.

use crate::Tier;
use crate::draw;
use crate::gumbel_softmax::perturb;
use crate::lanes;
use crate::noise::{Draws, PIECE, Reader};
use crate::parallel::{Rows, RowsMut};
use crate::simd::LANES;
use crate::softmax::{Checked, MaskedRow, by_classes, check_rows, is_masked, row_by_row};

/// The place of each row's first largest entry. In a short row all entries are looked at: a branch that ends the search
/// would be mispredicted more often than not.
#[inline(always)]
fn winners<const C: usize>(classes: usize, scores: &[f32], index: &mut [u32]) -> Checked {
    let classes = if C == 0 { classes } else { C };
    for (r, (row, index)) in scores.chunks_exact(classes).zip(index).enumerate() {
        row_by_row();
        let max = lanes::max(row);
        if is_masked(row, max) {
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

/// The place of a wide row's first largest score; none if all classes are masked. NaN is passed over.
#[inline(always)]
pub(crate) fn winner_of_wide(reader: &mut Reader<'_>, logits: &[f32]) -> Option<usize> {
    let mut bounds = [0.0f32; PIECE];
    let mut best = Best { score: f32::NEG_INFINITY, place: 0 };
    for (p, logits) in logits.chunks(PIECE).enumerate() {
        let draws = reader.take(logits.len());
        let bounds = &mut bounds[..logits.len()];
        for ((bound, &logit), &draw) in bounds.iter_mut().zip(logits).zip(draws) {
            *bound = logit + draw::gumbel_at_most(draw);
        }
        let promising = lanes::argmax(bounds);
        if bounds[promising] < best.score || bounds[promising] == f32::NEG_INFINITY {
            continue;
        }
        // Its score leaves few others to look at, most often none.
        best.see_vector(p * PIECE, promising / LANES, draws, logits);
        let (vectors, rest) = bounds.as_chunks::<LANES>();
        for (v, bounds) in vectors.iter().enumerate() {
            if bounds.iter().fold(false, |any, &bound| any | (bound >= best.score)) {
                best.see_vector(p * PIECE, v, draws, logits);
            }
        }
        if !rest.is_empty() {
            best.see_vector(p * PIECE, vectors.len(), draws, logits);
        }
    }
    (best.score > f32::NEG_INFINITY).then_some(best.place)
}

/// The largest score so far, and its first place.
struct Best {
    score: f32,
    place: usize,
}

impl Best {
    /// Takes the scores of vector `v` of a piece that begins at place `first`.
    #[inline(always)]
    fn see_vector(&mut self, first: usize, v: usize, draws: &[u32], logits: &[f32]) {
        let places = v * LANES..((v + 1) * LANES).min(draws.len());
        let (mut vector, mut scores) = ([0; LANES], [f32::NEG_INFINITY; LANES]);
        vector[..places.len()].copy_from_slice(&draws[places.clone()]);
        scores[..places.len()].copy_from_slice(&logits[places]);
        for (score, &draw) in scores.iter_mut().zip(&vector) {
            *score += draw::gumbel(draw);
        }
        let lane = lanes::argmax(&scores);
        let (score, place) = (scores[lane], first + v * LANES + lane);
        if score > self.score || (score == self.score && place < self.place) {
            *self = Best { score, place };
        }
    }
}

crate::simd! {
    fn piece(draws: Draws<'_>, first: usize, logits: &[f32], classes: usize, index: &mut [u32]) -> Checked {
        let mut reader = draws.from_element(first * classes);
        if classes <= PIECE {
            let mut scores = [0.0f32; PIECE];
            let rows = PIECE / classes;
            let blocks = logits.chunks(rows * classes).zip(index.chunks_mut(rows));
            for (b, (logits, index)) in blocks.enumerate() {
                let scores = &mut scores[..logits.len()];
                perturb(&mut reader, logits, scores);
                by_classes!(winners(classes, scores, index))
                    .map_err(|MaskedRow(r)| MaskedRow(b * rows + r))?;
            }
            return Ok(());
        }
        for (r, (row, index)) in logits.chunks_exact(classes).zip(index).enumerate() {
            *index = winner_of_wide(&mut reader, row).ok_or(MaskedRow(r))? as u32;
        }
        Ok(())
    }
}

/// index\[r\] = argmax(logits\[r, :\] + g), rows of `classes`; element i takes draw i, and ties the lowest index. NaN is
/// passed over: an index cannot tell of it.
///
/// # Errors
/// A row whose classes are all masked.
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
        piece(tier, draws, first, logits, classes, index)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Stream;

    /// The winner of a row by a score for each class.
    fn plain(draws: &[u32], logits: &[f32]) -> Option<usize> {
        let scores: Vec<f32> = draws.iter().zip(logits).map(|(&x, &logit)| logit + draw::gumbel(x)).collect();
        let winner = lanes::argmax(&scores);
        (scores[winner] > f32::NEG_INFINITY).then_some(winner)
    }

    fn check(draws: &[u32], logits: &[f32]) {
        let mut reader = Draws::Given(draws).from_element(0);
        assert_eq!(winner_of_wide(&mut reader, logits), plain(draws, logits), "{} classes", logits.len());
    }

    #[test]
    fn a_wide_rows_winner_is_that_of_all_scores() {
        for (seed, classes) in [513, 528, 1000, 1024, 1039, 5000, 131_072].into_iter().enumerate() {
            let (mut draws, mut spread) = (vec![0; classes], vec![0.0; classes]);
            for round in 0..20 {
                let stream = Stream::new(100 * seed as u64 + round);
                crate::noise::draws_forward(Tier::best(), stream.into(), &mut draws);
                draw::fill_logistic(Tier::best(), stream.skip(1 << 32).into(), &mut spread);
                // Equal logits, usual ones, some that hide the noise, and some that round it away.
                for scale in [0.0, 1.0, 30.0, 1e7] {
                    let logits: Vec<f32> = spread.iter().map(|x| scale * x).collect();
                    check(&draws, &logits);
                    let masked = |(i, &x): (usize, &f32)| if i % 7 == 3 { x } else { f32::NEG_INFINITY };
                    check(&draws, &logits.iter().enumerate().map(masked).collect::<Vec<f32>>());
                }
            }
        }
    }

    #[test]
    fn ties_take_the_lowest_index_and_edges_are_kept() {
        let mut draws = vec![7; 1500];
        let mut logits = vec![0.5; 1500];
        check(&draws, &logits);
        for (place, draw) in [(1400, 1), (900, 0), (700, 0), (655, 1), (31, 1)] {
            draws[place] = draw;
            check(&draws, &logits);
        }
        // So large that the noise of both is rounded away: two entries of one score, the later with the better draw.
        (logits[40], logits[60]) = (1e9, 1e9);
        draws[60] = 0;
        check(&draws, &logits);
        // Around 2^24 scores are even: a tie that the later entry's bound exceeds, and the earlier one's only reaches.
        let draw_of = |fits: &dyn Fn(f32, f32) -> bool| {
            let found =
                (0..u32::MAX).step_by(1 << 16).find(|&x| fits(draw::gumbel(x), draw::gumbel_at_most(x)));
            found.expect("a draw in so wide a range")
        };
        (logits[10], logits[70]) = (16_777_216.0, 16_777_216.0);
        (draws[10], draws[70]) =
            (draw_of(&|_, bound| bound < 0.9), draw_of(&|noise, bound| noise < 1.0 && bound > 1.0));
        (logits[40], logits[60]) = (0.0, 0.0);
        assert_eq!(plain(&draws, &logits), Some(10));
        check(&draws, &logits);
        logits[80] = f32::NAN;
        check(&draws, &logits);
        (logits[1300], logits[1299]) = (f32::INFINITY, f32::INFINITY);
        check(&draws, &logits);
        check(&draws, &[f32::NEG_INFINITY; 1500]);
    }
}
