//! Training: settings, the step loop's state, evaluation, checkpoints. The command line is a thin shell around it.

mod cell;
mod settings;
mod task;
mod trained;
mod trainer;

pub use cell::{CellModel, CellRun, CellSettings, Score};
pub use settings::{ModelKind, OptimizerKind, Settings};
pub use task::{Images, Scores, Task};
pub use trained::Trained;
pub use trainer::{Record, SplitKind, Trainer};
