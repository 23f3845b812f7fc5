//! Products with a matrix that is mostly zeros, such as binary pixels or one-hot samples. We sum the rows of
//! the other factor where the matrix is not zero.
//!
//! The path that a product takes depends only on its numbers, and each entry is summed in one order. So
//! results are the same on every tier and at any number of threads.

use std::ops::Range;

use crate::Tier;
use crate::axis;
use crate::fma::Fma;
use crate::lists::{Lists, lengths_to_starts};
use crate::matrix::Write;
use crate::parallel::{Rows, RowsMut, for_rows};
use crate::scratch;
use crate::simd::LANES;
use crate::sums::{RUN, RowSums, add_in_stretches, add_rows, run_length, with_room};

/// The sparse product pays off if at most one entry in this many is not zero, because a dense product does
/// far more at a time.
const SPARSITY: usize = 5;

/// Returns true if the sparse product is the faster way to multiply the `rows x inputs` matrix `x` with `factor`,
/// which has rows of `outputs`, and gives the same result as the dense product.
pub(crate) fn pays(tier: Tier, x: &[f32], factor: &[f32], rows: usize, outputs: usize) -> bool {
    // With one row, the sparse product of even a dense matrix reads the other factor once and packs nothing.
    let is_faster = outputs >= LANES && (rows == 1 || is_mostly_zeros(x));
    // The sparse product would skip 0 times infinity and 0 times NaN, which are NaN. If the sum is finite, so
    // is every entry.
    is_faster && axis::sum(tier, factor).is_finite()
}

/// Counts the entries that are not zero, and gives up as soon as there are too many.
fn is_mostly_zeros(x: &[f32]) -> bool {
    let (most, mut count) = (x.len() / SPARSITY, 0);
    x.chunks(COUNTED_AT_ONCE).all(|chunk| {
        count += chunk.iter().map(|&x| u32::from(x != 0.0)).sum::<u32>() as usize;
        count <= most
    })
}

/// Entries between two decisions whether there are too many.
const COUNTED_AT_ONCE: usize = 2048;

/// Calls `visit` with the number of each entry that is not zero.
#[inline(always)]
fn for_each_nonzero(row: &[f32], mut visit: impl FnMut(usize)) {
    let mut visit_bits = |first: usize, mut bits: u32| {
        while bits != 0 {
            visit(first + bits.trailing_zeros() as usize);
            bits &= bits - 1;
        }
    };
    // A bit for each entry of a vector costs less than a branch for each entry, or a write that may not count.
    let (vectors, rest) = row.as_chunks::<LANES>();
    for (v, vector) in vectors.iter().enumerate() {
        visit_bits(v * LANES, bits(vector));
    }
    visit_bits(vectors.len() * LANES, bits(rest));
}

/// Returns a bit for each entry, set if the entry is not zero.
#[inline(always)]
fn bits(entries: &[f32]) -> u32 {
    entries.iter().enumerate().fold(0, |bits, (i, &x)| bits | u32::from(x != 0.0) << i)
}

/// Lists the non-zero entries of each row in some columns; `ends` has an entry per row.
#[inline(always)]
fn list_rows<'a>(
    x: &[f32],
    columns: usize,
    wanted: Range<usize>,
    ends: &'a mut [u32],
    positions: &'a mut [u32],
) -> Lists<'a> {
    let mut count = 0;
    for (row, end) in x.chunks_exact(columns).zip(ends.iter_mut()) {
        for_each_nonzero(&row[wanted.clone()], |column| {
            positions[count] = (wanted.start + column) as u32;
            count += 1;
        });
        *end = count as u32;
    }
    Lists { ends, positions }
}

/// Lists the non-zero entries of each column from `first` on; `ends` has an entry per column.
#[inline(always)]
fn list_columns<'a>(
    x: &[f32],
    columns: usize,
    first: usize,
    ends: &'a mut [u32],
    positions: &'a mut [u32],
) -> Lists<'a> {
    let wanted = first..first + ends.len();
    ends.fill(0);
    for row in x.chunks_exact(columns) {
        for (end, &x) in ends.iter_mut().zip(&row[wanted.clone()]) {
            *end += u32::from(x != 0.0);
        }
    }
    lengths_to_starts(ends);
    for (r, row) in x.chunks_exact(columns).enumerate() {
        for_each_nonzero(&row[wanted.clone()], |column| {
            let end = &mut ends[column];
            positions[*end as usize] = r as u32;
            *end += 1;
        });
    }
    Lists { ends, positions }
}

/// Entries of the weight in a block of whole rows, which stays in the second cache while we use it.
const BLOCK: usize = 1 << 16;

fn block_of_inputs(inputs: usize, outputs: usize) -> usize {
    (BLOCK / outputs).clamp(1, inputs)
}

/// Adds to a sum an entry of a row times the row's weight.
#[inline(always)]
fn add_product<F: Fma>(sum: f32, weight: &f32, entry: f32) -> f32 {
    F::mul_add(*weight, entry, sum)
}

