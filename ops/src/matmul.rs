//! `matmul`: matrix products.
//!
//! We cut the result into blocks, one for each leaf of a team, and never cut the inner dimension. Each entry
//! adds up to 256 products one after another, then the sums of such runs, on every tier and at any number of
//! threads. The gradients of a product are products with a transposed factor: da += dc b' and db += a' dc.
//!
//! # Source
//! K. Goto, R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008: the levels of blocks,
//! and the packing of the second factor.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};
use std::ops::Range;

use crate::Tier;
use crate::fma;
use crate::matrix::{Matrix, Write};
use crate::scratch;
use crate::simd::LANES;
#[cfg(target_arch = "x86_64")]
use crate::simd::Set;
use crate::sums::add_in_stretches;
use crate::team;
use crate::tile::{Factors, MOST_COLUMNS, MOST_ROWS, Place, STRIP, Tiles};

/// Multiply-adds in the smallest leaf: a few microseconds of work.
const LEAF: usize = 1 << 17;

/// Leaves for each thread, so that the threads finish together even if one begins late.
const LEAVES_PER_THREAD: usize = 4;

/// Number of products that are added one after another.
const RUN: usize = 256;

/// Rows of the first factor that stay in the L2 cache while they are used.
const ROWS: usize = 36 * MOST_ROWS;

/// The number of stacked tiles from which packing the second factor pays off.
const WORTH_PACKING: usize = 3;

/// The length of a run and the number of tiles side by side from which packing a transposed first factor pays
/// off. Its columns may be so far apart that they share few places in the caches.
const WORTH_PACKING_FIRST: (usize, usize) = (128, 4);

/// The largest inner dimension whose runs are added in `f32`. For a longer one, we add the sums of the
/// stretches in `f64`.
const STRETCH: usize = 8192;

/// Computes c = a b or, with [`Write::Add`], c += a b. `c` is row-major.
///
/// # Precision
/// The error of an entry, relative to the sum of the absolute values of its terms, is below 5e-6 if the terms
/// are equal, even for an inner dimension of ten million. It is at most 2e-5 in any case, and far less for
/// terms of both signs.
///
/// # Panics
/// If the sizes do not match.
#[track_caller]
pub fn matmul(tier: Tier, a: Matrix<'_>, b: Matrix<'_>, write: Write, c: &mut [f32]) {
    assert_eq!(a.columns, b.rows, "the inner dimensions of a product must agree");
    assert_eq!(a.rows.checked_mul(b.columns), Some(c.len()), "c must be {} x {}", a.rows, b.columns);
    if c.is_empty() {
        return;
    }
    if a.columns <= STRETCH {
        return in_leaves(tier, a, b, write, c);
    }
    if write == Write::Replace {
        c.fill(0.0);
    }
    add_in_stretches(a.columns, STRETCH, c, |inner, c| {
        let (start, len) = (inner.start, inner.len());
        in_leaves(tier, a.column_range(start, len), b.row_range(start, len), Write::Add, c);
    });
}

/// A product whose blocks several threads compute.
struct Product<'a> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    write: Write,
    c: *mut f32,
}

// SAFETY: `c` stands for an exclusive borrow of the result, of which each block is computed once.
unsafe impl Sync for Product<'_> {}

/// Cuts the result by columns, so that each leaf packs different factors, and by rows if columns are too few.
fn in_leaves(tier: Tier, a: Matrix<'_>, b: Matrix<'_>, write: Write, c: &mut [f32]) {
    let (rows, columns) = (a.rows, b.columns);
    let product = Product { a, b, write, c: c.as_mut_ptr() };
    let work = rows * a.columns * columns;
    let threads = if work < 2 * LEAF { 1 } else { team::size() };
    if threads == 1 {
        return product.block(tier, 0..rows, 0..columns);
    }
    let leaves = (work / LEAF).min(LEAVES_PER_THREAD * threads).min(team::LEAVES);
    // Cuts are at whole cache lines.
    let vectors = columns.div_ceil(LANES);
    let across = leaves.min(vectors.div_ceil(2));
    let down = (leaves / across).min(rows / (2 * MOST_ROWS)).max(1);
    team::run(across * down, &|leaf| {
        let (i, j) = (leaf / across, leaf % across);
        let line = |j: usize| (vectors * j / across * LANES).min(columns);
        product.block(tier, rows * i / down..rows * (i + 1) / down, line(j)..line(j + 1));
    });
}

