//! Leaves: data, whole numbers and parameters on a tape.

use std::sync::Arc;

use reparam_ops::Buffer;

use super::Tape;
use super::node::Value;
use crate::params::ParamId;
use crate::shape::Shape;
use crate::var::Var;

/// A parameter's leaf on a tape. A parameter that was used both frozen and not has two of them, and gradients
/// flow only into the tracked one.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) parameter: ParamId,
    pub(crate) name: Arc<str>,
    pub(crate) node: u32,
    pub(crate) tracked: bool,
}

impl Tape {
    /// Whole numbers as a leaf, stored as the bits of floats. An op that picks by position keeps its indices
    /// here, in a buffer that outlives the step, and reads them back with `bytemuck::cast_slice`.
    #[track_caller]
    pub(crate) fn indices(&self, indices: &[u32]) -> Var<'_> {
        self.indices_with(indices.len(), |buffer| buffer.copy_from_slice(indices))
    }

    /// Like [`indices`](Self::indices), for `count` whole numbers that `fill` writes.
    #[track_caller]
    pub(crate) fn indices_with(&self, count: usize, fill: impl FnOnce(&mut [u32])) -> Var<'_> {
        let fill = |buffer: &mut [f32]| fill(bytemuck::cast_slice_mut(buffer));
        self.leaf_with("indices", Value::Indices, Shape::from(count), fill)
    }

    #[track_caller]
    pub(super) fn leaf_with(
        &self,
        op: &'static str,
        value: Value,
        shape: Shape,
        fill: impl FnOnce(&mut [f32]),
    ) -> Var<'_> {
        let len = shape.len();
        let (leaf, mut buffer) = {
            let mut nodes = self.nodes_mut();
            let node = nodes.push(op, shape);
            node.value = value;
            let buffer = std::mem::take(&mut node.buffer);
            (self.last(&nodes), buffer)
        };
        // The buffer is outside the tape meanwhile, so that `fill` can read the tape.
        buffer.resize(len);
        fill(&mut buffer);
        self.nodes_mut().slots[leaf.index() as usize].buffer = buffer;
        leaf
    }

    #[track_caller]
    pub(super) fn leaf(&self, op: &'static str, data: &[f32], shape: Shape, tracked: bool) -> Var<'_> {
        assert!(
            data.len() == shape.len(),
            "{op}: {} elements given for shape {shape}, which has {}",
            data.len(),
            shape.len()
        );
        let mut nodes = self.nodes_mut();
        let node = nodes.push(op, shape);
        node.buffer.copy_from(data);
        node.tracked = tracked;
        self.last(&nodes)
    }

    /// A parameter's leaf, which shares the parameter's buffer. Each call within a recording returns the same
    /// leaf, unless the parameter was frozen or unfrozen in between.
    #[track_caller]
    pub(crate) fn parameter(
        &self,
        parameter: ParamId,
        name: &Arc<str>,
        shape: &Shape,
        value: &Arc<Buffer>,
        frozen: bool,
    ) -> Var<'_> {
        let mut nodes = self.nodes_mut();
        let tracked = self.recording && !frozen;
        let is_this = |leaf: &&Leaf| leaf.parameter == parameter && leaf.tracked == tracked;
        if let Some(leaf) = nodes.leaves.iter().find(is_this) {
            return Var::new(self, leaf.node);
        }
        let node = nodes.push("parameter", shape.clone());
        node.value = Value::Shared(value.clone());
        node.tracked = tracked;
        let var = self.last(&nodes);
        nodes.leaves.push(Leaf { parameter, name: name.clone(), node: var.index(), tracked });
        var
    }
}
