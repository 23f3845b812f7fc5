//! `reparam reproduce`: a paper's table, cell by cell, beside the paper's figures.

mod jang;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use clap::ValueEnum;
use reparam::data::Digits;
use reparam::train::{CellRun, CellSettings, SplitKind};
use reparam::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::common::{DataArgs, ThreadArgs, progress, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which table
    table: Table,
    /// How long to train and how many samples to take at evaluation
    #[arg(long, default_value = "quick")]
    budget: Budget,
    /// Only cells whose row or column contains this, comma-separated
    #[arg(long, value_name = "TEXTS", value_delimiter = ',')]
    only: Vec<String>,
    /// Where the randomness comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// File of results, one JSON object a line; cells that are in it are not run again [default: TABLE-BUDGET.jsonl]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    threads: ThreadArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Table {
    /// Jang, Gu and Poole 2017, table 1: structured output prediction and VAEs under seven estimators
    #[value(name = "jang-table1")]
    JangTable1,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Table::JangTable1 => "jang-table1",
        }
    }

    fn cells(self, budget: Budget, seed: u64) -> Vec<Cell> {
        match self {
            Table::JangTable1 => jang::cells(budget, seed),
        }
    }
}

/// How much a cell may cost.
#[derive(Clone, Copy, PartialEq, Debug, ValueEnum)]
enum Budget {
    /// A minute a cell
    Quick,
    /// Some minutes a cell, learning rates tried on the validation split, 1000 samples at evaluation
    Full,
}

impl Budget {
    fn name(self) -> &'static str {
        match self {
            Budget::Quick => "quick",
            Budget::Full => "full",
        }
    }
}

/// A cell to run.
struct Cell {
    row: &'static str,
    column: &'static str,
    paper: f64,
    settings: CellSettings,
    /// Learning rates to choose from by short runs; none to take the settings' own.
    rates: Vec<f64>,
    /// Hard samples per test image.
    samples: usize,
}

/// A line of the results.
#[derive(Serialize, Deserialize, Clone)]
struct Line {
    table: String,
    row: String,
    column: String,
    paper: f64,
    ours: f64,
    standard_error: f64,
    validation: f64,
    steps: u64,
    best_step: u64,
    seconds: f64,
    seed: u64,
    budget: String,
    estimator: String,
    optimizer: String,
    learning_rate: f64,
    batch: usize,
    test_samples: usize,
}

impl Line {
    fn is_of(&self, cell: &Cell) -> bool {
        self.row == cell.row && self.column == cell.column && self.seed == cell.settings.seed
    }
}

pub(crate) fn run(args: Args) -> Result<i32> {
    let path = args
        .json
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}-{}.jsonl", args.table.name(), args.budget.name())));
    let mut lines = read(&path)?;
    let data = args.data.load()?;
    let wanted = |cell: &Cell| {
        let matches = |text: &String| cell.row.contains(text.as_str()) || cell.column.contains(text.as_str());
        args.only.is_empty() || args.only.iter().any(matches)
    };
    let cells: Vec<Cell> = args.table.cells(args.budget, args.seed).into_iter().filter(wanted).collect();
    if cells.is_empty() {
        return Err(Error::invalid("--only", "a part of a row's or column's name", args.only.join(",")));
    }
    let interrupted = interrupt_flag();
    let finished = args.threads.run(|| {
        for cell in &cells {
            if lines.iter().any(|line| line.is_of(cell)) {
                continue;
            }
            let Some(line) = run_cell(cell, &data, args.table, args.budget, &interrupted)? else {
                return Ok(false);
            };
            append(&path, &line)?;
            lines.push(line);
        }
        Ok(true)
    })?;
    print_table(&cells, &lines);
    if !finished {
        say!("stopped; the same command goes on with the next cell of {}", path.display());
        return Ok(130);
    }
    Ok(0)
}

/// Set by Ctrl-C; a handler is installed once.
fn interrupt_flag() -> Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    FLAG.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let set = flag.clone();
        // Without a handler Ctrl-C ends the program at once, which loses no more than the cell under way.
        let _ = ctrlc::set_handler(move || set.store(true, Ordering::Relaxed));
        flag
    })
    .clone()
}

/// Results of earlier runs.
fn read(path: &Path) -> Result<Vec<Line>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(path, "read", error)),
    };
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            Error::format(path, "lines that reproduce wrote", format!("line {}: {error}", number + 1))
        })
    };
    text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect()
}

