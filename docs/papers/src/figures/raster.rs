//! An SVG picture as a PNG file, without the system's fonts: the fonts are DejaVu's, under the Bitstream Vera
//! licence, which lets anyone use and embed it.

use std::sync::Arc;

use reparam::{Error, Result};
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

use reparam::cli::picture::encode;

/// Pixels of the PNG file for each of the SVG file.
const ZOOM: f32 = 2.0;

/// The bytes of a PNG file, the same for the same picture. All text is set in DejaVu Sans or its fixed-width
/// companion.
pub(super) fn png(svg: &str) -> Result<Vec<u8>> {
    let refused =
        |found: &dyn std::fmt::Display| Error::invalid("the picture", "SVG that can be drawn", found);
    let mut fonts = Database::new();
    for font in [dejavu::sans::regular(), dejavu::sans_mono::regular(), dejavu::sans_mono::bold()] {
        fonts.load_font_data(font.to_vec());
    }
    fonts.set_sans_serif_family("DejaVu Sans");
    let options = Options { fontdb: Arc::new(fonts), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| refused(&error))?;
    let size = tree.size().to_int_size().scale_by(ZOOM).expect("a picture of some size");
    let mut pixmap = Pixmap::new(size.width(), size.height()).expect("a picture of some size");
    // Needed if a picture's height is not a whole number of pixels.
    pixmap.fill(Color::WHITE);
    resvg::render(&tree, Transform::from_scale(ZOOM, ZOOM), &mut pixmap.as_mut());
    // The background is opaque.
    let colours: Vec<u8> =
        pixmap.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
    let size = [size.height() as usize, size.width() as usize];
    encode(size, png::ColorType::Rgb, &colours).map_err(|error| refused(&error))
}
