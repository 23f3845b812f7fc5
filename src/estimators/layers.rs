//! Layers of variables: how a model states its bound once, for every estimator.

use std::cell::OnceCell;

use super::trial::accept;
use super::{Estimate, Estimator, MultiSample, Objective};
use crate::distributions::{ExpConcrete, LogitRelaxedBernoulli};
use crate::noise::Noise;
use crate::var::Var;
use crate::variables::{Logits, Variables};

/// Which terms q and the prior contribute to the loss of a sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Form {
    /// Log-probabilities, or a divergence in closed form where the model has one. ln q counts as a number: it is inside an
    /// expectation over q, where the mean of its derivative is 0.
    Expected,
    /// Log-probabilities of exact samples.
    Discrete,
    /// Relaxed values in log space: logits of relaxed bits, logarithms of relaxed one-hot vectors. Their terms are
    /// log-densities, with a temperature for q and one for the prior.
    Relaxed { posterior: f32, prior: f32 },
}

/// A sample of one layer, with its log-density under q and the form of the prior's term.
pub struct Sample<'t> {
    logits: Logits<'t>,
    /// The values, or for relaxed ones their logits or logarithms.
    node: Var<'t>,
    form: Form,
    log_q: OnceCell<Var<'t>>,
}

impl<'t> Sample<'t> {
    fn new(logits: Logits<'t>, node: Var<'t>, form: Form) -> Sample<'t> {
        Sample { logits, node, form, log_q: OnceCell::new() }
    }

    /// A sample of `logits` in that form.
    fn draw(logits: Logits<'t>, form: Form, noise: &mut Noise) -> Sample<'t> {
        let node = match (form, logits.variables()) {
            (Form::Expected | Form::Discrete, _) => logits.sample(noise),
            (Form::Relaxed { posterior, .. }, Variables::Bits(_)) => {
                LogitRelaxedBernoulli::new(logits.var(), posterior).rsample(noise)
            }
            (Form::Relaxed { posterior, .. }, Variables::Categories { .. }) => {
                ExpConcrete::new(logits.var(), posterior).rsample(noise)
            }
        };
        Sample::new(logits, node, form)
    }

    /// What the rest of the model sees: values in \[0, 1\], of the logits' shape.
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

    /// Whether the loss of this sample must hold all terms of q and the prior, as in a bound of several samples. If not, a
    /// model may add a divergence in closed form to the estimated loss instead.
    pub fn is_in_bound(&self) -> bool {
        self.form != Form::Expected
    }

    /// ln p of the sample per row, in nats, for a prior with these logits, which come in whole rows: `[rows]`.
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
            Variables::Bits(_) => LogitRelaxedBernoulli::new(logits.var(), tau).log_prob(self.node),
            Variables::Categories { .. } => ExpConcrete::new(logits.var(), tau).log_prob(self.node),
        }
        .sum_axis(1)
    }

    /// The number of rows: rows of the data times samples of each.
    #[track_caller]
    pub fn rows(&self) -> usize {
        self.logits.rows()
    }

    /// Rows of the data, `[rows, width]`, next to the samples: each is repeated as often as it has samples.
    #[track_caller]
    pub fn repeat(&self, x: Var<'t>) -> Var<'t> {
        let rows = x.shape().dims()[0];
        repeat_rows(x, self.logits.rows().checked_div(rows).unwrap_or(1))
    }
}

/// Each row `times` times, one after another: `[rows, width]` to `[rows x times, width]`.
fn repeat_rows(x: Var<'_>, times: usize) -> Var<'_> {
    if times == 1 {
        return x;
    }
    let (rows, width) = (x.shape().dims()[0], x.shape().classes());
    x.reshape([rows, 1, width]).broadcast_to([rows, times, width]).reshape([rows * times, width])
}

/// What a model says of a layer once it has a sample.
pub enum Step<'t> {
    /// The terms of the loss that this sample decides, `[rows]`, if there are any, and the variables of the next layer.
    Next(Option<Var<'t>>, Logits<'t>),
    /// The last layer: the rest of the loss, `[rows]`.
    Last(Var<'t>),
}

/// A model as a function of the samples of its layers.
type Steps<'a, 't> = &'a mut dyn FnMut(usize, Option<&Sample<'t>>, &Sample<'t>, &mut Noise) -> Step<'t>;

/// The loss of each row through `estimators.len()` layers of variables, `[rows]`, with the gradient of one estimator per
/// layer, the first layer's first. The loss of a row is the sum of the terms that `steps` returns, for a model with a bound
/// ln q(z | x) - ln p(x, z). `steps` gets the number of a layer, the sample of the layer before it, if there is one, its own
/// sample, and noise for what the model itself draws.
///
/// Estimators of an expected loss are nested: all that follows a sample is the loss of its layer. Estimators of a bound of K
/// samples draw K samples of all layers at once.
///
/// # Panics
/// If there is no estimator, only some are of a bound of several samples, or one does not treat its layer's variables.
#[track_caller]
pub fn estimate_layers<'t>(
    estimators: &mut [Box<dyn Estimator>],
    first: Logits<'t>,
    noise: &mut Noise,
    mut steps: impl FnMut(usize, Option<&Sample<'t>>, &Sample<'t>, &mut Noise) -> Step<'t>,
) -> Var<'t> {
    let objective = estimators.first().map(|first| first.objective());
    let objective = objective.expect("an estimator for each layer of variables");
    assert!(
        estimators.iter().all(|estimator| estimator.objective() == objective),
        "estimators of one objective expected; a bound of several samples needs the same estimator for every layer"
    );
    match objective {
        Objective::Expected => nested(0, None, estimators, first, noise, &mut steps),
        Objective::MultiSample(bound) => {
            accept(&*estimators[0], first.variables());
            joint(bound, first, noise, &mut steps)
        }
    }
}