fn append(path: &Path, line: &Line) -> Result<()> {
    let text = serde_json::to_string(line).expect("numbers and text") + "\n";
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| Error::io(path, "write", error))
}

/// Trains and scores a cell; `None` if it was interrupted.
fn run_cell(
    cell: &Cell,
    data: &Digits,
    table: Table,
    budget: Budget,
    interrupted: &AtomicBool,
) -> Result<Option<Line>> {
    let begin = Instant::now();
    let mut settings = cell.settings.clone();
    let label = format!("{}, {}", cell.row, cell.column);
    if !cell.rates.is_empty() {
        let mut best = (f64::INFINITY, settings.learning_rate);
        for &rate in &cell.rates {
            let steps = settings.steps / 5;
            let short =
                CellSettings { learning_rate: rate, steps, validate_every: steps, ..settings.clone() };
            let Some(run) = train(short, data, &format!("{label}, rate {rate:e}"), interrupted)? else {
                return Ok(None);
            };
            let score = run.best().map_or(f64::INFINITY, |(_, score)| score);
            if score < best.0 {
                best = (score, rate);
            }
        }
        settings.learning_rate = best.1;
    }
    let Some(mut run) = train(settings.clone(), data, &label, interrupted)? else { return Ok(None) };
    let (best_step, validation) = run.best().expect("validated at the last step");
    run.keep_best();
    let bar = progress(0, data.test().len() as u64, "images");
    bar.set_message(format!("{label}, test"));
    let score = run.evaluate(SplitKind::Test, cell.samples, |images| {
        bar.set_position(images as u64);
        !interrupted.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    let Some(score) = score else { return Ok(None) };
    let line = Line {
        table: table.name().to_owned(),
        row: cell.row.to_owned(),
        column: cell.column.to_owned(),
        paper: cell.paper,
        ours: round(score.mean),
        standard_error: round(score.standard_error),
        validation: round(validation),
        steps: settings.steps,
        best_step,
        seconds: (begin.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        seed: settings.seed,
        budget: budget.name().to_owned(),
        estimator: settings.estimator.clone(),
        optimizer: "adam 0.9 0.99".to_owned(),
        learning_rate: settings.learning_rate,
        batch: settings.batch,
        test_samples: cell.samples,
    };
    say!("{label}: {:.2} (paper {:.1}), {:.0} s", line.ours, line.paper, line.seconds);
    Ok(Some(line))
}

fn round(nats: f64) -> f64 {
    (nats * 1e4).round() / 1e4
}

fn train<'d>(
    settings: CellSettings,
    data: &'d Digits,
    label: &str,
    interrupted: &AtomicBool,
) -> Result<Option<CellRun<'d>>> {
    let bar = progress(0, settings.steps, "steps");
    let mut run = CellRun::new(settings, data)?;
    while !run.is_finished() {
        if interrupted.load(Ordering::Relaxed) {
            bar.finish_and_clear();
            return Ok(None);
        }
        let loss = run.step();
        bar.set_position(run.step_count());
        if run.step_count().is_multiple_of(100) {
            bar.set_message(format!("{label}, loss {loss:.1}"));
        }
    }
    bar.finish_and_clear();
    Ok(Some(run))
}

/// The table so far: ours, and the paper's in brackets.
fn print_table(cells: &[Cell], lines: &[Line]) {
    let mut rows: Vec<&str> = cells.iter().map(|cell| cell.row).collect();
    rows.dedup();
    let mut columns: Vec<&str> = Vec::new();
    for cell in cells {
        if !columns.contains(&cell.column) {
            columns.push(cell.column);
        }
    }
    let heading: String = columns.iter().map(|column| format!("{column:>22}")).collect();
    say!("\n{:<24}{heading}", "nats; paper in brackets");
    for row in rows {
        let entry = |column: &&str| {
            let cell = cells.iter().find(|cell| cell.row == row && cell.column == *column);
            let line = cell.and_then(|cell| lines.iter().find(|line| line.is_of(cell)));
            let text = line.map_or("-".to_owned(), |line| format!("{:.2} ({:.1})", line.ours, line.paper));
            format!("{text:>22}")
        };
        say!("{row:<24}{}", columns.iter().map(entry).collect::<String>());
    }
}
