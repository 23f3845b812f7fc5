//! Noise distributions, each as a function of one 32-bit draw.
//!
//! A draw `x` stands for the number `v = (x + 1/2) 2^-32`, the middle of its interval. So `v` is never 0 or
//! 1, the draws `x` and `!x` stand for `v` and `1 - v` exactly, and each number below is a quantile function
//! at `v`. No draw gives an infinity or NaN.
//!
//! The usual recipe first turns the draw into a float `u` of 24 bits, and clamps it or adds an epsilon where
//! a logarithm would fail. That truncates the distribution: `-ln(1 - u)` ends at 16.6, and its smallest
//! values are multiples of 6e-8. Here both tails come from the integer, with all 32 bits of the draw. The
//! smaller of `v` and `1 - v` is computed to full relative accuracy before anything is rounded relative to 1.
//!
//! The functions are branch-free, like those in [`math`]. The error bounds hold for all 2^32 draws, checked
//! against `f64` by `tests/math_exhaustive.rs`, in ulps of the exact value.

use crate::Tier;
use crate::fma::{Fma, Hardware};
use crate::math;
use crate::noise::{Draws, PIECE};
use crate::parallel::{RowsMut, for_rows};

/// 2^-32
const STEP: f32 = 1.0 / (1u64 << 32) as f32;

/// `(k + 1/2) 2^-32`: `v` for a draw in the lower half and, read as a negative integer, `v - 1` in the upper.
#[inline(always)]
fn midpoint<F: Fma>(k: u32) -> f32 {
    // Through i32, because converting a u32 takes a single instruction only with AVX-512.
    F::scale_add(k as i32 as f32, STEP, 0.5 * STEP)
}

/// The draw or its complement, whichever is in the lower half. It stands for the smaller of `v` and `1 - v`.
#[inline(always)]
fn folded(x: u32) -> u32 {
    x ^ (x as i32 >> 31) as u32
}

/// `1 - 2 (m + 1/2) 2^-32` for a folded draw, without cancellation.
#[inline(always)]
fn twice_distance_to_half<F: Fma>(m: u32) -> f32 {
    F::scale_add((0x7fff_ffff - m) as i32 as f32, 2.0 * STEP, STEP)
}

/// `y >= 0` for a draw in the upper half, `-y` in the lower.
#[inline(always)]
fn with_side(y: f32, x: u32) -> f32 {
    f32::from_bits(y.to_bits() | (!x & 0x8000_0000))
}

/// A uniform number in (0, 1): `v`, correctly rounded, but never 1. From 2^-33 to `1 - 2^-24`.
#[inline]
pub fn uniform(x: u32) -> f32 {
    uniform_by::<Hardware>(x)
}

/// [`uniform`] for use in a kernel.
#[inline(always)]
pub fn uniform_by<F: Fma>(x: u32) -> f32 {
    // Both parts are exact, so the sum is rounded once.
    let high = (x >> 8) as i32 as f32;
    let low = (x & 0xff) as i32 as f32;
    let v = F::scale_add(high, 256.0 * STEP, F::scale_add(low, STEP, 0.5 * STEP));
    const BELOW_ONE: f32 = 1.0 - f32::EPSILON / 2.0;
    if v > BELOW_ONE { BELOW_ONE } else { v }
}

/// Returns true where `v < p`. The probability is `p`, rounded only to a multiple of 2^-32. The result is
/// never true for p = 0 and always true for p = 1.
#[inline(always)]
pub fn bernoulli(x: u32, p: f64) -> bool {
    (f64::from(x) + 0.5) * f64::from(STEP) < p
}

/// An exponential number with rate 1: `-ln(1 - v)`, within 2 ulp. From 1.2e-10 to 22.87.
#[inline]
pub fn exponential(x: u32) -> f32 {
    exponential_by::<Hardware>(x)
}

/// [`exponential`] for use in a kernel.
#[inline(always)]
pub fn exponential_by<F: Fma>(x: u32) -> f32 {
    // 1 - v is 1 - b in the lower half and -b in the upper. The mask is arithmetic, because the compiler
    // turns a select into two copies of the logarithm.
    let whole = f32::from_bits(1f32.to_bits() & !(x as i32 >> 31) as u32);
    math::minus_ln_of_difference::<F>(whole, midpoint::<F>(x))
}

/// A standard Gumbel number: `-ln(-ln(1 - v))`, within 2 ulp or 2e-7, whichever is more. From -3.13 to 22.87.
///
/// The absolute bound matters only near 0, where the inner logarithm is near 1 and has itself been rounded.
#[inline]
pub fn gumbel(x: u32) -> f32 {
    gumbel_by::<Hardware>(x)
}

