//! Section 4.3 of Jang, Gu and Poole 2017: 100 labels, and what a step costs with many classes.

use std::sync::atomic::AtomicBool;

use reparam::models::Guidance;
use reparam::train::{
    CLASSIFICATION_WEIGHT, CellModel, CellSettings, GUIDANCE, LABELS_PER_CLASS, Labels, ModelKind, Settings,
};
use reparam::{Error, Result};

use super::cell::Cell;
use super::choice::Choice;
use super::{Plan, RunArgs, cost, only};
use crate::common::say;

/// Row, estimator, and the paper's -ELBO and accuracy.
const ROWS: [(&str, &str, f64, f64); 3] = [
    ("marginalization", "exact", 106.8, 92.6),
    ("Gumbel-Softmax", "gumbel-softmax:1", 109.6, 92.4),
    ("ST Gumbel-Softmax", "st-gumbel-softmax:1", 110.7, 93.6),
];

/// The model of `train semi`: three nets of fully connected layers, where the paper has convolutions. Without guidance, the
/// paper's objective.
pub(super) fn settings(
    estimator: &str,
    classes: usize,
    labels: Labels,
    guidance: Option<Guidance>,
    plan: Plan,
) -> CellSettings {
    let defaults = Settings::defaults(ModelKind::Semi);
    let shape = defaults.semi_supervised_shape(classes);
    CellSettings {
        model: CellModel::SemiSupervised { shape, labels, weight: CLASSIFICATION_WEIGHT, guidance },
        estimator: estimator.to_owned(),
        samples: 1,
        tau: estimator.contains("gumbel").then_some((1.0, 0.5)),
        learning_rate: defaults.learning_rate.at(0),
        betas: (defaults.beta1, defaults.beta2),
        batch: defaults.batch,
        steps: plan.steps,
        validate_every: plan.validate_every(),
        seed: plan.seed,
    }
}

pub(super) fn cells(plan: Plan) -> Vec<Cell> {
    let cell = |(row, estimator, paper, accuracy): (&str, &str, f64, f64)| Cell {
        row: row.to_owned(),
        column: "-ELBO".to_owned(),
        paper: Some(paper),
        settings: settings(estimator, 10, Labels::OfEachClass(LABELS_PER_CLASS), Some(GUIDANCE), plan),
        search: plan.search(vec![[100.0, 300.0, 30.0].map(Choice::Weight).to_vec()]),
        // One sample: the bound is -ELBO then.
        samples: 1,
        accuracy: Some(accuracy),
    };
    ROWS.into_iter().map(cell).collect()
}

/// Both parts: the cells, and the cost.
pub(super) fn run(args: &RunArgs, interrupted: &AtomicBool) -> Result<i32> {
    if let Some(samples) = args.samples {
        let expected = "no such flag here: the test figure is -ELBO, the bound of one sample";
        return Err(Error::invalid("--samples", expected, samples));
    }
    let plan = args.plan(1_000, 10_000);
    let cells = cells(plan);
    let mut texts = only::texts(&args.only, &cells);
    let wants_all = texts.is_empty();
    let wants_cost = wants_all || texts.contains(&"cost");
    texts.retain(|&text| text != "cost");
    let wants_cells = wants_all || !texts.is_empty();
    if let (Some(steps), false) = (args.steps, wants_cells) {
        let expected = "no such flag with `--only cost`: the budget says how many steps are timed";
        return Err(Error::invalid("--steps", expected, steps));
    }
    match args.data.path() {
        Some(path) if path.is_dir() => say!("images are binarized anew in every batch"),
        _ => say!("the images are binarized once: the same in every batch, unlike the paper's"),
    }
    say!(
        "unlike the paper's, the nets are fully connected; labelled images are shifted at random, and q(y | x) of the others \
         is led by virtual adversarial training and by equal use of the classes"
    );
    // Before the cells, which take their time.
    let earlier = if wants_cost { cost::earlier(args, plan)? } else { Vec::new() };
    if wants_cells {
        let code = super::run_cells("semi-supervised", &only::choose(cells, &texts)?, args, interrupted)?;
        if code != 0 {
            return Ok(code);
        }
    }
    if wants_cost { cost::run(args, plan, &earlier, interrupted) } else { Ok(0) }
}
