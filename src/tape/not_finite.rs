//! The place on a tape of a number that is not finite.

use std::fmt;

/// The first node that is not finite. See [`Tape::check_finite`](crate::Tape::check_finite).
#[derive(Clone, PartialEq, Debug)]
pub struct NotFinite {
    /// Position on the tape.
    pub node: usize,
    /// The op that computed it.
    pub op: &'static str,
    /// Position of the offending number.
    pub element: usize,
    /// The number.
    pub value: f32,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node %{} ({}) holds {} at element {}", self.node, self.op, self.value, self.element)
    }
}

impl std::error::Error for NotFinite {}