impl Product<'_> {
    /// Computes the block of the result in these rows and columns.
    fn block(&self, tier: Tier, rows: Range<usize>, columns: Range<usize>) {
        let run = RUN.min(self.a.columns);
        let packs_first = self.a.column_stride != 1
            && run >= WORTH_PACKING_FIRST.0
            && columns.len() >= WORTH_PACKING_FIRST.1 * MOST_COLUMNS;
        let first_factor = if packs_first { ROWS.min(rows.len()) * run } else { 0 };
        // Room for a tile, packed columns of b, and packed rows of a.
        let most = (MOST_ROWS + run) * MOST_COLUMNS + first_factor;
        scratch::with(most, |memory| match tier.set() {
            // SAFETY: a `Tier` exists only for instruction sets that were detected on this CPU.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { self.block_of::<__m512>(rows, columns, memory) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { self.block_of::<__m256>(rows, columns, memory) },
            // SAFETY: no instruction set is needed.
            _ => unsafe { self.block_of::<fma::Portable>(rows, columns, memory) },
        });
    }

    /// # Safety
    /// The CPU must have the instruction set of the tiles.
    unsafe fn block_of<T: Tiles>(&self, rows: Range<usize>, columns: Range<usize>, memory: &mut [f32]) {
        let width = 2 * T::LANES;
        let inner = self.a.columns;
        let (edge, memory) = memory.split_at_mut(MOST_ROWS * MOST_COLUMNS);
        let (panel, packed) = memory.split_at_mut(RUN.min(inner) * MOST_COLUMNS);
        for first in rows.clone().step_by(ROWS) {
            let rows = first..(first + ROWS).min(rows.end);
            // At least one run, because the sum of no products is 0.
            for start in (0..inner.max(1)).step_by(RUN) {
                let run = start..(start + RUN).min(inner);
                pack_first(self.a, rows.clone(), run.clone(), T::ROWS, packed);
                for first in columns.clone().step_by(width) {
                    let columns = first..(first + width).min(columns.end);
                    // SAFETY: guaranteed by the caller.
                    unsafe {
                        self.column_of_tiles::<T>(rows.clone(), run.clone(), columns, packed, panel, edge)
                    };
                }
            }
        }
    }

    /// Computes a column of tiles: the share of one run in some rows and at most two vectors.
    ///
    /// # Safety
    /// The CPU must have the instruction set of the tiles.
    unsafe fn column_of_tiles<T: Tiles>(
        &self,
        rows: Range<usize>,
        run: Range<usize>,
        columns: Range<usize>,
        packed: &[f32],
        panel: &mut [f32],
        edge: &mut [f32],
    ) {
        let Product { a, b, .. } = *self;
        let vectors = columns.len().div_ceil(T::LANES);
        let is_whole = columns.len() == vectors * T::LANES;
        let tiles = rows.len().div_ceil(T::ROWS);
        let by_rows = a.column_stride == 1;
        let (mut b_first, mut b_stride) = (b.place(run.start, 0), b.row_stride);
        if is_whole && tiles < WORTH_PACKING && b.column_stride == 1 {
            b_first = b_first.wrapping_add(columns.start);
        } else {
            b_stride = vectors * T::LANES;
            // SAFETY: guaranteed by the caller.
            unsafe { pack::<T>(b, run.clone(), columns.clone(), b_stride, panel) };
            b_first = panel.as_ptr();
        }
        let add = self.write == Write::Add || run.start > 0;
        for tile in 0..tiles {
            let (row, height) = tile_rows(&rows, tile, tiles);
            let mut factors = Factors {
                inner: run.len(),
                a: a.place(row, run.start),
                a_stride: if by_rows { a.row_stride } else { a.column_stride },
                b: b_first,
                b_stride,
            };
            if !packed.is_empty() {
                factors.a = packed[(row - rows.start) * run.len()..].as_ptr();
                factors.a_stride = height;
            }
            let c = self.c.wrapping_add(row * b.columns + columns.start);
            let place = Place { c, stride: b.columns, add };
            // A tile that ends in the middle of a vector is computed in `edge`, then copied.
            let aside = Place { c: edge.as_mut_ptr(), stride: b_stride, add: false };
            let target = if is_whole { place } else { aside };
            // SAFETY: rows, run and columns are in the matrices, and `edge` has room for the largest tile.
            unsafe {
                T::tile(height, vectors, by_rows, &factors, &target);
                if !is_whole {
                    copy_tile(edge, b_stride, height, columns.len(), &place);
                }
            }
        }
    }
}

