//! Training: settings, the step loop's state, evaluation, checkpoints. The command line is a thin shell around it.

mod cell;
mod cell_model;
mod settings;
mod task;
mod trained;
mod trainer;

pub use cell::{CellRun, CellSettings, Score};
pub use cell_model::{CellModel, Labels};
pub use settings::{ModelKind, OptimizerKind, Settings};
pub use task::{Images, Scores, Task};
pub use trained::Trained;
pub use trainer::{Record, SplitKind, Trainer};
