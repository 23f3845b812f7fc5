//! Ops whose forward pass computes, in addition to the value, numbers for the backward pass.

use crate::shape::Shape;
use crate::tape::{Inputs, Rule, Tape};
use crate::var::Var;

impl Tape {
    /// Like [`record`](Tape::record), for an op that keeps one more number per element of its value.
    /// `forward` writes the value and the kept numbers, and [`Recorded::kept`](crate::Recorded::kept) returns
    /// the latter to the backward pass. Their buffer outlives the step.
    #[track_caller]
    pub(crate) fn record_keeping<'t, R: Rule>(
        &'t self,
        rule: R,
        inputs: &[Var<'t>],
        shape: Shape,
        forward: impl FnOnce(Inputs<'_>, &mut [f32], &mut [f32]),
    ) -> Var<'t> {
        let place = self.len();
        let of_last_time = self.nodes_mut().slots.get_mut(place).map(|node| std::mem::take(&mut node.kept));
        let mut kept = of_last_time.unwrap_or_default();
        kept.resize(shape.len());
        let recorded = self.record(rule, inputs, shape, |x, y| forward(x, y, &mut kept));
        self.nodes_mut().slots[place].kept = kept;
        recorded
    }
}
