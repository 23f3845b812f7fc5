//! A cell of a table: what is trained, and what the paper has for it.

use reparam::train::CellSettings;

use super::choice::Stages;
use super::lines::label;

/// A cell to run.
pub(super) struct Cell {
    pub(super) row: String,
    pub(super) column: String,
    pub(super) paper: Option<f64>,
    pub(super) settings: CellSettings,
    pub(super) search: Stages,
    /// Hard samples per test image.
    pub(super) samples: usize,
    /// The paper's accuracy in per cent, for models that classify: a second figure, in the column `accuracy`.
    pub(super) accuracy: Option<f64>,
}

/// How running a cell ended.
pub(super) enum Outcome {
    Finished,
    /// Everything is on disk to go on.
    Interrupted,
    /// It has no finite loss, which was said, and no result.
    Diverged,
}

/// The column of accuracies.
pub(super) const ACCURACY: &str = "accuracy (%)";

impl Cell {
    /// What `--only` is looked for in.
    pub(super) fn name(&self) -> String {
        format!("{} / {}", self.row, self.column)
    }

    pub(super) fn label(&self) -> String {
        label(&self.row, &self.column, self.settings.seed)
    }
}
