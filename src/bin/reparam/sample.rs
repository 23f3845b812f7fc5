//! `reparam sample`: images drawn from a trained VAE's prior.

use std::path::PathBuf;

use reparam::models::Vae;
use reparam::train::{Task, Trained};
use reparam::{Error, Noise, Result};

use crate::common::{ThreadArgs, say};
use crate::picture::Grid;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Checkpoint of a VAE that `reparam train vae` wrote
    checkpoint: PathBuf,
    /// Number of images
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Where the randomness comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Picture to write
    #[arg(long, default_value = "samples.png", value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    threads: ThreadArgs,
}

pub(crate) fn run(args: Args) -> Result<i32> {
    let trained = Trained::load(&args.checkpoint)?;
    let vae = vae_of(&trained, &args.checkpoint)?;
    let count = args.count as usize;
    let images =
        args.threads.run(|| Ok(vae.generate(&trained.params, count, &mut Noise::seed(args.seed))))?;
    let mut grid = Grid::new(trained.images.size, (count as f64).sqrt().ceil() as usize);
    grid.extend(&images);
    grid.save(&args.out)?;
    say!("wrote {count} images to {}", args.out.display());
    Ok(0)
}

/// The VAE of a checkpoint.
fn vae_of<'a>(trained: &'a Trained, path: &std::path::Path) -> Result<&'a Vae> {
    match &trained.task {
        Task::Vae(vae) => Ok(vae),
        Task::Mlp(_) => Err(Error::format(path, "a model that draws images (vae)", "a classifier (mlp)")),
    }
}
