//! Later estimators side by side, which no paper has: one categorical and one Bernoulli VAE, three seeds.

use reparam::estimators::{Kind, parse};
use reparam::train::{CellModel, CellSettings};

use super::Plan;
use super::cell::Cell;
use super::choice::Choice;

/// The rows, with Gumbel-Softmax and its straight-through form to compare with.
const ESTIMATORS: [&str; 10] = [
    "gumbel-softmax:1",
    "st-gumbel-softmax:1",
    "reinmax:1",
    "gumbel-rao:10:1",
    "gumbel-rao:100:1",
    "rebar",
    "relax",
    "rloo:2",
    "arm",
    "disarm",
];

const COLUMNS: [(&str, Kind); 2] = [
    ("VAE categorical", Kind { variables: 20, classes: Some(10) }),
    ("VAE bernoulli", Kind { variables: 200, classes: None }),
];
const SEEDS: u64 = 3;

/// A cell for each seed, where the estimator treats the column's variables.
pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let mut cells = Vec::new();
    for estimator in ESTIMATORS {
        for (column, latents) in COLUMNS {
            let treats = parse(estimator).is_ok_and(|estimator| estimator.check(latents).is_ok());
            let seeds = (0..SEEDS).map(|i| plan.seed.wrapping_add(i));
            cells.extend(seeds.filter(|_| treats).map(|seed| cell(plan, estimator, (column, latents), seed)));
        }
    }
    cells
}

/// 784-200-z-200-784 with ReLU. Where the estimator has a relaxed sample, its temperature is annealed.
fn cell(plan: Plan, estimator: &str, (column, latents): (&str, Kind), seed: u64) -> Cell {
    let is_annealed = estimator.contains("gumbel");
    let settings = CellSettings {
        model: CellModel::Vae { latents, encoder: vec![200], decoder: vec![200] },
        estimator: estimator.to_owned(),
        samples: 1,
        tau: is_annealed.then_some((1.0, 0.25)),
        learning_rate: 1e-3,
        betas: (0.9, 0.99),
        batch: 100,
        steps: plan.steps,
        validate_every: plan.validate_every(),
        seed,
    };
    let search = plan.search(vec![[1e-3, 3e-3].map(Choice::LearningRate).to_vec()]);
    let (row, column) = (estimator.to_owned(), column.to_owned());
    Cell { row, column, paper: None, settings, search, samples: plan.samples, accuracy: None }
}
