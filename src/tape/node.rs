//! The record that a tape keeps of each value, in buffers that outlive a step.

use std::any::Any;
use std::sync::Arc;

use reparam_ops::Buffer;
use smallvec::SmallVec;

use super::{Leaf, Rule};
use crate::shape::Shape;

/// The location of a node's numbers.
#[derive(Debug)]
pub(super) enum Value {
    /// In the node's own buffer.
    Own,
    /// In the node's own buffer, as whole numbers stored as the bits of floats.
    Indices,
    /// In a buffer shared with [`Params`](crate::Params) until the tape is reset.
    Shared(Arc<Buffer>),
    /// In the buffer of an earlier node. That node is not a view itself, so a chain of views is read in one
    /// step.
    Of(u32),
}

/// One node. Its buffers and its rule's box outlive [`Tape::reset`], and the next node in its place reuses
/// them.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) op: &'static str,
    pub(super) shape: Shape,
    pub(super) inputs: SmallVec<[u32; 4]>,
    pub(super) value: Value,
    pub(super) buffer: Buffer,
    /// The numbers, in addition to the value, that the forward pass kept for the backward pass.
    pub(super) kept: Buffer,
    pub(super) rule: Option<Box<dyn Rule>>,
    pub(super) has_rule: bool,
    pub(super) tracked: bool,
}

impl Node {
    fn vacant() -> Node {
        Node {
            op: "",
            shape: Shape::scalar(),
            inputs: SmallVec::new(),
            value: Value::Own,
            buffer: Buffer::new(),
            kept: Buffer::new(),
            rule: None,
            has_rule: false,
            tracked: false,
        }
    }

    pub(super) fn rule(&self) -> Option<&dyn Rule> {
        if self.has_rule { self.rule.as_deref() } else { None }
    }

    /// Keeps `rule`, in the box of the last rule in this place if that had the same type.
    pub(super) fn keep_rule<R: Rule>(&mut self, rule: R) {
        self.has_rule = true;
        match self.rule.as_deref_mut().and_then(|old| (old as &mut dyn Any).downcast_mut::<R>()) {
            Some(old) => *old = rule,
            None => self.rule = Some(Box::new(rule)),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// The first `len` are in use. The rest keep their buffers for the next recording.
    pub(super) slots: Vec<Node>,
    pub(super) len: usize,
    pub(super) leaves: Vec<Leaf>,
}

impl Nodes {
    pub(super) fn value(&self, index: u32) -> &[f32] {
        value_of(&self.slots, index)
    }

    /// Returns the node whose buffer holds the value of a node.
    pub(super) fn holder(&self, index: u32) -> u32 {
        match self.slots[index as usize].value {
            Value::Of(holder) => holder,
            _ => index,
        }
    }

    /// Adds a fresh node after the last one.
    pub(super) fn push(&mut self, op: &'static str, shape: Shape) -> &mut Node {
        if self.len == self.slots.len() {
            self.slots.push(Node::vacant());
        }
        self.len += 1;
        let node = &mut self.slots[self.len - 1];
        node.op = op;
        node.shape = shape;
        node.inputs.clear();
        node.kept.resize(0);
        node.value = Value::Own;
        node.has_rule = false;
        node.tracked = false;
        node
    }
}

pub(super) fn value_of(nodes: &[Node], index: u32) -> &[f32] {
    let node = &nodes[index as usize];
    match &node.value {
        Value::Own | Value::Indices => &node.buffer,
        Value::Shared(buffer) => buffer,
        Value::Of(holder) => value_of(nodes, *holder),
    }
}
