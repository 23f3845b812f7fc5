//! Products with a matrix that is mostly zeros, such as binary pixels or one-hot samples. We sum the rows of
//! the other factor where the matrix is not zero.
//!
//! The path that a product takes depends only on its numbers, and each entry is summed in one order. So
//! results are the same on every tier and at any number of threads.

use std::ops::Range;

use crate::Tier;
use crate::matrix::Write;
use crate::parallel::{Rows, RowsMut, for_rows};
use crate::scratch;
use crate::simd::LANES;

/// The sparse product pays off if at most one entry in this many is not zero, because a dense product does
/// far more at a time.
const SPARSITY: usize = 5;

/// Returns true if the sparse product is the faster way to multiply the `rows x inputs` matrix `x`.
pub(crate) fn pays(x: &[f32], rows: usize, outputs: usize) -> bool {
    // With one row, the sparse product of even a dense matrix reads the other factor once and packs nothing.
    outputs >= LANES && (rows == 1 || count_nonzero(x) * SPARSITY <= x.len())
}

fn count_nonzero(x: &[f32]) -> usize {
    x.iter().map(|&x| usize::from(x != 0.0)).sum()
}

/// The positions of non-zero entries, line after line: line `i` has `positions[ends[i - 1]..ends[i]]`.
struct Lists<'a> {
    ends: &'a [u32],
    positions: &'a [u32],
}

impl Lists<'_> {
    #[inline(always)]
    fn line(&self, i: usize) -> &[u32] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.positions[start..self.ends[i] as usize]
    }
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
        for (column, &x) in wanted.clone().zip(&row[wanted.clone()]) {
            // We always write the position and keep it if the entry is not zero, so there is no branch to
            // mispredict.
            positions[count] = column as u32;
            count += usize::from(x != 0.0);
        }
        *end = count as u32;
    }
    Lists { ends, positions }
}

/// Lists the non-zero entries of each column from `first` on; `ends` has an entry per column.
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
    // The counts become starts, and filling the lists moves each start to its end.
    let mut start = 0;
    for end in ends.iter_mut() {
        start += std::mem::replace(end, start);
    }
    for (r, row) in x.chunks_exact(columns).enumerate() {
        for (end, &x) in ends.iter_mut().zip(&row[wanted.clone()]) {
            if x != 0.0 {
                positions[*end as usize] = r as u32;
                *end += 1;
            }
        }
    }
    Lists { ends, positions }
}

/// Adds to `out` the sum over the list of x(position) times row `position` of `factor`, of which it takes
/// `out.len()` entries.
#[inline(always)]
fn combine(list: &[u32], x: impl Fn(usize) -> f32, factor: &[f32], stride: usize, out: &mut [f32]) {
    let len = out.len();
    let entry = |position: u32| {
        let position = position as usize;
        (x(position), &factor[position * stride..][..len])
    };
    // Four rows at a time: one load and one store of the sum for four products.
    let (fours, rest) = list.as_chunks::<4>();
    for &[a, b, c, d] in fours {
        let ((xa, a), (xb, b), (xc, c), (xd, d)) = (entry(a), entry(b), entry(c), entry(d));
        for ((((out, &a), &b), &c), &d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out = xd.mul_add(d, xc.mul_add(c, xb.mul_add(b, xa.mul_add(a, *out))));
        }
    }
    for &position in rest {
        let (x, row) = entry(position);
        for (out, &entry) in out.iter_mut().zip(row) {
            *out = x.mul_add(entry, *out);
        }
    }
}

/// Entries of the weight in a block of whole rows, which stays in the second cache while we use it.
const BLOCK: usize = 1 << 16;

crate::simd! {
    fn forward_piece(
        x: &[f32], inputs: usize, weight: &[f32], outputs: usize, ends: &mut [u32], positions: &mut [u32],
        y: &mut [f32],
    ) {
        y.fill(0.0);
        let block = block_of_inputs(inputs, outputs);
        for from in (0..inputs).step_by(block) {
            let lists = list_rows(x, inputs, from..(from + block).min(inputs), ends, positions);
            for (r, (x, y)) in x.chunks_exact(inputs).zip(y.chunks_exact_mut(outputs)).enumerate() {
                combine(lists.line(r), |p| x[p], weight, outputs, y);
            }
        }
    }
}

fn block_of_inputs(inputs: usize, outputs: usize) -> usize {
    (BLOCK / outputs).clamp(1, inputs)
}

crate::simd! {
    fn backward_piece(
        x: &[f32], inputs: usize, first: usize, dz: &[f32], outputs: usize, write: Write, ends: &mut [u32],
        positions: &mut [u32], dweight: &mut [f32],
    ) {
        let lists = list_columns(x, inputs, first, ends, positions);
        for (i, row) in dweight.chunks_exact_mut(outputs).enumerate() {
            if write == Write::Replace {
                row.fill(0.0);
            }
            combine(lists.line(i), |r| x[r * inputs + first + i], dz, outputs, row);
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
        // One more position than there are entries: the list writes a position before it knows that it does
        // not count.
        scratch::with_indices(rows, rows * block_of_inputs(inputs, outputs) + 1, |ends, positions| {
            forward_piece(tier, x, inputs, weight, outputs, ends, positions, y);
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
            backward_piece(tier, x, inputs, first, dz, outputs, write, ends, positions, dweight);
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
            matmul(x_matrix, Matrix::new(&weight, inputs, outputs), Write::Replace, &mut expected);
            assert!(y == expected, "{rows} {inputs} {outputs}");
            for write in [Write::Replace, Write::Add] {
                let (mut dweight, mut expected) = (vec![1.0; inputs * outputs], vec![1.0; inputs * outputs]);
                backward_weight(Tier::best(), &x, &dz, inputs, outputs, write, &mut dweight);
                matmul(x_matrix.t(), Matrix::new(&dz, rows, outputs), write, &mut expected);
                assert!(dweight == expected, "{rows} {inputs} {outputs} {write:?}");
            }
        }
    }
}
