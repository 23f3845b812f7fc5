//! The multiply-adds of the tiers, on numbers that are hard to round: a million cases in each test run, and 500
//! million with `--ignored`.

use reparam_ops::noise::mix;
use reparam_ops::{Tier, simd};

simd! {
    fn mul_adds<F>(a: &[f32], b: &[f32], c: &[f32], out: &mut [f32]) {
        for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
            *out = F::mul_add(a, b, c);
        }
    }
}

/// Numbers that depend only on a seed.
struct Numbers(u64);

impl Numbers {
    fn bits(&mut self) -> u32 {
        self.0 += 1;
        (mix(self.0) >> 32) as u32
    }

    fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.bits()) * u64::from(end)) >> 32) as u32
    }

    /// A number of either sign with an exponent in a range around `middle`, and at most `digits` binary digits.
    fn near(&mut self, middle: i32, range: u32, digits: u32) -> f32 {
        let exponent = middle + self.below(2 * range + 1) as i32 - range as i32;
        let significand = (1 << (digits - 1)) | (self.bits() >> (33 - digits));
        let sign = if self.bits() & 1 == 0 { 1.0 } else { -1.0 };
        (sign * f64::from(significand) * 2f64.powi(exponent + 1 - digits as i32)) as f32
    }

    fn special(&mut self) -> f32 {
        const SPECIAL: [f32; 10] = [
            0.0,
            1.0,
            f32::MIN_POSITIVE,
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
            f32::EPSILON,
            f32::from_bits(1),
            f32::from_bits(0x007f_ffff),
            f32::from_bits(0x3f7f_ffff),
        ];
        let x = SPECIAL[self.below(10) as usize];
        if self.bits() & 1 == 0 { x } else { -x }
    }

    /// A product, and a number that takes the sum as close as possible to the middle between two values.
    fn close_to_middle(&mut self, exponent: i32) -> [f32; 3] {
        let (a, b) = (self.near(exponent, 30, 24), self.near(0, 1, 24));
        let result = self.near(exponent, 30, 24);
        let middle = (f64::from(result) + f64::from(result.next_up())) / 2.0;
        let c = (middle - f64::from(a) * f64::from(b)) as f32;
        let steps = self.below(3);
        [a, b, if steps == 0 { c } else { f32::from_bits(c.to_bits().wrapping_add(steps).wrapping_sub(1)) }]
    }

    fn case(&mut self) -> [f32; 3] {
        match self.below(9) {
            0 => [0; 3].map(|_| f32::from_bits(self.bits())),
            1 => [0; 3].map(|_| self.near(0, 40, 24)),
            2 => [0; 3].map(|_| self.special()),
            // Few digits: exact ties.
            3 => [self.near(0, 12, 12), self.near(0, 12, 12), self.near(0, 12, 12)],
            // A product in the middle between two values, and a number that is small, or very small.
            4 => [self.near(0, 2, 13), self.near(0, 2, 12), self.near(-60, 60, 24)],
            5 => self.close_to_middle(0),
            // Subnormal results.
            6 => self.close_to_middle(-130),
            7 => [self.near(-75, 4, 24), self.near(-72, 4, 24), self.near(-148, 12, 24)],
            // Results around the largest number.
            _ => [self.near(63, 1, 24), self.near(64, 1, 24), self.near(127, 3, 24)],
        }
    }
}

/// Compares all tiers with `f32::mul_add` of single numbers.
fn check(seed: u64, cases: usize) {
    const BLOCK: usize = 4096;
    let mut numbers = Numbers(seed << 40);
    let mut columns = [(); 3].map(|()| vec![0.0f32; BLOCK]);
    let mut out = vec![0.0f32; BLOCK];
    for _ in 0..cases.div_ceil(BLOCK) {
        for i in 0..BLOCK {
            let case = numbers.case();
            columns.iter_mut().zip(case).for_each(|(column, x)| column[i] = x);
        }
        let [a, b, c] = &columns;
        for tier in Tier::available() {
            mul_adds(tier, a, b, c, &mut out);
            for (((&a, &b), &c), &found) in a.iter().zip(b).zip(c).zip(&out) {
                let expected = a.mul_add(b, c);
                let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
                assert!(same, "{a:e} {b:e} + {c:e} is {expected:e} and not {found:e} on {tier}");
            }
        }
    }
}

#[test]
fn every_tier_rounds_once() {
    check(0, 1_000_000);
}

#[test]
#[ignore = "500 million cases: minutes"]
fn every_tier_rounds_once_in_many_cases() {
    std::thread::scope(|scope| {
        for seed in 1..=10 {
            scope.spawn(move || check(seed, 50_000_000));
        }
    });
}
