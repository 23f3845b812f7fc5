//! A file that grows by whole lines.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::file::place::Place;
use crate::file::write_atomically;

/// An output that receives lines, one after another.
pub(crate) struct Lines {
    path: PathBuf,
    out: Out,
}

enum Out {
    File(File),
    Stream(Box<dyn Write + Send>),
}

impl Lines {
    /// Writes a file with its first lines. A device, a pipe or a descriptor receives only the lines that are
    /// added later.
    pub(crate) fn begin(path: &Path, contents: &[u8]) -> Result<Lines> {
        let cannot_open = |error| Error::io(path, "open", error);
        let out = match Place::of(path).map_err(cannot_open)? {
            Place::Stream(stream) => Out::Stream(stream.open().map_err(cannot_open)?),
            Place::File(file) => {
                write_atomically(path, contents)?;
                Out::File(OpenOptions::new().append(true).open(file).map_err(cannot_open)?)
            }
        };
        Ok(Lines { path: path.to_owned(), out })
    }

    /// Adds a line. If that fails, a file is left without a part of the line.
    pub(crate) fn add(&mut self, line: &str) -> Result<()> {
        let added = match &mut self.out {
            Out::File(file) => append(file, line.as_bytes()),
            Out::Stream(stream) => stream.write_all(line.as_bytes()).and_then(|()| stream.flush()),
        };
        added.map_err(|error| Error::io(&self.path, "write", error))
    }
}

fn append(file: &mut File, line: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(line).inspect_err(|_| {
        // On a full disk, the first part of the line may have been written.
        let _ = file.set_len(before);
    })
}
