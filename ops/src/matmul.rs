//! `matmul`: matrix products. Small products are computed in `small_matmul`, the others by `matrixmultiply`.
//!
//! We split a product over threads by rows or columns of the result, and not along the inner dimension. So each
//! entry is summed in the same order at any number of threads. The gradients of a product are products
//! with a transposed factor: da += dc b' and db += a' dc.

use crate::Tier;
use crate::matrix::{Matrix, Write};
use crate::small_matmul;
use crate::sums::add_in_stretches;

/// Multiply-adds below which a product stays on one thread: a few tens of microseconds of work.
const SERIAL_WORK: usize = 1 << 20;

/// The largest inner dimension that we pass to `matrixmultiply`, which adds 256 products one after another,
/// then the sums of such runs. For a longer inner dimension, we add the sums of the stretches in `f64`.
const STRETCH: usize = 8192;

/// Computes c = a b or, with [`Write::Add`], c += a b. `c` is row-major.
///
/// Unless the product is small, `matrixmultiply` allocates one packing buffer per piece.
///
/// # Precision
/// The error of an entry, relative to the sum of the absolute values of its terms, is below 5e-6 if the terms
/// are equal, even for an inner dimension of ten million. It is at most 2e-5 in any case, and far less for
/// terms of both signs.
///
/// # Panics
/// If the sizes do not fit.
#[track_caller]
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, write: Write, c: &mut [f32]) {
    assert_eq!(a.columns, b.rows, "the inner dimensions of a product must agree");
    assert_eq!(a.rows.checked_mul(b.columns), Some(c.len()), "the product is {} x {}", a.rows, b.columns);
    if c.is_empty() {
        return;
    }
    if small_matmul::pays(a, b) {
        return small_matmul::matmul(Tier::best(), a, b, write, c);
    }
    if a.columns <= STRETCH {
        return large(a, b, write, c);
    }
    if write == Write::Replace {
        c.fill(0.0);
    }
    add_in_stretches(a.columns, STRETCH, c, |inner, c| {
        let (start, len) = (inner.start, inner.len());
        large(a.column_range(start, len), b.row_range(start, len), Write::Add, c);
    });
}

/// [`matmul`] through `matrixmultiply`, the faster way for large products.
fn large(a: Matrix<'_>, b: Matrix<'_>, write: Write, c: &mut [f32]) {
    let work = a.rows * a.columns * b.columns;
    let threads = if work < SERIAL_WORK { 1 } else { rayon::current_num_threads() };
    let c = Target {
        first: c.as_mut_ptr(),
        rows: a.rows,
        columns: b.columns,
        row_stride: b.columns,
        column_stride: 1,
    };
    // We compute a wide result as its transpose, so that the larger factor comes first, where it is packed
    // faster.
    if c.rows < c.columns {
        pieces(threads, b.t(), a.t(), write, c.t())
    } else {
        pieces(threads, a, b, write, c)
    }
}

/// A block of the result. Blocks split from one block are disjoint.
struct Target {
    first: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

// SAFETY: a target stands for an exclusive borrow of its floats; no two targets alive share one.
unsafe impl Send for Target {}

impl Target {
    fn t(self) -> Target {
        Target {
            first: self.first,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    fn split_rows(self, row: usize) -> (Target, Target) {
        assert!(row < self.rows);
        // SAFETY: `row` is inside the block, so the pointer stays inside the result.
        let below = unsafe { self.first.add(row * self.row_stride) };
        (Target { rows: row, ..self }, Target { first: below, rows: self.rows - row, ..self })
    }
}

/// Halves the rows of the result, its longer side, until there is a piece per thread.
fn pieces(threads: usize, a: Matrix<'_>, b: Matrix<'_>, write: Write, c: Target) {
    // Cuts leave full tiles of the product's inner kernel.
    const TILE: usize = 16;
    if threads < 2 || c.rows < 2 * TILE {
        return gemm(a, b, write, c);
    }
    let few = threads / 2;
    let cut = ((c.rows * few + threads * TILE / 2) / (threads * TILE) * TILE).clamp(TILE, c.rows - TILE);
    let (above, below) = c.split_rows(cut);
    let (a1, a2) = (a.row_range(0, cut), a.row_range(cut, a.rows - cut));
    rayon::join(|| pieces(few, a1, b, write, above), || pieces(threads - few, a2, b, write, below));
}

fn gemm(a: Matrix<'_>, b: Matrix<'_>, write: Write, c: Target) {
    let beta = if write == Write::Add { 1.0 } else { 0.0 };
    // SAFETY: `Matrix::new` and `row_range` keep every index of a and b inside their slices, and c is an
    // exclusive block of the result, whose size `matmul` checked.
    unsafe {
        matrixmultiply::sgemm(
            c.rows,
            a.columns,
            c.columns,
            1.0,
            a.data.as_ptr(),
            a.row_stride as isize,
            a.column_stride as isize,
            b.data.as_ptr(),
            b.row_stride as isize,
            b.column_stride as isize,
            beta,
            c.first,
            c.row_stride as isize,
            c.column_stride as isize,
        );
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
                    matmul(a, b, write, &mut c);
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
                pool.install(|| matmul(Matrix::new(&a, m, k), Matrix::new(&b, k, n), Write::Add, &mut c));
                c
            };
            let one = product(1);
            for threads in [2, 3, 8] {
                assert!(product(threads) == one, "{m} {k} {n} on {threads} threads");
            }
        }
    }

    #[test]
    fn a_small_product_has_the_bits_of_the_large_one_on_every_tier() {
        let fused = Tier::available().len() > 1;
        for (m, k, n) in [
            (1, 1, 1),
            (32, 2, 16),
            (32, 16, 4),
            (16, 32, 16),
            (5, 33, 17),
            (7, 3, 40),
            (2, 0, 3),
            (2, 700, 16),
        ] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            for (a, b) in [
                (Matrix::new(&a, m, k), Matrix::new(&b, k, n)),
                (Matrix::new(&a, k, m).t(), Matrix::new(&b, n, k).t()),
            ] {
                for write in [Write::Add, Write::Replace] {
                    let mut expected = numbers(m * n, 3);
                    large(a, b, write, &mut expected);
                    for tier in Tier::available() {
                        let mut c = numbers(m * n, 3);
                        small_matmul::matmul(tier, a, b, write, &mut c);
                        let close = c.iter().zip(&expected).all(|(c, e)| (c - e).abs() < 1e-5);
                        assert!(if fused { c == expected } else { close }, "{m} {k} {n} {tier}");
                    }
                }
            }
        }
    }
}
