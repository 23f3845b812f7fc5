//! Samples of the Concrete distribution on the triangle of three classes, over its density.
//!
//! After Maddison, Mnih, Teh 2017, figure 2.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use reparam::distributions::{RelaxedOneHot, Simplex};
use reparam::{Error, Noise, Result, Tape};

use crate::figures::parts::{LARGE, blue, embed, write_text};
use reparam::cli::picture::encode;
use reparam::cli::plot::{Area, COLOURS, Drawn, SMALL, picture};

const PROBABILITIES: [f32; 3] = [0.5, 0.3, 0.2];
const TAUS: [f32; 4] = [0.1, 0.5, 1.0, 3.0];
const SAMPLES: usize = 250;
/// The shading shows densities relative to the uniform one, from 2^-LEVELS to 2^LEVELS, by factors of 2.
const LEVELS: i32 = 5;
const SIZE: (u32, u32) = (960, 336);
/// The side of a triangle, the place of the first one, and the distance between two.
const SIDE: i32 = 208;
const HEIGHT: i32 = 180;
const LEFT: i32 = 18;
const TOP: i32 = 66;
const STEP: i32 = 239;
/// Pixels of the shading for each of the picture.
const FINE: i32 = 2;

pub(super) fn draw() -> Result<String> {
    let mut svg = picture(SIZE, |area| {
        for (i, &tau) in TAUS.iter().enumerate() {
            triangle(area, LEFT + i as i32 * STEP, tau)?;
        }
        legend(area)
    })?;
    for (i, &tau) in TAUS.iter().enumerate() {
        let png = shading(tau).map_err(|error| Error::io("the shading", "encode", error))?;
        embed(&mut svg, (LEFT + i as i32 * STEP, TOP), (SIDE as u32, HEIGHT as u32), &png);
    }
    Ok(svg)
}

/// The samples, the edges and the names of the corners.
fn triangle(area: &Area<'_>, left: i32, tau: f32) -> Drawn {
    let corners = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|y| place(left, y));
    write_text(area, &format!("τ = {tau}"), (left + SIDE / 2, 20), LARGE, HPos::Center)?;
    for (at, (name, below)) in corners.iter().zip([("1", 16), ("2", 16), ("3", -14)]) {
        write_text(area, name, (at.0, at.1 + below), SMALL, HPos::Center)?;
    }
    let edges: Vec<_> = corners.into_iter().cycle().take(4).collect();
    area.draw(&PathElement::new(edges, BLACK.stroke_width(1)))?;
    let tape = Tape::inference();
    let logits = tape.input(&PROBABILITIES.map(f32::ln), [3]).broadcast_to([SAMPLES, 3]);
    let samples = logits.gumbel_softmax(tau, &mut Noise::seed(1)).to_vec();
    for y in samples.chunks_exact(3) {
        area.draw(&Circle::new(place(left, [y[0], y[1], y[2]]), 2, COLOURS[1].filled()))?;
    }
    Ok(())
}

/// The place of a point of the simplex in a picture: class 1 at the left, 2 at the right, 3 at the top.
fn place(left: i32, y: [f32; 3]) -> (i32, i32) {
    let (x, up) = (y[1] + 0.5 * y[2], y[2]);
    (left + (x * SIDE as f32).round() as i32, TOP + ((1.0 - up) * HEIGHT as f32).round() as i32)
}

/// The density of a triangle's pixels as a PNG file.
fn shading(tau: f32) -> std::io::Result<Vec<u8>> {
    let (width, height) = ((SIDE * FINE) as usize, (HEIGHT * FINE) as usize);
    let point = |pixel: usize| {
        let (column, row) = ((pixel % width) as f32 + 0.5, (pixel / width) as f32 + 0.5);
        let third = 1.0 - row / height as f32;
        let second = column / width as f32 - 0.5 * third;
        [1.0 - second - third, second, third]
    };
    let inside: Vec<usize> =
        (0..width * height).filter(|&pixel| point(pixel).iter().all(|&y| y > 0.0)).collect();
    let logs: Vec<f32> = inside.iter().flat_map(|&pixel| point(pixel).map(f32::ln)).collect();
    let tape = Tape::inference();
    let logits = tape.input(&PROBABILITIES.map(f32::ln), [3]).broadcast_to([inside.len(), 3]);
    let y = Simplex::from_log(tape.input(&logs, [inside.len(), 3]));
    let log_density = RelaxedOneHot::new(logits, tau).log_prob(y);
    let mut colours = vec![255; 3 * width * height];
    for (pixel, log_density) in inside.into_iter().zip(&*log_density.value()) {
        // The uniform distribution has density 2.
        let level = (log_density / 2f32.ln() - 1.0).round().clamp(-LEVELS as f32, LEVELS as f32);
        let RGBColor(red, green, blue) = shade(level as i32);
        colours[3 * pixel..][..3].copy_from_slice(&[red, green, blue]);
    }
    encode([height, width], png::ColorType::Rgb, &colours)
}

/// The colour of a power of 2.
fn shade(level: i32) -> RGBColor {
    blue(f64::from(level + LEVELS) / f64::from(2 * LEVELS))
}

/// The shades and their meanings.
fn legend(area: &Area<'_>) -> Drawn {
    const WIDTH: i32 = 36;
    let (top, bottom) = (SIZE.1 as i32 - 52, SIZE.1 as i32 - 34);
    let left = (SIZE.0 as i32 - (2 * LEVELS + 1) * WIDTH) / 2;
    for level in -LEVELS..=LEVELS {
        let x = left + (level + LEVELS) * WIDTH;
        area.draw(&Rectangle::new([(x, top), (x + WIDTH, bottom)], shade(level).filled()))?;
        let name = match level {
            level if level == -LEVELS => format!("≤ 1/{}", 1 << LEVELS),
            level if level == LEVELS => format!("≥ {}", 1 << LEVELS),
            level if level % 2 == 0 => continue,
            level if level < 0 => format!("1/{}", 1 << -level),
            level => format!("{}", 1 << level),
        };
        write_text(area, &name, (x + WIDTH / 2, bottom + 16), SMALL, HPos::Center)?;
    }
    let (middle, right) = ((top + bottom) / 2, left + (2 * LEVELS + 1) * WIDTH);
    write_text(area, "density, uniform = 1", (left - 14, middle), SMALL, HPos::Right)?;
    let [a, b, c] = PROBABILITIES;
    write_text(area, &format!("class probabilities {a}, {b}, {c}"), (right + 18, middle), SMALL, HPos::Left)
}
