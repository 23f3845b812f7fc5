//! `reparam eval`: scores a checkpoint with hard samples.

use std::path::PathBuf;
use std::time::Instant;

use reparam::cli::args::{DataArgs, ThreadArgs, number, whole};
use reparam::cli::files::check_writable;
use reparam::cli::records::MetricsLine;
use reparam::cli::{progress, write_lines};
use reparam::data::SplitKind;
use reparam::train::{MOST_SAMPLES, Stored};
use reparam::{Error, Result};

use crate::scores::{SAMPLES, describe};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Checkpoint written by `reparam train` or `reparam-papers`
    checkpoint: PathBuf,
    /// Images to evaluate on: train, validation or test
    #[arg(long, default_value = "test")]
    split: SplitKind,
    /// Hard samples per image in the bound on -ln p [default: 100]
    #[arg(long, value_name = "N", value_parser = whole(1..=MOST_SAMPLES))]
    samples: Option<u32>,
    /// Seed of the random numbers [default: the run's seed, which reproduces its scores]
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    seed: Option<u64>,
    /// Write the scores as a JSON line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    threads: ThreadArgs,
}

pub(crate) fn run(args: Args) -> Result<i32> {
    check_writable(&args.json)?;
    let stored = Stored::load(&args.checkpoint)?;
    let samples = samples(&stored, args.samples)?;
    let data = args.data.load()?;
    stored.check_fits(&data)?;
    let begin = Instant::now();
    let bar = progress(0, data.split(args.split).len() as u64, "images");
    let seed = args.seed.unwrap_or(stored.plan.training.seed);
    let evaluation = args.threads.run(|| {
        let mut evaluation = stored.evaluation(args.split, samples, seed);
        while evaluation.advance(&*stored.model, &stored.params, &data) {
            bar.set_position(evaluation.done() as u64);
        }
        Ok(evaluation)
    })?;
    bar.finish_and_clear();
    let seconds = begin.elapsed().as_secs_f64();
    let record = stored.record(&evaluation, &data);
    record.check()?;
    describe(&stored.plan.model, &record, seconds);
    if let Some(path) = &args.json {
        write_lines(path, &[MetricsLine { record, seconds }])?;
    }
    Ok(0)
}

/// The number of hard samples. A classifier takes none, because one evaluation is enough.
fn samples(stored: &Stored, given: Option<u32>) -> Result<usize> {
    let has_samples = !stored.model.layers().is_empty();
    match given {
        Some(_) if !has_samples => {
            let expected = "a model that samples";
            Err(Error::invalid("--samples", expected, stored.plan.model.name()))
        }
        given if has_samples => Ok(given.unwrap_or(SAMPLES) as usize),
        _ => Ok(1),
    }
}
