//! Tiles of a matrix product: a few rows by two vectors of the result, kept in registers throughout the inner
//! dimension.
//!
//! Each entry is the sum of its products one after another, each multiplied and added with a single rounding.
//! So the bits are the same on every tier.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::fma::Hardware;

/// The largest number of rows in a tile, over all tiers.
pub(crate) const MOST_ROWS: usize = 14;

/// The largest number of columns in a tile, over all tiers.
pub(crate) const MOST_COLUMNS: usize = 32;

/// Number of rows in a strip that is transposed. Its length is a multiple of this.
pub(crate) const STRIP: usize = 8;

/// The tiles of an instruction set.
///
/// # Safety
/// A tile writes its entries to the place and nothing else.
pub(crate) unsafe trait Tiles {
    /// The number of columns in a vector.
    const LANES: usize;
    /// The most rows of a tile.
    const ROWS: usize;

    /// Computes a tile of at most [`Self::ROWS`] rows and one or two vectors.
    ///
    /// # Safety
    /// The CPU must have the instruction set. The factors must have `inner` columns and rows, and the place
    /// must have room for the tile.
    unsafe fn tile(rows: usize, vectors: usize, by_rows: bool, factors: &Factors, place: &Place);

    /// Transposes a strip of [`STRIP`] rows and `length` columns.
    ///
    /// # Safety
    /// The CPU must have the instruction set, and both must have room for the strip.
    unsafe fn transpose(length: usize, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for column in 0..length {
            for row in 0..STRIP {
                // SAFETY: guaranteed by the caller.
                unsafe { *to.add(column * to_stride + row) = *from.add(row * from_stride + column) };
            }
        }
    }
}

/// A vector register of a CPU that multiplies and adds with a single rounding.
///
/// # Safety
/// The CPU must have the instruction set of the vector. Pointers must be valid for what is read or written.
unsafe trait Vector: Copy {
    const LANES: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    /// self * b + c
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
}

/// The factors of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    pub(crate) inner: usize,
    pub(crate) a: *const f32,
    /// The distance between rows of `a` if the entries of a row are adjacent, else between its columns.
    pub(crate) a_stride: usize,
    pub(crate) b: *const f32,
    pub(crate) b_stride: usize,
}

/// The place of a tile in the result.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) c: *mut f32,
    pub(crate) stride: usize,
    /// True to add to the result, false to overwrite it.
    pub(crate) add: bool,
}

