//! Gradients, the result of a backward pass. They own their buffers, so there is nothing to zero before the
//! next step, and return them to the tape when dropped.

use std::sync::{Arc, Mutex};

use reparam_ops::{Buffer, Write};

use crate::params::{ParamId, Params};
use crate::tape::{Leaf, Recorded, next_recording};
use crate::var::{Var, tier};

/// The gradient of one node, absent until something has been added to it.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    buffer: Buffer,
    present: bool,
}

#[derive(Debug, Default)]
struct Storage {
    /// One for each node up to the loss, then one for each parameter that only other batches used. The rest
    /// wait for the next backward pass.
    slots: Vec<Slot>,
    nodes: usize,
    used: usize,
    leaves: Vec<Leaf>,
}

/// The most dropped gradients whose buffers are kept. No step has more at a time, and each may be as large as
/// the tape.
const MOST_KEPT: usize = 8;

/// The buffers of dropped gradients, for the next backward pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct GradientPool(Arc<Mutex<Vec<Storage>>>);

impl GradientPool {
    /// Gradients in which only the gradient of `root`, 1, is present.
    pub(crate) fn take(&self, tape: u64, root: u32, leaves: &[Leaf]) -> Gradients {
        let mut storage = self.0.lock().ok().and_then(|mut free| free.pop()).unwrap_or_default();
        let count = root as usize + 1;
        if storage.slots.len() < count {
            storage.slots.resize_with(count, Slot::default);
        }
        storage.slots.iter_mut().for_each(|slot| slot.present = false);
        (storage.nodes, storage.used) = (count, count);
        storage.leaves.clear();
        storage.leaves.extend(leaves.iter().filter(|leaf| leaf.tracked && leaf.node <= root).cloned());
        let slot = &mut storage.slots[root as usize];
        slot.buffer.copy_from(&[1.0]);
        slot.present = true;
        Gradients { tape, storage, pool: self.clone() }
    }
}

/// The gradients of a loss, with respect to parameters by id, and to any value on the tape by its [`Var`]
/// until the tape is reset.
///
/// Gradients of several batches add up: `a += &b`.
#[derive(Debug)]
pub struct Gradients {
    tape: u64,
    storage: Storage,
    pool: GradientPool,
}

impl Drop for Gradients {
    fn drop(&mut self) {
        if let Ok(mut free) = self.pool.0.lock()
            && free.len() < MOST_KEPT
        {
            free.push(std::mem::take(&mut self.storage));
        }
    }
}

impl Default for Gradients {
    fn default() -> Gradients {
        Gradients::new()
    }
}

impl Gradients {
    /// Empty gradients, to [`add`](Self::add) gradients that do not come from a tape, for example from
    /// another process.
    ///
    /// ```
    /// use reparam::optim::Sgd;
    /// use reparam::{Gradients, Params};
    ///
    /// let mut params = Params::new();
    /// let w = params.add("w", [2], vec![3.0, 4.0]);
    /// let mut gradients = Gradients::new();
    /// gradients.add(&params, w, &[1.0, 0.0]);
    /// Sgd::new(0.5, 0.0).step(&mut params, &gradients);
    /// assert_eq!(params.value(w), [2.5, 4.0]);
    /// ```
    pub fn new() -> Gradients {
        Gradients { tape: next_recording(), storage: Storage::default(), pool: GradientPool::default() }
    }

    /// Adds to the gradient of a parameter, frozen or not. Optimizers skip frozen ones.
    ///
    /// # Panics
    /// If `gradient` has another length than the parameter, or the id belongs to other parameters.
    #[track_caller]
    pub fn add(&mut self, params: &Params, id: ParamId, gradient: &[f32]) {
        let (shape, found) = (params.shape(id), gradient.len());
        assert!(
            shape.len() == found,
            "Gradients::add: {found} numbers for `{}` of shape {shape}",
            params.name(id)
        );
        self.add_of(|| params.leaf(id), id, gradient);
    }

    /// Adds to the gradient of parameter `id`, for which `leaf` makes a leaf if there is none yet.
    fn add_of(&mut self, leaf: impl FnOnce() -> Leaf, id: ParamId, more: &[f32]) {
        let node = self.leaf(id).unwrap_or_else(|| {
            let Storage { slots, used, leaves, .. } = &mut self.storage;
            if *used == slots.len() {
                slots.push(Slot::default());
            }
            slots[*used].present = false;
            leaves.push(Leaf { node: *used as u32, ..leaf() });
            *used += 1;
            *used as u32 - 1
        });
        let slot = &mut self.storage.slots[node as usize];
        if slot.present {
            reparam_ops::elementwise::add_scaled(tier(), 1.0, more, &mut slot.buffer);
        } else {
            slot.buffer.copy_from(more);
            slot.present = true;
        }
    }

    /// The gradient with respect to a value on the tape; `None` if the loss does not depend on it, or only
    /// through values that have no gradient.
    ///
    /// # Panics
    /// If `var` was not recorded on the same tape as the loss and since the same reset.
    #[track_caller]
    pub fn of(&self, var: Var<'_>) -> Option<&[f32]> {
        assert!(
            var.tape().id() == self.tape,
            "Gradients::of: the value was recorded on another tape than the loss, or before or after a reset of it"
        );
        self.node(var.index()).filter(|_| (var.index() as usize) < self.storage.nodes)
    }

    /// The gradient with respect to a parameter; `None` if the loss does not depend on it or it was frozen
    /// then.
    pub fn parameter(&self, id: ParamId) -> Option<&[f32]> {
        self.node(self.leaf(id)?)
    }

