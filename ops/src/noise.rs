//! The noise stream: exactly the sequence of `rand_pcg::Pcg32`, but addressable and computed a piece at a
//! time.
//!
//! A [`Stream`] is a start and a position. Draw `n` of a stream does not need the draws before it, because a
//! linear congruential generator can jump: `n` steps `s -> A s + C` are one step `s -> A^n s + C (A^n -
//! 1)/(A - 1)`. So the draws of a piece are computed side by side, each by its own jump from the same state.
//! Threads begin at their own rows, and backward passes replay draws instead of storing them.
//!
//! # Source
//! M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random
//! Number Generation", 2014 (PCG-XSH-RR 64/32). F. Brown, "Random Number Generation with Arbitrary
//! Strides", 1994.

use std::mem::MaybeUninit;

use crate::simd::LANES;

/// The number of elements that a kernel works on, and of draws that it requests, at a time. They stay in the
/// L1 cache until they are used.
pub(crate) const PIECE: usize = 512;

/// The generator's multiplier `A`.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

/// The stream constant that the PCG reference implementation recommends, as `rand_pcg::Pcg32::new` takes it.
pub const PCG_STREAM: u64 = 0x0a02_bdbf_7bb3_c0a7;

/// The generator's increment `C`. All streams share it, because streams that differ only in the increment are
/// correlated.
const INCREMENT: u64 = (PCG_STREAM << 1) | 1;

/// `JUMP[n]` is the step that equals `n` steps.
const JUMP: [Affine; PIECE + 1] = {
    let mut jumps = [Affine::IDENTITY; PIECE + 1];
    let mut n = 1;
    while n <= PIECE {
        jumps[n] = jumps[n - 1].then(Affine { multiply: MULTIPLIER, add: INCREMENT });
        n += 1;
    }
    jumps
};

/// The even and the odd entries of [`JUMP`], in vectors.
static EVEN: Jumps = Jumps::every_other(0);
static ODD: Jumps = Jumps::every_other(1);

/// The map `s -> multiply * s + add` modulo 2^64.
#[derive(Clone, Copy)]
struct Affine {
    multiply: u64,
    add: u64,
}

impl Affine {
    const IDENTITY: Affine = Affine { multiply: 1, add: 0 };

    const fn then(self, next: Affine) -> Affine {
        Affine {
            multiply: next.multiply.wrapping_mul(self.multiply),
            add: next.multiply.wrapping_mul(self.add).wrapping_add(next.add),
        }
    }

    #[inline(always)]
    fn apply(self, state: u64) -> u64 {
        self.multiply.wrapping_mul(state).wrapping_add(self.add)
    }
}

/// `DIGITS[place][digit]` is the step that equals `digit * 16^place` steps.
static DIGITS: [[Affine; 16]; 16] = {
    let mut jumps = [[Affine::IDENTITY; 16]; 16];
    let mut unit = JUMP[1];
    let mut place = 0;
    while place < 16 {
        let mut digit = 1;
        while digit < 16 {
            jumps[place][digit] = jumps[place][digit - 1].then(unit);
            digit += 1;
        }
        unit = jumps[place][15].then(unit);
        place += 1;
    }
    jumps
};

/// Returns the state after `steps` generator steps, with one jump per hexadecimal digit of `steps`.
#[inline(always)]
fn jump(mut state: u64, mut steps: u64) -> u64 {
    let mut places = DIGITS.iter();
    while steps > 0
        && let Some(place) = places.next()
    {
        state = place[(steps % 16) as usize].apply(state);
        steps /= 16;
    }
    state
}

/// Jumps in two arrays, for vectorized loops over them.
#[repr(align(64))]
struct Jumps {
    multiply: [u64; PIECE / 2],
    add: [u64; PIECE / 2],
}

impl Jumps {
    const fn every_other(first: usize) -> Jumps {
        let mut jumps = Jumps { multiply: [0; PIECE / 2], add: [0; PIECE / 2] };
        let mut i = 0;
        while i < PIECE / 2 {
            jumps.multiply[i] = JUMP[2 * i + first].multiply;
            jumps.add[i] = JUMP[2 * i + first].add;
            i += 1;
        }
        jumps
    }

    /// The first `count` jumps.
    #[inline(always)]
    fn iter(&self, count: usize) -> impl Iterator<Item = Affine> {
        let affine = |(&multiply, &add)| Affine { multiply, add };
        self.multiply[..count].iter().zip(&self.add[..count]).map(affine)
    }
}

/// The output permutation XSH-RR of a state of two words: `((state >> 18) ^ state) >> 27` rotated by `state
/// >> 59`.
#[inline(always)]
fn output(high: u32, low: u32) -> u32 {
    let xorshifted = (high << 5 | low >> 27) ^ (high >> 13);
    xorshifted.rotate_right(high >> 27)
}