/// Returns the first row of a tile and the number of its rows. Stacked tiles have about the same height.
fn tile_rows(rows: &Range<usize>, tile: usize, tiles: usize) -> (usize, usize) {
    let first = |tile: usize| rows.start + rows.len() * tile / tiles;
    (first(tile), first(tile + 1) - first(tile))
}

/// Copies the rows of each tile of a transposed factor, one column of the tile after another, unless `packed`
/// is empty.
fn pack_first(a: Matrix<'_>, rows: Range<usize>, run: Range<usize>, tile: usize, packed: &mut [f32]) {
    if packed.is_empty() {
        return;
    }
    let tiles = rows.len().div_ceil(tile);
    for tile in 0..tiles {
        let (row, height) = tile_rows(&rows, tile, tiles);
        let packed = &mut packed[(row - rows.start) * run.len()..][..height * run.len()];
        for (column, to) in run.clone().zip(packed.chunks_exact_mut(height)) {
            to.copy_from_slice(&a.data[row + column * a.column_stride..][..height]);
        }
    }
}

/// Writes the first columns of a tile to its place.
///
/// # Safety
/// The place must have room for `rows` and `columns`.
unsafe fn copy_tile(tile: &[f32], stride: usize, rows: usize, columns: usize, place: &Place) {
    for (r, sums) in tile.chunks_exact(stride).take(rows).enumerate() {
        // SAFETY: guaranteed by the caller.
        let c = unsafe { std::slice::from_raw_parts_mut(place.c.add(r * place.stride), columns) };
        for (c, sum) in c.iter_mut().zip(sums) {
            *c = if place.add { *c + sum } else { *sum };
        }
    }
}

