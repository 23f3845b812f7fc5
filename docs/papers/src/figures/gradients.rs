//! Single estimates of a gradient, by several estimators, compared with the exact gradient.

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use reparam::Result as Outcome;
use reparam::lab::{Measurement, Quadratic};

use crate::figures::parts::{GREY, LARGE, write_text};
use reparam::cli::plot::{Area, COLOURS, SMALL, picture, short};
use reparam::lab::measure_named;

const ESTIMATORS: [(&str, &str); 6] = [
    ("score-function", "score function"),
    ("rloo:4", "RLOO, 4 samples"),
    ("gumbel-softmax:1", "Gumbel-Softmax, τ = 1"),
    ("gumbel-softmax:0.1", "Gumbel-Softmax, τ = 0.1"),
    ("st-gumbel-softmax:1", "ST-Gumbel-Softmax, τ = 1"),
    ("reinmax:1", "ReinMax, τ = 1"),
];
const SAMPLES: usize = 100_000;
const BINS: usize = 100;
const RANGE: (f64, f64) = (-0.75, 1.75);
const SIZE: (u32, u32) = (960, 660);
/// Room for the text next to the histograms, above them and below them.
const LEFT: i32 = 210;
const RIGHT: i32 = 160;
const TOP: i32 = 46;
const BOTTOM: i32 = 86;

pub(super) fn draw() -> Outcome<String> {
    let problem = Quadratic::new(5);
    let runs = ESTIMATORS.map(|(name, _)| {
        measure_named(&problem, name, SAMPLES, 1).expect("an estimator for categorical variables")
    });
    picture(SIZE, |area| {
        let (width, height) = (SIZE.0 as i32, SIZE.1 as i32);
        let centre = (LEFT + width - RIGHT) / 2;
        let axis = |x: f64| {
            let share = (x - RANGE.0) / (RANGE.1 - RANGE.0);
            LEFT + (share * f64::from(width - RIGHT - LEFT)).round() as i32
        };
        for x in [-0.5, 0.0, 0.5, 1.0, 1.5] {
            let line = [(axis(x), TOP), (axis(x), height - BOTTOM + 5)];
            area.draw(&PathElement::new(line, GREY.mix(0.25)))?;
            write_text(
                area,
                &short(x).replace('-', "−"),
                (axis(x), height - BOTTOM + 17),
                SMALL,
                HPos::Center,
            )?;
        }
        let panels = area.margin(TOP, BOTTOM, LEFT, RIGHT).split_evenly((runs.len(), 1));
        let step = (height - TOP - BOTTOM) / runs.len() as i32;
        for (i, (run, panel)) in runs.iter().zip(panels).enumerate() {
            let middle = TOP + i as i32 * step + step / 2;
            write_text(area, ESTIMATORS[i].1, (LEFT - 14, middle), SMALL, HPos::Right)?;
            for (line, text) in histogram(&panel, run, COLOURS[i])?.iter().enumerate() {
                let y = middle + 19 * line as i32 - 28;
                write_text(area, text, (width - RIGHT + 14, y), SMALL, HPos::Left)?;
            }
        }
        let truth = length(&runs[0].exact);
        let line = [(axis(truth), TOP - 8), (axis(truth), height - BOTTOM)];
        area.draw(&PathElement::new(line, BLACK.stroke_width(2)))?;
        write_text(area, "exact gradient", (axis(truth), TOP - 22), SMALL, HPos::Center)?;
        let name = "one estimate for quadratic:5, along the exact gradient";
        write_text(area, name, (centre, height - 44), LARGE, HPos::Center)?;
        let note =
            "100,000 estimates a row; triangles: means; each row has its own height, by its tallest bar";
        write_text(area, note, (centre, height - 18), SMALL, HPos::Center)
    })
}

fn length(gradient: &[f64]) -> f64 {
    gradient.iter().map(|g| g * g).sum::<f64>().sqrt()
}

/// Draws a histogram with the mean below it, and returns the text to write next to it.
fn histogram(area: &Area<'_>, run: &Measurement, colour: RGBColor) -> Result<[String; 4], Box<dyn Error>> {
    let (low, high) = RANGE;
    let width = (high - low) / BINS as f64;
    let mut counts = [0usize; BINS];
    let mut outside = 0;
    for &x in &run.projections {
        match (f64::from(x) - low) / width {
            bin if (0.0..BINS as f64).contains(&bin) => counts[bin as usize] += 1,
            _ => outside += 1,
        }
    }
    let most = counts.iter().copied().max().unwrap_or(1) as f64;
    let mean = length(&run.exact) + run.bias;
    let square = run.projections.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
    let count = run.projections.len() as f64;
    // The mean's triangle stands in the space below the axis.
    let mut chart = ChartBuilder::on(area).build_cartesian_2d(low..high, -0.16 * most..1.08 * most)?;
    chart.draw_series(counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bin, &count)| {
        let left = low + bin as f64 * width;
        Rectangle::new([(left, 0.0), (left + width, count as f64)], colour.filled())
    }))?;
    chart.draw_series(LineSeries::new([(low, 0.0), (high, 0.0)], BLACK.stroke_width(1)))?;
    chart.draw_series([TriangleMarker::new((mean, -0.08 * most), 7, colour.filled())])?;
    let outside = 100.0 * outside as f64 / count;
    Ok([
        format!("bias {:+.3}", run.bias).replace('-', "−"),
        format!("std. dev. {:.2}", (square / count).sqrt()),
        format!("tallest bar {:.0} %", 100.0 * most / count),
        if outside > 0.0 { format!("outside {outside:.1} %") } else { String::new() },
    ])
}
