//! A short text that identifies a data set, so that a run cannot continue on different data.

use crate::checksum::mix_in;
use crate::data::{Digits, Split};
use reparam_ops::noise::mix;

impl Digits {
    /// Sizes and a 64-bit hash of all pixels and labels, like `50000+10000+10000x28x28-0123456789abcdef`.
    pub fn fingerprint(&self) -> String {
        let splits = [self.train(), self.validation(), self.test()];
        let hash = splits.into_iter().fold(0, hash);
        let [train, validation, test] = splits.map(Split::len);
        format!("{train}+{validation}+{test}x{}x{}-{hash:016x}", self.train().rows(), self.train().cols())
    }
}

fn hash(start: u64, split: &Split) -> u64 {
    let mut image = vec![0.0f32; split.pixels()];
    let mut hash = start;
    for (index, &label) in split.labels().iter().enumerate() {
        split.pixels_into(&[index as u32], &mut image);
        let bits = image.iter().fold(u64::from(label), |sum, pixel| mix_in(sum, pixel.to_bits()));
        hash = mix(hash ^ bits);
    }
    hash
}
