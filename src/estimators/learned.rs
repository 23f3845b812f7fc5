//! Parameters that belong to an estimator, which puts copies of them on the model's tape and trains them
//! itself.

use super::rows::{flat_rows, sum_of_row};
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::gradients::Gradients;
use crate::nn::{Init, Linear};
use crate::noise::Noise;
use crate::optim::{Adam, Optimizer};
use crate::params::Params;
use crate::tape::Tape;
use crate::var::temperature::is_temperature;
use crate::var::{Activation, Var};
use crate::variables::Variables;

/// Parameters with their optimizer.
#[derive(Debug)]
pub(super) struct Learned {
    /// The length of the rows they are made for; `None` if no network depends on it.
    elements: Option<usize>,
    pub(super) params: Params,
    adam: Adam,
}

impl Learned {
    pub(super) fn new(elements: Option<usize>, params: Params, learning_rate: f64) -> Learned {
        Learned { elements, params, adam: Adam::new(learning_rate) }
    }

    /// Checks that the network, if there is one, was made for rows of this length.
    ///
    /// # Errors
    /// A sentence with both lengths.
    pub(super) fn check(learned: Option<&Learned>, variables: Variables) -> std::result::Result<(), String> {
        let elements = variables.elements();
        match learned.and_then(|learned| learned.elements).filter(|&made_for| made_for != elements) {
            None => Ok(()),
            Some(made_for) => Err(format!(
                "it learned on rows of {made_for} numbers and is given {elements}; use one estimator per layer"
            )),
        }
    }

    /// Saves it into a checkpoint, or the fact that there is none yet, because it is made on first use.
    pub(super) fn save(learned: Option<&Learned>, prefix: &str, checkpoint: &mut Checkpoint) {
        checkpoint.set(&format!("{prefix}used"), learned.is_some());
        if let Some(Learned { params, adam, .. }) = learned {
            params.save(prefix, checkpoint);
            adam.save(&format!("{prefix}optimizer."), params, checkpoint);
        }
    }

    /// Loads what [`save`](Self::save) stored, if anything, into a fresh one from `make`.
    pub(super) fn restore(
        make: impl FnOnce() -> Learned,
        prefix: &str,
        checkpoint: &Checkpoint,
    ) -> Result<Option<Learned>> {
        if !checkpoint.get(&format!("{prefix}used"))? {
            return Ok(None);
        }
        let mut learned = make();
        learned.params.restore(prefix, checkpoint)?;
        let log_tau = learned.params.find("log_tau").map_or(0.0, |id| learned.params.value(id)[0]);
        if !is_temperature(log_tau.exp()) {
            let expected = format_args!("the logarithm of a temperature in the tensor `{prefix}log_tau`");
            return Err(checkpoint.unfit(expected, log_tau));
        }
        learned.adam.restore(&format!("{prefix}optimizer."), &learned.params, checkpoint)?;
        Ok(Some(learned))
    }

    /// Copies of all parameters as variables, in declaration order. Unlike the leaves of [`Params::on`], they
    /// do not stop the parameters from changing before the model's tape is reset.
    pub(super) fn on<'t>(&self, tape: &'t Tape) -> Vec<Var<'t>> {
        let copy = |id| tape.variable(self.params.value(id), self.params.shape(id).clone());
        self.params.ids().map(copy).collect()
    }

    /// Takes one step with the gradients of those copies. It takes none if an entry is not finite, or too
    /// large for Adam to square, so that a single row whose loss has no slope does not end the learning.
    pub(super) fn step(&mut self, copies: &[Var<'_>], gradients: &Gradients) {
        let finite =
            |&copy: &Var<'_>| gradients.of(copy).is_none_or(|g| g.iter().all(|g| (g * g).is_finite()));
        if !copies.iter().all(finite) {
            return;
        }
        let mut of_params = Gradients::new();
        for (id, &copy) in self.params.ids().zip(copies) {
            if let Some(gradient) = gradients.of(copy) {
                of_params.add(&self.params, id, gradient);
            }
        }
        self.adam.step(&mut self.params, &of_params);
    }
}

/// Declares a network with one hidden layer of tanh units, from `elements` numbers to one. Its output starts
/// at 0.
pub(super) fn declare_network(params: &mut Params, elements: usize, hidden: usize) {
    // The estimator has its own noise, so that the model's does not depend on whether there is a network.
    let mut noise = Noise::seed(elements as u64);
    let tanh = Activation::Tanh;
    Linear::new(params, "hidden", (elements, hidden), tanh, Init::before(tanh), &mut noise);
    Linear::new(params, "output", (hidden, 1), Activation::Identity, Init::Constant(0.0), &mut noise);
}

/// The network's output per row, given the copies of its four parameters.
pub(super) fn network<'t>(copies: &[Var<'t>], input: Var<'t>) -> Var<'t> {
    let hidden = flat_rows(input).linear(copies[0], copies[1], Activation::Tanh);
    sum_of_row(hidden.linear(copies[2], copies[3], Activation::Identity))
}
