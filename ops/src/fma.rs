//! `a b + c` with a single rounding, by one instruction or in `f64` arithmetic where the hardware lacks it.
//!
//! The functions of a kernel take an [`Fma`] as a type parameter, and [`simd!`](macro@crate::simd) fills it
//! in for each tier: [`Hardware`] where the tier has the instruction, and [`InF64`] in the portable tier,
//! unless the compiler's target has the instruction anyway. Without the instruction, `f32::mul_add` would
//! call a library function for each number. All tiers give the same bits.

/// A way to multiply and add with a single rounding.
pub trait Fma {
    /// Returns `a b + c`, rounded once, for any numbers.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;

    /// Returns `a b + c`, rounded once, if the sum is not close to halfway between two `f32` values. This
    /// costs a third of [`mul_add`](Self::mul_add) in `f64`.
    ///
    /// "Close" means within 2^-53 of the sum, so about one result in a billion is in doubt. Use this in
    /// functions of a single number, where we can compare the tiers on all 2^32 inputs.
    fn step(a: f32, b: f32, c: f32) -> f32;

    /// Returns `a scale + c`, rounded once, if `a scale` is exact in `f32`. Most scales are powers of 2.
    fn scale_add(a: f32, scale: f32, c: f32) -> f32;

    /// Returns `c[0] + c[1] x + c[2] x^2 + ...` for two or more coefficients, one [`step`](Self::step) after
    /// another. Every step but the last may also round differently if its sum is exactly halfway between two
    /// `f32` values.
    #[inline(always)]
    fn polynomial<const N: usize>(x: f32, c: [f32; N]) -> f32 {
        let mut sum = c[N - 1];
        let mut k = N - 1;
        while k > 0 {
            k -= 1;
            sum = Self::step(sum, x, c[k]);
        }
        sum
    }
}

/// The hardware's instruction.
#[derive(Clone, Copy, Debug)]
pub struct Hardware;

impl Fma for Hardware {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn step(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn scale_add(a: f32, scale: f32, c: f32) -> f32 {
        a.mul_add(scale, c)
    }
}

/// The binary digits of an `f64` that an `f32` lacks.
pub(crate) const REST: u64 = (1 << 29) - 1;

/// Half the last place of an `f32`, in the bits of an `f64`. Adding it and clearing the [`REST`] rounds a
/// number to an `f32`, with ties away from 0.
pub(crate) const HALF: u64 = 1 << 28;

/// Arithmetic in `f64`, where the product of two `f32` values is exact.
#[derive(Clone, Copy, Debug)]
pub struct InF64;

impl Fma for InF64 {
    /// # Source
    /// S. Boldo, G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using
    /// rounding to odd", IEEE Transactions on Computers 57, 2008.
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
        let sum = product + c;
        // One term is what the sum lost, and the other is 0 or has the same sign. We need only the sign.
        let lost = (product - (sum - c)) + (c - (sum - product));
        // The second rounding would be wrong if the first one ended exactly halfway between two `f32` values.
        // So we round to odd. Where the sum lost something, we take the odd one of the exact sum's two
        // neighbours, which is never halfway. If the sum is infinite, `lost` is NaN.
        let inexact = u64::from(lost.abs() > 0.0);
        let away_from_zero = (lost.to_bits() ^ sum.to_bits()) >> 63;
        let below = sum.to_bits() - (away_from_zero & inexact);
        f64::from_bits(below | inexact) as f32
    }

    #[inline(always)]
    fn step(a: f32, b: f32, c: f32) -> f32 {
        (f64::from(a) * f64::from(b) + f64::from(c)) as f32
    }

    #[inline(always)]
    fn scale_add(a: f32, scale: f32, c: f32) -> f32 {
        a * scale + c
    }

    /// The sums stay in `f64`, because the conversions would take as long as the arithmetic.
    #[inline(always)]
    fn polynomial<const N: usize>(x: f32, c: [f32; N]) -> f32 {
        const { assert!(N > 1) };
        let x = f64::from(x);
        let mut sum = f64::from(c[N - 1]);
        let mut k = N - 1;
        while k > 1 {
            k -= 1;
            sum = f64::from_bits(((sum * x + f64::from(c[k])).to_bits() + HALF) & !REST);
        }
        (sum * x + f64::from(c[0])) as f32
    }
}

/// The arithmetic of the portable tier.
#[cfg(any(target_feature = "fma", target_arch = "aarch64"))]
pub type Portable = Hardware;
/// The arithmetic of the portable tier.
#[cfg(not(any(target_feature = "fma", target_arch = "aarch64")))]
pub type Portable = InF64;
