//! Products with a matrix that is mostly zeros, such as binary pixels or one-hot samples. We sum the rows of
//! the other factor where the matrix is not zero.
//!
//! The path that a product takes depends only on its numbers, and each entry is summed in a fixed order. So
//! results are the same on every tier and at any number of threads.

use std::ops::Range;

use crate::Tier;
use crate::axis;
use crate::fma::Fma;
use crate::lists::{Lists, lengths_to_starts};
use crate::matrix::Write;
use crate::parallel::{GRAIN, Rows, RowsMut, for_rows};
use crate::scratch;
use crate::simd::LANES;
use crate::sums::{RUN, RowSums, add_in_stretches, run_length, with_room};

/// The sparse product pays off if at most one entry in this many is not zero, because a dense product handles
/// far more entries at a time.
const SPARSITY: usize = 5;

/// Returns true if the sparse product is the faster way to multiply the `rows x inputs` matrix `x` with
/// `factor`, which has rows of `outputs`, and gives the same result as the dense product.
pub(crate) fn pays(tier: Tier, x: &[f32], factor: &[f32], rows: usize, outputs: usize) -> bool {
    // With one row, the sparse product of even a dense matrix reads the other factor once and packs nothing.
    let is_faster = outputs >= LANES && (rows == 1 || is_mostly_zeros(tier, x));
    // The sparse product would skip 0 times infinity and 0 times NaN, which are NaN. If the sum is finite, so
    // is every entry.
    is_faster && axis::sum(tier, factor).is_finite()
}

/// Counts the entries that are not zero, and gives up as soon as there are too many.
fn is_mostly_zeros(tier: Tier, x: &[f32]) -> bool {
    const PIECE: usize = 2048;
    crate::simd! {
        fn count_nonzero<F>(x: &[f32]) -> u32 {
            x.iter().map(|&x| u32::from(x != 0.0)).sum()
        }
    }
    let (most, mut count) = (x.len() / SPARSITY, 0);
    x.chunks(PIECE).all(|piece| {
        count += count_nonzero(tier, piece) as usize;
        count <= most
    })
}

/// Returns a word with a bit for each entry, set if the entry is not zero.
#[inline(always)]
fn nonzero_bits(x: &[f32]) -> u64 {
    x.iter().enumerate().fold(0, |bits, (i, &x)| bits | u64::from(x != 0.0) << i)
}

/// Calls `visit` with the position of each set bit. This costs less than a branch for each entry of a row.
#[inline(always)]
fn for_each_bit(mut bits: u64, mut visit: impl FnMut(usize)) {
    while bits != 0 {
        visit(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
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
        for (row, ends) in row[wanted.clone()].chunks(BLOCK).zip(ends.chunks_mut(BLOCK)) {
            for_each_bit(nonzero_bits(row), |column| {
                let end = &mut ends[column];
                positions[*end as usize] = r as u32;
                *end += 1;
            });
        }
    }
    Lists { ends, positions }
}

/// Number of inputs whose non-zero entries are the bits of a word.
const BLOCK: usize = u64::BITS as usize;

/// Number of outputs whose sums stay in registers: eight of the widest vectors. A block of a panel of the
/// weight stays in the L1 cache.
const PANEL: usize = 128;

/// Rows in a piece of a product. Each piece reads the whole weight.
const ROWS: usize = 64;

/// The part of a product that comes from the inputs in `range`.
struct Block<'a> {
    x: &'a [f32],
    inputs: usize,
    range: Range<usize>,
    /// The entries of each row of `x` that are not zero.
    nonzero: &'a [u64],
    weight: &'a [f32],
    outputs: usize,
}

impl Block<'_> {
    /// Adds the products to whole panels of `W` outputs, from the output `first` on. Returns the first output
    /// after them.
    #[inline(always)]
    fn add_to_panels<F: Fma, const W: usize>(&self, mut first: usize, y: &mut [f32]) -> usize {
        while first + W <= self.outputs {
            let x = self.x.chunks_exact(self.inputs).zip(self.nonzero);
            for ((x, &nonzero), y) in x.zip(y.chunks_exact_mut(self.outputs)) {
                let y = y[first..].first_chunk_mut::<W>().expect("a whole panel");
                self.add_to_row::<F, W>(&x[self.range.clone()], nonzero, first, y);
            }
            first += W;
        }
        first
    }

    #[inline(always)]
    fn add_to_row<F: Fma, const W: usize>(&self, x: &[f32], nonzero: u64, first: usize, y: &mut [f32; W]) {
        let mut sums = *y;
        for_each_bit(nonzero, |i| {
            let weight = self.weight[i * self.outputs + first..].first_chunk::<W>().expect("a whole panel");
            for (sum, &weight) in sums.iter_mut().zip(weight) {
                *sum = F::mul_add(x[i], weight, *sum);
            }
        });
        *y = sums;
    }
}

/// Adds an entry of a row, times the row's weight, to a sum.
#[inline(always)]
fn add_product<F: Fma>(sum: f32, weight: &f32, entry: f32) -> f32 {
    F::mul_add(*weight, entry, sum)
}

crate::simd! {
    /// Adds the products with the inputs in `range` to at most [`ROWS`] rows of y.
    fn forward_piece<F>(
        x: &[f32], inputs: usize, range: Range<usize>, weight: &[f32], outputs: usize, y: &mut [f32],
    ) {
        for from in range.clone().step_by(BLOCK) {
            let range = from..(from + BLOCK).min(range.end);
            let mut nonzero = [0; ROWS];
            for (x, bits) in x.chunks_exact(inputs).zip(&mut nonzero) {
                *bits = nonzero_bits(&x[range.clone()]);
            }
            let weight = &weight[range.start * outputs..range.end * outputs];
            let block = Block { x, inputs, range, nonzero: &nonzero, weight, outputs };
            let next = block.add_to_panels::<F, PANEL>(0, y);
            let next = block.add_to_panels::<F, 32>(next, y);
            let next = block.add_to_panels::<F, 16>(next, y);
            let next = block.add_to_panels::<F, 8>(next, y);
            block.add_to_panels::<F, 1>(next, y);
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
    let parts = (Rows(x, inputs), RowsMut(y, outputs));
    for_rows(x.len() / inputs, GRAIN / ROWS, parts, |_, (Rows(x, _), RowsMut(y, _))| {
        y.fill(0.0);
        add_in_stretches(inputs, run_length(inputs, 8 * RUN), y, |range, y| {
            forward_piece(tier, x, inputs, range, weight, outputs, y);
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

    /// Small whole numbers, one in seven nonzero. Products are exact, so both paths must give the same bits.
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
