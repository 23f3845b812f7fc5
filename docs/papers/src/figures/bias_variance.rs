//! Bias and variance of the relaxed estimators against their temperature.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use reparam::Result;
use reparam::lab::{Measurement, Quadratic};

use crate::figures::parts::{GREY, LARGE, key, write_text};
use reparam::cli::plot::{Area, COLOURS, Drawn, SMALL, picture, sans, short};
use reparam::lab::{measure_named, sweep_temperatures};

const FAMILIES: [&str; 3] = ["gumbel-softmax", "st-gumbel-softmax", "gumbel-rao:10"];
/// What has no bias, to compare with.
const UNBIASED: &str = "rloo:4";
const SAMPLES: usize = 1_000_000;
const SIZE: (u32, u32) = (960, 480);

pub(super) fn draw() -> Result<String> {
    let problem = Quadratic::new(5);
    let sweeps = FAMILIES.map(|family| sweep_temperatures(&problem, family, SAMPLES, 1));
    let unbiased =
        measure_named(&problem, UNBIASED, SAMPLES, 1).expect("an estimator for categorical variables");
    picture(SIZE, |area| {
        let half = area.dim_in_pixel().0 as i32 / 2;
        write_text(area, "bias squared", (half / 2 + 36, 22), LARGE, HPos::Center)?;
        write_text(area, "variance of one estimate", (half + half / 2 + 36, 22), LARGE, HPos::Center)?;
        let (left, right) = area.margin(40, 4, 4, 12).split_horizontally(half);
        panel(&left, (4e-6, 0.3), &sweeps, significant, None)?;
        panel(&right, (1e-3, 300.0), &sweeps, |m| m.variance, Some(unbiased.variance))
    })
}

type Sweep = Vec<(f32, Measurement)>;

/// Bias squared, or 0 where it is not above what chance makes of it.
fn significant(m: &Measurement) -> f64 {
    let (square, chance) = (m.squared_bias(), m.variance / m.samples as f64);
    if square > chance { square } else { 0.0 }
}

/// A quantity against the temperature, both logarithmic; a level without a temperature.
fn panel(
    area: &Area<'_>,
    (low, high): (f64, f64),
    sweeps: &[Sweep],
    of: fn(&Measurement) -> f64,
    level: Option<f64>,
) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(4)
        .x_label_area_size(46)
        .y_label_area_size(66)
        .build_cartesian_2d((0.04..5.0).log_scale(), (low..high).log_scale())?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).bold_line_style(GREY.mix(0.25)).label_style(sans(SMALL));
    mesh.x_desc("temperature τ")
        .x_label_formatter(&|&x| short(x))
        .y_label_formatter(&|&y| short(y))
        .draw()?;
    for ((sweep, family), colour) in sweeps.iter().zip(FAMILIES).zip(COLOURS) {
        let line = colour.stroke_width(2);
        let points = sweep.iter().map(|(tau, m)| (f64::from(*tau), of(m))).filter(|point| point.1 > 0.0);
        chart.draw_series(points.clone().map(|at| Circle::new(at, 4, colour.filled())))?;
        let series = chart.draw_series(LineSeries::new(points, line))?;
        series.label(family).legend(move |at| key(at, line));
    }
    if let Some(level) = level {
        let line = BLACK.stroke_width(2);
        let series = chart.draw_series(LineSeries::new([(0.04, level), (5.0, level)], line))?;
        series.label(format!("{UNBIASED}, no bias")).legend(move |at| key(at, line));
    }
    let mut legend = chart.configure_series_labels();
    let corner =
        if level.is_some() { SeriesLabelPosition::UpperRight } else { SeriesLabelPosition::UpperLeft };
    legend.position(corner).background_style(WHITE.mix(0.9));
    Ok(legend.label_font(sans(SMALL)).draw()?)
}