/// Copies a run of rows of b, in some columns, to rows of `width` in a panel, with zeros where b lacks
/// columns.
///
/// # Safety
/// The CPU must have the instruction set of the tiles.
unsafe fn pack<T: Tiles>(
    b: Matrix<'_>,
    run: Range<usize>,
    columns: Range<usize>,
    width: usize,
    panel: &mut [f32],
) {
    let panel = &mut panel[..run.len() * width];
    if columns.len() < width {
        panel.fill(0.0);
    }
    if b.column_stride == 1 {
        for (row, to) in run.zip(panel.chunks_exact_mut(width)) {
            to[..columns.len()].copy_from_slice(&b.data[row * b.row_stride..][columns.clone()]);
        }
        return;
    }
    // The entries of a column of b are adjacent in memory, so we transpose whole strips, then the rest.
    let (length, across) = (run.len() / STRIP * STRIP, columns.len() / STRIP * STRIP);
    for j in (0..across).step_by(STRIP) {
        let from = b.place(run.start, columns.start + j);
        // SAFETY: the strip, which may be empty, is inside b and inside the panel.
        unsafe { T::transpose(length, from, b.column_stride, panel.as_mut_ptr().wrapping_add(j), width) };
    }
    for (p, to) in panel.chunks_exact_mut(width).enumerate() {
        let is_done = if p < length { across } else { 0 };
        for (j, to) in to.iter_mut().enumerate().take(columns.len()).skip(is_done) {
            *to = b.entry(run.start + p, columns.start + j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        (0..n as u32).map(|i| ((i.wrapping_mul(2_654_435_761) ^ seed) >> 8) as f32 / 1e7 - 0.8).collect()
    }

    fn plain(a: &[f32], b: &[f32], m: usize, k: usize, n: usize) -> Vec<f64> {
        let entry =
            |i: usize, j: usize| (0..k).map(|p| f64::from(a[i * k + p]) * f64::from(b[p * n + j])).sum();
        (0..m * n).map(|e| entry(e / n, e % n)).collect()
    }

    #[test]
    fn every_layout_and_edge_gives_the_product() {
        for (m, k, n) in [
            (1, 1, 1),
            (3, 5, 7),
            (16, 2, 1),
            (63, 2, 10),
            (64, 300, 64),
            (100, 33, 129),
            (2, 0, 3),
            (3, 8193, 5),
        ] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let expected = plain(&a, &b, m, k, n);
            let (mut at, mut bt) = (vec![0.0; m * k], vec![0.0; k * n]);
            crate::axis::transpose(m, k, &a, &mut at);
            crate::axis::transpose(k, n, &b, &mut bt);
            let (a, at) = (Matrix::new(&a, m, k), Matrix::new(&at, k, m).t());
            let (b, bt) = (Matrix::new(&b, k, n), Matrix::new(&bt, n, k).t());
            for (a, b) in [(a, b), (at, b), (a, bt), (at, bt)] {
                for (write, before) in [(Write::Add, 1.0), (Write::Replace, 0.0)] {
                    let mut c = vec![1.0; m * n];
                    matmul(Tier::best(), a, b, write, &mut c);
                    for (c, e) in c.iter().zip(&expected) {
                        assert!((f64::from(*c) - before - e).abs() < 1e-4, "{m} {k} {n} {write:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn thread_counts_do_not_change_a_bit() {
        for (m, k, n) in
            [(100, 784, 512), (784, 100, 512), (200, 257, 301), (97, 5000, 131), (33, 20_000, 40)]
        {
            let (a, b) = (numbers(m * k, 3), numbers(k * n, 4));
            let product = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut c = vec![0.5; m * n];
                pool.install(|| {
                    matmul(Tier::best(), Matrix::new(&a, m, k), Matrix::new(&b, k, n), Write::Add, &mut c)
                });
                c
            };
            let one = product(1);
            for threads in [2, 3, 8] {
                assert!(product(threads) == one, "{m} {k} {n} on {threads} threads");
            }
        }
    }

    #[test]
    fn every_tier_has_the_bits_of_matrixmultiply() {
        let has_fma = Tier::available().len() > 1;
        for (m, k, n) in [
            (1, 1, 1),
            (32, 2, 16),
            (5, 33, 17),
            (7, 3, 40),
            (2, 0, 3),
            (2, 700, 16),
            (100, 784, 200),
            (784, 100, 31),
        ] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            for (a, b) in [
                (Matrix::new(&a, m, k), Matrix::new(&b, k, n)),
                (Matrix::new(&a, k, m).t(), Matrix::new(&b, n, k).t()),
            ] {
                for write in [Write::Add, Write::Replace] {
                    let mut expected = numbers(m * n, 3);
                    reference(a, b, write, &mut expected);
                    for tier in Tier::available() {
                        let mut c = numbers(m * n, 3);
                        matmul(tier, a, b, write, &mut c);
                        // Without fused multiply-add, `matrixmultiply` rounds twice.
                        let close = c.iter().zip(&expected).all(|(c, e)| (c - e).abs() < 1e-4);
                        assert!(if has_fma { c == expected } else { close }, "{m} {k} {n} {tier}");
                    }
                }
            }
        }
    }

    fn reference(a: Matrix<'_>, b: Matrix<'_>, write: Write, c: &mut [f32]) {
        let strides = |m: Matrix<'_>| (m.row_stride as isize, m.column_stride as isize);
        let ((a_row, a_column), (b_row, b_column)) = (strides(a), strides(b));
        let beta = if write == Write::Add { 1.0 } else { 0.0 };
        let (m, k, n) = (a.rows, a.columns, b.columns);
        let (a, b) = (a.data.as_ptr(), b.data.as_ptr());
        // SAFETY: the matrices lie inside their slices.
        unsafe {
            matrixmultiply::sgemm(
                m,
                k,
                n,
                1.0,
                a,
                a_row,
                a_column,
                b,
                b_row,
                b_column,
                beta,
                c.as_mut_ptr(),
                n as isize,
                1,
            );
        }
    }
}
