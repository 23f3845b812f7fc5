//! `reparam-papers`: the papers' tables, cell by cell, compared with the papers' figures; the page of results
//! made from them; and the pictures of the documentation.
#![deny(unsafe_code)]

mod cell;
mod choice;
mod concrete;
mod cost;
mod course;
mod figures;
mod jang;
mod modern;
mod only;
mod print;
mod records;
mod report;
mod runner;
mod search;
mod semi_supervised;
mod settings;
mod work;

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use reparam::cli::args::{DataArgs, ThreadArgs, number, whole, with_flag};
use reparam::cli::{INTERRUPTED, Interrupt, fail, say};
use reparam::train::{MOST_SAMPLES, MOST_STEPS};
use reparam::{Error, Result};

use cell::{Cell, Outcome};
use choice::Stages;
use records::Results;
use runner::Runner;

/// Reproduce the papers' tables, and draw the pictures of the documentation.
#[derive(Parser)]
#[command(name = "reparam-papers", version, arg_required_else_help = true, args_override_self = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Jang, Gu and Poole 2017, table 1: structured output prediction and VAEs under seven estimators
    #[command(name = "jang-table1")]
    JangTable1(RunArgs),
    /// Maddison, Mnih and Teh 2017: belief nets and structured output prediction, Concrete compared with
    /// VIMCO and NVIL
    Concrete(RunArgs),
    /// Jang, Gu and Poole 2017, section 4.3: digits with 100 labels, and the cost of a step against the
    /// number of classes
    SemiSupervised(RunArgs),
    /// Later estimators on one categorical and one Bernoulli VAE, three seeds each
    Modern(RunArgs),
    /// Write the page of results from the files that the tables wrote
    Report(report::Args),
    /// Draw the pictures of the documentation
    Figures(figures::Args),
    /// Write the chapters as web pages, with the panels in their text
    Course(course::Args),
}

/// The flags of all tables.
#[derive(clap::Args)]
struct RunArgs {
    /// Length of training and number of samples at evaluation
    #[arg(long, default_value = "quick")]
    budget: Budget,
    /// Steps of each cell, instead of the budget's
    #[arg(long, value_name = "N", value_parser = whole(1..=MOST_STEPS))]
    steps: Option<u64>,
    /// Hard samples per test image, instead of the budget's; concrete's predictions take at most the paper's
    /// 100; not for semi-supervised, whose figure is -ELBO, the bound of one sample
    #[arg(long, value_name = "N", value_parser = whole(1..=MOST_SAMPLES as usize))]
    samples: Option<usize>,
    /// Only cells with these names "ROW / COLUMN", rows or columns, or with one of these texts in their names
    /// as whole words; comma-separated; `cost` for the cost of semi-supervised steps
    #[arg(long, value_name = "TEXTS")]
    only: Vec<String>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number::<u64>)]
    seed: u64,
    /// File of results, one JSON object per line; cells already in it are not run again [default:
    /// TABLE-BUDGET.jsonl]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A label to keep with each result, for example the commit
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    threads: ThreadArgs,
}

/// The cost of a cell.
#[derive(Clone, Copy, PartialEq, Debug, ValueEnum)]
enum Budget {
    /// Seconds per cell, with default settings and 10 samples at evaluation
    Quick,
    /// Minutes to hours per cell, with settings chosen by short runs and two full ones on the validation
    /// split, and 1000 samples at evaluation
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

/// A budget in numbers, from which a table's cells are made.
#[derive(Clone, Copy)]
struct Budgeted {
    budget: Budget,
    steps: u64,
    /// Hard samples per test image.
    samples: usize,
    seed: u64,
}

impl RunArgs {
    /// The budget's steps and samples, unless the flags give others.
    fn budgeted(&self, quick_steps: u64, full_steps: u64) -> Budgeted {
        let (steps, samples) = match self.budget {
            Budget::Quick => (quick_steps, 10),
            Budget::Full => (full_steps, 1000),
        };
        Budgeted {
            budget: self.budget,
            steps: self.steps.unwrap_or(steps),
            samples: self.samples.unwrap_or(samples),
            seed: self.seed,
        }
    }

