//! Working memory of each thread, kept between calls so that a steady state allocates nothing.

use std::cell::Cell;

thread_local! {
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Lends `len` floats of unspecified content to `work`. The buffer is taken out of its place meanwhile, so that a
/// thread that picks up other work while `work` waits may borrow scratch as well.
pub fn with<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut buffer = SCRATCH.take();
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let result = work(&mut buffer[..len]);
    let other = SCRATCH.take();
    SCRATCH.set(if other.len() > buffer.len() { other } else { buffer });
    result
}