/// E\[loss(z)\] + KL(q(z) || uniform) of each row, `[rows]`, in nats, for one layer of variables: the divergence is in closed
/// form. An estimator of a bound of K samples gives that bound instead, with ln q(z) - ln p(z) for each sample. `loss` gets
/// the sample and the noise; its rows are those of the sample.
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
            accept(estimator, logits.variables());
            joint(bound, logits, noise, &mut |_, _, z, noise| {
                let loss = loss(z, noise);
                let prior = z.logits.uniform().var();
                Step::Last(loss + z.log_q() - z.log_prior(prior))
            })
        }
    }
}

/// The loss of layer number `layer` and all that follow, with a nested estimator for each.
#[track_caller]
fn nested<'t>(
    layer: usize,
    below: Option<&Sample<'t>>,
    estimators: &mut [Box<dyn Estimator>],
    logits: Logits<'t>,
    noise: &mut Noise,
    steps: Steps<'_, 't>,
) -> Var<'t> {
    let (first, others) = estimators.split_first_mut().expect("an estimator for each layer of variables");
    first.estimate(logits, noise, |z, noise| {
        let sample = Sample::new(logits, z, Form::Expected);
        match steps(layer, below, &sample, noise) {
            Step::Last(loss) => loss,
            Step::Next(terms, next) => {
                let rest = nested(layer + 1, Some(&sample), others, next, noise, steps);
                terms.map_or(rest, |terms| terms + rest)
            }
        }
    })
}

/// The bound of several samples that pass through all layers together.
#[track_caller]
fn joint<'t>(bound: MultiSample, first: Logits<'t>, noise: &mut Noise, steps: Steps<'_, 't>) -> Var<'t> {
    let (rows, samples) = (first.rows(), bound.samples());
    let flat = first.var().reshape([rows, first.variables().elements()]);
    let repeated = first.variables().logits(repeat_rows(flat, samples));
    let (loss, log_q) = run(bound.form(), repeated, noise, steps);
    let columns = |x: Var<'t>| x.reshape([rows, samples]);
    bound.value(-columns(loss), || columns(log_q()))
}

/// The loss of one exact sample of all layers per row, `[rows]`: what an evaluation averages.
#[track_caller]
pub(crate) fn loss_of_samples<'t>(
    first: Logits<'t>,
    noise: &mut Noise,
    mut steps: impl FnMut(usize, Option<&Sample<'t>>, &Sample<'t>, &mut Noise) -> Step<'t>,
) -> Var<'t> {
    run(Form::Discrete, first, noise, &mut steps).0
}

/// The loss of a sample of all layers per row, and what gives ln q of the sample.
#[track_caller]
fn run<'t>(
    form: Form,
    first: Logits<'t>,
    noise: &mut Noise,
    steps: Steps<'_, 't>,
) -> (Var<'t>, impl FnOnce() -> Var<'t>) {
    let mut samples: Vec<Sample<'t>> = Vec::new();
    let mut sum: Option<Var<'t>> = None;
    let mut logits = first;
    loop {
        let sample = Sample::draw(logits, form, noise);
        let step = steps(samples.len(), samples.last(), &sample, noise);
        samples.push(sample);
        let add = |terms: Var<'t>| sum.map_or(terms, |sum| sum + terms);
        match step {
            Step::Last(terms) => {
                let loss = add(terms);
                let log_q = move || samples.iter().map(Sample::log_q).reduce(|sum, next| sum + next);
                return (loss, move || log_q().expect("at least one layer"));
            }
            Step::Next(terms, next) => {
                sum = terms.map(add).or(sum);
                logits = next;
            }
        }
    }
}
