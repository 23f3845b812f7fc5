//! The effect of the temperature: expectations and samples of Gumbel-Softmax.
//!
//! After Jang, Gu, Poole 2017, figure 1.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use reparam::distributions::OneHot;
use reparam::{Noise, Result, Tape, Var};

use crate::figures::parts::{GREY, LARGE, write_text, write_upwards};
use reparam::cli::plot::{Area, COLOURS, Drawn, SMALL, picture, sans};

const PROBABILITIES: [f32; 7] = [0.05, 0.15, 0.3, 0.08, 0.22, 0.12, 0.08];
const CLASSES: usize = PROBABILITIES.len();
const TAUS: [f32; 4] = [0.1, 0.5, 1.0, 10.0];
/// Samples whose mean approximates the expectation.
const SAMPLES: usize = 100_000;
/// Two samples of different classes, neither near a tie.
const SEED: u64 = 9;
const ROWS: [&str; 3] = ["expectation", "a sample", "another sample"];
const SIZE: (u32, u32) = (960, 560);
/// Room for the names of columns, rows and classes.
const TOP: i32 = 40;
const LEFT: i32 = 44;
const BOTTOM: i32 = 30;

/// The vectors of one column: the expectation, then samples.
type Column = [Vec<f32>; ROWS.len()];

pub(super) fn draw() -> Result<String> {
    let columns = [vec![categorical()], TAUS.iter().map(|&tau| relaxed(tau)).collect()].concat();
    picture(SIZE, |area| {
        let (width, height) = (area.dim_in_pixel().0 as i32, area.dim_in_pixel().1 as i32);
        let panels = area.margin(TOP, BOTTOM, LEFT, 10);
        let panels = panels.split_evenly((ROWS.len(), columns.len()));
        for (i, vectors) in columns.iter().enumerate() {
            let name = if i == 0 { "categorical".to_owned() } else { format!("τ = {}", TAUS[i - 1]) };
            let step = (width - LEFT - 10) / columns.len() as i32;
            let x = LEFT + step / 2 + i as i32 * step;
            write_text(area, &name, (x, TOP / 2), LARGE, HPos::Center)?;
            for (row, y) in vectors.iter().enumerate() {
                let panel = &panels[row * columns.len() + i];
                bars(panel, y, COLOURS[usize::from(row > 0)], i == 0)?;
            }
        }
        let note = "class (outlines: the probabilities of the categorical variable)";
        write_text(area, note, ((width + LEFT) / 2, height - BOTTOM / 2), SMALL, HPos::Center)?;
        let step = (height - TOP - BOTTOM) / ROWS.len() as i32;
        for (row, name) in ROWS.iter().enumerate() {
            write_upwards(area, name, (18, TOP + step / 2 + row as i32 * step), LARGE)?;
        }
        Ok(())
    })
}

/// A categorical variable: its distribution and two one-hot samples.
fn categorical() -> Column {
    column(PROBABILITIES.to_vec(), |logits, noise| OneHot { logits }.sample(noise).to_vec())
}

/// Relaxed samples at a temperature, from the same noise.
fn relaxed(tau: f32) -> Column {
    let mean = {
        let tape = Tape::inference();
        let logits = tape.input(&logits(), [CLASSES]).broadcast_to([SAMPLES, CLASSES]);
        logits.gumbel_softmax(tau, &mut Noise::seed(1)).mean_axis(0).to_vec()
    };
    column(mean, |logits, noise| logits.gumbel_softmax(tau, noise).to_vec())
}

fn column(expectation: Vec<f32>, sample: impl Fn(Var<'_>, &mut Noise) -> Vec<f32>) -> Column {
    let mut noise = Noise::seed(SEED);
    let tape = Tape::inference();
    let logits = tape.input(&logits(), [CLASSES]);
    let mut next = || sample(logits, &mut noise);
    [expectation, next(), next()]
}

fn logits() -> [f32; CLASSES] {
    PROBABILITIES.map(f32::ln)
}

/// One vector as bars, and the distribution as outlines.
fn bars(panel: &Area<'_>, vector: &[f32], colour: RGBColor, numbers: bool) -> Drawn {
    let mut chart = ChartBuilder::on(panel)
        .margin(6)
        .x_label_area_size(20)
        .y_label_area_size(30)
        .build_cartesian_2d(0.5..CLASSES as f64 + 0.5, 0.0..1.0)?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .disable_x_mesh()
        .x_labels(CLASSES)
        .y_labels(3)
        .label_style(sans(SMALL));
    mesh.x_label_formatter(&|x| format!("{x}"));
    let y_label = |y: &f64| if numbers { format!("{y}") } else { String::new() };
    mesh.y_label_formatter(&y_label).draw()?;
    let bar = |(i, height): (usize, f64), half: f64| {
        let x = i as f64 + 1.0;
        [(x - half, 0.0), (x + half, height)]
    };
    chart.draw_series(
        vector
            .iter()
            .enumerate()
            .map(|(i, &y)| Rectangle::new(bar((i, f64::from(y)), 0.36), colour.filled())),
    )?;
    chart.draw_series(
        PROBABILITIES
            .iter()
            .enumerate()
            .map(|(i, &p)| Rectangle::new(bar((i, f64::from(p)), 0.36), GREY.stroke_width(1))),
    )?;
    Ok(())
}
