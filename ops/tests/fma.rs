//! Multiply-adds and matrix products of all tiers on numbers that are hard to round: a million cases in each
//! test run, and 500 million with `--ignored`.

use reparam_ops::matmul::matmul;
use reparam_ops::noise::mix;
use reparam_ops::{Matrix, Tier, Write, simd};

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

    /// A number of either sign, with an exponent in a range around `middle` and at most `digits` bits.
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

    /// Two factors and a summand that take the sum as close as possible to halfway between two values.
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
            // A product halfway between two values, and a summand that is small or very small.
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

fn is_same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
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
                assert!(
                    is_same(found, expected),
                    "{a:e} {b:e} + {c:e} is {expected:e} and not {found:e} on {tier}"
                );
            }
        }
    }
}

#[test]
fn every_tier_rounds_once() {
    check(0, 1_000_000);
}

/// Compares the product on all tiers with multiply-adds of single numbers.
fn check_product([m, k, n]: [usize; 3], a: &[f32], b: &[f32]) {
    let mut expected = vec![0.0f32; m * n];
    for (i, sums) in expected.chunks_exact_mut(n).enumerate() {
        for (&entry, row) in a[i * k..][..k].iter().zip(b.chunks_exact(n)) {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum = entry.mul_add(x, *sum));
        }
    }
    for tier in Tier::available() {
        let mut c = vec![0.0f32; m * n];
        matmul(tier, Matrix::new(a, m, k), Matrix::new(b, k, n), Write::Replace, &mut c);
        for (e, (&found, &expected)) in c.iter().zip(&expected).enumerate() {
            let (i, j) = (e / n, e % n);
            assert!(is_same(found, expected), "entry {i}, {j} is {expected:e} and not {found:e} on {tier}");
        }
    }
}

#[test]
fn every_tier_rounds_once_in_products() {
    // Entry t, t of the product is a multiply-add that is hard to round, with zeros around it.
    const CASES: usize = 24;
    let mut numbers = Numbers(1 << 50);
    for round in 0..400 {
        let mut a = vec![0.0; CASES * 2 * CASES];
        let mut b: Vec<f32> = (0..2 * CASES * CASES).map(|_| numbers.near(0, 3, 24)).collect();
        for t in 0..CASES {
            // Extreme numbers only in every fourth round, because one would decide how all others are
            // computed.
            let [x, y, z] = match (round % 4, numbers.below(3)) {
                (0, _) => numbers.case(),
                (_, 0) => [numbers.near(0, 2, 13), numbers.near(0, 2, 12), numbers.near(-40, 20, 24)],
                (_, 1) => [numbers.near(0, 12, 12), numbers.near(0, 12, 12), numbers.near(0, 12, 12)],
                _ => numbers.close_to_middle(0),
            };
            (a[t * 2 * CASES + 2 * t], b[2 * t * CASES + t]) = (1.0, z);
            (a[t * 2 * CASES + 2 * t + 1], b[(2 * t + 1) * CASES + t]) = (x, y);
        }
        check_product([CASES, 2 * CASES, CASES], &a, &b);
    }
}

#[test]
fn every_tier_rounds_once_in_products_of_bits_and_of_numbers_of_any_size() {
    let mut numbers = Numbers(1 << 51);
    let shape = [5, 70, 27];
    let [m, k, n] = shape;
    for exponent in [-140, -100, -62, -50, -40, 0, 30, 60, 100] {
        let b: Vec<f32> = (0..k * n).map(|_| numbers.near(exponent, 8, 24)).collect();
        let mut check = |entry: fn(&mut Numbers) -> f32| {
            let a: Vec<f32> = (0..m * k).map(|_| entry(&mut numbers)).collect();
            check_product(shape, &a, &b);
        };
        check(|_| 0.0);
        check(|numbers| numbers.below(2) as f32);
        check(|numbers| numbers.below(3) as f32 - 1.0);
        check(|numbers| numbers.below(4) as f32);
        check(|numbers| numbers.below(256) as f32);
        check(|numbers| numbers.near(0, 3, 24));
        check(|numbers| numbers.near(-60, 20, 24));
        check(|numbers| numbers.near(62, 4, 24));
        check(|numbers| if numbers.below(40) == 0 { numbers.special() } else { numbers.near(0, 3, 24) });
    }
}

#[test]
fn a_sum_that_overflows_stays_infinite_on_every_tier() {
    // The first product is the largest number. Much later the sum leaves the range, and products return it.
    let (mut a, b) = ([0.0; 64], [2f32.powi(58); 64]);
    (a[0], a[32], a[33], a[34]) = (f32::MAX / b[0], 2e16, -2e16, -2e16);
    check_product([1, 64, 1], &a, &b);
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
