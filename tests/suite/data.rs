//! Is the data as documented, does every example come once per epoch, and does an error name every damaged
//! file?

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use reparam::data::{Batches, Digits, Split, SplitKind};
use reparam::models::ModelShape;
use reparam::train::Plan;
use reparam::{Checkpoint, Noise};
use tempfile::TempDir;

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// Two classes, bright on the left or on the right.
fn halves(images: usize) -> Split {
    let labels: Vec<u8> = (0..images).map(|image| (image % 2) as u8).collect();
    let pixels: Vec<bool> =
        labels.iter().flat_map(|&label| (0..12).map(move |pixel| (pixel % 4 < 2) == (label == 0))).collect();
    Split::of_bits([3, 4], &pixels, labels).unwrap()
}

#[test]
fn images_from_memory_train_a_model() {
    let data = Digits::of_splits(halves(60), halves(10), halves(20)).unwrap();
    let mut plan = Plan::mlp().with_steps(100);
    plan.model = ModelShape::Classifier { hidden: vec![8] };
    plan.training.batch = 10;
    let mut run = plan.begin(&data).unwrap();
    while !run.is_finished() {
        run.step();
    }
    assert_eq!(run.evaluate(SplitKind::Test, 1).scores.accuracy, Some(1.0));
}

#[test]
fn parts_that_do_not_fit_each_other_are_refused() {
    let grey =
        |size, images: usize| Split::of_intensities(size, vec![9; 12 * images], vec![0; images]).unwrap();
    let refused = |validation, test| Digits::of_splits(halves(6), validation, test).unwrap_err().to_string();
    assert_snapshot!(refused(halves(0), halves(1)), @"the images of validation: expected at least one, and binary images of 3 x 4 as for train, found 0 binary images of 3 x 4");
    assert_snapshot!(refused(halves(1), grey([3, 4], 2)), @"the images of test: expected at least one, and binary images of 3 x 4 as for train, found 2 8-bit images of 3 x 4");
    assert_snapshot!(refused(grey([2, 6], 1), halves(1)), @"the images of validation: expected at least one, and binary images of 3 x 4 as for train, found 1 8-bit images of 2 x 6");
}

#[cfg(feature = "embedded")]
mod embedded {
    use super::*;

