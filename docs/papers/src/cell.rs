//! A cell of a table: what is trained, and what the paper has for it.

use crate::choice::Stages;
use crate::records::label;
use crate::settings::Settings;

/// A cell to run.
pub(crate) struct Cell {
    pub(crate) row: String,
    pub(crate) column: String,
    pub(crate) paper: Option<f64>,
    pub(crate) settings: Settings,
    pub(crate) search: Stages,
    /// Hard samples per test image.
    pub(crate) samples: usize,
    /// The paper's accuracy in per cent, for models that classify: a second figure, in the column `accuracy`.
    pub(crate) accuracy: Option<f64>,
}

/// How running a cell ended.
pub(crate) enum Outcome {
    Finished,
    /// Everything is on disk to go on.
    Interrupted,
    /// Another command is running it.
    Elsewhere,
    /// It has no finite loss, which was said, and no result.
    Diverged,
}

/// The column of accuracies.
pub(crate) const ACCURACY: &str = "accuracy (%)";

impl Cell {
    /// What `--only` is looked for in.
    pub(crate) fn name(&self) -> String {
        format!("{} / {}", self.row, self.column)
    }

    pub(crate) fn label(&self) -> String {
        label(&self.row, &self.column, self.settings.seed)
    }
}
