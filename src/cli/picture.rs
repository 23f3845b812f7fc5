//! Pictures: grids of images as grey PNG files, and PNG files from their pixels.

use std::path::Path;

use crate::error::{Error, Result};
use crate::file::write_atomically;

/// Pixels of the picture for each pixel of an image.
const ZOOM: usize = 2;
/// Grey pixels between images.
const GAP: usize = 2;

/// Images in rows of `per_row`, each of `size` (height, width), entries from 0 (black) to 1 (white).
pub struct Grid {
    size: [usize; 2],
    per_row: usize,
    images: Vec<f32>,
}

impl Grid {
    /// No images yet.
    pub fn new(size: [usize; 2], per_row: usize) -> Grid {
        Grid { size, per_row, images: Vec::new() }
    }

    /// Adds whole images at the end.
    pub fn extend(&mut self, images: &[f32]) {
        self.images.extend_from_slice(images);
    }

    /// Writes the grid as a PNG file.
    ///
    /// # Errors
    /// If a pixel is not a number, or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        if let Some(pixel) = self.images.iter().find(|pixel| !pixel.is_finite()) {
            return Err(Error::invalid(
                "the images",
                "finite numbers",
                format!("{pixel}: the run has diverged"),
            ));
        }
        let ([height, width], pixels) = self.pixels();
        let png = encode([height, width], png::ColorType::Grayscale, &pixels)
            .map_err(|error| Error::io(path, "write the picture", error))?;
        write_atomically(path, png)
    }

    /// Height, width and grey values.
    pub fn pixels(&self) -> ([usize; 2], Vec<u8>) {
        let [height, width] = self.size;
        let count = self.images.len() / (height * width);
        let (cell_height, cell_width) = (height * ZOOM + GAP, width * ZOOM + GAP);
        let (rows, columns) = (count.div_ceil(self.per_row), self.per_row.min(count));
        let (picture_height, picture_width) = (rows * cell_height + GAP, columns * cell_width + GAP);
        let mut pixels = vec![96u8; picture_height * picture_width];
        for (i, image) in self.images.chunks_exact(height * width).enumerate() {
            let (top, left) = (GAP + i / self.per_row * cell_height, GAP + i % self.per_row * cell_width);
            for y in 0..height * ZOOM {
                for x in 0..width * ZOOM {
                    let value = image[y / ZOOM * width + x / ZOOM];
                    pixels[(top + y) * picture_width + left + x] =
                        (value.clamp(0.0, 1.0) * 255.0).round() as u8;
                }
            }
        }
        ([picture_height, picture_width], pixels)
    }
}

/// The bytes of a PNG file of 8 bits per channel, the same for the same pixels.
///
/// # Errors
/// If the pixels do not fit such a picture.
pub fn encode(
    [height, width]: [usize; 2],
    channels: png::ColorType,
    pixels: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(channels);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}
