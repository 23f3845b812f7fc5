//! Matrix products of a few thousand multiply-adds, for which `matrixmultiply` would spend more time on
//! packing the factors than on the product.
//!
//! Each entry is summed with fused multiply-adds in the order of `matrixmultiply`, which is up to 256
//! products one after another, then the sums of such runs. On machines with fused multiply-add both give the
//! same bits.

use std::ops::Range;

use crate::Tier;
use crate::fma::Fma;
use crate::matrix::{Matrix, Write};
use crate::scratch;
use crate::simd::LANES;

/// The largest number of multiply-adds for which this is the faster way. The empty lanes of a last vector
/// count.
const WORK: usize = 1 << 15;

/// Number of products that are added one after another, as in `matrixmultiply`.
const RUN: usize = 256;

/// Number of rows of the result that we compute side by side.
const ROWS: usize = 4;

/// Returns true if a product is small enough.
pub(crate) fn pays(a: Matrix<'_>, b: Matrix<'_>) -> bool {
    a.rows * a.columns * b.columns.next_multiple_of(LANES) <= WORK
}

/// Computes c = a b, or c += a b.
pub(crate) fn matmul(tier: Tier, a: Matrix<'_>, b: Matrix<'_>, write: Write, c: &mut [f32]) {
    let mut write = write;
    // The loop runs at least once, because the sum of no products is 0.
    for start in (0..b.rows.max(1)).step_by(RUN) {
        let run = RUN.min(b.rows - start);
        let (a, b) = (a.column_range(start, run), b.row_range(start, run));
        scratch::with(run * LANES, |strip| product(tier, a, b, write, strip, c));
        write = Write::Add;
    }
}

crate::simd! {
    fn product<F>(a: Matrix<'_>, b: Matrix<'_>, write: Write, strip: &mut [f32], c: &mut [f32]) {
        let (strip, _) = strip.as_chunks_mut::<LANES>();
        for from in (0..b.columns).step_by(LANES) {
            let columns = from..(from + LANES).min(b.columns);
            fill(strip, b, columns.clone());
            for (i, c) in c.chunks_mut(ROWS * b.columns).enumerate() {
                let sums = four_rows::<F>(a, ROWS * i, strip);
                for (sums, c) in sums.iter().zip(c.chunks_exact_mut(b.columns)) {
                    store(sums, write, &mut c[columns.clone()]);
                }
            }
        }
    }
}

/// Writes the entries of each row of `b` in `columns`, at most sixteen, to a vector of `strip`.
#[inline(always)]
fn fill(strip: &mut [[f32; LANES]], b: Matrix<'_>, columns: Range<usize>) {
    for (p, vector) in strip.iter_mut().enumerate() {
        let row = b.row(p).map(|row| &row[columns.clone()]);
        if let Some(Ok(whole)) = row.map(<[f32; LANES]>::try_from) {
            *vector = whole;
            continue;
        }
        *vector = [0.0; LANES];
        for (entry, column) in vector.iter_mut().zip(columns.clone()) {
            *entry = b.entry(p, column);
        }
    }
}

/// Returns the vectors of the result in four rows from row `first` on. After the last row, it repeats the
/// last row.
#[inline(always)]
fn four_rows<F: Fma>(a: Matrix<'_>, first: usize, strip: &[[f32; LANES]]) -> [[f32; LANES]; ROWS] {
    let row = |r: usize| (first + r).min(a.rows - 1);
    // Four variables and not an array, which the compiler would keep in memory.
    let (mut s0, mut s1, mut s2, mut s3) = ([0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for (p, vector) in strip.iter().enumerate() {
        let (a0, a1) = (a.entry(row(0), p), a.entry(row(1), p));
        let (a2, a3) = (a.entry(row(2), p), a.entry(row(3), p));
        for lane in 0..LANES {
            s0[lane] = F::mul_add(a0, vector[lane], s0[lane]);
            s1[lane] = F::mul_add(a1, vector[lane], s1[lane]);
            s2[lane] = F::mul_add(a2, vector[lane], s2[lane]);
            s3[lane] = F::mul_add(a3, vector[lane], s3[lane]);
        }
    }
    [s0, s1, s2, s3]
}

/// Writes one vector of the result, or adds it.
#[inline(always)]
fn store(sums: &[f32; LANES], write: Write, c: &mut [f32]) {
    let mut sums = *sums;
    if write == Write::Add {
        for (sum, c) in sums.iter_mut().zip(&*c) {
            *sum += c;
        }
    }
    match <&mut [f32; LANES]>::try_from(&mut *c) {
        Ok(c) => *c = sums,
        Err(_) => c.copy_from_slice(&sums[..c.len()]),
    }
}
