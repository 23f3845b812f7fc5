//! One part of a data set: images and labels, returned as the numbers a tape takes.

use std::hint::black_box;

use reparam_ops::Tier;
use reparam_ops::noise::{Draws, draws_forward};

use crate::error::{Error, Result};
use crate::noise::Noise;

/// Labelled images of one size, in a fixed order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Split {
    rows: usize,
    cols: usize,
    pixels: Pixels,
    labels: Vec<u8>,
    /// The draw for the first pixel in [`binarized_pixels_into`](Self::binarized_pixels_into).
    first_draw: u64,
}

/// The images one after another, row-major.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Pixels {
    /// One bit per pixel, as [`pack_bits`] writes them.
    Bits(Vec<u8>),
    /// One byte per pixel, 255 is the brightest.
    Intensities(Vec<u8>),
}

impl Split {
    pub(super) fn new([rows, cols]: [usize; 2], pixels: Pixels, labels: Vec<u8>) -> Split {
        Split { rows, cols, pixels, labels, first_draw: 0 }
    }

    /// The same images, whose pixels are binarized with the draws that follow `draws` others.
    pub(super) fn after_draws(self, draws: usize) -> Split {
        Split { first_draw: draws as u64, ..self }
    }

    /// Images whose pixels are intensities, 0 for black and 255 for white, row-major and one after another,
    /// and the class of each. [`sample_pixels_into`](Self::sample_pixels_into) binarizes them anew each time.
    ///
    /// ```
    /// use reparam::data::{Digits, Split};
    ///
    /// // Two images of 1 x 3 pixels for each part.
    /// let part = |pixels: [u8; 6]| Split::of_intensities([1, 3], pixels.to_vec(), vec![0, 1]);
    /// let (train, validation, test) = (part([0, 255, 9, 7, 0, 3])?, part([8, 0, 1, 1, 2, 0])?, part([0; 6])?);
    /// let digits = Digits::of_splits(train, validation, test)?;
    /// assert_eq!(digits.classes(), 2);
    /// # Ok::<(), reparam::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no pixel, or the number of pixels does not match the images.
    pub fn of_intensities(size: [usize; 2], pixels: Vec<u8>, labels: Vec<u8>) -> Result<Split> {
        check_size(size, pixels.len(), labels.len())?;
        Ok(Split::new(size, Pixels::Intensities(pixels), labels))
    }

