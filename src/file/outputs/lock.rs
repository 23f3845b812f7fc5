//! Locks between processes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::file::place::folder_of;

/// A lock that one process at a time holds. Its file exists while the lock is held. A file that a killed
/// process left behind locks nothing.
pub struct Lock {
    pub(super) path: PathBuf,
    /// The system releases the lock when the process ends.
    _file: File,
}

/// The files of the locks that this process holds.
static HELD: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn held() -> MutexGuard<'static, Vec<PathBuf>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of attempts, because another process may remove the folder or the file before we hold the lock.
const TRIES: u32 = 1000;

impl Lock {
    /// Takes the lock at `path`, and creates its folder if necessary. Returns `None` if another process holds
    /// it.
    ///
    /// # Errors
    /// If the system fails.
    pub fn take(path: &Path) -> Result<Option<Lock>> {
        let attempt = |file: &File| match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(true),
        };
        hold(path, attempt).map_err(|error| Error::io(path, "lock", error))
    }

    /// Waits until no other process holds the lock at `path`, and takes it.
    ///
    /// # Errors
    /// If the system fails.
    pub fn wait(path: &Path) -> Result<Lock> {
        let held = hold(path, |file| file.lock().map(|()| true));
        held.map(|lock| lock.expect("waited for")).map_err(|error| Error::io(path, "lock", error))
    }
}

fn hold(path: &Path, attempt: impl Fn(&File) -> io::Result<bool>) -> io::Result<Option<Lock>> {
    for _ in 0..TRIES {
        let folder = folder_of(path);
        match fs::create_dir_all(folder) {
            // The folder existed, but a process that released another lock in it removed it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !folder.exists() => continue,
            made => made?,
        }
        let file = match OpenOptions::new().write(true).create(true).truncate(false).open(path) {
            // The holder of another lock in the folder has removed the folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        match attempt(&file) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            // The file system has no locks. A process that is alone needs none.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        // If its last holder removed the file, the next process would create another one, and both would hold
        // a lock.
        if is_at(&file, path) {
            held().push(path.to_owned());
            return Ok(Some(Lock { path: path.to_owned(), _file: file }));
        }
    }
    Err(io::Error::other("the folder keeps disappearing"))
}

/// Returns true if the open file is still the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |found: fs::Metadata| (found.dev(), found.ino());
    let (own, there) = (file.metadata().map(place), fs::metadata(path).map(place));
    own.is_ok_and(|own| there.is_ok_and(|there| own == there))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

impl Lock {
    /// Removes the files of all locks of this process. It is for an exit that drops nothing.
    pub(crate) fn remove_all() {
        held().iter().for_each(|path| _ = fs::remove_file(path));
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        held().retain(|held| *held != self.path);
        // We remove the file before it is closed, because a waiting process then checks that it still exists.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_holds_it_at_a_time_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/lock");
        let lock = Lock::take(&path).unwrap().unwrap();
        assert!(Lock::take(&path).unwrap().is_none());
        drop(lock);
        assert!(!path.exists());
        // A killed process leaves such a file.
        fs::write(&path, "").unwrap();
        assert!(Lock::take(&path).unwrap().is_some());
        assert!(!path.exists());
    }

    /// Each thread releases the file that the others wait for, and removes its folder.
    #[test]
    fn waiting_threads_take_it_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/lock");
        let (inside, rounds) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let lock = Lock::wait(&path).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        rounds.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                        let _ = fs::remove_dir(path.parent().unwrap());
                    }
                });
            }
        });
        assert_eq!(rounds.into_inner(), 800);
    }
}
