//! Table 1 of Jang, Gu and Poole 2017.

use reparam::Schedule;
use reparam::estimators::Kind;
use reparam::train::{CellModel, CellSettings};

use super::{Budget, Cell};

/// The paper's columns, and the estimators that stand for them. The paper normalises the variance of the score function
/// and needs a baseline to get anywhere; ours is NVIL with both.
const COLUMNS: [(&str, &str); 7] = [
    ("score function", "nvil-normalised"),
    ("DARN", "darn"),
    ("MuProp", "muprop"),
    ("ST", "st-softmax:1"),
    ("annealed ST", "st-slope-annealed"),
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
    match row {
        "SBN bernoulli" => CellModel::Prediction(vec![BITS, BITS]),
        "SBN categorical" => CellModel::Prediction(vec![CATEGORIES, CATEGORIES]),
        "VAE bernoulli" => CellModel::Vae { latents: BITS, decoder: Vec::new() },
        "VAE categorical" => CellModel::Vae { latents: CATEGORIES, decoder: Vec::new() },
        _ => CellModel::Vae { latents: CATEGORIES, decoder: vec![200] },
    }
}

pub(super) fn cells(budget: Budget, seed: u64) -> Vec<Cell> {
    let (steps, samples, rates) = match budget {
        Budget::Quick => (3_000, 10, vec![]),
        Budget::Full => (50_000, 1_000, vec![3e-4, 1e-3, 3e-3]),
    };
    let cell = |row: &'static str, (column, estimator): (&'static str, &str), paper: f64| Cell {
        row,
        column,
        paper,
        settings: CellSettings {
            model: model(row),
            estimator: estimator.to_owned(),
            tau: temperature(row, steps),
            learning_rate: 1e-3,
            batch: 100,
            steps,
            validate_every: (steps / 25).max(500),
            seed,
        },
        rates: rates.clone(),
        samples,
    };
    let of_row = |(row, figures): (&'static str, [f64; 7])| {
        COLUMNS.into_iter().zip(figures).map(move |(column, paper)| (row, column, paper))
    };
    ROWS.into_iter().flat_map(of_row).map(|(row, column, paper)| cell(row, column, paper)).collect()
}

/// The paper's: 1 for prediction; annealed to 0.5 for VAEs, over the run whatever its length.
fn temperature(row: &str, steps: u64) -> Schedule {
    if row.starts_with("SBN") {
        return Schedule::Fixed(1.0);
    }
    Schedule::Anneal { start: 1.0, rate: 2f64.ln() / steps as f64, floor: 0.5, every: 500 }
}
