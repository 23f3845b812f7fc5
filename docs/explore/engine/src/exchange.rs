//! The exchange of numbers and text between a page and the engine: three buffers that the engine owns.
//!
//! A page asks for room with [`input`] and [`text`], writes there, calls a function, and finds as many
//! numbers as it returned at [`output`]. A panic leaves its message at [`said`] before it traps.

use std::cell::RefCell;

#[derive(Default)]
struct Exchange {
    input: Vec<f64>,
    text: Vec<u8>,
    output: Vec<f64>,
    said: String,
}

thread_local! {
    static EXCHANGE: RefCell<Exchange> = RefCell::default();
}

/// Makes panics leave their message at [`said`]. Called once, first.
#[unsafe(no_mangle)]
pub extern "C" fn begin() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload.downcast_ref::<String>().map(String::as_str);
        say(message.or(payload.downcast_ref::<&str>().copied()).unwrap_or("the engine panicked").to_owned());
    }));
}

/// Room for the numbers of the next call.
#[unsafe(no_mangle)]
pub extern "C" fn input(len: usize) -> *mut f64 {
    EXCHANGE.with_borrow_mut(|exchange| {
        exchange.input.clear();
        exchange.input.resize(len, 0.0);
        exchange.input.as_mut_ptr()
    })
}

/// Room for the text or the bytes of the next call.
#[unsafe(no_mangle)]
pub extern "C" fn text(len: usize) -> *mut u8 {
    EXCHANGE.with_borrow_mut(|exchange| {
        exchange.text.clear();
        exchange.text.resize(len, 0);
        exchange.text.as_mut_ptr()
    })
}

/// The numbers that the last call left.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const f64 {
    EXCHANGE.with_borrow(|exchange| exchange.output.as_ptr())
}

/// The text that the last call left, in UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn said() -> *const u8 {
    EXCHANGE.with_borrow(|exchange| exchange.said.as_ptr())
}

/// The number of bytes at [`said`].
#[unsafe(no_mangle)]
pub extern "C" fn said_len() -> usize {
    EXCHANGE.with_borrow(|exchange| exchange.said.len())
}

/// The inputs of a call.
pub(crate) struct Given {
    pub(crate) numbers: Vec<f64>,
    pub(crate) bytes: Vec<u8>,
}

impl Given {
    /// The numbers, rounded for the engine.
    pub(crate) fn in_f32(&self) -> Vec<f32> {
        self.numbers.iter().map(|&x| x as f32).collect()
    }

    /// The text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("text from a page is UTF-8")
    }
}

/// Computes an answer from what the page gave, and returns its length.
pub(crate) fn answer(compute: impl FnOnce(&Given, &mut Vec<f64>)) -> usize {
    let (given, mut output) = EXCHANGE.with_borrow_mut(|exchange| {
        let given =
            Given { numbers: std::mem::take(&mut exchange.input), bytes: std::mem::take(&mut exchange.text) };
        (given, std::mem::take(&mut exchange.output))
    });
    output.clear();
    compute(&given, &mut output);
    EXCHANGE.with_borrow_mut(|exchange| {
        exchange.output = output;
        exchange.input = given.numbers;
        exchange.text = given.bytes;
        exchange.output.len()
    })
}

/// Leaves a text for the page.
pub(crate) fn say(text: String) {
    EXCHANGE.with_borrow_mut(|exchange| exchange.said = text);
}