    /// The results of a table.
    fn results(&self, table: &str) -> Result<Results> {
        let own = PathBuf::from(format!("{table}-{}.jsonl", self.budget.name()));
        Results::read(self.json.as_ref().unwrap_or(&own), &own)
    }
}

impl Budgeted {
    /// The stages of the search for a cell's settings. The quick budget has none.
    fn search(self, full: Stages) -> Stages {
        match self.budget {
            Budget::Quick => Vec::new(),
            Budget::Full => full,
        }
    }

    /// Steps between scores on the validation split: 25 of them, and at most one every 200 steps.
    fn validate_every(self) -> u64 {
        (self.steps / 25).max(200)
    }
}

fn main() {
    match run(Args::parse().command) {
        Ok(code) => std::process::exit(code),
        Err(error) => fail(&with_flag(error, &Args::command())),
    }
}

fn run(command: Command) -> Result<i32> {
    match command {
        Command::JangTable1(args) => {
            run_table("jang-table1", jang::cells(args.budgeted(2_000, 50_000)), &args)
        }
        Command::Concrete(args) => {
            run_table("concrete", concrete::cells(args.budgeted(1_000, 50_000)), &args)
        }
        Command::SemiSupervised(args) => semi_supervised::run(&args),
        Command::Modern(args) => run_table("modern", modern::cells(args.budgeted(500, 10_000)), &args),
        Command::Report(args) => report::run(&args),
        Command::Figures(args) => figures::run(args),
        Command::Course(args) => course::run(&args),
    }
}

/// Runs the cells of a table that `--only` names.
fn run_table(table: &'static str, cells: Vec<Cell>, args: &RunArgs) -> Result<i32> {
    let texts = only::texts(&args.only, &cells);
    run_cells(table, &only::choose(cells, &texts)?, args, &Interrupt::listen()?)
}

/// Runs the cells that are not yet in the file of results, and prints them all.
fn run_cells(table: &'static str, cells: &[Cell], args: &RunArgs, interrupt: &Interrupt) -> Result<i32> {
    let mut results = args.results(table)?;
    let data = args.data.load()?;
    let source = args.data.path().map(|_| data.fingerprint());
    results.check(cells, args.budget, source.as_deref())?;
    let (mut diverged, mut elsewhere) = (0, 0);
    interrupt.asks();
    let finished = args.threads.run(|| {
        let (budget, label) = (args.budget, args.label.as_deref());
        let runner = Runner { table, budget, label, data: &data, source, interrupt };
        for cell in cells {
            if results.has(cell) {
                continue;
            }
            match runner.run(cell, &mut results)? {
                Outcome::Finished => {}
                Outcome::Diverged => diverged += 1,
                Outcome::Elsewhere => elsewhere += 1,
                Outcome::Interrupted => return Ok(false),
            }
        }
        Ok(true)
    })?;
    results.read_again()?;
    print::table(cells, &results);
    if !finished {
        say!("{}", results.stopped());
        return Ok(INTERRUPTED);
    }
    if elsewhere > 0 {
        say!("{elsewhere} cell(s) are being run by other commands, which add them to the file");
    }
    match diverged {
        0 => Ok(0),
        _ => {
            let found = format!("{diverged} without, see above");
            Err(Error::invalid("the table", "finite losses in every cell", found))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_cell_has_files_of_its_own() {
        let budget = Budgeted { budget: Budget::Full, steps: 1, samples: 1, seed: 1 };
        let tables = [
            jang::cells(budget),
            concrete::cells(budget),
            semi_supervised::cells(budget),
            modern::cells(budget),
        ];
        for cells in tables {
            let name = |cell: &Cell| records::file_name(&cell.row, &cell.column, cell.settings.seed);
            let names: HashSet<String> = cells.iter().map(name).collect();
            assert_eq!(names.len(), cells.len());
        }
    }
}
