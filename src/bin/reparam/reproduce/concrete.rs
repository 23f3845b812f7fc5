//! The binary rows of Maddison, Mnih and Teh 2017, table 1 and figure 4, that two cores can train.

use reparam::estimators::Kind;
use reparam::models::{BeliefNetShape, Link};
use reparam::train::{CellModel, CellSettings};

use super::cell::Cell;
use super::choice::Choice;
use super::{Budget, Plan};

/// Row, and the paper's figures for Concrete and for VIMCO (NVIL where m is 1), with m = 1, 5 and 50.
const ROWS: [(&str, [[f64; 2]; 3]); 4] = [
    ("(200H-784V)", [[107.3, 104.4], [104.9, 101.9], [104.3, 98.8]]),
    ("(200H~784V)", [[92.1, 93.8], [89.5, 91.4], [88.5, 89.3]]),
    ("(200H~200H~784V)", [[87.9, 88.4], [86.3, 86.4], [85.7, 85.5]]),
    ("(392V-240H-240H-392V)", [[58.5, 61.4], [54.3, 54.5], [53.4, 51.8]]),
];
const SAMPLES: [usize; 3] = [1, 5, 50];
/// Hard samples per test image in the paper's predictions: with more, the bound would be better than theirs.
const PREDICTION_SAMPLES: usize = 100;
/// Posterior 2/3, prior 1/2: the paper's, fixed.
const CONCRETE: &str = "concrete:0.6666667:0.5";

fn model(row: &str) -> CellModel {
    let net = |layers, link| CellModel::BeliefNet(BeliefNetShape { layers, link });
    match row {
        "(200H-784V)" => net(vec![200], Link::Linear),
        "(200H~784V)" => net(vec![200], Link::Nonlinear),
        "(200H~200H~784V)" => net(vec![200, 200], Link::Nonlinear),
        _ => CellModel::Prediction(vec![Kind { variables: 240, classes: None }; 2]),
    }
}

/// Nets without hidden units between their bits take larger ones.
fn rates(row: &str) -> [f64; 3] {
    if row.contains('~') { [1e-3, 3e-4, 3e-3] } else { [1e-3, 3e-3, 1e-2] }
}

/// 50 samples are left to the full budget.
pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (row, figures) in ROWS {
        for (m, [concrete, other]) in SAMPLES.into_iter().zip(figures) {
            if m == 50 && plan.budget == Budget::Quick {
                continue;
            }
            let (method, estimator) = if m == 1 { ("NVIL", "nvil") } else { ("VIMCO", "vimco") };
            for (method, estimator, paper) in [("Concrete", CONCRETE, concrete), (method, estimator, other)] {
                cells.push(cell(plan, row, (method, m), estimator, paper));
            }
        }
    }
    cells
}

fn cell(plan: Plan, row: &str, (method, m): (&str, usize), estimator: &str, paper: f64) -> Cell {
    let settings = CellSettings {
        model: model(row),
        estimator: estimator.to_owned(),
        samples: m,
        tau: None,
        learning_rate: 1e-3,
        betas: (0.9, 0.999),
        batch: 64,
        steps: plan.steps,
        validate_every: plan.validate_every(),
        seed: plan.seed,
    };
    let mut stages = vec![rates(row).map(Choice::LearningRate).to_vec()];
    // The paper's NVIL divides its signal by a running deviation.
    if estimator == "nvil" {
        stages.push(["nvil", "nvil-normalised"].map(Choice::Estimator).to_vec());
    }
    let search = plan.search(stages);
    let samples = match settings.model {
        CellModel::Prediction(_) => plan.samples.min(PREDICTION_SAMPLES),
        _ => plan.samples,
    };
    let (row, column) = (row.to_owned(), format!("{method}, m = {m}"));
    Cell { row, column, paper: Some(paper), settings, search, samples, accuracy: None }
}
