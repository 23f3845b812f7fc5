//! Table 1 of Jang, Gu and Poole 2017.

use reparam::Variables;
use reparam::models::ModelShape;

use crate::Budgeted;
use crate::cell::Cell;
use crate::choice::{Choice, Stages};
use crate::settings::Settings;

/// The paper's columns.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    ScoreFunction,
    Darn,
    MuProp,
    StraightThrough,
    AnnealedStraightThrough,
    GumbelSoftmax,
    StGumbelSoftmax,
}

/// In the paper's order.
const COLUMNS: [Column; 7] = [
    Column::ScoreFunction,
    Column::Darn,
    Column::MuProp,
    Column::StraightThrough,
    Column::AnnealedStraightThrough,
    Column::GumbelSoftmax,
    Column::StGumbelSoftmax,
];

/// The model of a row.
#[derive(Clone, Copy, PartialEq)]
enum Task {
    /// Structured output prediction through two layers.
    Prediction,
    /// A VAE with a hidden layer of this width in its decoder, if any.
    Vae { decoder: Option<usize> },
}

/// A row with the paper's figures.
struct Row {
    name: &'static str,
    task: Task,
    layer: Variables,
    figures: [f64; 7],
}

const BITS: Variables = Variables::Bits(200);
const CATEGORIES: Variables = Variables::Categories { count: 20, classes: 10 };
const CATEGORICAL_VAE: [f64; 7] = [110.6, 128.8, 107.0, 110.9, 107.8, 101.5, 107.8];

/// The paper's rows. Its categorical VAE is printed as 784-(20x10)-200, which can be read in two ways, so
/// both are run.
const ROWS: [Row; 5] = [
    Row {
        name: "SBN bernoulli",
        task: Task::Prediction,
        layer: BITS,
        figures: [72.0, 59.7, 58.9, 58.9, 58.7, 58.5, 59.3],
    },
    Row {
        name: "SBN categorical",
        task: Task::Prediction,
        layer: CATEGORIES,
        figures: [73.1, 67.9, 63.0, 61.8, 61.1, 59.0, 59.7],
    },
    Row {
        name: "VAE bernoulli",
        task: Task::Vae { decoder: None },
        layer: BITS,
        figures: [112.2, 110.9, 109.7, 116.0, 111.5, 105.0, 111.5],
    },
    Row {
        name: "VAE categorical",
        task: Task::Vae { decoder: None },
        layer: CATEGORIES,
        figures: CATEGORICAL_VAE,
    },
    Row {
        name: "VAE categorical, 200",
        task: Task::Vae { decoder: Some(200) },
        layer: CATEGORIES,
        figures: CATEGORICAL_VAE,
    },
];

