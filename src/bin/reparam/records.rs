//! Metrics: one JSON object a line, in a stable form that docs/json.md describes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use reparam::train::Record;
use reparam::{Error, Result, write_atomically};
use serde::{Deserialize, Serialize};

use crate::common::json_lines;

/// A line of the metrics file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) step: u64,
    epoch: u64,
    split: String,
    elbo: Option<f64>,
    nll: f64,
    standard_error: f64,
    accuracy: Option<f64>,
    samples: usize,
    tau: Option<f64>,
    learning_rate: f64,
    seconds: f64,
}

impl Line {
    pub(crate) fn new(record: &Record, seconds: f64) -> Line {
        Line {
            step: record.step,
            epoch: record.epoch,
            split: record.split.to_string(),
            elbo: record.scores.elbo,
            nll: record.scores.nll,
            standard_error: record.scores.standard_error,
            accuracy: record.scores.accuracy,
            samples: record.samples,
            tau: record.tau,
            learning_rate: record.learning_rate,
            seconds,
        }
    }
}

/// A metrics file that grows by whole lines.
pub(crate) struct Metrics {
    path: PathBuf,
    file: File,
    /// Time of the last line kept from the run that is continued; 0 for a new one.
    pub(crate) seconds_before: f64,
}

impl Metrics {
    /// Begins a file; continues one with the lines up to `step` if a run is resumed there.
    pub(crate) fn open(path: &Path, resumed_at: Option<u64>) -> Result<Metrics> {
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
    pub(crate) fn write(&mut self, line: &Line) -> Result<()> {
        let text = json_lines(std::slice::from_ref(line));
        let before = self.file.metadata().map(|found| found.len());
        self.file.write_all(text.as_bytes()).map_err(|error| {
            // A full disk takes the front of a line.
            let _ = before.and_then(|len| self.file.set_len(len));
            Error::io(&self.path, "write", error)
        })
    }
}

/// The lines of a metrics file that were written before `step` was passed, and the time of the last; a line cut
/// short by a kill is dropped.
fn lines_up_to(path: &Path, step: u64) -> Result<(Vec<u8>, f64)> {
    let contents = std::fs::read(path).map_err(|error| Error::io(path, "read", error))?;
    let (mut kept, mut seconds) = (Vec::new(), 0.0);
    for line in contents.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        match serde_json::from_slice::<Line>(line) {
            Ok(parsed) if parsed.step <= step && parsed.split != "test" => {
                kept.extend_from_slice(line);
                seconds = parsed.seconds;
            }
            _ => {}
        }
    }
    Ok((kept, seconds))
}
