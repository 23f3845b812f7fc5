//! `gumbel_softmax`, the relaxed sample of a categorical variable: y = softmax((logits + g) / tau) with
//! standard Gumbel noise g, one draw per logit. `st_gumbel_softmax`, its straight-through form: the one-hot
//! sample with the gradient of the relaxed one.
//!
//! # Source
//! E. Jang, S. Gu, B. Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017, section 2;
//! C. Maddison, A. Mnih, Y. W. Teh, "The Concrete Distribution", ICLR 2017, section 3.

use crate::Tier;
use crate::noise::Draws;
use crate::parallel::{Rows, RowsMut};
use crate::perturbed::{Kept, Perturbed, one_hot_samples, one_hot_samples_and_scores};
use crate::recomputed::{backward_by_blocks, jacobian_of_scores};
use crate::rows::{Checked, MaskedRow, check_rows, count_rows, retry_settled, with_settled};
use crate::soft_rows::{self, normalize};

crate::simd! {
    fn forward_piece<F>(
        tier;
        draws: Draws<'_>,
        first: usize,
        logits: &[f32],
        classes: usize,
        inverse_tau: f32,
        y: &mut [f32],
    ) -> Checked {
        let mut scores = Perturbed::new(draws, first * classes, logits);
        normalize::<F, _>(tier, classes, inverse_tau, &mut scores, y)
    }
}

crate::simd! {
    fn st_backward_piece<F>(
        tier;
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
        jacobian_of_scores::<F, _>(tier, dy, classes, inverse_tau, want_tau, soft, dlogits, &mut scores)
    }
}

crate::simd! {
    fn st_backward_from_scores_piece<F>(
        tier;
        scores: &[f32],
        dy: &[f32],
        classes: usize,
        inverse_tau: f32,
        want_tau: bool,
        soft: &mut [f32],
        dlogits: &mut [f32],
    ) -> f32 {
        let mut scores = Kept(scores);
        jacobian_of_scores::<F, _>(tier, dy, classes, inverse_tau, want_tau, soft, dlogits, &mut scores)
    }
}

/// Samples y = softmax((logits + g) / tau) with standard Gumbel noise g.
///
/// `logits` and `y` are rows of `classes`. Element i takes draw i. Rows of y sum to 1, and a masked class
/// gets exactly 0.
///
/// # Precision
/// y is accurate to a few ulp times the spread of the scores. An entry is 0 if it is below 1.8e-25 times the
/// largest entry of its row.
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
    tau: f32,
    y: &mut [f32],
) -> Result<(), MaskedRow> {
    let rows = count_rows(logits, classes, y);
    draws.check(logits.len());
    let parts = (Rows(logits, classes), RowsMut(y, classes));
    check_rows(rows, classes, parts, |first, (Rows(logits, _), RowsMut(y, _))| {
        retry_settled(tier, logits, classes, |logits| {
            forward_piece(tier, draws, first, logits, classes, 1.0 / tau, y)
        })
    })
}

/// Adds the gradient of [`forward`]: dlogits += h / tau with h = y (dy - <y, dy>), per row. Returns
/// dtau = -sum(h ln y) / tau if `want_tau`, else 0.
///
/// The slices are rows of `classes`. The gradient needs only the output y, so the noise is not drawn again.
///
/// # Precision
/// dlogits stays accurate where y is almost one-hot. For tau far above the spread of the logits, y is nearly
/// uniform, and rounding removes most digits of logits / tau from ln y. dtau then has a relative error of
/// about 6e-8 tau / spread.
///
/// # Panics
/// If the slices differ in length or do not hold whole rows.
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
    soft_rows::backward(tier, y, dy, classes, tau, want_tau, dlogits)
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
pub fn st_forward(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    classes: usize,
    y: &mut [f32],
) -> Result<(), MaskedRow> {
    one_hot_samples(tier, draws, logits, classes, y)
}

