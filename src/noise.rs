//! Random numbers: a seed and a position in the sequence of `rand_pcg::Pcg32`, from which ops take one 32-bit
//! draw per random number.

mod replay;
mod source;

use std::convert::Infallible;

use rand::{Rng, TryRng};
use rand_pcg::Pcg32;
use reparam_ops::noise::{Draws, PCG_STREAM, Stream, draws_forward, mix};
use reparam_ops::{Tier, draw};

use crate::checkpoint::Checkpoint;

pub(crate) use replay::{Replay, Scores};
pub use source::NoiseSource;
pub(crate) use source::{draws_for, normals_for};

/// A stream of noise: a seed and a position. The same seed gives the same numbers on every machine, at any
/// number of threads.
///
/// # Passing it on
/// Ops and layers take noise by `&mut`, like generators in `rand`, and advance it. A function that has a
/// `&mut Noise` passes it to one op after another:
///
/// ```
/// use reparam::{Noise, Tape, Var};
///
/// fn two_samples<'t>(logits: Var<'t>, noise: &mut Noise) -> [Var<'t>; 2] {
///     [logits.gumbel_softmax(0.5, noise), logits.gumbel_softmax(0.5, noise)]
/// }
///
/// let tape = Tape::new();
/// let [a, b] = two_samples(tape.variable(&[1.0, 2.0, 3.0], [1, 3]), &mut Noise::seed(7));
/// assert_ne!(a.to_vec(), b.to_vec());
/// ```
///
/// # Replay
/// A clone gives the same numbers as the original, and so does a noise resumed at a saved position. An op
/// draws the same sample from either:
///
/// ```
/// # use reparam::{Noise, Tape};
/// # let tape = Tape::new();
/// # let logits = tape.variable(&[1.0, 2.0, 3.0], [1, 3]);
/// let mut noise = Noise::seed(7);
/// let position = noise.position();
/// let sample = logits.gumbel_softmax(0.5, &mut noise);
/// let again = logits.gumbel_softmax(0.5, &mut Noise::resume(position));
/// assert_eq!(sample.to_vec(), again.to_vec());
/// ```
///
/// # Injection
/// Instead of a `Noise`, an op accepts a slice of draws or, for normal variables, of standard normals. See
/// [`NoiseSource`].
///
/// ```
/// # use reparam::{Noise, Tape};
/// # let tape = Tape::new();
/// # let logits = tape.variable(&[1.0, 2.0, 3.0], [1, 3]);
/// // The same draw for every class adds no noise.
/// let without_noise = logits.gumbel_softmax(0.5, &mut &[1 << 31; 3][..]);
/// assert!((without_noise.to_vec()[2] - (logits / 0.5).softmax().to_vec()[2]).abs() < 1e-6);
/// ```
///
/// # With `rand`
/// `Noise` implements the `rand` traits, so it drives `rand` and `rand_distr` as well. (Do not use
/// `rand_distr::Gumbel<f32>`, which can return infinity; the ops here draw their own Gumbel noise.)
/// [`from_rng`](Self::from_rng) starts from a generator of `rand`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Noise {
    stream: Stream,
    /// The generator at the stream's position.
    pcg: Pcg32,
}

impl Noise {
    /// The stream of a seed, which is the sequence of `rand_pcg::Pcg32::new(mix(seed), PCG_STREAM)`.
    /// Neighbouring seeds are unrelated.
    pub fn seed(seed: u64) -> Noise {
        Noise::resume((mix(seed), 0))
    }

    /// A stream whose seed is the next 64 bits of another generator. The generator itself cannot go into an
    /// op, because a backward pass takes the same draws again and needs a position to return to.
    ///
    /// ```
    /// use rand_pcg::Pcg64;
    /// use reparam::{Noise, Tape};
    ///
    /// let mut rng = Pcg64::new(1, 2);
    /// let mut noise = Noise::from_rng(&mut rng);
    /// let tape = Tape::new();
    /// let sample = tape.variable(&[0.0; 3], [1, 3]).gumbel_softmax(0.5, &mut noise);
    /// # assert!(sample.is_tracked());
    /// ```
    pub fn from_rng(rng: &mut (impl Rng + ?Sized)) -> Noise {
        Noise::seed(rng.next_u64())
    }

    /// A child stream, whose seed is the next 64 bits of this one. Their numbers are unrelated.
    ///
    /// ```
    /// use reparam::Noise;
    ///
    /// let mut noise = Noise::seed(7);
    /// let mut child = noise.split();
    /// assert_ne!(noise.uniform(), child.uniform());
    /// ```
    pub fn split(&mut self) -> Noise {
        Noise::from_rng(self)
    }

