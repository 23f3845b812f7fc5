//! Logits plus noise, and the exact samples that they give: one-hot rows, the winner of a wide row, bits.

use crate::Tier;
use crate::draw;
use crate::fma::Fma;
use crate::lanes;
use crate::math;
use crate::noise::{Draws, PIECE, Reader};
use crate::one_hot::one_hot_rows;
use crate::parallel::{Rows, RowsMut, for_rows};
use crate::rows::{
    Checked, MaskedRow, block_len, check_rows, count_rows, is_usual, retry_settled, with_settled,
};
use crate::simd::LANES;
use crate::soft_rows::Scores;

/// Writes logits + Gumbel noise to `out`.
#[inline(always)]
pub(crate) fn gumbel_scores<F: Fma>(reader: &mut Reader<'_>, logits: &[f32], out: &mut [f32]) {
    for (logits, out) in logits.chunks(PIECE).zip(out.chunks_mut(PIECE)) {
        let draws = reader.take(out.len());
        let (vectors, rest) = out.as_chunks_mut::<LANES>();
        let whole = vectors.as_flattened_mut();
        draw::exponentials::<F>(draws, whole);
        for (out, &logit) in whole.iter_mut().zip(logits) {
            *out = logit + math::minus_ln_normal::<F>(*out);
        }
        if !rest.is_empty() {
            // A vector of noise costs as much as a single number.
            let mut noise = [0.0f32; LANES];
            draw::gumbels::<F>(&draws[whole.len()..], &mut noise);
            for ((out, &logit), &noise) in rest.iter_mut().zip(&logits[whole.len()..]).zip(&noise) {
                *out = logit + noise;
            }
        }
    }
}

/// The scores logits + Gumbel noise.
pub(crate) struct Perturbed<'a> {
    reader: Reader<'a>,
    logits: &'a [f32],
}

impl<'a> Perturbed<'a> {
    /// The scores of `logits`, whose first element takes draw `first`.
    #[inline(always)]
    pub(crate) fn new(draws: Draws<'a>, first: usize, logits: &'a [f32]) -> Self {
        Perturbed { reader: draws.from_element(first), logits }
    }
}

/// The [`Scores::LEAST`] of a relaxed sample. At e^-57 = 1.8e-25, its products with gradients and weights are
/// not subnormal either.
const LEAST: f32 = -57.0;

impl Scores for Perturbed<'_> {
    const LEAST: f32 = LEAST;

    #[inline(always)]
    fn fill<F: Fma>(&mut self, out: &mut [f32]) {
        let (now, later) = self.logits.split_at(out.len());
        gumbel_scores::<F>(&mut self.reader, now, out);
        self.logits = later;
    }
}

/// Scores that [`one_hot_samples_and_scores`] wrote.
pub(crate) struct Kept<'a>(pub(crate) &'a [f32]);

impl Scores for Kept<'_> {
    const LEAST: f32 = LEAST;

    #[inline(always)]
    fn fill<F: Fma>(&mut self, out: &mut [f32]) {
        self.0.fill::<F>(out);
    }
}

/// Writes the one-hot samples of rows wider than a piece, without computing the score of each class.
#[inline(always)]
fn wide_one_hots<F: Fma>(reader: &mut Reader<'_>, logits: &[f32], classes: usize, y: &mut [f32]) -> Checked {
    for (r, (logits, y)) in logits.chunks_exact(classes).zip(y.chunks_exact_mut(classes)).enumerate() {
        let winner = winner_of_wide::<F>(reader, logits);
        if logits.iter().fold(false, |some, logit| some | logit.is_nan()) {
            y.fill(f32::NAN);
            continue;
        }
        y.fill(0.0);
        y[winner.ok_or(MaskedRow(r))?] = 1.0;
    }
    Ok(())
}

