//! A node as its own computation sees it, forward and backward.

use std::ops::Index;

use super::node::{Node, value_of};
use crate::shape::Shape;

/// The values of a node's inputs during its forward computation: `inputs[0]` is the first one's.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    pub(super) nodes: &'a [Node],
    pub(super) indices: &'a [u32],
}

impl Index<usize> for Inputs<'_> {
    type Output = [f32];

    fn index(&self, input: usize) -> &[f32] {
        value_of(self.nodes, self.indices[input])
    }
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
    pub fn input(self, i: usize) -> &'a [f32] {
        value_of(self.nodes, self.node.inputs[i])
    }

    /// The shape of input `i`.
    pub fn input_shape(self, i: usize) -> &'a Shape {
        &self.nodes[self.node.inputs[i] as usize].shape
    }

    /// The node's own value.
    pub fn output(self) -> &'a [f32] {
        value_of(self.nodes, self.index)
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
    pub(crate) fn input_slot(self, i: usize) -> (u32, bool) {
        let index = self.node.inputs[i];
        (index, self.nodes[index as usize].tracked)
    }
}
