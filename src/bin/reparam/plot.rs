//! Pictures as SVG: curves with linear or logarithmic axes, and the parts that every picture is drawn with.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use reparam::{Error, Result, write_atomically};

/// A named line through points.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    colour: usize,
    /// Thin, with hollow marks.
    light: bool,
}

impl Curve {
    /// The curve in place `i` of a picture: colours in turn, and lighter when they come round again.
    pub(crate) fn nth(i: usize, name: String, points: Vec<(f64, f64)>) -> Curve {
        Curve { name, points, colour: i % COLOURS.len(), light: i >= COLOURS.len() }
    }

    /// A companion in the same colour.
    pub(crate) fn lighter(self) -> Curve {
        Curve { light: true, ..self }
    }
}

/// From almost white (0) to dark blue (1).
pub(crate) fn blue(share: f64) -> RGBColor {
    const STOPS: [[f64; 3]; 4] =
        [[250.0, 252.0, 255.0], [186.0, 214.0, 236.0], [66.0, 140.0, 196.0], [8.0, 48.0, 107.0]];
    let at = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let stop = (at as usize).min(STOPS.len() - 2);
    let mix = |i| STOPS[stop][i] + (at - stop as f64) * (STOPS[stop + 1][i] - STOPS[stop][i]);
    let [red, green, blue] = [0, 1, 2].map(|i| mix(i).round() as u8);
    RGBColor(red, green, blue)
}

/// What the axes show.
pub(crate) struct Axes<'a> {
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
}

/// Colours that the colour-blind tell apart (M. Okabe, K. Ito, "Color Universal Design", 2008).
pub(crate) const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
/// What stands behind the data: grids, references, bands.
pub(crate) const GREY: RGBColor = RGBColor(140, 140, 140);
const SIZE: (u32, u32) = (960, 600);
/// Heights of letters in pixels: of numbers at the axes and legends, and of names of axes and panels.
pub(crate) const SMALL: f64 = 14.0;
pub(crate) const LARGE: f64 = 16.0;

pub(crate) type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A picture of that size on white, as the text of an SVG file without empty lines.
pub(crate) fn picture(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String> {
    fine_picture(1, size, draw)
}

/// A picture that is drawn `fine` times as large as it is shown: plotters places everything at whole pixels, which
/// smooth curves show.
pub(crate) fn fine_picture(
    fine: u32,
    (width, height): (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String> {
    let size = (fine * width, fine * height);
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
    let drawn = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let svg = svg.replacen(&drawn, &format!("width=\"{width}\" height=\"{height}\""), 1);
    // The defaults, of which a file has thousands.
    let defaults = [" opacity=\"1\"", " stroke=\"none\" stroke-width=\"1\"", " stroke=\"none\""];
    let svg = defaults.iter().fold(svg, |svg, default| svg.replace(default, ""));
    // A label without text is an empty line.
    Ok(svg.lines().filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect())
}

/// Puts a PNG file on a picture's background, behind what is drawn.
pub(crate) fn embed(svg: &mut String, (x, y): (i32, i32), (width, height): (u32, u32), png: &[u8]) {
    let data = BASE64_STANDARD.encode(png);
    let image = format!(
        "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,{data}\"/>\n"
    );
    let background = svg.find("<rect").expect("a background");
    let behind = background + svg[background..].find('\n').expect("an element a line") + 1;
    svg.insert_str(behind, &image);
}

/// The font in letters of that height: plotters divides by 1.24.
pub(crate) fn sans(pixels: f64) -> (&'static str, f64) {
    ("sans-serif", pixels * 1.24)
}

/// Writes one line beside, or around, a point.
pub(crate) fn write_text(area: &Area<'_>, text: &str, at: (i32, i32), pixels: f64, side: HPos) -> Drawn {
    let style = TextStyle::from(sans(pixels)).pos(Pos::new(side, VPos::Center));
    Ok(area.draw_text(text, &style, at)?)
}

/// Writes one line that runs upwards, around a point.
pub(crate) fn write_upwards(area: &Area<'_>, text: &str, at: (i32, i32), pixels: f64) -> Drawn {
    let style = TextStyle::from(sans(pixels)).pos(Pos::new(HPos::Center, VPos::Center));
    Ok(area.draw_text(text, &style.transform(FontTransform::Rotate270), at)?)
}

/// Curves with logarithmic axes and a mark at each point; points that are not positive are left out.
pub(crate) fn logarithmic(path: &Path, axes: &Axes<'_>, curves: &[Curve]) -> Result<()> {
    let positive = |curve: &Curve| Curve {
        name: curve.name.clone(),
        points: curve.points.iter().copied().filter(|&(x, y)| x > 0.0 && y > 0.0).collect(),
        ..*curve
    };
    let curves: Vec<Curve> = curves.iter().map(positive).collect();
    let ((left, right), (bottom, top)) = ranges(&curves);
    // Room for the names above the curves.
    let (x, y) = (left / 1.5..right * 1.5, bottom / 1.5..top * 10.0);
    write(path, |area| draw(area, axes, &curves, x.log_scale(), y.log_scale(), true))
}

/// Curves with linear axes, without marks.
pub(crate) fn linear(path: &Path, axes: &Axes<'_>, curves: &[Curve]) -> Result<()> {
    let ((left, right), (bottom, top)) = ranges(curves);
    let room = 0.35 * (top - bottom);
    write(path, |area| draw(area, axes, curves, left..right, bottom..top + room, false))
}

fn write(path: &Path, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<()> {
    let svg = picture(SIZE, draw)?;
    write_atomically(path, svg)
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

/// A line's mark in a legend.
pub(crate) fn key(at: (i32, i32), line: ShapeStyle) -> PathElement<(i32, i32)> {
    PathElement::new([at, (at.0 + 18, at.1)], line)
}

/// A number without more digits than it needs.
pub(crate) fn short(x: f64) -> String {
    let size = x.abs();
    // What rounding leaves where an axis crosses 0 is 0.
    if size > 1e-15 && !(1e-3..1e6).contains(&size) {
        format!("{x:.0e}")
    } else {
        format!("{}", (x * 1e6).round() / 1e6 + 0.0)
    }
}
