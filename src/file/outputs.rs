//! Outputs of a command, which other processes may write at the same time.

mod folder;
mod lines;
mod lock;

use std::fs;
use std::path::{Path, PathBuf};

pub use folder::Folder;
pub(crate) use lines::Lines;
pub use lock::Lock;

use super::beside::Beside;
use super::open_beside;
use super::place::Place;
use crate::error::{Error, Result};

/// Checks that files can be written, before long work. It does not wait for the reader of a pipe.
///
/// # Errors
/// If a folder does not exist or does not allow new files, or an existing file cannot be written.
pub fn check_writable<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> Result<()> {
    paths.into_iter().try_for_each(|path| {
        let checked = Place::of(path).and_then(|place| match place {
            Place::File(file) => open_beside(&file).map(drop),
            Place::Stream(_) => Ok(()),
        });
        checked.map_err(|source| Error::io(path, "write", source))
    })
}

/// Makes a folder and checks that files can be written there, before long work.
///
/// # Errors
/// If either fails.
pub fn writable_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::io(path, "create the folder", error))?;
    let probe = Beside::file(&path.join("probe"));
    probe.map(drop).map_err(|error| Error::io(path, "write in the folder", error))
}

/// Returns true if a path names a device, a pipe or a descriptor, from which nothing can be read back.
pub fn is_stream(path: &Path) -> bool {
    Place::of(path).is_ok_and(|place| matches!(place, Place::Stream(_)))
}
