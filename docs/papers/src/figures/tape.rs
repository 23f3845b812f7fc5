//! The tape of a relaxed sample of three classes, as `reparam tape` draws it.

use reparam::{Noise, Tape};

pub(super) fn picture() -> String {
    let tape = Tape::new();
    let (logits, scores) = (tape.variable(&[1.0, -2.0, 2.0], [1, 3]), tape.input(&[1.0, 2.0, 3.0], [1, 3]));
    let loss = (logits.gumbel_softmax(0.5, &mut Noise::seed(1)) * scores).sum();
    tape.to_svg(&loss.backward())
}
