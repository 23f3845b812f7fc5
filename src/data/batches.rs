//! Mini-batches in shuffled order, epoch after epoch, which a checkpoint can save and resume.

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::noise::Noise;

/// Mini-batches of indices. Every epoch is a fresh order of all examples, and a batch that reaches the end of
/// one continues in the next. So each example comes exactly once per epoch, for any batch size.
///
/// ```
/// use reparam::data::Batches;
/// use reparam::{Checkpoint, Noise};
///
/// let mut batches = Batches::new(5, Noise::seed(1));
/// let mut epoch = [batches.next_batch(3), &[]].concat();
/// epoch.extend_from_slice(&batches.next_batch(3)[..2]);
/// epoch.sort();
/// assert_eq!(epoch, [0, 1, 2, 3, 4]);
///
/// let mut checkpoint = Checkpoint::new();
/// batches.save("order.", &mut checkpoint);
/// let mut others = Batches::new(5, Noise::seed(2));
/// others.restore("order.", &checkpoint)?;
/// assert_eq!(others.next_batch(4), batches.next_batch(4));
/// # Ok::<(), reparam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    order: Vec<u32>,
    batch: Vec<u32>,
    /// The noise after the shuffle of this epoch.
    noise: Noise,
    /// The noise before the shuffle of this epoch.
    epoch_noise: Noise,
    cursor: usize,
}

impl Batches {
    /// Batches of `len` examples, in random orders from `noise`.
    ///
    /// # Panics
    /// If `len` is 0 or does not fit 32 bits.
    #[track_caller]
    pub fn new(len: usize, noise: Noise) -> Batches {
        assert!(len > 0, "Batches::new: there are no examples to make batches of");
        assert!(u32::try_from(len).is_ok(), "Batches::new: {len} examples, but indices have 32 bits");
        let epoch_noise = noise.clone();
        let mut batches = Batches { order: vec![0; len], batch: Vec::new(), noise, epoch_noise, cursor: 0 };
        batches.shuffle();
        batches
    }

    /// The next `size` indices. Allocates only when `size` exceeds all earlier sizes.
    ///
    /// # Panics
    /// If `size` is 0 or larger than the number of examples.
    #[track_caller]
    pub fn next_batch(&mut self, size: usize) -> &[u32] {
        let len = self.order.len();
        assert!((1..=len).contains(&size), "Batches::next_batch: a batch of {size} from {len} examples");
        self.batch.clear();
        while self.batch.len() < size {
            if self.cursor == len {
                self.cursor = 0;
                self.shuffle();
            }
            let count = (size - self.batch.len()).min(len - self.cursor);
            self.batch.extend_from_slice(&self.order[self.cursor..][..count]);
            self.cursor += count;
        }
        &self.batch
    }

    /// Saves the position in the epoch into a checkpoint, as settings whose names begin with `prefix`.
    ///
    /// # Panics
    /// If the prefix contains `=` or a line break.
    #[track_caller]
    pub fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        checkpoint.set(&format!("{prefix}examples"), self.order.len());
        self.epoch_noise.save(prefix, checkpoint);
        checkpoint.set(&format!("{prefix}cursor"), self.cursor);
    }

    /// Continues from the position that [`save`](Self::save) stored, for the same number of examples.
    ///
    /// # Errors
    /// If something is missing, or the number of examples differs.
    pub fn restore(&mut self, prefix: &str, checkpoint: &Checkpoint) -> Result<()> {
        let len = self.order.len();
        let found: usize = checkpoint.get(&format!("{prefix}examples"))?;
        if found != len {
            return Err(
                checkpoint.unfit(format_args!("batches of {len} examples"), format_args!("of {found}"))
            );
        }
        let key = format!("{prefix}cursor");
        let cursor = checkpoint.get(&key)?;
        if cursor > len {
            let expected = format_args!("at most {len}, the number of examples, in the setting `{key}`");
            return Err(checkpoint.unfit(expected, cursor));
        }
        self.noise.restore(prefix, checkpoint)?;
        self.shuffle();
        self.cursor = cursor;
        Ok(())
    }

    /// Shuffles the examples, always from the same initial order so that the result depends only on the
    /// noise.
    fn shuffle(&mut self) {
        self.epoch_noise = self.noise.clone();
        for (index, entry) in (0..).zip(&mut self.order) {
            *entry = index;
        }
        self.noise.shuffle(&mut self.order);
    }
}
