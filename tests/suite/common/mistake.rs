//! A mistake in a program, which must panic at the caller's line.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    /// The place of this thread's last panic.
    static PLACE: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// The text that a mistake panics with. It must name the line that calls this function as its place.
#[track_caller]
pub(crate) fn mistake<T>(run: impl FnOnce() -> T) -> String {
    let caller = Location::caller();
    let (text, place) = caught(run);
    assert_eq!(place, Some((caller.file().to_string(), caller.line())), "the place of: {text}");
    text
}

/// Returns the text of a panic, and checks that its place is in the file that calls this function.
#[track_caller]
pub(crate) fn mistake_in_file<T>(run: impl FnOnce() -> T) -> String {
    let caller = Location::caller();
    let (text, place) = caught(run);
    let place = place.expect("a panic has a place");
    assert!(place.0 == caller.file(), "line {} of {} is the place of: {text}", place.1, place.0);
    text
}

/// Returns the text of a panic and its place.
#[track_caller]
fn caught<T>(run: impl FnOnce() -> T) -> (String, Option<(String, u32)>) {
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
    CATCHING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    CATCHING.set(false);
    let Err(payload) = outcome else { panic!("no panic") };
    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    };
    (text, PLACE.take())
}
