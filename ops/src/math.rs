//! Elementary functions on `f32`: branch-free scalar code that a loop inside [`simd!`](macro@crate::simd)
//! vectorises.
//!
//! There are no tables, no calls and no float-to-integer casts: only IEEE additions, multiplications, fused
//! multiply-adds, divisions, selects, and integer operations on the bits. So every tier gives the same bits,
//! and a value does not depend on whether it sat in a full vector or in a loop's tail. The type parameter is
//! the tier's [`Fma`]. For a single number, use [`Hardware`](crate::Hardware).
//!
//! An "ulp" in the error bounds is the distance between the `f32` values next to the exact result (2^-149
//! where that is subnormal). Every bound holds for all 2^32 inputs, including subnormal inputs and results,
//! as checked against `f64` by `tests/math_exhaustive.rs`. NaN gives NaN.
//!
//! The polynomials are minimax fits made for this crate by Remez exchange in 160-bit arithmetic. Each
//! coefficient in turn is rounded to `f32`, and the later ones are fitted again.

use crate::fma::Fma;

/// The smaller of the two, or `x` if it is NaN. `f32::min` would drop the NaN and take more instructions.
#[inline(always)]
pub(crate) fn at_most(x: f32, limit: f32) -> f32 {
    if x > limit { limit } else { x }
}

/// The larger of the two, or `x` if it is NaN.
#[inline(always)]
pub(crate) fn at_least(x: f32, limit: f32) -> f32 {
    if x < limit { limit } else { x }
}

// ---- exponentials: x = n ln 2 + r, then 2^n e^r ----

/// Added to a float below 2^22 in magnitude, this leaves the nearest integer in the low bits of the sum.
const ROUNDER: f32 = 12_582_912.0; // 1.5 * 2^23

/// ln 2 in two parts. The first has 15 bits, so that `x - n LN2_HIGH` is exact for the `n` nearest to `x / ln
/// 2`.
const LN2_HIGH: f32 = 0.693_145_75;
const LN2_LOW: f32 = 1.428_606_8e-6;

/// `(e^r - 1) / r` on |r| <= ln 2 / 2: 1, and the rest minimax for the relative error of `e^r`, 2^-28.
const EXP: [f32; 6] = [1.0, 0.499_999_94, 0.166_665_17, 0.041_668_102, 0.008_369_165_5, 0.001_383_800_3];

/// `(e^r - 1 - r) / r^2` on |r| <= ln 2 / 2: minimax for the relative error of `e^r - 1`, 2^-26.
const EXPM1: [f32; 5] = [0.499_999_97, 0.166_665_39, 0.041_667_75, 0.008_367_088, 0.001_383_786_2];

/// Writes `x = n ln 2 + r` with an integer `n` and |r| <= ln 2 / 2; returns `n + bias` as low bits, and `r`.
///
/// The bias must be even, so that ties round the same way and `r` is the same for any bias.
#[inline(always)]
fn split<F: Fma>(x: f32, bias: f32) -> (u32, f32) {
    let shifted = F::step(x, std::f32::consts::LOG2_E, ROUNDER + bias);
    let n = shifted - (ROUNDER + bias);
    (shifted.to_bits(), F::step(n, -LN2_LOW, F::scale_add(n, -LN2_HIGH, x)))
}

/// `e^r` for |r| <= ln 2 / 2.
#[inline(always)]
fn exp_of_remainder<F: Fma>(r: f32) -> f32 {
    F::step(F::polynomial(r, EXP), r, 1.0)
}

/// `e^x`, within 1 ulp.
///
/// 0 at -inf and wherever the exact value is below 2^-150; infinity from 88.73 on.
#[inline(always)]
pub fn exp<F: Fma>(x: f32) -> f32 {
    // Beyond these limits the result is 0 or infinity anyway.
    let x = at_least(at_most(x, 89.0), -104.0);
    // 2^n itself may be out of range, n = -150 ... 128. So there are two powers of about n / 2, each with
    // half of n + 254 in its exponent field. The product with the first is exact, so a subnormal result is
    // rounded only once.
    let (bits, r) = split::<F>(x, 254.0);
    let first = (bits >> 1) << 23;
    let second = (bits << 23).wrapping_sub(first);
    exp_of_remainder::<F>(r) * f32::from_bits(first) * f32::from_bits(second)
}

