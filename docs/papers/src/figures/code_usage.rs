//! The number of classes that each latent variable uses, and its information about an image, by epoch of the
//! VAE's short training.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use reparam::Result;

use super::training::{CLASSES, EPOCHS, LATENTS, Usage};
use crate::figures::parts::{GREY, LARGE, blue, key, write_text};
use reparam::cli::plot::{Area, COLOURS, Drawn, SMALL, picture, sans};

const SIZE: (u32, u32) = (960, 470);
/// The most information that the colours distinguish, in nats. A variable can carry ln 10 = 2.3.
const MOST: f64 = 1.6;

/// `usages` has an entry for each epoch, 0 included, and in it one for each latent variable.
pub(super) fn draw(usages: &[Vec<Usage>]) -> Result<String> {
    picture(SIZE, |area| {
        let half = area.dim_in_pixel().0 as i32 / 2;
        write_text(area, "classes in use", (half / 2 + 26, 22), LARGE, HPos::Center)?;
        write_text(area, "information about the image (nats)", (half + half / 2, 22), LARGE, HPos::Center)?;
        let (left, right) = area.margin(40, 4, 4, 8).split_horizontally(half);
        means(&left, usages)?;
        let (map, scale) = right.split_horizontally(half - 66);
        heat_map(&map, usages)?;
        colours(&scale)
    })
}

/// The means over the variables, and the range of the variables behind them.
fn means(area: &Area<'_>, usages: &[Vec<Usage>]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(4)
        .x_label_area_size(46)
        .y_label_area_size(36)
        .build_cartesian_2d(0.0..EPOCHS as f64, 0.0..CLASSES as f64 + 0.5)?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).bold_line_style(GREY.mix(0.25)).label_style(sans(SMALL));
    mesh.x_labels(7).y_labels(6).x_desc("epoch");
    mesh.x_label_formatter(&|x| format!("{x}")).y_label_formatter(&|y| format!("{y}")).draw()?;
    type Of = fn(&Usage) -> f64;
    let together: Of = |usage| usage.together;
    let alone: Of = |usage| usage.alone;
    for (name, of, colour) in [("by all images", together, COLOURS[0]), ("by one image", alone, COLOURS[1])] {
        let by =
            |pick: fn(f64, f64) -> f64, usages: &[Usage]| usages.iter().map(of).reduce(pick).unwrap_or(0.0);
        let least = usages.iter().enumerate().map(|(epoch, u)| (epoch as f64, by(f64::min, u)));
        let most = usages.iter().enumerate().rev().map(|(epoch, u)| (epoch as f64, by(f64::max, u)));
        let range = Polygon::new(least.chain(most).collect::<Vec<_>>(), colour.mix(0.2));
        chart.draw_series(std::iter::once(range))?;
        let mean = |usages: &[Usage]| usages.iter().map(of).sum::<f64>() / LATENTS as f64;
        let points = usages.iter().enumerate().map(|(epoch, usages)| (epoch as f64, mean(usages)));
        let line = colour.stroke_width(2);
        let series = chart.draw_series(LineSeries::new(points, line))?;
        series.label(format!("{name}: mean and range")).legend(move |at| key(at, line));
    }
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::Coordinate(120, 70)).background_style(WHITE.mix(0.9));
    Ok(legend.label_font(sans(SMALL)).draw()?)
}

/// One row for each variable, in the order of its information at the end, and one column for each epoch.
fn heat_map(area: &Area<'_>, usages: &[Vec<Usage>]) -> Drawn {
    let last = &usages[usages.len() - 1];
    let mut order: Vec<usize> = (0..LATENTS).collect();
    order.sort_by(|&a, &b| last[a].information().total_cmp(&last[b].information()));
    let mut chart = ChartBuilder::on(area)
        .margin(4)
        .x_label_area_size(46)
        .y_label_area_size(30)
        .build_cartesian_2d(-0.5..usages.len() as f64 - 0.5, 0.0..LATENTS as f64)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_mesh().label_style(sans(SMALL)).x_labels(7).y_labels(0).x_desc("epoch");
    mesh.y_desc("latent variables").x_label_formatter(&|x| format!("{x}")).draw()?;
    for (epoch, usages) in usages.iter().enumerate() {
        chart.draw_series(order.iter().enumerate().map(|(row, &latent)| {
            let (x, y) = (epoch as f64, row as f64);
            let cell = [(x - 0.5, y), (x + 0.5, y + 1.0)];
            Rectangle::new(cell, blue(usages[latent].information() / MOST).filled())
        }))?;
    }
    Ok(())
}

/// The colours of the map.
fn colours(area: &Area<'_>) -> Drawn {
    const STEPS: i32 = 8;
    let (top, bottom) = (4, area.dim_in_pixel().1 as i32 - 51);
    let height = (bottom - top) / STEPS;
    for step in 0..=STEPS {
        let (y, share) = (bottom - step * height, f64::from(step) / f64::from(STEPS));
        if step > 0 {
            let middle = share - 0.5 / f64::from(STEPS);
            area.draw(&Rectangle::new([(8, y), (26, y + height)], blue(middle).filled()))?;
        }
        write_text(area, &format!("{:.1}", share * MOST), (32, y), SMALL, HPos::Left)?;
    }
    Ok(())
}