/// A position in a sequence of 32-bit draws: the start of the sequence and the number of draws before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stream {
    origin: u64,
    position: u64,
}

impl Stream {
    /// The sequence of `rand_pcg::Pcg32::new(state, PCG_STREAM)`, from its first draw.
    ///
    /// ```
    /// use rand::Rng;
    /// use reparam_ops::noise::{PCG_STREAM, Stream};
    ///
    /// let mut pcg = rand_pcg::Pcg32::new(42, PCG_STREAM);
    /// assert_eq!(Stream::new(42).draw(), pcg.next_u32());
    /// assert_eq!(Stream::new(42).skip(1).draw(), pcg.next_u32());
    /// ```
    pub fn new(state: u64) -> Stream {
        Stream { origin: state, position: 0 }
    }

    /// The same sequence at another position, counted from its start.
    pub fn at(self, position: u64) -> Stream {
        Stream { position, ..self }
    }

    /// The position `draws` further on.
    pub fn skip(self, draws: u64) -> Stream {
        self.at(self.position.wrapping_add(draws))
    }

    /// The number of draws between the start of the sequence and this position.
    pub fn position(self) -> u64 {
        self.position
    }

    /// The argument of [`new`](Self::new). Together with the position it is the whole state.
    pub fn origin(self) -> u64 {
        self.origin
    }

    /// The draw at this position.
    pub fn draw(self) -> u32 {
        let state = self.state();
        output((state >> 32) as u32, state as u32)
    }

    fn state(self) -> u64 {
        // The generator steps once over its seed before its first output.
        let first = JUMP[1].apply(self.origin.wrapping_add(INCREMENT));
        jump(first, self.position)
    }
}

/// The noise of a kernel, from a stream or injected number by number. Every reading gives the same noise.
#[derive(Clone, Copy, Debug)]
pub enum Draws<'a> {
    /// Element `i` gets draw `i` from here on.
    Stream(Stream),
    /// Element `i` gets entry `i`.
    Given(&'a [u32]),
    /// Element `i` gets entry `i` in place of the standard normal that a draw stands for. Only Gaussian
    /// kernels take these.
    Normals(&'a [f32]),
}

impl From<Stream> for Draws<'_> {
    fn from(stream: Stream) -> Self {
        Draws::Stream(stream)
    }
}

impl<'a> Draws<'a> {
    /// Returns a reader that starts at the draw of element `first`.
    ///
    /// # Panics
    /// If normals were injected.
    #[inline(always)]
    pub fn from_element(self, first: usize) -> Reader<'a> {
        let source = match self {
            Draws::Stream(stream) => Source::State(stream.skip(first as u64).state()),
            Draws::Given(draws) => Source::Given(&draws[first..]),
            Draws::Normals(_) => refuse_normals(),
        };
        Reader { source, high: Words::UNWRITTEN, low: Words::UNWRITTEN }
    }

    /// Returns the draws of the first `elements` elements, and the draws of the others.
    #[track_caller]
    pub fn split_at(self, elements: usize) -> (Draws<'a>, Draws<'a>) {
        match self {
            Draws::Stream(stream) => (self, Draws::Stream(stream.skip(elements as u64))),
            Draws::Given(draws) => {
                let (first, second) = draws.split_at(elements);
                (Draws::Given(first), Draws::Given(second))
            }
            Draws::Normals(normals) => {
                let (first, second) = normals.split_at(elements);
                (Draws::Normals(first), Draws::Normals(second))
            }
        }
    }

    /// Panics unless there are draws for `elements` elements.
    #[track_caller]
    pub fn check(self, elements: usize) {
        match self {
            Draws::Normals(_) => refuse_normals(),
            _ => self.check_count(elements),
        }
    }

    /// Panics unless there are draws or normals for `elements` elements.
    #[track_caller]
    pub(crate) fn check_count(self, elements: usize) {
        let (what, injected) = match self {
            Draws::Stream(_) => return,
            Draws::Given(draws) => ("draws", draws.len()),
            Draws::Normals(normals) => ("normals", normals.len()),
        };
        assert!(injected == elements, "{elements} {what} expected, {injected} injected");
    }
}

#[cold]
#[track_caller]
fn refuse_normals() -> ! {
    panic!("32-bit draws expected, standard normals injected: only Gaussian kernels take those")
}

/// Hands out consecutive draws in pieces.
///
/// The draws of a piece are jumps of different lengths from the same state, so none waits for another. We
/// store the words of their states in memory, two to an entry, so that the compiler makes one loop of 64-bit
/// and one of 32-bit arithmetic. In a single loop it would take vectors apart and reassemble them.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    source: Source<'a>,
    high: Words,
    /// The lower words, which the draws then overwrite.
    low: Words,
}

