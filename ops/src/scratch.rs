//! Working memory of each thread, kept between calls so that a steady state allocates nothing.
//!
//! A buffer leaves its pool while it is lent. So kernels that borrow scratch may call each other, and a
//! thread that picks up other work while it waits may borrow scratch too. Lent memory starts at a cache line,
//! because a vector that crosses two lines takes twice as long.

use std::cell::Cell;
use std::thread::LocalKey;

use crate::buffer::LINE;

/// The buffers that are not lent. The last one is lent next.
type Pool<N> = Cell<Vec<Vec<N>>>;

thread_local! {
    static FLOATS: Pool<f32> = const { Cell::new(Vec::new()) };
    static TOTALS: Pool<f64> = const { Cell::new(Vec::new()) };
    static INDICES: Pool<u32> = const { Cell::new(Vec::new()) };
}

/// Lends `len` floats to `work`, with unspecified contents.
pub fn with<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    lend(&FLOATS, len, work)
}

/// Lends `len` sums and `len` totals to `work`, with unspecified contents.
pub(crate) fn with_totals<T>(len: usize, work: impl FnOnce(&mut [f32], &mut [f64]) -> T) -> T {
    with(len, |sums| lend(&TOTALS, len, |totals| work(sums, totals)))
}

/// Lends two slices of whole numbers to `work`, with unspecified contents.
pub fn with_indices<T>(first: usize, second: usize, work: impl FnOnce(&mut [u32], &mut [u32]) -> T) -> T {
    lend(&INDICES, first + second, |indices| {
        let (a, b) = indices.split_at_mut(first);
        work(a, b)
    })
}

fn lend<N: Copy + Default, T>(
    pool: &'static LocalKey<Pool<N>>,
    len: usize,
    work: impl FnOnce(&mut [N]) -> T,
) -> T {
    let mut buffer = change(pool, Vec::pop).unwrap_or_default();
    let line = LINE / size_of::<N>();
    if buffer.len() < len + line {
        buffer.resize(len + line, N::default());
    }
    let start = buffer.as_ptr().align_offset(LINE);
    let result = work(&mut buffer[start..][..len]);
    change(pool, |free| free.push(buffer));
    result
}

fn change<N, T>(pool: &'static LocalKey<Pool<N>>, change: impl FnOnce(&mut Vec<Vec<N>>) -> T) -> T {
    let mut free = pool.take();
    let result = change(&mut free);
    pool.set(free);
    result
}
