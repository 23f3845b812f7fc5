//! Rare classes: how often they are drawn, with this crate's noise and with truncated noise.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use rayon::prelude::*;
use reparam::{Noise, Result, Tape};

use crate::figures::parts::{GREY, LARGE, key, write_text};
use reparam::cli::plot::{Area, COLOURS, Drawn, SMALL, picture, sans};

/// Probabilities of a rare class: 10^-1 to 10^-8, two per decade.
const HALF_DECADES: std::ops::RangeInclusive<i32> = 2..=16;
/// The least expected number of draws of a probability's classes.
const EXPECTED: f64 = 40.0;
/// The least number of draws for a probability, and the number made at a time.
const DRAWS: f64 = 1e7;
const DRAWS_AT_ONCE: usize = 1 << 20;
/// The most rare classes in a row, all alike.
const RARE: usize = 1000;
/// The height in the picture of a probability whose class was never drawn.
const NEVER: f64 = 4e-10;
const SIZE: (u32, u32) = (960, 500);

/// A recipe that makes Gumbel noise from a draw.
type Recipe = fn(u32) -> f32;
const TRUNCATED: [(&str, Recipe); 2] =
    [("uniform on 24 bits", gumbel_on_24_bits), ("uniform up to 0.999", gumbel_up_to_0_999)];

/// The common recipe: a uniform number on 24 bits, 0 replaced by the least normal number. Its largest value
/// is 16.6.
fn gumbel_on_24_bits(draw: u32) -> f32 {
    let uniform = (draw >> 8) as f32 / (1 << 24) as f32;
    -(-uniform.max(f32::MIN_POSITIVE).ln()).ln()
}

/// The recipe of a Rust tensor library: a uniform number between 1e-7 and 0.999. Its largest value is 6.9.
fn gumbel_up_to_0_999(draw: u32) -> f32 {
    let uniform = 1e-7 + (0.999 - 1e-7) * ((draw >> 8) as f32 / (1 << 24) as f32);
    -(-uniform.ln()).ln()
}

/// The counts for one probability.
struct Point {
    probability: f64,
    /// Classes that could be drawn, over all rows.
    chances: f64,
    /// The number that were drawn, by the engine and by each truncated recipe.
    wins: [u64; 1 + TRUNCATED.len()],
}

pub(super) fn draw() -> Result<String> {
    let points: Vec<Point> = HALF_DECADES.map(|half| measure(10f64.powf(-0.5 * f64::from(half)))).collect();
    picture(SIZE, |area| {
        let half = area.dim_in_pixel().0 as i32 / 2;
        write_text(area, "this crate: 32-bit draws, both tails", (half / 2 + 40, 22), LARGE, HPos::Center)?;
        write_text(
            area,
            "noise that is cut off, same draws",
            (half + half / 2 + 40, 22),
            LARGE,
            HPos::Center,
        )?;
        let (left, right) = area.margin(40, 4, 4, 12).split_horizontally(half - 4);
        panel(&left, &points, &[("gumbel_max", 0)])?;
        panel(&right, &points, &[(TRUNCATED[0].0, 1), (TRUNCATED[1].0, 2)])
    })
}

/// Samples rows of one frequent class and as many rare ones as there is room for, by every recipe from the
/// same draws.
fn measure(probability: f64) -> Point {
    let rare = ((0.5 / probability) as usize).clamp(1, RARE);
    let rows = DRAWS_AT_ONCE / (1 + rare);
    let batches = ((EXPECTED / probability).max(DRAWS) / (rows * rare) as f64).ceil() as u64;
    let mut logits = vec![probability.ln() as f32; 1 + rare];
    logits[0] = (1.0 - rare as f64 * probability).ln() as f32;
    let place = Noise::seed(1).position();
    let wins = (0..batches).into_par_iter().map(|batch| {
        let count = rows * logits.len();
        let draws: Vec<u32> = Noise::resume((place.0, batch * count as u64)).draws(count).collect();
        wins(&logits, rows, &draws)
    });
    let wins = wins.reduce(Default::default, |a, b| std::array::from_fn(|i| a[i] + b[i]));
    Point { probability, chances: (batches as usize * rows * rare) as f64, wins }
}

/// The number of rows in which a rare class wins.
fn wins(logits: &[f32], rows: usize, draws: &[u32]) -> [u64; 1 + TRUNCATED.len()] {
    let tape = Tape::inference();
    let index =
        tape.input(logits, [logits.len()]).broadcast_to([rows, logits.len()]).gumbel_max(&mut &draws[..]);
    let mut wins = [0; 1 + TRUNCATED.len()];
    wins[0] = index.iter().filter(|&&class| class > 0).count() as u64;
    for row in draws.chunks_exact(logits.len()) {
        // These recipes grow with the draw, so only the rare class with the largest draw counts.
        let largest = row[1..].iter().copied().max().expect("a rare class");
        for (wins, (_, gumbel)) in wins[1..].iter_mut().zip(TRUNCATED) {
            *wins += u64::from(logits[1] + gumbel(largest) > logits[0] + gumbel(row[0]));
        }
    }
    wins
}

/// Frequencies against probabilities, over the range in which 19 of 20 should lie.
fn panel(area: &Area<'_>, points: &[Point], series: &[(&str, usize)]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(4)
        .x_label_area_size(48)
        .y_label_area_size(76)
        .build_cartesian_2d((2e-9..0.4).log_scale(), (2e-10..0.9).log_scale())?;
    let power = |&x: &f64| format!("1e{}", x.log10().round());
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).bold_line_style(GREY.mix(0.25)).label_style(sans(SMALL));
    mesh.x_desc("softmax probability of the class").y_desc("sampled frequency");
    mesh.x_label_formatter(&power).y_label_formatter(&power).draw()?;
    let error = |point: &Point| 1.96 * (point.probability / point.chances).sqrt();
    let above = points.iter().map(|point| (point.probability, point.probability + error(point)));
    let below = points.iter().rev().map(|point| (point.probability, point.probability - error(point)));
    let band = std::iter::once(Polygon::new(above.chain(below).collect::<Vec<_>>(), GREY.mix(0.35)));
    let band = chart.draw_series(band)?.label("95 % of exact samples");
    band.legend(|at| key(at, GREY.mix(0.5).stroke_width(6)));
    for &(name, which) in series {
        let colour = COLOURS[which];
        let drawn = points.iter().filter(|point| point.wins[which] > 0);
        let drawn =
            drawn.map(|p| Circle::new((p.probability, p.wins[which] as f64 / p.chances), 4, colour.filled()));
        let series = chart.draw_series(drawn)?;
        series.label(name).legend(move |at| Circle::new((at.0 + 9, at.1), 4, colour.filled()));
        let never_at = NEVER * 2f64.powi(2 - which as i32);
        let never = points.iter().filter(|point| point.wins[which] == 0);
        chart.draw_series(never.map(|p| Cross::new((p.probability, never_at), 5, colour.stroke_width(2))))?;
    }
    if points.iter().any(|point| series.iter().any(|&(_, which)| point.wins[which] == 0)) {
        let cross = |at: (i32, i32)| Cross::new((at.0 + 9, at.1), 5, BLACK.stroke_width(2));
        chart.draw_series(std::iter::empty::<Cross<_, i32>>())?.label("never drawn").legend(cross);
    }
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.9));
    Ok(legend.label_font(sans(SMALL)).draw()?)
}
