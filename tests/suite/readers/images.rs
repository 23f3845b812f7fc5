//! Images: IDX files, plain or gzip, and the packed format.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;
use reparam::data::{Digits, Split, pack};

use super::{Damage, Folder, check, damaged, value_or_line};

properties! {
    idx_files_come_back,
    damaged_idx_files_are_named,
    damaged_gzip_is_never_taken_for_data,
    packed_files_come_back,
    damaged_packed_files_are_named,
    damaged_packed_contents_are_named,
    sets_of_any_size_are_read_or_named,
}

const STEMS: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Training and test images of one size, and their labels.
#[derive(Clone, Debug)]
struct Set {
    rows: usize,
    cols: usize,
    pixels: [Vec<u8>; 2],
    labels: [Vec<u8>; 2],
}

impl Set {
    fn any() -> impl Strategy<Value = Set> {
        Set::of((1..5usize, 2..5usize, 6..15usize, 1..4usize))
    }

    /// Sets with that many rows, columns, training and test images.
    fn of(sizes: impl Strategy<Value = (usize, usize, usize, usize)>) -> impl Strategy<Value = Set> {
        sizes.prop_flat_map(|(rows, cols, train, test)| {
            let pixels = [train, test].map(|count| vec(any::<u8>(), count * rows * cols));
            let labels = [train, test].map(|count| vec(any::<u8>(), count));
            (pixels, labels).prop_map(move |(pixels, labels)| Set { rows, cols, pixels, labels })
        })
    }

    /// The contents of the four files, in the order of [`STEMS`].
    fn files(&self) -> [Vec<u8>; 4] {
        let images = |part: usize| {
            let sizes = [0x803, self.labels[part].len(), self.rows, self.cols];
            [&sizes.map(|size| size as u32).map(u32::to_be_bytes).concat(), &self.pixels[part][..]].concat()
        };
        let labels = |part: usize| {
            let sizes = [0x801, self.labels[part].len()];
            [&sizes.map(|size| size as u32).map(u32::to_be_bytes).concat(), &self.labels[part][..]].concat()
        };
        [images(0), labels(0), images(1), labels(1)]
    }

    /// The packed format before it is compressed; the first bytes of the images serve as their bits.
    fn packed_contents(&self) -> Vec<u8> {
        let [train, test] = [0, 1].map(|part| self.labels[part].len());
        let sizes = [1, train, test, self.rows, self.cols].map(|size| (size as u32).to_le_bytes()).concat();
        let bits = [train, test].map(|count| count * (self.rows * self.cols).div_ceil(8));
        let [train, test] = [0, 1].map(|part| &self.pixels[part][..bits[part]]);
        [b"BITS", &sizes[..], train, test, &self.labels[0], &self.labels[1]].concat()
    }

    /// Writes the four files into an empty folder.
    fn write(&self, folder: &Path, forms: [Form; 4]) {
        for ((stem, contents), form) in STEMS.iter().zip(self.files()).zip(forms) {
            form.write(folder, stem, &contents);
        }
    }

    /// The labels of a part, the smallest of all being 0.
    fn labels_from_0(&self, part: usize) -> Vec<u8> {
        let first = self.labels.iter().flatten().min().unwrap();
        self.labels[part].iter().map(|label| label - first).collect()
    }

    /// Returns true if these are the images that were read.
    fn is(&self, digits: &Digits) -> bool {
        let of_part = |(part, (pixels, labels)): (usize, (Vec<f32>, Vec<u8>))| {
            let intensities = pixels.iter().map(|pixel| (pixel * 255.0).round() as u8);
            intensities.eq(self.pixels[part].iter().copied()) && labels == self.labels_from_0(part)
        };
        [digits.train().rows(), digits.train().cols()] == [self.rows, self.cols]
            && parts(digits).into_iter().enumerate().all(of_part)
    }
}

/// Pixels and labels of the training images, those for validation included, and of the test images.
fn parts(digits: &Digits) -> [(Vec<f32>, Vec<u8>); 2] {
    let splits = [&[digits.train(), digits.validation()][..], &[digits.test()]];
    splits.map(|splits| {
        let labels = splits.iter().flat_map(|split| split.labels()).copied();
        (splits.iter().flat_map(|split| pixels_of(split)).collect(), labels.collect())
    })
}

/// All pixels of a split, which must have some.
fn pixels_of(split: &Split) -> Vec<f32> {
    let mut pixels = vec![f32::NAN; split.len() * split.pixels()];
    split.pixels_into(&(0..split.len() as u32).collect::<Vec<_>>(), &mut pixels);
    assert!(pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
    pixels
}

/// Checks that accepted data can be used.
fn assert_usable(digits: &Digits) {
    for split in [digits.train(), digits.validation(), digits.test()] {
        assert!(!split.is_empty());
        pixels_of(split);
    }
    assert!((1..=256).contains(&digits.classes()));
}

fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}

