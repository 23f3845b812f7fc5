//! Copies by position: `slice`, `concat`, `gather` and `select`.

use std::ops::Range;

use reparam_ops::index::{self as kernel, Span};
use smallvec::SmallVec;

use crate::gradients::InputGradients;
use crate::shape::Shape;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, tier};

/// y = a range of an axis of x.
#[derive(Debug)]
struct Slice {
    span: Span,
}

impl Rule for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dx) = gradients.add_to(0) {
            kernel::add_to_span(self.span, node.gradient(), dx);
        }
    }
}

/// y = the inputs one after another along `axis`.
#[derive(Debug)]
struct Concat {
    axis: usize,
}

impl Concat {
    /// The span of an input of `len` positions in the whole.
    fn span(&self, whole: &Shape, start: usize, len: usize) -> Span {
        Span { axis: whole.dims()[self.axis], inner: whole.inner(self.axis), start, len }
    }
}

impl Rule for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let mut start = 0;
        for i in 0..node.inputs() {
            let len = node.input_shape(i).dims()[self.axis];
            if let Some(dx) = gradients.add_to(i) {
                kernel::add_from_span(self.span(node.shape(), start, len), node.gradient(), dx);
            }
            start += len;
        }
    }
}

/// y\[i\] = x\[indices\[i\]\], rows of `width`. The indices are the second input.
#[derive(Debug)]
struct Gather {
    width: usize,
}

impl Rule for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dx) = gradients.add_to(0) {
            let indices = bytemuck::cast_slice(node.input(1));
            kernel::scatter_add(tier(), indices, self.width, node.gradient(), dx);
        }
    }
}

/// y\[r\] = x\[r, indices\[r\]\]. The indices are the second input.
#[derive(Debug)]
struct Select {
    classes: usize,
}

impl Rule for Select {
    fn name(&self) -> &'static str {
        "select"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dx) = gradients.add_to(0) {
            kernel::select_backward(bytemuck::cast_slice(node.input(1)), self.classes, node.gradient(), dx);
        }
    }
}

/// Panics unless every index is below `bound`, the number of `what`.
#[track_caller]
pub(crate) fn check_indices(op: &str, indices: &[u32], bound: usize, what: &str) {
    if let Some(i) = indices.iter().position(|&index| index as usize >= bound) {
        panic!("{op}: index {} at position {i}, but there are {bound} {what}; they count from 0", indices[i]);
    }
}

