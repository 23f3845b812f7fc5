//! `reparam bench`: the speed of the kernels and of a training step on this machine.

mod allocations;
mod cases;
mod kernels;
mod measure;
mod step;

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use reparam::Result;

use reparam::cli::args::ThreadArgs;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Fused kernels, compared with the same ops composed of primitives, with their noise alone and with a
    /// copy.
    Kernels(kernels::Args),
    /// A training step, compared with its matrix products alone.
    Step(step::Args),
}

pub(crate) fn run(command: Command) -> Result<i32> {
    match command {
        Command::Kernels(args) => kernels::run(args),
        Command::Step(args) => step::run(args),
    }
}

/// The flags of both benchmarks.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// Fewer and shorter measurements: under a minute
    #[arg(long)]
    quick: bool,
    /// Write the measurements to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    threads: ThreadArgs,
}

impl Common {
    /// Time for one measurement.
    fn budget(&self) -> Duration {
        Duration::from_millis(if self.quick { 60 } else { 400 })
    }
}
