//! Metrics: one JSON object a line, in a stable form that docs/json.md describes.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use reparam::train::Record;
use reparam::{Error, Result, write_atomically};
use serde::{Deserialize, Serialize};

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
    tau: f64,
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
}

impl Metrics {
    /// Begins a file; continues one with the lines up to `step` if a run is resumed there.
    pub(crate) fn open(path: &Path, resumed_at: Option<u64>) -> Result<Metrics> {
        let kept = match resumed_at {
            Some(step) if path.exists() => lines_up_to(path, step)?,
            _ => String::new(),
        };
        write_atomically(path, |file| file.write_all(kept.as_bytes()))?;
        let file =
            OpenOptions::new().append(true).open(path).map_err(|error| Error::io(path, "open", error))?;
        Ok(Metrics { path: path.to_owned(), file })
    }

    pub(crate) fn write(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_string(line).expect("plain numbers and words");
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|error| Error::io(&self.path, "write", error))
    }
}

/// The lines of a metrics file that were written before `step` was passed; a line cut short by a kill is dropped.
fn lines_up_to(path: &Path, step: u64) -> Result<String> {
    let file = File::open(path).map_err(|error| Error::io(path, "read", error))?;
    let mut kept = String::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|error| Error::io(path, "read", error))?;
        let keep = serde_json::from_str::<Line>(&line)
            .is_ok_and(|parsed| parsed.step <= step && parsed.split != "test");
        if keep {
            kept.push_str(&line);
            kept.push('\n');
        }
    }
    Ok(kept)
}