impl Column {
    fn name(self) -> &'static str {
        match self {
            Column::ScoreFunction => "score function",
            Column::Darn => "DARN",
            Column::MuProp => "MuProp",
            Column::StraightThrough => "ST",
            Column::AnnealedStraightThrough => "annealed ST",
            Column::GumbelSoftmax => "Gumbel-Softmax",
            Column::StGumbelSoftmax => "ST Gumbel-Softmax",
        }
    }

    /// The estimator of a column. The paper's score function has a variance normalisation and fails without a
    /// baseline, so ours is NVIL. A VAE's KL is exact, and if the deviation of the signal divided the rest of
    /// its gradient, the KL would dominate. A slope that grows is a temperature that falls.
    fn estimator(self, task: Task) -> &'static str {
        match (self, task) {
            (Column::ScoreFunction, Task::Prediction) => "nvil-normalised",
            (Column::ScoreFunction, Task::Vae { .. }) => "nvil",
            (Column::Darn, _) => "darn",
            (Column::MuProp, Task::Prediction) => "muprop-normalised",
            (Column::MuProp, Task::Vae { .. }) => "muprop-baseline",
            (Column::StraightThrough | Column::AnnealedStraightThrough, _) => "st-softmax:1",
            (Column::GumbelSoftmax, _) => "gumbel-softmax:1",
            (Column::StGumbelSoftmax, _) => "st-gumbel-softmax:1",
        }
    }

    /// The temperature at the first and the last step. The paper's is 1 for prediction, and for VAEs it
    /// falls, but not below 0.5.
    fn temperature(self, task: Task) -> Option<(f64, f64)> {
        match (self, task) {
            (Column::AnnealedStraightThrough, _) => Some((2.0, 1.0)),
            (Column::GumbelSoftmax | Column::StGumbelSoftmax, Task::Vae { .. }) => Some((1.0, 0.25)),
            (Column::GumbelSoftmax | Column::StGumbelSoftmax, Task::Prediction) => Some((1.0, 1.0)),
            _ => None,
        }
    }

    /// The settings that the full budget chooses from.
    fn stages(self, task: Task) -> Stages {
        let rates: &[f64] = match (task, self) {
            (Task::Prediction, _) => &[3e-3, 1e-2],
            (_, Column::AnnealedStraightThrough) => &[3e-3, 1e-2, 3e-2, 6e-2],
            _ => &[3e-3, 1e-2, 3e-2],
        };
        let mut stages = vec![rates.iter().map(|&rate| Choice::LearningRate(rate)).collect::<Vec<_>>()];
        let taus = |taus: &[(f64, f64)]| taus.iter().map(|&(start, end)| Choice::Tau(start, end)).collect();
        match (self, task) {
            (Column::AnnealedStraightThrough, _) => {
                stages.push(taus(&[(2.0, 1.0), (1.5, 1.0), (1.0, 0.7), (3.0, 1.0)]));
            }
            (Column::GumbelSoftmax | Column::StGumbelSoftmax, Task::Vae { .. }) => {
                stages.push(taus(&[(1.0, 0.25), (1.0, 0.5), (1.0, 0.1), (0.5, 0.1)]));
            }
            (Column::GumbelSoftmax | Column::StGumbelSoftmax, Task::Prediction) => {
                stages.push(taus(&[(1.0, 1.0), (1.0, 0.5)]));
            }
            (Column::MuProp, _) => {
                stages.push(["muprop-normalised", "muprop-baseline"].map(Choice::Estimator).to_vec());
            }
            (Column::ScoreFunction, _) => {
                stages.push(["nvil-normalised", "nvil"].map(Choice::Estimator).to_vec());
            }
            _ => {}
        }
        stages.push(vec![Choice::Betas(0.9, 0.99), Choice::Betas(0.7, 0.99)]);
        stages
    }
}

impl Row {
    fn model(&self) -> ModelShape {
        match self.task {
            Task::Prediction => ModelShape::Prediction { layers: vec![self.layer; 2] },
            Task::Vae { decoder } => ModelShape::Vae {
                latents: self.layer,
                encoder: Vec::new(),
                decoder: decoder.into_iter().collect(),
            },
        }
    }

    fn cell(&self, column: Column, paper: f64, budget: Budgeted) -> Cell {
        let settings = Settings {
            model: self.model(),
            estimator: column.estimator(self.task).to_owned(),
            tau: column.temperature(self.task),
            learning_rate: 1e-3,
            betas: (0.9, 0.99),
            batch: 100,
            steps: budget.steps,
            validate_every: budget.validate_every(),
            seed: budget.seed,
        };
        Cell {
            row: self.name.to_owned(),
            column: column.name().to_owned(),
            paper: Some(paper),
            settings,
            search: budget.search(column.stages(self.task)),
            samples: budget.samples,
            accuracy: None,
        }
    }
}

pub(crate) fn cells(budget: Budgeted) -> Vec<Cell> {
    let of_row = |row: &Row| -> Vec<Cell> {
        let columns = COLUMNS.into_iter().zip(row.figures);
        columns.map(|(column, paper)| row.cell(column, paper, budget)).collect()
    };
    ROWS.iter().flat_map(of_row).collect()
}
