//! Pictures of the lab's measurements.

use std::path::Path;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use reparam::Result;
use reparam::cli::plot::{self, Area, Axes, COLOURS, Curve, Drawn, SMALL, sans, short};
use reparam::internal::write_atomically;
use reparam::lab::Measurement;

/// Draws two pictures of each problem: length and direction of the means, and histograms.
pub(super) fn draw(dir: &Path, measured: &[Measurement]) -> Result<()> {
    for of_problem in measured.chunk_by(|a, b| a.problem == b.problem) {
        let name = of_problem[0].problem.replace(':', "-");
        if !of_problem[0].length.is_nan() {
            write_atomically(dir.join(format!("bias-{name}.svg")), bias(of_problem)?)?;
        }
        if let Some(svg) = histograms(of_problem)? {
            write_atomically(dir.join(format!("histogram-{name}.svg")), svg)?;
        }
    }
    Ok(())
}

/// A row for each estimator, with bars of two standard errors and a line at the exact gradient's value. It
/// leaves out a direction that the samples do not determine.
fn bias(measured: &[Measurement]) -> Result<String> {
    let rows = |of: fn(&Measurement) -> Option<[f64; 3]>| measured.iter().rev().map(of).collect::<Vec<_>>();
    let (lengths, angles) = (rows(Measurement::length_interval), rows(Measurement::angle_interval));
    let middles = |rows: &[Option<[f64; 3]>]| rows.iter().flatten().map(|row| row[1]).collect::<Vec<_>>();
    let (low, high) =
        middles(&lengths).iter().fold((0.8, 1.25), |(a, b): (f64, f64), &x| (a.min(x), b.max(x)));
    let most = middles(&angles).into_iter().fold(5.0, f64::max);
    plot::picture((960, 80 + 20 * measured.len() as u32), |area| {
        let (left, right) = area.split_horizontally(570);
        let names: Vec<&str> = measured.iter().rev().map(|m| m.estimator.as_str()).collect();
        let title = "length of the mean / length of the exact gradient";
        panel(&left, title, (low / 1.1..high * 1.1).log_scale(), 1.0, Some(&names), &lengths)?;
        let title = "angle with the exact gradient, in degrees";
        panel(&right, title, -0.03 * most..1.05 * most, 0.0, None, &angles)
    })
}

fn panel<X>(
    area: &Area<'_>,
    title: &str,
    x: X,
    line: f64,
    names: Option<&[&str]>,
    rows: &[Option<[f64; 3]>],
) -> Drawn
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let name = |row: &SegmentValue<usize>| match (row, names) {
        (SegmentValue::CenterOf(row), Some(names)) => names[*row].to_owned(),
        _ => String::new(),
    };
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(if names.is_some() { 180 } else { 16 })
        .build_cartesian_2d(x, (0..rows.len() - 1).into_segmented())?;
    let (low, high) = (chart.x_range().start, chart.x_range().end);
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).bold_line_style(BLACK.mix(0.1)).label_style(sans(SMALL));
    mesh.x_desc(title).x_label_formatter(&|&x| short(x));
    mesh.y_labels(rows.len()).y_label_formatter(&name).draw()?;
    let ends = [SegmentValue::Exact(0), SegmentValue::Last].map(|end| (line, end));
    chart.draw_series(LineSeries::new(ends, BLACK.stroke_width(1)))?;
    for (row, values) in rows.iter().enumerate().filter_map(|(row, values)| Some((row, (*values)?))) {
        let [from, middle, to] = values.map(|x| (x.clamp(low, high), SegmentValue::CenterOf(row)));
        chart.draw_series([PathElement::new([from, to], COLOURS[0].stroke_width(2))])?;
        chart.draw_series([Circle::new(middle, 4, COLOURS[0].filled())])?;
    }
    Ok(())
}

/// Densities of single estimates, projected on the exact gradient, together with the truth; `None` without
/// spread. If there are too many estimators to tell apart, it prefers ones that differ.
fn histograms(measured: &[Measurement]) -> Result<Option<String>> {
    const SHOWN: [&str; 6] =
        ["score-function", "rloo:4", "rebar", "gumbel-softmax:0.5", "st-gumbel-softmax:0.5", "st-softmax:1"];
    let mut shown: Vec<&Measurement> = measured.iter().collect();
    if shown.len() > SHOWN.len() {
        // It has no spread to show.
        shown.retain(|m| m.estimator != "exact");
    }
    shown.sort_by_key(|m| !SHOWN.contains(&m.estimator.as_str()));
    shown.truncate(SHOWN.len());
    let truth = measured[0].exact.iter().map(|g| g * g).sum::<f64>().sqrt();
    let mut values: Vec<f64> =
        shown.iter().flat_map(|m| m.projections.iter().map(|&x| f64::from(x))).collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[(share * (values.len() - 1) as f64) as usize];
    let (low, high) = (at(0.005).min(truth), at(0.995).max(truth));
    if !(low < high && (high - low).is_finite()) {
        return Ok(None);
    }
    let mut curves: Vec<Curve> = shown.iter().enumerate().map(|(i, m)| outline(i, m, low, high)).collect();
    let top = curves.iter().flat_map(|c| &c.points).fold(0.0, |top: f64, point| top.max(point.1));
    let truth = vec![(truth, 0.0), (truth, top)];
    curves.push(Curve::nth(SHOWN.len(), "exact gradient".to_owned(), truth));
    let axes = Axes { x: "estimate along the exact gradient", y: "share of the estimates" };
    plot::linear(&axes, &curves).map(Some)
}

/// The outline of a histogram of `BINS` bars.
fn outline(i: usize, m: &Measurement, low: f64, high: f64) -> Curve {
    const BINS: usize = 60;
    let width = (high - low) / BINS as f64;
    let corners = m.histogram(low, high, BINS).into_iter().enumerate().flat_map(|(bin, share)| {
        let left = low + bin as f64 * width;
        [(left, share), (left + width, share)]
    });
    Curve::nth(i, m.estimator.clone(), corners.collect())
}
