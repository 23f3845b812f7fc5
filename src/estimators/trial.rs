//! One estimate in progress: an estimator's inputs, and the operations that all estimators share.

use crate::estimators::Estimator;
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
    /// A mistake found in the rest of the model. [`Estimate::estimate`] panics with it at its caller's line.
    mistake: &'a mut Option<String>,
}

impl<'a, 't> Trial<'a, 't> {
    pub(super) fn new(
        logits: Logits<'t>,
        noise: &'a mut Noise,
        rest: &'a mut Rest<'a, 't>,
        mistake: &'a mut Option<String>,
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
    pub fn sample(&mut self) -> Var<'t> {
        self.logits.sample(self.noise)
    }

    /// The loss per row at `z`, `[rows]`. If the model returns something else, [`Estimate::estimate`] panics.
    pub fn loss(&mut self, z: Var<'t>) -> Var<'t> {
        let value = (self.rest)(z, self.noise);
        self.checked(z, value)
    }

    /// The loss at `z`, with the rest of the model taking its noise from `noise`.
    pub fn loss_with(&mut self, z: Var<'t>, noise: &mut Noise) -> Var<'t> {
        let value = (self.rest)(z, noise);
        self.checked(z, value)
    }

    /// The log-probability of the hard values `z` per row, in nats: `[rows]`.
    pub fn log_prob(&self, z: Var<'t>) -> Var<'t> {
        self.logits.log_prob(z)
    }

    /// The loss, with `signal` times the score d ln p(z) added to its gradient. The signal counts as a
    /// constant.
    pub fn score(&self, loss: Var<'t>, signal: Var<'t>, z: Var<'t>) -> Var<'t> {
        loss.with_gradient_of(loss + signal.stop_gradient() * self.log_prob(z))
    }

    /// Returns the value if it is one number per row and has a derivative where the sample has one. Otherwise
    /// it notes the mistake, and zeros stand in for a value of the wrong shape until the estimator returns.
    fn checked(&mut self, z: Var<'t>, value: Var<'t>) -> Var<'t> {
        let rows = z.shape().dims()[0];
        let shape = value.shape();
        if shape.dims() != [rows] {
            self.mistake.get_or_insert_with(|| {
                format!("the loss of {rows} rows must be [{rows}], one number per row, its shape is {shape}")
            });
            return z.tape().input_with([rows], |zeros| zeros.fill(0.0));
        }
        if z.is_tracked() && !value.is_tracked() {
            self.mistake.get_or_insert_with(|| {
                "the loss has no derivative with respect to the sample, and this estimator needs one; rloo:4 and disarm do not"
                    .to_owned()
            });
        }
        value
    }
}

/// Panics with the reason if the estimator does not support the variables.
#[track_caller]
pub(super) fn accept(estimator: &(impl Estimator + ?Sized), variables: Variables) {
    if let Err(reason) = estimator.check(variables) {
        panic!("{}: {reason}", estimator.name());
    }
}

/// The call of an estimator, implemented for every [`Estimator`].
pub trait Estimate: Estimator {
    /// The loss per row, `[rows]`, with this estimator's gradient for the logits: see the [module](super).
    /// `loss` takes a sample of the logits' shape, hard or relaxed, and noise for its own draws. Row r of the
    /// loss may depend only on row r of the sample.
    ///
    /// # Panics
    /// If the estimator does not support the variables, the loss is not one number per row, or it has no
    /// derivative with respect to the sample and the estimator needs one.
    #[track_caller]
    fn estimate<'t>(
        &mut self,
        logits: Logits<'t>,
        noise: &mut Noise,
        mut loss: impl FnMut(Var<'t>, &mut Noise) -> Var<'t>,
    ) -> Var<'t> {
        accept(self, logits.variables());
        let mut mistake = None;
        let value = self.run(Trial::new(logits, noise, &mut loss, &mut mistake));
        if let Some(mistake) = mistake {
            panic!("{mistake}");
        }
        value
    }
}

impl<E: Estimator + ?Sized> Estimate for E {}
