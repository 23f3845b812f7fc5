//! Section 4.3 of Jang, Gu and Poole 2017: 100 labels, and the cost of a step with many classes.

use reparam::cli::{Interrupt, say};
use reparam::models::{FewLabelsShape, KnownLabels, ModelShape};
use reparam::train::{OptimizerPlan, Plan};
use reparam::{Error, Result};

use crate::cell::Cell;
use crate::choice::Choice;
use crate::settings::Settings;
use crate::{Budgeted, RunArgs, cost, only};

/// A method with the paper's -ELBO and accuracy.
struct Row {
    name: &'static str,
    estimator: &'static str,
    tau: Option<(f64, f64)>,
    elbo: f64,
    accuracy: f64,
}

const ROWS: [Row; 3] = [
    Row { name: "marginalization", estimator: "exact", tau: None, elbo: 106.8, accuracy: 92.6 },
    Row {
        name: "Gumbel-Softmax",
        estimator: "gumbel-softmax:1",
        tau: Some((1.0, 0.5)),
        elbo: 109.6,
        accuracy: 92.4,
    },
    Row {
        name: "ST Gumbel-Softmax",
        estimator: "st-gumbel-softmax:1",
        tau: Some((1.0, 0.5)),
        elbo: 110.7,
        accuracy: 93.6,
    },
];

/// A run of the model of `train semi`: three nets of fully connected layers, where the paper has
/// convolutions.
fn settings(row: &Row, budget: Budgeted) -> Settings {
    let Plan { model, training, .. } = Plan::semi();
    let OptimizerPlan::Adam { beta1, beta2 } = training.optimizer else { unreachable!("semi's optimizer") };
    Settings {
        model,
        estimator: row.estimator.to_owned(),
        tau: row.tau,
        learning_rate: training.learning_rate.at(0),
        betas: (beta1, beta2),
        batch: training.batch,
        steps: budget.steps,
        validate_every: budget.validate_every(),
        seed: budget.seed,
    }
}

/// The methods, each with a run on this many classes, whose labels are drawn at random. It has the paper's
/// objective, without guidance.
pub(crate) fn runs_of_classes(
    classes: usize,
    images: usize,
    budget: Budgeted,
) -> impl Iterator<Item = (&'static str, Settings)> {
    ROWS.iter().map(move |row| {
        let mut settings = settings(row, budget);
        if let ModelShape::FewLabels(shape) = settings.model {
            let labels = KnownLabels::Random { images, classes };
            settings.model = ModelShape::FewLabels(FewLabelsShape { labels, guidance: None, ..shape });
        }
        (row.name, settings)
    })
}

pub(crate) fn cells(budget: Budgeted) -> Vec<Cell> {
    let cell = |row: &Row| Cell {
        row: row.name.to_owned(),
        column: "-ELBO".to_owned(),
        paper: Some(row.elbo),
        settings: settings(row, budget),
        search: budget.search(vec![[100.0, 300.0, 30.0].map(Choice::Weight).to_vec()]),
        // With one sample, the bound is -ELBO.
        samples: 1,
        accuracy: Some(row.accuracy),
    };
    ROWS.iter().map(cell).collect()
}

/// Both parts: the cells, and the cost.
pub(crate) fn run(args: &RunArgs) -> Result<i32> {
    if let Some(samples) = args.samples {
        let expected = "no such flag here: the test figure is -ELBO, the bound of one sample";
        return Err(Error::invalid("--samples", expected, samples));
    }
    let budget = args.budgeted(1_000, 10_000);
    let cells = cells(budget);
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
         is regularised by virtual adversarial training and by equal use of the classes"
    );
    let interrupt = Interrupt::listen()?;
    // Before the cells, because they take long.
    let earlier = if wants_cost { cost::earlier(args, budget)? } else { Vec::new() };
    if wants_cells {
        let code = crate::run_cells("semi-supervised", &only::choose(cells, &texts)?, args, &interrupt)?;
        if code != 0 {
            return Ok(code);
        }
    }
    if wants_cost { cost::run(args, budget, &earlier, &interrupt) } else { Ok(0) }
}
