//! The binary rows of Maddison, Mnih and Teh 2017, table 1 and figure 4, that two cores can train.

use reparam::Variables;
use reparam::models::{Link, ModelShape};

use crate::cell::Cell;
use crate::choice::Choice;
use crate::settings::Settings;
use crate::{Budget, Budgeted};

/// The model of a row.
#[derive(Clone, Copy)]
enum Net {
    /// A density, through layers of 200 bits.
    Density(&'static [usize], Link),
    /// The lower half of an image from its upper half, through two layers of 240 bits.
    Prediction,
}

/// A row with the paper's figures for Concrete and for VIMCO (NVIL where m is 1), with m = 1, 5 and 50.
struct Row {
    name: &'static str,
    net: Net,
    figures: [[f64; 2]; 3],
}

const ROWS: [Row; 4] = [
    Row {
        name: "(200H-784V)",
        net: Net::Density(&[200], Link::Linear),
        figures: [[107.3, 104.4], [104.9, 101.9], [104.3, 98.8]],
    },
    Row {
        name: "(200H~784V)",
        net: Net::Density(&[200], Link::Nonlinear),
        figures: [[92.1, 93.8], [89.5, 91.4], [88.5, 89.3]],
    },
    Row {
        name: "(200H~200H~784V)",
        net: Net::Density(&[200, 200], Link::Nonlinear),
        figures: [[87.9, 88.4], [86.3, 86.4], [85.7, 85.5]],
    },
    Row {
        name: "(392V-240H-240H-392V)",
        net: Net::Prediction,
        figures: [[58.5, 61.4], [54.3, 54.5], [53.4, 51.8]],
    },
];
const SAMPLES: [usize; 3] = [1, 5, 50];
/// Hard samples per test image in the paper's predictions. With more, the bound would be better than theirs.
const PREDICTION_SAMPLES: usize = 100;

/// A column, except for its number of samples.
#[derive(Clone, Copy, PartialEq)]
enum Method {
    Concrete,
    Nvil,
    Vimco,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Concrete => "Concrete",
            Method::Nvil => "NVIL",
            Method::Vimco => "VIMCO",
        }
    }

    /// The estimator. The temperatures 2/3 and 1/2 are the paper's, fixed.
    fn estimator(self, m: usize) -> String {
        match self {
            Method::Concrete => format!("concrete:0.6666667:0.5:{m}"),
            Method::Nvil => "nvil".to_owned(),
            Method::Vimco => format!("vimco:{m}"),
        }
    }
}

impl Net {
    fn model(self) -> ModelShape {
        match self {
            Net::Density(layers, link) => ModelShape::BeliefNet { layers: layers.to_vec(), link },
            Net::Prediction => ModelShape::Prediction { layers: vec![Variables::Bits(240); 2] },
        }
    }

    /// Learning rates to choose from. Nets without hidden units between their bits take larger ones.
    fn rates(self) -> [f64; 3] {
        match self {
            Net::Density(_, Link::Nonlinear) => [1e-3, 3e-4, 3e-3],
            Net::Density(_, Link::Linear) | Net::Prediction => [1e-3, 3e-3, 1e-2],
        }
    }
}

/// All cells. Only the full budget includes 50 samples.
pub(crate) fn cells(budget: Budgeted) -> Vec<Cell> {
    let mut cells = Vec::new();
    for row in &ROWS {
        for (m, [concrete, other]) in SAMPLES.into_iter().zip(row.figures) {
            if m == 50 && budget.budget == Budget::Quick {
                continue;
            }
            let method = if m == 1 { Method::Nvil } else { Method::Vimco };
            cells.push(cell(budget, row, Method::Concrete, m, concrete));
            cells.push(cell(budget, row, method, m, other));
        }
    }
    cells
}

fn cell(budget: Budgeted, row: &Row, method: Method, m: usize, paper: f64) -> Cell {
    let settings = Settings {
        model: row.net.model(),
        estimator: method.estimator(m),
        tau: None,
        learning_rate: 1e-3,
        betas: (0.9, 0.999),
        batch: 64,
        steps: budget.steps,
        validate_every: budget.validate_every(),
        seed: budget.seed,
    };
    let mut stages = vec![row.net.rates().map(Choice::LearningRate).to_vec()];
    // The paper's NVIL divides its signal by a running deviation.
    if method == Method::Nvil {
        stages.push(["nvil", "nvil-normalised"].map(Choice::Estimator).to_vec());
    }
    let samples = match row.net {
        Net::Prediction => budget.samples.min(PREDICTION_SAMPLES),
        Net::Density(..) => budget.samples,
    };
    Cell {
        row: row.name.to_owned(),
        column: format!("{}, m = {m}", method.name()),
        paper: Some(paper),
        settings,
        search: budget.search(stages),
        samples,
        accuracy: None,
    }
}