/// [`gumbel`] for use in a kernel.
#[inline(always)]
pub fn gumbel_by<F: Fma>(x: u32) -> f32 {
    math::minus_ln_normal::<F>(exponential_by::<F>(x))
}

/// An upper bound on [`gumbel`] in a tenth of its instructions, usually within 0.1 of large values.
///
/// `-ln(-ln(1 - v))` is at most `-ln v`, and `log2` is never below the straight lines between the powers of
/// 2, which we read from the bits of a float.
#[inline(always)]
pub(crate) fn gumbel_at_most<F: Fma>(x: u32) -> f32 {
    const LN_2: f32 = std::f32::consts::LN_2;
    // More than all rounding errors here and in `gumbel`.
    const ROUNDING: f32 = 1e-4;
    // v 2^31, or 1/2 less.
    let v = (x >> 1) as i32 as f32 + 0.25;
    // The bits of v 2^31, times 2^-23, are 127 + 31 more than log2 v at the powers of 2.
    F::step(v.to_bits() as i32 as f32, -LN_2 / 8_388_608.0, (127.0 + 31.0) * LN_2 + ROUNDING)
}

/// A standard logistic number: `ln v - ln(1 - v)`, within 3 ulp. From -22.87 to 22.87, odd: `!x` gives the
/// negative.
#[inline]
pub fn logistic(x: u32) -> f32 {
    logistic_by::<Hardware>(x)
}

/// [`logistic`] for use in a kernel.
#[inline(always)]
pub fn logistic_by<F: Fma>(x: u32) -> f32 {
    logistic_of_ratio::<F>(logistic_ratio::<F>(x), x)
}

/// `(1 - 2a) / a` with the smaller `a` of `v` and `1 - v`.
#[inline(always)]
fn logistic_ratio<F: Fma>(x: u32) -> f32 {
    let m = folded(x);
    twice_distance_to_half::<F>(m) / midpoint::<F>(m)
}

/// [`logistic`] from its ratio.
#[inline(always)]
fn logistic_of_ratio<F: Fma>(ratio: f32, x: u32) -> f32 {
    // ln((1 - a) / a) as log1p((1 - 2a) / a), because two logarithms would cancel near a = 1/2.
    with_side(math::log1p_moderate::<F>(ratio), x)
}

/// `sqrt(pi / 2)`, the value of `z / (1 - 2a)` at `a = 1/2`.
const NORMAL_AT_HALF: f32 = 1.253_314_1;

/// Approximately the slope of `z / (1 - 2a)` with respect to `w`.
const NORMAL_SLOPE: f32 = 0.218_75;

/// The rest of that slope, a rational function of `w = -ln(4a (1 - a))` on [0, 21.5]: minimax for the
/// relative error of `z`, 2^-26.4 (least squares reweighted after Lawson; coefficients rounded one by one, as
/// in [`math`]).
const NORMAL_NUMERATOR: [f32; 6] =
    [0.109_367_1, 0.026_753_925, 0.002_044_603, 0.000_320_778_14, 1.893_211_4e-7, -6.226_104_6e-7];
const NORMAL_DENOMINATOR: [f32; 6] =
    [1.0, 0.095_293_686, 0.034_636_55, 0.002_312_805, 0.000_247_702_32, 3.711_868e-6];

/// A standard normal number: the inverse of the distribution function at `v`, within 3 ulp. From -6.34 to
/// 6.34, odd: `!x` gives the negative.
///
/// One draw gives one normal number, so rows of noise can start at any position of a stream.
///
/// # Source
/// The form, `1 - 2v` times a function of `w = -ln(4 v (1 - v))`, comes from M. Giles, "Approximating the
/// erfinv function", GPU Computing Gems 2, 2010. His two polynomials, one of them for the tails, are replaced
/// by one rational function for the whole range, with coefficients fitted for this crate.
#[inline]
pub fn normal(x: u32) -> f32 {
    normal_by::<Hardware>(x)
}

/// [`normal`] for use in a kernel.
#[inline(always)]
pub fn normal_by<F: Fma>(x: u32) -> f32 {
    normal_of_log::<F>(normal_log::<F>(x), x)
}

/// The `w` that [`normal`] is computed from.
#[inline(always)]
fn normal_log<F: Fma>(x: u32) -> f32 {
    let a = midpoint::<F>(folded(x));
    math::minus_ln_normal::<F>(F::step(4.0 * a, -a, 4.0 * a))
}