crate::simd! {
    /// Adds the products with the inputs in `range` to y.
    fn forward_piece<F>(
        x: &[f32], inputs: usize, range: Range<usize>, weight: &[f32], outputs: usize, ends: &mut [u32],
        positions: &mut [u32], y: &mut [f32],
    ) {
        let block = block_of_inputs(inputs, outputs);
        for from in range.clone().step_by(block) {
            let lists = list_rows(x, inputs, from..(from + block).min(range.end), ends, positions);
            for (r, (x, y)) in x.chunks_exact(inputs).zip(y.chunks_exact_mut(outputs)).enumerate() {
                let list = lists.line(r);
                let row = |i: usize| {
                    let position = list[i] as usize;
                    (x[position], &weight[position * outputs..][..outputs])
                };
                add_rows(0..list.len(), 0, &row, &add_product::<F>, y);
            }
        }
    }
}

crate::simd! {
    fn backward_piece<F>(
        x: &[f32], inputs: usize, first: usize, dz: &[f32], outputs: usize, write: Write, ends: &mut [u32],
        positions: &mut [u32], sums: &mut [f32], totals: &mut [f64], dweight: &mut [f32],
    ) {
        let mut room = RowSums { run: 2 * RUN, sums, totals };
        let lists = list_columns(x, inputs, first, ends, positions);
        for (i, dweight) in dweight.chunks_exact_mut(outputs).enumerate() {
            let list = lists.line(i);
            let row = |l: usize| {
                let r = list[l] as usize;
                (x[r * inputs + first + i], &dz[r * outputs..][..outputs])
            };
            room.sum(list.len(), row, add_product::<F>, write, dweight);
        }
    }
}

/// Computes y = x W for an `x` of mostly zeros: `rows x inputs` times `inputs x outputs`.
pub(crate) fn forward(tier: Tier, x: &[f32], weight: &[f32], inputs: usize, outputs: usize, y: &mut [f32]) {
    let rows = x.len() / inputs;
    let parts = (Rows(x, inputs), RowsMut(y, outputs));
    // Pieces of about sixty rows, because each piece reads the whole weight.
    for_rows(rows, 128, parts, |_, (Rows(x, _), RowsMut(y, _))| {
        let rows = x.len() / inputs;
        scratch::with_indices(rows, rows * block_of_inputs(inputs, outputs), |ends, positions| {
            y.fill(0.0);
            add_in_stretches(inputs, run_length(inputs, 8 * RUN), y, |range, y| {
                forward_piece(tier, x, inputs, range, weight, outputs, ends, positions, y);
            });
        });
    });
}

/// Computes dW = x' dz, or dW += x' dz, for an `x` of mostly zeros.
pub(crate) fn backward_weight(
    tier: Tier,
    x: &[f32],
    dz: &[f32],
    inputs: usize,
    outputs: usize,
    write: Write,
    dweight: &mut [f32],
) {
    let rows = x.len() / inputs;
    for_rows(inputs, outputs.div_ceil(8), (RowsMut(dweight, outputs),), |first, (RowsMut(dweight, _),)| {
        let columns = dweight.len() / outputs;
        scratch::with_indices(columns, rows * columns, |ends, positions| {
            with_room(|sums, totals| {
                backward_piece(
                    tier, x, inputs, first, dz, outputs, write, ends, positions, sums, totals, dweight,
                );
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::matmul;
    use crate::matrix::Matrix;

    /// Small whole numbers, of which one in seven is not zero. Products are exact, so both paths must give
    /// the same bits.
    fn sparse(n: usize) -> Vec<f32> {
        (0..n).map(|i| if i % 7 == 3 { (i % 5) as f32 - 2.0 } else { 0.0 }).collect()
    }

    fn dense(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i * 31 % 17) as f32 - 8.0).collect()
    }

    #[test]
    fn agrees_with_the_dense_product() {
        for (rows, inputs, outputs) in
            [(1, 5, 16), (100, 784, 512), (7, 33, 200), (30, 3, 145), (3, 1000, 17)]
        {
            let (x, weight, dz) = (sparse(rows * inputs), dense(inputs * outputs), dense(rows * outputs));
            let (mut y, mut expected) = (vec![9.0; rows * outputs], vec![0.0; rows * outputs]);
            forward(Tier::best(), &x, &weight, inputs, outputs, &mut y);
            let x_matrix = Matrix::new(&x, rows, inputs);
            matmul(
                Tier::best(),
                x_matrix,
                Matrix::new(&weight, inputs, outputs),
                Write::Replace,
                &mut expected,
            );
            assert!(y == expected, "{rows} {inputs} {outputs}");
            for write in [Write::Replace, Write::Add] {
                let (mut dweight, mut expected) = (vec![1.0; inputs * outputs], vec![1.0; inputs * outputs]);
                backward_weight(Tier::best(), &x, &dz, inputs, outputs, write, &mut dweight);
                matmul(Tier::best(), x_matrix.t(), Matrix::new(&dz, rows, outputs), write, &mut expected);
                assert!(dweight == expected, "{rows} {inputs} {outputs} {write:?}");
            }
        }
    }
}
