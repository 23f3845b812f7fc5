//! A node as printing and drawing see it.

use super::Rule;
use crate::shape::Shape;

/// A printer's view of a node.
pub(crate) struct NodeView<'a> {
    pub(crate) index: usize,
    pub(crate) op: &'static str,
    pub(crate) name: Option<&'a str>,
    pub(crate) shape: &'a Shape,
    pub(crate) inputs: &'a [u32],
    pub(crate) rule: Option<&'a dyn Rule>,
    /// The numbers that the forward pass kept in addition to the value.
    pub(crate) kept: &'a [f32],
    pub(crate) tracked: bool,
    pub(crate) owned: bool,
    pub(crate) value: &'a [f32],
    /// The value holds whole numbers, stored as bits.
    pub(crate) is_indices: bool,
}
