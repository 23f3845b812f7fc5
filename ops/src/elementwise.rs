//! Elementwise ops: one module per function with `forward` and `backward`, then arithmetic for several ops.
//!
//! All forwards overwrite `y`; all backwards add to `dx`.

use crate::Tier;
use crate::math;
use crate::parallel::{Rows, RowsMut, for_rows};

macro_rules! unary {
    ($($(#[$meta:meta])* $name:ident: |$x:ident| $value:expr, |$y:ident| $slope:expr;)+) => {$(
        $(#[$meta])*
        pub mod $name {
            use super::*;

            crate::simd! {
                fn forward_piece<F>(x: &[f32], y: &mut [f32]) {
                    for (y, &$x) in y.iter_mut().zip(x) {
                        *y = $value;
                    }
                }
            }

            crate::simd! {
                fn backward_piece<F>(x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
                    for (((dx, &dy), &$x), &$y) in dx.iter_mut().zip(dy).zip(x).zip(y) {
                        let _ = ($x, $y);
                        *dx = F::mul_add(dy, $slope, *dx);
                    }
                }
            }

            /// y = f(x), elementwise.
            #[track_caller]
            pub fn forward(tier: Tier, x: &[f32], y: &mut [f32]) {
                assert_eq!(x.len(), y.len(), "x and y must have the same length");
                for_rows(x.len(), 1, (Rows(x, 1), RowsMut(y, 1)), |_, (Rows(x, _), RowsMut(y, _))| {
                    forward_piece(tier, x, y);
                });
            }

            /// dx += f'(x) dy, elementwise; `y` is the output of `forward`.
            #[track_caller]
            pub fn backward(tier: Tier, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
                assert!(
                    x.len() == y.len() && x.len() == dy.len() && x.len() == dx.len(),
                    "lengths must be equal"
                );
                let parts = (Rows(x, 1), Rows(y, 1), Rows(dy, 1), RowsMut(dx, 1));
                for_rows(x.len(), 1, parts, |_, (Rows(x, _), Rows(y, _), Rows(dy, _), RowsMut(dx, _))| {
                    backward_piece(tier, x, y, dy, dx);
                });
            }
        }
    )+};
}

unary! {
    /// y = e^x; the slope is at most the largest number, so that a dy of 0 stays 0
    exp: |x| math::exp::<F>(x), |y| math::at_most(y, f32::MAX);
    /// y = ln x; the slope is at most the largest number, so that a dy of 0 (as at a masked class) stays 0
    ln: |x| math::ln::<F>(x), |y| if x.abs() <= 1.0 / f32::MAX { f32::MAX } else { 1.0 / x };
    /// y = ln(1 + x); the slope at -1 is finite, so that a dy of 0 stays 0
    log1p: |x| math::log1p::<F>(x), |y| 1.0 / math::at_least(1.0 + x, f32::MIN_POSITIVE);
    /// y = the square root of x; the slope at 0 is finite, so that a dy of 0 stays 0
    sqrt: |x| x.sqrt(), |y| 0.5 / math::at_least(y, f32::MIN_POSITIVE);
    /// y = x^2; the slope is at most the largest number, so that a dy of 0 stays 0
    square: |x| x * x, |y| 2.0 * math::at_most(math::at_least(x, -0.5 * f32::MAX), 0.5 * f32::MAX);
    /// y = |x|; the slope at 0 is 0
    abs: |x| x.abs(), |y| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { 0.0 };
    /// y = 1 / (1 + e^-x); the slope comes from x, because y rounds to 1 from x = 17 on
    sigmoid: |x| math::sigmoid::<F>(x), |y| math::sigmoid_slope::<F>(x);
    /// y = ln(1 + e^x)
    softplus: |x| math::softplus::<F>(x), |y| math::sigmoid::<F>(x);
    /// y = tanh x; the slope comes from x, because y rounds to 1 from x = 9 on
    tanh: |x| math::tanh::<F>(x), |y| 4.0 * math::sigmoid_slope::<F>(2.0 * x);
    /// y = max(x, 0); the slope at 0 is 0; NaN stays NaN
    relu: |x| if x < 0.0 { 0.0 } else { x }, |y| if x > 0.0 { 1.0 } else { 0.0 };
}

/// y = x for x > 0, slope times x elsewhere.
pub mod leaky_relu {
    use super::*;

    crate::simd! {
        fn forward_piece(slope: f32, x: &[f32], y: &mut [f32]) {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = if x > 0.0 { x } else { slope * x };
            }
        }
    }

    crate::simd! {
        fn backward_piece(slope: f32, x: &[f32], dy: &[f32], dx: &mut [f32]) {
            for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
                *dx += if x > 0.0 { dy } else { slope * dy };
            }
        }
    }

    /// y = x where x > 0, `slope` x elsewhere. A slope of 0 gives 0 even at -inf.
    #[track_caller]
    pub fn forward(tier: Tier, slope: f32, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len(), "x and y must have the same length");
        if slope == 0.0 {
            return relu::forward(tier, x, y);
        }
        for_rows(x.len(), 1, (Rows(x, 1), RowsMut(y, 1)), |_, (Rows(x, _), RowsMut(y, _))| {
            forward_piece(tier, slope, x, y);
        });
    }

    /// dx += dy where x > 0, `slope` dy elsewhere.
    #[track_caller]
    pub fn backward(tier: Tier, slope: f32, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        assert!(x.len() == dy.len() && x.len() == dx.len(), "lengths must be equal");
        let parts = (Rows(x, 1), Rows(dy, 1), RowsMut(dx, 1));
        for_rows(x.len(), 1, parts, |_, (Rows(x, _), Rows(dy, _), RowsMut(dx, _))| {
            backward_piece(tier, slope, x, dy, dx);
        });
    }
}

