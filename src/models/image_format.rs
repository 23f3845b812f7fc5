//! The format of the images that a model is made for.

use crate::checkpoint::Checkpoint;
use crate::data::Digits;
use crate::error::{Error, Result};

/// The size of images and the number of their classes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageFormat {
    /// Rows of pixels.
    pub rows: usize,
    /// Columns of pixels.
    pub cols: usize,
    /// Classes of the labels.
    pub classes: usize,
}

impl ImageFormat {
    /// The format of a data set.
    pub fn of(data: &Digits) -> ImageFormat {
        let train = data.train();
        ImageFormat { rows: train.rows(), cols: train.cols(), classes: data.classes() }
    }

    /// Pixels of an image.
    pub fn pixels(self) -> usize {
        self.rows * self.cols
    }

    /// Checks that a model for these images can be used on `data`.
    ///
    /// # Errors
    /// If the images have another size, or, with `reads_labels`, more classes.
    pub fn check_fits(self, data: &Digits, reads_labels: bool) -> Result<()> {
        let ImageFormat { rows, cols, classes } = self;
        let found = ImageFormat::of(data);
        if (found.rows, found.cols) != (rows, cols) {
            let expected = format!("images of {rows} x {cols} pixels, as the model was trained on");
            return Err(Error::invalid("the data", expected, format!("{} x {}", found.rows, found.cols)));
        }
        if reads_labels && found.classes > classes {
            let expected = format!("at most the {classes} classes the model was trained on");
            return Err(Error::invalid("the data", expected, found.classes));
        }
        Ok(())
    }

    /// Stores the format in a checkpoint.
    pub(crate) fn write(self, checkpoint: &mut Checkpoint) {
        checkpoint.set("images.rows", self.rows);
        checkpoint.set("images.cols", self.cols);
        checkpoint.set("images.classes", self.classes);
    }

    /// Loads what [`write`](Self::write) stored.
    pub(crate) fn read(checkpoint: &Checkpoint) -> Result<ImageFormat> {
        let number = |name: &str| checkpoint.get::<usize>(&format!("images.{name}"));
        let (rows, cols, classes) = (number("rows")?, number("cols")?, number("classes")?);
        let pixels = rows.checked_mul(cols).unwrap_or(0);
        if pixels == 0 || pixels > 1 << 28 || !(1..=256).contains(&classes) {
            let found = format!("{rows} x {cols} pixels, {classes} classes");
            return Err(checkpoint.unfit("a possible image format", found));
        }
        Ok(ImageFormat { rows, cols, classes })
    }
}
