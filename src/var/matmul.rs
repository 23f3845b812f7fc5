//! `matmul`: products of matrices.

use std::ops::Range;

use reparam_ops::matmul::matmul;
use reparam_ops::{Matrix, Write};

use crate::gradients::InputGradients;
use crate::shape::Shape;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, tier};

/// y = a b, for `rows x inner` and `inner x columns`, pair after pair.
#[derive(Clone, Copy, Debug)]
struct Matmul {
    rows: usize,
    inner: usize,
    columns: usize,
}

impl Matmul {
    fn a<'a>(&self, data: &'a [f32], pair: usize) -> Matrix<'a> {
        Matrix::new(&data[place(pair, self.rows * self.inner)], self.rows, self.inner)
    }

    fn b<'a>(&self, data: &'a [f32], pair: usize) -> Matrix<'a> {
        Matrix::new(&data[place(pair, self.inner * self.columns)], self.inner, self.columns)
    }

    fn y<'a>(&self, data: &'a [f32], pair: usize) -> Matrix<'a> {
        Matrix::new(&data[place(pair, self.rows * self.columns)], self.rows, self.columns)
    }
}

/// Returns a hint, as the end of a sentence, for an op that gives both factors the same leading axes. The
/// hint is empty if no op does.
fn to_same_axes(a: &[usize], b: &[usize]) -> String {
    let (a, b) = (Shape::from(a), Shape::from(b));
    match a.broadcast(&b) {
        Some(both) => format!(": use .broadcast_to, so that they are {both} in both"),
        None if a.len() == b.len() => format!(": use .reshape, so that they are {a} in both"),
        None => String::new(),
    }
}

/// The range of matrix number `number`, for matrices of `len` elements.
fn place(number: usize, len: usize) -> Range<usize> {
    number * len..(number + 1) * len
}

/// The number of matrices in a shape: the product of all lengths but the last two.
#[track_caller]
fn matrices(shape: &Shape) -> usize {
    shape.elements(&shape.dims()[..shape.rank() - 2])
}

impl Rule for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let (a, b, dy) = (node.input(0), node.input(1), node.gradient());
        let pairs = matrices(node.shape());
        if let Some((da, write)) = gradients.write_to(0) {
            for pair in 0..pairs {
                let da = &mut da[place(pair, self.rows * self.inner)];
                matmul(tier(), self.y(dy, pair), self.b(b, pair).t(), write, da);
            }
        }
        if let Some((db, write)) = gradients.write_to(1) {
            for pair in 0..pairs {
                let db = &mut db[place(pair, self.inner * self.columns)];
                matmul(tier(), self.a(a, pair).t(), self.y(dy, pair), write, db);
            }
        }
    }
}

/// # Matrix products
impl<'t> Var<'t> {
    /// The matrix product of `[.., rows, inner]` and `[.., inner, columns]`, giving `[.., rows, columns]`.
    /// The leading axes must be the same. (To multiply all rows by one matrix on the right, use
    /// [`linear`](Self::linear), or reshape them to one matrix on the left.)
    ///
    /// da = dy bᵀ and db = aᵀ dy.
    ///
    /// # Precision
    /// The error of an entry, relative to the sum of the absolute values of its terms, is below 5e-6 if the
    /// terms are equal, even for an inner length of ten million. It is at most 2e-5 in any case, and far less
    /// for terms of both signs.
    ///
    /// # Panics
    /// If one has fewer than two axes, the leading axes differ, or the inner lengths do.
    #[track_caller]
    pub fn matmul(self, other: Var<'t>) -> Var<'t> {
        let (a, b) = (self.shape(), other.shape());
        let (&[ref before @ .., rows, inner], &[ref other_before @ .., other_inner, columns]) =
            (a.dims(), b.dims())
        else {
            panic!("matmul: expected two or more axes, shapes are {a} and {b}; reshape them first")
        };
        assert!(
            before == other_before,
            "matmul: {a} times {b}: all axes but the last two must be the same{}",
            to_same_axes(before, other_before)
        );
        assert!(
            inner == other_inner,
            "matmul: {a} times {b}: the inner lengths {inner} and {other_inner} differ{}",
            if rows == other_inner || columns == inner { "; is one of them transposed?" } else { "" }
        );
        let (rule, pairs) = (Matmul { rows, inner, columns }, matrices(&a));
        self.tape().record(rule, &[self, other], a.with_classes(columns), |x, y| {
            for pair in 0..pairs {
                let y = &mut y[place(pair, rows * columns)];
                matmul(tier(), rule.a(&x[0], pair), rule.b(&x[1], pair), Write::Replace, y);
            }
        })
    }
}