/// `e^x` for `x <= 0`, with the bits of [`exp`] in four fewer instructions.
#[inline(always)]
pub fn exp_nonpositive<F: Fma>(x: f32) -> f32 {
    // With n = -150 ... 0 a fixed second power is enough: 2^(n + 63) is in range, with exponent field n +
    // 63 + 127.
    const SECOND: f32 = 1.0 / (1u64 << 63) as f32;
    let (bits, r) = split::<F>(at_least(x, -104.0), 190.0);
    exp_of_remainder::<F>(r) * f32::from_bits(bits << 23) * SECOND
}

/// `e^x` for `x <= 0`, with the bits of [`exp`], or 0 where x is below `least`, which is -81 or more. So
/// neither the result nor what is computed from it is subnormal (see [`or_zero`]).
#[inline(always)]
pub(crate) fn exp_or_zero<F: Fma>(x: f32, least: f32) -> f32 {
    let (bits, r) = split::<F>(at_least(x, least), 126.0);
    let y = exp_of_remainder::<F>(r) * f32::from_bits((bits + 1) << 23);
    if x < least { 0.0 } else { y }
}

/// `x`, or 0 if it is smaller than `limit` in magnitude. Many CPUs take a hundred times as long for
/// arithmetic with subnormal numbers, and a decaying mean would get stuck at one.
#[inline(always)]
pub(crate) fn or_zero(x: f32, limit: f32) -> f32 {
    if x.abs() < limit { 0.0 } else { x }
}

/// `(e^x - 1) / 2` for -80 <= x <= 89.
#[inline(always)]
fn half_expm1<F: Fma>(x: f32) -> f32 {
    // The bias turns the low bits into the exponent field of 2^(n - 1), which is in range for n = 128 too.
    let (bits, r) = split::<F>(x, 126.0);
    let half = f32::from_bits(bits << 23);
    // 2^(n-1) (1 + r) - 1/2 comes first, because `half - 0.5` is exact where that cancels.
    F::mul_add(F::polynomial(r, EXPM1), half * (r * r), F::scale_add(half, r, half - 0.5))
}

/// `e^x - 1`, within 1.5 ulp.
///
/// -1 at -inf, infinity from 88.73 on; keeps the sign of a zero.
#[inline(always)]
pub fn expm1<F: Fma>(x: f32) -> f32 {
    // Below -20 the result is -1 to the last bit.
    let y = 2.0 * half_expm1::<F>(at_least(at_most(x, 89.0), -20.0));
    // Halving a subnormal would lose its last bit.
    if x.abs() < 1e-8 { x } else { y }
}

/// The logistic function `1 / (1 + e^-x)`, within 2 ulp.
///
/// 0 at -inf, 1 at inf; far below zero it has the accuracy of `e^x`, subnormal values included.
#[inline(always)]
pub fn sigmoid<F: Fma>(x: f32) -> f32 {
    // The result is 1 / (1 + e) or e / (1 + e). With e = e^-|x| neither can overflow.
    let e = exp_nonpositive::<F>(-x.abs());
    quotient_by_one_and::<F>(e, if x < 0.0 { e } else { 1.0 })
}

/// Returns numerator / (1 + e), for e from 0 to 1.
#[inline(always)]
fn quotient_by_one_and<F: Fma>(e: f32, numerator: f32) -> f32 {
    let sum = 1.0 + e;
    let quotient = numerator / sum;
    // The part of e that the sum rounded away is accounted for to first order, lost / sum. It matters most
    // where the sum is close to 1, so the division is left out.
    let lost = e - (sum - 1.0);
    F::step(-lost, quotient, quotient)
}

/// Returns y = sigmoid(x), within 2 ulp, and its rest, which is y for x < 0, and y - 1 elsewhere.
///
/// The rest is within 2 ulp, even where y has rounded to 1. Its sign tells the two sides apart, even where it
/// is 0.
#[inline(always)]
pub(crate) fn sigmoid_and_rest<F: Fma>(x: f32) -> (f32, f32) {
    let e = exp_nonpositive::<F>(-x.abs());
    // The smaller of y and 1 - y. The subtraction from 1 adds at most half an ulp, because `smaller` <= 1/2.
    let smaller = quotient_by_one_and::<F>(e, e);
    (if x < 0.0 { smaller } else { 1.0 - smaller }, smaller.copysign(-x))
}

