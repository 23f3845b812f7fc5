//! Elementary functions on `f32`: branch-free scalar code that a loop inside [`simd!`](crate::simd) vectorises.
//!
//! There are no tables, no calls and no float-to-integer casts, only IEEE additions, multiplications, fused
//! multiply-adds, divisions, selects and integer operations on the bits. So every tier gives the same bits, and
//! a value does not depend on whether it sat in a full vector or in a loop's tail.
//!
//! "ulp" in the error bounds is the distance between the neighbours of the exact result in `f32` (2^-149 where
//! that is subnormal). Each bound was measured over all 2^32 inputs against `f64`;
//! `tests/math_exhaustive.rs` repeats that.
//!
//! The polynomials are minimax fits made for this crate (Remez exchange; each coefficient in turn rounded to `f32`
//! and the later ones refitted).

/// `c[0] + c[1] x + c[2] x^2 + ...`
#[inline(always)]
pub(crate) fn polynomial<const N: usize>(x: f32, c: [f32; N]) -> f32 {
    let mut sum = c[N - 1];
    let mut k = N - 1;
    while k > 0 {
        k -= 1;
        sum = sum.mul_add(x, c[k]);
    }
    sum
}

/// The smaller one, or `x` if it is NaN: `f32::min` would drop the NaN and take more instructions.
#[inline(always)]
fn at_most(x: f32, limit: f32) -> f32 {
    if x > limit { limit } else { x }
}

/// The larger one, or `x` if it is NaN.
#[inline(always)]
fn at_least(x: f32, limit: f32) -> f32 {
    if x < limit { limit } else { x }
}

// ---------------------------------------------------------------------------------------------- exponentials

/// Added to a float below 2^22 in size, this leaves the nearest integer in the low bits of the mantissa.
const ROUNDER: f32 = 12_582_912.0; // 1.5 * 2^23

/// ln 2 in two parts. The first has 15 bits, so that `x - n LN2_HIGH` is exact for the `n` nearest to `x / ln 2`.
const LN2_HIGH: f32 = 0.693_145_75;
const LN2_LOW: f32 = 1.428_606_8e-6;

/// `(e^r - 1 - r) / r^2` on |r| <= ln 2 / 2: minimax for the relative error of `e^r`, 2^-28.
const EXP: [f32; 5] = [0.499_999_94, 0.166_665_17, 0.041_668_102, 0.008_369_165_5, 0.001_383_800_3];

/// Writes `x = n ln 2 + r` with integer `n` and |r| <= ln 2 / 2; returns `n + bias` as low bits, and `r`.
///
/// The bias is an even number, which keeps the rounding of ties and hence `r` the same for every bias.
#[inline(always)]
fn split_exponent(x: f32, bias: f32) -> (u32, f32) {
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUNDER + bias);
    let n = shifted - (ROUNDER + bias);
    (shifted.to_bits(), n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x)))
}

/// `e^r` for |r| <= ln 2 / 2.
#[inline(always)]
fn exp_of_remainder(r: f32) -> f32 {
    polynomial(r, EXP).mul_add(r, 1.0).mul_add(r, 1.0)
}

/// `e^x`
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Beyond these limits the result is 0 or infinity anyway.
    let (bits, r) = split_exponent(at_least(at_most(x, 89.0), -104.0), 254.0);
    // 2^n itself may be out of range: n = -150 .. 128. So two powers, of about n / 2 each; the product with the
    // first is exact, so that a subnormal result is rounded only once.
    let first = (bits >> 1) << 23;
    let second = (bits << 23).wrapping_sub(first);
    exp_of_remainder(r) * f32::from_bits(first) * f32::from_bits(second)
}

/// `e^x` for `x <= 0` or NaN: the same bits as [`exp`] with five instructions less.
#[inline(always)]
pub fn exp_nonpositive(x: f32) -> f32 {
    // n = -150 .. 0: 2^(n + 64) is in range, and the last product rounds only if the result is subnormal.
    let (bits, r) = split_exponent(at_least(x, -104.0), 191.0 - 1.0);
    exp_of_remainder(r) * f32::from_bits(bits << 23) * f32::from_bits((127 - 63) << 23)
}

/// `(e^x - 1) / 2` for -104 <= x <= 89.
#[inline(always)]
fn half_expm1(x: f32) -> f32 {
    // The bias makes the low bits the exponent field of 2^(n - 1), in range for n = 128 too.
    let (bits, r) = split_exponent(x, 126.0);
    let half = f32::from_bits(bits << 23);
    // 2^(n-1) (1 + r) - 1/2 first: where the two cancel, the subtraction in the brackets is exact.
    polynomial(r, EXPM1).mul_add(half * (r * r), half.mul_add(r, half - 0.5))
}

/// `(e^r - 1 - r) / r^2` on |r| <= ln 2 / 2: minimax for the relative error of `e^r - 1`, 2^-26.
const EXPM1: [f32; 5] = [0.499_999_97, 0.166_665_39, 0.041_667_748, 0.008_367_088, 0.001_383_786_2];

