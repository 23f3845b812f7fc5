//! `reparam data`: look at data, pack IDX files.

use std::path::PathBuf;

use reparam::Result;
use reparam::data::{Digits, Split, SplitKind, pack};

use reparam::cli::args::load;
use reparam::cli::files::check_writable;
use reparam::cli::picture::Grid;
use reparam::cli::say;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Binarize a folder of IDX files once and pack it into one file like the embedded one
    Pack {
        /// Folder of the four IDX files, plain or .gz
        dir: PathBuf,
        /// File to write
        #[arg(long, value_name = "FILE", default_value = "binarized.gz")]
        out: PathBuf,
        /// Exchange rows and columns of the images, as EMNIST's files require
        #[arg(long)]
        transpose: bool,
    },
    /// Print what a data set holds
    Inspect {
        /// A folder of IDX files or a packed file [default: the embedded data]
        path: Option<PathBuf>,
        /// Exchange rows and columns of the images, as EMNIST's files require
        #[arg(long)]
        transpose: bool,
        /// Write a picture of the first 100 training images
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
    },
}

pub(crate) fn run(command: Command) -> Result<i32> {
    match command {
        Command::Pack { dir, out, transpose } => {
            check_writable([&out])?;
            let bytes = pack(&load(Some(&dir), transpose)?);
            reparam::internal::write_atomically(&out, &bytes)?;
            say!("packed {} into {} ({} bytes)", dir.display(), out.display(), bytes.len());
        }
        Command::Inspect { path, transpose, picture } => {
            check_writable(&picture)?;
            let digits = load(path.as_deref(), transpose)?;
            say!("{} classes, fingerprint {}", digits.classes(), digits.fingerprint());
            for &kind in SplitKind::ALL {
                inspect(kind, digits.split(kind));
            }
            if let Some(path) = picture {
                draw(&digits, &path)?;
            }
        }
    }
    Ok(0)
}

fn inspect(kind: SplitKind, split: &Split) {
    let means = split.pixel_means();
    let lit = means.iter().map(|&mean| f64::from(mean)).sum::<f64>() / means.len() as f64;
    let pixels = if split.is_binary() { "binary" } else { "8-bit" };
    let mut counts = [0usize; 256];
    split.labels().iter().for_each(|&label| counts[usize::from(label)] += 1);
    let used = counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
    say!(
        "{kind:<10} {} {pixels} images of {} x {}, mean pixel {lit:.4}, images per class {:?}",
        split.len(),
        split.rows(),
        split.cols(),
        &counts[..used]
    );
}

fn draw(digits: &Digits, path: &std::path::Path) -> Result<()> {
    let split = digits.train();
    let indices: Vec<u32> = (0..split.len().min(100) as u32).collect();
    let mut pixels = vec![0.0; indices.len() * split.pixels()];
    split.pixels_into(&indices, &mut pixels);
    let mut grid = Grid::new([split.rows(), split.cols()], 10);
    grid.extend(&pixels);
    grid.save(path)?;
    say!("wrote {}", path.display());
    Ok(())
}
