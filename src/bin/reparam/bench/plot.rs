//! A picture of the measurements.

use std::path::Path;

use plotters::prelude::*;
use reparam::{Error, Result, write_atomically};

/// Nanoseconds per element by the number of classes.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Colours that the colour-blind tell apart (M. Okabe, K. Ito, "Color Universal Design", 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
const SIZE: (u32, u32) = (960, 600);

/// Draws the curves with logarithmic axes into an SVG file.
pub(crate) fn against_classes(path: &Path, curves: &[Curve]) -> Result<()> {
    let mut svg = String::new();
    draw(&mut svg, curves).map_err(|error| Error::invalid("--plot", "curves that can be drawn", error))?;
    write_atomically(path, |file| file.write_all(svg.as_bytes()))
}

fn draw(svg: &mut String, curves: &[Curve]) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), x| (low.min(x), high.max(x)))
    };
    let (fewest, most) = range(&mut points().map(|point| point.0));
    let (fastest, slowest) = range(&mut points().map(|point| point.1));
    // Room for the names above the curves.
    let (x, y) = (fewest / 1.5..most * 1.5, fastest / 1.5..slowest * 4.0);
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(x.log_scale(), y.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("classes")
        .y_desc("nanoseconds per element")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y}"))
        .label_style(("sans-serif", 15))
        .draw()?;
    for (i, curve) in curves.iter().enumerate() {
        let line = COLOURS[i % COLOURS.len()].stroke_width(2);
        // When the colours come round again, the points are hollow.
        let point = if i < COLOURS.len() { line.filled() } else { line };
        chart.draw_series(LineSeries::new(curve.points.iter().copied(), line))?;
        chart
            .draw_series(curve.points.iter().map(|&at| Circle::new(at, 4, point)))?
            .label(&curve.name)
            .legend(move |at| {
                EmptyElement::at(at)
                    + PathElement::new([(0, 0), (18, 0)], line)
                    + Circle::new((9, 0), 4, point)
            });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 14))
        .draw()?;
    area.present()?;
    Ok(())
}
