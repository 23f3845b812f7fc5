//! Files under a temporary name, in the folder of the file that they will replace.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::place::folder_of;
use crate::checksum::Checksum;

/// A unique temporary name in the folder of the target, where a rename is atomic. Dropping this removes the
/// file of that name; after the rename there is none.
pub(super) struct Beside {
    pub(super) path: PathBuf,
}

/// The ending of all temporary names.
const ENDING: &str = ".partial";
/// The longest target name, in bytes, that a temporary name contains. All file systems allow names of at
/// least 143 bytes.
const LONGEST: usize = 100;
/// Age from which a file without a lock is stale. A younger one may belong to a process that has not locked
/// it yet.
const STALE: Duration = Duration::from_secs(60);

impl Beside {
    /// Makes an empty file, locked for as long as it is open. Removes earlier ones that killed processes
    /// left.
    pub(super) fn file(target: &Path) -> io::Result<(File, Beside)> {
        remove_stale(target);
        let (file, beside) =
            Beside::make(target, |path| OpenOptions::new().write(true).create_new(true).open(path))?;
        // On file systems without locks, files of killed processes stay.
        let _ = file.try_lock();
        Ok((file, beside))
    }

    /// Makes a file or folder under a free name.
    pub(super) fn make<T>(
        target: &Path,
        mut make: impl FnMut(&Path) -> io::Result<T>,
    ) -> io::Result<(T, Beside)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let start = start_of(target)?;
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder_of(target).join(format!("{start}{}-{count}{ENDING}", process::id()));
            match make(&path) {
                Ok(made) => return Ok((made, Beside { path })),
                // The name belongs to another process with this number, on another machine or earlier. Its
                // file stays.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns the beginning of the temporary names for a target.
fn start_of(target: &Path) -> io::Result<String> {
    let names_no_file = || io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
    let name = target.file_name().ok_or_else(names_no_file)?;
    Ok(match name.to_str() {
        Some(name) if name.len() <= LONGEST => format!(".{name}."),
        _ => format!(".{}.", Checksum::of(name.as_encoded_bytes())),
    })
}

/// Returns the paths of files and folders under temporary names for a target.
pub(super) fn left_of(target: &Path) -> Vec<PathBuf> {
    let (Ok(start), Ok(entries)) = (start_of(target), fs::read_dir(folder_of(target))) else {
        return Vec::new();
    };
    let is_left =
        |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with(&start) && name.ends_with(ENDING));
    entries.flatten().filter(|entry| is_left(&entry.file_name())).map(|entry| entry.path()).collect()
}

/// Removes the files among them that no process is writing.
fn remove_stale(target: &Path) {
    let is_old = |path: &Path| {
        let changed = fs::metadata(path).and_then(|found| found.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > STALE))
    };
    let is_free =
        |path: &Path| OpenOptions::new().write(true).open(path).is_ok_and(|file| file.try_lock().is_ok());
    for path in left_of(target) {
        if path.is_file() && is_old(&path) && is_free(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes all files among them. The caller must know that no other process writes the target.
#[cfg(feature = "cli")]
pub(super) fn remove_partial(target: &Path) {
    left_of(target).iter().for_each(|path| _ = fs::remove_file(path));
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_is_left_goes_once_it_is_old_and_nobody_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let target = at("a.txt");
        let leave = |name: &str, age: u64| {
            let file = File::create(at(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
            file
        };
        leave(".a.txt.1-0.partial", 100);
        leave(".a.txt.2-0.partial", 10);
        let held = leave(".a.txt.3-0.partial", 100);
        held.try_lock().unwrap();
        leave(".b.txt.1-0.partial", 100);
        let (_, beside) = Beside::file(&target).unwrap();
        let mut left = left_of(&target);
        left.sort();
        let mut expected = vec![at(".a.txt.2-0.partial"), at(".a.txt.3-0.partial"), beside.path.clone()];
        expected.sort();
        assert_eq!(left, expected);
        assert!(at(".b.txt.1-0.partial").exists());
    }
}
