//! IDX, the format of the MNIST files: a magic number that names type and rank, the sizes, then the bytes.
//!
//! # Source
//! Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::source::Source;
use super::{ENOUGH, FEWEST, Labelled, Sets};
use crate::error::{Error, Result};

/// Reads the four files of a folder; pixels are intensities.
pub(super) fn read_dir(dir: &Path) -> Result<Sets> {
    let [train_images, train_labels, test_images, test_labels] = find(dir)?;
    let (size, train) = read_pair(&train_images, &train_labels)?;
    let (test_size, test) = read_pair(&test_images, &test_labels)?;
    if size != test_size {
        let expected = format_args!("images of {size} pixels, as in {}", train_images.display());
        return Err(Error::format(test_images, expected, test_size));
    }
    if train.labels.len() < FEWEST {
        return Err(Error::format(train_images, ENOUGH, train.labels.len()));
    }
    Ok(Sets { rows: size.rows as usize, cols: size.cols as usize, train, test })
}

const STEMS: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn find(dir: &Path) -> Result<[PathBuf; 4]> {
    let wanted = |stems: &[&str]| format!("{} (or the same with .gz)", stems.join(", "));
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(Error::format(dir, format_args!("a folder with {}", wanted(&STEMS)), "a file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::format(dir, format_args!("a folder with {}", wanted(&STEMS)), "nothing"));
        }
        Err(error) => return Err(Error::io(dir, "read", error)),
    }
    let paths = STEMS.map(|stem| {
        // Some mirrors write a dot before `idx`.
        let names = [stem.to_owned(), format!("{stem}.gz"), stem.replace("-idx", ".idx")];
        names.iter().map(|name| dir.join(name)).find(|path| path.is_file())
    });
    let missing: Vec<_> = STEMS.into_iter().zip(&paths).filter(|(_, path)| path.is_none()).collect();
    if missing.is_empty() {
        return Ok(paths.map(|path| path.expect("none is missing")));
    }
    let missing: Vec<_> = missing.into_iter().map(|(stem, _)| stem).collect();
    let found = if missing.len() == 1 { "no such file" } else { "no such files" };
    Err(Error::format(dir, wanted(&missing), found))
}

fn read_pair(images: &Path, labels: &Path) -> Result<(Size, Labelled)> {
    let (count, size, pixels) = read_images(images)?;
    let labels_read = read_labels(labels)?;
    if labels_read.len() != count as usize {
        let expected = format_args!("{count} labels, one for each image in {}", images.display());
        return Err(Error::format(labels, expected, format_args!("{} labels", labels_read.len())));
    }
    Ok((size, Labelled { pixels, labels: labels_read }))
}

fn read_images(path: &Path) -> Result<(u32, Size, Vec<u8>)> {
    let mut source = Source::open(path)?;
    check_magic(&mut source, IMAGES)?;
    let [count, rows, cols] = sizes(&mut source)?;
    let size = Size { rows, cols };
    let what = format!("{count} images of {size} pixels");
    if count == 0 || size.pixels() < 2 {
        return source.wrong("at least one image of at least two pixels", what);
    }
    let Some(len) = size.pixels().checked_mul(u64::from(count)).filter(|&len| len <= isize::MAX as u64)
    else {
        return source.wrong("images that fit in memory", what);
    };
    let pixels = source.take(len, &what)?;
    source.end(what)?;
    Ok((count, size, pixels))
}

fn read_labels(path: &Path) -> Result<Vec<u8>> {
    let mut source = Source::open(path)?;
    check_magic(&mut source, LABELS)?;
    let [count] = sizes(&mut source)?;
    let what = format!("{count} labels");
    let labels = source.take(u64::from(count), &what)?;
    source.end(what)?;
    Ok(labels)
}

/// The size of an image.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Size {
    rows: u32,
    cols: u32,
}

impl Size {
    fn pixels(self) -> u64 {
        u64::from(self.rows) * u64::from(self.cols)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.rows, self.cols)
    }
}

/// Unsigned bytes, rank 3 and rank 1.
const IMAGES: u32 = 0x0000_0803;
const LABELS: u32 = 0x0000_0801;

fn check_magic(source: &mut Source, expected: u32) -> Result<()> {
    let magic = u32::from_be_bytes(source.header(&kind(expected))?);
    if magic == expected { Ok(()) } else { source.wrong(kind(expected), kind(magic)) }
}

fn kind(magic: u32) -> String {
    let bytes = magic.to_be_bytes();
    match magic {
        IMAGES => format!("IDX images (magic number {IMAGES:#010x})"),
        LABELS => format!("IDX labels (magic number {LABELS:#010x})"),
        // The page that a failed download left instead.
        _ if bytes.iter().all(|byte| byte.is_ascii_graphic()) => format!("text ({})", bytes.escape_ascii()),
        _ => format!("magic number {magic:#010x}"),
    }
}

/// The length of each axis.
fn sizes<const RANK: usize>(source: &mut Source) -> Result<[u32; RANK]> {
    let bytes = source.take(4 * RANK as u64, "a whole IDX header")?;
    let (words, _) = bytes.as_chunks();
    Ok(std::array::from_fn(|axis| u32::from_be_bytes(words[axis])))
}