/// Invokes `what` for each of the first R rows. A loop would not always be unrolled, and the sums would then
/// be in memory.
macro_rules! for_each_row {
    ($rows:ident, $what:ident) => {
        for_each_row!($rows, $what, 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    ($rows:ident, $what:ident, $($row:literal)*) => {$(
        if $row < $rows {
            $what!($row);
        }
    )*};
}

/// Computes a tile of R rows and W vectors.
///
/// # Safety
/// The same as for [`Tiles::tile`].
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const W: usize, const BY_ROWS: bool>(
    factors: &Factors,
    place: &Place,
) {
    let &Factors { inner, a, a_stride, b, b_stride } = factors;
    // SAFETY: guaranteed by the caller.
    unsafe {
        // Two arrays and no loops over vectors, because each tile is compiled many times.
        let (mut left, mut right) = ([V::splat(0.0); MOST_ROWS], [V::splat(0.0); MOST_ROWS]);
        // An address at most two strides from a base needs no extra register.
        let mut bases = [a; MOST_ROWS.div_ceil(3)];
        for (i, base) in bases.iter_mut().enumerate() {
            *base = a.wrapping_add(3 * i * a_stride);
        }
        for p in 0..inner {
            let b = b.add(p * b_stride);
            let b_left = V::load(b);
            let b_right = if W == 2 { V::load(b.add(V::LANES)) } else { b_left };
            macro_rules! add_products {
                ($r:literal) => {
                    let from = if BY_ROWS {
                        bases[$r / 3].add($r % 3 * a_stride + p)
                    } else {
                        a.add(p * a_stride + $r)
                    };
                    let entry = V::splat(*from);
                    left[$r] = entry.mul_add(b_left, left[$r]);
                    if W == 2 {
                        right[$r] = entry.mul_add(b_right, right[$r]);
                    }
                };
            }
            for_each_row!(R, add_products);
        }
        macro_rules! write_row {
            ($r:literal) => {
                let c = place.c.add($r * place.stride);
                write(left[$r], c, place.add);
                if W == 2 {
                    write(right[$r], c.add(V::LANES), place.add);
                }
            };
        }
        for_each_row!(R, write_row);
    }
}

/// Writes a vector, or adds it to the result.
///
/// # Safety
/// The CPU must have the instruction set of V, and `c` must have room for a vector.
#[inline(always)]
unsafe fn write<V: Vector>(sum: V, c: *mut f32, add: bool) {
    // SAFETY: guaranteed by the caller.
    unsafe { if add { V::load(c).add(sum).store(c) } else { sum.store(c) } }
}

/// Implements [`Tiles`] with these vectors and numbers of rows.
macro_rules! tiles_of {
    ($(#[$features:meta])? $vector:ty, $most:literal: $($rows:literal)*) => {
        const LANES: usize = <$vector as Vector>::LANES;
        const ROWS: usize = $most;
        unsafe fn tile(rows: usize, vectors: usize, by_rows: bool, factors: &Factors, place: &Place) {
            $(#[$features])?
            unsafe fn of<const R: usize, const W: usize, const BY_ROWS: bool>(factors: &Factors, place: &Place) {
                // SAFETY: guaranteed by the caller.
                unsafe { tile::<$vector, R, W, BY_ROWS>(factors, place) }
            }
            let tile: unsafe fn(&Factors, &Place) = match (rows, vectors, by_rows) {
                $(
                    ($rows, 1, false) => of::<$rows, 1, false>,
                    ($rows, 1, true) => of::<$rows, 1, true>,
                    ($rows, 2, false) => of::<$rows, 2, false>,
                    ($rows, 2, true) => of::<$rows, 2, true>,
                )*
                _ => unreachable!("a tile of {rows} rows and {vectors} vectors"),
            };
            // SAFETY: guaranteed by the caller.
            unsafe { tile(factors, place) }
        }
    };
}

/// Four numbers, for any CPU with the instruction.
#[derive(Clone, Copy)]
struct Four([f32; 4]);

// SAFETY: no instruction set is needed.
unsafe impl Vector for Four {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Four([x; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: as for the trait.
        Four(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as for the trait.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Four(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Four(std::array::from_fn(|i| self.0[i].mul_add(b.0[i], c.0[i])))
    }
}

// SAFETY: a tile writes only its own entries.
unsafe impl Tiles for Hardware {
    tiles_of!(Four, 4: 1 2 3 4);
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86_vector {
    (
        $vector:ty, $lanes:literal, $features:literal, $most:literal: $($rows:literal)*,
        $splat:ident, $load:ident, $store:ident, $add:ident, $fma:ident
    ) => {
        // SAFETY: the methods are inlined into functions compiled for the instruction set.
        unsafe impl Vector for $vector {
            const LANES: usize = $lanes;
            #[inline(always)]
            unsafe fn splat(x: f32) -> Self {
                // SAFETY: as for the trait.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: as for the trait.
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: as for the trait.
                unsafe { $store(to, self) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: as for the trait.
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: as for the trait.
                unsafe { $fma(self, b, c) }
            }
        }

        // SAFETY: a tile writes only its own entries.
        unsafe impl Tiles for $vector {
            tiles_of!(#[target_feature(enable = $features)] $vector, $most: $($rows)*);
            unsafe fn transpose(
                length: usize,
                from: *const f32,
                from_stride: usize,
                to: *mut f32,
                to_stride: usize,
            ) {
                // SAFETY: as for the trait. Both instruction sets have AVX2.
                unsafe { transpose_in_registers(length, from, from_stride, to, to_stride) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86_vector!(
    __m512,
    16,
    "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma",
    14: 1 2 3 4 5 6 7 8 9 10 11 12 13 14,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_fmadd_ps
);
#[cfg(target_arch = "x86_64")]
x86_vector!(
    __m256,
    8,
    "avx2,fma",
    6: 1 2 3 4 5 6,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_fmadd_ps
);

/// Transposes a strip: see [`Tiles::transpose`]. Four columns go through the registers at a time.
///
/// # Safety
/// The CPU must have AVX2, and both must have room for the strip.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn transpose_in_registers(
    length: usize,
    from: *const f32,
    from_stride: usize,
    to: *mut f32,
    to_stride: usize,
) {
    for column in (0..length).step_by(4) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            // Four numbers of a row, and four of the row four below, in the halves of a register.
            let mut halves = [_mm256_setzero_ps(); 4];
            for (row, halves) in halves.iter_mut().enumerate() {
                let upper = _mm_loadu_ps(from.add(row * from_stride + column));
                let lower = _mm_loadu_ps(from.add((row + 4) * from_stride + column));
                *halves = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(upper), lower);
            }
            let [r0, r1, r2, r3] = halves;
            let a = _mm256_castps_pd(_mm256_unpacklo_ps(r0, r1));
            let b = _mm256_castps_pd(_mm256_unpacklo_ps(r2, r3));
            let c = _mm256_castps_pd(_mm256_unpackhi_ps(r0, r1));
            let d = _mm256_castps_pd(_mm256_unpackhi_ps(r2, r3));
            let columns = [
                _mm256_unpacklo_pd(a, b),
                _mm256_unpackhi_pd(a, b),
                _mm256_unpacklo_pd(c, d),
                _mm256_unpackhi_pd(c, d),
            ];
            for (i, entries) in columns.into_iter().enumerate() {
                _mm256_storeu_ps(to.add((column + i) * to_stride), _mm256_castpd_ps(entries));
            }
        }
    }
}
