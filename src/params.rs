//! Parameters: named buffers in declaration order, which tapes share and optimizers update.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reparam_ops::Buffer;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::shape::Shape;
use crate::tape::{Leaf, Tape};
use crate::var::Var;

/// The id of a parameter of one [`Params`]. Two layers given the same id are tied: its gradient is the sum
/// over both.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ParamId {
    store: u64,
    index: u32,
}

impl ParamId {
    /// Position in declaration order.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// True if both ids belong to the same [`Params`].
    pub(crate) fn shares_params_with(self, other: ParamId) -> bool {
        self.store == other.store
    }
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    shape: Shape,
    value: Arc<Buffer>,
    frozen: bool,
}

/// The parameters of a model, in the order of their declaration, named like `encoder.0.weight`.
///
/// ```
/// use reparam::{Params, Tape};
///
/// let mut params = Params::new();
/// let w = params.add("w", [2], vec![3.0, 4.0]);
/// let tape = Tape::new();
/// let gradients = params.on(&tape, w).square().sum().backward();
/// assert_eq!(gradients.parameter(w).unwrap(), [6.0, 8.0]);
/// ```
#[derive(Debug)]
pub struct Params {
    store: u64,
    entries: Vec<Entry>,
    /// True if there are only names and shapes, without values.
    is_outline: bool,
}

impl Default for Params {
    fn default() -> Params {
        Params::new()
    }
}

impl Params {
    /// No parameters yet.
    pub fn new() -> Params {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Params { store: NEXT.fetch_add(1, Ordering::Relaxed), entries: Vec::new(), is_outline: false }
    }

    /// Parameters with names and shapes only, to compare before allocating memory. [`zeros`](Self::zeros)
    /// makes no values for them.
    pub(crate) fn outline() -> Params {
        Params { is_outline: true, ..Params::new() }
    }

    /// Declares a parameter.
    ///
    /// # Panics
    /// If the name is taken, or the number of values does not match the shape.
    #[track_caller]
    pub fn add(&mut self, name: &str, shape: impl Into<Shape>, value: Vec<f32>) -> ParamId {
        let shape = shape.into();
        assert!(self.find(name).is_none(), "a parameter named `{name}` exists; give the layer another name");
        assert!(
            value.len() == shape.len(),
            "parameter `{name}`: {} values given for shape {shape}, which has {}",
            value.len(),
            shape.len()
        );
        self.push(name, shape, (&value[..]).into())
    }

    /// Declares a parameter, all 0. Its values come from an initialisation or a checkpoint.
    ///
    /// # Panics
    /// If the name is taken.
    #[track_caller]
    pub fn zeros(&mut self, name: &str, shape: impl Into<Shape>) -> ParamId {
        let shape = shape.into();
        match self.is_outline {
            true => self.push(name, shape, Buffer::new()),
            false => {
                let value = vec![0.0; shape.len()];
                self.add(name, shape, value)
            }
        }
    }

    fn push(&mut self, name: &str, shape: Shape, value: Buffer) -> ParamId {
        self.entries.push(Entry { name: name.into(), shape, value: Arc::new(value), frozen: false });
        ParamId { store: self.store, index: self.entries.len() as u32 - 1 }
    }

