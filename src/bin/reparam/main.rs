//! The command line of `reparam`: one file per command, thin over the library.
#![deny(unsafe_code)]

mod bench;
mod data;
mod eval;
mod explore;
mod lab;
mod sample;
mod scores;
mod tape;
mod train;

use clap::{CommandFactory, Parser, Subcommand};
use reparam::cli::args::with_flag;
use reparam::cli::fail;
use reparam::{Error, Result};
use reparam_ops::Tier;

/// Train and look at small stochastic neural nets.
#[derive(Parser)]
#[command(name = "reparam", version, arg_required_else_help = true, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model, evaluate it with hard samples, and write a checkpoint, metrics and a picture.
    Train(Box<train::Args>),
    /// Evaluate a checkpoint with hard samples.
    Eval(eval::Args),
    /// Draw images from a checkpoint.
    Sample(sample::Args),
    /// Compare estimators of discrete gradients with the exact gradient: bias, variance, cosine, cost.
    Lab(lab::Args),
    /// Measure kernels and training steps on this machine.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Show the tape of a small model: text, DOT, a picture, or a page that steps through it.
    Tape(tape::Args),
    /// Serve the course, with pages in which the engine runs, to this machine only, and print the address.
    Explore(explore::Args),
    /// Look at data, or pack IDX files into the embedded format.
    #[command(subcommand)]
    Data(data::Command),
}

/// Checks the environment variable `REPARAM_SIMD`, because a missing tier would make the library panic.
fn check_tier() -> Result<()> {
    let name = std::env::var_os("REPARAM_SIMD").unwrap_or_default();
    if name.is_empty() || name.to_str().and_then(Tier::named).is_some() {
        return Ok(());
    }
    let have: Vec<_> = Tier::available().iter().map(Tier::to_string).collect();
    let expected = format!("one of {} on this machine", have.join(", "));
    Err(Error::invalid("REPARAM_SIMD", expected, name.display()))
}

fn main() {
    let command = Cli::parse().command;
    let outcome = check_tier().and_then(|()| match command {
        Command::Train(args) => train::run(*args),
        Command::Eval(args) => eval::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Lab(args) => lab::run(args),
        Command::Bench(command) => bench::run(command),
        Command::Tape(args) => tape::run(args),
        Command::Explore(args) => explore::run(args),
        Command::Data(command) => data::run(command),
    });
    match outcome {
        Ok(code) => std::process::exit(code),
        Err(error) => fail(&with_flag(error, &Cli::command())),
    }
}
