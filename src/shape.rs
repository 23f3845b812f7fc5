//! Shapes: the lengths of a value's axes, outermost first, and NumPy's broadcasting rule.

use std::fmt;

use smallvec::SmallVec;

/// The lengths of a value's axes, row-major. `[]` is a scalar.
///
/// ```
/// use reparam::Shape;
///
/// let shape = Shape::from([2000, 10]);
/// assert_eq!(shape.len(), 20_000);
/// assert_eq!(shape.to_string(), "[2000, 10]");
/// ```
#[derive(PartialEq, Eq, Hash, Default)]
pub struct Shape(SmallVec<[usize; 4]>);

impl Clone for Shape {
    // A derived clone pushes the axes one by one, which slows down small tapes.
    fn clone(&self) -> Shape {
        Shape(SmallVec::from_slice(&self.0))
    }
}

impl Shape {
    /// The shape of a single number.
    pub fn scalar() -> Shape {
        Shape::default()
    }

    /// Number of elements: the product of the axes, 1 for a scalar.
    ///
    /// # Panics
    /// If it exceeds a `usize`.
    #[allow(clippy::len_without_is_empty)]
    #[track_caller]
    pub fn len(&self) -> usize {
        self.elements(&self.0)
    }

    /// Returns the number of elements along some of these axes.
    #[track_caller]
    pub(crate) fn elements(&self, axes: &[usize]) -> usize {
        let product = |len: usize, &axis: &usize| len.checked_mul(axis);
        let Some(elements) = axes.iter().try_fold(1, product) else {
            panic!("{self} has more elements than a usize can count")
        };
        elements
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The axes.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// The last axis, which is the number of classes of a row. A scalar is a row of one.
    pub fn classes(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }

    /// The shape without its last axis, with one entry per row.
    pub fn rows(&self) -> Shape {
        Shape(self.0[..self.rank().saturating_sub(1)].into())
    }

    /// The shape with another last axis.
    pub fn with_classes(&self, classes: usize) -> Shape {
        let mut shape = self.rows();
        shape.0.push(classes);
        shape
    }

    /// The number of elements per position of an axis.
    #[track_caller]
    pub(crate) fn inner(&self, axis: usize) -> usize {
        self.elements(&self.0[axis + 1..])
    }

    /// The shape with `axis` set to `len`.
    pub(crate) fn with_axis(&self, axis: usize, len: usize) -> Shape {
        let mut shape = self.clone();
        shape.0[axis] = len;
        shape
    }

    /// Returns the shape with its last two axes swapped. There must be at least two.
    pub(crate) fn transposed(&self) -> Shape {
        let mut shape = self.clone();
        let rank = shape.rank();
        shape.0.swap(rank - 2, rank - 1);
        shape
    }

    /// The shape without `axis`.
    pub(crate) fn without_axis(&self, axis: usize) -> Shape {
        let mut shape = self.clone();
        shape.0.remove(axis);
        shape
    }

    /// The shape with an axis of length 1 in front.
    pub(crate) fn with_first_axis(&self) -> Shape {
        let mut shape = self.clone();
        shape.0.insert(0, 1);
        shape
    }

    /// The shape that two operands broadcast to, as in NumPy: axes are aligned at the end, and a missing axis
    /// or one of length 1 stretches. `None` if two lengths differ and neither is 1.
    ///
    /// ```
    /// use reparam::Shape;
    ///
    /// let (a, b) = (Shape::from([8, 1, 3]), Shape::from([5, 3]));
    /// assert_eq!(a.broadcast(&b), Some(Shape::from([8, 5, 3])));
    /// assert_eq!(a.broadcast(&Shape::from([4])), None);
    /// ```
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let axis = |shape: &Shape, i: usize| (i + shape.rank()).checked_sub(rank).map_or(1, |i| shape.0[i]);
        (0..rank)
            .map(|i| match (axis(self, i), axis(other, i)) {
                (a, b) if a == b || b == 1 => Some(a),
                (1, b) => Some(b),
                _ => None,
            })
            .collect::<Option<SmallVec<_>>>()
            .map(Shape)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Shape {
        Shape(SmallVec::from_slice(&dims))
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Shape {
        Shape(SmallVec::from_slice(dims))
    }
}

impl From<usize> for Shape {
    fn from(len: usize) -> Shape {
        Shape::from([len])
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0[..], f)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
