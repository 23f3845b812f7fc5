//! A cell of a table: the model to train, and the paper's figures for it.

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
    /// The paper's accuracy in per cent, for models that classify. It is a second figure, in the column
    /// `accuracy`.
    pub(crate) accuracy: Option<f64>,
}

/// The outcome of running a cell.
pub(crate) enum Outcome {
    Finished,
    /// Everything needed to resume is on disk.
    Interrupted,
    /// Another command is running it.
    Elsewhere,
    /// The loss is not finite. This has been printed, and there is no result.
    Diverged,
}

/// The column of accuracies.
pub(crate) const ACCURACY: &str = "accuracy (%)";

impl Cell {
    /// The name that `--only` searches.
    pub(crate) fn name(&self) -> String {
        format!("{} / {}", self.row, self.column)
    }

    pub(crate) fn label(&self) -> String {
        label(&self.row, &self.column, self.settings.seed)
    }
}
