//! The value of a straight-through op, and the slope that differentiation uses instead.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use reparam::{Result, Tape, Var};

use crate::figures::parts::{GREY, LARGE, write_text};
use reparam::cli::plot::{Area, COLOURS, Drawn, SMALL, picture, sans, short};

/// Levels of the quantiser: 0, 1, ...
const LEVELS: usize = 4;
const TAUS: [f32; 3] = [0.2, 0.5, 2.0];
/// Points of a curve.
const POINTS: usize = 201;
const FROM: f32 = -0.5;
const TO: f32 = 3.5;
const SIZE: (u32, u32) = (960, 440);
/// The factor by which the drawing is larger than the picture, because plotters places everything at whole
/// pixels, which would show in smooth curves.
const FINE: i32 = 5;

type Points = Vec<(f64, f64)>;

pub(super) fn draw() -> Result<String> {
    let staircase = curves(|logits| logits.st_argmax(1.0)).0;
    let surrogates = TAUS.map(|tau| curves(|logits| (logits / tau).softmax()).0);
    let slopes = TAUS.map(|tau| curves(|logits| logits.st_argmax(tau)).1);
    let flat: Points = staircase.iter().map(|&(x, _)| (x, 0.0)).collect();
    let (width, height) = (FINE as u32 * SIZE.0, FINE as u32 * SIZE.1);
    let svg = picture((width, height), |area| {
        let half = area.dim_in_pixel().0 as i32 / 2;
        write_text(
            area,
            "a quantiser: x to the nearest of 0, 1, 2, 3",
            (half / 2 + 20 * FINE, 22 * FINE),
            LARGE * f64::from(FINE),
            HPos::Center,
        )?;
        write_text(
            area,
            "its slope dq/dx",
            (half + half / 2 + 20 * FINE, 22 * FINE),
            LARGE * f64::from(FINE),
            HPos::Center,
        )?;
        let (left, right) =
            area.margin(40 * FINE, 4 * FINE, 8 * FINE, 16 * FINE).split_horizontally(half - 16 * FINE);
        panel(
            &left,
            -0.1..4.9,
            "q(x)",
            ("q(x), by st_argmax", &steps(&staircase)),
            ("soft version", &surrogates),
        )?;
        panel(&right, -0.1..4.2, "dq/dx", ("true slope: 0", &[flat]), ("slope of the soft version", &slopes))
    })?;
    let drawn = format!("width=\"{width}\" height=\"{height}\"");
    Ok(svg.replacen(&drawn, &format!("width=\"{}\" height=\"{}\"", SIZE.0, SIZE.1), 1))
}

/// Value and slope of the quantiser x -> sum_k k z_k with z = `choose`(-(x - k)^2), both from the tape.
fn curves(choose: impl for<'t> Fn(Var<'t>) -> Var<'t>) -> (Points, Points) {
    let at: Vec<f32> = (0..POINTS).map(|i| FROM + (TO - FROM) * i as f32 / (POINTS - 1) as f32).collect();
    let levels: Vec<f32> = (0..LEVELS).map(|level| level as f32).collect();
    let tape = Tape::new();
    let x = tape.variable(&at, [POINTS, 1]);
    let levels = tape.input(&levels, [LEVELS]);
    let y = (choose(-(x - levels).square()) * levels).sum_axis(1);
    let gradients = y.sum().backward();
    let slope = gradients.of(x).expect("x is a variable");
    let points = |y: &[f32]| at.iter().zip(y).map(|(&x, &y)| (f64::from(x), f64::from(y))).collect();
    (points(&y.value()), points(slope))
}

/// The steps of a staircase, each from the end of the one before.
fn steps(staircase: &Points) -> Vec<Points> {
    let mut from = staircase[0].0;
    let steps = staircase.chunk_by(|a, b| a.1 == b.1).map(|step| {
        let (to, y) = step[step.len() - 1];
        vec![(std::mem::replace(&mut from, to), y), (to, y)]
    });
    steps.collect()
}

/// A line's mark in the legend.
fn key(at: (i32, i32), line: ShapeStyle) -> PathElement<(i32, i32)> {
    PathElement::new([at, (at.0 + 18 * FINE, at.1)], line)
}

/// The op in black, and its smooth versions in colours, one for each temperature.
fn panel(
    area: &Area<'_>,
    y: std::ops::Range<f64>,
    y_name: &str,
    (name, steps): (&str, &[Points]),
    (family, curves): (&str, &[Points]),
) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(4 * FINE)
        .margin_right(16 * FINE)
        .x_label_area_size(44 * FINE)
        .y_label_area_size(52 * FINE)
        .build_cartesian_2d(f64::from(FROM)..f64::from(TO), y)?;
    let mut mesh = chart.configure_mesh();
    let stroke = |colour: &RGBColor, width: u32| colour.stroke_width(width * FINE as u32);
    mesh.light_line_style(TRANSPARENT).bold_line_style(GREY.mix(0.25).stroke_width(FINE as u32));
    mesh.axis_style(stroke(&BLACK, 1)).set_all_tick_mark_size(5 * FINE);
    mesh.x_labels(5).y_labels(6).x_desc("x").y_desc(y_name).label_style(sans(SMALL * f64::from(FINE)));
    mesh.x_label_formatter(&|&x| short(x)).y_label_formatter(&|&y| short(y)).draw()?;
    for ((curve, tau), colour) in curves.iter().zip(TAUS).zip(COLOURS) {
        let line = stroke(&colour, 2);
        let series = chart.draw_series(LineSeries::new(curve.iter().copied(), line))?;
        series.label(format!("{family}, τ = {tau}")).legend(move |at| key(at, line));
    }
    let line = stroke(&BLACK, 3);
    for (i, step) in steps.iter().enumerate() {
        let series = chart.draw_series(LineSeries::new(step.iter().copied(), line))?;
        if i == 0 {
            series.label(name).legend(move |at| key(at, line));
        }
    }
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.85));
    legend.legend_area_size(30 * FINE).margin(10 * FINE as u32);
    Ok(legend.label_font(sans(SMALL * f64::from(FINE))).draw()?)
}
