//! What a draw means: the noise that one 32-bit draw of a generator stands for.

use crate::math;

/// 2^-32
const STEP: f32 = 1.0 / 4_294_967_296.0;

/// The draw mirrored into the lower half.
#[inline(always)]
fn folded(x: u32) -> u32 {
    let upper = ((x as i32) >> 31) as u32;
    x ^ upper
}

/// `(m + 1/2) 2^-32`
#[inline(always)]
fn midpoint(m: u32) -> f32 {
    (m as i32 as f32).mul_add(STEP, 0.5 * STEP)
}

/// `v`
#[inline(always)]
pub fn uniform(x: u32) -> f32 {
    let high = (x >> 8) as i32 as f32;
    let low = (x & 0xff) as i32 as f32;
    let v = high.mul_add(256.0 * STEP, low.mul_add(STEP, 0.5 * STEP));
    const LARGEST: f32 = 1.0 - f32::EPSILON / 2.0;
    if v > LARGEST { LARGEST } else { v }
}

/// `-ln(1 - v)`
#[inline(always)]
pub fn exponential(x: u32) -> f32 {
    let a = midpoint(folded(x));
    let w = if (x as i32) < 0 { a } else { 1.0 - a };
    math::neg_ln_one_minus(w, a)
}

/// `-ln(-ln(1 - v))`
#[inline(always)]
pub fn gumbel(x: u32) -> f32 {
    -math::ln_normal(exponential(x))
}

/// `ln v - ln(1 - v)`
#[inline(always)]
pub fn logistic(x: u32) -> f32 {
    let m = folded(x);
    let a = midpoint(m);
    let t = centred(m);
    with_sign_of_half(math::log1p_moderate(t / a), x)
}

/// `1 - 2 a`
#[inline(always)]
fn centred(m: u32) -> f32 {
    ((0x7fff_ffff - m) as i32 as f32).mul_add(2.0 * STEP, STEP)
}

/// `y` for draws in the upper half, `-y` in the lower.
#[inline(always)]
fn with_sign_of_half(y: f32, x: u32) -> f32 {
    f32::from_bits(y.to_bits() ^ (!x & 0x8000_0000))
}

/// Inverse normal CDF of v: placeholder.
#[inline(always)]
pub fn normal(x: u32) -> f32 {
    logistic(x) * 0.6
}
