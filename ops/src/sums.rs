//! Sums whose rounding error does not grow with the number of terms.
//!
//! The rounding errors of similar terms do not cancel. Ten million equal numbers, added one after another in
//! `f32`, can be off by a tenth. So we add the terms of a short run one after another, and the sums of the
//! runs in `f64`. The runs depend only on the number of terms. Sums therefore have the same bits on every
//! tier and at any number of threads.
//!
//! # Precision
//! The error of a long sum is at most 1e-6 times the sum of the absolute values of its terms. It comes from
//! fifteen roundings in a run and one at the end. A sum of up to 128 terms is a single run. Its error,
//! relative to the same sum, is below 2e-6 if the terms are equal, and at most 8e-6 in any case. Matrix
//! products use longer runs.

use std::ops::Range;

use crate::lanes::WIDE;
use crate::matrix::Write;
use crate::scratch;
use crate::simd::LANES;

/// Number of terms in a run of a long sum.
pub(crate) const RUN: usize = 16;

/// Returns the number of terms in a run, where `run` is the number in a long sum. Up to eight runs are merged
/// into one, because most batches are that short, and a single run needs no totals.
#[inline(always)]
pub(crate) fn run_length(terms: usize, run: usize) -> usize {
    if terms <= 8 * run { terms.max(1) } else { run }
}

/// Returns the sum of `value(a, b)` over two slices of equal length.
#[inline(always)]
pub(crate) fn sum_in_runs(a: &[f32], b: &[f32], value: impl Fn(f32, f32) -> f32) -> f32 {
    let run = run_length(a.len(), RUN);
    if a.len() == run {
        return sum_of_run(a, b, &value);
    }
    let mut total = 0.0f64;
    for (a, b) in a.chunks(run).zip(b.chunks(run)) {
        total += f64::from(sum_of_run(a, b, &value));
    }
    total as f32
}

#[inline(always)]
fn sum_of_run(a: &[f32], b: &[f32], value: &impl Fn(f32, f32) -> f32) -> f32 {
    let mut sum = 0.0;
    for (&a, &b) in a.iter().zip(b) {
        sum += value(a, b);
    }
    sum
}

/// Adds the sums of a run to the totals, entry by entry.
#[inline(always)]
pub(crate) fn add_to_totals(sums: &[f32], totals: &mut [f64]) {
    for (total, &sum) in totals.iter_mut().zip(sums) {
        *total += f64::from(sum);
    }
}

/// Adds the totals to `y`, entry by entry.
#[inline(always)]
pub(crate) fn add_totals(totals: &[f64], y: &mut [f32]) {
    for (y, &total) in y.iter_mut().zip(totals) {
        *y += total as f32;
    }
}

/// Adds rows to `sums`, one after another. `row` returns a row and its weight, and `add` adds an entry of the
/// row to a sum. `sums` holds the columns from `first` on.
#[inline(always)]
pub(crate) fn add_rows<'a, W>(
    rows: Range<usize>,
    first: usize,
    row: &impl Fn(usize) -> (W, &'a [f32]),
    add: &impl Fn(f32, &W, f32) -> f32,
    sums: &mut [f32],
) {
    let len = sums.len();
    let part = |r: usize| {
        let (weight, row) = row(r);
        (weight, &row[first..][..len])
    };
    // We add four rows at a time, so that four terms need one load and one store of a sum.
    let fours = rows.len() / 4;
    for r in (0..fours).map(|four| rows.start + 4 * four) {
        let ((wa, a), (wb, b), (wc, c), (wd, d)) = (part(r), part(r + 1), part(r + 2), part(r + 3));
        for ((((sum, &a), &b), &c), &d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum = add(add(add(add(*sum, &wa, a), &wb, b), &wc, c), &wd, d);
        }
    }
    for r in rows.start + 4 * fours..rows.end {
        let (weight, row) = part(r);
        for (sum, &entry) in sums.iter_mut().zip(row) {
            *sum = add(*sum, &weight, entry);
        }
    }
}

/// Adds `count` terms to `y`, stretch by stretch. `add(terms, y)` adds some of them, one after another.
pub(crate) fn add_in_stretches(
    count: usize,
    stretch: usize,
    y: &mut [f32],
    mut add: impl FnMut(Range<usize>, &mut [f32]),
) {
    if count <= stretch {
        return add(0..count, y);
    }
    scratch::with_totals(y.len(), |sums, totals| {
        totals.fill(0.0);
        for start in (0..count).step_by(stretch) {
            sums.fill(0.0);
            add(start..(start + stretch).min(count), sums);
            add_to_totals(sums, totals);
        }
        add_totals(totals, y);
    });
}