/// The slope of [`sigmoid`], sigmoid(x) (1 - sigmoid(x)), without subtracting from 1.
#[inline(always)]
pub(crate) fn sigmoid_slope<F: Fma>(x: f32) -> f32 {
    let e = exp_nonpositive::<F>(-x.abs());
    e / ((1.0 + e) * (1.0 + e))
}

/// The hyperbolic tangent, within 3 ulp; odd to the last bit.
///
/// -1 at -inf, 1 at inf; keeps the sign of a zero.
#[inline(always)]
pub fn tanh<F: Fma>(x: f32) -> f32 {
    // tanh |x| = h / (h + 1) with h = (e^(2|x|) - 1) / 2; it is 1 to the last bit from |x| = 9.02 on.
    let h = half_expm1::<F>(2.0 * at_most(x.abs(), 10.0));
    (h / (h + 1.0)).copysign(x)
}

// ---- logarithms: x = 2^e (1 + f), then e ln 2 + ln(1 + f) ----

/// `(ln(1 + f) - f) / f^2` on |f| <= 1/3: minimax for the relative error of `ln(1 + f)`, 2^-27.6.
const LN: [f32; 9] = [
    -0.5,
    0.333_331_97,
    -0.249_999_2,
    0.200_114_34,
    -0.166_744_52,
    0.139_897_2,
    -0.122_732_31,
    0.140_601_71,
    -0.124_903_23,
];

/// `2^-23 ln 2`. Its product with an exponent is not rounded before the sum is, and ln 2 as an `f32` is
/// accurate to 2^-28, so no second part is needed.
const LN2_SCALED: f32 = std::f32::consts::LN_2 / 8_388_608.0;

/// The bits of 2/3: `1 + f` is taken from [2/3, 4/3), the octave that keeps |f| smallest.
const TWO_THIRDS: u32 = 0x3f2a_aaab;

/// The bits of 1.
const ONE: u32 = 0x3f80_0000;

/// The `e` for which `u 2^-e` is in [2/3, 4/3), at the position of a float's exponent (times 2^23).
#[inline(always)]
fn exponent(u: f32) -> u32 {
    u.to_bits().wrapping_sub(TWO_THIRDS) & 0xff80_0000
}

/// `u 2^-e - 1`, exactly.
#[inline(always)]
fn fraction(u: f32, exponent: u32) -> f32 {
    f32::from_bits(u.to_bits().wrapping_sub(exponent)) - 1.0
}

/// `(1 + x) 2^-e - 1`, rounded once, where `1 + x` would have lost bits of `x`; for `e = 0` it is `x`.
#[inline(always)]
fn fraction_of_one_plus<F: Fma>(x: f32, exponent: u32) -> f32 {
    let scale = f32::from_bits(ONE.wrapping_sub(exponent));
    F::scale_add(x, scale, scale - 1.0)
}

/// `ln(2^e (1 + f))` for |f| <= 1/3 and `e` times 2^23.
#[inline(always)]
fn ln_of_parts<F: Fma>(exponent: f32, f: f32) -> f32 {
    F::step(exponent, LN2_SCALED, F::mul_add(F::polynomial(f, LN), f * f, f))
}

/// `-ln(2^e (1 + f))`. The signs cost nothing inside the multiply-adds.
#[inline(always)]
fn minus_ln_of_parts<F: Fma>(exponent: f32, f: f32) -> f32 {
    F::step(exponent, -LN2_SCALED, F::step(-F::polynomial(f, LN), f * f, -f))
}

/// `y`, except at the edges of a logarithm: inf and NaN stay, `pole` gives -inf, and anything less gives NaN.
#[inline(always)]
fn with_edges(y: f32, x: f32, pole: f32) -> f32 {
    let y = if x < f32::INFINITY { y } else { x };
    let at_pole = if x == pole { f32::NEG_INFINITY } else { f32::NAN };
    if x <= pole { at_pole } else { y }
}

