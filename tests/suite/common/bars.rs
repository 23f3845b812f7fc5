//! Images made for tests, as IDX files and read from them.

use std::fs;
use std::path::Path;

use reparam::Noise;
use reparam::data::Digits;

/// Bars of `size` x `size` pixels, the last sixth of `train` for validation.
pub(crate) fn images(size: u32, train: u32, test: u32) -> Digits {
    let folder = tempfile::tempdir().unwrap();
    write_images(folder.path(), size, train, test);
    Digits::read_dir(folder.path()).unwrap()
}

/// Ten kinds of bars at ten heights, with grey noise.
pub(crate) fn write_images(folder: &Path, size: u32, train: u32, test: u32) {
    let mut noise = Noise::seed(3);
    for (name, count) in [("train", train), ("t10k", test)] {
        let mut pixels = [0x803, count, size, size].map(u32::to_be_bytes).concat();
        let mut labels = [0x801, count].map(u32::to_be_bytes).concat();
        for image in 0..count {
            labels.push((image % 10) as u8);
            for draw in noise.draws((size * size) as usize).enumerate() {
                let row = draw.0 as u32 / size;
                let lit = row * 10 / size == image % 10;
                pixels.push(if lit { 200 } else { (draw.1 % 60) as u8 });
            }
        }
        fs::write(folder.join(format!("{name}-images-idx3-ubyte")), pixels).unwrap();
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
    }
}
