//! Working memory of each thread, kept between calls so that a steady state allocates nothing.
//!
//! A buffer is taken out of its place while it is lent, so that a thread that picks up other work while it waits may
//! borrow scratch as well.

use std::cell::Cell;
use std::thread::LocalKey;

thread_local! {
    static FLOATS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    static INDICES: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

/// Lends `len` floats of unspecified content to `work`.
pub fn with<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    lend(&FLOATS, len, work)
}

/// Lends two stretches of whole numbers of unspecified content to `work`.
pub fn with_indices<T>(first: usize, second: usize, work: impl FnOnce(&mut [u32], &mut [u32]) -> T) -> T {
    lend(&INDICES, first + second, |indices| {
        let (a, b) = indices.split_at_mut(first);
        work(a, b)
    })
}

fn lend<N: Copy + Default, T>(
    place: &'static LocalKey<Cell<Vec<N>>>,
    len: usize,
    work: impl FnOnce(&mut [N]) -> T,
) -> T {
    let mut buffer = place.take();
    if buffer.len() < len {
        buffer.resize(len, N::default());
    }
    let result = work(&mut buffer[..len]);
    let other = place.take();
    place.set(if other.len() > buffer.len() { other } else { buffer });
    result
}
