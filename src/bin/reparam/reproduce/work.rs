//! What an unfinished cell keeps on disk, beside the file of results: checkpoints, and what is known so far.

use std::path::{Path, PathBuf};

use reparam::data::Digits;
use reparam::train::{CellRun, CellSettings};
use reparam::{Error, Result, write_atomically};
use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::lines::{Trial, file_name, read_text};
use crate::common::{remove_files, remove_partial, writable_dir};

/// The folder of unfinished cells, and this cell's name in it.
pub(super) struct Work {
    folder: PathBuf,
    name: String,
    pub(super) known: Known,
}

/// What is known of an unfinished cell.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Known {
    /// All that the cell was begun with.
    cell: String,
    pub(super) trials: Vec<Trial>,
    /// Bounds of the first test images.
    pub(super) test: Vec<f64>,
    /// Time spent.
    pub(super) seconds: f64,
}

impl Work {
    /// What an interrupted command left of the cell, or nothing yet.
    pub(super) fn open(results: &Path, cell: &Cell, data: &Digits) -> Result<Work> {
        let folder = results.with_extension("work");
        let name = file_name(&cell.row, &cell.column, cell.settings.seed);
        writable_dir(&folder)?;
        let Cell { settings, samples, search, .. } = cell;
        let identity =
            format!("{settings:?}, {samples} test samples, search {search:?}, on {}", data.fingerprint());
        let path = folder.join(format!("{name}.json"));
        let text = read_text(&path)?;
        if text.is_empty() {
            // Checkpoints without that file are of a run that is not wanted any more.
            remove_runs(&folder, &name);
            return Ok(Work { folder, name, known: Known { cell: identity, ..Known::default() } });
        }
        let known = serde_json::from_str::<Known>(&text)
            .map_err(|error| Error::format(&path, "what reproduce wrote", error))?;
        if known.cell != identity {
            let expected = "a cell of this command's settings and data (remove it to begin again)";
            return Err(Error::format(path, expected, "one of others"));
        }
        Ok(Work { folder, name, known })
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }

    /// The run number `number` of this cell, at its first step or where it was interrupted.
    pub(super) fn take_up<'d>(
        &self,
        number: usize,
        settings: CellSettings,
        data: &'d Digits,
    ) -> Result<CellRun<'d>> {
        let path = self.path(&format!("{number}.safetensors"));
        match path.is_file() {
            true => CellRun::resume(settings, data, &path),
            false => CellRun::new(settings, data),
        }
    }

    pub(super) fn save_run(&self, number: usize, run: &CellRun<'_>) -> Result<()> {
        run.checkpoint().save(&self.path(&format!("{number}.safetensors")))
    }

    pub(super) fn save(&self) -> Result<()> {
        let text = serde_json::to_string(&self.known).expect("numbers and text");
        write_atomically(self.path("json"), text)
    }

    /// Removes run number `number`, whose result is known.
    pub(super) fn forget_run(&self, number: usize) {
        let _ = std::fs::remove_file(self.path(&format!("{number}.safetensors")));
    }

    /// Removes what is left of a finished cell, and the folder with the last one.
    pub(super) fn close(self) {
        remove_runs(&self.folder, &self.name);
        let _ = std::fs::remove_file(self.path("json"));
        remove_partial(&self.folder, &[&self.name]);
        let _ = std::fs::remove_dir(&self.folder);
    }
}

/// Removes the checkpoints of a cell.
fn remove_runs(folder: &Path, name: &str) {
    remove_files(folder, |file| file.starts_with(&format!("{name}.")) && file.ends_with(".safetensors"));
}
