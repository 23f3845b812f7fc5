//! `linear`: y = activation(x W + b), the bias and the activation applied in one pass over the product.
//!
//! `x` is `rows x inputs`, `weight` is `inputs x outputs`, `bias` has `outputs` entries.

use crate::Tier;
use crate::math;
use crate::matmul::matmul;
use crate::matrix::{Matrix, Write};
use crate::parallel::{Rows, RowsMut, for_rows};
use crate::sparse;

/// The function that a layer applies to its pre-activations z. Each slope is a function of the output, so
/// backward needs only the output.
///
/// The slopes of sigmoid and tanh have an error of at most 2e-7. They are 0 where the output rounds to 1 in
/// magnitude, which is from z = 17 on for sigmoid, and from |z| = 9 on for tanh. The elementwise ops compute
/// their slopes from the input instead.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Activation {
    /// y = z
    #[default]
    Identity,
    /// y = max(z, 0); NaN stays NaN
    Relu,
    /// y = z for z > 0, slope times z elsewhere; the slope must not be negative
    LeakyRelu(f32),
    /// y = 1 / (1 + e^-z)
    Sigmoid,
    /// y = tanh z
    Tanh,
}

macro_rules! per_activation {
    ($activation:expr, $per_row:ident($($arg:expr),*)) => {
        match $activation {
            Activation::Identity => $per_row!($($arg),*, |z| z, |y| 1.0),
            // 0 times an infinite z would be NaN.
            Activation::Relu | Activation::LeakyRelu(0.0) => {
                $per_row!($($arg),*, |z| if z < 0.0 { 0.0 } else { z }, |y| if y > 0.0 { 1.0 } else { 0.0 })
            }
            Activation::LeakyRelu(s) => {
                $per_row!($($arg),*, |z| if z > 0.0 { z } else { s * z }, |y| if y > 0.0 { 1.0 } else { s })
            }
            Activation::Sigmoid => $per_row!($($arg),*, |z| math::sigmoid::<F>(z), |y| y * (1.0 - y)),
            Activation::Tanh => $per_row!($($arg),*, |z| math::tanh::<F>(z), |y| (1.0 - y) * (1.0 + y)),
        }
    };
}

macro_rules! activate {
    ($y:expr, $bias:expr, |$z:ident| $value:expr, |$out:ident| $slope:expr) => {
        for row in $y.chunks_exact_mut($bias.len()) {
            for (y, &b) in row.iter_mut().zip($bias) {
                let $z = *y + b;
                *y = $value;
            }
        }
    };
}

macro_rules! differentiate {
    ($y:expr, $dy:expr, $dz:expr, |$z:ident| $value:expr, |$out:ident| $slope:expr) => {
        for ((dz, &dy), &$out) in $dz.iter_mut().zip($dy).zip($y) {
            let _ = $out;
            *dz = dy * $slope;
        }
    };
}

crate::simd! {
    fn activate_piece<F>(activation: Activation, bias: &[f32], y: &mut [f32]) {
        per_activation!(activation, activate(y, bias));
    }
}

crate::simd! {
    fn differentiate_piece<F>(activation: Activation, y: &[f32], dy: &[f32], dz: &mut [f32]) {
        per_activation!(activation, differentiate(y, dy, dz));
    }
}

/// Writes y = activation(x W + b). If `x` is mostly zeros and the weight is finite, the product skips the
/// zeros.
///
/// # Precision
/// The product has the precision of [`matmul`](fn@crate::matmul::matmul). Where it skips the zeros of up to
/// 1024 inputs, it adds the products one after another, and the error is below 2e-5 if they are equal.
///
/// # Panics
/// If the sizes do not match, or if the slope of a leaky ReLU is negative.
#[track_caller]
pub fn forward(
    tier: Tier,
    x: Matrix<'_>,
    weight: Matrix<'_>,
    bias: &[f32],
    activation: Activation,
    y: &mut [f32],
) {
    let (rows, outputs) = (x.rows, bias.len());
    assert_eq!(x.columns, weight.rows, "the inner dimensions of a product must agree");
    assert!(
        weight.columns == outputs && y.len() == rows * outputs,
        "weight must have a column per bias, and y must be rows x outputs"
    );
    if let Activation::LeakyRelu(slope) = activation {
        assert!(slope >= 0.0, "the slope of a leaky ReLU must not be negative, found {slope}");
    }
    if y.is_empty() {
        return;
    }
    match (x.row_major(), weight.row_major()) {
        (Some(x), Some(weight)) if !x.is_empty() && sparse::pays(tier, x, weight, rows, outputs) => {
            sparse::forward(tier, x, weight, x.len() / rows, outputs, y);
        }
        _ => matmul(tier, x, weight, Write::Replace, y),
    }
    for_rows(rows, outputs, (RowsMut(y, outputs),), |_, (RowsMut(y, _),)| {
        activate_piece(tier, activation, bias, y);
    });
}

/// Computes the gradient of the weight: dW = x' dz or, with [`Write::Add`], dW += x' dz. `x` is `rows x
/// inputs` and `dz` is `rows x outputs`.
///
/// # Precision
/// The same as for [`matmul`](fn@crate::matmul::matmul), for any number of rows.
///
/// # Panics
/// If the sizes do not match.
#[track_caller]
pub fn backward_weight(tier: Tier, x: &[f32], dz: &[f32], rows: usize, write: Write, dweight: &mut [f32]) {
    if rows == 0 || dweight.is_empty() {
        return if write == Write::Replace {
            dweight.fill(0.0)
        };
    }
    let (inputs, outputs) = (x.len() / rows, dz.len() / rows);
    assert!(x.len() == rows * inputs && dz.len() == rows * outputs, "x and dz must be whole rows");
    assert_eq!(dweight.len(), inputs * outputs, "dweight must be {inputs} x {outputs}");
    if sparse::pays(tier, x, dz, rows, outputs) {
        sparse::backward_weight(tier, x, dz, inputs, outputs, write, dweight);
    } else {
        matmul(tier, Matrix::new(x, rows, inputs).t(), Matrix::new(dz, rows, outputs), write, dweight);
    }
}

/// Writes the gradient of the pre-activations, dz = activation'(z) dy, from the output y.
///
/// # Panics
/// If the slices differ in length.
#[track_caller]
pub fn backward_activation(tier: Tier, activation: Activation, y: &[f32], dy: &[f32], dz: &mut [f32]) {
    assert!(y.len() == dy.len() && y.len() == dz.len(), "lengths must be equal");
    let parts = (Rows(y, 1), Rows(dy, 1), RowsMut(dz, 1));
    for_rows(y.len(), 1, parts, |_, (Rows(y, _), Rows(dy, _), RowsMut(dz, _))| {
        differentiate_piece(tier, activation, y, dy, dz);
    });
}