/// [`normal`] from its `w`.
#[inline(always)]
fn normal_of_log<F: Fma>(w: f32, x: u32) -> f32 {
    // The quotient is small compared with the two constants, and so are its rounding errors.
    let quotient = F::polynomial(w, NORMAL_NUMERATOR) / F::polynomial(w, NORMAL_DENOMINATOR);
    let ratio = F::step(NORMAL_SLOPE + quotient, w, NORMAL_AT_HALF);
    with_side(twice_distance_to_half::<F>(folded(x)) * ratio, x)
}

// ---- noise for a slice of draws ----
//
// A logarithm is a chain of a dozen multiply-adds, each of which waits for the one before. Meanwhile the
// processor works on later numbers, as far ahead as its window of a few hundred instructions reaches. With
// two such chains in one loop that is not far enough, so each has its own loop over a piece that stays in the
// L1 cache. The bits are the same.

/// Exponential noise, one number per draw.
#[inline(always)]
pub(crate) fn exponentials<F: Fma>(draws: &[u32], out: &mut [f32]) {
    for (out, &draw) in out.iter_mut().zip(draws) {
        *out = exponential_by::<F>(draw);
    }
}

/// Standard Gumbel noise, one number per draw.
#[inline(always)]
pub(crate) fn gumbels<F: Fma>(draws: &[u32], out: &mut [f32]) {
    exponentials::<F>(draws, out);
    for out in out {
        *out = math::minus_ln_normal::<F>(*out);
    }
}

/// Standard logistic noise, one number per draw.
#[inline(always)]
pub(crate) fn logistics<F: Fma>(draws: &[u32], out: &mut [f32]) {
    for (out, &draw) in out.iter_mut().zip(draws) {
        *out = logistic_ratio::<F>(draw);
    }
    for (out, &draw) in out.iter_mut().zip(draws) {
        *out = logistic_of_ratio::<F>(*out, draw);
    }
}

/// Standard normal noise, one number per draw.
#[inline(always)]
pub(crate) fn normals<F: Fma>(draws: &[u32], out: &mut [f32]) {
    for (out, &draw) in out.iter_mut().zip(draws) {
        *out = normal_log::<F>(draw);
    }
    for (out, &draw) in out.iter_mut().zip(draws) {
        *out = normal_of_log::<F>(*out, draw);
    }
}

/// Uniform noise in (0, 1), one number per draw.
#[inline(always)]
fn uniforms<F: Fma>(draws: &[u32], out: &mut [f32]) {
    for (out, &draw) in out.iter_mut().zip(draws) {
        *out = uniform_by::<F>(draw);
    }
}

/// Fills a slice with the noise of one distribution.
macro_rules! noise_piece {
    ($piece:ident, $noise:ident) => {
        crate::simd! {
            fn $piece<F>(draws: Draws<'_>, first: usize, out: &mut [f32]) {
                let mut reader = draws.from_element(first);
                for out in out.chunks_mut(PIECE) {
                    $noise::<F>(reader.take(out.len()), out);
                }
            }
        }
    };
}
noise_piece! { uniform_piece, uniforms }
noise_piece! { gumbel_piece, gumbels }
noise_piece! { logistic_piece, logistics }

/// Uniform noise in (0, 1), one number per draw.
#[track_caller]
pub fn fill_uniform(tier: Tier, draws: Draws<'_>, out: &mut [f32]) {
    draws.check(out.len());
    for_rows(out.len(), 1, (RowsMut(out, 1),), |first, (RowsMut(out, _),)| {
        uniform_piece(tier, draws, first, out);
    });
}

/// Standard Gumbel noise, one number per draw.
#[track_caller]
pub fn fill_gumbel(tier: Tier, draws: Draws<'_>, out: &mut [f32]) {
    draws.check(out.len());
    for_rows(out.len(), 1, (RowsMut(out, 1),), |first, (RowsMut(out, _),)| {
        gumbel_piece(tier, draws, first, out);
    });
}

