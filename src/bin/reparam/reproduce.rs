//! `reparam reproduce`: a paper's table, cell by cell, beside the paper's figures.

mod cell;
mod choice;
mod concrete;
mod cost;
mod jang;
mod lines;
mod modern;
mod only;
mod print;
mod report;
mod runner;
mod search;
mod semi_supervised;
mod work;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::{Subcommand, ValueEnum};
use reparam::{Error, Result};

use crate::common::{DataArgs, INTERRUPTED, ThreadArgs, at_least_one, interrupt_flag, number, say};
use cell::{Cell, Outcome};
use choice::Stages;
use lines::Results;
use runner::Runner;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    table: Table,
}

#[derive(Subcommand)]
enum Table {
    /// Jang, Gu and Poole 2017, table 1: structured output prediction and VAEs under seven estimators
    #[command(name = "jang-table1")]
    JangTable1(RunArgs),
    /// Maddison, Mnih and Teh 2017: belief nets and structured output prediction, Concrete beside VIMCO and NVIL
    Concrete(RunArgs),
    /// Jang, Gu and Poole 2017, section 4.3: digits with 100 labels, and the cost of a step against the number of classes
    SemiSupervised(RunArgs),
    /// Later estimators on one categorical and one Bernoulli VAE, three seeds each
    Modern(RunArgs),
    /// Write the page of results from the files that the tables wrote
    Report(report::Args),
}

/// Flags of all tables.
#[derive(clap::Args)]
struct RunArgs {
    /// How long to train and how many samples to take at evaluation
    #[arg(long, default_value = "quick")]
    budget: Budget,
    /// Steps of each cell, instead of the budget's
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>)]
    steps: Option<u64>,
    /// Hard samples per test image, instead of the budget's; concrete's predictions take at most the paper's 100;
    /// not for semi-supervised, whose figure is -ELBO, the bound of one
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    samples: Option<usize>,
    /// Only cells of these names "ROW / COLUMN", rows or columns, or whose name has one of these texts in it as whole words;
    /// comma-separated; `cost` for the cost of semi-supervised steps
    #[arg(long, value_name = "TEXTS")]
    only: Vec<String>,
    /// Where the randomness comes from
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number::<u64>)]
    seed: u64,
    /// File of results, one JSON object a line; cells that are in it are not run again [default: TABLE-BUDGET.jsonl]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A word to keep with each result, the commit for example
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    threads: ThreadArgs,
}

/// How much a cell may cost.
#[derive(Clone, Copy, PartialEq, Debug, ValueEnum)]
enum Budget {
    /// Seconds a cell, settings as they are, 10 samples at evaluation
    Quick,
    /// Minutes to hours a cell, settings chosen by short runs and two in full on the validation split, 1000 samples at evaluation
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

/// What a table's cells are made for.
#[derive(Clone, Copy)]
struct Plan {
    budget: Budget,
    steps: u64,
    /// Hard samples per test image.
    samples: usize,
    seed: u64,
}

impl RunArgs {
    /// The flags, or the budget's steps.
    fn plan(&self, quick_steps: u64, full_steps: u64) -> Plan {
        let (steps, samples) = match self.budget {
            Budget::Quick => (quick_steps, 10),
            Budget::Full => (full_steps, 1000),
        };
        Plan {
            budget: self.budget,
            steps: self.steps.unwrap_or(steps),
            samples: self.samples.unwrap_or(samples),
            seed: self.seed,
        }
    }

    /// The file of results.
    fn results(&self, table: &str) -> PathBuf {
        let default = || PathBuf::from(format!("{table}-{}.jsonl", self.budget.name()));
        self.json.clone().unwrap_or_else(default)
    }
}

impl Plan {
    /// What a cell's settings are chosen from: with the quick budget they are as they are.
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

pub(crate) fn run(args: Args) -> Result<i32> {
    let stop = interrupt_flag()?;
    match args.table {
        Table::JangTable1(args) => {
            run_table("jang-table1", jang::cells(args.plan(2_000, 50_000)), &args, &stop)
        }
        Table::Concrete(args) => {
            run_table("concrete", concrete::cells(args.plan(1_000, 50_000)), &args, &stop)
        }
        Table::SemiSupervised(args) => semi_supervised::run(&args, &stop),
        Table::Modern(args) => run_table("modern", modern::cells(args.plan(500, 10_000)), &args, &stop),
        Table::Report(args) => report::run(&args),
    }
}

/// Runs those of a table's cells that are wanted.
fn run_table(table: &'static str, cells: Vec<Cell>, args: &RunArgs, interrupted: &AtomicBool) -> Result<i32> {
    let texts = only::texts(&args.only, &cells);
    run_cells(table, &only::choose(cells, &texts)?, args, interrupted)
}

/// Runs the cells that are not yet in the file of results, and prints them all.
fn run_cells(table: &'static str, cells: &[Cell], args: &RunArgs, interrupted: &AtomicBool) -> Result<i32> {
    let path = args.results(table);
    let mut results = Results::read(&path)?;
    let data = args.data.load()?;
    let source = args.data.path().map(|_| data.fingerprint());
    results.check(cells, args.budget, source.as_deref())?;
    let mut diverged = 0;
    let finished = args.threads.run(|| {
        let (budget, label) = (args.budget, args.label.as_deref());
        let runner = Runner { table, budget, label, data: &data, source, interrupted };
        for cell in cells {
            if results.has(cell) {
                continue;
            }
            match runner.run(cell, &mut results)? {
                Outcome::Finished => {}
                Outcome::Diverged => diverged += 1,
                Outcome::Interrupted => return Ok(false),
            }
        }
        Ok(true)
    })?;
    print::table(cells, &results);
    if !finished {
        say!("stopped; the same command goes on where it was, with the results in {}", path.display());
        return Ok(INTERRUPTED);
    }
    match diverged {
        0 => Ok(0),
        _ => {
            let found = format!("{diverged} without, see above");
            Err(Error::invalid("reproduce", "finite losses in every cell", found))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_cell_has_files_of_its_own() {
        let plan = Plan { budget: Budget::Full, steps: 1, samples: 1, seed: 1 };
        let tables =
            [jang::cells(plan), concrete::cells(plan), semi_supervised::cells(plan), modern::cells(plan)];
        for cells in tables {
            let name = |cell: &Cell| lines::file_name(&cell.row, &cell.column, cell.settings.seed);
            let names: HashSet<String> = cells.iter().map(name).collect();
            assert_eq!(names.len(), cells.len());
        }
    }
}
