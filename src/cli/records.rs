//! Metrics: one JSON object a line, in a stable form that docs/json.md describes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::json_lines;
use crate::error::{Error, Result};
use crate::file::write_atomically;
use crate::train::Record;

/// A line of the metrics file.
#[derive(Serialize)]
pub struct MetricsLine {
    /// The scores.
    #[serde(flatten)]
    pub record: Record,
    /// Time since the run began.
    pub seconds: f64,
}

/// What a resumed run reads of a line.
#[derive(Deserialize)]
struct Kept {
    step: u64,
    split: String,
    seconds: f64,
}

/// A metrics file that grows by whole lines.
pub struct Metrics {
    path: PathBuf,
    file: File,
    /// Time of the last line kept from the run that is continued; 0 for a new one.
    pub seconds_before: f64,
}

impl Metrics {
    /// Begins a file. If a run is resumed at a step, the file keeps its lines up to that step.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: &Path, resumed_at: Option<u64>) -> Result<Metrics> {
        let (kept, seconds_before) = match resumed_at {
            Some(step) if path.is_file() => lines_up_to(path, step)?,
            _ => (Vec::new(), 0.0),
        };
        write_atomically(path, kept)?;
        let file =
            OpenOptions::new().append(true).open(path).map_err(|error| Error::io(path, "open", error))?;
        Ok(Metrics { path: path.to_owned(), file, seconds_before })
    }

    /// Adds a line, or nothing at all.
    ///
    /// # Errors
    /// If the line cannot be written.
    pub fn write(&mut self, record: Record, seconds: f64) -> Result<()> {
        let text = json_lines(&[MetricsLine { record, seconds }]);
        let before = self.file.metadata().map(|found| found.len());
        self.file.write_all(text.as_bytes()).map_err(|error| {
            // A full disk takes the front of a line.
            let _ = before.and_then(|len| self.file.set_len(len));
            Error::io(&self.path, "write", error)
        })
    }
}

/// The lines of a metrics file that were written before `step` was passed, and the time of the last. A line cut
/// short by a kill is dropped.
fn lines_up_to(path: &Path, step: u64) -> Result<(Vec<u8>, f64)> {
    let contents = std::fs::read(path).map_err(|error| Error::io(path, "read", error))?;
    let (mut kept, mut seconds) = (Vec::new(), 0.0);
    for line in contents.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        match serde_json::from_slice::<Kept>(line) {
            Ok(parsed) if parsed.step <= step && parsed.split != "test" => {
                kept.extend_from_slice(line);
                seconds = parsed.seconds;
            }
            _ => {}
        }
    }
    Ok((kept, seconds))
}
