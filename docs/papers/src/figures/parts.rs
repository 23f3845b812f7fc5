//! Parts shared by the documentation's pictures.

use base64::prelude::{BASE64_STANDARD, Engine};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use reparam::cli::plot::{Area, Drawn, sans};

/// The colour of grids, references and bands behind the data.
pub(crate) const GREY: RGBColor = RGBColor(140, 140, 140);
/// The height of letters in the names of axes and panels, in pixels.
pub(crate) const LARGE: f64 = 16.0;

/// A colour from almost white (0) to dark blue (1).
pub(crate) fn blue(share: f64) -> RGBColor {
    const STOPS: [[f64; 3]; 4] =
        [[250.0, 252.0, 255.0], [186.0, 214.0, 236.0], [66.0, 140.0, 196.0], [8.0, 48.0, 107.0]];
    let at = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let stop = (at as usize).min(STOPS.len() - 2);
    let mix = |i| STOPS[stop][i] + (at - stop as f64) * (STOPS[stop + 1][i] - STOPS[stop][i]);
    let [red, green, blue] = [0, 1, 2].map(|i| mix(i).round() as u8);
    RGBColor(red, green, blue)
}

/// Puts a PNG file on a picture's background, under everything else.
pub(crate) fn embed(svg: &mut String, (x, y): (i32, i32), (width, height): (u32, u32), png: &[u8]) {
    let data = BASE64_STANDARD.encode(png);
    let image = format!(
        "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,{data}\"/>\n"
    );
    let background = svg.find("<rect").expect("a background");
    let behind = background + svg[background..].find('\n').expect("an element a line") + 1;
    svg.insert_str(behind, &image);
}

/// Writes one line next to, or around, a point.
pub(crate) fn write_text(area: &Area<'_>, text: &str, at: (i32, i32), pixels: f64, side: HPos) -> Drawn {
    let style = TextStyle::from(sans(pixels)).pos(Pos::new(side, VPos::Center));
    Ok(area.draw_text(text, &style, at)?)
}

/// Writes one line that runs upwards, around a point.
pub(crate) fn write_upwards(area: &Area<'_>, text: &str, at: (i32, i32), pixels: f64) -> Drawn {
    let style = TextStyle::from(sans(pixels)).pos(Pos::new(HPos::Center, VPos::Center));
    Ok(area.draw_text(text, &style.transform(FontTransform::Rotate270), at)?)
}

/// A line's mark in a legend.
pub(crate) fn key(at: (i32, i32), line: ShapeStyle) -> PathElement<(i32, i32)> {
    PathElement::new([at, (at.0 + 18, at.1)], line)
}