    /// The parameter on a tape: a leaf that shares the buffer until the tape is reset. Each call returns the
    /// same leaf, unless the parameter was frozen or unfrozen in between. Then there are two leaves, and
    /// gradients flow only into the one that is not frozen.
    ///
    /// # Panics
    /// If the id belongs to other parameters.
    #[track_caller]
    pub fn on<'t>(&self, tape: &'t Tape, id: ParamId) -> Var<'t> {
        let entry = self.entry(id);
        tape.parameter(id, &entry.name, &entry.shape, &entry.value, entry.frozen)
    }

    /// Number of parameters (tensors).
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of elements in the parameters that are not frozen.
    pub fn elements(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.frozen).map(|entry| entry.value.len()).sum()
    }

    /// All ids, in declaration order.
    pub fn ids(&self) -> impl Iterator<Item = ParamId> + use<> {
        let store = self.store;
        (0..self.entries.len() as u32).map(move |index| ParamId { store, index })
    }

    /// The parameter of that name.
    pub fn find(&self, name: &str) -> Option<ParamId> {
        let index = self.entries.iter().position(|entry| &*entry.name == name)?;
        Some(ParamId { store: self.store, index: index as u32 })
    }

    /// A parameter's name.
    #[track_caller]
    pub fn name(&self, id: ParamId) -> &str {
        &self.entry(id).name
    }

    /// A parameter's shape.
    #[track_caller]
    pub fn shape(&self, id: ParamId) -> &Shape {
        &self.entry(id).shape
    }

    /// A parameter's values.
    #[track_caller]
    pub fn value(&self, id: ParamId) -> &[f32] {
        &self.entry(id).value
    }

    /// A parameter's values, mutably.
    ///
    /// # Panics
    /// If a tape still shares them.
    #[track_caller]
    pub fn value_mut(&mut self, id: ParamId) -> &mut [f32] {
        self.check(id);
        match self.free_value(id) {
            Ok(value) => value,
            Err(mistake) => panic!("{mistake}"),
        }
    }

    /// The values of one of these parameters, to change them.
    ///
    /// # Errors
    /// A sentence, if a tape still shares them.
    pub(crate) fn free_value(&mut self, id: ParamId) -> std::result::Result<&mut [f32], String> {
        let Entry { name, value, .. } = &mut self.entries[id.index()];
        match Arc::get_mut(value) {
            Some(value) => Ok(value),
            None => {
                Err(format!("parameter `{name}` is still on a tape; call tape.reset() before changing it"))
            }
        }
    }

    /// Saves all values into a checkpoint, each as a tensor named `prefix` followed by the parameter's name.
    ///
    /// # Panics
    /// If the checkpoint already has a tensor of the same name.
    #[track_caller]
    pub fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        self.save_values(prefix, self.ids().map(|id| self.value(id)), checkpoint);
    }

    /// Like [`save`](Self::save), with `values` in place of the parameters' own.
    #[track_caller]
    pub(crate) fn save_values<'v>(
        &self,
        prefix: &str,
        values: impl IntoIterator<Item = &'v [f32]>,
        checkpoint: &mut Checkpoint,
    ) {
        for (id, value) in self.ids().zip(values) {
            checkpoint.put(&format!("{prefix}{}", self.name(id)), self.shape(id), value);
        }
    }

    /// The values that [`save_values`](Self::save_values) stored.
    pub(crate) fn saved_values<'c>(
        &self,
        prefix: &str,
        checkpoint: &'c Checkpoint,
    ) -> Result<Vec<&'c [f32]>> {
        let value = |id| checkpoint.shaped(&format!("{prefix}{}", self.name(id)), self.shape(id));
        self.ids().map(value).collect()
    }

    /// Loads what [`save`](Self::save) stored into parameters declared the same way.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape. All values are then unchanged.
    ///
    /// # Panics
    /// If a tape still shares a parameter.
    #[track_caller]
    pub fn restore(&mut self, prefix: &str, checkpoint: &Checkpoint) -> Result<()> {
        let values = self.saved_values(prefix, checkpoint)?;
        for (id, value) in self.ids().zip(values) {
            self.value_mut(id).copy_from_slice(value);
        }
        Ok(())
    }

    /// Freezes a parameter. From now on it gets no gradient and optimizers skip it.
    ///
    /// ```
    /// use reparam::{Params, Tape};
    ///
    /// let mut params = Params::new();
    /// let w = params.add("w", [1], vec![3.0]);
    /// params.freeze(w);
    /// assert!(!params.on(&Tape::new(), w).is_tracked());
    /// params.unfreeze(w);
    /// assert!(params.on(&Tape::new(), w).is_tracked());
    /// ```
    #[track_caller]
    pub fn freeze(&mut self, id: ParamId) {
        self.check(id);
        self.entries[id.index()].frozen = true;
    }

    /// Makes a parameter trainable again.
    #[track_caller]
    pub fn unfreeze(&mut self, id: ParamId) {
        self.check(id);
        self.entries[id.index()].frozen = false;
    }

    /// Returns true if a parameter is frozen.
    #[track_caller]
    pub fn is_frozen(&self, id: ParamId) -> bool {
        self.entry(id).frozen
    }

    /// The leaf that a tape would have for a parameter, except for its position.
    pub(crate) fn leaf(&self, id: ParamId) -> Leaf {
        Leaf { parameter: id, name: self.entry(id).name.clone(), node: 0, tracked: true }
    }

    #[track_caller]
    fn entry(&self, id: ParamId) -> &Entry {
        self.check(id);
        &self.entries[id.index()]
    }

    #[track_caller]
    fn check(&self, id: ParamId) {
        assert!(id.store == self.store, "this parameter id belongs to other Params");
    }
}
