//! `Var`: a handle to a value on a tape. Each op is one file in this folder: its rule and its method on
//! `Var`.

use std::cell::Ref;
use std::fmt;

use crate::gradients::Gradients;
use crate::numbers::Numbers;
use crate::shape::Shape;
use crate::tape::Tape;

// By topic, in the order in which the documentation of `Var` shows their methods.

// Relaxed and straight-through samples, whose gradient passes through.
mod binary_concrete;
mod gaussian;
mod gumbel_rao;
mod gumbel_softmax;
mod st_argmax;
mod st_categorical;

// Relaxed samples in log space, with densities.
mod exp_concrete;
mod logit_binary_concrete;

// Hard samples.
mod bernoulli;
mod categorical;
mod gumbel_max;

// Changes to the gradient of a value.
mod with_logits_gradient;

// Divergences and losses.
mod bce_with_logits;
mod bernoulli_kl;
mod categorical_kl;
mod cross_entropy;

// Rows of classes.
mod masked;
pub(crate) mod softmax;

// Sums, shapes and positions.
mod axis;
pub(crate) mod index;
mod transpose;
mod view;

// Products and arithmetic.
mod elementwise;
mod linear;
mod matmul;

pub(crate) mod temperature;

pub use reparam_ops::linear::Activation;
pub use temperature::Temperature;

/// A value on a tape. It holds a tape and a position, and is cheap to copy. Arithmetic works as in NumPy,
/// including broadcasting.
///
/// ```
/// use reparam::Tape;
///
/// let tape = Tape::new();
/// let x = tape.variable(&[1.0, 2.0, 3.0, 4.0], [2, 2]);
/// let row = tape.variable(&[10.0, 20.0], [2]);
/// let y = 2.0 * x + row;
/// assert_eq!(y.to_vec(), [12.0, 24.0, 16.0, 28.0]);
/// assert_eq!(y.sum().backward().of(row).unwrap(), [2.0, 2.0]);
/// ```
#[derive(Clone, Copy)]
pub struct Var<'t> {
    tape: &'t Tape,
    index: u32,
}

/// # Values and gradients
impl<'t> Var<'t> {
    pub(crate) fn new(tape: &'t Tape, index: u32) -> Var<'t> {
        Var { tape, index }
    }

    /// The tape it is recorded on.
    pub fn tape(self) -> &'t Tape {
        self.tape
    }

    /// Position on the tape.
    pub fn index(self) -> u32 {
        self.index
    }

    /// The lengths of its axes.
    #[track_caller]
    pub fn shape(self) -> Shape {
        self.tape.shape(self.index)
    }

    /// Its numbers, row-major. The borrow must end before the next op is recorded; [`to_vec`](Self::to_vec)
    /// copies them.
    #[track_caller]
    pub fn value(self) -> Ref<'t, [f32]> {
        self.tape.value(self.index)
    }

    /// A copy of its numbers, row-major.
    #[track_caller]
    pub fn to_vec(self) -> Vec<f32> {
        self.value().to_vec()
    }

    /// The number of a single-element value.
    ///
    /// # Panics
    /// If it does not have exactly one element.
    #[track_caller]
    pub fn item(self) -> f32 {
        let value = self.value();
        assert!(value.len() == 1, "item: expected one number, the shape is {}", self.shape());
        value[0]
    }

    /// The length of the last axis, which holds the classes.
    ///
    /// # Panics
    /// If there are none.
    #[track_caller]
    pub(crate) fn classes(self, op: &str) -> usize {
        let shape = self.shape();
        assert!(
            shape.classes() > 0,
            "{op}: the shape {shape} leaves no classes; the last axis must have some"
        );
        shape.classes()
    }

    /// Returns true if gradients flow into it.
    #[track_caller]
    pub fn is_tracked(self) -> bool {
        self.tape.is_tracked(self.index)
    }

    /// The gradients of this number with respect to everything it was computed from.
    ///
    /// # Panics
    /// If it is not a single number, nothing it was computed from has a gradient
    /// ([`is_tracked`](Self::is_tracked)), or the tape is an inference tape.
    #[track_caller]
    pub fn backward(self) -> Gradients {
        self.tape.backward(self.index)
    }

    /// Like [`backward`](Self::backward), but returns empty gradients when nothing is tracked.
    #[track_caller]
    pub(crate) fn gradients_if_any(self) -> Gradients {
        self.tape.gradients_if_any(self.index)
    }
}

impl fmt::Debug for Var<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, values) = (self.shape(), self.value());
        let numbers = Numbers { values: &values, classes: shape.classes(), are_indices: false };
        write!(f, "%{} {shape} {}", self.index, numbers.line())
    }
}

/// The shape that two values must share, because broadcasting a sample or a target is more often a mistake
/// than intended.
#[track_caller]
pub(crate) fn one_shape(
    op: &str,
    (name, value): (&str, Var<'_>),
    (other_name, other): (&str, Var<'_>),
) -> Shape {
    let (shape, other_shape) = (value.shape(), other.shape());
    assert!(
        shape == other_shape,
        "{op}: {name} is {shape} and {other_name} {other_shape}; they must have the same shape{}",
        to_one_shape(&shape, &other_shape)
    );
    shape
}

/// Returns a hint, as the end of a sentence, for an op that gives two values one shape. The hint is empty if
/// no op does.
fn to_one_shape(a: &Shape, b: &Shape) -> String {
    if a.len() == b.len() {
        let is_transposed = a.rank() > 1 && a.transposed() == *b;
        let transpose = if is_transposed { ".transpose() or " } else { "" };
        return format!(": use {transpose}.reshape({b})");
    }
    match a.broadcast(b) {
        Some(both) => format!(": use .broadcast_to({both})"),
        None => String::new(),
    }
}

/// The tier that every op of this process runs on.
pub(crate) fn tier() -> reparam_ops::Tier {
    reparam_ops::Tier::best()
}
