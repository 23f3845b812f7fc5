//! Estimators of the gradient of an expectation over discrete variables: d/dlogits E\[loss(z)\] for z drawn from logits.
//!
//! Each takes the logits and the rest of the model as a closure from a sample to a loss per row, and returns a value
//! whose forward *is the loss* and whose backward is the estimate for the logits, and the ordinary (pathwise) gradient
//! for everything else that the loss depends on. So they nest: the closure may itself draw a second layer of variables
//! with another estimator. What follows must be linear in the value then, as a sum or a mean is: the mean of an estimate times
//! a number is the gradient only where the number does not depend on the sample. `vimco` takes logarithms of its losses, so
//! that it is for the innermost layer, or for samples of all layers at once ([`Vimco::bound`]).
//!
//! ```
//! use reparam::estimators::{Discrete, Estimator, LeaveOneOut};
//! use reparam::{Noise, Tape};
//!
//! let tape = Tape::new();
//! // Two rows of three bits.
//! let logits = tape.variable(&[0.0, 0.5, -0.5, 1.0, 0.0, -1.0], [2, 3]);
//! let mut estimator = LeaveOneOut::new(4);
//! let loss = estimator.estimate(Discrete::Bernoulli(logits), &mut Noise::seed(1), &mut |z, _| {
//!     (z - 0.45).square().sum_axis(1)
//! });
//! assert_eq!(loss.shape().dims(), [2]);
//! let gradients = loss.sum().backward();
//! assert_eq!(gradients.of(logits).unwrap().len(), 6);
//! ```
//!
//! # Which one
//!
//! | name | estimator | variables | unbiased | evaluations |
//! | --- | --- | --- | --- | --- |
//! | `exact` | [`Exact`]: the sum over all states | both | yes, without variance | states |
//! | `score-function` | [`ScoreFunction`]: f times the score | both | yes | 1 |
//! | `moving-average` | [`ScoreFunction`] less a moving average of f | both | yes | 1 |
//! | `nvil`, `nvil-normalised` | [`Nvil`]: learned baseline, variance normalisation | both | without normalisation | 1 |
//! | `rloo:K` | [`LeaveOneOut`]: each sample's baseline is the mean of the others | both | yes | K |
//! | `vimco:K` | [`Vimco`]: the multi-sample bound | both | yes, for that bound | K |
//! | `gumbel-softmax:TAU` | [`GumbelSoftmax`]: the relaxed sample | both | no | 1 |
//! | `st-gumbel-softmax:TAU` | [`StGumbelSoftmax`]: hard forward, relaxed backward | both | no | 1 |
//! | `st-gumbel-softmax:FORWARD:BACKWARD` | the same with two temperatures: the sample is of the law softmax(logits / FORWARD) | both | no | 1 |
//! | `gumbel-rao:K:TAU` | [`GumbelRao`]: that, averaged over K noises with one sample | both | no | 1 |
//! | `st-identity`, `st-softmax:TAU`, `st-hard-tanh`, `st-slope-annealed` | [`StraightThrough`] | both (hard tanh: bits) | no | 1 |
//! | `darn` | [`Darn`]: Taylor expansion about the sample, taken at the uniform vector | both | for quadratic losses of bits | 1 |
//! | `reinmax:TAU` | [`ReinMax`]: second-order straight-through | both | for quadratic losses, at tau 1 | 1 |
//! | `muprop`, `muprop-baseline`, `muprop-normalised` | [`MuProp`]: Taylor expansion about the mean as control variate | both | without normalisation | 2 |
//! | `rebar` | [`ControlVariate::rebar`]: the relaxed loss as control variate | both | yes | 2 (+ 5 to adapt) |
//! | `relax` | [`ControlVariate::relax`]: that plus a network | both | yes | 2 (+ 5 to adapt) |
//! | `arm`, `disarm` | [`Arm`], [`DisArm`]: antithetic pairs | bits | yes | 2 |
//! | `unordered-set:K` | [`UnorderedSet`]: K samples without replacement | one categorical | yes | K |
//!
//! [`parse`] makes an estimator from such a name.
//!
//! `gumbel-softmax`, `muprop`, `rebar` and `relax` evaluate the loss at relaxed values too: a term like ln q(z) in it then is what
//! its formula says of them, and no log-probability. The other estimators ask for hard values only.
//!
//! An estimator that learns does so at every call, also at the calls that an estimator of an earlier layer makes on the way:
//! as many as it has evaluations, of which an adapting `rebar` or `relax` has seven.

mod arm;
mod baseline;
mod control_variate;
mod darn;
mod exact;
mod gumbel_rao;
mod gumbel_softmax;
mod learned;
mod leave_one_out;
mod moving_average;
mod muprop;
mod name;
mod nvil;
mod reinmax;
mod score_function;
mod slope;
mod straight_through;
mod unordered_set;
mod variable;
mod vimco;

