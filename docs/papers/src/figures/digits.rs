//! Test digits, their reconstructions, and samples from the prior, with the VAE after its short training.

use plotters::style::text_anchor::HPos;
use reparam::data::Split;
use reparam::models::{Model, Vae};
use reparam::{Noise, Params, Result};

use crate::figures::parts::{LARGE, embed, write_text};
use reparam::cli::picture::{Grid, encode};
use reparam::cli::plot::{SMALL, picture};

const PER_ROW: usize = 10;
const SAMPLES: usize = 3 * PER_ROW;
const SIZE: (u32, u32) = (960, 482);
const LEFT: i32 = 168;
/// Pixels of the picture for 3 pixels of an image.
const SCALE: usize = 4;

pub(super) fn draw(
    vae: &Vae,
    params: &Params,
    split: &Split,
    caption: &str,
    noise: &mut Noise,
) -> Result<String> {
    let mut originals = vec![0.0; PER_ROW * split.pixels()];
    split.pixels_into(&one_of_each(split), &mut originals);
    let reconstructions = vae.reconstruct(params, &originals, noise);
    let samples = vae.draw(params, &[], SAMPLES, noise);
    let rows =
        [("original", 12, originals), ("reconstruction", 98, reconstructions), ("samples", 202, samples)];
    let mut images = Vec::new();
    let mut svg = picture(SIZE, |area| {
        for (name, top, pixels) in rows {
            let mut grid = Grid::new([split.rows(), split.cols()], PER_ROW);
            grid.extend(&pixels);
            let ([height, width], grey) = grid.pixels();
            let size = [width, height].map(|pixels| pixels * SCALE / 3);
            write_text(area, name, (LEFT - 16, top + size[1] as i32 / 2), LARGE, HPos::Right)?;
            let png = encode([height, width], png::ColorType::Grayscale, &grey)?;
            images.push((top, (size[0] as u32, size[1] as u32), png));
        }
        write_text(area, caption, (SIZE.0 as i32 / 2, SIZE.1 as i32 - 20), SMALL, HPos::Center)
    })?;
    for (top, size, png) in images {
        embed(&mut svg, (LEFT, top), size, &png);
    }
    Ok(svg)
}

/// The first image of each digit.
fn one_of_each(split: &Split) -> Vec<u32> {
    let first = |digit| split.labels().iter().position(|&label| usize::from(label) == digit);
    (0..PER_ROW).map(|digit| first(digit).expect("a digit of each kind") as u32).collect()
}
