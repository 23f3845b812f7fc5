//! `softmax`, `log_softmax` and `logsumexp` over the last axis.

use reparam_ops::{MaskedRow, softmax as kernel};

use crate::gradients::InputGradients;
use crate::shape::Shape;
use crate::tape::{Inputs, Recorded, Rule};
use crate::var::{Var, tier};

/// y = softmax(logits); the gradient needs only y.
#[derive(Debug)]
struct Softmax {
    classes: usize,
}

impl Rule for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dlogits) = gradients.add_to(0) {
            kernel::backward(tier(), node.output(), node.gradient(), self.classes, 1.0, false, dlogits);
        }
    }
}

/// y = logits - logsumexp(logits); the gradient needs only y.
#[derive(Debug)]
struct LogSoftmax {
    classes: usize,
}

impl Rule for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dlogits) = gradients.add_to(0) {
            kernel::log_softmax_backward(tier(), node.output(), node.gradient(), self.classes, dlogits);
        }
    }
}

/// y = ln sum e^logits
#[derive(Debug)]
struct LogSumExp {
    classes: usize,
}

impl Rule for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        if let Some(dlogits) = gradients.add_to(0) {
            let (logits, y, dy) = (node.input(0), node.output(), node.gradient());
            kernel::logsumexp_backward(tier(), logits, self.classes, y, dy, dlogits);
        }
    }
}

/// # Rows of classes
impl<'t> Var<'t> {
    /// e^x / sum e^x over the last axis, `[.., classes]`. Masked classes (-inf) get exactly 0, and so do
    /// their gradients. A logit of inf makes its class certain, and several of them share the probability
    /// equally. A probability is 0 if it is below 1e-35 times the largest; [`log_softmax`](Self::log_softmax)
    /// has no such limit.
    ///
    /// dx = y (dy - sum(dy y)).
    ///
    /// # Panics
    /// If a row is fully masked, or there are no classes.
    #[track_caller]
    pub fn softmax(self) -> Var<'t> {
        let shape = self.shape();
        let classes = self.classes("softmax");
        self.record_rows(Softmax { classes }, &[self], shape, |x, y| {
            kernel::forward(tier(), &x[0], classes, 1.0, y)
        })
    }

    /// x - ln sum e^x over the last axis, `[.., classes]`. Masked classes stay at -inf with gradient 0. A
    /// logit of inf masks the finite logits of its row. Classes that are not masked are at least -3.4e38.
    ///
    /// dx = dy - e^y sum(dy).
    ///
    /// # Panics
    /// If a row is fully masked, or there are no classes.
    #[track_caller]
    pub fn log_softmax(self) -> Var<'t> {
        let shape = self.shape();
        let classes = self.classes("log_softmax");
        self.record_rows(LogSoftmax { classes }, &[self], shape, |x, y| {
            kernel::log_softmax_forward(tier(), &x[0], classes, y)
        })
    }

    /// ln sum e^x over the last axis, which disappears: -inf for a fully masked row, and inf for a row in
    /// which an x is inf.
    ///
    /// dx = dy softmax(x). A fully masked row gets 0, and several x of inf share dy equally.
    ///
    /// # Panics
    /// If there are no classes.
    #[track_caller]
    pub fn logsumexp(self) -> Var<'t> {
        let shape = self.shape();
        let classes = self.classes("logsumexp");
        self.tape().record(LogSumExp { classes }, &[self], shape.rows(), |x, y| {
            kernel::logsumexp_forward(tier(), &x[0], classes, y);
        })
    }

    /// Records a value whose kernel needs a class in every row.
    #[track_caller]
    pub(crate) fn record_rows<R: Rule>(
        self,
        rule: R,
        inputs: &[Var<'t>],
        shape: Shape,
        forward: impl FnOnce(Inputs<'_>, &mut [f32]) -> Result<(), MaskedRow>,
    ) -> Var<'t> {
        let op = rule.name();
        let mut checked = Ok(());
        let y = self.tape().record(rule, inputs, shape, |x, y| checked = forward(x, y));
        y.unless_masked(op, checked)
    }

    /// Checks that no row is fully masked.
    #[track_caller]
    pub(crate) fn check_rows(self) -> Result<(), MaskedRow> {
        let logits = self.value();
        let mut rows = logits.chunks_exact(self.shape().classes().max(1));
        // A NaN is not a mask.
        let masked = rows.position(|row| row.iter().all(|&logit| logit == f32::NEG_INFINITY));
        masked.map_or(Ok(()), |row| Err(MaskedRow(row)))
    }

    /// Returns the value, or panics if a row without any class was found.
    #[track_caller]
    pub(crate) fn unless_masked(self, op: &str, checked: Result<(), MaskedRow>) -> Var<'t> {
        match checked {
            Ok(()) => self,
            Err(row) => panic!("{op}: {}", no_class(row)),
        }
    }
}

/// The error message for a fully masked row, with a hint.
pub(crate) fn no_class(row: MaskedRow) -> String {
    format!("{row}; leave at least one class of every row unmasked")
}