/// Standard logistic noise, one number per draw.
#[track_caller]
pub fn fill_logistic(tier: Tier, draws: Draws<'_>, out: &mut [f32]) {
    draws.check(out.len());
    for_rows(out.len(), 1, (RowsMut(out, 1),), |first, (RowsMut(out, _),)| {
        logistic_piece(tier, draws, first, out);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hardware as H;

    const LAWS: [fn(u32) -> f32; 5] = [uniform, exponential, gumbel, logistic, normal];

    #[test]
    fn the_ends_are_where_the_docs_say() {
        let ends = LAWS.map(|law| (law(0), law(u32::MAX)));
        let expected = [
            (1.164_153_2e-10, 1.0 - f32::EPSILON / 2.0),
            (1.164_153_2e-10, 22.873_857),
            (22.873_857, -3.129_995),
            (-22.873_857, 22.873_857),
            (-6.337_957, 6.337_957),
        ];
        for ((low, high), (expected_low, expected_high)) in ends.into_iter().zip(expected) {
            assert!((low / expected_low - 1.0).abs() < 3e-7, "{low} is not {expected_low}");
            assert!((high / expected_high - 1.0).abs() < 3e-7, "{high} is not {expected_high}");
        }
    }

    #[test]
    fn laws_are_monotone_but_for_rounding() {
        for law in LAWS {
            let values: Vec<f32> = (0..=u32::MAX).step_by(65_537).map(law).collect();
            let direction = (values[values.len() - 1] - values[0]).signum();
            assert!(values.windows(2).all(|w| w[0].is_finite() && (w[1] - w[0]) * direction >= -1e-6));
        }
    }

    #[test]
    fn noise_for_a_slice_is_that_of_each_draw_to_the_last_bit() {
        let draws: Vec<u32> = (0..=u32::MAX).step_by(9_973).chain([u32::MAX]).collect();
        type Noise = fn(&[u32], &mut [f32]);
        let noises: [Noise; 5] =
            [uniforms::<H>, exponentials::<H>, gumbels::<H>, logistics::<H>, normals::<H>];
        let mut out = vec![0.0; draws.len()];
        for (noise, law) in noises.into_iter().zip(LAWS) {
            noise(&draws, &mut out);
            assert!(draws.iter().zip(&out).all(|(&x, noise)| noise.to_bits() == law(x).to_bits()));
        }
    }

    /// The lowest of the 2^32 draws are true.
    #[test]
    fn bernoulli_is_true_for_the_right_number_of_draws() {
        let step = f64::from(STEP);
        for (p, count) in [(0.0, 0), (0.4 * step, 0), (0.6 * step, 1), (3.0 * step, 3), (0.25, 1 << 30)] {
            assert!(!bernoulli(count, p) && (count == 0 || bernoulli(count - 1, p)), "{p}");
        }
        assert!(bernoulli(u32::MAX, 1.0) && !bernoulli(u32::MAX, 1.0 - step));
    }

    fn check_bound(x: u32) {
        let (noise, bound) = (gumbel(x), gumbel_at_most::<H>(x));
        assert!(bound > noise + 5e-5, "{x}: {noise} {bound}");
        assert!(x < 1 << 4 || noise < 2.0 || bound < noise + 0.15, "{x}: {noise} {bound}");
    }

    #[test]
    fn gumbel_is_bounded_closely_where_it_is_large() {
        (0..1 << 16).chain((0..=u32::MAX).step_by(9_973)).chain([u32::MAX]).for_each(check_bound);
    }

    #[test]
    #[ignore = "all 2^32 draws: four minutes"]
    fn gumbel_is_bounded_for_all_draws() {
        (0..=u32::MAX).for_each(check_bound);
    }

    #[test]
    fn symmetric_laws_are_odd_to_the_last_bit() {
        for x in (0..1u32 << 31).step_by(9_973).chain([0, 1, 2, (1 << 24) + 1, (1 << 31) - 1]) {
            assert_eq!(logistic(!x), -logistic(x));
            assert_eq!(normal(!x), -normal(x));
        }
    }

    #[test]
    fn the_middle_is_resolved() {
        let half_step = f64::from(STEP) / 2.0;
        assert!((f64::from(logistic(1 << 31)) / (4.0 * half_step) - 1.0).abs() < 2e-7);
        assert!((f64::from(normal(1 << 31)) / (2.506_628_274_631 * half_step) - 1.0).abs() < 3e-7);
    }

    #[test]
    fn moments_over_a_grid_of_draws() {
        let grid = || (0..=u32::MAX).step_by(4099);
        let mean = |f: &dyn Fn(u32) -> f64| grid().map(f).sum::<f64>() / grid().count() as f64;
        assert!((mean(&|x| f64::from(uniform(x))) - 0.5).abs() < 1e-5);
        assert!((mean(&|x| f64::from(exponential(x))) - 1.0).abs() < 1e-4);
        assert!((mean(&|x| f64::from(gumbel(x))) - 0.577_215_66).abs() < 1e-4);
        assert!((mean(&|x| f64::from(logistic(x)).powi(2)) - 3.289_868_1).abs() < 1e-3);
        assert!((mean(&|x| f64::from(normal(x)).powi(2)) - 1.0).abs() < 1e-4);
    }
}
