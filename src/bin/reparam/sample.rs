//! `reparam sample`: images drawn from a trained model's prior.

use std::path::{Path, PathBuf};

use reparam::train::{Task, Trained};
use reparam::{Error, Noise, Result};

use crate::common::{ThreadArgs, number, say, whole};
use crate::picture::Grid;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Checkpoint that `reparam train vae` or `reparam train semi` wrote; images of the latter go through the classes in turn
    checkpoint: PathBuf,
    /// Number of images
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = whole(1..=10_000_u32))]
    count: u32,
    /// Where the randomness comes from
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number::<u64>)]
    seed: u64,
    /// Picture to write
    #[arg(long, default_value = "samples.png", value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    threads: ThreadArgs,
}

pub(crate) fn run(args: Args) -> Result<i32> {
    let trained = Trained::load(&args.checkpoint)?;
    let count = args.count as usize;
    let images = args.threads.run(|| draw(&trained, count, args.seed, &args.checkpoint))?;
    let mut grid = Grid::new(trained.images.size, (count as f64).sqrt().ceil() as usize);
    grid.extend(&images);
    grid.save(&args.out)?;
    say!("wrote {count} images to {}", args.out.display());
    Ok(0)
}

fn draw(trained: &Trained, count: usize, seed: u64, path: &Path) -> Result<Vec<f32>> {
    let Trained { task, params, .. } = trained;
    let mut noise = Noise::seed(seed);
    let found = match task {
        Task::Vae(vae) => return Ok(vae.generate(params, count, &mut noise)),
        Task::Semi(model) => return Ok(model.generate(params, count, &mut noise)),
        Task::Sbn(_) => "a net that draws halves (sbn)",
        Task::Mlp(_) => "a classifier (mlp)",
    };
    Err(Error::format(path, "a model that draws images (vae or semi)", found))
}