/// `e^x - 1`
#[inline(always)]
pub fn expm1(x: f32) -> f32 {
    let y = 2.0 * half_expm1(at_least(at_most(x, 89.0), -20.0));
    // Halving a subnormal would lose its last bit (and -0 its sign).
    if x.abs() < 1e-8 { x } else { y }
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    // From e^-|x| neither side overflows.
    let e = exp_nonpositive(-x.abs());
    let numerator = if x < 0.0 { e } else { 1.0 };
    numerator / (1.0 + e)
}

/// `(e^x - e^-x) / (e^x + e^-x)`
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    // tanh |x| = h / (h + 1) with h = (e^(2|x|) - 1) / 2; it is 1 to the last bit from |x| = 9.02 on.
    let h = half_expm1(2.0 * at_most(x.abs(), 10.0));
    (h / (h + 1.0)).copysign(x)
}

// ------------------------------------------------------------------------------------------------ logarithms

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

/// The bits of 2/3: mantissas are taken from [2/3, 4/3), where the series about 1 converges best.
const TWO_THIRDS: u32 = 0x3f2a_aaab;

/// The bits of 1.
const ONE: u32 = 0x3f80_0000;

/// `u = 2^e m` with `m` in [2/3, 4/3): returns `e` where a float has its exponent (`e << 23`).
#[inline(always)]
fn exponent(u: f32) -> u32 {
    u.to_bits().wrapping_sub(TWO_THIRDS) & 0xff80_0000
}

/// `u 2^-e`, for `e` as [`exponent`] gives it.
#[inline(always)]
fn mantissa(u: f32, exponent: u32) -> f32 {
    f32::from_bits(u.to_bits().wrapping_sub(exponent))
}

/// `ln(2^e (1 + f))` for |f| <= 1/3 and `e` as a multiple of 2^23.
#[inline(always)]
fn ln_of_parts(exponent: f32, f: f32) -> f32 {
    // The product with ln 2 is not rounded, and ln 2 as an f32 is right to 2^-28: no second part is needed.
    const LN2: f32 = std::f32::consts::LN_2 / 8_388_608.0;
    exponent.mul_add(LN2, polynomial(f, LN).mul_add(f * f, f))
}

/// `ln x` for positive, finite, normal `x`: the same bits as [`ln`] with less work.
#[inline(always)]
pub fn ln_normal(x: f32) -> f32 {
    let e = exponent(x);
    ln_of_parts(e as i32 as f32, mantissa(x, e) - 1.0)
}

/// `ln x`
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let subnormal = x < f32::MIN_POSITIVE;
    let scaled = if subnormal { x * 8_388_608.0 } else { x };
    let shift = if subnormal { -23.0 * 8_388_608.0 } else { 0.0 };
    let e = exponent(scaled);
    let y = ln_of_parts(e as i32 as f32 + shift, mantissa(scaled, e) - 1.0);
    with_edges(y, x, 0.0)
}

/// `y`, but what a logarithm is at its edges: infinity and NaN stay, `pole` gives -inf, and less gives NaN.
#[inline(always)]
fn with_edges(y: f32, x: f32, pole: f32) -> f32 {
    let y = if x < f32::INFINITY { y } else { x };
    let at_pole = if x == pole { f32::NEG_INFINITY } else { f32::NAN };
    if x <= pole { at_pole } else { y }
}

/// `ln(1 + x)` for -1 < x < 2^60.
#[inline(always)]
pub(crate) fn log1p_moderate(x: f32) -> f32 {
    let e = exponent(1.0 + x);
    let scale = f32::from_bits(ONE.wrapping_sub(e));
    // f = 2^-e (1 + x) - 1 without the rounding of 1 + x: for e = 0 it is x.
    ln_of_parts(e as i32 as f32, x.mul_add(scale, scale - 1.0))
}

/// `ln(1 + x)`
#[inline(always)]
pub fn log1p(x: f32) -> f32 {
    let u = 1.0 + x;
    let e = exponent(u);
    let scale = f32::from_bits(ONE.wrapping_sub(e));
    let near = x.mul_add(scale, scale - 1.0);
    // For large x the 1 does not matter, and 2^-e may be out of range.
    let f = if x < 1e9 { near } else { mantissa(u, e) - 1.0 };
    with_edges(ln_of_parts(e as i32 as f32, f), x, -1.0)
}

/// `ln(1 + e^x)`
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    let positive = if x < 0.0 { 0.0 } else { x };
    positive + log1p_moderate(exp_nonpositive(-x.abs()))
}

/// `-ln(w)` where `w = 1 - a`
#[inline(always)]
pub(crate) fn neg_ln_one_minus(w: f32, a: f32) -> f32 {
    let e = exponent(w);
    let f = if e == 0 { -a } else { mantissa(w, e) - 1.0 };
    -ln_of_parts(e as i32 as f32, f)
}
