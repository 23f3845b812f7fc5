//! Estimators of the gradient of an expectation over discrete variables: d/dlogits E\[loss(z)\] for z drawn
//! from logits.
//!
//! An estimator takes the logits and the rest of the model, a closure from a sample to a loss per row. It
//! returns a value whose forward *is the loss*. Its backward gives the estimate for the logits, and the
//! ordinary (pathwise) gradient for everything else that the loss depends on. Estimators therefore nest: the
//! closure may itself draw a second layer of variables with another estimator. Anything computed from an
//! estimate must be linear in it, like a sum or a mean, because an unbiased estimate stays unbiased only
//! under linear maps that do not depend on the sample.
//!
//! ```
//! use reparam::estimators::{Estimate, LeaveOneOut};
//! use reparam::{Logits, Noise, Tape};
//!
//! let tape = Tape::new();
//! // Two rows of three bits.
//! let logits = tape.variable(&[0.0, 0.5, -0.5, 1.0, 0.0, -1.0], [2, 3]);
//! let noise = &mut Noise::seed(1);
//! let loss = LeaveOneOut::new(4).estimate(Logits::bits(logits), noise, |z, _| (z - 0.45).square().sum_axis(1));
//! assert_eq!(loss.shape().dims(), [2]);
//! let gradients = loss.sum().backward();
//! assert_eq!(gradients.of(logits).unwrap().len(), 6);
//! ```
//!
//! # Which one
//!
#![doc = include_str!("estimators/table.md")]
//!
//! [`parse`] makes an estimator from such a name, and [`entries`] lists them.
//!
//! `gumbel-softmax`, `muprop`, `rebar` and `relax` evaluate the loss at relaxed values too. A term like ln
//! q(z) in the loss then has the value of its formula there, which is not a log-probability. The other
//! estimators of an expected loss use hard values only.
//!
//! An estimator that learns does so at every call. An estimator of an earlier layer calls it once per
//! evaluation of the loss, which is seven times per step under an adapting `rebar` or `relax`.
//!
//! # Your own estimator
//!
//! Implement [`Estimator`]: a name, whether it is unbiased, and [`run`](Estimator::run), which gets a
//! [`Trial`] with the variables, their samples, the loss and the score. The lab, the models and the training
//! loop then accept it like any other.

mod arm;
mod baseline;
mod control_variate;
mod darn;
mod exact;
mod gumbel_rao;
mod gumbel_softmax;
mod layers;
mod learned;
mod leave_one_out;
mod mistake;
mod moving_average;
mod multi_sample;
mod muprop;
mod nvil;
mod registry;
mod reinmax;
mod relaxed_bound;
mod rows;
mod score_function;
mod slope;
mod straight_through;
mod trial;
mod unordered_set;
mod vimco;

pub use arm::{Arm, DisArm};
pub use control_variate::ControlVariate;
pub use darn::Darn;
pub use exact::Exact;
pub(crate) use exact::countable_states;
pub use gumbel_rao::GumbelRao;
pub use gumbel_softmax::{GumbelSoftmax, StGumbelSoftmax};
pub(crate) use layers::loss_of_samples;
pub use layers::{Sample, Step, estimate_layers, estimate_with_uniform_prior};
pub use leave_one_out::LeaveOneOut;
pub(crate) use mistake::not_per_row;
pub use multi_sample::{MultiSample, Objective};
pub use muprop::MuProp;
pub use nvil::Nvil;
pub use registry::{Entry, entries, parse, table};
pub use reinmax::ReinMax;
pub use relaxed_bound::RelaxedBound;
pub(crate) use rows::softmax_in_f64;
pub use score_function::ScoreFunction;
pub use straight_through::{StraightThrough, Surrogate};
pub use trial::{Estimate, Trial};
pub use unordered_set::UnorderedSet;
pub use vimco::Vimco;

use crate::checkpoint::Checkpoint;
use crate::var::Var;
use crate::var::temperature::is_temperature;
use crate::variables::Variables;

/// A way to estimate the gradient of an expected loss with respect to the logits of discrete variables.
pub trait Estimator: Send {
    /// Returns the name. [`parse`] understands the names of this crate's estimators. Parameters without a
    /// place in the name are left out: the temperature and scale of `rebar`, the hidden units of `relax`, a
    /// decay, the growth of a slope.
    fn name(&self) -> String;

    /// Returns true if its expectation is the exact gradient for every loss.
    fn is_unbiased(&self) -> bool;

    /// Checks that it supports `variables`.
    ///
    /// # Errors
    /// One sentence that says why it does not, and which estimator does.
    fn check(&self, variables: Variables) -> Result<(), String> {
        let _ = variables;
        Ok(())
    }

    /// Returns the loss per row, `[rows]`, with this estimator's gradient. Implement this method, but call
    /// [`Estimate::estimate`]. [`Var::with_logits_gradient`] attaches a gradient computed by hand, and
    /// [`Var::with_gradient_of`] the gradient of a surrogate.
    fn run<'t>(&mut self, trial: Trial<'_, 't>) -> Var<'t>;

    /// The objective whose gradient it estimates.
    fn objective(&self) -> Objective {
        Objective::Expected
    }

    /// Sets the temperature of its relaxed sample, or of the softmax whose derivative it takes. Returns true
    /// if it has a temperature that can be annealed.
    fn set_temperature(&mut self, tau: f32) -> bool {
        let _ = tau;
        false
    }

    /// Returns true if it learns anything from call to call: a baseline, a control variate, a schedule.
    fn adapts(&self) -> bool {
        false
    }

    /// Stops it from learning.
    fn freeze(&mut self) {}

    /// Saves what it has learned into a checkpoint, under names that begin with `prefix`.
    fn save(&self, prefix: &str, checkpoint: &mut Checkpoint) {
        let _ = (prefix, checkpoint);
    }

    /// Loads what [`save`](Self::save) stored after learning on `variables`.
    ///
    /// # Errors
    /// If something is missing from the checkpoint. The estimator is then unchanged.
    fn restore(&mut self, prefix: &str, variables: Variables, checkpoint: &Checkpoint) -> crate::Result<()> {
        let _ = (prefix, variables, checkpoint);
        Ok(())
    }
}

/// Panics with the reason if `constructor` cannot make its estimator.
#[track_caller]
fn demand(constructor: &str, checked: Result<(), String>) {
    if let Err(reason) = checked {
        panic!("{constructor}: {reason}");
    }
}

/// Checks a temperature. The error says why it is refused.
fn check_temperature(tau: f32) -> Result<(), String> {
    match is_temperature(tau) {
        true => Ok(()),
        false => Err(format!("its temperatures must be positive and finite, found {tau}; 1 is a usual one")),
    }
}
