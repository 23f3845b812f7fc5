//! `linear`: a layer's product, bias and activation as one op.

use reparam_ops::internal::scratch;
use reparam_ops::linear::{self as kernel, Activation};
use reparam_ops::matmul::matmul;
use reparam_ops::{Matrix, axis};

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, tier};

/// y = activation(x W + b). Each activation's slope is a function of y.
#[derive(Debug)]
struct Linear {
    rows: usize,
    inputs: usize,
    outputs: usize,
    activation: Activation,
}

impl Rule for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if self.activation == Activation::Identity {
            return self.backward_product(node, node.gradient(), gradients);
        }
        scratch::with(node.gradient().len(), |dz| {
            kernel::backward_activation(tier(), self.activation, node.output(), node.gradient(), dz);
            self.backward_product(node, dz, gradients);
        });
    }
}

impl Linear {
    /// Adds the gradients dx = dz W', dW = x' dz and db = the column sums of dz, for the gradient dz of the
    /// pre-activations.
    fn backward_product(&self, node: Recorded<'_>, dz: &[f32], gradients: &mut InputGradients<'_>) {
        let weight = Matrix::new(node.input(1), self.inputs, self.outputs);
        let dz_matrix = Matrix::new(dz, self.rows, self.outputs);
        if let Some((dx, write)) = gradients.write_to(0) {
            matmul(tier(), dz_matrix, weight.t(), write, dx);
        }
        if let Some((dweight, write)) = gradients.write_to(1) {
            kernel::backward_weight(tier(), node.input(0), dz, self.rows, write, dweight);
        }
        if let Some(dbias) = gradients.add_to(2) {
            axis::add_sum(tier(), self.rows, self.outputs, dz, dbias);
        }
    }
}

/// # A layer
impl<'t> Var<'t> {
    /// activation(x W + b): `x` is `[.., inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`.
    ///
    /// With dz = dy activation'(z): dx = dz Wᵀ, dW = xᵀ dz, db = the sum of dz over the rows.
    ///
    /// # Precision
    /// db has the precision of [`sum_axis`](Self::sum_axis), and the products have the precision of
    /// [`matmul`](Self::matmul).
    ///
    /// # Panics
    /// If the shapes do not fit, or the slope of a leaky ReLU is negative or not finite.
    #[track_caller]
    pub fn linear(self, weight: Var<'t>, bias: Var<'t>, activation: Activation) -> Var<'t> {
        let (x, w, b) = (self.shape(), weight.shape(), bias.shape());
        let &[inputs, outputs] = w.dims() else {
            panic!("linear: the weight must be [inputs, outputs], its shape is {w}")
        };
        assert!(
            x.rank() > 0 && x.classes() == inputs,
            "linear: x is {x} and the weight {w}; the last axis of x must be the first of the weight"
        );
        assert!(
            b.dims() == [outputs],
            "linear: the bias is {b} and the weight {w}; the bias must be [{outputs}]"
        );
        if let Activation::LeakyRelu(slope) = activation {
            assert!(
                slope >= 0.0 && slope.is_finite(),
                "linear: the slope of a leaky ReLU must be finite and at least 0, it is {slope}; 0.01 is usual"
            );
        }
        let rows = x.rows().len();
        let rule = Linear { rows, inputs, outputs, activation };
        self.tape().record(rule, &[self, weight, bias], x.with_classes(outputs), |v, y| {
            let x = Matrix::new(&v[0], rows, inputs);
            kernel::forward(tier(), x, Matrix::new(&v[1], inputs, outputs), &v[2], activation, y);
        })
    }
}
