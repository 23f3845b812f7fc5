//! The files that an unfinished cell keeps next to the file of results: checkpoints, and the results known so
//! far.

use std::fs;
use std::path::{Path, PathBuf};

use reparam::cli::files::Lock;
use reparam::data::Digits;
use reparam::internal::write_atomically;
use reparam::train::{Evaluation, Run};
use reparam::{Checkpoint, Error, Result};
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::records::{Trial, beside, file_name, read_text};
use crate::settings::Settings;

/// The folder of unfinished cells, and this cell's name in it.
pub(crate) struct Work {
    folder: PathBuf,
    name: String,
    /// The lock that keeps other commands from working on this cell.
    lock: Lock,
    pub(crate) known: Known,
}

/// The known results of an unfinished cell.
#[derive(Serialize, Deserialize, Default)]
pub(crate) struct Known {
    /// The settings and the data that the cell began with.
    cell: String,
    pub(crate) trials: Vec<Trial>,
    /// Time spent.
    pub(crate) seconds: f64,
}

impl Work {
    /// Opens the unfinished work that an interrupted command left for the cell, if any. Returns `None` while
    /// another command works on the cell.
    pub(crate) fn open(results: &Path, cell: &Cell, data: &Digits) -> Result<Option<Work>> {
        let folder = beside(results, "work");
        let name = file_name(&cell.row, &cell.column, cell.settings.seed);
        let Some(lock) = Lock::take(&folder.join(format!("{name}.lock")))? else { return Ok(None) };
        let Cell { settings, samples, search, .. } = cell;
        let identity =
            format!("{settings:?}, {samples} test samples, search {search:?}, on {}", data.fingerprint());
        let path = folder.join(format!("{name}.json"));
        let text = read_text(&path)?;
        if text.is_empty() {
            // Checkpoints without that file belong to a run that is no longer wanted.
            remove_runs(&folder, &name);
            let known = Known { cell: identity, ..Known::default() };
            return Ok(Some(Work { folder, name, lock, known }));
        }
        let known = serde_json::from_str::<Known>(&text)
            .map_err(|error| Error::format(&path, "a file written by reparam-papers", error))?;
        if known.cell != identity {
            let expected = "a cell of this command's settings and data (remove it to begin again)";
            return Err(Error::format(path, expected, "a cell of other settings or data"));
        }
        Ok(Some(Work { folder, name, lock, known }))
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }

    /// The run number `number` of this cell, at its first step or where it was interrupted.
    pub(crate) fn resume<'d>(&self, number: usize, settings: &Settings, data: &'d Digits) -> Result<Run<'d>> {
        let path = self.path(&format!("{number}.safetensors"));
        let mut run = settings.plan().begin(data)?;
        if path.is_file() {
            run.restore(&Checkpoint::load(&path)?)?;
        }
        Ok(run)
    }

    pub(crate) fn save_run(&self, number: usize, run: &Run<'_>) -> Result<()> {
        run.checkpoint().save(&self.path(&format!("{number}.safetensors")))
    }

    /// Continues an evaluation of the test images where it was interrupted.
    pub(crate) fn resume_test(&self, test: &mut Evaluation) -> Result<()> {
        let path = self.path("test.safetensors");
        match path.is_file() {
            true => test.restore("test.", &Checkpoint::load(&path)?),
            false => Ok(()),
        }
    }

    pub(crate) fn save_test(&self, test: &Evaluation) -> Result<()> {
        let mut checkpoint = Checkpoint::new();
        test.save("test.", &mut checkpoint);
        checkpoint.save(&self.path("test.safetensors"))
    }

    pub(crate) fn save(&self) -> Result<()> {
        let text = serde_json::to_string(&self.known).expect("numbers and text");
        write_atomically(self.path("json"), text)
    }

    /// Removes run number `number`, whose result is known.
    pub(crate) fn forget_run(&self, number: usize) {
        let _ = fs::remove_file(self.path(&format!("{number}.safetensors")));
    }

    /// Removes what is left of a finished cell, and the folder with the last one.
    pub(crate) fn close(self) {
        let Work { folder, name, lock, .. } = self;
        let starts = [format!("{name}."), format!(".{name}.")];
        // Dropping the lock removes its file, which must go last.
        remove(&folder, |file| {
            !file.ends_with(".lock") && starts.iter().any(|start| file.starts_with(start))
        });
        drop(lock);
        let _ = fs::remove_dir(folder);
    }
}

/// Removes the checkpoints of a cell.
fn remove_runs(folder: &Path, name: &str) {
    remove(folder, |file| file.starts_with(&format!("{name}.")) && file.ends_with(".safetensors"));
}

/// Removes the files of a folder whose names `is_to_go` accepts.
fn remove(folder: &Path, is_to_go: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_to_go(&entry.file_name().to_string_lossy()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
