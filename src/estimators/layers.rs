//! Layers of variables, through which a model states its bound once for every estimator.

use std::cell::OnceCell;

use super::mistake::Mistake;
use super::trial::{run_or_note, zeros};
use super::{Estimate, Estimator, MultiSample, Objective};
use crate::distributions::{ExpConcrete, LogitRelaxedBernoulli};
use crate::noise::Noise;
use crate::var::Var;
use crate::variables::{Logits, Variables};

/// The form of the terms that q and the prior contribute to the loss of a sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Form {
    /// Log-probabilities, or a closed-form divergence if the model has one. ln q counts as a constant,
    /// because inside an expectation over q its derivative has mean 0.
    Expected,
    /// Log-probabilities of exact samples.
    Discrete,
    /// Relaxed values in log space: logits of relaxed bits, logarithms of relaxed one-hot vectors. Their
    /// terms are log-densities, with a temperature for q and one for the prior.
    Relaxed { posterior: f32, prior: f32 },
}

/// A sample of one layer, with its log-density under q and the form of the prior's term.
pub struct Sample<'t> {
    logits: Logits<'t>,
    /// The values, or the logits or logarithms of relaxed ones.
    node: Var<'t>,
    form: Form,
    log_q: OnceCell<Var<'t>>,
}

impl<'t> Sample<'t> {
    fn new(logits: Logits<'t>, node: Var<'t>, form: Form) -> Sample<'t> {
        Sample { logits, node, form, log_q: OnceCell::new() }
    }

    /// A sample of `logits` in that form.
    #[track_caller]
    fn draw(logits: Logits<'t>, form: Form, noise: &mut Noise) -> Sample<'t> {
        let node = match (form, logits.variables()) {
            (Form::Expected | Form::Discrete, _) => logits.sample(noise),
            (Form::Relaxed { posterior, .. }, Variables::Bits(_)) => {
                relaxed_bits(logits, posterior).rsample(noise)
            }
            (Form::Relaxed { posterior, .. }, Variables::Categories { .. }) => {
                relaxed_classes(logits, posterior).rsample(noise)
            }
        };
        Sample::new(logits, node, form)
    }

    /// The values that the rest of the model sees: in \[0, 1\], of the logits' shape.
    #[track_caller]
    pub fn value(&self) -> Var<'t> {
        match (self.form, self.logits.variables()) {
            (Form::Expected | Form::Discrete, _) => self.node,
            (Form::Relaxed { .. }, Variables::Bits(_)) => self.node.sigmoid(),
            (Form::Relaxed { .. }, Variables::Categories { .. }) => self.node.exp(),
        }
    }

    /// ln q of the sample per row, in nats: `[rows]`.
    #[track_caller]
    pub fn log_q(&self) -> Var<'t> {
        *self.log_q.get_or_init(|| match self.form {
            Form::Expected => self.logits.with(self.logits.var().stop_gradient()).log_prob(self.node),
            Form::Discrete => self.logits.log_prob(self.node),
            Form::Relaxed { posterior, .. } => self.log_density(self.logits, posterior),
        })
    }

    /// Returns true if the loss of this sample must contain all terms of q and the prior, as in a
    /// multi-sample bound. If not, a model may add a closed-form divergence to the estimated loss instead.
    pub fn is_in_bound(&self) -> bool {
        self.form != Form::Expected
    }

    /// ln p of the sample per row, in nats, for a prior with these logits, which come in whole rows:
    /// `[rows]`.
    #[track_caller]
    pub fn log_prior(&self, prior: Var<'t>) -> Var<'t> {
        let prior = self.logits.with(prior);
        match self.form {
            Form::Expected | Form::Discrete => prior.log_prob(self.node),
            Form::Relaxed { prior: tau, .. } => self.log_density(prior, tau),
        }
    }

    fn log_density(&self, logits: Logits<'t>, tau: f32) -> Var<'t> {
        match logits.variables() {
            Variables::Bits(_) => relaxed_bits(logits, tau).log_prob(self.node),
            Variables::Categories { .. } => relaxed_classes(logits, tau).log_prob(self.node),
        }
        .sum_axis(1)
    }

    /// The number of rows: rows of the data times samples per row.
    #[track_caller]
    pub fn rows(&self) -> usize {
        self.logits.rows()
    }

    /// Repeats each row of the data `[rows, width]` once per sample, to line up with the samples.
    ///
    /// # Panics
    /// If x is not `[rows, width]`, or the number of samples is not a multiple of its rows.
    #[track_caller]
    pub fn repeat(&self, x: Var<'t>) -> Var<'t> {
        let (shape, samples) = (x.shape(), self.logits.rows());
        assert!(
            shape.rank() == 2 && samples.is_multiple_of(shape.dims()[0]),
            "Sample::repeat: expected [rows, width] with rows dividing the {samples} samples, found {shape}"
        );
        repeat_rows(x, samples.checked_div(shape.dims()[0]).unwrap_or(1))
    }
}

// These two skip the checks of the constructors. If the logits have diverged, the loss shows it.

fn relaxed_bits(logits: Logits<'_>, tau: f32) -> LogitRelaxedBernoulli<'_> {
    LogitRelaxedBernoulli { logits: logits.var(), tau: tau.into() }
}

fn relaxed_classes(logits: Logits<'_>, tau: f32) -> ExpConcrete<'_> {
    ExpConcrete { logits: logits.var(), tau: tau.into() }
}

/// Repeats each row `times` times, one after another: `[rows, width]` to `[rows x times, width]`.
fn repeat_rows(x: Var<'_>, times: usize) -> Var<'_> {
    if times == 1 {
        return x;
    }
    let (rows, width) = (x.shape().dims()[0], x.shape().classes());
    x.reshape([rows, 1, width]).broadcast_to([rows, times, width]).reshape([rows * times, width])
}

/// A model's answer to the sample of a layer.
pub enum Step<'t> {
    /// The terms of the loss that this sample determines, `[rows]`, if any, and the variables of the next
    /// layer.
    Next(Option<Var<'t>>, Logits<'t>),
    /// The rest of the loss, `[rows]`, after the last layer.
    Last(Var<'t>),
}

/// A model as a function of the samples of its layers.
type Steps<'a, 't> = &'a mut dyn FnMut(usize, Option<&Sample<'t>>, &Sample<'t>, &mut Noise) -> Step<'t>;

/// The loss of each row through `estimators.len()` layers of variables, `[rows]`, with the gradient of one
/// estimator per layer, the first layer's first. The loss of a row is the sum of the terms that `steps`
/// returns; for a model with a bound it is ln q(z | x) - ln p(x, z). `steps` gets the number of a layer, the
/// sample of the layer before it, if any, its own sample, and noise for the model's own draws.
///
/// Estimators of an expected loss are nested: everything after a sample is the loss of its layer. Estimators
/// of a K-sample bound draw K samples of all layers at once.
///
/// # Panics
/// If there is no estimator, if only some belong to a multi-sample bound, if one does not support its layer's
/// variables, or if a loss or one of its terms is not one number per row.
#[track_caller]
pub fn estimate_layers<'t>(
    estimators: &mut [Box<dyn Estimator>],
    first: Logits<'t>,
    noise: &mut Noise,
    mut steps: impl FnMut(usize, Option<&Sample<'t>>, &Sample<'t>, &mut Noise) -> Step<'t>,
) -> Var<'t> {
    let Some(objective) = estimators.first().map(|first| first.objective()) else {
        panic!("estimate_layers: no estimator given; one for each layer of variables is needed")
    };
    assert!(
        estimators.iter().all(|estimator| estimator.objective() == objective),
        "expected estimators of one objective; a bound of several samples needs the same estimator for every layer"
    );
    let mistake = Mistake::default();
    let value = match objective {
        Objective::Expected => nested(0, None, estimators, first, noise, &mut steps, &mistake),
        Objective::MultiSample(bound) => {
            accept(&*estimators[0], first);
            joint(bound, first, noise, &mut steps, &mistake)
        }
    };
    mistake.raise();
    value
}

/// Panics with the reason if the estimator does not support the variables, or if a row of logits is fully
/// masked.
#[track_caller]
fn accept(estimator: &dyn Estimator, logits: Logits<'_>) {
    if let Err(reason) = estimator.check(logits.variables()).and_then(|()| logits.check()) {
        panic!("{}: {reason}", estimator.name());
    }
}

/// E\[loss(z)\] + KL(q(z) || uniform) of each row, `[rows]`, in nats, for one layer of variables and with the
/// divergence in closed form. An estimator of a K-sample bound gives that bound instead, with ln q(z) - ln
/// p(z) for each sample. `loss` gets the sample and the noise, and returns one number per row of the sample.
///
/// # Panics
/// If the estimator does not support the variables, or the loss is not one number per row.
#[track_caller]
pub fn estimate_with_uniform_prior<'t>(
    estimator: &mut dyn Estimator,
    logits: Logits<'t>,
    noise: &mut Noise,
    mut loss: impl FnMut(&Sample<'t>, &mut Noise) -> Var<'t>,
) -> Var<'t> {
    match estimator.objective() {
        Objective::Expected => {
            let expected = estimator
                .estimate(logits, noise, |z, noise| loss(&Sample::new(logits, z, Form::Expected), noise));
            expected + logits.kl_uniform()
        }
        Objective::MultiSample(bound) => {
            accept(estimator, logits);
            let mistake = Mistake::default();
            let mut steps = |_: usize, _: Option<&Sample<'t>>, z: &Sample<'t>, noise: &mut Noise| {
                let loss = mistake.unless_per_row(loss(z, noise), z.logits);
                let prior = z.logits.uniform().var();
                Step::Last(loss + z.log_q() - z.log_prior(prior))
            };
            let value = joint(bound, logits, noise, &mut steps, &mistake);
            mistake.raise();
            value
        }
    }
}

/// The loss of layer number `layer` and all later ones, with a nested estimator for each.
fn nested<'t>(
    layer: usize,
    below: Option<&Sample<'t>>,
    estimators: &mut [Box<dyn Estimator>],
    logits: Logits<'t>,
    noise: &mut Noise,
    steps: Steps<'_, 't>,
    mistake: &Mistake,
) -> Var<'t> {
    let Some((first, others)) = estimators.split_first_mut() else {
        mistake.note(|| format!("{layer} estimator(s) given for more layers; one for each layer is needed"));
        return zeros(logits);
    };
    let mut rest_of_model = |z: Var<'t>, noise: &mut Noise| {
        let sample = Sample::new(logits, z, Form::Expected);
        match steps(layer, below, &sample, noise) {
            Step::Last(loss) => loss,
            Step::Next(terms, next) => {
                let rest = nested(layer + 1, Some(&sample), others, next, noise, steps, mistake);
                let rest = mistake.unless_per_row(rest, logits);
                terms.map_or(rest, |terms| mistake.unless_per_row(terms, logits) + rest)
            }
        }
    };
    run_or_note(&mut **first, logits, noise, &mut rest_of_model, mistake)
}