/// Like [`st_forward`], but also writes the scores, from which [`st_backward_from_scores`] computes the
/// gradient without drawing the noise again. The two passes take a quarter less time this way, but need a
/// buffer of the size of the logits. For rows wider than 512, plain [`st_forward`] is faster, because it
/// computes only a few of the scores.
///
/// The scores are logits + g, but rows with a logit beyond 1e30 are shifted so that their largest logit is 0.
///
/// # Errors
/// [`MaskedRow`] for a row whose classes are all masked.
///
/// # Panics
/// In the same cases as [`st_forward`].
#[track_caller]
pub fn st_forward_and_scores(
    tier: Tier,
    draws: Draws<'_>,
    logits: &[f32],
    classes: usize,
    y: &mut [f32],
    scores: &mut [f32],
) -> Result<(), MaskedRow> {
    one_hot_samples_and_scores(tier, draws, logits, classes, y, scores)
}

/// Adds the gradient of the relaxed sample: dlogits += h / tau with y = softmax((logits + g) / tau) and
/// h = y (dy - <y, dy>), per row. Returns dtau = -sum(h ln y) / tau if `want_tau`, else 0.
///
/// The slices are rows of `classes`. `draws` are the draws of the forward pass, from which y is recomputed.
///
/// # Precision
/// The same as for [`backward`].
///
/// # Panics
/// If the slices differ in length or do not hold whole rows, or if the injected draws are not one per logit.
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
    draws.check(logits.len());
    backward_by_blocks(logits, dy, classes, tau, dlogits, |first, logits, dy, soft, dlogits| {
        with_settled(tier, logits, classes, |logits| {
            st_backward_piece(tier, draws, first, logits, dy, classes, 1.0 / tau, want_tau, soft, dlogits)
        })
    })
}

/// Like [`st_backward`], but reads the scores that [`st_forward_and_scores`] wrote. Gives the same bits.
///
/// # Panics
/// If the slices differ in length or do not hold whole rows.
#[track_caller]
pub fn st_backward_from_scores(
    tier: Tier,
    scores: &[f32],
    dy: &[f32],
    classes: usize,
    tau: f32,
    want_tau: bool,
    dlogits: &mut [f32],
) -> f32 {
    backward_by_blocks(scores, dy, classes, tau, dlogits, |_, scores, dy, soft, dlogits| {
        st_backward_from_scores_piece(tier, scores, dy, classes, 1.0 / tau, want_tau, soft, dlogits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Stream;

    /// Rows with masks, infinite and large logits and NaN, narrow and wide, in one piece and in several.
    #[test]
    fn kept_scores_give_the_bits_of_replayed_ones() {
        for (rows, classes) in
            [(700, 3), (64, 16), (64, 17), (40, 40), (40, 70), (20, 600), (4, 3000), (1, 9000)]
        {
            let mut logits = vec![0.0; rows * classes];
            crate::draw::fill_logistic(Tier::best(), Stream::new(1).into(), &mut logits);
            for (i, special) in [f32::NEG_INFINITY, 3e38, f32::INFINITY, f32::NAN].into_iter().enumerate() {
                logits.iter_mut().skip(i).step_by(37 * (i + 1)).for_each(|logit| *logit = special);
            }
            for tier in Tier::available() {
                check_kept(tier, &logits, classes);
            }
        }
    }

    fn check_kept(tier: Tier, logits: &[f32], classes: usize) {
        let (n, draws) = (logits.len(), Draws::from(Stream::new(2)));
        let dy: Vec<f32> = (0..n).map(|i| (i % 7) as f32 - 2.5).collect();
        let (mut y, mut y_kept, mut scores) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        st_forward(tier, draws, logits, classes, &mut y).unwrap();
        st_forward_and_scores(tier, draws, logits, classes, &mut y_kept, &mut scores).unwrap();
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&y), bits(&y_kept), "{tier} {classes}");
        for want_tau in [false, true] {
            let (mut d, mut d_kept) = (vec![0.25; n], vec![0.25; n]);
            let dtau = st_backward(tier, draws, logits, &dy, classes, 0.7, want_tau, &mut d);
            let dtau_kept = st_backward_from_scores(tier, &scores, &dy, classes, 0.7, want_tau, &mut d_kept);
            assert!(bits(&d) == bits(&d_kept), "{tier} {classes}");
            assert!(dtau.to_bits() == dtau_kept.to_bits() || dtau.is_nan() && dtau_kept.is_nan());
        }
    }
}
