//! Data sets of small labelled images, and the order in which training sees them.
//!
//! [`Digits::embedded`] is MNIST with fixed binary pixels, embedded in the crate. [`Digits::read_dir`] reads
//! IDX files: MNIST itself, Fashion-MNIST, or any set in that format. [`Digits::of_splits`] takes your own
//! images from memory.
//!
//! ```
//! # #[cfg(feature = "embedded")] {
//! use reparam::Noise;
//! use reparam::data::{Batches, Digits};
//!
//! let digits = Digits::embedded();
//! let train = digits.train();
//! let mut batches = Batches::new(train.len(), Noise::seed(7));
//! let mut pixels = vec![0.0; 100 * train.pixels()];
//! train.pixels_into(batches.next_batch(100), &mut pixels);
//! assert!(pixels.iter().all(|&pixel| pixel == 0.0 || pixel == 1.0));
//! # }
//! ```

mod batches;
mod fingerprint;
mod idx;
mod packed;
mod source;
mod split;

use std::path::Path;

pub use batches::Batches;
pub use packed::PACKED_SEED;
#[cfg(feature = "gzip")]
pub use packed::pack;
pub use split::Split;

use crate::error::{Error, Result};
use crate::words::words;
use split::Pixels;

words! {
    /// A part of a data set.
    SplitKind {
        /// The images trained on.
        Train = "train",
        /// The images for choosing settings and stopping early.
        Validation = "validation",
        /// The images for the final result.
        Test = "test",
    }
}

/// A set of labelled images in three parts: training, validation, test.
///
/// In files, validation is the last sixth of the training images: 50,000 / 10,000 / 10,000 for MNIST.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Digits {
    train: Split,
    validation: Split,
    test: Split,
}

/// The fewest training images that leave one for validation.
const FEWEST: usize = 6;
/// The expectation in the error message for fewer images.
const ENOUGH: &str = "at least 6 images, a sixth of which are for validation";

impl Digits {
    /// MNIST with fixed binary pixels: each pixel was drawn once, 1 with probability intensity / 255.
    ///
    /// It is a sampled binarization from the same distribution as the literature's fixed one, but not the
    /// same file. Say so with every comparison. [`PACKED_SEED`] is its seed, and `pack` makes it again from
    /// the IDX files.
    ///
    /// # Source
    /// Y. LeCun, C. Cortes, C. Burges, the MNIST database. R. Salakhutdinov and I. Murray, "On the
    /// Quantitative Analysis of Deep Belief Networks", 2008, for the distribution; H. Larochelle and I.
    /// Murray, "The Neural Autoregressive Distribution Estimator", 2011, for the fixed file of the
    /// literature.
    #[cfg(feature = "embedded")]
    pub fn embedded() -> Digits {
        packed::embedded()
    }

    /// Reads a folder of IDX files: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
    /// `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, each plain or gzip (with or without `.gz`; gzip
    /// needs the feature `gzip`). Images may have any size and up to 256 classes.
    ///
    /// EMNIST's names work as well: `emnist-letters-train-images-idx3-ubyte`, with `test` for `t10k`. If a
    /// folder holds several data sets, add the name of one to its path: `emnist/emnist-letters`. EMNIST's
    /// images are [`transposed`](Self::transposed). Labels that start at a number other than 0 are shifted to
    /// start at 0.
    ///
    /// The pixels are intensities; [`Split::sample_pixels_into`] binarizes them anew each time.
    ///
    /// # Errors
    /// If a file is missing, cut short, too long, damaged, of another kind, or does not fit the others.
    pub fn read_dir(dir: impl AsRef<Path>) -> Result<Digits> {
        idx::read_dir(dir.as_ref()).map(|sets| Digits::new(sets, Pixels::Intensities))
    }

    /// Reads a file that `pack` made.
    ///
    /// # Errors
    /// If the file cannot be read, is not such a file, or is damaged.
    pub fn read_packed(path: impl AsRef<Path>) -> Result<Digits> {
        packed::read(path.as_ref())
    }

    /// Your own images, in three parts: see [`Split::of_intensities`].
    ///
    /// # Errors
    /// If a part has no image, or the images of two parts differ in size or kind of pixel.
    pub fn of_splits(train: Split, validation: Split, test: Split) -> Result<Digits> {
        for (name, split) in [("train", &train), ("validation", &validation), ("test", &test)] {
            let kind = |split: &Split| {
                let pixels = if split.is_binary() { "binary" } else { "8-bit" };
                format!("{pixels} images of {} x {}", split.rows(), split.cols())
            };
            if split.is_empty() || kind(split) != kind(&train) {
                let expected = format!("at least one, and {} as for train", kind(&train));
                let found = format!("{} {}", split.len(), kind(split));
                return Err(Error::invalid(format!("the images of {name}"), expected, found));
            }
        }
        Ok(Digits::in_order(train, validation, test))
    }

    /// The three parts, whose pixels are binarized with consecutive draws.
    fn in_order(train: Split, validation: Split, test: Split) -> Digits {
        let pixels = |split: &Split| split.len() * split.pixels();
        let (first, second) = (pixels(&train), pixels(&train) + pixels(&validation));
        Digits { train, validation: validation.after_draws(first), test: test.after_draws(second) }
    }

    /// Returns the same data with rows and columns of each image exchanged.
    pub fn transposed(&self) -> Digits {
        let Digits { train, validation, test } = self;
        Digits { train: train.transposed(), validation: validation.transposed(), test: test.transposed() }
    }

    fn new(sets: Sets, kind: fn(Vec<u8>) -> Pixels) -> Digits {
        let Sets { rows, cols, mut train, test } = sets;
        let kept = train.labels.len() - train.labels.len() / FEWEST;
        let stride = train.pixels.len() / train.labels.len();
        let validation =
            Labelled { labels: train.labels.split_off(kept), pixels: train.pixels.split_off(kept * stride) };
        let split = |part: Labelled| Split::new([rows, cols], kind(part.pixels), part.labels);
        Digits::in_order(split(train), split(validation), split(test))
    }

    /// The images to train on.
    pub fn train(&self) -> &Split {
        &self.train
    }

    /// The images for choosing settings.
    pub fn validation(&self) -> &Split {
        &self.validation
    }

    /// The images to report on.
    pub fn test(&self) -> &Split {
        &self.test
    }

    /// The images of one part.
    pub fn split(&self, kind: SplitKind) -> &Split {
        match kind {
            SplitKind::Train => self.train(),
            SplitKind::Validation => self.validation(),
            SplitKind::Test => self.test(),
        }
    }

    /// Number of classes: one more than the largest label.
    pub fn classes(&self) -> usize {
        let splits = [&self.train, &self.validation, &self.test];
        let largest = splits.iter().flat_map(|split| split.labels()).max();
        largest.map_or(0, |&label| usize::from(label) + 1)
    }
}

/// The contents of a file: training and test images of one size. There is at least one training image.
struct Sets {
    rows: usize,
    cols: usize,
    train: Labelled,
    test: Labelled,
}

/// Labels, with the same number of pixel bytes for each.
struct Labelled {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}
