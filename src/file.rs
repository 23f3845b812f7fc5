//! Files that are written whole or not at all, and coordination between processes that write at the same
//! time.

mod beside;
#[cfg(feature = "cli")]
pub mod outputs;
mod place;

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use self::beside::Beside;
use self::place::Place;
use crate::error::{Error, Result};

/// Writes a file so that, whatever happens, `path` holds either all of the new contents or its old ones. It
/// writes a file next to it, syncs and renames. The file keeps its permissions and its owner, and a symbolic
/// link still points at the same file, existing or not. Another name of the file (a hard link) keeps the old
/// contents. A device, a pipe or a descriptor such as `/dev/stdout` is written directly.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("metrics.json");
/// reparam::internal::write_atomically(&path, "{}\n")?;
/// # Ok::<(), reparam::Error>(())
/// ```
///
/// # Errors
/// If the system refuses (no such folder, no permission, a full disk). Nothing half-written then remains.
pub fn write_atomically(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> Result<()> {
    let (path, contents) = (path.as_ref(), contents.as_ref());
    let written = Place::of(path).and_then(|place| match place {
        Place::File(file) => replace(&file, |file| file.write_all(contents)),
        Place::Stream(stream) => {
            let mut stream = stream.open()?;
            stream.write_all(contents)?;
            stream.flush()
        }
    });
    written.map_err(|source| Error::io(path, "write", source))
}

fn replace(target: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (mut file, beside) = open_beside(target)?;
    write(&mut file)?;
    file.sync_all()?;
    fs::rename(&beside.path, target)
}

/// Opens an empty file that will replace the target. Fails if the target exists and is not writable.
fn open_beside(target: &Path) -> io::Result<(File, Beside)> {
    let old = match OpenOptions::new().write(true).open(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        old => Some(old?.metadata()?),
    };
    let (file, beside) = Beside::file(target)?;
    if let Some(old) = old {
        copy_owner(&old, &beside.path)?;
    }
    Ok((file, beside))
}

/// Gives the file or folder at `path` the owner and the permissions of an older one.
fn copy_owner(old: &Metadata, path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, chown};
        // A process without the right to change the owner keeps the file, but sets the group if it can.
        let _ = chown(path, Some(old.uid()), Some(old.gid())).or_else(|_| chown(path, None, Some(old.gid())));
    }
    fs::set_permissions(path, old.permissions())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn writes_and_overwrites_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_failure_keeps_the_old_file_and_removes_the_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let error = replace(&path, |file| {
            file.write_all(&[7; 1 << 20])?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let panicked = std::panic::catch_unwind(|| replace(&path, |_| panic!("in the middle")));
        assert!(panicked.is_err());
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn what_cannot_be_a_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("missing/a.txt"), folder.path().into(), "/".into(), "..".into()] {
            write_atomically(&path, b"x").unwrap_err();
        }
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_stay() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn the_owner_stays_where_this_process_may_give_a_file_away() {
        use std::os::unix::fs::{MetadataExt, chown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let may = chown(&path, Some(1234), Some(1234)).is_ok();
        write_atomically(&path, b"new").unwrap();
        let found = fs::metadata(&path).unwrap();
        assert!(!may || (found.uid(), found.gid()) == (1234, 1234));
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_may_not_be_written_stays_as_it_is() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        // Root can write every file.
        if OpenOptions::new().write(true).open(&path).is_err() {
            let error = write_atomically(&path, b"new").unwrap_err().to_string();
            assert!(error.ends_with("cannot write: Permission denied (os error 13)"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"old");
        }
    }

    #[test]
    fn another_name_of_a_file_keeps_the_old_contents() {
        let folder = tempfile::tempdir().unwrap();
        let (path, backup) = (folder.path().join("a.txt"), folder.path().join("backup"));
        fs::write(&path, "old").unwrap();
        fs::hard_link(&path, &backup).unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&backup).unwrap()), (b"new".into(), b"old".into()));
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_links_and_devices_stay_devices() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(folder.path().join("between"), &link).unwrap();
        std::os::unix::fs::symlink("file", folder.path().join("between")).unwrap();
        write_atomically(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        fs::remove_file(&file).unwrap();
        write_atomically(&link, b"anew").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"anew");
        assert!(fs::symlink_metadata(folder.path().join("between")).unwrap().is_symlink());

        write_atomically("/dev/null", b"x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
