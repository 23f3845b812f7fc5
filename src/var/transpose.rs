//! `transpose`: the last two axes swapped.

use reparam_ops::axis as kernel;

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::Var;

/// y\[.., c, r\] = x\[.., r, c\]
#[derive(Debug)]
struct Transpose {
    rows: usize,
    columns: usize,
}

impl Rule for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dx) = gradients.add_to(0) {
            kernel::add_transpose(self.columns, self.rows, node.gradient(), dx);
        }
    }
}

/// # Transposition
impl<'t> Var<'t> {
    /// Swaps the last two axes: `[.., rows, columns]` becomes `[.., columns, rows]`.
    ///
    /// # Panics
    /// If it has fewer than two axes.
    ///
    /// # Examples
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
    /// assert_eq!(x.transpose().to_vec(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    /// ```
    #[track_caller]
    pub fn transpose(self) -> Var<'t> {
        let shape = self.shape();
        let &[.., rows, columns] = shape.dims() else {
            panic!("transpose: expected two or more axes, the shape is {shape}; reshape it first")
        };
        self.tape().record(Transpose { rows, columns }, &[self], shape.transposed(), |x, y| {
            kernel::transpose(rows, columns, &x[0], y);
        })
    }
}
