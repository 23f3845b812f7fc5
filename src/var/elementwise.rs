//! Elementwise ops and arithmetic operators.

use std::ops;

use reparam_ops::elementwise as kernel;

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, tier};

macro_rules! unary {
    ($($(#[$doc:meta])* $rule:ident $name:ident;)+) => {
        $(
            #[derive(Debug)]
            struct $rule;

            impl Rule for $rule {
                fn name(&self) -> &'static str {
                    stringify!($name)
                }
                fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
                    if let Some(dx) = gradients.add_to(0) {
                        kernel::$name::backward(tier(), node.input(0), node.output(), node.gradient(), dx);
                    }
                }
            }
        )+

        /// Elementwise functions.
        impl<'t> Var<'t> {
            $(
                $(#[$doc])*
                #[track_caller]
                pub fn $name(self) -> Var<'t> {
                    self.tape().record($rule, &[self], self.shape(), |x, y| kernel::$name::forward(tier(), &x[0], y))
                }
            )+
        }
    };
}

unary! {
    /// e^x. Within 2 ulp. The slope is at most 3.4e38, even where the value is infinite, so a dy of 0
    /// stays 0.
    Exp exp;
    /// ln x: -inf at 0, NaN below. Within 2 ulp. The slope 1 / x is at most 3.4e38, even at 0, so a dy of 0
    /// stays 0.
    Ln ln;
    /// ln(1 + x), accurate near 0. Within 2 ulp. The slope at -1 is 8.5e37, not infinite, so a dy of 0
    /// stays 0.
    Log1p log1p;
    /// The square root. The slope at 0 is 4.3e37, not infinite, so a dy of 0 stays 0.
    Sqrt sqrt;
    /// x^2. The size of the slope is at most 3.4e38, so a dy of 0 stays 0.
    Square square;
    /// |x|; the gradient at 0 is 0.
    Abs abs;
    /// 1 / (1 + e^-x), with dx = dy y (1 - y). Within 2 ulp. The slope is computed from x, so it does not
    /// vanish where y rounds to 1.
    Sigmoid sigmoid;
    /// ln(1 + e^x), with dx = dy sigmoid(x).
    Softplus softplus;
    /// The hyperbolic tangent, with dx = dy (1 - y^2). The slope is computed from x, so it does not vanish
    /// where y rounds to 1.
    Tanh tanh;
    /// max(x, 0); the gradient at 0 is 0.
    Relu relu;
}

/// y = x for x > 0, `slope` x elsewhere.
#[derive(Debug)]
struct LeakyRelu {
    slope: f32,
}

impl Rule for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky_relu"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dx) = gradients.add_to(0) {
            kernel::leaky_relu::backward(tier(), self.slope, node.input(0), node.gradient(), dx);
        }
    }
}

/// y = scale x + shift; the slope is scale.
#[derive(Debug)]
struct Affine {
    scale: f32,
}

impl Rule for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dx) = gradients.add_to(0) {
            kernel::add_scaled(tier(), self.scale, node.gradient(), dx);
        }
    }
}

/// # Arithmetic and elementwise functions
impl<'t> Var<'t> {
    /// x where x > 0, `slope` x elsewhere. A slope of 0 gives 0 even at -inf.
    ///
    /// # Panics
    /// If the slope is not finite.
    #[track_caller]
    pub fn leaky_relu(self, slope: f32) -> Var<'t> {
        assert!(slope.is_finite(), "leaky_relu: the slope must be finite, it is {slope}; 0.01 is usual");
        self.tape().record(LeakyRelu { slope }, &[self], self.shape(), |x, y| {
            kernel::leaky_relu::forward(tier(), slope, &x[0], y);
        })
    }

    /// scale x + shift, with numbers for both.
    #[track_caller]
    pub fn affine(self, scale: f32, shift: f32) -> Var<'t> {
        self.tape().record(Affine { scale }, &[self], self.shape(), |x, y| {
            kernel::affine(tier(), scale, shift, &x[0], y);
        })
    }

    /// x / c, as a product with 1 / c, which may be half an ulp off. Divides if 1 / c is not a normal number
    /// for a finite, nonzero c.
    #[track_caller]
    fn divided_by(self, c: f32) -> Var<'t> {
        let inverse = 1.0 / c;
        match inverse.is_normal() || c == 0.0 || !c.is_finite() {
            true => self.affine(inverse, 0.0),
            false => self / self.tape().input(&[c], []),
        }
    }
}

macro_rules! binary {
    ($($rule:ident $name:ident |$node:ident, $gradients:ident| $backward:block)+) => {$(
        #[derive(Debug)]
        struct $rule;

        impl Rule for $rule {
            fn name(&self) -> &'static str {
                stringify!($name)
            }
            fn backward(&self, $node: Recorded<'_>, $gradients: &mut InputGradients<'_>) $backward
        }

        impl<'t> ops::$rule for Var<'t> {
            type Output = Var<'t>;

            #[track_caller]
            fn $name(self, other: Var<'t>) -> Var<'t> {
                let (a, b) = self.broadcast_with(other, stringify!($name));
                a.tape().record($rule, &[a, b], a.shape(), |x, y| kernel::$name(tier(), &x[0], &x[1], y))
            }
        }
    )+};
}

binary! {
    Add add |node, gradients| {
        for i in 0..2 {
            if let Some(dx) = gradients.add_to(i) {
                kernel::add_scaled(tier(), 1.0, node.gradient(), dx);
            }
        }
    }
    Sub sub |node, gradients| {
        for (i, sign) in [1.0, -1.0].into_iter().enumerate() {
            if let Some(dx) = gradients.add_to(i) {
                kernel::add_scaled(tier(), sign, node.gradient(), dx);
            }
        }
    }
    Mul mul |node, gradients| {
        for i in 0..2 {
            if let Some(dx) = gradients.add_to(i) {
                kernel::add_product(tier(), node.gradient(), node.input(1 - i), dx);
            }
        }
    }
    Div div |node, gradients| {
        if let Some(da) = gradients.add_to(0) {
            kernel::add_quotient(tier(), node.gradient(), node.input(1), da);
        }
        if let Some(db) = gradients.add_to(1) {
            kernel::div_backward_denominator(tier(), node.input(1), node.output(), node.gradient(), db);
        }
    }
}

impl<'t> ops::Neg for Var<'t> {
    type Output = Var<'t>;

    #[track_caller]
    fn neg(self) -> Var<'t> {
        self.affine(-1.0, 0.0)
    }
}

macro_rules! with_number {
    ($($operator:ident $name:ident |$x:ident, $c:ident| $right:expr, $left:expr;)+) => {$(
        impl<'t> ops::$operator<f32> for Var<'t> {
            type Output = Var<'t>;

            #[track_caller]
            fn $name(self, $c: f32) -> Var<'t> {
                let $x = self;
                $right
            }
        }

        impl<'t> ops::$operator<Var<'t>> for f32 {
            type Output = Var<'t>;

            #[track_caller]
            fn $name(self, $x: Var<'t>) -> Var<'t> {
                let $c = self;
                $left
            }
        }
    )+};
}

with_number! {
    Add add |x, c| x.affine(1.0, c), x.affine(1.0, c);
    Sub sub |x, c| x.affine(1.0, -c), x.affine(-1.0, c);
    Mul mul |x, c| x.affine(c, 0.0), x.affine(c, 0.0);
    Div div |x, c| x.divided_by(c), x.tape().input(&[c], []) / x;
}