/// Returns the index of the first largest score of a wide row, or `None` if the row is
/// [unusual](crate::rows::is_unusual). NaN is skipped.
///
/// We first bound the score of every class from above, in a tenth of the instructions, and then compute the
/// noise only for the few classes that can still win.
#[inline(always)]
pub(crate) fn winner_of_wide<F: Fma>(reader: &mut Reader<'_>, logits: &[f32]) -> Option<usize> {
    let mut bounds = [0.0f32; PIECE];
    let mut best = Best { score: f32::NEG_INFINITY, place: 0 };
    for (p, logits) in logits.chunks(PIECE).enumerate() {
        let draws = reader.take(logits.len());
        let bounds = &mut bounds[..logits.len()];
        for ((bound, &logit), &draw) in bounds.iter_mut().zip(logits).zip(draws) {
            *bound = logit + draw::gumbel_at_most::<F>(draw);
        }
        let promising = lanes::argmax(bounds);
        if bounds[promising] < best.score || bounds[promising] == f32::NEG_INFINITY {
            continue;
        }
        // Few other bounds exceed its score, and usually none does.
        best.see_vector::<F>(p * PIECE, promising / LANES, draws, logits);
        let (vectors, rest) = bounds.as_chunks::<LANES>();
        for (v, bounds) in vectors.iter().enumerate() {
            if bounds.iter().fold(false, |any, &bound| any | (bound >= best.score)) {
                best.see_vector::<F>(p * PIECE, v, draws, logits);
            }
        }
        if !rest.is_empty() {
            best.see_vector::<F>(p * PIECE, vectors.len(), draws, logits);
        }
    }
    is_usual(best.score).then_some(best.place)
}

/// The largest score so far and its first index.
struct Best {
    score: f32,
    place: usize,
}

impl Best {
    /// Computes and compares the scores of vector `v` of a piece that begins at index `first`.
    #[inline(always)]
    fn see_vector<F: Fma>(&mut self, first: usize, v: usize, draws: &[u32], logits: &[f32]) {
        let places = v * LANES..((v + 1) * LANES).min(draws.len());
        let (mut vector, mut scores) = ([0; LANES], [f32::NEG_INFINITY; LANES]);
        vector[..places.len()].copy_from_slice(&draws[places.clone()]);
        scores[..places.len()].copy_from_slice(&logits[places]);
        for (score, &draw) in scores.iter_mut().zip(&vector) {
            *score += draw::gumbel_by::<F>(draw);
        }
        let lane = lanes::argmax(&scores);
        let (score, place) = (scores[lane], first + v * LANES + lane);
        if score > self.score || (score == self.score && place < self.place) {
            *self = Best { score, place };
        }
    }
}

crate::simd! {
    fn one_hot_piece<F>(
        tier; draws: Draws<'_>, first: usize, logits: &[f32], classes: usize, y: &mut [f32],
    ) -> Checked {
        let mut reader = draws.from_element(first * classes);
        if classes > PIECE {
            return wide_one_hots::<F>(&mut reader, logits, classes, y);
        }
        gumbel_scores::<F>(&mut reader, logits, y);
        one_hot_rows(tier, y, classes)
    }
}

/// Writes y = one-hot of argmax(logits + g), rows of `classes`: exact samples of softmax(logits). Element i
/// takes draw i, and ties take the lowest index.
#[track_caller]
pub(crate) fn one_hot_samples(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    classes: usize,
    y: &mut [f32],
) -> Checked {
    let rows = count_rows(logits, classes, y);
    draws.check(logits.len());
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |first, (Rows(logits, _), RowsMut(y, _))| {
        retry_settled(tier, logits, classes, |logits| one_hot_piece(tier, draws, first, logits, classes, y))
    })
}

crate::simd! {
    fn one_hot_and_scores_piece<F>(
        tier;
        draws: Draws<'_>,
        first: usize,
        logits: &[f32],
        classes: usize,
        y: &mut [f32],
        scores: &mut [f32],
    ) -> Checked {
        let mut reader = draws.from_element(first * classes);
        let block = block_len(classes);
        let blocks = logits.chunks(block).zip(y.chunks_mut(block)).zip(scores.chunks_mut(block));
        for (i, ((logits, y), scores)) in blocks.enumerate() {
            gumbel_scores::<F>(&mut reader, logits, scores);
            y.copy_from_slice(scores);
            one_hot_rows(tier, y, classes).map_err(|MaskedRow(r)| MaskedRow(i * block / classes + r))?;
        }
        Ok(())
    }
}

/// Like [`one_hot_samples`], but also writes the scores logits + g, [settled](with_settled).
#[track_caller]
pub(crate) fn one_hot_samples_and_scores(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    classes: usize,
    y: &mut [f32],
    scores: &mut [f32],
) -> Checked {
    let rows = count_rows(logits, classes, y);
    assert_eq!(logits.len(), scores.len(), "scores must be rows x classes");
    draws.check(logits.len());
    let parts = (Rows(logits, classes), RowsMut(y, classes), RowsMut(scores, classes));
    check_rows(rows, classes, parts, |first, (Rows(logits, _), RowsMut(y, _), RowsMut(scores, _))| {
        with_settled(tier, logits, classes, |logits| {
            one_hot_and_scores_piece(tier, draws, first, logits, classes, y, scores)
        })
    })
}

