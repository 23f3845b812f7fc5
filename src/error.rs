//! The one error type for data from outside: files, flags, checkpoints.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

/// A result of reading or writing something outside the program.
pub type Result<T> = std::result::Result<T, Error>;

/// The error for bad data from outside. Its message is one line that names the path or flag, what was
/// expected and what was found. (A mistake in the program is not an `Error`; it panics at the caller's line.)
///
/// ```
/// use reparam::Error;
///
/// let error = Error::invalid("--tau", "a positive number", -1);
/// assert_eq!(error.to_string(), "--tau: expected a positive number, found -1");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The action that failed, as in "cannot read".
        action: String,
        /// The system's error.
        source: io::Error,
    },
    /// A file does not hold what it should.
    Format {
        /// The file or folder.
        path: PathBuf,
        /// The expected contents.
        expected: String,
        /// The contents found.
        found: String,
    },
    /// A value from outside, but not from a file, cannot be used.
    Invalid {
        /// The holder of the value: a flag, a variable, a field.
        what: String,
        /// The expected value.
        expected: String,
        /// The value found.
        found: String,
    },
}

impl Error {
    /// The error when the operating system refuses to `action` (as in "read") the file at `path`.
    pub fn io(path: impl AsRef<Path>, action: impl fmt::Display, source: io::Error) -> Error {
        Error::Io { path: path.as_ref().into(), action: action.to_string(), source }
    }

    /// The error when the file at `path` holds something other than it should.
    pub fn format(path: impl AsRef<Path>, expected: impl fmt::Display, found: impl fmt::Display) -> Error {
        Error::Format { path: path.as_ref().into(), expected: expected.to_string(), found: found.to_string() }
    }

    /// The error when a flag, variable or field called `what` has a value that cannot be used.
    pub fn invalid(what: impl fmt::Display, expected: impl fmt::Display, found: impl fmt::Display) -> Error {
        Error::Invalid { what: what.to_string(), expected: expected.to_string(), found: found.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = OneLine(f);
        match self {
            Error::Io { path, action, source } => {
                write!(line, "{}: cannot {action}: {source}", path.display())
            }
            Error::Format { path, expected, found } => {
                write!(line, "{}: expected {expected}, found {found}", path.display())
            }
            Error::Invalid { what, expected, found } => {
                write!(line, "{what}: expected {expected}, found {found}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::Format { .. } | Error::Invalid { .. } => None,
        }
    }
}

/// Escapes control characters, so that nothing a file or a flag contains breaks the line or drives the
/// terminal.
struct OneLine<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(char::is_control) {
            let plain = piece.trim_end_matches(char::is_control);
            self.0.write_str(plain)?;
            for control in piece[plain.len()..].chars() {
                write!(self.0, "{}", control.escape_default())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_it_quotes() {
        let error = Error::format("dir/a\nb", "text", "\u{1b}[2J\r\n\ttab");
        assert_eq!(error.to_string(), r"dir/a\nb: expected text, found \u{1b}[2J\r\n\ttab");
    }

    #[test]
    fn the_systems_words_are_kept_as_the_source() {
        let error = Error::io("model", "read", io::Error::other("disk on fire"));
        assert_eq!(error.to_string(), "model: cannot read: disk on fire");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk on fire");
    }
}