/// # Parts of a value
impl<'t> Var<'t> {
    /// The positions `range` of one axis; the other axes stay whole.
    ///
    /// # Panics
    /// If there is no such axis, or the range does not lie within it.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
    /// assert_eq!(x.slice(1, 1..3).to_vec(), [2.0, 3.0, 5.0, 6.0]);
    /// ```
    #[track_caller]
    pub fn slice(self, axis: usize, range: Range<usize>) -> Var<'t> {
        let shape = self.shape();
        assert!(axis < shape.rank(), "slice: axis {axis} of a value of shape {shape}; axes count from 0");
        let length = shape.dims()[axis];
        assert!(
            range.start <= range.end && range.end <= length,
            "slice: {range:?} of axis {axis} of a value of shape {shape}; that axis has positions 0..{length}"
        );
        let span = Span { axis: length, inner: shape.inner(axis), start: range.start, len: range.len() };
        self.tape().record(Slice { span }, &[self], shape.with_axis(axis, range.len()), |x, y| {
            kernel::read_span(span, &x[0], y);
        })
    }

    /// Joins values one after another along an axis. Their other axes must agree.
    ///
    /// # Panics
    /// If there is no value, no such axis, or another axis differs.
    ///
    /// # Examples
    /// ```
    /// use reparam::{Tape, Var};
    ///
    /// let tape = Tape::new();
    /// let a = tape.variable(&[1.0, 2.0], [2, 1]);
    /// let b = tape.variable(&[3.0, 4.0], [2, 1]);
    /// assert_eq!(Var::concat(&[a, b], 1).to_vec(), [1.0, 3.0, 2.0, 4.0]);
    /// ```
    #[track_caller]
    pub fn concat(values: &[Var<'t>], axis: usize) -> Var<'t> {
        let Some(first) = values.first() else { panic!("concat: no values given; at least one is needed") };
        let shape = first.shape();
        assert!(axis < shape.rank(), "concat: axis {axis} of a value of shape {shape}; axes count from 0");
        let mut lengths = SmallVec::<[usize; 8]>::new();
        for (i, value) in values.iter().enumerate() {
            let other = value.shape();
            assert!(
                other.rank() == shape.rank() && other.with_axis(axis, 0) == shape.with_axis(axis, 0),
                "concat: value 0 is {shape} and value {i} {other}; all axes but axis {axis} must agree"
            );
            lengths.push(other.dims()[axis]);
        }
        let sum = |sum: usize, &len: &usize| sum.checked_add(len);
        let Some(length) = lengths.iter().try_fold(0, sum) else {
            panic!("concat: axis {axis} of {} values has too many positions", values.len())
        };
        let whole = shape.with_axis(axis, length);
        let rule = Concat { axis };
        first.tape().record(Concat { axis }, values, whole.clone(), |x, y| {
            let mut start = 0;
            for (i, &len) in lengths.iter().enumerate() {
                kernel::write_span(rule.span(&whole, start, len), &x[i], y);
                start += len;
            }
        })
    }

    /// The positions `indices` of the first axis, in that order, repeated or not, as in an embedding table's
    /// lookup. Gradients add up where an index repeats.
    ///
    /// # Precision
    /// The error of the gradient is at most 1e-6 times the sum of the absolute values of its terms, even if
    /// an index repeats a million times. For an index that repeats up to 128 times, the gradient has the
    /// precision of [`sum_axis`](Self::sum_axis).
    ///
    /// # Saved
    /// The indices, as a leaf of the tape.
    ///
    /// # Panics
    /// If it has no axis, or an index lies outside the first one.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(&[1.0, 2.0, 3.0, 4.0], [2, 2]);
    /// let y = x.gather(&[1, 1, 0]);
    /// assert_eq!(y.to_vec(), [3.0, 4.0, 3.0, 4.0, 1.0, 2.0]);
    /// assert_eq!(y.sum().backward().of(x).unwrap(), [1.0, 1.0, 2.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn gather(self, indices: &[u32]) -> Var<'t> {
        let shape = self.shape();
        assert!(shape.rank() > 0, "gather: a scalar has no rows; reshape it to one axis first");
        check_indices("gather", indices, shape.dims()[0], "rows");
        let width = shape.inner(0);
        let inputs = [self, self.tape().indices(indices)];
        self.tape().record(Gather { width }, &inputs, shape.with_axis(0, indices.len()), |x, y| {
            kernel::gather(indices, width, &x[0], y);
        })
    }

    /// One entry of each row: y\[r\] = x\[r, indices\[r\]\]. Rows run along the last axis, which disappears.
    ///
    /// # Saved
    /// The indices, as a leaf of the tape.
    ///
    /// # Panics
    /// If the number of indices is not the number of rows, or an index lies outside the last axis.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(&[1.0, 2.0, 3.0, 4.0], [2, 2]);
    /// assert_eq!(x.select(&[1, 0]).to_vec(), [2.0, 3.0]);
    /// ```
    #[track_caller]
    pub fn select(self, indices: &[u32]) -> Var<'t> {
        let shape = self.shape();
        let (rows, classes) = (shape.rows(), shape.classes());
        assert!(
            indices.len() == rows.len(),
            "select: {} indices for a value of shape {shape}; one per row is needed, {}",
            indices.len(),
            rows.len()
        );
        check_indices("select", indices, classes, "entries in a row");
        let inputs = [self, self.tape().indices(indices)];
        self.tape().record(Select { classes }, &inputs, rows, |x, y| {
            kernel::select(indices, classes, &x[0], y);
        })
    }
}
