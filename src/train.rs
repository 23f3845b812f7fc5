//! Training: settings, the step loop's state, evaluation, checkpoints. The command line is a thin shell around it.

mod best;
mod cell;
mod cell_model;
mod known;
mod settings;
mod task;
mod trained;
mod trainer;

pub use cell::{CellRun, CellSettings, Score};
pub use cell_model::CellModel;
pub use known::Labels;
pub use settings::{ModelKind, OptimizerKind, Settings};
pub use task::{GUIDANCE, Images, KnownLabels, LABELS, Scores, Task, WEIGHT};
pub use trained::Trained;
pub use trainer::{Record, SplitKind, Trainer};