    /// Images whose pixels are 0 or 1, row-major and one after another, and the class of each.
    ///
    /// # Errors
    /// The same as [`of_intensities`](Self::of_intensities).
    pub fn of_bits(size: [usize; 2], pixels: &[bool], labels: Vec<u8>) -> Result<Split> {
        check_size(size, pixels.len(), labels.len())?;
        let pixels: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel)).collect();
        let bits = pixels.chunks(size[0] * size[1]).flat_map(pack_bits).collect();
        Ok(Split::new(size, Pixels::Bits(bits), labels))
    }

    /// Returns the same images with rows and columns exchanged, as EMNIST's files require.
    pub fn transposed(&self) -> Split {
        let (rows, cols, labels) = (self.rows, self.cols, self.labels.clone());
        let places = || (0..cols).flat_map(|col| (0..rows).map(move |row| row * cols + col));
        let pixels = match &self.pixels {
            Pixels::Intensities(bytes) => {
                let images = bytes.chunks_exact(self.pixels());
                Pixels::Intensities(images.flat_map(|image| places().map(|place| image[place])).collect())
            }
            Pixels::Bits(bits) => {
                let mut image = vec![0.0; self.pixels()];
                let transposed = |index: usize| {
                    unpack(self.image(bits, index as u32), &mut image);
                    let image: Vec<f32> = places().map(|place| image[place]).collect();
                    pack_bits(&image).collect::<Vec<u8>>()
                };
                Pixels::Bits((0..self.len()).flat_map(transposed).collect())
            }
        };
        Split { rows: cols, cols: rows, pixels, labels, first_draw: self.first_draw }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns true if there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Rows of an image.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of an image.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Pixels of an image.
    pub fn pixels(&self) -> usize {
        self.rows * self.cols
    }

    /// Returns true if the pixels were binarized once, so that they are 0 or 1 as stored.
    pub fn is_binary(&self) -> bool {
        matches!(self.pixels, Pixels::Bits(_))
    }

    /// The class of each image.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Writes the classes of the chosen images, one each.
    ///
    /// # Panics
    /// If `out` has another length than `indices`, or an index is out of range.
    #[track_caller]
    pub fn labels_into(&self, indices: &[u32], out: &mut [u32]) {
        assert!(
            out.len() == indices.len(),
            "Split::labels_into: room for {} labels, but {} images were chosen",
            out.len(),
            indices.len()
        );
        self.check(indices);
        for (out, &index) in out.iter_mut().zip(indices) {
            *out = u32::from(self.labels[index as usize]);
        }
    }

    /// Writes the chosen images, one per row of `out`, as they are stored: 0 or 1 if they were binarized
    /// once, intensity / 255 otherwise.
    ///
    /// # Panics
    /// If `out` is not `indices.len()` times [`pixels`](Self::pixels) long, or an index is out of range.
    #[track_caller]
    pub fn pixels_into(&self, indices: &[u32], out: &mut [f32]) {
        self.check_room("pixels_into", indices, out);
        let images = indices.iter().zip(out.chunks_exact_mut(self.pixels()));
        match &self.pixels {
            Pixels::Bits(bits) => {
                indices.iter().for_each(|&index| touch(self.image(bits, index)));
                images.for_each(|(&index, out)| unpack(self.image(bits, index), out));
            }
            Pixels::Intensities(bytes) => images.for_each(|(&index, out)| {
                for (out, &intensity) in out.iter_mut().zip(self.image(bytes, index)) {
                    *out = f32::from(intensity) / 255.0;
                }
            }),
        }
    }

    /// Writes the chosen images, one per row of `out`, every pixel 0 or 1. Intensities are sampled: 1 with
    /// probability intensity / 255, with one draw per pixel. If the pixels were binarized once, this is
    /// [`pixels_into`](Self::pixels_into) and takes no draws.
    ///
    /// # Panics
    /// The same as [`pixels_into`](Self::pixels_into).
    #[track_caller]
    pub fn sample_pixels_into(&self, indices: &[u32], noise: &mut Noise, out: &mut [f32]) {
        match &self.pixels {
            Pixels::Bits(_) => self.pixels_into(indices, out),
            Pixels::Intensities(bytes) => {
                self.check_room("sample_pixels_into", indices, out);
                for (&index, out) in indices.iter().zip(out.chunks_exact_mut(self.pixels())) {
                    sample(self.image(bytes, index), noise, out);
                }
            }
        }
    }

    /// Writes the chosen images, one per row of `out`, every pixel 0 or 1, the same at every call.
    /// Intensities are sampled as `pack` samples them, with the draws of [`PACKED_SEED`](super::PACKED_SEED).
    ///
    /// # Panics
    /// The same as [`pixels_into`](Self::pixels_into).
    #[track_caller]
    pub fn binarized_pixels_into(&self, indices: &[u32], out: &mut [f32]) {
        self.check_room("binarized_pixels_into", indices, out);
        let (stream, _) = Noise::seed(super::PACKED_SEED).position();
        for (&index, out) in indices.iter().zip(out.chunks_exact_mut(self.pixels())) {
            let draw = self.first_draw + u64::from(index) * self.pixels() as u64;
            self.sample_pixels_into(&[index], &mut Noise::resume((stream, draw)), out);
        }
    }

    /// The first `count` images, or all if there are fewer, from
    /// [`sample_pixels_into`](Self::sample_pixels_into).
    pub fn sample_first(&self, count: usize, noise: &mut Noise) -> Vec<f32> {
        let indices: Vec<u32> = (0..count.min(self.len()) as u32).collect();
        let mut pixels = vec![0.0; indices.len() * self.pixels()];
        self.sample_pixels_into(&indices, noise, &mut pixels);
        pixels
    }

    /// The mean of each pixel over all images, in 0..=1.
    pub fn pixel_means(&self) -> Vec<f32> {
        let mut image = vec![0.0; self.pixels()];
        let mut sums = vec![0.0; self.pixels()];
        for index in 0..self.len() {
            self.pixels_into(&[index as u32], &mut image);
            sums.iter_mut().zip(&image).for_each(|(sum, &pixel)| *sum += f64::from(pixel));
        }
        sums.iter().map(|sum| (sum / self.len().max(1) as f64) as f32).collect()
    }

    fn image<'a>(&self, images: &'a [u8], index: u32) -> &'a [u8] {
        let stride = images.len() / self.labels.len();
        &images[index as usize * stride..][..stride]
    }

    #[track_caller]
    fn check_room(&self, method: &str, indices: &[u32], out: &[f32]) {
        assert!(
            out.len() == indices.len() * self.pixels(),
            "Split::{method}: room for {} values, but {} images of {} pixels were chosen",
            out.len(),
            indices.len(),
            self.pixels()
        );
        self.check(indices);
    }

    /// Panics if an index has no image.
    #[track_caller]
    pub(crate) fn check(&self, indices: &[u32]) {
        if let Some(index) = indices.iter().find(|&&index| index as usize >= self.len()) {
            panic!("image {index} was chosen of {} (0 to {})", self.len(), self.len() as i64 - 1);
        }
    }
}