    #[test]
    fn the_parts_have_mnists_sizes_and_classes() {
        let digits = Digits::embedded();
        assert_eq!(digits.classes(), 10);
        let counts = |split: &Split| {
            assert!(split.is_binary());
            assert_eq!((split.rows(), split.cols(), split.pixels()), (28, 28, 784));
            let mut counts = [0; 10];
            split.labels().iter().for_each(|&label| counts[usize::from(label)] += 1);
            counts
        };
        let (train, validation) = (counts(digits.train()), counts(digits.validation()));
        assert_eq!(
            (digits.train().len(), digits.validation().len(), digits.test().len()),
            (50000, 10000, 10000)
        );
        let both: Vec<usize> = train.iter().zip(&validation).map(|(a, b)| a + b).collect();
        assert_eq!(both, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
        assert_eq!(counts(digits.test()), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
        assert_eq!(digits.train().labels()[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
        assert_eq!(digits.test().labels()[..10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    }

    /// The mean intensity of MNIST is 0.1307 in training and 0.1325 in test.
    #[test]
    fn thirteen_of_a_hundred_pixels_are_one() {
        let digits = Digits::embedded();
        for (split, expected) in
            [(digits.train(), 0.1310), (digits.validation(), 0.1291), (digits.test(), 0.1327)]
        {
            let means = split.pixel_means();
            let mean = means.iter().sum::<f32>() / 784.0;
            assert!((mean - expected).abs() < 0.001, "{mean}");
            assert!(means.iter().all(|mean| (0.0..=1.0).contains(mean)) && means[0] == 0.0);
        }
    }

    #[test]
    fn an_image_looks_like_its_label() {
        let digits = Digits::embedded();
        let train = digits.train();
        let mut image = vec![0.0; 784];
        train.pixels_into(&[3], &mut image);
        let rows: Vec<String> = image
            .chunks(28)
            .map(|row| row.iter().map(|&pixel| if pixel == 1.0 { '#' } else { '.' }).collect())
            .collect();
        assert_eq!(train.labels()[3], 1);
        assert_snapshot!(rows.join("\n"), @r"
        ............................
        ............................
        ............................
        ............................
        ............................
        ...................##.......
        .................#####......
        .................#.###......
        .................###........
        ................###.........
        ...............####.........
        ...............###..........
        ..............###...........
        .............###............
        ............###.............
        ............###.............
        ...........####.............
        ...........#.##.............
        ..........####..............
        ..........####..............
        .........####...............
        .........####...............
        ........####................
        .........##.................
        .........###................
        ............................
        ............................
        ............................
        ");
    }

    #[test]
    fn fixed_pixels_take_no_draws() {
        let digits = Digits::embedded();
        let indices = [49_999, 0, 7];
        let (mut fixed, mut sampled) = (vec![0.0; 3 * 784], vec![0.5; 3 * 784]);
        let mut noise = Noise::seed(1);
        digits.train().pixels_into(&indices, &mut fixed);
        digits.train().sample_pixels_into(&indices, &mut noise, &mut sampled);
        assert_eq!(fixed, sampled);
        assert_eq!(noise, Noise::seed(1));
    }

    /// Needs the four IDX files of MNIST in the folder `$MNIST_DIR`.
    #[test]
    fn packing_again_gives_the_embedded_file() {
        let Some(dir) = std::env::var_os("MNIST_DIR") else {
            // Past the test's capture.
            let line = "SKIPPED packing_again_gives_the_embedded_file: set MNIST_DIR to a folder of IDX files to run it\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
            return;
        };
        let packed = reparam::data::pack(&Digits::read_dir(&dir).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("packed.gz");
        fs::write(&path, &packed).unwrap();
        assert!(Digits::read_packed(&path).unwrap() == Digits::embedded(), "the sampled pixels differ");
        let embedded = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src/data/binarized-mnist.gz")).unwrap();
        assert!(packed == embedded, "same pixels, compressed in another way: flate2 changed");

        // The distribution: black stays 0, white stays 1, and everything between has the right sum.
        let (grey, fixed) = (Digits::read_dir(&dir).unwrap(), Digits::embedded());
        for (grey, fixed) in [
            (grey.train(), fixed.train()),
            (grey.validation(), fixed.validation()),
            (grey.test(), fixed.test()),
        ] {
            assert_eq!(grey.labels(), fixed.labels());
            let (mut excess, mut variance) = (0.0, 0.0);
            let (mut p, mut x) = (vec![0.0; 784], vec![0.0; 784]);
            for index in 0..grey.len() as u32 {
                grey.pixels_into(&[index], &mut p);
                fixed.pixels_into(&[index], &mut x);
                for (&p, &x) in p.iter().zip(&x) {
                    assert!(p > 0.0 && p < 1.0 || p == x);
                    excess += f64::from(x) - f64::from(p);
                    variance += f64::from(p) * (1.0 - f64::from(p));
                }
            }
            // Six standard deviations: fails by chance in 2 of 10^9.
            assert!(excess.abs() < 6.0 * variance.sqrt(), "{excess} {}", variance.sqrt());
        }
    }
}

#[test]
fn every_example_comes_once_an_epoch() {
    for (len, size) in [(1, 1), (10, 10), (10, 3), (10, 7), (50, 20)] {
        let mut batches = Batches::new(len, Noise::seed(3));
        let mut stream = Vec::new();
        while stream.len() < 7 * len {
            stream.extend_from_slice(batches.next_batch(size));
        }
        let epochs: Vec<&[u32]> = stream.chunks_exact(len).collect();
        for epoch in &epochs {
            let mut sorted = epoch.to_vec();
            sorted.sort();
            assert!(sorted.into_iter().eq(0..len as u32), "{len} {size}: {epoch:?}");
        }
        assert!(len < 10 || epochs[0] != epochs[1]);
    }
}

#[test]
fn batches_resume_exactly_anywhere() {
    let mut batches = Batches::new(10, Noise::seed(4));
    for step in 0..30 {
        let mut checkpoint = Checkpoint::new();
        batches.save("order.", &mut checkpoint);
        let (mut resumed, mut original) = (Batches::new(10, Noise::seed(5)), batches.clone());
        resumed.restore("order.", &checkpoint).unwrap();
        for size in [4, 10, 1, 7, 3, 5] {
            assert_eq!(resumed.next_batch(size), original.next_batch(size), "step {step}");
        }
        batches.next_batch(1 + step % 5);
    }
}

#[test]
fn a_state_of_other_batches_is_refused() {
    let mut checkpoint = Checkpoint::new();
    Batches::new(11, Noise::seed(1)).save("order.", &mut checkpoint);
    let refused = |checkpoint: &Checkpoint, len| {
        Batches::new(len, Noise::seed(1)).restore("order.", checkpoint).unwrap_err().to_string()
    };
    assert_eq!(refused(&checkpoint, 10), "the checkpoint: expected batches of 10 examples, found of 11");
    assert_eq!(refused(&checkpoint, 12), "the checkpoint: expected batches of 12 examples, found of 11");
    checkpoint.set("order.cursor", 12);
    assert_eq!(
        refused(&checkpoint, 11),
        "the checkpoint: expected at most 11, the number of examples, in the setting `order.cursor`, found 12"
    );
}

#[test]
fn a_steady_batch_stays_where_it_is() {
    let mut batches = Batches::new(100, Noise::seed(5));
    let first = batches.next_batch(30).as_ptr();
    assert!((0..20).all(|_| batches.next_batch(30).as_ptr() == first));
}

#[test]
#[should_panic(expected = "Batches::next_batch: a batch of 11 from 10 examples")]
fn a_batch_larger_than_the_split_panics() {
    Batches::new(10, Noise::seed(1)).next_batch(11);
}

#[test]
#[should_panic(expected = "Batches::next_batch: a batch of 0 from 10 examples")]
fn an_empty_batch_panics() {
    Batches::new(10, Noise::seed(1)).next_batch(0);
}

#[test]
fn idx_files_of_any_size_are_read() {
    let set = Idx::sound();
    let digits = set.read().unwrap();
    assert_eq!((digits.train().len(), digits.validation().len(), digits.test().len()), (10, 2, 3));
    assert_eq!((digits.train().rows(), digits.train().cols(), digits.classes()), (2, 3, 12));
    assert_eq!(digits.validation().labels(), [10, 11]);
    assert!(!digits.train().is_binary());
    let mut pixels = [0.0; 12];
    digits.validation().pixels_into(&[1, 0], &mut pixels);
    let expected: Vec<f32> = (66..72).chain(60..66).map(|byte| byte as f32 / 255.0).collect();
    assert_eq!(pixels, expected[..]);
}

#[test]
fn a_missing_folder_or_file_is_named() {
    let set = Idx::sound();
    assert_snapshot!(set.redacted(Digits::read_dir(set.path("mnist"))), @"DIR/mnist: expected a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), found nothing");
    assert_snapshot!(set.redacted(Digits::read_dir(set.path(TEST_LABELS))), @"DIR/t10k-labels-idx1-ubyte: expected a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), found a file");
    fs::remove_file(set.path(TEST_LABELS)).unwrap();
    assert_snapshot!(set.error(), @"DIR: expected t10k-labels-idx1-ubyte (or the same with .gz), found no such file");
    fs::remove_file(set.path(TRAIN_IMAGES)).unwrap();
    assert_snapshot!(set.error(), @"DIR: expected train-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), found no such files");
}

/// EMNIST's letters have labels from 1.
#[test]
fn labels_are_counted_from_the_smallest() {
    let set = Idx::sound();
    let labels = |first: u8, count: u8| {
        [vec![0, 0, 8, 1, 0, 0, 0, count], (first..first + count).collect::<Vec<_>>()].concat()
    };
    fs::write(set.path(TRAIN_LABELS), labels(3, 12)).unwrap();
    fs::write(set.path(TEST_LABELS), labels(2, 3)).unwrap();
    let digits = set.read().unwrap();
    assert_eq!((digits.train().labels()[0], digits.test().labels()), (1, &[0, 1, 2][..]));
    assert_eq!(digits.classes(), 13);
}

#[test]
fn the_names_of_emnist_are_read() {
    let set = Idx::sound();
    let plain = set.read().unwrap();
    for (from, to) in [
        (TRAIN_IMAGES, "emnist-letters-train-images-idx3-ubyte"),
        (TRAIN_LABELS, "emnist-letters-train-labels-idx1-ubyte"),
        (TEST_IMAGES, "emnist-letters-test-images-idx3-ubyte"),
        (TEST_LABELS, "emnist-letters-test-labels-idx1-ubyte"),
    ] {
        fs::rename(set.path(from), set.path(to)).unwrap();
    }
    assert_eq!(set.read().unwrap(), plain);
    // If a folder holds several data sets, the path names one.
    fs::write(set.path("emnist-digits-train-images-idx3-ubyte"), "").unwrap();
    assert_snapshot!(set.error(), @"DIR: expected one data set, or the path of one, like DIR/emnist-digits, found emnist-digits, emnist-letters");
    assert_eq!(Digits::read_dir(set.path("emnist-letters")).unwrap(), plain);
    assert_snapshot!(set.redacted(Digits::read_dir(set.path("emnist-digits"))), @"DIR: expected emnist-digits-train-labels-idx1-ubyte, emnist-digits-test-images-idx3-ubyte, emnist-digits-test-labels-idx1-ubyte (or the same with .gz), found no such files");
    // Files without a data set's name take precedence.
    for (name, contents) in [(TRAIN_IMAGES, images(12, 2, 3)), (TRAIN_LABELS, labels(12))] {
        fs::write(set.path(name), contents).unwrap();
    }
    assert_snapshot!(set.error(), @"DIR: expected t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), found no such files");
}

#[test]
fn images_are_transposed() {
    let grey = Idx::sound().read().unwrap();
    let image = |digits: &Digits| {
        let mut pixels = [0.0; 6];
        digits.train().pixels_into(&[1], &mut pixels);
        pixels.map(|pixel| (pixel * 255.0).round())
    };
    let turned = grey.transposed();
    assert_eq!((turned.train().rows(), turned.train().cols()), (3, 2));
    assert_eq!(image(&grey), [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    assert_eq!(image(&turned), [6.0, 9.0, 7.0, 10.0, 8.0, 11.0]);
    assert_eq!(turned.transposed(), grey);
    // Three rows of four bits, so that an image ends within a byte.
    let bits = Digits::of_splits(halves(7), halves(2), halves(3)).unwrap();
    let mut pixels = [0.0; 12];
    bits.transposed().train().pixels_into(&[0], &mut pixels);
    assert_eq!(pixels, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(bits.transposed().transposed(), bits);
}

/// A classifier sees the intensities of 8-bit images at each step and at each evaluation. Nothing is drawn.
#[test]
fn a_classifier_reads_intensities() {
    let grey = |images: usize| {
        let labels: Vec<u8> = (0..images).map(|image| (image % 2) as u8).collect();
        // So dark that a drawn image is almost always black.
        let pixels = labels.iter().flat_map(|&label| [2 * (1 - label), 2 * label]).collect();
        Split::of_intensities([1, 2], pixels, labels).unwrap()
    };
    let data = Digits::of_splits(grey(60), grey(10), grey(20)).unwrap();
    let mut plan = Plan::mlp().with_steps(400);
    plan.model = ModelShape::Classifier { hidden: vec![] };
    (plan.training.batch, plan.training.learning_rate) = (60, reparam::Schedule::Fixed(1.0));
    let mut run = plan.begin(&data).unwrap();
    while !run.is_finished() {
        run.step();
    }
    assert_eq!(run.evaluate(SplitKind::Test, 1).scores.accuracy, Some(1.0));
}

#[test]
fn what_is_no_idx_file_is_named() {
    let set = Idx::sound();
    fs::write(set.path(TRAIN_IMAGES), "").unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), found an empty file");
    fs::write(set.path(TRAIN_IMAGES), [0, 0, 8]).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), 4 bytes, found only 3 bytes");
    fs::write(set.path(TRAIN_IMAGES), &images(1, 1, 1)[..10]).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected a whole IDX header, 16 bytes, found only 10 bytes");
    fs::write(set.path(TRAIN_IMAGES), "<!DOCTYPE html>").unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), found text (<!DO)");
    fs::write(set.path(TRAIN_IMAGES), [0, 0, 0x0d, 3, 0, 0, 0, 1]).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), found IDX of 32-bit floats in 3 dimensions (magic number 0x00000d03)");
    fs::write(set.path(TRAIN_IMAGES), [0, 0, 0x0a, 3, 0, 0, 0, 1]).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), found magic number 0x00000a03");
    fs::copy(set.path(TRAIN_LABELS), set.path(TRAIN_IMAGES)).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), found IDX labels (magic number 0x00000801)");
    let set = Idx::sound();
    fs::copy(set.path(TEST_IMAGES), set.path(TEST_LABELS)).unwrap();
    assert_snapshot!(set.error(), @"DIR/t10k-labels-idx1-ubyte: expected IDX labels (magic number 0x00000801), found IDX images (magic number 0x00000803)");
}

#[test]
fn a_file_of_the_wrong_length_is_named() {
    let set = Idx::sound();
    let sound = images(12, 2, 3);
    fs::write(set.path(TRAIN_IMAGES), &sound[..sound.len() - 1]).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected 12 images of 2 x 3 pixels, 88 bytes, found only 87 bytes");
    fs::write(set.path(TRAIN_IMAGES), [&sound[..], &[0]].concat()).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected 12 images of 2 x 3 pixels, 88 bytes, found more bytes after them");
    fs::write(set.path(TRAIN_IMAGES), &sound).unwrap();
    fs::write(set.path(TRAIN_LABELS), &labels(12)[..15]).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-labels-idx1-ubyte: expected 12 labels, 20 bytes, found only 15 bytes");
    fs::write(set.path(TRAIN_LABELS), [labels(12), labels(12)].concat()).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-labels-idx1-ubyte: expected 12 labels, 20 bytes, found more bytes after them");
}

#[test]
fn files_that_do_not_fit_each_other_are_named() {
    let set = Idx::sound();
    fs::write(set.path(TEST_LABELS), labels(4)).unwrap();
    assert_snapshot!(set.error(), @"DIR/t10k-labels-idx1-ubyte: expected 3 labels, one for each image in DIR/t10k-images-idx3-ubyte, found 4 labels");
    fs::write(set.path(TEST_LABELS), labels(3)).unwrap();
    fs::write(set.path(TEST_IMAGES), images(3, 3, 2)).unwrap();
    assert_snapshot!(set.error(), @"DIR/t10k-images-idx3-ubyte: expected images of 2 x 3 pixels, as in DIR/train-images-idx3-ubyte, found 3 x 2");
}

#[test]
fn sizes_that_cannot_be_are_named() {
    let set = Idx::sound();
    fs::write(set.path(TRAIN_IMAGES), images(0, 28, 28)).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected at least one image of at least two pixels, found 0 images of 28 x 28 pixels");
    fs::write(set.path(TRAIN_IMAGES), images(12, 0, 28)).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected at least one image of at least two pixels, found 12 images of 0 x 28 pixels");
    let huge = |sizes: [u32; 3]| [vec![0, 0, 8, 3], sizes.map(u32::to_be_bytes).concat()].concat();
    fs::write(set.path(TRAIN_IMAGES), huge([u32::MAX; 3])).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected images that fit in memory, found 4294967295 images of 4294967295 x 4294967295 pixels");
    // It fits 64 bits, but the file does not hold it, and no memory may be taken for it first.
    fs::write(set.path(TRAIN_IMAGES), huge([1 << 20; 3])).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected 1048576 images of 1048576 x 1048576 pixels, 1152921504606846992 bytes, found only 16 bytes");
}

#[cfg(feature = "gzip")]
mod gzip {
    use std::io::Write;

    use super::*;

    #[test]
    fn contents_and_not_the_name_tell_what_is_compressed() {
        let set = Idx::sound();
        let plain = set.read().unwrap();
        fs::write(set.path(TRAIN_IMAGES), gzip(&images(12, 2, 3))).unwrap();
        fs::rename(set.path(TRAIN_LABELS), set.path("train-labels-idx1-ubyte.gz")).unwrap();
        fs::remove_file(set.path(TEST_IMAGES)).unwrap();
        fs::write(set.path("t10k-images-idx3-ubyte.gz"), gzip(&images(3, 2, 3))).unwrap();
        fs::rename(set.path(TEST_LABELS), set.path("t10k-labels.idx1-ubyte")).unwrap();
        assert_eq!(set.read().unwrap(), plain);
    }

    #[test]
    fn damaged_gzip_is_named() {
        let set = Idx::sound();
        let sound = gzip(&images(12, 2, 3));
        fs::write(set.path(TRAIN_IMAGES), &sound[..sound.len() - 20]).unwrap();
        assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected a whole gzip stream, found the end of the file in its middle, after 76 unpacked bytes");
        fs::write(set.path(TRAIN_IMAGES), &sound[..sound.len() - 2]).unwrap();
        assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected a whole gzip stream, found the end of the file in its middle, after 88 unpacked bytes");
        fs::write(set.path(TRAIN_IMAGES), &sound[..5]).unwrap();
        assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected a whole gzip stream, found the end of the file in its middle, after 0 unpacked bytes");
        let mut flipped = sound.clone();
        flipped[sound.len() - 6] ^= 1;
        fs::write(set.path(TRAIN_IMAGES), &flipped).unwrap();
        assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected an intact gzip stream, found damage after 88 unpacked bytes (corrupt gzip stream does not have a matching checksum)");
        let mut flipped = sound.clone();
        flipped[10] = 0xff;
        fs::write(set.path(TRAIN_IMAGES), &flipped).unwrap();
        assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected an intact gzip stream, found damage after 0 unpacked bytes (corrupt deflate stream)");
        fs::write(set.path(TRAIN_IMAGES), gzip(&sound)).unwrap();
        assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), found a gzip file in a gzip file; unpack it once");
        fs::write(set.path(TRAIN_IMAGES), [&sound[..], b"more"].concat()).unwrap();
        assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected a whole gzip stream, found the end of the file in its middle, after 88 unpacked bytes");
        fs::write(set.path(TRAIN_IMAGES), gzip(&[images(12, 2, 3), vec![7]].concat())).unwrap();
        assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected 12 images of 2 x 3 pixels, 88 bytes, found more bytes after them");
        fs::write(set.path(TRAIN_IMAGES), gzip(&[])).unwrap();
        assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), found an empty file");
    }

    #[test]
    fn zeros_fill_up_the_end_of_a_gzip_file() {
        let set = Idx::sound();
        let plain = set.read().unwrap();
        let (contents, zeros) = (images(12, 2, 3), vec![0; 10_000]);
        // A file of two streams, as `cat` of two files gives it.
        let streams = [gzip(&contents[..50]), gzip(&contents[50..])].concat();
        for end in [&zeros[..], &zeros[..1], &[]] {
            fs::write(set.path(TRAIN_IMAGES), [&streams, end].concat()).unwrap();
            assert_eq!(set.read().unwrap(), plain);
        }
        fs::write(set.path(TRAIN_IMAGES), [&streams, &zeros[..], b"x"].concat()).unwrap();
        assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected an intact gzip stream, found damage after 88 unpacked bytes (something other than zeros after the end of the last stream)");
    }

    #[test]
    fn any_set_can_be_packed_and_keeps_its_distribution() {
        let set = Idx::sound();
        let path = set.path("packed.gz");
        fs::write(&path, reparam::data::pack(&set.read().unwrap())).unwrap();
        let (packed, grey) = (Digits::read_packed(&path).unwrap(), set.read().unwrap());
        let mut noise = Noise::seed(reparam::data::PACKED_SEED);
        let parts = [
            (packed.train(), grey.train()),
            (packed.validation(), grey.validation()),
            (packed.test(), grey.test()),
        ];
        for (packed, grey) in parts {
            assert!(packed.is_binary());
            assert_eq!(packed.labels(), grey.labels());
            let all: Vec<u32> = (0..grey.len() as u32).collect();
            let (mut fixed, mut sampled) = (vec![0.0; 6 * grey.len()], vec![0.5; 6 * grey.len()]);
            packed.pixels_into(&all, &mut fixed);
            grey.sample_pixels_into(&all, &mut noise, &mut sampled);
            assert_eq!(fixed, sampled);
            // An evaluation sees the same, in any order.
            grey.binarized_pixels_into(&[1, 0], &mut sampled[..12]);
            assert_eq!(sampled[..12], [&fixed[6..12], &fixed[..6]].concat());
        }
    }

    #[test]
    fn what_is_no_packed_file_is_named() {
        let set = Idx::sound();
        let path = set.path("packed");
        let error = |contents: &[u8]| {
            fs::write(&path, contents).unwrap();
            set.redacted(Digits::read_packed(&path))
        };
        assert_snapshot!(error(b""), @"DIR/packed: expected a file that `pack` made, found an empty file");
        assert_snapshot!(error(&images(1, 1, 1)), @r#"DIR/packed: expected a file that `pack` made (starts with BITS), found a file that starts with \x00\x00\x08\x03"#);
        assert_snapshot!(error(b"BITS\x02\0\0\0"), @"DIR/packed: expected format version 1, found version 2");
        let header = |words: [u32; 5]| [b"BITS".to_vec(), words.map(u32::to_le_bytes).concat()].concat();
        assert_snapshot!(error(&header([1, 6, 1, 28, 28])), @"DIR/packed: expected 6 training and 1 test images of 28 x 28 pixels, 612 bytes, found only 24 bytes");
        assert_snapshot!(error(&header([1, 5, 1, 28, 28])), @"DIR/packed: expected at least 6 images, a sixth of which are for validation, found 5 training and 1 test images of 28 x 28 pixels");
        assert_snapshot!(error(&header([1, 6, 0, 28, 28])), @"DIR/packed: expected at least one test image of at least one pixel, found 6 training and 0 test images of 28 x 28 pixels");
        assert_snapshot!(error(&header([1, u32::MAX, 1, u32::MAX, u32::MAX])), @"DIR/packed: expected images that fit in memory, found 4294967295 training and 1 test images of 4294967295 x 4294967295 pixels");
        assert_snapshot!(error(&[header([1, 6, 1, 2, 2]), vec![0; 15]].concat()), @"DIR/packed: expected 6 training and 1 test images of 2 x 2 pixels, 38 bytes, found more bytes after them");
    }

    fn gzip(contents: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(contents).unwrap();
        encoder.finish().unwrap()
    }
}

#[cfg(not(feature = "gzip"))]
#[test]
fn gzip_is_refused_by_name_without_the_feature() {
    let set = Idx::sound();
    fs::write(set.path(TRAIN_IMAGES), [0x1f, 0x8b, 8, 0]).unwrap();
    assert_snapshot!(set.error(), @"DIR/train-images-idx3-ubyte: expected an unpacked file (this build is without the feature `gzip`), found a gzip file");
}

#[cfg(unix)]
#[test]
fn a_file_that_is_not_there_is_named() {
    let set = Idx::sound();
    assert_snapshot!(set.redacted(Digits::read_packed(set.path("none"))), @"DIR/none: cannot open: No such file or directory (os error 2)");
}

/// A folder of IDX files: 12 + 3 images of 2 x 3 pixels, pixel `i` of all having intensity `i`.
struct Idx {
    folder: TempDir,
}

impl Idx {
    fn sound() -> Idx {
        let set = Idx { folder: tempfile::tempdir().unwrap() };
        fs::write(set.path(TRAIN_IMAGES), images(12, 2, 3)).unwrap();
        fs::write(set.path(TRAIN_LABELS), labels(12)).unwrap();
        fs::write(set.path(TEST_IMAGES), images(3, 2, 3)).unwrap();
        fs::write(set.path(TEST_LABELS), labels(3)).unwrap();
        set
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self) -> reparam::Result<Digits> {
        Digits::read_dir(self.folder.path())
    }

    fn error(&self) -> String {
        self.redacted(self.read())
    }

    fn redacted(&self, outcome: reparam::Result<Digits>) -> String {
        redact(outcome.expect_err("damaged data was read"), self.folder.path())
    }
}

fn redact(error: reparam::Error, dir: &Path) -> String {
    let line = error.to_string();
    assert!(!line.contains('\n'));
    line.replace(dir.to_str().unwrap(), "DIR")
}

fn images(count: u32, rows: u32, cols: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    bytes.extend([count, rows, cols].map(u32::to_be_bytes).concat());
    bytes.extend((0..count * rows * cols).map(|i| i as u8));
    bytes
}

fn labels(count: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 1];
    bytes.extend(count.to_be_bytes());
    bytes.extend((0..count).map(|i| i as u8));
    bytes
}