/// Adds the columns of rows of up to `N` entries to `y`, summed one after another. We add whole vectors. The
/// entries after the end of a row land in columns that we ignore.
#[inline(always)]
fn add_narrow_run<const N: usize>(x: &[f32], y: &mut [f32]) {
    let (width, mut rest) = (y.len(), x);
    let mut sums = [0.0f32; N];
    while let Some(vector) = rest.first_chunk::<N>() {
        for lane in 0..N {
            sums[lane] += vector[lane];
        }
        rest = &rest[width..];
    }
    for row in rest.chunks_exact(width) {
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
    for (y, sum) in y.iter_mut().zip(sums) {
        *y += sum;
    }
}

/// Number of columns that are summed at a time, small enough for the L1 cache.
const PANEL: usize = 256;

/// Lends room for the sums of rows and their totals to `work`.
pub(crate) fn with_room<T>(work: impl FnOnce(&mut [f32], &mut [f64]) -> T) -> T {
    scratch::with_totals(PANEL, work)
}

/// Sums of rows in runs of a given length, in the room of [`with_room`].
pub(crate) struct RowSums<'a> {
    pub(crate) run: usize,
    pub(crate) sums: &'a mut [f32],
    pub(crate) totals: &'a mut [f64],
}

impl RowSums<'_> {
    /// Writes the sum of `count` rows to `y`, or adds it in a single addition. `row` and `add` are as in
    /// [`add_rows`].
    #[inline(always)]
    pub(crate) fn sum<'a, W>(
        &mut self,
        count: usize,
        row: impl Fn(usize) -> (W, &'a [f32]),
        add: impl Fn(f32, &W, f32) -> f32,
        write: Write,
        y: &mut [f32],
    ) {
        self.sum_runs(run_length(count, self.run), count, &row, &add, write, y);
    }

    /// Adds the sums of the columns of `x` to `y`, which has an entry per column.
    #[inline(always)]
    pub(crate) fn add_columns(&mut self, x: &[f32], y: &mut [f32]) {
        let width = y.len();
        let count = x.len() / width;
        match count <= run_length(count, self.run) {
            true if width <= LANES => add_narrow_run::<LANES>(x, y),
            true if width <= WIDE => add_narrow_run::<WIDE>(x, y),
            false if width < LANES => self.add_narrow_columns(x, y),
            _ => self.sum(count, |r| ((), &x[r * width..][..width]), |sum, (), x| sum + x, Write::Add, y),
        }
    }

    /// Like [`add_columns`](Self::add_columns), for many rows that do not fill a vector.
    #[inline(always)]
    fn add_narrow_columns(&mut self, x: &[f32], y: &mut [f32]) {
        let width = y.len();
        // Sixteen rows together fill whole vectors.
        let line = LANES * width;
        let (lines, rest) = x.split_at(x.len() - x.len() % line);
        let mut sums = [0.0f32; LANES * LANES];
        let sums = &mut sums[..line];
        let row = |l: usize| ((), &lines[l * line..][..line]);
        self.sum_runs(self.run, lines.len() / line, &row, &|sum, (), x| sum + x, Write::Replace, sums);
        for (column, y) in y.iter_mut().enumerate() {
            let mut total = 0.0f64;
            for &part in sums.iter().chain(rest).skip(column).step_by(width) {
                total += f64::from(part);
            }
            *y += total as f32;
        }
    }

    /// Like [`sum`](Self::sum), in runs of a given length.
    #[inline(always)]
    fn sum_runs<'a, W>(
        &mut self,
        run: usize,
        count: usize,
        row: &impl Fn(usize) -> (W, &'a [f32]),
        add: &impl Fn(f32, &W, f32) -> f32,
        write: Write,
        y: &mut [f32],
    ) {
        if count <= run && write == Write::Replace {
            y.fill(0.0);
            return add_rows(0..count, 0, row, add, y);
        }
        for (panel, y) in y.chunks_mut(PANEL).enumerate() {
            let (sums, totals) = (&mut self.sums[..y.len()], &mut self.totals[..y.len()]);
            totals.fill(0.0);
            for start in (0..count).step_by(run) {
                sums.fill(0.0);
                add_rows(start..(start + run).min(count), panel * PANEL, row, add, sums);
                add_to_totals(sums, totals);
            }
            if write == Write::Replace {
                y.fill(0.0);
            }
            add_totals(totals, y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_eight_runs_are_one() {
        assert_eq!([0, 1, 128, 129].map(|terms| run_length(terms, RUN)), [1, 1, 128, 16]);
    }

    /// The entries are whole numbers, so that every order gives the same sum.
    #[test]
    fn every_row_and_every_column_counts_once() {
        for count in [0, 1, 3, 4, 7, 128, 129, 300] {
            for width in [1, 5, 15, 16, 17, 64, 255, 256, 600] {
                let x: Vec<f32> = (0..count * width).map(|i| (i * 31 % 17) as f32 - 8.0).collect();
                let expected = |before: f32| -> Vec<f32> {
                    (0..width).map(|c| before + x.iter().skip(c).step_by(width).sum::<f32>()).collect()
                };
                let (mut replaced, mut added, mut columns) =
                    (vec![5.0; width], vec![5.0; width], vec![5.0; width]);
                let row = |r: usize| ((), &x[r * width..][..width]);
                with_room(|sums, totals| {
                    let mut room = RowSums { run: RUN, sums, totals };
                    room.sum(count, row, |sum, (), x| sum + x, Write::Replace, &mut replaced);
                    room.sum(count, row, |sum, (), x| sum + x, Write::Add, &mut added);
                    room.add_columns(&x, &mut columns);
                });
                assert_eq!(replaced, expected(0.0), "{count} x {width}");
                assert_eq!([added, columns], [expected(5.0), expected(5.0)], "{count} x {width}");
            }
        }
    }
}
