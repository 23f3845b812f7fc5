//! The place that a path leads to.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The kind of place that a path names.
#[derive(Debug, PartialEq)]
pub(crate) enum Place {
    /// A file, existing or not. For a link, this is its target.
    File(PathBuf),
    /// A stream, which is written directly.
    Stream(Stream),
}

/// A device, a pipe, or a descriptor that is already open.
#[derive(Debug, PartialEq)]
pub(crate) enum Stream {
    /// Standard output, under any name such as `/dev/stdout` or `/dev/fd/1`.
    Output,
    /// Standard error.
    Error,
    /// Any other.
    At(PathBuf),
}

/// The largest number of links that we follow, as in Linux.
const MOST_LINKS: u32 = 40;

impl Place {
    /// Follows the links of a path.
    pub(crate) fn of(path: &Path) -> io::Result<Place> {
        let mut place = path.to_owned();
        for _ in 0..MOST_LINKS {
            if let Some(stream) = descriptor(&place) {
                return Ok(Place::Stream(stream));
            }
            match fs::symlink_metadata(&place) {
                Ok(found) if found.is_symlink() => place = folder_of(&place).join(fs::read_link(&place)?),
                Ok(found) if !found.is_file() && !found.is_dir() => {
                    return Ok(Place::Stream(Stream::At(place)));
                }
                _ => return Ok(Place::File(place)),
            }
        }
        Err(io::Error::other("too many links"))
    }
}

impl Stream {
    /// Opens the stream. A named pipe waits for its reader.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Write + Send>> {
        match self {
            // We do not open these by name, because a stream redirected to a file would be reopened at its
            // beginning.
            Stream::Output => Ok(Box::new(io::stdout())),
            Stream::Error => Ok(Box::new(io::stderr())),
            Stream::At(path) => Ok(Box::new(OpenOptions::new().append(true).open(path)?)),
        }
    }
}

/// Returns the descriptor of this process that a path names, if any.
fn descriptor(path: &Path) -> Option<Stream> {
    let folder = fs::canonicalize(folder_of(path)).ok()?;
    let of_descriptors = |place: &str| fs::canonicalize(place).is_ok_and(|place| place == folder);
    if !["/proc/self/fd", "/dev/fd"].into_iter().any(of_descriptors) {
        return None;
    }
    match path.file_name()?.to_str()? {
        "1" => Some(Stream::Output),
        "2" => Some(Stream::Error),
        _ => Some(Stream::At(path.to_owned())),
    }
}

/// Returns the folder that contains the last component of a path.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_name_of_a_descriptor_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("/dev/stdout", &link).unwrap();
        let stream = |path: &str| match Place::of(Path::new(path)).unwrap() {
            Place::Stream(stream) => stream,
            Place::File(place) => panic!("{path} leads to the file {}", place.display()),
        };
        let own = format!("/proc/{}/fd/1", std::process::id());
        for path in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", &own, link.to_str().unwrap()] {
            assert_eq!(stream(path), Stream::Output, "{path}");
        }
        assert_eq!(stream("/dev/stderr"), Stream::Error);
        assert_eq!(stream("/dev/fd/63"), Stream::At("/dev/fd/63".into()));
        assert_eq!(stream("/dev/null"), Stream::At("/dev/null".into()));
    }

    #[test]
    fn links_are_followed_to_a_file_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("second", at("first")).unwrap();
        symlink(at("missing"), at("second")).unwrap();
        assert_eq!(Place::of(&at("first")).unwrap(), Place::File(at("missing")));
        symlink("loop", at("loop")).unwrap();
        assert_eq!(Place::of(&at("loop")).unwrap_err().to_string(), "too many links");
    }
}
