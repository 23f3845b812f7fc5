//! `reparam eval`: a checkpoint's scores with hard samples.

use std::path::PathBuf;
use std::time::Instant;

use reparam::data::SplitKind;
use reparam::train::{Task, Trained};
use reparam::{Error, Noise, Result};

use crate::common::{DataArgs, ThreadArgs, number, progress, whole, writable_folder_of, write_lines};
use crate::records::Line;
use crate::scores::{SAMPLES, describe};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Checkpoint that `reparam train` wrote
    checkpoint: PathBuf,
    /// Images to evaluate on: train, validation or test
    #[arg(long, default_value = "test")]
    split: SplitKind,
    /// Hard samples per image in the bound on -ln p [default: 100]
    #[arg(long, value_name = "N", value_parser = whole(1..=100_000_u32))]
    samples: Option<u32>,
    /// Where the randomness comes from
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number::<u64>)]
    seed: u64,
    /// Write the scores as a JSON line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    threads: ThreadArgs,
}

pub(crate) fn run(args: Args) -> Result<i32> {
    writable_folder_of(args.json.as_deref())?;
    let trained = Trained::load(&args.checkpoint)?;
    let samples = samples(&trained.task, args.samples)?;
    let data = args.data.load()?;
    trained.check_fits(&data)?;
    let split = data.split(args.split);
    let begin = Instant::now();
    let bar = progress(0, split.len() as u64, "images");
    let scores = args.threads.run(|| {
        let mut noise = Noise::seed(args.seed);
        Ok(trained
            .task
            .evaluate(&trained.params, split, samples, &mut noise, |images| bar.inc(images as u64)))
    })?;
    bar.finish_and_clear();
    let seconds = begin.elapsed().as_secs_f64();
    let record = trained.record(args.split, data.train().len(), samples, scores);
    describe(&trained.task, &record, seconds);
    if let Some(path) = &args.json {
        write_lines(path, &[Line::new(&record, seconds)])?;
    }
    Ok(0)
}

/// Hard samples to take: a classifier takes none, one evaluation is all.
fn samples(task: &Task, given: Option<u32>) -> Result<usize> {
    match (task, given) {
        (Task::Mlp(_), Some(_)) => {
            Err(Error::invalid("--samples", "it with a vae, sbn or semi checkpoint only", "one of mlp"))
        }
        (Task::Mlp(_), None) => Ok(1),
        (_, given) => Ok(given.unwrap_or(SAMPLES) as usize),
    }
}
