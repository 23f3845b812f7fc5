//! Checks and clean-up of the places that files are written to.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// Makes a folder and checks that files can be written there, before hours of work.
///
/// # Errors
/// If either fails.
pub fn writable_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|error| Error::io(dir, "create the folder", error))?;
    let probe = dir.join(".writable");
    fs::write(&probe, b"").map_err(|error| Error::io(dir, "write in the folder", error))?;
    fs::remove_file(&probe).map_err(|error| Error::io(probe, "remove", error))
}

/// Checks, before long work, that a file can be written at its end.
///
/// # Errors
/// If its folder does not exist.
pub fn writable_folder_of(file: Option<&Path>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::metadata(folder).map(drop).map_err(|error| Error::io(file, "write", error))
}

/// Removes the remains of an unfinished write of one of the `names` from a folder.
pub fn remove_partial(dir: &Path, names: &[&str]) {
    remove_files(dir, |file| {
        file.ends_with(".partial") && names.iter().any(|name| file.starts_with(&format!(".{name}.")))
    });
}

/// Removes the files of a folder for which `is_to_remove` returns true.
pub fn remove_files(dir: &Path, is_to_remove: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if is_to_remove(&entry.file_name().to_string_lossy()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