pub use arm::{Arm, DisArm};
pub use control_variate::ControlVariate;
pub use darn::Darn;
pub use exact::{Exact, one_state, states};
pub use gumbel_rao::GumbelRao;
pub use gumbel_softmax::{GumbelSoftmax, StGumbelSoftmax};
pub use leave_one_out::LeaveOneOut;
pub use muprop::MuProp;
pub use name::{ALL, parse};
pub use nvil::Nvil;
pub use reinmax::ReinMax;
pub use score_function::ScoreFunction;
pub use straight_through::{StraightThrough, Surrogate};
pub use unordered_set::UnorderedSet;
pub(crate) use variable::softmax_in_f64;
pub use variable::{Discrete, Kind};
pub use vimco::Vimco;

use crate::checkpoint::Checkpoint;
use crate::noise::Noise;
use crate::var::Var;
use crate::var::temperature::is_temperature;

/// The rest of a model: from a sample of the variables (hard or relaxed, of the logits' shape) to a loss per row,
/// `[rows]`. Row r of the loss may depend on row r of the sample only. The noise is for variables that the closure draws
/// itself.
pub type Loss<'a, 't> = &'a mut dyn FnMut(Var<'t>, &mut Noise) -> Var<'t>;

/// What an estimator estimates the gradient of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Objective {
    /// E\[f(z)\]
    Expected,
    /// E\[-ln(1/K sum_k e^-f(z_k))\] over K independent samples: with f = -ln w, the multi-sample bound.
    MultiSample(usize),
}

/// A way to estimate the gradient of an expected loss with respect to the logits of discrete variables.
///
/// An estimator of one's own needs a name, a claim and [`estimate`](Self::estimate); the lab then measures it like any other.
pub trait Estimator: Send {
    /// Its name, which [`parse`] understands if it is one of this crate's. Parameters that the name has no place for are left
    /// out: the temperature and scale of `rebar`, the hidden units of `relax`, a decay, the slope's growth.
    fn name(&self) -> String;

    /// Whether its expectation is the exact gradient, for every loss.
    fn is_unbiased(&self) -> bool;

    /// Why it cannot treat such variables, and what could: one sentence.
    ///
    /// # Errors
    /// That sentence.
    fn check(&self, kind: Kind) -> Result<(), String> {
        let _ = kind;
        Ok(())
    }

    /// The loss per row, `[rows]`, with this estimator's gradient: see the [module](self).
    ///
    /// # Panics
    /// If [`check`](Self::check) refuses the variable, the loss is not one number per row, or the estimator goes through the
    /// loss's derivative and there is none.
    #[track_caller]
    fn estimate<'t>(&mut self, variable: Discrete<'t>, noise: &mut Noise, loss: Loss<'_, 't>) -> Var<'t>;

    /// The objective whose gradient it estimates.
    fn objective(&self) -> Objective {
        Objective::Expected
    }

    /// Another temperature from now on, and whether it has one that can be annealed: that of the relaxed sample, or of the
    /// softmax whose derivative stands for the sample's.
    fn set_temperature(&mut self, tau: f32) -> bool {
        let _ = tau;
        false
    }

    /// Whether it learns anything on the way: a baseline, a control variate, a schedule.
    fn adapts(&self) -> bool {
        false
    }

    /// Keeps what it learns on the way as it is from now on.
    fn freeze(&mut self) {}

    /// Puts what it has learned into a checkpoint, under names that begin with `prefix`, so that a run goes on exactly.
    fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        let _ = (prefix, checkpoint);
    }

    /// Takes up what [`save`](Self::save) put, having learned on variables of that kind.
    ///
    /// # Errors
    /// If something is missing from the checkpoint.
    fn restore(&mut self, prefix: &str, kind: Kind, checkpoint: &Checkpoint) -> crate::Result<()> {
        let _ = (prefix, kind, checkpoint);
        Ok(())
    }
}

/// Panics with the reason if the estimator cannot treat the variable.
#[track_caller]
fn accept(estimator: &impl Estimator, variable: Discrete<'_>) {
    if let Err(reason) = estimator.check(variable.kind()) {
        panic!("{}: {reason}", estimator.name());
    }
}

/// Why a temperature is refused.
fn check_temperature(tau: f32) -> Result<(), String> {
    match is_temperature(tau) {
        true => Ok(()),
        false => Err(format!("its temperatures must be positive and finite, found {tau}; 1 is a usual one")),
    }
}

/// The loss at `z`, checked to be one number per row.
#[track_caller]
fn evaluate<'t>(loss: Loss<'_, 't>, z: Var<'t>, noise: &mut Noise) -> Var<'t> {
    let value = loss(z, noise);
    let rows = z.shape().dims()[0];
    assert!(
        value.is_tracked() || !z.is_tracked(),
        "the loss has no derivative by the sample, which this estimator goes through; use one that does not: rloo:4, disarm"
    );
    assert!(
        value.shape().dims() == [rows],
        "the loss of {rows} rows must be [{rows}], one number per row, its shape is {}",
        value.shape()
    );
    value
}

/// The loss, with the gradient of `signal` times the score added to its own.
fn with_score<'t>(loss: Var<'t>, signal: Var<'t>, log_prob: Var<'t>) -> Var<'t> {
    loss.with_gradient_of(loss + signal.stop_gradient() * log_prob)
}
