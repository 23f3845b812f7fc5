//! The folder of a run. One process at a time writes in it, and another run replaces it whole or not at all.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::lock::Lock;
use crate::error::{Error, Result};
use crate::file::beside::{Beside, left_of, remove_partial};
use crate::file::copy_owner;

/// A folder that belongs to this process until the value is dropped. If the folder is new and still empty
/// then, the drop removes it.
pub struct Folder {
    path: PathBuf,
    /// The names of the files that a run writes there.
    own: &'static [&'static str],
    lock: Option<Lock>,
    /// The folders that were created for it, the innermost first.
    made: Vec<PathBuf>,
}

/// The name of the lock in a folder.
const LOCK: &str = ".reparam.lock";

impl Folder {
    /// Claims the folder at `path` for a run that writes the files `own` there. Creates the folder if
    /// necessary.
    ///
    /// # Errors
    /// If it cannot be created or written, or another process has claimed it.
    pub fn claim(path: &Path, own: &'static [&'static str]) -> Result<Folder> {
        let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let made = path.ancestors().take_while(is_missing).map(Path::to_owned).collect();
        let mut folder = Folder { path: path.to_owned(), own, lock: None, made };
        fs::create_dir_all(path).map_err(|error| Error::io(path, "create the folder", error))?;
        folder.lock = Lock::take(&path.join(LOCK))
            .map_err(|error| Error::io(path, "write in the folder", source(error)))?;
        if folder.lock.is_none() {
            let expected = "a folder that no other process writes in";
            let found = "one in use; wait for that run to end, or give another --out";
            return Err(Error::format(path, expected, found));
        }
        folder.finish_swaps();
        own.iter().for_each(|own| remove_partial(&path.join(own)));
        Ok(folder)
    }

    /// Replaces the folder with a new one, in which `fill` has written the first files. At any moment, either
    /// the old folder or the new one is there as a whole. The files of the previous run are removed, and
    /// other files move to the new folder.
    ///
    /// # Errors
    /// If `fill` or the system fails. Nothing has changed then.
    pub fn replace(&mut self, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let place = fs::canonicalize(&self.path).map_err(|error| self.refused(error))?;
        if env::current_dir().is_ok_and(|current| current.starts_with(&place)) {
            let found = "the current one; leave it, or give another --out";
            return Err(Error::format(&self.path, "a folder that --force can replace", found));
        }
        let made = Beside::make(&place, |path| fs::create_dir(path));
        let (_, new) = made.map_err(|error| self.refused(error))?;
        let outcome = self.swap(&place, &new.path, fill);
        // After the swap, the old folder has this name.
        self.clear(&new.path);
        outcome
    }

    fn swap(&mut self, place: &Path, new: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let mut lock = Lock::take(&new.join(LOCK))?.expect("nobody else knows the folder");
        let made = fs::metadata(place).and_then(|old| copy_owner(&old, new));
        made.map_err(|error| self.refused(error))?;
        fill(new)?;
        exchange(new, place).map_err(|error| self.refused(error))?;
        let before = self.lock.as_mut().expect("held since the claim");
        std::mem::swap(&mut before.path, &mut lock.path);
        std::mem::swap(before, &mut lock);
        Ok(())
    }

    fn refused(&self, error: io::Error) -> Error {
        Error::io(&self.path, "replace the folder (remove it, or give another --out)", error)
    }

    /// Finishes the work of processes that were killed before or after such a swap.
    fn finish_swaps(&self) {
        let place = fs::canonicalize(&self.path);
        let left = place.map(|place| left_of(&place)).unwrap_or_default();
        left.iter().filter(|left| left.is_dir()).for_each(|left| self.clear(left));
    }

    /// Removes a folder: deletes the files of a run in it, and moves all others to the claimed folder.
    fn clear(&self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (name, to) = (entry.file_name(), self.path.join(entry.file_name()));
            let is_own = self.own.iter().any(|own| name == **own) || name == LOCK;
            let _ = match is_own {
                true => fs::remove_file(entry.path()),
                false if to.symlink_metadata().is_ok() => Ok(()),
                false => fs::rename(entry.path(), to),
            };
        }
        let _ = fs::remove_dir(folder);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.lock.take());
        for folder in &self.made {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Swaps two folders atomically.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns the system's error.
fn source(error: Error) -> io::Error {
    match error {
        Error::Io { source, .. } => source,
        error => io::Error::other(error),
    }
}