/// Writes logits + logistic noise to `out`.
#[inline(always)]
pub(crate) fn logistic_scores<F: Fma>(reader: &mut Reader<'_>, logits: &[f32], out: &mut [f32]) {
    for (logits, out) in logits.chunks(PIECE).zip(out.chunks_mut(PIECE)) {
        draw::logistics::<F>(reader.take(out.len()), out);
        for (out, &logit) in out.iter_mut().zip(logits) {
            *out += logit;
        }
    }
}

/// Returns 1 for a positive score, 0 for any other, and NaN for NaN.
#[inline(always)]
fn bit(score: f32) -> f32 {
    let sample = if score > 0.0 { 1.0 } else { 0.0 };
    if score.is_nan() { score } else { sample }
}

crate::simd! {
    fn binary_piece<F>(draws: Draws<'_>, first: usize, logits: &[f32], y: &mut [f32]) {
        logistic_scores::<F>(&mut draws.from_element(first), logits, y);
        for y in y {
            *y = bit(*y);
        }
    }
}

crate::simd! {
    fn binary_and_scores_piece<F>(
        draws: Draws<'_>, first: usize, logits: &[f32], y: &mut [f32], scores: &mut [f32],
    ) {
        let mut reader = draws.from_element(first);
        for ((logits, y), scores) in
            logits.chunks(PIECE).zip(y.chunks_mut(PIECE)).zip(scores.chunks_mut(PIECE))
        {
            logistic_scores::<F>(&mut reader, logits, scores);
            for (y, &score) in y.iter_mut().zip(scores.iter()) {
                *y = bit(score);
            }
        }
    }
}

/// Writes y = 1 where logits + l > 0 and 0 elsewhere: exact samples of Bernoulli(sigmoid(logits)). Element i
/// takes draw i, and NaN stays NaN.
#[track_caller]
pub(crate) fn binary_samples(tier: Tier, draws: Draws<'_>, logits: &[f32], y: &mut [f32]) {
    assert_eq!(logits.len(), y.len(), "logits and y must have the same length");
    draws.check(logits.len());
    for_rows(y.len(), 1, (Rows(logits, 1), RowsMut(y, 1)), |first, (Rows(logits, _), RowsMut(y, _))| {
        binary_piece(tier, draws, first, logits, y);
    });
}

/// Like [`binary_samples`], but also writes the scores logits + l.
#[track_caller]
pub(crate) fn binary_samples_and_scores(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    y: &mut [f32],
    scores: &mut [f32],
) {
    assert!(logits.len() == y.len() && logits.len() == scores.len(), "lengths must be equal");
    draws.check(logits.len());
    let parts = (Rows(logits, 1), RowsMut(y, 1), RowsMut(scores, 1));
    for_rows(logits.len(), 1, parts, |first, (Rows(logits, _), RowsMut(y, _), RowsMut(scores, _))| {
        binary_and_scores_piece(tier, draws, first, logits, y, scores);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hardware as H;
    use crate::noise::Stream;

    /// The winner of a row, found by computing the score of each class.
    fn plain(draws: &[u32], logits: &[f32]) -> Option<usize> {
        let scores: Vec<f32> = draws.iter().zip(logits).map(|(&x, &logit)| logit + draw::gumbel(x)).collect();
        let winner = lanes::argmax(&scores);
        is_usual(scores[winner]).then_some(winner)
    }

    fn check(draws: &[u32], logits: &[f32]) {
        let mut reader = Draws::Given(draws).from_element(0);
        assert_eq!(
            winner_of_wide::<H>(&mut reader, logits),
            plain(draws, logits),
            "{} classes",
            logits.len()
        );
    }

    #[test]
    fn the_winner_of_a_wide_row_has_the_largest_score() {
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
        // Logits so large that rounding removes the noise. Two scores are equal, and the later one has the
        // better draw.
        (logits[40], logits[60]) = (1e9, 1e9);
        draws[60] = 0;
        check(&draws, &logits);
        // Around 2^24 scores are even numbers. Here two tie; the bound of the later exceeds the score, and
        // the bound of the earlier only reaches it.
        let draw_of = |fits: &dyn Fn(f32, f32) -> bool| {
            let found =
                (0..u32::MAX).step_by(1 << 16).find(|&x| fits(draw::gumbel(x), draw::gumbel_at_most::<H>(x)));
            found.expect("a draw in this range")
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
