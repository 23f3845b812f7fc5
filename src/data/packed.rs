//! The packed format: binary images at one bit per pixel, compressed with gzip. The embedded set uses it.
//!
//! Unpacked, a file is a header of 24 bytes, all images (training, then test; row-major, the lowest bit
//! first, each image in whole bytes), and a byte for each label. The header is `BITS` and five little-endian
//! words: version (1), training images, test images, rows, columns.

use std::path::Path;

use super::source::Source;
use super::split::Pixels;
use super::{Digits, ENOUGH, FEWEST, Labelled, Sets};
use crate::error::Result;

const MAGIC: [u8; 4] = *b"BITS";
const VERSION: u32 = 1;

/// The seed of the packed pixels. Draw `i` of `Noise::seed(PACKED_SEED)` decides pixel `i` of all, in the
/// order of the IDX files, training images first.
pub const PACKED_SEED: u64 = 2008;

/// Makes a packed file, with each pixel of 8-bit images drawn once, 1 with probability intensity / 255. From
/// MNIST, it makes the file that [`Digits::embedded`] carries, byte for byte.
///
/// The file does not say where the validation images begin. When it is read, they are the last sixth of all
/// images except the test images.
#[cfg(feature = "gzip")]
pub fn pack(digits: &Digits) -> Vec<u8> {
    use std::io::Write;

    use super::split::pack_bits;

    let splits = [digits.train(), digits.validation(), digits.test()];
    let [train, validation, test] = splits.map(|split| split.len() as u32);
    let (rows, cols) = (digits.train().rows() as u32, digits.train().cols() as u32);
    let mut contents = MAGIC.to_vec();
    for word in [VERSION, train + validation, test, rows, cols] {
        contents.extend(word.to_le_bytes());
    }
    let mut image = vec![0.0; digits.train().pixels()];
    for split in splits {
        for index in 0..split.len() as u32 {
            split.binarized_pixels_into(&[index], &mut image);
            contents.extend(pack_bits(&image));
        }
    }
    splits.iter().for_each(|split| contents.extend(split.labels()));

    // No time and no name in the header, so the same input gives the same bytes.
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let written = file.write_all(&contents).and_then(|()| file.finish());
    written.expect("writing to memory does not fail")
}

#[cfg(feature = "embedded")]
pub(super) fn embedded() -> Digits {
    let bytes: &[u8] = include_bytes!("binarized-mnist.gz");
    let digits = Source::new(Path::new("binarized-mnist.gz"), bytes).and_then(unpack);
    digits.expect("the embedded data is intact, or the build is broken")
}

pub(super) fn read(path: &Path) -> Result<Digits> {
    Source::open(path).and_then(unpack)
}

fn unpack(mut source: Source) -> Result<Digits> {
    let magic: [u8; 4] = source.header("a file that `pack` made")?;
    if magic != MAGIC {
        let found = format_args!("a file that starts with {}", magic.escape_ascii());
        return source.wrong("a file that `pack` made (starts with BITS)", found);
    }
    let version = word(&mut source)?;
    if version != VERSION {
        return source.wrong(format_args!("format version {VERSION}"), format_args!("version {version}"));
    }
    let [train, test, rows, cols] =
        [word(&mut source)?, word(&mut source)?, word(&mut source)?, word(&mut source)?];
    let what = format!("{train} training and {test} test images of {rows} x {cols} pixels");
    let stride = (u64::from(rows) * u64::from(cols)).div_ceil(8);
    let lens = [train, test].map(|count| stride.checked_mul(u64::from(count)));
    let [Some(train_len), Some(test_len)] = lens else {
        return source.wrong("images that fit in memory", what);
    };
    if test == 0 || stride == 0 {
        return source.wrong("at least one test image of at least one pixel", what);
    }
    if (train as usize) < FEWEST {
        return source.wrong(ENOUGH, what);
    }
    let [train_pixels, test_pixels] = [source.take(train_len, &what)?, source.take(test_len, &what)?];
    let [train_labels, test_labels] = [source.take(train.into(), &what)?, source.take(test.into(), &what)?];
    source.end(what)?;
    let train = Labelled { pixels: train_pixels, labels: train_labels };
    let test = Labelled { pixels: test_pixels, labels: test_labels };
    Ok(Digits::new(Sets { rows: rows as usize, cols: cols as usize, train, test }, Pixels::Bits))
}

fn word(source: &mut Source) -> Result<u32> {
    source.header("a whole header").map(u32::from_le_bytes)
}
