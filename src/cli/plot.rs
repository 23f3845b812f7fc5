//! Pictures as SVG: curves with linear or logarithmic axes.

use crate::error::{Error, Result};
use plotters::coord::Shift;
use plotters::coord::combinators::BindKeyPoints;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// A named line through points.
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// The points, from left to right.
    pub points: Vec<(f64, f64)>,
    colour: usize,
    /// Thin, with hollow marks.
    light: bool,
}

impl Curve {
    /// Curve number `i` of a picture. Colours take turns, and are lighter when they repeat.
    pub fn nth(i: usize, name: String, points: Vec<(f64, f64)>) -> Curve {
        Curve { name, points, colour: i % COLOURS.len(), light: i >= COLOURS.len() }
    }

    /// A companion in the same colour.
    pub fn lighter(self) -> Curve {
        Curve { light: true, ..self }
    }
}

/// The names of the axes.
pub struct Axes<'a> {
    /// Along the bottom.
    pub x: &'a str,
    /// Along the left side.
    pub y: &'a str,
}

/// Colours that colour-blind readers can tell apart (M. Okabe, K. Ito, "Color Universal Design", 2008).
pub const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
const SIZE: (u32, u32) = (960, 600);
/// The height of letters of numbers at the axes and of legends, in pixels.
pub const SMALL: f64 = 14.0;

/// The outcome of drawing.
pub type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;
/// A part of a picture.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A picture of this size on white, as the text of an SVG file without empty lines.
///
/// # Errors
/// If `draw` fails.
pub fn picture(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String> {
    let mut svg = String::new();
    let drawn = (|| {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&area)?;
        Ok(area.present()?)
    })();
    drawn.map_err(|error: Box<dyn std::error::Error>| {
        Error::invalid("the picture", "values that can be drawn", error)
    })?;
    // Default attributes, of which a file has thousands.
    let defaults = [" opacity=\"1\"", " stroke=\"none\" stroke-width=\"1\"", " stroke=\"none\""];
    let svg = defaults.iter().fold(svg, |svg, default| svg.replace(default, ""));
    // A label without text is an empty line.
    Ok(svg.lines().filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect())
}

/// The font with letters of this height, because plotters divides by 1.24.
pub fn sans(pixels: f64) -> (&'static str, f64) {
    ("sans-serif", pixels * 1.24)
}

/// An SVG of curves with logarithmic axes and a mark at each point; points that are not positive are left
/// out.
///
/// # Errors
/// If they cannot be drawn.
pub fn logarithmic(axes: &Axes<'_>, curves: &[Curve]) -> Result<String> {
    let positive = |curve: &Curve| Curve {
        name: curve.name.clone(),
        points: curve.points.iter().copied().filter(|&(x, y)| x > 0.0 && y > 0.0).collect(),
        ..*curve
    };
    let curves: Vec<Curve> = curves.iter().map(positive).collect();
    let ((left, right), (bottom, top)) = ranges(&curves);
    // Room for the names above the curves.
    let (x, y) = (left / 1.5..right * 1.5, bottom / 1.5..top * 10.0);
    let (x_ticks, y_ticks) = (decades(&x), decades(&y));
    let x = x.log_scale().with_key_points(x_ticks);
    let y = y.log_scale().with_key_points(y_ticks);
    picture(SIZE, |area| draw(area, axes, &curves, x, y, true))
}

/// An SVG of curves with linear axes, without marks.
///
/// # Errors
/// If they cannot be drawn.
pub fn linear(axes: &Axes<'_>, curves: &[Curve]) -> Result<String> {
    let ((left, right), (bottom, top)) = ranges(curves);
    let room = 0.35 * (top - bottom);
    picture(SIZE, |area| draw(area, axes, curves, left..right, bottom..top + room, false))
}

/// The numbers at a logarithmic axis: 1, 2 and 5 times powers of 10, or only the powers if there are many.
fn decades(range: &std::ops::Range<f64>) -> Vec<f64> {
    let (first, last) = (range.start.log10().floor() as i32, range.end.log10().ceil() as i32);
    let heads: &[f64] = if last - first > 4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let ticks = (first..=last).flat_map(|power| heads.iter().map(move |head| head * 10f64.powi(power)));
    ticks.filter(|tick| range.contains(tick)).collect()
}

/// The least and the largest of both coordinates.
fn ranges(curves: &[Curve]) -> ((f64, f64), (f64, f64)) {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high): (f64, f64), x| (low.min(x), high.max(x)))
    };
    (range(&mut points().map(|point| point.0)), range(&mut points().map(|point| point.1)))
}

fn draw<X, Y>(area: &Area<'_>, axes: &Axes<'_>, curves: &[Curve], x: X, y: Y, marks: bool) -> Drawn
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        // Half of the last number on the axis.
        .margin_right(44)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(axes.x)
        .y_desc(axes.y)
        .x_label_formatter(&|&x| short(x))
        .y_label_formatter(&|&y| short(y))
        .label_style(sans(SMALL))
        .draw()?;
    for curve in curves {
        let line = COLOURS[curve.colour].stroke_width(if curve.light { 1 } else { 2 });
        let point = if curve.light { line } else { line.filled() };
        let series = chart.draw_series(LineSeries::new(curve.points.iter().copied(), line))?;
        series.label(&curve.name).legend(move |at| {
            let mark = Circle::new((9, 0), if marks { 4 } else { 0 }, point);
            EmptyElement::at(at) + PathElement::new([(0, 0), (18, 0)], line) + mark
        });
        if marks {
            chart.draw_series(curve.points.iter().map(|&at| Circle::new(at, 4, point)))?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font(sans(SMALL))
        .draw()?;
    Ok(())
}

/// A number without more digits than it needs.
pub fn short(x: f64) -> String {
    let size = x.abs();
    // Where an axis crosses 0, the rounding error counts as 0.
    if size > 1e-15 && !(1e-3..1e6).contains(&size) {
        format!("{x:.0e}")
    } else {
        format!("{}", (x * 1e6).round() / 1e6 + 0.0)
    }
}