    /// The parameters that have a gradient, in the order in which the loss first used them.
    pub fn parameters(&self) -> impl Iterator<Item = ParamId> + '_ {
        self.storage
            .leaves
            .iter()
            .filter(|leaf| self.storage.slots[leaf.node as usize].present)
            .map(|leaf| leaf.parameter)
    }

    /// Multiplies the gradient of every parameter by `factor`.
    ///
    /// # Panics
    /// If the factor is not finite.
    #[track_caller]
    pub fn scale(&mut self, factor: f32) {
        assert!(
            factor.is_finite(),
            "Gradients::scale: the factor must be finite, it is {factor}; 1 changes nothing"
        );
        self.scale_by(factor);
    }

    fn scale_by(&mut self, factor: f32) {
        self.for_each_parameter(|gradient| gradient.iter_mut().for_each(|g| *g *= factor));
    }

    /// The Euclidean norm over all parameters, summed in f64.
    pub fn norm(&self) -> f64 {
        let squares =
            |id| self.parameter(id).unwrap_or(&[]).iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>();
        self.parameters().map(squares).sum::<f64>().sqrt()
    }

    /// Scales all parameters' gradients so that their joint norm is at most `max`, and returns the norm
    /// before. If that is not finite, no scale helps and the gradients are useless.
    ///
    /// # Panics
    /// If `max` is not a finite number above 0.
    #[track_caller]
    pub fn clip_norm(&mut self, max: f64) -> f64 {
        assert!(
            max > 0.0 && max.is_finite(),
            "Gradients::clip_norm: the largest norm must be finite and above 0, it is {max}; for no limit do not clip"
        );
        let norm = self.norm();
        if norm > max {
            self.scale_by((max / norm) as f32);
        }
        norm
    }

    /// Limits every entry of every parameter's gradient to `[-max, max]`.
    ///
    /// ```
    /// use reparam::{Gradients, Params};
    ///
    /// let mut params = Params::new();
    /// let w = params.add("w", [3], vec![0.0; 3]);
    /// let mut gradients = Gradients::new();
    /// gradients.add(&params, w, &[0.3, -7.0, 7.0]);
    /// gradients.clip_value(1.0);
    /// assert_eq!(gradients.parameter(w).unwrap(), [0.3, -1.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If `max` is not a finite number above 0.
    #[track_caller]
    pub fn clip_value(&mut self, max: f32) {
        assert!(
            max > 0.0 && max.is_finite(),
            "Gradients::clip_value: the largest entry must be finite and above 0, it is {max}; for no limit do not clip"
        );
        self.for_each_parameter(|gradient| gradient.iter_mut().for_each(|g| *g = g.clamp(-max, max)));
    }

    fn for_each_parameter(&mut self, mut change: impl FnMut(&mut [f32])) {
        let Storage { slots, leaves, .. } = &mut self.storage;
        for leaf in leaves {
            let slot = &mut slots[leaf.node as usize];
            if slot.present {
                change(&mut slot.buffer);
            }
        }
    }

    fn leaf(&self, id: ParamId) -> Option<u32> {
        self.storage.leaves.iter().find(|leaf| leaf.parameter == id).map(|leaf| leaf.node)
    }

    fn node(&self, index: u32) -> Option<&[f32]> {
        self.storage.slots.get(index as usize).filter(|slot| slot.present).map(|slot| &slot.buffer[..])
    }

    /// The slots before `index`, exclusively, and its own gradient.
    pub(crate) fn around(&mut self, index: u32) -> (&mut [Slot], Option<&[f32]>) {
        let (inputs, rest) = self.storage.slots.split_at_mut(index as usize);
        (inputs, rest[0].present.then_some(&rest[0].buffer[..]))
    }
}

/// Adds the parameters' gradients of another batch. Values that are not parameters keep their gradients.
impl std::ops::AddAssign<&Gradients> for Gradients {
    fn add_assign(&mut self, other: &Gradients) {
        for theirs in &other.storage.leaves {
            if let Some(more) = other.node(theirs.node) {
                self.add_of(|| theirs.clone(), theirs.parameter, more);
            }
        }
    }
}

/// The gradients of one node's inputs while its rule runs.
#[derive(Debug)]
pub struct InputGradients<'a> {
    slots: &'a mut [Slot],
    node: Recorded<'a>,
}

impl<'a> InputGradients<'a> {
    pub(crate) fn new(slots: &'a mut [Slot], node: Recorded<'a>) -> InputGradients<'a> {
        InputGradients { slots, node }
    }

    /// Returns true if input `i` has a gradient to add to.
    ///
    /// # Panics
    /// If the op was recorded with fewer inputs.
    #[track_caller]
    pub fn wants(&self, i: usize) -> bool {
        self.node.input_slot(i).1
    }

    /// The gradient of input `i` to add to, which starts at zero; `None` if that input has no gradient.
    ///
    /// # Panics
    /// If the op was recorded with fewer inputs.
    #[track_caller]
    pub fn add_to(&mut self, i: usize) -> Option<&mut [f32]> {
        let (gradient, write) = self.write_to(i)?;
        if write == Write::Replace {
            gradient.fill(0.0);
        }
        Some(gradient)
    }

    /// The gradient of input `i` and how to write it: replace every element the first time, add later. This
    /// avoids the zeroing of [`add_to`](Self::add_to). `None` if that input has no gradient.
    ///
    /// # Panics
    /// If the op was recorded with fewer inputs.
    #[track_caller]
    pub fn write_to(&mut self, i: usize) -> Option<(&mut [f32], Write)> {
        let (index, tracked) = self.node.input_slot(i);
        if !tracked {
            return None;
        }
        let slot = &mut self.slots[index as usize];
        let write = if slot.present { Write::Add } else { Write::Replace };
        slot.buffer.resize(self.node.input_shape(i).len());
        slot.present = true;
        Some((&mut slot.buffer, write))
    }
}
