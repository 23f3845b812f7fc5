//! Tiles of a matrix product on CPUs without FMA hardware, with the same bits as on CPUs that have it.
//!
//! In `f64` the product of two `f32` values is exact. So a multiply-add is rounded twice, first to `f64` and
//! then to the digits of an `f32`. That is wrong only if the first rounding ended halfway between two `f32`
//! values. We compute a stretch of steps in this way and look for such sums. If we find one, which happens by
//! chance about once in a hundred million steps, we compute the stretch again with [`Fma::mul_add`].
//!
//! Sums of 0 and 1 times a number, as in samples and pixels, often end halfway, but those products need no
//! `f64` at all.

use crate::fma::{Fma, HALF, InF64, REST};
use crate::tile::{Factors, MOST_ROWS, Place, Tiles};

/// The number of steps in a stretch.
const STEPS: usize = 32;

// SAFETY: a tile writes only its own entries.
unsafe impl Tiles for InF64 {
    const LANES: usize = 8;
    const ROWS: usize = MOST_ROWS;
    unsafe fn tile(rows: usize, vectors: usize, by_rows: bool, factors: &Factors, place: &Place) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            match vectors {
                1 => tile::<8>(rows, by_rows, factors, place),
                _ => tile::<16>(rows, by_rows, factors, place),
            }
        }
    }
}

/// Computes a tile of N columns.
///
/// # Safety
/// The same as for [`Tiles::tile`].
unsafe fn tile<const N: usize>(rows: usize, by_rows: bool, factors: &Factors, place: &Place) {
    let &Factors { inner, a, a_stride, b, b_stride } = factors;
    let (row_stride, column_stride) = if by_rows { (a_stride, 1) } else { (1, a_stride) };
    let mut sums = [[0.0f32; N]; MOST_ROWS];
    let mut panel = Panel { rows: [[0.0; N]; STEPS], wide: [[0.0; N]; STEPS], sizes: Sizes::NONE };
    for start in (0..inner).step_by(STEPS) {
        let steps = STEPS.min(inner - start);
        for p in 0..steps {
            // SAFETY: guaranteed by the caller.
            panel.rows[p] = unsafe { b.add((start + p) * b_stride).cast::<[f32; N]>().read_unaligned() };
        }
        panel.prepare(steps);
        for (r, sums) in sums.iter_mut().enumerate().take(rows) {
            let mut entries = [0.0; STEPS];
            for (p, entry) in entries.iter_mut().enumerate().take(steps) {
                // SAFETY: guaranteed by the caller.
                *entry = unsafe { *a.add(r * row_stride + (start + p) * column_stride) };
            }
            panel.add_products(&entries, steps, sums);
        }
    }
    for (r, sums) in sums.iter().enumerate().take(rows) {
        for (j, sum) in sums.iter().enumerate() {
            // SAFETY: guaranteed by the caller.
            let c = unsafe { &mut *place.c.add(r * place.stride + j) };
            *c = if place.add { *c + sum } else { *sum };
        }
    }
}

/// The least and the greatest magnitude of some numbers. Each is kept as the bits of an `f32`, because the
/// compiler may compare integers in any order.
#[derive(Clone, Copy)]
struct Sizes {
    /// The least magnitude apart from 0, minus 1.
    least: i32,
    most: i32,
}

impl Sizes {
    const NONE: Sizes = Sizes { least: f32::MAX.to_bits() as i32, most: 0 };

    #[inline(always)]
    fn with(self, x: &[f32]) -> Sizes {
        x.iter().fold(self, |Sizes { least, most }, x| {
            let size = x.to_bits() as i32 & i32::MAX;
            // A 0 becomes the largest integer.
            Sizes { least: least.min(size.wrapping_sub(1) & i32::MAX), most: most.max(size) }
        })
    }

    /// Returns true if all numbers are 0, 1 or -1.
    fn are_bits(self) -> bool {
        const ONE: i32 = 1f32.to_bits() as i32;
        self.most <= ONE && self.least >= ONE - 1
    }

    /// Returns true if no sum becomes too large or too small to be [rounded twice](add_rounded_twice) while a
    /// stretch of products is added.
    fn fit(self, other: Sizes, sums: Sizes) -> bool {
        // The sums do not overflow, and none is infinite or NaN.
        const LARGE: i32 = ((1u64 << 59) as f32).to_bits() as i32;
        const LARGE_SUM: i32 = ((1u128 << 127) as f32).to_bits() as i32;
        let are_moderate = self.most < LARGE && other.most < LARGE && sums.most < LARGE_SUM;
        // All products are multiples of the smallest `f32`. So are their sums, and a subnormal sum has no
        // digits to round.
        let least = |sizes: Sizes| f32::from_bits(sizes.least as u32);
        are_moderate && least(self) * least(other) >= 1.0 / (1u128 << 100) as f32
    }
}

/// A stretch of rows of the second factor.
struct Panel<const N: usize> {
    rows: [[f32; N]; STEPS],
    wide: [[f64; N]; STEPS],
    sizes: Sizes,
}

impl<const N: usize> Panel<N> {
    /// Computes the other fields from the first `steps` rows.
    fn prepare(&mut self, steps: usize) {
        self.sizes = Sizes::NONE;
        for (wide, row) in self.wide.iter_mut().zip(&self.rows).take(steps) {
            *wide = row.map(f64::from);
            self.sizes = self.sizes.with(row);
        }
    }

    /// Adds the products with the entries of a row of the first factor. Entries beyond `steps` are 0.
    fn add_products(&self, entries: &[f32; STEPS], steps: usize, sums: &mut [f32; N]) {
        let sizes = Sizes::NONE.with(entries);
        if sizes.are_bits() {
            for (&entry, row) in entries.iter().zip(&self.rows[..steps]) {
                *sums = std::array::from_fn(|j| InF64::scale_add(row[j], entry, sums[j]));
            }
        } else if !self.sizes.fit(sizes, Sizes::NONE.with(sums))
            || !add_rounded_twice(&entries.map(f64::from), &self.wide[..steps], sums)
        {
            add_exactly(entries, &self.rows[..steps], sums);
        }
    }
}

/// Adds products, or returns false if a sum is halfway between two `f32` values.
#[inline(never)]
fn add_rounded_twice<const N: usize>(entries: &[f64], rows: &[[f64; N]], sums: &mut [f32; N]) -> bool {
    let mut wide = sums.map(f64::from);
    // Negative where a sum was halfway.
    let mut middles = [0i32; 8];
    for (entry, row) in entries.iter().zip(rows) {
        for j in 0..N {
            let bits = (entry * row[j] + wide[j]).to_bits() + HALF;
            middles[j % 8] |= (bits & REST) as i32 - 1;
            wide[j] = f64::from_bits(bits & !REST);
        }
    }
    let is_right = middles.iter().fold(0, |some, middle| some | middle) >= 0;
    if is_right {
        *sums = wide.map(|sum| sum as f32);
    }
    is_right
}

#[cold]
#[inline(never)]
fn add_exactly<const N: usize>(entries: &[f32], rows: &[[f32; N]], sums: &mut [f32; N]) {
    for (&entry, row) in entries.iter().zip(rows) {
        *sums = std::array::from_fn(|j| InF64::mul_add(entry, row[j], sums[j]));
    }
}
