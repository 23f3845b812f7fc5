//! Mini-batches in shuffled order, epoch after epoch, which a checkpoint can take up again.

use crate::error::{Error, Result};
use crate::noise::Noise;

/// Mini-batches of indices: every epoch is a fresh order of all examples, and a batch that reaches the end of one
/// goes on in the next. So each example comes exactly once an epoch, whatever the batch size.
///
/// ```
/// use reparam::Noise;
/// use reparam::data::Batches;
///
/// let mut batches = Batches::new(5, Noise::seed(1));
/// let mut epoch = [batches.next_batch(3), &[]].concat();
/// epoch.extend_from_slice(&batches.next_batch(3)[..2]);
/// epoch.sort();
/// assert_eq!(epoch, [0, 1, 2, 3, 4]);
///
/// let mut resumed = Batches::resume(5, batches.state())?;
/// assert_eq!(resumed.next_batch(4), batches.next_batch(4));
/// # Ok::<(), reparam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    order: Vec<u32>,
    batch: Vec<u32>,
    /// After the shuffle of this epoch.
    noise: Noise,
    /// Before it.
    epoch_noise: (u64, u64),
    cursor: usize,
    epoch: u64,
}

/// Where [`Batches`] stand: four numbers, from which they continue exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchState {
    /// The noise's generator state, as in [`Noise::position`].
    pub start: u64,
    /// The noise's position before the shuffle of this epoch.
    pub position: u64,
    /// Examples of this epoch already handed out.
    pub cursor: u64,
    /// Epochs begun before this one.
    pub epoch: u64,
}

impl Batches {
    /// Batches of `len` examples, in orders that `noise` gives.
    ///
    /// # Panics
    /// If `len` is 0 or does not fit 32 bits.
    #[track_caller]
    pub fn new(len: usize, noise: Noise) -> Batches {
        assert!(len > 0, "Batches::new: there are no examples to make batches of");
        assert!(u32::try_from(len).is_ok(), "Batches::new: {len} examples, but indices have 32 bits");
        let epoch_noise = noise.position();
        let mut batches =
            Batches { order: vec![0; len], batch: Vec::new(), noise, epoch_noise, cursor: 0, epoch: 0 };
        batches.shuffle();
        batches
    }

    /// The next `size` indices. Allocates only when `size` exceeds all sizes before.
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
                self.epoch += 1;
                self.cursor = 0;
                self.shuffle();
            }
            let count = (size - self.batch.len()).min(len - self.cursor);
            self.batch.extend_from_slice(&self.order[self.cursor..][..count]);
            self.cursor += count;
        }
        &self.batch
    }

    /// Epochs passed, with the share of the current one: 1.5 in the middle of the second.
    pub fn epochs(&self) -> f64 {
        self.epoch as f64 + self.cursor as f64 / self.order.len() as f64
    }

    /// Where they stand.
    pub fn state(&self) -> BatchState {
        let (start, position) = self.epoch_noise;
        BatchState { start, position, cursor: self.cursor as u64, epoch: self.epoch }
    }

    /// The batches that [`state`](Self::state) described, of `len` examples.
    ///
    /// # Errors
    /// If the state is not one of batches of `len` examples.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn resume(len: usize, state: BatchState) -> Result<Batches> {
        let BatchState { start, position, cursor, epoch } = state;
        if cursor > len as u64 {
            let expected = format_args!("at most {len}, the number of examples");
            return Err(Error::invalid("the batches' cursor", expected, cursor));
        }
        let batches = Batches::new(len, Noise::resume((start, position)));
        Ok(Batches { cursor: cursor as usize, epoch, ..batches })
    }

    /// Each order is made from the same one, so that it depends on the noise alone.
    fn shuffle(&mut self) {
        self.epoch_noise = self.noise.position();
        for (index, entry) in (0..).zip(&mut self.order) {
            *entry = index;
        }
        self.noise.shuffle(&mut self.order);
    }
}
