//! Table 1 of Jang, Gu and Poole 2017.

use reparam::estimators::Kind;
use reparam::train::{CellModel, CellSettings};

use super::Plan;
use super::cell::Cell;
use super::choice::{Choice, Stages};

/// The paper's columns, and the estimators that stand for them. The paper's score function has a variance normalisation
/// and gets nowhere without a baseline: ours is NVIL. A slope that grows is a temperature that falls.
const COLUMNS: [(&str, &str); 7] = [
    ("score function", "nvil-normalised"),
    ("DARN", "darn"),
    ("MuProp", "muprop-normalised"),
    ("ST", "st-softmax:1"),
    ("annealed ST", "st-softmax:1"),
    ("Gumbel-Softmax", "gumbel-softmax:1"),
    ("ST Gumbel-Softmax", "st-gumbel-softmax:1"),
];

/// The paper's rows: name and figures. Its categorical VAE is printed as 784-(20x10)-200, which can be read in two ways:
/// both are run.
const ROWS: [(&str, [f64; 7]); 5] = [
    ("SBN bernoulli", [72.0, 59.7, 58.9, 58.9, 58.7, 58.5, 59.3]),
    ("SBN categorical", [73.1, 67.9, 63.0, 61.8, 61.1, 59.0, 59.7]),
    ("VAE bernoulli", [112.2, 110.9, 109.7, 116.0, 111.5, 105.0, 111.5]),
    ("VAE categorical", CATEGORICAL_VAE),
    ("VAE categorical, 200", CATEGORICAL_VAE),
];
const CATEGORICAL_VAE: [f64; 7] = [110.6, 128.8, 107.0, 110.9, 107.8, 101.5, 107.8];

const BITS: Kind = Kind { variables: 200, classes: None };
const CATEGORIES: Kind = Kind { variables: 20, classes: Some(10) };

fn model(row: &str) -> CellModel {
    let vae = |latents, decoder| CellModel::Vae { latents, encoder: Vec::new(), decoder };
    match row {
        "SBN bernoulli" => CellModel::Prediction(vec![BITS, BITS]),
        "SBN categorical" => CellModel::Prediction(vec![CATEGORIES, CATEGORIES]),
        "VAE bernoulli" => vae(BITS, Vec::new()),
        "VAE categorical" => vae(CATEGORIES, Vec::new()),
        _ => vae(CATEGORIES, vec![200]),
    }
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (row, figures) in ROWS {
        for ((column, estimator), paper) in COLUMNS.into_iter().zip(figures) {
            let settings = CellSettings {
                model: model(row),
                estimator: estimator_of(row, estimator).to_owned(),
                samples: 1,
                tau: temperature(row, column),
                learning_rate: 1e-3,
                betas: (0.9, 0.99),
                batch: 100,
                steps: plan.steps,
                validate_every: plan.validate_every(),
                seed: plan.seed,
            };
            let search = plan.search(stages(row, column));
            let (row, column) = (row.to_owned(), column.to_owned());
            let (paper, samples) = (Some(paper), plan.samples);
            cells.push(Cell { row, column, paper, settings, search, samples, accuracy: None });
        }
    }
    cells
}

/// A VAE's KL is exact: dividing the rest of its gradient by the deviation of the signal would give the KL the upper hand.
fn estimator_of<'n>(row: &str, estimator: &'n str) -> &'n str {
    match estimator {
        "nvil-normalised" if row.starts_with("VAE") => "nvil",
        "muprop-normalised" if row.starts_with("VAE") => "muprop-baseline",
        _ => estimator,
    }
}

/// At the first and the last step. The paper's is 1 for prediction, and falls to 0.5 at least for VAEs.
fn temperature(row: &str, column: &str) -> Option<(f64, f64)> {
    match column {
        "annealed ST" => Some((2.0, 1.0)),
        "Gumbel-Softmax" | "ST Gumbel-Softmax" if row.starts_with("VAE") => Some((1.0, 0.25)),
        "Gumbel-Softmax" | "ST Gumbel-Softmax" => Some((1.0, 1.0)),
        _ => None,
    }
}

/// What the full budget chooses from.
fn stages(row: &str, column: &str) -> Stages {
    let rates: &[f64] = match column {
        _ if row.starts_with("SBN") => &[3e-3, 1e-2],
        "annealed ST" => &[3e-3, 1e-2, 3e-2, 6e-2],
        _ => &[3e-3, 1e-2, 3e-2],
    };
    let mut stages = vec![rates.iter().map(|&rate| Choice::LearningRate(rate)).collect::<Vec<_>>()];
    let taus = |taus: &[(f64, f64)]| taus.iter().map(|&(start, end)| Choice::Tau(start, end)).collect();
    match column {
        "annealed ST" => stages.push(taus(&[(2.0, 1.0), (1.5, 1.0), (1.0, 0.7), (3.0, 1.0)])),
        "Gumbel-Softmax" | "ST Gumbel-Softmax" if row.starts_with("VAE") => {
            stages.push(taus(&[(1.0, 0.25), (1.0, 0.5), (1.0, 0.1), (0.5, 0.1)]));
        }
        "Gumbel-Softmax" | "ST Gumbel-Softmax" => stages.push(taus(&[(1.0, 1.0), (1.0, 0.5)])),
        "MuProp" => {
            stages.push(vec![Choice::Estimator("muprop-normalised"), Choice::Estimator("muprop-baseline")]);
        }
        "score function" => {
            stages.push(vec![Choice::Estimator("nvil-normalised"), Choice::Estimator("nvil")]);
        }
        _ => {}
    }
    stages.push(vec![Choice::Betas(0.9, 0.99), Choice::Betas(0.7, 0.99)]);
    stages
}
