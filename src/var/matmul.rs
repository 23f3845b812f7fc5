//! `matmul`: the product of two matrices.

use reparam_ops::matmul::{Matrix, Write, matmul};

use crate::gradients::InputGradients;
use crate::shape::Shape;
use crate::tape::{Recorded, Rule};
use crate::var::Var;

/// y = a b, for `rows x inner` and `inner x columns`.
#[derive(Debug)]
struct Matmul {
    rows: usize,
    inner: usize,
    columns: usize,
}

impl Rule for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let a = Matrix::new(node.input(0), self.rows, self.inner);
        let b = Matrix::new(node.input(1), self.inner, self.columns);
        let dy = Matrix::new(node.gradient(), self.rows, self.columns);
        if let Some((da, write)) = gradients.write_to(0) {
            matmul(dy, b.t(), write, da);
        }
        if let Some((db, write)) = gradients.write_to(1) {
            matmul(a.t(), dy, write, db);
        }
    }
}

impl<'t> Var<'t> {
    /// The matrix product of `[rows, inner]` and `[inner, columns]`.
    ///
    /// # Panics
    /// If either is not a matrix or the inner lengths differ.
    #[track_caller]
    pub fn matmul(self, other: Var<'t>) -> Var<'t> {
        let (a, b) = (self.shape(), other.shape());
        let (&[rows, inner], &[other_inner, columns]) = (a.dims(), b.dims()) else {
            panic!("matmul: two matrices expected, shapes are {a} and {b}; reshape them to two axes first")
        };
        assert!(
            inner == other_inner,
            "matmul: {a} times {b}: the inner lengths {inner} and {other_inner} differ; is one of them transposed?"
        );
        let rule = Matmul { rows, inner, columns };
        self.tape().record(rule, &[self, other], Shape::from([rows, columns]), |x, y| {
            let a = Matrix::new(&x[0], rows, inner);
            matmul(a, Matrix::new(&x[1], inner, columns), Write::Replace, y);
        })
    }
}
