//! What a semi-supervised step costs against the number of classes, by marginalization and by sampling: figure 5 of Jang, Gu
//! and Poole 2017.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use reparam::data::Digits;
use reparam::train::{CellRun, CellSettings, Labels};
use reparam::{Error, Result};
use serde::{Deserialize, Serialize};

use super::lines::read_lines;
use super::semi_supervised::settings;
use super::{Budget, Plan, RunArgs};
use crate::common::{INTERRUPTED, say, writable_folder_of, write_lines};
use crate::plot::{Axes, Curve, logarithmic};

/// How much longer a step of marginalization takes.
#[derive(Serialize, Deserialize, Clone)]
pub(super) struct Line {
    pub(super) table: String,
    /// The method that marginalization is held against.
    pub(super) row: String,
    pub(super) column: String,
    pub(super) paper: Option<f64>,
    /// The ratio of the two times.
    pub(super) ours: f64,
    pub(super) classes: usize,
    pub(super) us_per_step: f64,
    pub(super) us_per_step_marginalization: f64,
    pub(super) steps: u64,
    pub(super) seconds: f64,
    pub(super) seed: u64,
    pub(super) threads: usize,
    pub(super) label: Option<String>,
}

/// Images with and without a class per step.
const BATCH: usize = 100;
const CLASSES: [usize; 5] = [5, 10, 20, 50, 100];
const METHODS: [(&str, &str); 3] = [
    ("marginalization", "exact"),
    ("Gumbel-Softmax", "gumbel-softmax:1"),
    ("ST Gumbel-Softmax", "st-gumbel-softmax:1"),
];

/// The ratios that the paper gives.
fn paper(classes: usize) -> Option<f64> {
    match classes {
        10 => Some(2.0),
        100 => Some(9.9),
        _ => None,
    }
}

/// The file of the measurements.
fn file(args: &RunArgs) -> PathBuf {
    args.results("semi-supervised").with_extension("cost.jsonl")
}

/// Steps that a time is the median of.
fn steps(plan: Plan) -> u64 {
    match plan.budget {
        Budget::Quick => 3,
        Budget::Full => 20,
    }
}

/// What was measured before, which must be medians of as many steps.
pub(super) fn earlier(args: &RunArgs, plan: Plan) -> Result<Vec<Line>> {
    let path = file(args);
    writable_folder_of(Some(&path))?;
    let lines: Vec<Line> = read_lines(&path)?;
    match lines.first() {
        Some(first) if first.steps != steps(plan) => {
            let expected = format!("nothing or medians of {} steps; another --json keeps both", steps(plan));
            Err(Error::format(path, expected, format!("medians of {}", first.steps)))
        }
        _ => Ok(lines),
    }
}

/// Measures all methods with all numbers of classes, on the data's images with random labels, unless there are `earlier`
/// measurements; prints, writes the lines and the figure.
pub(super) fn run(args: &RunArgs, plan: Plan, earlier: &[Line], interrupted: &AtomicBool) -> Result<i32> {
    let path = file(args);
    if let Some(first) = earlier.first() {
        say!(
            "\nas measured before, on {} thread(s); remove {} to measure anew",
            first.threads,
            path.display()
        );
        print(earlier);
        // An interrupted command may have left it out.
        return draw(&path.with_extension("svg"), earlier).map(|()| 0);
    }
    let data = args.data.load()?;
    let Some(measured) = args.threads.run(|| measure(args, plan, &data, interrupted))? else {
        say!("stopped; a measurement has no middle to go on from");
        return Ok(INTERRUPTED);
    };
    print(&measured);
    write_lines(&path, &measured)?;
    draw(&path.with_extension("svg"), &measured).map(|()| 0)
}

fn print(lines: &[Line]) {
    say!(
        "\n{:<22}{:>10}{:>16}{:>22}{:>12}",
        "cost of a step",
        "classes",
        "ms",
        "marginalization, ms",
        "ratio"
    );
    for line in lines {
        let (own, all) = (line.us_per_step / 1e3, line.us_per_step_marginalization / 1e3);
        let paper = line.paper.map_or(String::new(), |paper| format!(" (paper {paper})"));
        say!("{:<22}{:>10}{own:>16.2}{all:>22.2}{:>12.1}{paper}", line.row, line.classes, line.ours);
    }
}

/// `None` if interrupted.
fn measure(args: &RunArgs, plan: Plan, data: &Digits, interrupted: &AtomicBool) -> Result<Option<Vec<Line>>> {
    let mut lines = Vec::new();
    for classes in CLASSES {
        let begin = Instant::now();
        let mut times = Vec::new();
        for (_, estimator) in METHODS {
            if interrupted.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let labels = Labels::Random(BATCH.min(data.train().len()));
            let settings = CellSettings {
                // More than will be made: nothing is scored.
                steps: 1 << 40,
                validate_every: 1 << 40,
                batch: BATCH.min(data.train().len()),
                ..settings(estimator, classes, labels, None, plan)
            };
            times.push(us_per_step(&mut CellRun::new(settings, data)?, steps(plan)));
        }
        for ((row, _), us_per_step) in METHODS.into_iter().zip(times.clone()).skip(1) {
            lines.push(Line {
                table: "semi-supervised-cost".to_owned(),
                row: row.to_owned(),
                column: format!("{classes} classes"),
                paper: paper(classes),
                ours: (times[0] / us_per_step * 100.0).round() / 100.0,
                classes,
                us_per_step: us_per_step.round(),
                us_per_step_marginalization: times[0].round(),
                steps: steps(plan),
                seconds: (begin.elapsed().as_secs_f64() * 10.0).round() / 10.0,
                seed: plan.seed,
                threads: rayon::current_num_threads(),
                label: args.label.clone(),
            });
        }
    }
    Ok(Some(lines))
}

/// The median over some steps behind the first, which makes the buffers.
fn us_per_step(run: &mut CellRun<'_>, steps: u64) -> f64 {
    run.step();
    let time = |_| {
        let begin = Instant::now();
        run.step();
        begin.elapsed().as_secs_f64() * 1e6
    };
    let mut times: Vec<f64> = (0..steps).map(time).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The three times against the number of classes.
pub(super) fn draw(path: &Path, lines: &[Line]) -> Result<()> {
    let points = |row: &str, y: fn(&Line) -> f64| {
        lines.iter().filter(|line| line.row == row).map(|line| (line.classes as f64, y(line) / 1e3)).collect()
    };
    let curve = |(i, (row, _)): (usize, (&str, &str))| {
        let points = match i {
            0 => points(METHODS[1].0, |line| line.us_per_step_marginalization),
            _ => points(row, |line| line.us_per_step),
        };
        Curve::nth(i, row.to_owned(), points)
    };
    let curves: Vec<Curve> = METHODS.into_iter().enumerate().map(curve).collect();
    logarithmic(path, &Axes { x: "classes", y: "milliseconds a step" }, &curves)
}
