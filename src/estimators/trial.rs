//! One estimate in progress: an estimator's inputs, and the operations that all estimators share.

use crate::estimators::Estimator;
use crate::estimators::mistake::Mistake;
use crate::noise::Noise;
use crate::var::Var;
use crate::variables::{Logits, Variables};

/// The rest of a model: a function from samples of the variables, of the logits' shape, to a loss per row,
/// `[rows]`.
type Rest<'a, 't> = dyn FnMut(Var<'t>, &mut Noise) -> Var<'t> + 'a;

/// The inputs of an estimator: the variables, the noise, and the rest of the model.
pub struct Trial<'a, 't> {
    logits: Logits<'t>,
    noise: &'a mut Noise,
    rest: &'a mut Rest<'a, 't>,
    mistake: &'a Mistake,
}

impl<'a, 't> Trial<'a, 't> {
    pub(super) fn new(
        logits: Logits<'t>,
        noise: &'a mut Noise,
        rest: &'a mut Rest<'a, 't>,
        mistake: &'a Mistake,
    ) -> Trial<'a, 't> {
        Trial { logits, noise, rest, mistake }
    }

    /// The variables, with their logits.
    pub fn logits(&self) -> Logits<'t> {
        self.logits
    }

    /// The source of the estimator's own noise.
    pub fn noise(&mut self) -> &mut Noise {
        self.noise
    }

    /// An exact sample of the variables, without a gradient.
    #[track_caller]
    pub fn sample(&mut self) -> Var<'t> {
        self.logits.sample(self.noise)
    }

    /// The loss per row at `z`, `[rows]`. If the model returns something else, [`Estimate::estimate`] panics.
    #[track_caller]
    pub fn loss(&mut self, z: Var<'t>) -> Var<'t> {
        let value = (self.rest)(z, self.noise);
        self.checked(z, value)
    }

    /// The loss at `z`, with the rest of the model taking its noise from `noise`.
    #[track_caller]
    pub fn loss_with(&mut self, z: Var<'t>, noise: &mut Noise) -> Var<'t> {
        let value = (self.rest)(z, noise);
        self.checked(z, value)
    }

    /// The log-probability of the hard values `z` per row, in nats: `[rows]`.
    ///
    /// # Panics
    /// If `z` does not have the shape of the logits.
    #[track_caller]
    pub fn log_prob(&self, z: Var<'t>) -> Var<'t> {
        self.logits.log_prob(z)
    }

    /// The loss, with `signal` times the score d ln p(z) added to its gradient. The signal counts as a
    /// constant.
    ///
    /// # Panics
    /// If the loss or the signal is not `[rows]`, or `z` does not have the shape of the logits.
    #[track_caller]
    pub fn score(&self, loss: Var<'t>, signal: Var<'t>, z: Var<'t>) -> Var<'t> {
        loss.with_gradient_of(loss + signal.stop_gradient() * self.log_prob(z))
    }

    /// Returns the value if it is one number per row and has a derivative where the sample has one. Otherwise
    /// it notes the mistake, and zeros stand in for a value of the wrong shape until the estimator returns.
    fn checked(&self, z: Var<'t>, value: Var<'t>) -> Var<'t> {
        let value = self.mistake.unless_per_row(value, self.logits);
        if z.is_tracked() && !value.is_tracked() {
            self.mistake.note(|| {
                let others = sampling_estimators(self.logits.variables());
                format!(
                    "the loss has no derivative with respect to the sample, and this estimator needs one; use one that does \
                     not, such as {others}"
                )
            });
        }
        value
    }
}

/// Returns names of estimators for such variables that need no derivative of the loss.
pub(super) fn sampling_estimators(variables: Variables) -> &'static str {
    match variables {
        Variables::Bits(_) => "rloo:4 or disarm",
        Variables::Categories { .. } => "rloo:4",
    }
}

/// Returns the estimator's value. If something is wrong, it notes the mistake and returns zeros.
pub(super) fn run_or_note<'t>(
    estimator: &mut (impl Estimator + ?Sized),
    logits: Logits<'t>,
    noise: &mut Noise,
    loss: &mut Rest<'_, 't>,
    mistake: &Mistake,
) -> Var<'t> {
    if let Err(reason) = estimator.check(logits.variables()).and_then(|()| logits.check()) {
        mistake.note(|| format!("{}: {reason}", estimator.name()));
        return zeros(logits);
    }
    estimator.run(Trial::new(logits, noise, loss, mistake))
}

/// A loss of 0 for each row.
pub(super) fn zeros(logits: Logits<'_>) -> Var<'_> {
    logits.var().tape().input_with([logits.rows()], |zeros| zeros.fill(0.0))
}

/// The call of an estimator, implemented for every [`Estimator`].
pub trait Estimate: Estimator {
    /// The loss per row, `[rows]`, with this estimator's gradient for the logits: see the [module](super).
    /// `loss` takes a sample of the logits' shape, hard or relaxed, and noise for its own draws. Row r of the
    /// loss may depend only on row r of the sample.
    ///
    /// # Panics
    /// If the estimator does not support the variables, a row of logits is fully masked, the loss is not one
    /// number per row, or the loss has no derivative with respect to the sample and the estimator needs one.
    #[track_caller]
    fn estimate<'t>(
        &mut self,
        logits: Logits<'t>,
        noise: &mut Noise,
        mut loss: impl FnMut(Var<'t>, &mut Noise) -> Var<'t>,
    ) -> Var<'t> {
        let mistake = Mistake::default();
        let value = run_or_note(self, logits, noise, &mut loss, &mistake);
        mistake.raise();
        value
    }
}

impl<E: Estimator + ?Sized> Estimate for E {}
