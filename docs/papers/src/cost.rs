//! The cost of a semi-supervised step against the number of classes, by marginalization and by sampling:
//! figure 5 of Jang, Gu and Poole 2017.

use std::path::{Path, PathBuf};
use std::time::Instant;

use reparam::cli::files::check_writable;
use reparam::cli::plot::{self, Axes, Curve};
use reparam::cli::{Interrupt, say, write_lines};
use reparam::data::Digits;
use reparam::internal::write_atomically;
use reparam::train::{Plan, Run};
use reparam::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::print::distinct;
use crate::records::{beside, read_lines};
use crate::semi_supervised::runs_of_classes;
use crate::{Budget, Budgeted, RunArgs};

/// The time of a step with marginalization relative to another method, as a line of the file.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct CostRecord {
    pub(crate) table: String,
    /// The method that marginalization is compared with.
    pub(crate) row: String,
    pub(crate) column: String,
    pub(crate) paper: Option<f64>,
    /// The ratio of the two times.
    pub(crate) ours: f64,
    pub(crate) classes: usize,
    pub(crate) us_per_step: f64,
    pub(crate) us_per_step_marginalization: f64,
    pub(crate) steps: u64,
    pub(crate) seconds: f64,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    pub(crate) label: Option<String>,
}

/// Images with and without a class per step.
const BATCH: usize = 100;
const CLASSES: [usize; 5] = [5, 10, 20, 50, 100];
/// The ratios that the paper gives.
fn paper(classes: usize) -> Option<f64> {
    match classes {
        10 => Some(2.0),
        100 => Some(9.9),
        _ => None,
    }
}

/// The file of the measurements.
fn file(args: &RunArgs) -> Result<PathBuf> {
    Ok(beside(&args.results("semi-supervised")?.place, "cost.jsonl"))
}

/// The number of steps whose median is the time.
fn steps(budget: Budgeted) -> u64 {
    match budget.budget {
        Budget::Quick => 3,
        Budget::Full => 20,
    }
}

/// The earlier measurements, which must be medians of as many steps.
pub(crate) fn earlier(args: &RunArgs, budget: Budgeted) -> Result<Vec<CostRecord>> {
    let path = file(args)?;
    check_writable([&path])?;
    let lines: Vec<CostRecord> = read_lines(&path)?;
    match lines.first() {
        Some(first) if first.steps != steps(budget) => {
            let expected =
                format!("nothing or medians of {} steps; another --json keeps both", steps(budget));
            Err(Error::format(path, expected, format!("medians of {}", first.steps)))
        }
        _ => Ok(lines),
    }
}

/// Measures all methods with all numbers of classes, on the data's images with random labels, unless there
/// are `earlier` measurements. Prints the results, and writes the lines and the figure.
pub(crate) fn run(
    args: &RunArgs,
    budget: Budgeted,
    earlier: &[CostRecord],
    interrupt: &Interrupt,
) -> Result<i32> {
    let path = file(args)?;
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
    interrupt.ends(|| say!("stopped; an unfinished measurement cannot be resumed"));
    let measured = args.threads.run(|| measure(args, budget, &data))?;
    print(&measured);
    write_lines(&path, &measured)?;
    draw(&path.with_extension("svg"), &measured).map(|()| 0)
}

fn print(lines: &[CostRecord]) {
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

fn measure(args: &RunArgs, budget: Budgeted, data: &Digits) -> Result<Vec<CostRecord>> {
    let mut lines = Vec::new();
    for classes in CLASSES {
        let begin = Instant::now();
        let mut times = Vec::new();
        let batch = BATCH.min(data.train().len());
        for (name, settings) in runs_of_classes(classes, batch, budget) {
            let mut plan: Plan = settings.plan();
            (plan.training.batch, plan.training.validation) = (batch, None);
            times.push((name, us_per_step(&mut plan.begin(data)?, steps(budget))));
        }
        let (_, marginalization) = times[0];
        for &(row, us_per_step) in &times[1..] {
            lines.push(CostRecord {
                table: "semi-supervised-cost".to_owned(),
                row: row.to_owned(),
                column: format!("{classes} classes"),
                paper: paper(classes),
                ours: (marginalization / us_per_step * 100.0).round() / 100.0,
                classes,
                us_per_step: us_per_step.round(),
                us_per_step_marginalization: marginalization.round(),
                steps: steps(budget),
                seconds: (begin.elapsed().as_secs_f64() * 10.0).round() / 10.0,
                seed: budget.seed,
                threads: rayon::current_num_threads(),
                label: args.label.clone(),
            });
        }
    }
    Ok(lines)
}

/// The median time of some steps after the first, which allocates the buffers.
fn us_per_step(run: &mut Run<'_>, steps: u64) -> f64 {
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

/// Draws the times against the number of classes.
pub(crate) fn draw(path: &Path, lines: &[CostRecord]) -> Result<()> {
    let curve = |i, name: &str, times: Vec<(f64, f64)>| Curve::nth(i, name.to_owned(), times);
    let point = |line: &CostRecord, us: f64| (line.classes as f64, us / 1e3);
    let rows = distinct(lines.iter().map(|line| &line.row[..]));
    let of_row = |row: &str| lines.iter().filter(|line| line.row == row).collect::<Vec<_>>();
    let mut curves = Vec::new();
    if let Some(first) = rows.first() {
        let marginalization =
            of_row(first).into_iter().map(|line| point(line, line.us_per_step_marginalization)).collect();
        curves.push(curve(0, "marginalization", marginalization));
    }
    for (i, row) in rows.iter().enumerate() {
        let times = of_row(row).into_iter().map(|line| point(line, line.us_per_step)).collect();
        curves.push(curve(i + 1, row, times));
    }
    write_atomically(path, plot::logarithmic(&Axes { x: "classes", y: "milliseconds a step" }, &curves)?)
}