/// Draws binary pixels: 1 with probability intensity / 255, one draw each.
pub(super) fn sample(intensities: &[u8], noise: &mut Noise, out: &mut [f32]) {
    const BLOCK: usize = 1024;
    let mut draws = [0; BLOCK];
    for (intensities, out) in intensities.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
        let draws = &mut draws[..out.len()];
        draws_forward(Tier::best(), Draws::Stream(noise.take(out.len())), draws);
        for ((out, &intensity), &draw) in out.iter_mut().zip(intensities).zip(&*draws) {
            // draw / 2^32 < intensity / 255 in whole numbers, so black is never 1 and white always is.
            *out = f32::from(u64::from(draw) * 255 < u64::from(intensity) << 32);
        }
    }
}

fn check_size([rows, cols]: [usize; 2], pixels: usize, images: usize) -> Result<()> {
    match rows.checked_mul(cols).and_then(|size| size.checked_mul(images)) {
        Some(expected) if expected == pixels && rows * cols > 0 => Ok(()),
        _ => {
            let expected = format!("the pixels of {images} images of {rows} x {cols}, at least one each");
            Err(Error::invalid("the images", expected, format!("{pixels} pixels")))
        }
    }
}

/// One bit for each entry of an image, 1 where it is not zero. Entry `i` is bit `i % 8`, counted from the
/// lowest, of byte `i / 8`. An image starts at a whole byte.
pub(super) fn pack_bits(image: &[f32]) -> impl Iterator<Item = u8> {
    image
        .chunks(8)
        .map(|pixels| pixels.iter().rev().fold(0, |byte, &pixel| byte << 1 | u8::from(pixel != 0.0)))
}

/// Loads every cache line. Shuffled images lie far apart, and touching them all before unpacking any lets the
/// cache misses overlap, which halves the time of a batch.
fn touch(bits: &[u8]) {
    bits.iter().step_by(64).chain(bits.last()).for_each(|byte| _ = black_box(*byte));
}

fn unpack(bits: &[u8], image: &mut [f32]) {
    let (whole, rest) = image.as_chunks_mut::<8>();
    for (pixels, &byte) in whole.iter_mut().zip(bits) {
        *pixels = UNPACKED[usize::from(byte)];
    }
    if let Some(&byte) = bits.get(whole.len()) {
        rest.copy_from_slice(&UNPACKED[usize::from(byte)][..rest.len()]);
    }
}

