//! The file of results, one JSON object per line, in a stable form that docs/json.md describes, and the
//! curves next to it.

use std::path::{Path, PathBuf};

use reparam::cli::files::{Lock, is_stream};
use reparam::cli::json_lines;
use reparam::internal::write_atomically;
use reparam::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Budget;
use crate::cell::Cell;

/// The result of a cell, as a line of the file.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct CellRecord {
    pub(crate) table: String,
    pub(crate) row: String,
    pub(crate) column: String,
    pub(crate) paper: Option<f64>,
    pub(crate) ours: f64,
    pub(crate) standard_error: f64,
    pub(crate) validation: f64,
    pub(crate) steps: u64,
    /// The steps of the run that counts, if it was a short run of the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) short_steps: Option<u64>,
    pub(crate) best_step: u64,
    pub(crate) seconds: f64,
    pub(crate) seed: u64,
    pub(crate) budget: String,
    pub(crate) estimator: String,
    pub(crate) optimizer: String,
    pub(crate) learning_rate: f64,
    pub(crate) tau: Option<(f64, f64)>,
    pub(crate) batch: usize,
    #[serde(default = "one")]
    pub(crate) training_samples: usize,
    pub(crate) test_samples: usize,
    /// The weight of the classes of labelled images, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<f32>,
    /// The images, if not the embedded ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<String>,
    #[serde(default)]
    pub(crate) search: Vec<Trial>,
    pub(crate) label: Option<String>,
}

impl CellRecord {
    pub(crate) fn label(&self) -> String {
        label(&self.row, &self.column, self.seed)
    }

    /// The steps of the run that counts.
    pub(crate) fn steps_of_run(&self) -> u64 {
        self.short_steps.unwrap_or(self.steps)
    }
}

/// The name of a cell in print.
pub(crate) fn label(row: &str, column: &str, seed: u64) -> String {
    format!("{row}, {column}, seed {seed}")
}

fn one() -> usize {
    1
}

/// A learning rate, with two digits.
pub(crate) fn rate(learning_rate: f64) -> String {
    format!("{learning_rate:.1e}")
}

/// The name of a cell's files. The tilde stays, because (200H-784V) and (200H~784V) are two nets.
pub(crate) fn file_name(row: &str, column: &str, seed: u64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '~' { c } else { '-' };
    format!("{row} {column} {seed}").chars().map(plain).collect()
}

/// Returns the path of a file or folder next to a file of results. Its name has `ending` in place of
/// `.jsonl`, or after any other ending.
pub(crate) fn beside(results: &Path, ending: &str) -> PathBuf {
    let mut name = match results.extension() {
        Some(extension) if extension == "jsonl" => results.file_stem().unwrap_or_default().to_owned(),
        _ => results.file_name().unwrap_or_default().to_owned(),
    };
    name.push(".");
    name.push(ending);
    results.with_file_name(name)
}

/// Returns the path of the picture that a cell's model draws.
pub(crate) fn picture(results: &Path, row: &str, column: &str, seed: u64) -> PathBuf {
    beside(results, "drawn").join(file_name(row, column, seed) + ".png")
}

/// Returns the path of the model that gave a cell's figures.
pub(crate) fn model(results: &Path, row: &str, column: &str, seed: u64) -> PathBuf {
    beside(results, "models").join(file_name(row, column, seed) + ".safetensors")
}

/// The beginning of the full runs' names among a line's trials.
pub(crate) const IN_FULL: &str = "in full";

/// A run that the search made.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Trial {
    pub(crate) choice: String,
    /// The best score on the validation split; `None` if none was finite.
    pub(crate) validation: Option<f64>,
}

/// The scores of a cell on the validation split, by step.
#[derive(Serialize, Deserialize, PartialEq)]
pub(crate) struct Curve {
    pub(crate) table: String,
    pub(crate) row: String,
    pub(crate) column: String,
    pub(crate) seed: u64,
    /// The scores; `None` for one that was not finite.
    pub(crate) curve: Vec<(u64, Option<f64>)>,
}

