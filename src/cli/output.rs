//! Text on standard output, errors, and files of JSON lines.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::file::write_atomically;

/// Prints a line on standard output, like `println!` but without a panic when nobody reads it.
#[doc(hidden)]
#[macro_export]
macro_rules! __say {
    ($($part:tt)*) => { $crate::cli::print(format_args!($($part)*)) };
}

/// Prints a line on standard output. If that fails, it ends the program.
pub fn print(line: fmt::Arguments<'_>) {
    try_print(line).unwrap_or_else(|error| fail(&error));
}

/// Prints a line on standard output.
///
/// # Errors
/// If it cannot be written.
pub fn try_print(line: fmt::Arguments<'_>) -> Result<()> {
    writeln!(io::stdout(), "{line}").map_err(|error| Error::io("standard output", "write", error))
}

/// Ends the program with a one-line error and exit code 1. If the reader of a pipe has closed it, the program
/// ends silently, as others in a pipe do.
pub fn fail(error: &Error) -> ! {
    if matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe) {
        process::exit(128 + 13);
    }
    // If standard error is closed as well, the exit code is all that is left.
    let _ = writeln!(io::stderr(), "error: {error}");
    process::exit(1)
}

/// The text with one JSON object per line.
pub fn json_lines(lines: &[impl Serialize]) -> String {
    lines.iter().map(|line| serde_json::to_string(line).expect("numbers and text") + "\n").collect()
}

/// Writes one JSON object per line.
///
/// # Errors
/// If the file cannot be written.
pub fn write_lines(path: &Path, lines: &[impl Serialize]) -> Result<()> {
    write_atomically(path, json_lines(lines))
}
