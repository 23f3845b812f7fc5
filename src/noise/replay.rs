//! The noise that a rule keeps, or the scores that were computed from it.

use reparam_ops::noise::{Draws, Stream};

/// The noise of a node, for its backward pass to take again: a position in a stream, or a copy of the
/// injected numbers.
#[derive(Debug)]
pub(crate) enum Replay {
    Stream(Stream),
    Given(Box<[u32]>),
    Normals(Box<[f32]>),
}

impl From<Draws<'_>> for Replay {
    fn from(draws: Draws<'_>) -> Self {
        match draws {
            Draws::Stream(stream) => Replay::Stream(stream),
            Draws::Given(draws) => Replay::Given(draws.into()),
            Draws::Normals(normals) => Replay::Normals(normals.into()),
        }
    }
}

impl Replay {
    pub(crate) fn draws(&self) -> Draws<'_> {
        match self {
            Replay::Stream(stream) => Draws::Stream(*stream),
            Replay::Given(draws) => Draws::Given(draws),
            Replay::Normals(normals) => Draws::Normals(normals),
        }
    }

    /// Bytes of the numbers it keeps in its own buffer.
    pub(crate) fn buffer_bytes(&self) -> usize {
        match self {
            Replay::Stream(_) => 0,
            Replay::Given(draws) => size_of_val(&draws[..]),
            Replay::Normals(normals) => size_of_val(&normals[..]),
        }
    }
}

/// The scores of a straight-through sample, logits plus noise, for its backward pass.
#[derive(Debug)]
pub(crate) enum Scores {
    /// In the numbers that the forward pass [kept](crate::Recorded::kept).
    Kept,
    /// To be computed again from their noise.
    Replayed(Replay),
}

impl Scores {
    /// Bytes of the numbers it keeps in its own buffer.
    pub(crate) fn buffer_bytes(&self) -> usize {
        match self {
            Scores::Kept => 0,
            Scores::Replayed(replay) => replay.buffer_bytes(),
        }
    }
}