/// The natural logarithm, within 1 ulp.
///
/// -inf at either zero, NaN below, inf at inf.
#[inline(always)]
pub fn ln<F: Fma>(x: f32) -> f32 {
    let subnormal = x < f32::MIN_POSITIVE;
    let scaled = if subnormal { x * 8_388_608.0 } else { x };
    let shift = if subnormal { -23.0 * 8_388_608.0 } else { 0.0 };
    let e = exponent(scaled);
    with_edges(ln_of_parts::<F>(e as i32 as f32 + shift, fraction(scaled, e)), x, 0.0)
}

/// `ln x` for a positive, finite, normal `x`, with the bits of [`ln`] in two thirds of the instructions.
#[inline(always)]
pub fn ln_normal<F: Fma>(x: f32) -> f32 {
    let e = exponent(x);
    ln_of_parts::<F>(e as i32 as f32, fraction(x, e))
}

/// `-ln x` for a positive, finite, normal `x`.
#[inline(always)]
pub(crate) fn minus_ln_normal<F: Fma>(x: f32) -> f32 {
    let e = exponent(x);
    minus_ln_of_parts::<F>(e as i32 as f32, fraction(x, e))
}

/// `-ln(whole - b)` with `whole` 0 or 1 and a normal difference; not affected by the rounding of the
/// difference.
#[inline(always)]
pub(crate) fn minus_ln_of_difference<F: Fma>(whole: f32, b: f32) -> f32 {
    let e = exponent(whole - b);
    let scale = f32::from_bits(ONE.wrapping_sub(e));
    minus_ln_of_parts::<F>(e as i32 as f32, F::scale_add(b, -scale, F::scale_add(whole, scale, -1.0)))
}

/// `ln(1 + x)` for -1 < x < 2^100.
#[inline(always)]
pub(crate) fn log1p_moderate<F: Fma>(x: f32) -> f32 {
    let e = exponent(1.0 + x);
    ln_of_parts::<F>(e as i32 as f32, fraction_of_one_plus::<F>(x, e))
}

/// `ln(1 + x)`, within 2 ulp.
///
/// -inf at -1, NaN below, inf at inf; 0 at either zero.
#[inline(always)]
pub fn log1p<F: Fma>(x: f32) -> f32 {
    let sum = 1.0 + x;
    let e = exponent(sum);
    // For large x the 1 does not matter, and 2^-e may be out of range.
    let f = if x < 1e9 { fraction_of_one_plus::<F>(x, e) } else { fraction(sum, e) };
    with_edges(ln_of_parts::<F>(e as i32 as f32, f), x, -1.0)
}

/// `ln(1 + e^x)`, within 2.5 ulp.
///
/// 0 at -inf, inf at inf; far below zero it has the accuracy of `e^x`, subnormal values included.
#[inline(always)]
pub fn softplus<F: Fma>(x: f32) -> f32 {
    let positive = if x < 0.0 { 0.0 } else { x };
    positive + log1p_moderate::<F>(exp_nonpositive::<F>(-x.abs()))
}