/// The eight pixels of each byte. Looking them up is three times as fast as testing bits.
static UNPACKED: [[f32; 8]; 256] = {
    let mut table = [[0.0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[byte][bit] = (byte >> bit & 1) as f32;
            bit += 1;
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(pixels: usize, intensities: Vec<u8>) -> Split {
        let labels = vec![0; intensities.len() / pixels];
        Split::new([1, pixels], Pixels::Intensities(intensities), labels)
    }

    #[test]
    fn black_is_never_one_and_white_always() {
        let split = grey(5000, [vec![0; 5000], vec![255; 5000]].concat());
        let mut out = vec![0.5; 10000];
        split.sample_pixels_into(&[0, 1], &mut Noise::seed(1), &mut out);
        assert!(
            out[..5000].iter().all(|&pixel| pixel == 0.0) && out[5000..].iter().all(|&pixel| pixel == 1.0)
        );
    }

    #[test]
    fn grey_is_one_at_its_rate_with_one_draw_a_pixel_in_order() {
        let split = grey(100_000, [vec![51; 100_000], vec![204; 100_000]].concat());
        let mut noise = Noise::seed(2);
        let mut out = vec![0.0; 200_000];
        split.sample_pixels_into(&[1, 0], &mut noise, &mut out);
        assert_eq!(noise.position().1, 200_000);
        // Six standard deviations of a mean of 100,000 draws.
        let rate = |pixels: &[f32]| pixels.iter().sum::<f32>() / 1e5;
        assert!((rate(&out[..100_000]) - 0.8).abs() < 0.0076 && (rate(&out[100_000..]) - 0.2).abs() < 0.0076);
        let mut noise = Noise::seed(2);
        for &pixel in &out[..1000] {
            let draw = rand::Rng::next_u32(&mut noise);
            assert_eq!(pixel == 1.0, f64::from(draw) / 4294967296.0 < 0.8);
        }
    }

    #[test]
    fn intensities_are_shares_of_white() {
        let split = grey(2, vec![0, 255, 51, 0]);
        let mut out = [0.0; 4];
        split.pixels_into(&[1, 0], &mut out);
        assert_eq!(out, [0.2, 0.0, 0.0, 1.0]);
        assert_eq!(split.pixel_means(), [0.1, 0.5]);
    }

    #[test]
    fn bits_come_back_at_any_size() {
        for pixels in [1, 7, 8, 9, 784] {
            let images: Vec<f32> = (0..3 * pixels).map(|i| f32::from(i * i % 7 < 3)).collect();
            let bits: Vec<bool> = images.iter().map(|&pixel| pixel == 1.0).collect();
            let split = Split::of_bits([1, pixels], &bits, vec![0; 3]).unwrap();
            let mut out = vec![0.5; 3 * pixels];
            split.pixels_into(&[0, 1, 2], &mut out);
            assert_eq!(out, images);
        }
    }

    #[test]
    fn pixels_that_are_no_images_are_refused() {
        let refused = |size, pixels, images| {
            Split::of_intensities(size, vec![0; pixels], vec![0; images]).unwrap_err().to_string()
        };
        let expected =
            "the images: expected the pixels of 2 images of 2 x 3, at least one each, found 11 pixels";
        assert_eq!(refused([2, 3], 11, 2), expected);
        assert!(refused([0, 3], 0, 2).ends_with("found 0 pixels"));
        assert!(refused([usize::MAX, 2], 4, 2).ends_with("found 4 pixels"));
    }

    #[test]
    #[should_panic(expected = "image 2 was chosen of 2 (0 to 1)")]
    fn an_index_out_of_range_panics() {
        grey(2, vec![0; 4]).pixels_into(&[0, 2], &mut [0.0; 4]);
    }

    #[test]
    #[should_panic(expected = "Split::pixels_into: room for 3 values, but 2 images of 2 pixels were chosen")]
    fn too_little_room_panics() {
        grey(2, vec![0; 4]).pixels_into(&[0, 1], &mut [0.0; 3]);
    }
}
