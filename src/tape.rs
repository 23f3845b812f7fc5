//! The tape: a list of nodes, each a value computed from earlier ones by a rule that knows its own gradient.
//!
//! Nodes are only ever appended, so their order is a topological order and the backward pass is a loop from
//! the end to the front. The tape knows no op: it stores values and asks each node's [`Rule`] to pass
//! gradients on.

mod keeping;
mod leaf;
mod node;
mod not_finite;
mod recorded;
mod view;

use std::any::Any;
use std::cell::{Ref, RefCell, RefMut};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::gradients::{GradientPool, Gradients, InputGradients};
use crate::shape::Shape;
use crate::var::Var;

pub use keeping::MOST_SCORES;
pub(crate) use leaf::Leaf;
pub use not_finite::NotFinite;
pub use recorded::{Inputs, Recorded};
pub(crate) use view::NodeView;

use node::{Nodes, Value};

/// The rule by which an op passes the gradient of its output to its inputs. The implementing struct holds
/// what the op saves beyond the values on the tape. Name every field, because the tape prints it.
///
/// ```
/// use reparam::{InputGradients, Recorded, Rule, Tape};
///
/// /// y = x^3, saving nothing: the slope needs only x.
/// #[derive(Debug)]
/// struct Cube;
///
/// impl Rule for Cube {
///     fn name(&self) -> &'static str {
///         "cube"
///     }
///     fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
///         if let Some(dx) = gradients.add_to(0) {
///             for ((dx, x), dy) in dx.iter_mut().zip(node.input(0)).zip(node.gradient()) {
///                 *dx += 3.0 * x * x * dy;
///             }
///         }
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.variable(&[2.0], [1]);
/// let y = tape.record(Cube, &[x], [1], |inputs, y| y[0] = inputs[0][0].powi(3));
/// assert_eq!(y.sum().backward().of(x), Some(&[12.0][..]));
/// ```
pub trait Rule: Any + fmt::Debug + Send {
    /// The op's name, as the tape prints it.
    fn name(&self) -> &'static str;

    /// Adds this node's contribution to the gradients of its inputs, one input after another.
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>);

    /// The bytes that it saves, by default the size of the struct. A rule that owns a buffer adds the
    /// buffer's.
    fn saved_bytes(&self) -> usize {
        size_of_val(self)
    }
}

/// A record of a computation, which can then be differentiated.
///
/// A tape outlives a step. [`reset`](Tape::reset) forgets the nodes and keeps their buffers, so that a steady
/// training step allocates nothing.
///
/// ```
/// use reparam::Tape;
///
/// let tape = Tape::new();
/// let x = tape.variable(&[1.0, 2.0, 3.0], [3]);
/// let loss = (x * x).sum();
/// assert_eq!(loss.backward().of(x).unwrap(), [2.0, 4.0, 6.0]);
/// ```
#[derive(Debug)]
pub struct Tape {
    id: u64,
    nodes: RefCell<Nodes>,
    recording: bool,
    pool: GradientPool,
}

impl Default for Tape {
    fn default() -> Tape {
        Tape::new()
    }
}