/// `weight * x`, or 0 where the weight is 0, even if x is infinite.
#[inline(always)]
pub(crate) fn weighted(weight: f32, x: f32) -> f32 {
    if weight == 0.0 { 0.0 } else { weight * x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hardware as H;

    const INF: f32 = f32::INFINITY;

    type Pair = (fn(f32) -> f32, fn(f64) -> f64);

    const PAIRS: [Pair; 7] = [
        (exp::<H>, f64::exp),
        (expm1::<H>, f64::exp_m1),
        (ln::<H>, f64::ln),
        (log1p::<H>, f64::ln_1p),
        (tanh::<H>, f64::tanh),
        (sigmoid::<H>, |x| 1.0 / (1.0 + (-x).exp())),
        (softplus::<H>, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
    ];

    #[test]
    fn values_are_close_to_f64() {
        for (ours, exact) in PAIRS {
            for step in -4000..4000 {
                let x = (step as f32 + 0.5) * 0.021_7;
                let (got, want) = (f64::from(ours(x)), exact(f64::from(x)));
                assert!(
                    got.is_nan() && want.is_nan() || (got - want).abs() <= 3e-7 * want.abs(),
                    "f({x}) = {got}"
                );
            }
        }
    }

    /// The error of `found` in units of the last place of the exact value.
    fn ulps(found: f32, exact: f64) -> f64 {
        let exponent = (exact.abs() as f32).max(f32::MIN_POSITIVE).log2().floor() as i32;
        (f64::from(found) - exact).abs() / 2f64.powi(exponent - 23)
    }

    #[test]
    fn a_sigmoid_and_its_rest_are_within_two_ulp() {
        for bits in (0..=u32::MAX).step_by(10_007) {
            let x = f32::from_bits(bits);
            let (y, rest) = sigmoid_and_rest::<H>(x);
            if x.is_nan() {
                assert!(y.is_nan() && rest.is_nan());
                continue;
            }
            let smaller = (-f64::from(x.abs())).exp() / (1.0 + (-f64::from(x.abs())).exp());
            let exact = if x < 0.0 { smaller } else { 1.0 - smaller };
            assert!(ulps(y, exact) <= 2.0, "sigmoid({x}) = {y}");
            assert!(ulps(rest.abs(), smaller) <= 2.0, "rest at {x}: {rest}");
            assert_eq!(rest.is_sign_positive(), x.is_sign_negative(), "sign at {x}");
        }
    }

    #[test]
    fn nan_stays_nan() {
        for (ours, _) in PAIRS {
            assert!(ours(f32::NAN).is_nan() && ours(-f32::NAN).is_nan());
        }
        assert!(exp_nonpositive::<H>(f32::NAN).is_nan());
    }

    #[test]
    fn exponentials_at_their_edges() {
        assert_eq!(
            [exp::<H>(-INF), exp::<H>(-104.0), exp::<H>(0.0), exp::<H>(88.73), exp::<H>(INF)],
            [0.0, 0.0, 1.0, INF, INF]
        );
        assert_eq!(exp::<H>(-103.0).to_bits(), 1, "the smallest subnormal");
        assert_eq!(
            [expm1::<H>(-INF), expm1::<H>(0.0), expm1::<H>(88.73), expm1::<H>(INF)],
            [-1.0, 0.0, INF, INF]
        );
        assert_eq!(expm1::<H>(f32::from_bits(1)).to_bits(), 1);
        assert_eq!([sigmoid::<H>(-INF), sigmoid::<H>(0.0), sigmoid::<H>(INF)], [0.0, 0.5, 1.0]);
        assert_eq!(sigmoid::<H>(-103.0).to_bits(), 1);
        assert_eq!([tanh::<H>(-INF), tanh::<H>(0.0), tanh::<H>(10.0), tanh::<H>(INF)], [-1.0, 0.0, 1.0, 1.0]);
        assert!(tanh::<H>(-0.0).is_sign_negative() && expm1::<H>(-0.0).is_sign_negative());
    }

    #[test]
    fn logarithms_at_their_edges() {
        assert_eq!([ln::<H>(0.0), ln::<H>(-0.0), ln::<H>(1.0), ln::<H>(INF)], [-INF, -INF, 0.0, INF]);
        assert!(ln::<H>(-f32::from_bits(1)).is_nan() && ln::<H>(-1.0).is_nan() && ln::<H>(-INF).is_nan());
        assert_eq!(ln::<H>(f32::from_bits(1)), -103.278_93);
        assert_eq!(
            [log1p::<H>(-1.0), log1p::<H>(0.0), log1p::<H>(-0.0), log1p::<H>(INF)],
            [-INF, 0.0, 0.0, INF]
        );
        assert!(log1p::<H>(-1.000_000_1).is_nan() && log1p::<H>(-INF).is_nan());
        assert_eq!([softplus::<H>(-INF), softplus::<H>(INF)], [0.0, INF]);
    }

    #[test]
    fn variants_for_part_of_the_domain_give_the_same_bits() {
        for step in 0..100_000u32 {
            let x = f32::from_bits(f32::MIN_POSITIVE.to_bits() + step * 20_000);
            assert_eq!(ln_normal::<H>(x).to_bits(), ln::<H>(x).to_bits());
            assert_eq!(minus_ln_normal::<H>(x), -ln::<H>(x));
            assert_eq!(exp_nonpositive::<H>(-x).to_bits(), exp::<H>(-x).to_bits());
        }
    }
}
