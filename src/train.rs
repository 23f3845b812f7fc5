//! Training: settings, the step loop's state, evaluation, checkpoints. The command line is a thin shell around it.

mod best;
mod cell;
mod cell_model;
mod known;
mod moments;
mod progress;
mod settings;
mod task;
mod trained;
mod trainer;
mod training_loss;

pub use cell::{CellRun, CellSettings, Score};
pub use cell_model::CellModel;
pub use known::Labels;
pub use settings::{ModelKind, OptimizerKind, Settings};
pub use task::{CLASSIFICATION_WEIGHT, GUIDANCE, Images, LABELS_PER_CLASS, Scores, Task};
pub use trained::Trained;
pub use trainer::{Record, Trainer};
