//! A mistake in a program: it must panic at the caller's line.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    /// Where the last panic of this thread was.
    static PLACE: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// The text that a mistake panics with. It must name the line that calls this function as its place.
#[track_caller]
pub(crate) fn mistake<T>(run: impl FnOnce() -> T) -> String {
    static NOTE_PLACES: Once = Once::new();
    NOTE_PLACES.call_once(|| {
        let other = take_hook();
        set_hook(Box::new(move |info| {
            if !CATCHING.get() {
                return other(info);
            }
            PLACE.set(info.location().map(|place| (place.file().to_string(), place.line())));
        }));
    });
    let caller = Location::caller();
    CATCHING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    CATCHING.set(false);
    let Err(payload) = outcome else { panic!("line {}: no panic", caller.line()) };
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    };
    assert_eq!(PLACE.take(), Some((caller.file().to_string(), caller.line())), "the place of: {text}");
    text
}
