//! `reparam sample`: images that a trained model draws.

use std::path::PathBuf;

use reparam::cli::args::{DataArgs, ThreadArgs, number, whole};
use reparam::cli::files::check_writable;
use reparam::cli::picture::Grid;
use reparam::cli::say;
use reparam::models::ModelShape;
use reparam::train::Stored;
use reparam::{Error, Noise, Result};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Checkpoint written by `reparam train` or `reparam-papers`. vae and belief draw from their prior, semi
    /// draws one class after another, and sbn completes the upper halves of test images
    checkpoint: PathBuf,
    /// Number of images
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = whole(1..=10_000_u32))]
    count: u32,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number::<u64>)]
    seed: u64,
    /// Picture to write
    #[arg(long, default_value = "samples.png", value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    threads: ThreadArgs,
}

pub(crate) fn run(args: Args) -> Result<i32> {
    check_writable([&args.out])?;
    let stored = Stored::load(&args.checkpoint)?;
    let count = args.count as usize;
    let mut noise = Noise::seed(args.seed);
    let given = match stored.plan.model {
        ModelShape::Prediction { .. } => upper_halves(&args, &stored, count, &mut noise)?,
        _ => Vec::new(),
    };
    let images = args.threads.run(|| Ok(stored.model.draw(&stored.params, &given, count, &mut noise)))?;
    if images.is_empty() {
        let expected = "a model that draws images (vae, sbn, belief or semi)";
        return Err(Error::format(
            &args.checkpoint,
            expected,
            format!("one of {}", stored.plan.model.name()),
        ));
    }
    let size = [stored.images.rows, stored.images.cols];
    let mut grid = Grid::new(size, (count as f64).sqrt().ceil() as usize);
    grid.extend(&images);
    grid.save(&args.out)?;
    say!("wrote {count} images to {}", args.out.display());
    Ok(0)
}

/// The first test images, whose lower halves the model draws.
fn upper_halves(args: &Args, stored: &Stored, count: usize, noise: &mut Noise) -> Result<Vec<f32>> {
    let data = args.data.load()?;
    stored.check_fits(&data)?;
    Ok(data.test().sample_first(count, noise))
}