/// The ways in which mirrors store a file.
#[derive(Clone, Copy, Debug)]
enum Form {
    Plain,
    Dotted,
    Gzip,
    GzipWithoutItsName,
    UnpackedWithItsName,
}

impl Form {
    fn any() -> impl Strategy<Value = Form> {
        use Form::*;
        select(&[Plain, Dotted, Gzip, GzipWithoutItsName, UnpackedWithItsName][..])
    }

    fn write(self, folder: &Path, stem: &str, contents: &[u8]) {
        let name = match self {
            Form::Plain | Form::GzipWithoutItsName => stem.to_owned(),
            Form::Dotted => stem.replace("-idx", ".idx"),
            Form::Gzip | Form::UnpackedWithItsName => format!("{stem}.gz"),
        };
        let is_gzip = matches!(self, Form::Gzip | Form::GzipWithoutItsName);
        fs::write(folder.join(name), if is_gzip { gzip(contents) } else { contents.to_vec() }).unwrap();
    }
}

/// The set as a packed file, which is made from the plain ones.
fn packed(set: &Set, folder: &Folder) -> Vec<u8> {
    let folder = folder.emptied();
    set.write(folder, [Form::Plain; 4]);
    pack(&Digits::read_dir(folder).unwrap())
}

fn idx_files_come_back(config: Config) {
    let folder = Folder::new();
    check(config, (Set::any(), [(); 4].map(|()| Form::any())), |(set, forms)| {
        let folder = folder.emptied();
        set.write(folder, forms);
        assert!(set.is(&Digits::read_dir(folder).unwrap()));
    });
}

fn damaged_idx_files_are_named(config: Config) {
    let folder = Folder::new();
    check(config, (Set::any(), Form::any(), 0..4usize, Damage::some()), |(set, form, wrong, damage)| {
        let folder = folder.emptied();
        set.write(folder, [Form::Plain; 4]);
        fs::remove_file(folder.join(STEMS[wrong])).unwrap();
        form.write(folder, STEMS[wrong], &damaged(&set.files()[wrong], &damage));
        value_or_line(Digits::read_dir(folder), folder).inspect(assert_usable);
    });
}

/// A gzip stream ends with a checksum.
fn damaged_gzip_is_never_taken_for_data(config: Config) {
    let folder = Folder::new();
    check(config, (Set::any(), 0..4usize, Damage::some()), |(set, wrong, damage)| {
        let folder = folder.emptied();
        set.write(folder, [Form::Plain; 4]);
        let contents = damaged(&gzip(&set.files()[wrong]), &damage);
        fs::write(folder.join(STEMS[wrong]), contents).unwrap();
        let read = value_or_line(Digits::read_dir(folder), folder);
        assert!(read.is_none_or(|digits| set.is(&digits)));
    });
}

fn packed_files_come_back(config: Config) {
    let folder = Folder::new();
    check(config, Set::any(), |set| {
        let file = packed(&set, &folder);
        let digits = Digits::read_packed(folder.file(&file)).unwrap();
        assert_eq!([digits.train().rows(), digits.train().cols()], [set.rows, set.cols]);
        for (part, (pixels, labels)) in parts(&digits).into_iter().enumerate() {
            assert_eq!(labels, set.labels_from_0(part));
            assert_eq!(pixels.len(), set.pixels[part].len());
            // Grey is drawn; black and white are certain.
            for (pixel, intensity) in pixels.into_iter().zip(&set.pixels[part]) {
                match intensity {
                    0 => assert_eq!(pixel, 0.0),
                    255 => assert_eq!(pixel, 1.0),
                    _ => assert!(pixel == 0.0 || pixel == 1.0),
                }
            }
        }
    });
}

fn damaged_packed_files_are_named(config: Config) {
    let folder = Folder::new();
    check(config, (Set::any(), Damage::some()), |(set, damage)| {
        let file = packed(&set, &folder);
        let sound = Digits::read_packed(folder.file(&file)).unwrap();
        let path = folder.file(&damaged(&file, &damage));
        let read = value_or_line(Digits::read_packed(&path), &path);
        assert!(read.is_none_or(|digits| digits == sound));
    });
}

/// Without gzip, no checksum finds the damage.
fn damaged_packed_contents_are_named(config: Config) {
    let folder = Folder::new();
    check(config, (Set::any(), Damage::some()), |(set, damage)| {
        let path = folder.file(&damaged(&set.packed_contents(), &damage));
        value_or_line(Digits::read_packed(&path), &path).inspect(assert_usable);
    });
}

fn sets_of_any_size_are_read_or_named(config: Config) {
    let folder = Folder::new();
    check(config, Set::of((0..3usize, 0..3usize, 0..9usize, 0..3usize)), |set| {
        let path = folder.file(&set.packed_contents());
        value_or_line(Digits::read_packed(&path), &path).inspect(assert_usable);
        let folder = folder.emptied();
        set.write(folder, [Form::Plain; 4]);
        let read = value_or_line(Digits::read_dir(folder), folder).inspect(assert_usable);
        assert!(read.is_none_or(|digits| set.is(&digits)));
    });
}
