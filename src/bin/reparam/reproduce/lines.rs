//! The file of results: one JSON object a line, in a stable form that docs/json.md describes, and the curves beside it.

use std::path::{Path, PathBuf};

use reparam::{Error, Result, write_atomically};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Budget;
use super::cell::Cell;
use crate::common::json_lines;

/// A result.
#[derive(Serialize, Deserialize, Clone)]
pub(super) struct Line {
    pub(super) table: String,
    pub(super) row: String,
    pub(super) column: String,
    pub(super) paper: Option<f64>,
    pub(super) ours: f64,
    pub(super) standard_error: f64,
    pub(super) validation: f64,
    pub(super) steps: u64,
    /// The steps of the run that counts, where that was a short one of the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) short_steps: Option<u64>,
    pub(super) best_step: u64,
    pub(super) seconds: f64,
    pub(super) seed: u64,
    pub(super) budget: String,
    pub(super) estimator: String,
    pub(super) optimizer: String,
    pub(super) learning_rate: f64,
    pub(super) tau: Option<(f64, f64)>,
    pub(super) batch: usize,
    #[serde(default = "one")]
    pub(super) training_samples: usize,
    pub(super) test_samples: usize,
    /// How much the classes of labelled images count, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<f32>,
    /// What the images were, if not the embedded ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
    #[serde(default)]
    pub(super) search: Vec<Trial>,
    pub(super) label: Option<String>,
}

impl Line {
    pub(super) fn label(&self) -> String {
        label(&self.row, &self.column, self.seed)
    }

    /// The steps of the run that counts.
    pub(super) fn steps_of_run(&self) -> u64 {
        self.short_steps.unwrap_or(self.steps)
    }
}

/// What a cell is called in print.
pub(super) fn label(row: &str, column: &str, seed: u64) -> String {
    format!("{row}, {column}, seed {seed}")
}

fn one() -> usize {
    1
}

/// A learning rate, with two digits.
pub(super) fn rate(learning_rate: f64) -> String {
    format!("{learning_rate:.1e}")
}

/// What files of a cell are called. The tilde stays: (200H-784V) and (200H~784V) are two nets.
pub(super) fn file_name(row: &str, column: &str, seed: u64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '~' { c } else { '-' };
    format!("{row} {column} {seed}").chars().map(plain).collect()
}

/// Where the picture of what a cell's model draws is, beside a file of results.
pub(super) fn picture(results: &Path, row: &str, column: &str, seed: u64) -> PathBuf {
    results.with_extension("drawn").join(file_name(row, column, seed) + ".png")
}

/// How the runs in full begin among a line's trials.
pub(super) const IN_FULL: &str = "in full";

/// A run that the search made.
#[derive(Serialize, Deserialize, Clone)]
pub(super) struct Trial {
    pub(super) choice: String,
    /// The best score on the validation split; none if there was no finite one.
    pub(super) validation: Option<f64>,
}

/// The scores of a cell on the validation split, by step.
#[derive(Serialize, Deserialize, PartialEq)]
pub(super) struct Curve {
    pub(super) table: String,
    pub(super) row: String,
    pub(super) column: String,
    pub(super) seed: u64,
    /// Without a score where that was no finite number.
    pub(super) curve: Vec<(u64, Option<f64>)>,
}

impl Curve {
    /// Whether it is the one of a line's run.
    pub(super) fn is_of(&self, line: &Line) -> bool {
        let steps = self.curve.last().map(|&(step, _)| step);
        self.row == line.row
            && self.column == line.column
            && self.seed == line.seed
            && steps == Some(line.steps_of_run())
    }
}

/// The lines of a file, which grows by whole ones.
pub(super) struct Results {
    pub(super) path: PathBuf,
    pub(super) lines: Vec<Line>,
}

impl Results {
    /// Those of earlier runs; none where there is no file.
    pub(super) fn read(path: &Path) -> Result<Results> {
        Ok(Results { path: path.to_owned(), lines: read_lines(path)? })
    }

    /// The result of a cell in one of its columns, if it is there.
    pub(super) fn of(&self, cell: &Cell, column: &str) -> Option<&Line> {
        self.lines.iter().find(|line| {
            line.row == cell.row
                && line.column == column
                && line.seed == cell.settings.seed
                && line.steps == cell.settings.steps
        })
    }

    /// Checks that what is in the file was made as it would be made now: it is not run again, and one table shows all of it.
    pub(super) fn check(&self, cells: &[Cell], budget: Budget, data: Option<&str>) -> Result<()> {
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

    fn agree(&self, expected: &str, found: &str, line: &Line) -> Result<()> {
        if expected == found {
            return Ok(());
        }
        let expected = format!("no results or ones of {expected}; another --json keeps both");
        Err(Error::format(&self.path, expected, format!("{found} of {}", line.label())))
    }

    pub(super) fn has(&self, cell: &Cell) -> bool {
        self.of(cell, &cell.column).is_some()
    }

    pub(super) fn add(&mut self, lines: Vec<Line>, curve: &Curve) -> Result<()> {
        // The lines come last: they say that the cell is done. A kill in between has left the curve there.
        let curves = self.path.with_extension("curves.jsonl");
        if !read_lines(&curves)?.contains(curve) {
            append(&curves, &[curve])?;
        }
        append(&self.path, &lines)?;
        self.lines.extend(lines);
        Ok(())
    }
}

/// What an earlier run wrote.
pub(super) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = read_text(path)?;
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            Error::format(path, "lines that reproduce wrote", format!("line {}: {error}", number + 1))
        })
    };
    text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect()
}

/// Adds lines: all of them, or none.
pub(super) fn append(path: &Path, lines: &[impl Serialize]) -> Result<()> {
    write_atomically(path, read_text(path)? + &json_lines(lines))
}

/// What is in a file; nothing where there is none.
pub(super) fn read_text(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        text => text.map_err(|error| Error::io(path, "read", error)),
    }
}
