//! Views: a value under another shape, or without its gradient. Nothing is copied.

use reparam_ops::elementwise::add_scaled;

use crate::gradients::InputGradients;
use crate::shape::Shape;
use crate::tape::{Recorded, Rule};
use crate::var::{Var, tier};

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
        self.tape().record_view("reshape", Some(Reshape), self, to)
    }

    /// The same value, taken as a constant: no gradient flows through it.
    pub fn stop_gradient(self) -> Var<'t> {
        self.tape().record_view("stop_gradient", None::<Reshape>, self, self.shape())
    }
}
