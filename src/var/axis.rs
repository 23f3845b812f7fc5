//! Reductions and broadcasting: sums over an axis and repetition along one, each the other's gradient.

use reparam_ops::axis as kernel;

use crate::gradients::InputGradients;
use crate::shape::Shape;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, tier};

/// y = the sum of all elements.
#[derive(Debug)]
struct Sum;

impl Rule for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let dy = node.gradient();
        if let Some(dx) = gradients.add_to(0) {
            kernel::add_repeat(tier(), dx.len(), 1, dy, dx);
        }
    }
}

/// y = sums over the middle axis of `outer x n x inner`.
#[derive(Debug)]
struct SumAxis {
    n: usize,
    inner: usize,
}

impl Rule for SumAxis {
    fn name(&self) -> &'static str {
        "sum_axis"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dx) = gradients.add_to(0) {
            kernel::add_repeat(tier(), self.n, self.inner, node.gradient(), dx);
        }
    }
}

/// y = x repeated `n` times along a new middle axis of `outer x n x inner`.
#[derive(Debug)]
struct Repeat {
    n: usize,
    inner: usize,
}

impl Rule for Repeat {
    fn name(&self) -> &'static str {
        "repeat"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dx) = gradients.add_to(0) {
            kernel::add_sum(tier(), self.n, self.inner, node.gradient(), dx);
        }
    }
}

/// # Sums, means and broadcasting
impl<'t> Var<'t> {
    /// The sum of all elements, a scalar.
    ///
    /// # Precision
    /// The error is at most 1e-6 times the sum of the absolute values, even for ten million equal terms.
    #[track_caller]
    pub fn sum(self) -> Var<'t> {
        self.tape().record(Sum, &[self], Shape::scalar(), |x, y| y[0] = kernel::sum(tier(), &x[0]))
    }

    /// The mean of all elements, a scalar, with the precision of [`sum`](Self::sum).
    #[track_caller]
    pub fn mean(self) -> Var<'t> {
        self.sum() / self.shape().len() as f32
    }

    /// Sums over one axis, which disappears.
    ///
    /// # Precision
    /// The error is at most 1e-6 times the sum of the absolute values, even for ten million equal terms. The
    /// gradient of broadcasting is such a sum. Up to 128 terms are added one after another. The error,
    /// relative to the same sum, is then below 2e-6 if the terms are equal, and at most 8e-6 in any case.
    ///
    /// # Panics
    /// If there is no such axis.
    #[track_caller]
    pub fn sum_axis(self, axis: usize) -> Var<'t> {
        let shape = self.shape();
        assert!(axis < shape.rank(), "sum_axis: axis {axis} of a value of shape {shape}; axes count from 0");
        let (n, inner) = (shape.dims()[axis], shape.inner(axis));
        self.tape().record(SumAxis { n, inner }, &[self], shape.without_axis(axis), |x, y| {
            y.fill(0.0);
            kernel::add_sum(tier(), n, inner, &x[0], y);
        })
    }

    /// Means over one axis, which disappears, with the precision of [`sum_axis`](Self::sum_axis).
    ///
    /// # Panics
    /// If there is no such axis.
    #[track_caller]
    pub fn mean_axis(self, axis: usize) -> Var<'t> {
        let sum = self.sum_axis(axis);
        sum / self.shape().dims()[axis] as f32
    }

    /// Stretches the value to `shape` by NumPy's rule: missing axes are added in front, and axes of length 1
    /// repeat.
    ///
    /// # Precision
    /// The gradient sums over the repetitions, with the precision of [`sum_axis`](Self::sum_axis).
    ///
    /// # Panics
    /// If it does not stretch to `shape`.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Var<'t> {
        let (from, to) = (self.shape(), shape.into());
        assert!(
            from.broadcast(&to).as_ref() == Some(&to),
            "broadcast_to: {from} does not stretch to {to}; axes are aligned at the end, and only length 1 stretches"
        );
        self.stretch(&to)
    }

    /// Both operands, stretched to their common shape.
    #[track_caller]
    pub(crate) fn broadcast_with(self, other: Var<'t>, op: &str) -> (Var<'t>, Var<'t>) {
        let (a, b) = (self.shape(), other.shape());
        if a == b {
            return (self, other);
        }
        let Some(shape) = a.broadcast(&b) else {
            panic!(
                "{op}: shapes {a} and {b} do not broadcast; axes are aligned at the end, and only length 1 stretches"
            )
        };
        (self.stretch(&shape), other.stretch(&shape))
    }

    /// Stretches to a shape, with one repetition for each run of neighbouring axes that stretch.
    #[track_caller]
    fn stretch(self, to: &Shape) -> Var<'t> {
        let mut value = self;
        while value.shape().rank() < to.rank() {
            value = value.reshape(value.shape().with_first_axis());
        }
        let mut end = to.rank();
        while end > 0 {
            let stretches = |axis: usize| value.shape().dims()[axis] != to.dims()[axis];
            if !stretches(end - 1) {
                end -= 1;
                continue;
            }
            let mut start = end - 1;
            while start > 0 && value.shape().dims()[start - 1] == 1 {
                start -= 1;
            }
            value = value.repeat(start, end, to);
            end = start;
        }
        value
    }

    /// Repeats along axes `start..end`, all of length 1, up to the lengths in `to`.
    #[track_caller]
    fn repeat(self, start: usize, end: usize, to: &Shape) -> Var<'t> {
        let mut shape = self.shape();
        for axis in start..end {
            shape = shape.with_axis(axis, to.dims()[axis]);
        }
        let n = to.elements(&to.dims()[start..end]);
        let inner = shape.inner(end - 1);
        self.tape().record(Repeat { n, inner }, &[self], shape, |x, y| {
            y.fill(0.0);
            kernel::add_repeat(tier(), n, inner, &x[0], y);
        })
    }
}