impl Curve {
    /// Returns true if it is the curve of a line's run.
    pub(crate) fn is_of(&self, line: &CellRecord) -> bool {
        let steps = self.curve.last().map(|&(step, _)| step);
        self.row == line.row
            && self.column == line.column
            && self.seed == line.seed
            && steps == Some(line.steps_of_run())
    }
}

/// The lines of a file of results, which grows by whole lines. Several commands may add to one file at the
/// same time.
pub(crate) struct Results {
    pub(crate) path: PathBuf,
    /// The file next to which pictures, models and unfinished work are stored. It is `path`, or the table's
    /// own file if `path` is a stream.
    pub(crate) place: PathBuf,
    lines: Vec<CellRecord>,
}

impl Results {
    /// Reads the results of earlier runs. There are none if `path` does not exist or is a stream.
    pub(crate) fn read(path: &Path, own: &Path) -> Result<Results> {
        let place = if is_stream(path) { own } else { path };
        let mut results = Results { path: path.to_owned(), place: place.to_owned(), lines: Vec::new() };
        results.read_again()?;
        Ok(results)
    }

    /// Reads the file again, because other commands may have added lines.
    pub(crate) fn read_again(&mut self) -> Result<()> {
        if !is_stream(&self.path) {
            self.lines = read_lines(&self.path)?;
        }
        Ok(())
    }

    /// Returns the message of an interrupted command.
    pub(crate) fn stopped(&self) -> String {
        format!("stopped; the same command resumes, with the results in {}", self.path.display())
    }

    /// The result of a cell in one of its columns, if present.
    pub(crate) fn of(&self, cell: &Cell, column: &str) -> Option<&CellRecord> {
        self.lines.iter().find(|line| {
            line.row == cell.row
                && line.column == column
                && line.seed == cell.settings.seed
                && line.steps == cell.settings.steps
        })
    }

    /// Checks that the results in the file were made as they would be made now, because they are not run
    /// again and one table shows all of them.
    pub(crate) fn check(&self, cells: &[Cell], budget: Budget, data: Option<&str>) -> Result<()> {
        let made = |budget: &str, data: Option<&str>| {
            let on = data.map_or(String::new(), |data| format!(" on {data}"));
            format!("budget {budget}{on}")
        };
        let expected = made(budget.name(), data);
        for line in &self.lines {
            self.agree(&expected, &made(&line.budget, line.data.as_deref()), line)?;
        }
        let samples = |count: usize| format!("{count} test samples");
        for cell in cells {
            let Some(line) = self.of(cell, &cell.column) else { continue };
            self.agree(&samples(cell.samples), &samples(line.test_samples), line)?;
        }
        Ok(())
    }

    fn agree(&self, expected: &str, found: &str, line: &CellRecord) -> Result<()> {
        if expected == found {
            return Ok(());
        }
        let expected = format!("no results or ones of {expected}; another --json keeps both");
        Err(Error::format(&self.path, expected, format!("{found} of {}", line.label())))
    }

    pub(crate) fn has(&self, cell: &Cell) -> bool {
        self.of(cell, &cell.column).is_some()
    }

    pub(crate) fn add(&mut self, lines: Vec<CellRecord>, curve: &Curve) -> Result<()> {
        let curves = beside(&self.place, "curves.jsonl");
        let _lock = Lock::wait(&beside(&self.place, "work").join("results.lock"))?;
        // The lines come last, because they mark the cell as done. A kill in between leaves only the curve.
        if !read_lines(&curves)?.contains(curve) {
            append(&curves, &[curve])?;
        }
        append(&self.path, &lines)?;
        self.lines.extend(lines);
        Ok(())
    }
}

/// The lines that an earlier run wrote.
pub(crate) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = read_text(path)?;
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            Error::format(path, "lines written by reparam-papers", format!("line {}: {error}", number + 1))
        })
    };
    text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect()
}

/// Adds lines: all of them, or none.
fn append(path: &Path, lines: &[impl Serialize]) -> Result<()> {
    let before = if is_stream(path) { String::new() } else { read_text(path)? };
    write_atomically(path, before + &json_lines(lines))
}

/// The text of a file; empty if there is no file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        text => text.map_err(|error| Error::io(path, "read", error)),
    }
}
