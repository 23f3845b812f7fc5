//! Sums over an axis, repetition along one, and the transpose. Sum and repetition are each other's adjoint,
//! so two kernels serve reductions, broadcasting and both their gradients.
//!
//! Shapes are read as `outer x n x inner`, with the axis in the middle.
//!
//! # Precision
//! The error of a sum is at most 1e-6 times the sum of the absolute values of its terms, even for ten million
//! equal terms. Up to 128 rows are added one after another. The error, relative to the same sum, is then
//! below 2e-6 if the terms are equal, and at most 8e-6 in any case.

use crate::Tier;
use crate::lanes;
use crate::parallel::{Rows, RowsMut, for_rows, sum_rows};
use crate::sums::{RUN, RowSums, with_room};

crate::simd! {
    fn add_row_sums(n: usize, x: &[f32], y: &mut [f32]) {
        let rows = x.chunks_exact(n).zip(y);
        if n > lanes::PIECE {
            for (row, y) in rows {
                *y += lanes::sum_of_any(row);
            }
        } else {
            for (row, y) in rows {
                *y += lanes::sum(row);
            }
        }
    }
}

crate::simd! {
    fn add_column_sums(
        n: usize, inner: usize, x: &[f32], sums: &mut [f32], totals: &mut [f64], y: &mut [f32],
    ) {
        let mut room = RowSums { run: RUN, sums, totals };
        for (x, y) in x.chunks_exact(n * inner).zip(y.chunks_exact_mut(inner)) {
            room.add_columns(x, y);
        }
    }
}

crate::simd! {
    fn sum_piece(x: &[f32]) -> f32 {
        lanes::sum(x)
    }
}

crate::simd! {
    fn add_repeated(n: usize, inner: usize, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks_exact(inner).zip(y.chunks_exact_mut(n * inner)) {
            for row in y.chunks_exact_mut(inner) {
                for (y, &x) in row.iter_mut().zip(x) {
                    *y += x;
                }
            }
        }
    }
}

crate::simd! {
    fn add_scalar(value: f32, y: &mut [f32]) {
        for y in y {
            *y += value;
        }
    }
}

/// Returns the sum of all elements, over a tree that does not depend on the number of threads.
pub fn sum(tier: Tier, x: &[f32]) -> f32 {
    sum_rows(x.len(), 1, (Rows(x, 1),), |_, (Rows(x, _),)| sum_piece(tier, x))
}

/// Adds sums over the middle axis: y\[o, i\] += sum over r of x\[o, r, i\]. `x` is `outer x n x inner`, and
/// `y` is `outer x inner`. The terms are summed first, and the sum is added to `y` once.
#[track_caller]
pub fn add_sum(tier: Tier, n: usize, inner: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len() * n, "x must hold n = {n} times the elements of y");
    if x.is_empty() {
        return;
    }
    if y.len() == 1 {
        y[0] += sum(tier, x);
        return;
    }
    let outer = y.len() / inner;
    let parts = (Rows(x, n * inner), RowsMut(y, inner));
    for_rows(outer, n * inner, parts, |_, (Rows(x, _), RowsMut(y, _))| {
        if inner == 1 {
            add_row_sums(tier, n, x, y);
        } else {
            with_room(|sums, totals| add_column_sums(tier, n, inner, x, sums, totals, y));
        }
    });
}

/// Adds repetitions along a middle axis: y\[o, r, i\] += x\[o, i\] for every r < n. `x` is `outer x inner`,
/// `y` is `outer x n x inner`.
#[track_caller]
pub fn add_repeat(tier: Tier, n: usize, inner: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(y.len(), x.len() * n, "y must hold n = {n} times the elements of x");
    if y.is_empty() {
        return;
    }
    let outer = x.len() / inner;
    let parts = (Rows(x, inner), RowsMut(y, n * inner));
    for_rows(outer, n * inner, parts, |_, (Rows(x, _), RowsMut(y, _))| {
        if inner == 1 {
            for (&x, y) in x.iter().zip(y.chunks_exact_mut(n)) {
                add_scalar(tier, x, y);
            }
        } else {
            add_repeated(tier, n, inner, x, y);
        }
    });
}

/// Writes the transpose y\[o, c, r\] = x\[o, r, c\]. `x` is `outer x rows x columns`.
#[track_caller]
pub fn transpose(rows: usize, columns: usize, x: &[f32], y: &mut [f32]) {
    each_transposed(rows, columns, x, y, |y, x| *y = x);
}

/// Adds the gradient of the transpose: y\[o, c, r\] += x\[o, r, c\].
#[track_caller]
pub fn add_transpose(rows: usize, columns: usize, x: &[f32], y: &mut [f32]) {
    each_transposed(rows, columns, x, y, |y, x| *y += x);
}

#[track_caller]
fn each_transposed(rows: usize, columns: usize, x: &[f32], y: &mut [f32], put: impl Fn(&mut f32, f32)) {
    assert_eq!(x.len(), y.len(), "x and y must have the same length");
    if x.is_empty() {
        return;
    }
    // Square tiles keep both sides in the cache.
    const TILE: usize = 16;
    for (x, y) in x.chunks_exact(rows * columns).zip(y.chunks_exact_mut(rows * columns)) {
        for r0 in (0..rows).step_by(TILE) {
            for c0 in (0..columns).step_by(TILE) {
                for r in r0..(r0 + TILE).min(rows) {
                    for c in c0..(c0 + TILE).min(columns) {
                        put(&mut y[c * rows + r], x[r * columns + c]);
                    }
                }
            }
        }
    }
}
