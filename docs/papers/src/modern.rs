//! Later estimators side by side, which no paper compares: one categorical and one Bernoulli VAE, three
//! seeds.

use reparam::Variables;
use reparam::estimators::parse;
use reparam::models::ModelShape;

use crate::Budgeted;
use crate::cell::Cell;
use crate::choice::Choice;
use crate::settings::Settings;

/// The rows, with Gumbel-Softmax and its straight-through form for comparison. If there is a relaxed sample,
/// its temperature is annealed.
const ESTIMATORS: [(&str, Option<(f64, f64)>); 10] = [
    ("gumbel-softmax:1", ANNEALED),
    ("st-gumbel-softmax:1", ANNEALED),
    ("reinmax:1", None),
    ("gumbel-rao:10:1", ANNEALED),
    ("gumbel-rao:100:1", ANNEALED),
    ("rebar", None),
    ("relax", None),
    ("rloo:2", None),
    ("arm", None),
    ("disarm", None),
];
const ANNEALED: Option<(f64, f64)> = Some((1.0, 0.25));

const COLUMNS: [(&str, Variables); 2] = [
    ("VAE categorical", Variables::Categories { count: 20, classes: 10 }),
    ("VAE bernoulli", Variables::Bits(200)),
];
const SEEDS: u64 = 3;

/// A cell for each seed, if the estimator supports the column's variables.
pub(crate) fn cells(budget: Budgeted) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (estimator, tau) in ESTIMATORS {
        for (column, latents) in COLUMNS {
            if parse(estimator).is_ok_and(|estimator| estimator.check(latents).is_ok()) {
                let seeds = (0..SEEDS).map(|i| budget.seed.wrapping_add(i));
                cells.extend(seeds.map(|seed| cell(budget, (estimator, tau), (column, latents), seed)));
            }
        }
    }
    cells
}

/// 784-200-z-200-784 with ReLU.
fn cell(
    budget: Budgeted,
    (estimator, tau): (&str, Option<(f64, f64)>),
    (column, latents): (&str, Variables),
    seed: u64,
) -> Cell {
    let settings = Settings {
        model: ModelShape::Vae { latents, encoder: vec![200], decoder: vec![200] },
        estimator: estimator.to_owned(),
        tau,
        learning_rate: 1e-3,
        betas: (0.9, 0.99),
        batch: 100,
        steps: budget.steps,
        validate_every: budget.validate_every(),
        seed,
    };
    Cell {
        row: estimator.to_owned(),
        column: column.to_owned(),
        paper: None,
        settings,
        search: budget.search(vec![[1e-3, 3e-3].map(Choice::LearningRate).to_vec()]),
        samples: budget.samples,
        accuracy: None,
    }
}