/// The words of a piece, aligned to a cache line, because a vector that crosses two lines takes twice as
/// long. They are uninitialised, because filling them would take longer than a small piece.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Words([MaybeUninit<u64>; PIECE / 2]);

impl Words {
    const UNWRITTEN: Words = Words([const { MaybeUninit::uninit() }; PIECE / 2]);

    /// The first words, two to an entry.
    ///
    /// # Safety
    /// The first `len / 2` entries, rounded up, must have been written.
    #[inline(always)]
    unsafe fn written(&mut self, len: usize) -> &mut [u32] {
        debug_assert!(len <= PIECE);
        // SAFETY: there are `PIECE` words, the requested ones were written, and any bits are a valid word.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), len) }
    }
}

#[derive(Clone, Debug)]
enum Source<'a> {
    /// The generator's state at the next draw.
    State(u64),
    /// The remaining draws.
    Given(&'a [u32]),
}

/// The bits of a state's upper word.
const HIGH: u64 = 0xffff_ffff_0000_0000;

impl Reader<'_> {
    /// The next `len` draws, at most 512.
    #[inline(always)]
    pub fn take(&mut self, len: usize) -> &[u32] {
        let state = match &mut self.source {
            Source::State(state) => std::mem::replace(state, JUMP[len].apply(*state)),
            Source::Given(draws) => {
                let (now, later) = draws.split_at(len);
                *draws = later;
                return now;
            }
        };
        let pairs = len.next_multiple_of(LANES) / 2;
        let words = self.high.0[..pairs].iter_mut().zip(&mut self.low.0[..pairs]);
        for ((high, low), (even, odd)) in words.zip(EVEN.iter(pairs).zip(ODD.iter(pairs))) {
            // A shift puts a word of an even state next to the word of the odd state after it.
            let (even, odd) = (even.apply(state), odd.apply(state));
            high.write((even >> 32 | odd & HIGH).to_le());
            low.write((even & !HIGH | odd << 32).to_le());
        }
        // SAFETY: at least `len` words of both were written just now.
        let (high, draws) = unsafe { (self.high.written(len), self.low.written(len)) };
        for (draw, &mut high) in draws.iter_mut().zip(high) {
            *draw = output(u32::from_le(high), u32::from_le(*draw));
        }
        draws
    }
}

/// A 64-bit mix that turns seeds that differ in one bit into unrelated states.
///
/// # Source
/// S. Vigna, SplitMix64's output function, after Stafford's variant 13 of the MurmurHash3 finalizer.
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

crate::simd! {
    /// Copies the draws: `out[i]` is the draw of element `i`.
    pub fn draws_forward(draws: Draws<'_>, out: &mut [u32]) {
        let mut reader = draws.from_element(0);
        for out in out.chunks_mut(PIECE) {
            out.copy_from_slice(reader.take(out.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tier;
    use rand::Rng;

    #[test]
    fn the_sequence_is_that_of_rand_pcg_word_for_word() {
        for state in [0, 42, u64::MAX] {
            let mut pcg = rand_pcg::Pcg32::new(state, PCG_STREAM);
            let expected: Vec<u32> = (0..5000).map(|_| pcg.next_u32()).collect();
            for tier in Tier::available() {
                for (first, len) in [(0, 5000), (1, 37), (15, 16), (16, 1), (4000, 999)] {
                    let mut out = vec![0; len];
                    draws_forward(tier, Stream::new(state).at(first as u64).into(), &mut out);
                    assert_eq!(out, expected[first..first + len], "{tier} {first} {len}");
                }
            }
        }
    }

    #[test]
    fn blocks_of_any_length_continue_the_sequence() {
        let mut whole = vec![0; 300];
        draws_forward(Tier::PORTABLE, Stream::new(9).into(), &mut whole);
        let mut reader = Draws::from(Stream::new(9)).from_element(0);
        let mut pieces = Vec::new();
        for len in [1, 16, 7, 0, 33, 64, 179] {
            pieces.extend_from_slice(reader.take(len));
        }
        assert_eq!(pieces, whole);
    }

    #[test]
    #[should_panic = "32-bit draws expected, standard normals injected"]
    fn a_kernel_that_needs_draws_refuses_normals() {
        crate::draw::fill_gumbel(Tier::best(), Draws::Normals(&[0.5]), &mut [0.0]);
    }

    #[test]
    fn jumps_far_ahead_agree_with_rand_pcg() {
        for far in [1 << 20, (1 << 40) + 12345, u64::MAX - 3] {
            let mut pcg = rand_pcg::Pcg32::new(7, PCG_STREAM);
            pcg.advance(far);
            assert_eq!(Stream::new(7).at(far).draw(), pcg.next_u32());
        }
    }
}
