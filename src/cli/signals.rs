//! Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// The exit code of a command that Ctrl-C ended, as in shells.
pub const INTERRUPTED: i32 = 130;

/// A flag that Ctrl-C and a request to terminate set.
///
/// # Errors
/// If the system does not allow a handler.
pub fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    ctrlc::set_handler(move || set.store(true, Ordering::Relaxed))
        .map_err(|error| Error::invalid("Ctrl-C", "a signal handler", error))?;
    Ok(flag)
}
