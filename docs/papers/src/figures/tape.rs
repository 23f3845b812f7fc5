//! The tape of a relaxed coin, as `reparam tape gumbel-softmax --seed 2` draws it: heads at logit 1, tails at
//! 0, prices 3 and 1.

use reparam::{Noise, Tape};

/// Draws with which heads, the more probable side, is ahead, but not so far ahead that its gradient vanishes.
const SEED: u64 = 2;

pub(super) fn picture() -> String {
    let tape = Tape::new();
    let (logits, prices) = (tape.variable(&[1.0, 0.0], [2]), tape.input(&[3.0, 1.0], [2]));
    let loss = (logits.gumbel_softmax(0.5, &mut Noise::seed(SEED)) * prices).sum();
    tape.to_svg(&loss.backward())
}
