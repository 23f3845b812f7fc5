//! `softmax`, `log_softmax` and `logsumexp` over the last axis.

use reparam_ops::softmax::{self as kernel, MaskedRow};

use crate::gradients::InputGradients;
use crate::tape::{Recorded, Rule};
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

impl<'t> Var<'t> {
    /// e^x / sum e^x over the last axis, `[.., classes]`. Masked classes (-inf) get exactly 0, and so does their gradient.
    ///
    /// dx = y (dy - sum(dy y)).
    ///
    /// # Panics
    /// If a row is fully masked, or there are no classes.
    #[track_caller]
    pub fn softmax(self) -> Var<'t> {
        let shape = self.shape();
        let classes = self.classes("softmax");
        let mut checked = Ok(());
        let y = self.tape().record(Softmax { classes }, &[self], shape, |x, y| {
            checked = kernel::forward(tier(), &x[0], classes, 1.0, y);
        });
        y.unless_masked("softmax", checked)
    }

    /// x - ln sum e^x over the last axis, `[.., classes]`. Masked classes stay at -inf with gradient 0.
    ///
    /// dx = dy - e^y sum(dy).
    ///
    /// # Panics
    /// If a row is fully masked, or there are no classes.
    #[track_caller]
    pub fn log_softmax(self) -> Var<'t> {
        let shape = self.shape();
        let classes = self.classes("log_softmax");
        let mut checked = Ok(());
        let y = self.tape().record(LogSoftmax { classes }, &[self], shape, |x, y| {
            checked = kernel::log_softmax_forward(tier(), &x[0], classes, y);
        });
        y.unless_masked("log_softmax", checked)
    }

    /// ln sum e^x over the last axis, which disappears; -inf for a fully masked row.
    ///
    /// dx = dy softmax(x).
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

    /// The value itself, unless a kernel found a row without any class.
    #[track_caller]
    pub(crate) fn unless_masked(self, op: &str, checked: Result<(), MaskedRow>) -> Var<'t> {
        match checked {
            Ok(()) => self,
            Err(row) => panic!("{op}: {row}; leave at least one class of every row unmasked"),
        }
    }
}
