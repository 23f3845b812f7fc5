//! Working memory of each thread, kept between calls so that a steady state allocates nothing.

use std::cell::RefCell;

thread_local! {
    /// Buffers not on loan, the one given back last on top.
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `len` floats of unspecified content to `work`. Loans nest: work that borrows again, or a thread that picks
/// up other work while `work` waits, gets another buffer.
pub fn with<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut buffer = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let result = work(&mut buffer[..len]);
    FREE.with_borrow_mut(|free| free.push(buffer));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loans_nest_and_come_back() {
        let address = |x: &mut [f32]| x.as_ptr() as usize;
        let both = || with(100, |outer| (address(outer), with(50, |inner| address(inner))));
        let first = both();
        assert_ne!(first.0, first.1);
        assert_eq!(both(), first);
    }
}
