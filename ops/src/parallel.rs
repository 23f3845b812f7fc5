//! The split of rows over a [`team`] of threads.
//!
//! We halve the work until a piece is small, at the same rows for any number of threads. So sums combined
//! over that tree are bit-for-bit the same on one thread and on many. Small work is one piece and never
//! leaves the calling thread.

use std::sync::Mutex;

use crate::team;

/// The number of elements below which a piece is not split further, about ten microseconds of a
/// transcendental kernel.
pub(crate) const GRAIN: usize = 8192;

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
/// `width` is the cost of a row in elements.
pub(crate) fn for_rows<P: Split>(rows: usize, width: usize, parts: P, work: impl Fn(usize, P) + Sync) {
    fold_rows(rows, width, parts, work, |(), ()| ());
}

/// Like [`for_rows`], with pieces eight times as large, for work of a few instructions per element, which is
/// not worth waking a thread for.
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
    let tree = Tree { grain: grain.max(1), work, combine };
    if rows <= tree.grain || team::size() == 1 {
        return tree.halve(0, rows, parts);
    }
    on_a_team(&tree, rows, parts)
}

/// Works on the leaves of a tree on several threads. It is a separate function because its leaves take ten
/// kilobytes of stack, which small kernels would otherwise reserve too.
#[inline(never)]
fn on_a_team<P: Split, T: Send>(
    tree: &Tree<impl Fn(usize, P) -> T + Sync, impl Fn(T, T) -> T + Sync>,
    rows: usize,
    parts: P,
) -> T {
    let mut leaves = [const { Mutex::new(None) }; team::LEAVES];
    let mut free = leaves.iter_mut();
    tree.cut(LEVELS, 0, rows, parts, &mut free);
    let count = team::LEAVES - free.len();
    team::run(count, &|leaf| {
        let mut leaf = leaves[leaf].lock().expect(UNBROKEN);
        let Some(Leaf::Waiting(first, rows, parts)) = leaf.take() else { unreachable!("leaf taken twice") };
        *leaf = Some(Leaf::Done(tree.halve(first, rows, parts)));
    });
    let mut results = leaves.into_iter().map(|leaf| match leaf.into_inner().expect(UNBROKEN) {
        Some(Leaf::Done(result)) => result,
        _ => unreachable!("every leaf is done"),
    });
    tree.gather(LEVELS, rows, &mut results)
}

/// Levels of a tree that become leaves for the team. Below them a leaf is halved further on one thread.
const LEVELS: u32 = team::LEAVES.ilog2();

const UNBROKEN: &str = "a leaf that panics ends its region";

/// A subtree, before and after the work on it.
enum Leaf<P, T> {
    Waiting(usize, usize, P),
    Done(T),
}

/// Work on rows, which are halved until there are at most `grain`.
struct Tree<W, C> {
    grain: usize,
    work: W,
    combine: C,
}

impl<W, C> Tree<W, C> {
    /// Works on a subtree on this thread.
    fn halve<P: Split, T>(&self, first: usize, rows: usize, parts: P) -> T
    where
        W: Fn(usize, P) -> T,
        C: Fn(T, T) -> T,
    {
        if rows <= self.grain {
            return (self.work)(first, parts);
        }
        let middle = rows / 2;
        let (head, tail) = parts.split(middle);
        let head = self.halve(first, middle, head);
        (self.combine)(head, self.halve(first + middle, rows - middle, tail))
    }

    /// Writes the subtrees `levels` further down, or any that end earlier, to the next free leaves.
    fn cut<'l, P: Split + 'l, T: 'l>(
        &self,
        levels: u32,
        first: usize,
        rows: usize,
        parts: P,
        free: &mut impl Iterator<Item = &'l mut Mutex<Option<Leaf<P, T>>>>,
    ) {
        if levels == 0 || rows <= self.grain {
            let leaf = free.next().expect("a free leaf for each subtree");
            *leaf = Mutex::new(Some(Leaf::Waiting(first, rows, parts)));
            return;
        }
        let middle = rows / 2;
        let (head, tail) = parts.split(middle);
        self.cut(levels - 1, first, middle, head, free);
        self.cut(levels - 1, first + middle, rows - middle, tail, free);
    }

    /// Combines the next results, in the order of the leaves that [`cut`](Self::cut) made.
    fn gather<T>(&self, levels: u32, rows: usize, results: &mut impl Iterator<Item = T>) -> T
    where
        C: Fn(T, T) -> T,
    {
        if levels == 0 || rows <= self.grain {
            return results.next().expect("a result for each leaf");
        }
        let middle = rows / 2;
        let head = self.gather(levels - 1, middle, results);
        (self.combine)(head, self.gather(levels - 1, rows - middle, results))
    }
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
