//! The split of rows over the threads of the current rayon pool.
//!
//! We halve the work until a piece is small, at the same rows for any number of threads. So sums combined
//! over that tree are bit-for-bit the same on one thread and on many. Small work is one piece and never
//! leaves the calling thread. Called from inside a pool, nothing here allocates.

/// The number of elements below which a piece is not split further, about ten microseconds of a
/// transcendental kernel.
const GRAIN: usize = 8192;

/// A bundle of slices that can be cut at a row.
pub(crate) trait Split: Send + Sized {
    /// Returns the rows before `row` and the rows from it on.
    fn split(self, row: usize) -> (Self, Self);
}

/// A shared slice of rows, `width` elements each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, T>(pub(crate) &'a [T], pub(crate) usize);

/// An exclusive slice of rows, `width` elements each.
#[derive(Debug)]
pub(crate) struct RowsMut<'a, T>(pub(crate) &'a mut [T], pub(crate) usize);

impl<T: Sync> Split for Rows<'_, T> {
    fn split(self, row: usize) -> (Self, Self) {
        let (head, tail) = self.0.split_at(row * self.1);
        (Rows(head, self.1), Rows(tail, self.1))
    }
}

impl<T: Send> Split for RowsMut<'_, T> {
    fn split(self, row: usize) -> (Self, Self) {
        let (head, tail) = self.0.split_at_mut(row * self.1);
        (RowsMut(head, self.1), RowsMut(tail, self.1))
    }
}

macro_rules! split_tuples {
    ($(($($name:ident . $index:tt),+))+) => {$(
        impl<$($name: Split),+> Split for ($($name,)+) {
            fn split(self, row: usize) -> (Self, Self) {
                $(#[allow(non_snake_case)] let $name = self.$index.split(row);)+
                (($($name.0,)+), ($($name.1,)+))
            }
        }
    )+};
}
split_tuples! {
    (A.0)
    (A.0, B.1)
    (A.0, B.1, C.2)
    (A.0, B.1, C.2, D.3)
    (A.0, B.1, C.2, D.3, E.4)
}

/// Calls `work(first_row, piece)` on pieces of at most about 8,192 elements, several threads at a time.
/// `width` is the number of elements a row costs.
pub(crate) fn for_rows<P: Split>(rows: usize, width: usize, parts: P, work: impl Fn(usize, P) + Sync) {
    fold_rows(rows, width, parts, work, |(), ()| ());
}

/// Like [`for_rows`], with pieces eight times as large, for work of a few instructions per element, which
/// finishes before a second thread would start.
pub(crate) fn for_light_rows<P: Split>(rows: usize, width: usize, parts: P, work: impl Fn(usize, P) + Sync) {
    run(rows, 8 * GRAIN / width.max(1), parts, work, |(), ()| ());
}

/// Like [`for_rows`], and combines the results of the pieces over a tree whose shape depends only on `rows`
/// and `width`.
pub(crate) fn fold_rows<P: Split, T: Send>(
    rows: usize,
    width: usize,
    parts: P,
    work: impl Fn(usize, P) -> T + Sync,
    combine: impl Fn(T, T) -> T + Sync,
) -> T {
    run(rows, GRAIN / width.max(1), parts, work, combine)
}

/// Like [`for_rows`], and returns the sum of the results of the pieces.
pub(crate) fn sum_rows<P: Split>(
    rows: usize,
    width: usize,
    parts: P,
    work: impl Fn(usize, P) -> f32 + Sync,
) -> f32 {
    fold_rows(rows, width, parts, work, |a, b| a + b)
}

fn run<P: Split, T: Send>(
    rows: usize,
    grain: usize,
    parts: P,
    work: impl Fn(usize, P) -> T + Sync,
    combine: impl Fn(T, T) -> T + Sync,
) -> T {
    let grain = grain.max(1);
    let threads = if rows <= grain { 1 } else { rayon::current_num_threads() };
    halve(0, rows, grain, threads, parts, &work, &combine)
}

fn halve<P: Split, T: Send>(
    first: usize,
    rows: usize,
    grain: usize,
    threads: usize,
    parts: P,
    work: &(impl Fn(usize, P) -> T + Sync),
    combine: &(impl Fn(T, T) -> T + Sync),
) -> T {
    if rows <= grain {
        return work(first, parts);
    }
    let middle = rows / 2;
    let (head, tail) = parts.split(middle);
    let head = || halve(first, middle, grain, threads, head, work, combine);
    let tail = || halve(first + middle, rows - middle, grain, threads, tail, work, combine);
    // Entering a pool from outside costs about ten microseconds, which a single thread can save.
    let (a, b) = if threads == 1 { (head(), tail()) } else { rayon::join(head, tail) };
    combine(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_visited_once_and_knows_its_number() {
        let mut y = vec![0u32; 3 * 20_001];
        for_rows(20_001, 3, (RowsMut(&mut y, 3),), |first, (RowsMut(y, _),)| {
            for (i, row) in y.chunks_mut(3).enumerate() {
                row.fill((first + i) as u32);
            }
        });
        assert!(y.iter().enumerate().all(|(i, &row)| row as usize == i / 3));
    }
}
