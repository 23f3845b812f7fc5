//! A node as its own computation sees it, forward and backward.

use std::ops::Index;

use super::node::{Node, value_of};
use crate::shape::Shape;

/// The values of a node's inputs during its forward computation: `inputs[0]` is the first one's.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub(super) op: &'static str,
    pub(super) nodes: &'a [Node],
    pub(super) indices: &'a [u32],
}

impl Index<usize> for Inputs<'_> {
    type Output = [f32];

    #[track_caller]
    fn index(&self, input: usize) -> &[f32] {
        value_of(self.nodes, place(self.op, self.indices, input))
    }
}

/// The position on the tape of an op's input `i`.
#[track_caller]
#[inline]
fn place(op: &str, inputs: &[u32], i: usize) -> u32 {
    match inputs.get(i) {
        Some(&index) => index,
        None => no_input(op, inputs.len(), i),
    }
}

#[track_caller]
#[cold]
fn no_input(op: &str, inputs: usize, i: usize) -> ! {
    panic!("{op}: input {i} of an op that was recorded with {inputs}; inputs count from 0")
}

/// A rule's view of its node during the backward pass.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    pub(super) nodes: &'a [Node],
    pub(super) node: &'a Node,
    pub(super) index: u32,
    pub(super) gradient: &'a [f32],
}

impl<'a> Recorded<'a> {
    /// The value of input `i`.
    ///
    /// # Panics
    /// If the op was recorded with fewer inputs.
    #[track_caller]
    pub fn input(self, i: usize) -> &'a [f32] {
        value_of(self.nodes, self.place(i))
    }

    /// The shape of input `i`.
    ///
    /// # Panics
    /// If the op was recorded with fewer inputs.
    #[track_caller]
    pub fn input_shape(self, i: usize) -> &'a Shape {
        &self.nodes[self.place(i) as usize].shape
    }

    /// The node's own value.
    pub fn output(self) -> &'a [f32] {
        value_of(self.nodes, self.index)
    }

    /// The numbers that the forward pass kept. See [`Tape::record_keeping`](crate::Tape::record_keeping).
    pub(crate) fn kept(self) -> &'a [f32] {
        &self.node.kept
    }

    /// The shape of the node's value.
    pub fn shape(self) -> &'a Shape {
        &self.node.shape
    }

    /// The gradient of the loss with respect to the node's value.
    pub fn gradient(self) -> &'a [f32] {
        self.gradient
    }

    /// Number of inputs.
    pub fn inputs(self) -> usize {
        self.node.inputs.len()
    }

    /// The position of input `i` on the tape, and whether it wants a gradient.
    #[track_caller]
    pub(crate) fn input_slot(self, i: usize) -> (u32, bool) {
        let index = self.place(i);
        (index, self.nodes[index as usize].tracked)
    }

    #[track_caller]
    fn place(self, i: usize) -> u32 {
        place(self.node.op, &self.node.inputs, i)
    }
}
