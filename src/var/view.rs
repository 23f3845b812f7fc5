//! Views: a value under another shape, without its gradient, or with another value's gradient. Nothing is
//! copied.

use reparam_ops::elementwise::add_scaled;

use crate::gradients::InputGradients;
use crate::shape::Shape;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, one_shape, tier};

/// The same numbers under another shape.
#[derive(Debug)]
struct Reshape;

impl Rule for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dx) = gradients.add_to(0) {
            add_scaled(tier(), 1.0, node.gradient(), dx);
        }
    }
}

/// The value of input 0, the gradient of input 1.
#[derive(Debug)]
struct WithGradientOf;

impl Rule for WithGradientOf {
    fn name(&self) -> &'static str {
        "with_gradient_of"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dsurrogate) = gradients.add_to(1) {
            add_scaled(tier(), 1.0, node.gradient(), dsurrogate);
        }
    }
}

/// # Shapes, and what gradients see
impl<'t> Var<'t> {
    /// The same numbers, row-major, under another shape.
    ///
    /// # Panics
    /// If the number of elements differs.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Var<'t> {
        let (from, to) = (self.shape(), shape.into());
        assert!(
            from.len() == to.len(),
            "reshape: {from} has {} elements and {to} has {}; they must be the same number",
            from.len(),
            to.len()
        );
        self.tape().record_view("reshape", Some(Reshape), &[self], to)
    }

    /// The same value, taken as a constant: no gradient flows through it.
    #[track_caller]
    pub fn stop_gradient(self) -> Var<'t> {
        self.tape().record_view("stop_gradient", None::<Reshape>, &[self], self.shape())
    }

    /// The same value, differentiated as if it were `surrogate`. The incoming gradient goes to `surrogate`
    /// unchanged, and none goes to `self`. Use it to give a derivative to a sample that has none
    /// (straight-through), or to give a loss the gradient of an estimator.
    ///
    /// ```
    /// use reparam::Tape;
    ///
    /// let tape = Tape::new();
    /// let x = tape.variable(&[0.3], [1]);
    /// let bit = tape.input(&[1.0], [1]).with_gradient_of(x.sigmoid());
    /// assert_eq!(bit.item(), 1.0);
    /// assert!((bit.sum().backward().of(x).unwrap()[0] - 0.2445).abs() < 1e-4);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn with_gradient_of(self, surrogate: Var<'t>) -> Var<'t> {
        const OP: &str = "with_gradient_of";
        let shape = one_shape(OP, ("the value", self), ("the surrogate", surrogate));
        self.tape().record_view(OP, Some(WithGradientOf), &[self, surrogate], shape)
    }
}