    /// Takes the next `count` draws, as a stream that starts at the first of them.
    pub fn take(&mut self, count: usize) -> Stream {
        let stream = self.stream;
        self.stream = stream.skip(count as u64);
        self.pcg.advance(count as u64);
        stream
    }

    /// The next `count` draws, one after another.
    pub fn draws(&mut self, count: usize) -> impl Iterator<Item = u32> + use<> {
        let mut words = vec![0; count];
        draws_forward(Tier::best(), Draws::Stream(self.take(count)), &mut words);
        words.into_iter()
    }

    /// The position of the stream: the generator's seed and the number of draws taken.
    pub fn position(&self) -> (u64, u64) {
        (self.stream.origin(), self.stream.position())
    }

    /// The `rand_pcg` generator that continues as this noise would.
    ///
    /// ```
    /// use rand::Rng;
    /// use reparam::Noise;
    ///
    /// let mut noise = Noise::seed(7);
    /// noise.take(1000);
    /// let mut pcg = noise.pcg();
    /// assert_eq!(pcg.next_u64(), noise.next_u64());
    /// ```
    pub fn pcg(&self) -> Pcg32 {
        self.pcg.clone()
    }

    /// The noise at a [`position`](Self::position).
    pub fn resume((seed, position): (u64, u64)) -> Noise {
        let mut pcg = Pcg32::new(seed, PCG_STREAM);
        pcg.advance(position);
        Noise { stream: Stream::new(seed).at(position), pcg }
    }

    /// Saves its position into a checkpoint, as two settings whose names begin with `prefix`.
    ///
    /// # Panics
    /// If the prefix contains `=` or a line break.
    #[track_caller]
    pub fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        let (start, position) = self.position();
        checkpoint.set(&format!("{prefix}start"), start);
        checkpoint.set(&format!("{prefix}position"), position);
    }

    /// Continues from the position that [`save`](Self::save) stored.
    ///
    /// # Errors
    /// If it is missing.
    pub fn restore(&mut self, prefix: &str, checkpoint: &Checkpoint) -> crate::Result<()> {
        let place = |name| checkpoint.get(&format!("{prefix}{name}"));
        *self = Noise::resume((place("start")?, place("position")?));
        Ok(())
    }

    /// A standard normal number, from one draw, between -6.34 and 6.34: see [`draw::normal`].
    ///
    /// ```
    /// use reparam::Noise;
    ///
    /// let mut noise = Noise::seed(7);
    /// let mean = (0..10_000).map(|_| noise.normal()).sum::<f32>() / 1e4;
    /// assert!(mean.abs() < 0.05);
    /// ```
    pub fn normal(&mut self) -> f32 {
        draw::normal(self.next_u32())
    }

    /// A uniform number, from one draw, between 2^-33 and 1 - 2^-24, so never 0 and never 1: see
    /// [`draw::uniform`].
    pub fn uniform(&mut self) -> f32 {
        draw::uniform(self.next_u32())
    }

    /// A bit, from one draw, that is true with probability `p`. The probability is exact once p is rounded to
    /// a multiple of 2^-32: it is never true for p = 0 and always for p = 1. See [`draw::bernoulli`].
    ///
    /// ```
    /// use reparam::Noise;
    ///
    /// let mut noise = Noise::seed(7);
    /// let heads = (0..10_000).filter(|_| noise.bernoulli(0.3)).count();
    /// assert!(heads.abs_diff(3000) < 250);
    /// ```
    ///
    /// # Panics
    /// If p is not in \[0, 1\].
    #[track_caller]
    pub fn bernoulli(&mut self, p: f64) -> bool {
        assert!((0.0..=1.0).contains(&p), "Noise::bernoulli: p must be from 0 to 1, it is {p}");
        draw::bernoulli(self.next_u32(), p)
    }

    /// A whole number in `0..bound`, each equally likely, from as many draws as rejection needs.
    ///
    /// # Panics
    /// If `bound` is 0.
    #[track_caller]
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "Noise::below: the bound must be positive");
        let reject_above = u32::MAX - (u32::MAX % bound + 1) % bound;
        loop {
            let draw = self.next_u32();
            if draw <= reject_above {
                return draw % bound;
            }
        }
    }

    /// Shuffles a slice (Fisher and Yates), every order equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

impl TryRng for Noise {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.stream = self.stream.skip(1);
        Ok(self.pcg.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.next_u32());
        Ok(u64::from(self.next_u32()) << 32 | low)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(4) {
            chunk.copy_from_slice(&self.next_u32().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}
