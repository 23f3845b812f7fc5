//! Checksums that detect accidental damage. Any changed bit changes the checksum, but it does not protect
//! against forgery.

use std::fmt;

use reparam_ops::noise::mix;

/// A checksum of bytes, displayed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Checksum {
    sum: u64,
    bytes: u64,
}

impl Checksum {
    /// Returns the checksum of some bytes.
    pub(crate) fn of(bytes: &[u8]) -> Checksum {
        Checksum { sum: 0, bytes: 0 }.and(bytes)
    }

    /// Returns the checksum with more bytes appended. Zeros fill the last word of each call.
    pub(crate) fn and(mut self, bytes: &[u8]) -> Checksum {
        let (words, rest) = bytes.as_chunks::<4>();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        for &word in words.iter().chain([&last]) {
            self.sum = mix_in(self.sum, u32::from_le_bytes(word));
        }
        Checksum { bytes: self.bytes + bytes.len() as u64, ..self }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", mix(mix(self.sum) ^ self.bytes))
    }
}

/// Adds a word to a polynomial in an odd number. This is cheap, and gives every word a different weight.
pub(crate) fn mix_in(sum: u64, word: u32) -> u64 {
    sum.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(word))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_bit_every_length_and_every_cut_counts() {
        let bytes: Vec<u8> = (0..41).map(|i| (i * 7 % 11) as u8).collect();
        let mut seen = HashSet::from([Checksum::of(&bytes).to_string()]);
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(Checksum::of(&changed).to_string()), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(seen.insert(Checksum::of(&vec![0; len]).to_string()), "{len} zeros");
            // The first byte is 0.
            assert!(seen.insert(Checksum::of(&bytes[..len]).to_string()) || len <= 1, "{len} bytes");
        }
    }
}