/// The multi-sample bound, whose samples pass through all layers together.
#[track_caller]
fn joint<'t>(
    bound: MultiSample,
    first: Logits<'t>,
    noise: &mut Noise,
    steps: Steps<'_, 't>,
    mistake: &Mistake,
) -> Var<'t> {
    let (rows, samples) = (first.rows(), bound.samples());
    let flat = first.var().reshape([rows, first.variables().elements()]);
    let repeated = first.variables().logits(repeat_rows(flat, samples));
    let (loss, log_q) = run(bound.form(), repeated, noise, steps, mistake);
    let columns = |x: Var<'t>| x.reshape([rows, samples]);
    bound.value(-columns(loss), || columns(log_q()))
}

/// The loss of one exact sample of all layers per row, `[rows]`, for an evaluation to average.
#[track_caller]
pub(crate) fn loss_of_samples<'t>(
    first: Logits<'t>,
    noise: &mut Noise,
    mut steps: impl FnMut(usize, Option<&Sample<'t>>, &Sample<'t>, &mut Noise) -> Step<'t>,
) -> Var<'t> {
    let mistake = Mistake::default();
    let loss = run(Form::Discrete, first, noise, &mut steps, &mistake).0;
    mistake.raise();
    loss
}

/// The loss of a sample of all layers per row, and a closure that returns ln q of the sample.
#[track_caller]
fn run<'t>(
    form: Form,
    first: Logits<'t>,
    noise: &mut Noise,
    steps: Steps<'_, 't>,
    mistake: &Mistake,
) -> (Var<'t>, impl FnOnce() -> Var<'t>) {
    let mut samples: Vec<Sample<'t>> = Vec::new();
    let mut sum: Option<Var<'t>> = None;
    let mut logits = first;
    let loss = loop {
        let sample = Sample::draw(logits, form, noise);
        let step = steps(samples.len(), samples.last(), &sample, noise);
        samples.push(sample);
        let add = |terms: Var<'t>| {
            let terms = mistake.unless_per_row(terms, first);
            sum.map_or(terms, |sum| sum + terms)
        };
        match step {
            Step::Last(terms) => break add(terms),
            Step::Next(_, next) if next.rows() != first.rows() => {
                let (rows, found) = (first.rows(), next.rows());
                mistake.note(|| {
                    format!("a layer of {found} rows follows one of {rows}; all layers have the same rows")
                });
                break zeros(first);
            }
            Step::Next(terms, next) => {
                sum = terms.map(add).or(sum);
                logits = next;
            }
        }
    };
    let log_q = move || samples.iter().map(Sample::log_q).reduce(|sum, next| sum + next);
    (loss, move || log_q().expect("at least one layer"))
}
