//! Mistakes in the rest of a model, found while an estimator runs it.

use std::cell::RefCell;

use super::trial::zeros;
use crate::shape::Shape;
use crate::var::Var;
use crate::variables::Logits;

/// The first mistake found. A panic inside the closure would name a line of this crate, so the panic waits
/// until the estimate returns.
#[derive(Default)]
pub(super) struct Mistake(RefCell<Option<String>>);

impl Mistake {
    pub(super) fn note(&self, text: impl FnOnce() -> String) {
        self.0.borrow_mut().get_or_insert_with(text);
    }

    /// Panics with the mistake, if there is one.
    #[track_caller]
    pub(super) fn raise(self) {
        if let Some(text) = self.0.into_inner() {
            panic!("{text}");
        }
    }

    /// Returns the loss if it is one number per row. Otherwise it notes the mistake and returns zeros, which
    /// stand in until the estimate returns.
    pub(super) fn unless_per_row<'t>(&self, loss: Var<'t>, logits: Logits<'t>) -> Var<'t> {
        let rows = logits.rows();
        if !std::ptr::eq(loss.tape(), logits.var().tape()) {
            self.note(|| {
                "the loss was recorded on another tape than its sample; use sample.tape()".to_owned()
            });
            return zeros(logits);
        }
        let shape = loss.shape();
        if shape.dims() != [rows] {
            self.note(|| not_per_row(rows, &shape));
            return zeros(logits);
        }
        loss
    }
}

/// The message for a loss of another shape than `[rows]`.
pub(crate) fn not_per_row(rows: usize, shape: &Shape) -> String {
    format!(
        "the loss of {rows} rows must be [{rows}], one number per row, but its shape is {shape}; \
         sum over the other axes, with .sum_axis(1) for example"
    )
}