macro_rules! zipped {
    ($($(#[$meta:meta])* $name:ident: |$a:ident, $b:ident, $out:ident| $value:expr;)+) => {$(
        $(#[$meta])*
        #[track_caller]
        pub fn $name(tier: Tier, a: &[f32], b: &[f32], out: &mut [f32]) {
            crate::simd! {
                fn piece<F>(a: &[f32], b: &[f32], out: &mut [f32]) {
                    for (($out, &$a), &$b) in out.iter_mut().zip(a).zip(b) {
                        *$out = $value;
                    }
                }
            }
            assert!(a.len() == b.len() && a.len() == out.len(), "lengths must be equal");
            let parts = (Rows(a, 1), Rows(b, 1), RowsMut(out, 1));
            for_rows(a.len(), 1, parts, |_, (Rows(a, _), Rows(b, _), RowsMut(out, _))| piece(tier, a, b, out));
        }
    )+};
}

zipped! {
    /// out = a + b
    add: |a, b, out| a + b;
    /// out = a - b
    sub: |a, b, out| a - b;
    /// out = a b
    mul: |a, b, out| a * b;
    /// out = a / b
    div: |a, b, out| a / b;
    /// out += a b: the gradient of a product, and of every op whose slope is available.
    add_product: |a, b, out| F::mul_add(a, b, *out);
    /// out += a / b: the gradient of a quotient's numerator.
    add_quotient: |a, b, out| *out + a / b;
}

/// db -= dy y / b: the gradient of the denominator of y = a / b.
#[track_caller]
pub fn div_backward_denominator(tier: Tier, b: &[f32], y: &[f32], dy: &[f32], db: &mut [f32]) {
    crate::simd! {
        fn piece(b: &[f32], y: &[f32], dy: &[f32], db: &mut [f32]) {
            for (((db, &dy), &y), &b) in db.iter_mut().zip(dy).zip(y).zip(b) {
                *db -= dy * y / b;
            }
        }
    }
    assert!(b.len() == y.len() && b.len() == dy.len() && b.len() == db.len(), "lengths must be equal");
    let parts = (Rows(b, 1), Rows(y, 1), Rows(dy, 1), RowsMut(db, 1));
    for_rows(b.len(), 1, parts, |_, (Rows(b, _), Rows(y, _), Rows(dy, _), RowsMut(db, _))| {
        piece(tier, b, y, dy, db);
    });
}

/// y = scale x + shift
#[track_caller]
pub fn affine(tier: Tier, scale: f32, shift: f32, x: &[f32], y: &mut [f32]) {
    crate::simd! {
        fn piece<F>(scale: f32, shift: f32, x: &[f32], y: &mut [f32]) {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = F::mul_add(x, scale, shift);
            }
        }
    }
    assert_eq!(x.len(), y.len(), "x and y must have the same length");
    for_rows(x.len(), 1, (Rows(x, 1), RowsMut(y, 1)), |_, (Rows(x, _), RowsMut(y, _))| {
        piece(tier, scale, shift, x, y);
    });
}

/// y += scale x, to accumulate gradients.
#[track_caller]
pub fn add_scaled(tier: Tier, scale: f32, x: &[f32], y: &mut [f32]) {
    crate::simd! {
        fn piece<F>(scale: f32, x: &[f32], y: &mut [f32]) {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = F::mul_add(x, scale, *y);
            }
        }
    }
    assert_eq!(x.len(), y.len(), "x and y must have the same length");
    for_rows(x.len(), 1, (Rows(x, 1), RowsMut(y, 1)), |_, (Rows(x, _), RowsMut(y, _))| {
        piece(tier, scale, x, y)
    });
}
