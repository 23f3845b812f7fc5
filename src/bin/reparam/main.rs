//! The command line of `reparam`: one file per command, thin over the library.
#![forbid(unsafe_code)]

mod common;
mod data;
mod eval;
mod picture;
mod records;
mod sample;
mod train;

use clap::{Parser, Subcommand};

/// Train and look at small stochastic neural nets.
#[derive(Parser)]
#[command(name = "reparam", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model, evaluate it with hard samples, and write a checkpoint, metrics and a picture.
    Train(train::Args),
    /// Evaluate a checkpoint with hard samples.
    Eval(eval::Args),
    /// Draw images from a checkpoint.
    Sample(sample::Args),
    /// Look at data, or pack IDX files into the embedded format.
    #[command(subcommand)]
    Data(data::Command),
}

fn main() {
    let outcome = match Cli::parse().command {
        Command::Train(args) => train::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Data(command) => data::run(command),
    };
    match outcome {
        Ok(code) => std::process::exit(code),
        Err(error) => common::fail(&error),
    }
}