/// A number unique to one recording of the process.
pub(crate) fn next_recording() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Tape {
        Tape {
            id: next_recording(),
            nodes: RefCell::default(),
            recording: true,
            pool: GradientPool::default(),
        }
    }

    /// A tape that computes values and keeps nothing for a backward pass: no rules, no saved state, no
    /// gradients.
    pub fn inference() -> Tape {
        Tape { recording: false, ..Tape::new() }
    }

    /// Forgets every node and releases the parameters, keeping all buffers for the next step.
    pub fn reset(&mut self) {
        // Gradients of the last recording do not apply to values of the next.
        self.id = next_recording();
        let nodes = self.nodes.get_mut();
        for node in &mut nodes.slots[..nodes.len] {
            node.value = Value::Own;
        }
        nodes.len = 0;
        nodes.leaves.clear();
    }

    /// Number of nodes.
    #[track_caller]
    pub fn len(&self) -> usize {
        self.nodes().len
    }

    /// Borrows the nodes. Panics while an op's `forward` runs.
    #[track_caller]
    fn nodes(&self) -> Ref<'_, Nodes> {
        let Ok(nodes) = self.nodes.try_borrow() else {
            panic!(
                "the tape is being written; inside an op's `forward`, read its inputs by position, and copy other \
                 values beforehand with .to_vec()"
            )
        };
        nodes
    }

    /// Borrows the nodes mutably. Panics while a value is still being read.
    #[track_caller]
    fn nodes_mut(&self) -> RefMut<'_, Nodes> {
        // A tape that is being written has its own message.
        drop(self.nodes());
        let Ok(nodes) = self.nodes.try_borrow_mut() else {
            panic!("a value on this tape is still borrowed while another is recorded; read it with .to_vec()")
        };
        nodes
    }

    /// Returns true if nothing has been recorded since the last reset.
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Data: a value without a gradient.
    ///
    /// # Panics
    /// If the number of elements does not match the shape.
    #[track_caller]
    pub fn input(&self, data: &[f32], shape: impl Into<Shape>) -> Var<'_> {
        self.leaf("input", data, shape.into(), false)
    }

    /// A value with a gradient, which [`Gradients::of`] returns.
    ///
    /// # Panics
    /// If the number of elements does not match the shape.
    #[track_caller]
    pub fn variable(&self, data: &[f32], shape: impl Into<Shape>) -> Var<'_> {
        self.leaf("variable", data, shape.into(), self.recording)
    }

    /// Data written by `fill` straight into the tape's buffer, which may hold old numbers when it is called.
    #[track_caller]
    pub fn input_with(&self, shape: impl Into<Shape>, fill: impl FnOnce(&mut [f32])) -> Var<'_> {
        self.leaf_with("input", Value::Own, shape.into(), fill)
    }

    /// Appends a node of `shape` computed from `inputs`. `forward` writes every element of its value, and
    /// `rule` passes gradients back. Every op is made this way, including your own: see [`Rule`].
    ///
    /// # Panics
    /// If an input belongs to another tape, or `forward` uses this tape other than through its inputs.
    #[track_caller]
    pub fn record<'t, R: Rule>(
        &'t self,
        rule: R,
        inputs: &[Var<'t>],
        shape: impl Into<Shape>,
        forward: impl FnOnce(Inputs<'_>, &mut [f32]),
    ) -> Var<'t> {
        let op = rule.name();
        self.check_owner(op, inputs);
        let mut nodes = self.nodes_mut();
        let shape = shape.into();
        let len = shape.len();
        nodes.push(op, shape);
        let count = nodes.len;
        let (earlier, rest) = nodes.slots.split_at_mut(count - 1);
        let node = &mut rest[0];
        node.inputs.extend(inputs.iter().map(|input| input.index()));
        node.buffer.resize(len);
        forward(Inputs { op, nodes: earlier, indices: &node.inputs }, &mut node.buffer);
        node.tracked = inputs.iter().any(|input| earlier[input.index() as usize].tracked);
        if node.tracked {
            node.keep_rule(rule);
        }
        self.last(&nodes)
    }

    /// Appends a node with the value of its first input under a new shape, without copying it. With a rule it
    /// passes gradients on; without one it is a constant.
    #[track_caller]
    pub(crate) fn record_view<'t, R: Rule>(
        &'t self,
        op: &'static str,
        rule: Option<R>,
        inputs: &[Var<'t>],
        shape: Shape,
    ) -> Var<'t> {
        self.check_owner(op, inputs);
        let mut nodes = self.nodes_mut();
        let tracked = inputs.iter().any(|input| nodes.slots[input.index() as usize].tracked);
        let holder = nodes.holder(inputs[0].index());
        let node = nodes.push(op, shape);
        node.inputs.extend(inputs.iter().map(|input| input.index()));
        node.value = Value::Of(holder);
        if let Some(rule) = rule.filter(|_| tracked) {
            node.tracked = true;
            node.keep_rule(rule);
        }
        self.last(&nodes)
    }

    #[track_caller]
    fn check_owner(&self, op: &str, inputs: &[Var<'_>]) {
        for (i, input) in inputs.iter().enumerate() {
            assert!(
                std::ptr::eq(input.tape(), self),
                "{op}: input {i} was recorded on another tape; bring its value over with tape.input"
            );
        }
    }

    fn last(&self, nodes: &Nodes) -> Var<'_> {
        Var::new(self, u32::try_from(nodes.len - 1).expect("fewer than 2^32 nodes"))
    }

    /// The value of a node.
    #[track_caller]
    pub(crate) fn value(&self, index: u32) -> Ref<'_, [f32]> {
        Ref::map(self.nodes(), |nodes| nodes.value(index))
    }

    /// The shape of a node.
    #[track_caller]
    pub(crate) fn shape(&self, index: u32) -> Shape {
        self.nodes().slots[index as usize].shape.clone()
    }

    /// True if gradients flow into a node.
    #[track_caller]
    pub(crate) fn is_tracked(&self, index: u32) -> bool {
        self.nodes().slots[index as usize].tracked
    }

    /// The gradients of the scalar at `root` with respect to everything it was computed from.
    #[track_caller]
    pub(crate) fn backward(&self, root: u32) -> Gradients {
        self.backward_watched(root, |_, _| {})
    }

    /// Like [`backward`](Self::backward), but shows `watch` each node whose rule has run and the gradients at
    /// that point.
    #[track_caller]
    pub(crate) fn backward_watched(&self, root: u32, watch: impl FnMut(u32, &Gradients)) -> Gradients {
        let nodes = self.nodes();
        let shape = &nodes.slots[root as usize].shape;
        assert!(
            self.recording,
            "backward: this tape was made by Tape::inference and keeps nothing for a backward pass"
        );
        assert!(
            shape.len() == 1,
            "backward: the loss must be one number, but its shape is {shape}; reduce it with .sum() or .mean()"
        );
        assert!(
            nodes.slots[root as usize].tracked,
            "backward: nothing that the loss was computed from has a gradient; Var::is_tracked tells where it ends \
             (a hard sample, an argmax and stop_gradient pass none on, inputs and frozen parameters have none)"
        );
        self.go_back(&nodes, root, watch)
    }

    /// Like [`backward`](Self::backward), but returns empty gradients when nothing is tracked.
    #[track_caller]
    pub(crate) fn gradients_if_any(&self, root: u32) -> Gradients {
        self.go_back(&self.nodes(), root, |_, _| {})
    }

    fn go_back(&self, nodes: &Nodes, root: u32, mut watch: impl FnMut(u32, &Gradients)) -> Gradients {
        let mut gradients = self.pool.take(self.id, root, &nodes.leaves);
        for index in (0..=root).rev() {
            let node = &nodes.slots[index as usize];
            let Some(rule) = node.rule() else { continue };
            let (inputs, output) = gradients.around(index);
            let Some(gradient) = output else { continue };
            let recorded = Recorded { nodes: &nodes.slots, node, index, gradient };
            rule.backward(recorded, &mut InputGradients::new(inputs, recorded));
            watch(index, &gradients);
        }
        gradients
    }

    /// Finds the first node that holds a NaN, or an infinity that is not a mask (-inf). If all values are
    /// finite and a gradient is not, [`to_table`](Self::to_table) shows where that begins.
    ///
    /// # Errors
    /// That node, if there is one.
    #[track_caller]
    pub fn check_finite(&self) -> Result<(), NotFinite> {
        let nodes = self.nodes();
        for index in 0..nodes.len {
            if matches!(nodes.slots[index].value, Value::Indices) {
                continue;
            }
            let value = nodes.value(index as u32);
            if let Some(element) = value.iter().position(|&x| x.is_nan() || x == f32::INFINITY) {
                let node = &nodes.slots[index];
                return Err(NotFinite { node: index, op: node.op, element, value: value[element] });
            }
        }
        Ok(())
    }

    /// Returns true if it keeps what a backward pass needs, which an [`inference`](Tape::inference) tape does
    /// not.
    pub fn is_recording(&self) -> bool {
        self.recording
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Calls `visit` on every node in order, for printing and drawing.
    #[track_caller]
    pub(crate) fn for_each(&self, mut visit: impl FnMut(NodeView<'_>)) {
        let nodes = self.nodes();
        // Leaves are in the order of their nodes.
        let mut leaves = nodes.leaves.iter().peekable();
        for index in 0..nodes.len {
            let node = &nodes.slots[index];
            let leaf = leaves.next_if(|leaf| leaf.node as usize == index);
            visit(NodeView {
                index,
                op: node.op,
                name: leaf.map(|leaf| &*leaf.name),
                shape: &node.shape,
                inputs: &node.inputs,
                rule: node.rule(),
                kept: &node.kept,
                tracked: node.tracked,
                owned: matches!(node.value, Value::Own | Value::Indices),
                value: nodes.value(index as u32),
                is_indices: matches!(node.value, Value::Indices),
            });
        }
    }
}
