//! Ops whose forward pass computes, in addition to the value, numbers for the backward pass.

use reparam_ops::noise::Draws;

use crate::noise::Scores;
use crate::shape::Shape;
use crate::tape::{Inputs, Rule, Tape};
use crate::var::Var;

/// The largest number of scores that a straight-through sample keeps for its backward pass (4 MiB).
pub const MOST_SCORES: usize = 1 << 20;

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

    /// Records a straight-through sample, whose backward pass needs the scores. If the sample has at most
    /// [`MOST_SCORES`] elements and an input has a gradient, `forward` gets a buffer to write the scores to,
    /// and the rule is made with [`Scores::Kept`]. Otherwise the backward pass replays `draws`.
    #[track_caller]
    pub(crate) fn record_straight_through<'t, R: Rule>(
        &'t self,
        rule: impl FnOnce(Scores) -> R,
        draws: Draws<'_>,
        inputs: &[Var<'t>],
        shape: Shape,
        forward: impl FnOnce(Inputs<'_>, &mut [f32], Option<&mut [f32]>),
    ) -> Var<'t> {
        if shape.len() <= MOST_SCORES && inputs.iter().any(|input| input.is_tracked()) {
            let forward = |x: Inputs<'_>, y: &mut [f32], scores: &mut [f32]| forward(x, y, Some(scores));
            return self.record_keeping(rule(Scores::Kept), inputs, shape, forward);
        }
        self.record(rule(Scores::Replayed(draws.into())), inputs, shape, |x, y| forward(x, y, None))
    }
}
