//! IDX, the format of the MNIST files: a magic number that names type and rank, the sizes, then the bytes.
//!
//! # Source
//! Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::source::Source;
use super::{ENOUGH, FEWEST, Labelled, Sets};
use crate::error::{Error, Result};

/// Reads the four files of a folder. Pixels are intensities.
pub(super) fn read_dir(dir: &Path) -> Result<Sets> {
    let [train_images, train_labels, test_images, test_labels] = find(dir)?;
    let (size, mut train) = read_pair(&train_images, &train_labels)?;
    let (test_size, mut test) = read_pair(&test_images, &test_labels)?;
    if size != test_size {
        let expected = format_args!("images of {size} pixels, as in {}", train_images.display());
        return Err(Error::format(test_images, expected, test_size));
    }
    if train.labels.len() < FEWEST {
        return Err(Error::format(train_images, ENOUGH, train.labels.len()));
    }
    count_from_zero([&mut train.labels, &mut test.labels]);
    Ok(Sets { rows: size.rows as usize, cols: size.cols as usize, train, test })
}

/// Makes the smallest label 0: EMNIST's letters have labels from 1.
fn count_from_zero(sets: [&mut Vec<u8>; 2]) {
    let first = sets.iter().flat_map(|labels| labels.iter()).min().copied().unwrap_or(0);
    sets.into_iter().flatten().for_each(|label| *label -= first);
}

/// The name of one of the four files, without the data set's name and `.gz`.
struct Name {
    stem: &'static str,
    /// EMNIST's word for it.
    other: &'static str,
}

const NAMES: [Name; 4] = [
    Name { stem: "train-images-idx3-ubyte", other: "train-images-idx3-ubyte" },
    Name { stem: "train-labels-idx1-ubyte", other: "train-labels-idx1-ubyte" },
    Name { stem: "t10k-images-idx3-ubyte", other: "test-images-idx3-ubyte" },
    Name { stem: "t10k-labels-idx1-ubyte", other: "test-labels-idx1-ubyte" },
];

impl Name {
    /// The part of `file` before this name, if `file` has it: the data set, as in `emnist-letters-`, or
    /// nothing.
    fn data_set(&self, file: &str) -> Option<String> {
        // Some mirrors write a dot before `idx`.
        let plain = file.strip_suffix(".gz").unwrap_or(file).replace(".idx", "-idx");
        let data_set = plain.strip_suffix(self.stem).or_else(|| plain.strip_suffix(self.other))?;
        (data_set.is_empty() || data_set.ends_with('-')).then(|| data_set.to_owned())
    }
}

/// The four files of the data set in a folder, or of the data set that a path like `emnist/emnist-letters`
/// ends in.
fn find(path: &Path) -> Result<[PathBuf; 4]> {
    let wanted: Vec<&str> = NAMES.iter().map(|name| name.stem).collect();
    let wanted = format!("{} (or the same with .gz)", wanted.join(", "));
    let nothing = |found| Error::format(path, format_args!("a folder with {wanted}"), found);
    let (dir, data_set) = match fs::metadata(path) {
        Ok(found) if found.is_dir() => (path, None),
        Ok(_) => return Err(nothing("a file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io(path, "read", error)),
        Err(_) => match (path.parent(), path.file_name().and_then(OsStr::to_str)) {
            (Some(dir), Some(name)) => (dir, Some(format!("{name}-"))),
            _ => return Err(nothing("nothing")),
        },
    };
    let files = files(dir).map_err(|error| match &data_set {
        None => Error::io(path, "read", error),
        Some(_) => nothing("nothing"),
    })?;
    let data_set = match data_set {
        Some(name) if files.iter().any(|file| file.starts_with(&name)) => name,
        Some(_) => return Err(nothing("nothing")),
        None => only_data_set(dir, &files)?,
    };
    let of_name = |name: &Name| files.iter().find(|file| name.data_set(file).as_ref() == Some(&data_set));
    let missing: Vec<String> = NAMES
        .iter()
        .filter(|name| of_name(name).is_none())
        .map(|name| format!("{data_set}{}", if data_set.is_empty() { name.stem } else { name.other }))
        .collect();
    if !missing.is_empty() {
        let found = if missing.len() == 1 { "no such file" } else { "no such files" };
        return Err(Error::format(dir, format!("{} (or the same with .gz)", missing.join(", ")), found));
    }
    Ok(NAMES.each_ref().map(|name| dir.join(of_name(name).expect("none is missing"))))
}

/// The names of the files in a folder, in order: a plain file before its `.gz`.
fn files(dir: &Path) -> io::Result<Vec<String>> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let (Ok(name), true) = (entry.file_name().into_string(), entry.path().is_file()) {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}

/// The prefix that names a folder's data set. Files without a prefix take precedence.
fn only_data_set(dir: &Path, files: &[String]) -> Result<String> {
    let found: BTreeSet<String> = files.iter().filter_map(|file| NAMES[0].data_set(file)).collect();
    match (found.first(), found.len()) {
        (None, _) => Ok(String::new()),
        (Some(name), count) if count == 1 || name.is_empty() => Ok(name.clone()),
        (Some(first), _) => {
            let example = dir.join(first.trim_end_matches('-'));
            let expected = format!("one data set, or the path of one, like {}", example.display());
            let names: Vec<&str> = found.iter().map(|name| name.trim_end_matches('-')).collect();
            Err(Error::format(dir, expected, names.join(", ")))
        }
    }
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
    match (magic, bytes) {
        (IMAGES, _) => format!("IDX images (magic number {IMAGES:#010x})"),
        (LABELS, _) => format!("IDX labels (magic number {LABELS:#010x})"),
        (_, [0, 0, number, rank]) if number_type(number).is_some() => {
            let numbers = number_type(number).unwrap_or_default();
            format!("IDX of {numbers} in {rank} dimensions (magic number {magic:#010x})")
        }
        (_, [0x1f, 0x8b, ..]) => "a gzip file in a gzip file; unpack it once".to_owned(),
        // The page that a failed download left instead.
        _ if bytes.iter().all(|byte| byte.is_ascii_graphic()) => format!("text ({})", bytes.escape_ascii()),
        _ => format!("magic number {magic:#010x}"),
    }
}

/// The name of the numbers in an IDX file with this third byte.
fn number_type(byte: u8) -> Option<&'static str> {
    Some(match byte {
        0x08 => "unsigned bytes",
        0x09 => "signed bytes",
        0x0b => "16-bit integers",
        0x0c => "32-bit integers",
        0x0d => "32-bit floats",
        0x0e => "64-bit floats",
        _ => return None,
    })
}

/// The length of each axis.
fn sizes<const RANK: usize>(source: &mut Source) -> Result<[u32; RANK]> {
    let bytes = source.take(4 * RANK as u64, "a whole IDX header")?;
    let (words, _) = bytes.as_chunks();
    Ok(std::array::from_fn(|axis| u32::from_be_bytes(words[axis])))
}
