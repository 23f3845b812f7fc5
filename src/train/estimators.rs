//! The estimators of a run, one per layer of the model's variables, and how they change over the run.

use super::training::at_every_step;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::estimators::{Estimator, Objective, entries, parse};
use crate::schedule::Schedule;
use crate::variables::Variables;

/// Makes the estimator of a layer.
type Maker = Box<dyn Fn(Variables) -> Box<dyn Estimator>>;

/// The source of each layer's estimator: a name, or a closure that makes your own estimators.
///
/// ```
/// use reparam::estimators::{LeaveOneOut, UnorderedSet};
/// use reparam::train::Estimators;
/// use reparam::{Schedule, Variables};
///
/// let named = Estimators::named("gumbel-softmax:1").unwrap().annealed("tail:1,0.1,0,1000".parse().unwrap());
/// let by_layer = Estimators::made_by(|variables| match variables {
///     Variables::Categories { count: 1, .. } => Box::new(UnorderedSet::new(2)),
///     _ => Box::new(LeaveOneOut::new(4)),
/// });
/// ```
pub struct Estimators {
    /// Each maker with the step it applies from. The first applies from step 0.
    phases: Vec<(u64, Maker)>,
    tau: Option<Schedule>,
}

impl Estimators {
    /// No estimators, for a model without variables.
    pub fn none() -> Estimators {
        Estimators { phases: Vec::new(), tau: None }
    }

    /// The named estimator for every layer.
    ///
    /// # Errors
    /// If [`parse`] does not know the name.
    pub fn named(name: &str) -> Result<Estimators> {
        Ok(Estimators { phases: vec![(0, maker_of(name)?)], tau: None })
    }

    /// The estimator that `make` returns for each layer.
    pub fn made_by(make: impl Fn(Variables) -> Box<dyn Estimator> + 'static) -> Estimators {
        Estimators { phases: vec![(0, Box::new(make))], tau: None }
    }

    /// Anneals the temperature on the schedule `tau`.
    pub fn annealed(self, tau: Schedule) -> Estimators {
        Estimators { tau: Some(tau), ..self }
    }

    /// Switches to another named estimator from `step` on.
    ///
    /// # Errors
    /// If [`parse`] does not know the name.
    pub fn then(mut self, step: u64, name: &str) -> Result<Estimators> {
        self.phases.push((step, maker_of(name)?));
        Ok(self)
    }

    /// Makes the estimators for these layers.
    ///
    /// # Errors
    /// If there are layers but no estimators, or the reverse, or if an estimator does not support a layer's
    /// variables or has no temperature to anneal.
    pub(super) fn for_layers(self, layers: &[Variables], steps: u64) -> Result<OfLayers> {
        let Estimators { phases, tau } = self;
        match (layers, &phases[..]) {
            ([], [(_, make), ..]) => {
                let name = make(Variables::Bits(1)).name();
                let expected = "none: the model has no discrete variables to estimate a gradient through";
                return Err(Error::invalid("estimator", expected, format!("`{name}`")));
            }
            ([_, ..], []) => {
                return Err(Error::invalid("estimator", "one for the model's discrete variables", "none"));
            }
            _ => {}
        }
        if let Some(tau) = tau {
            check_tau(tau, steps)?;
        }
        let mut made = Vec::new();
        for (from, make) in phases {
            let of_layers = layers.iter().map(|&layer| made_for(&make, layer, tau)).collect::<Result<_>>()?;
            made.push((from, of_layers));
        }
        let names = made.iter().map(|(from, estimators): &(u64, Vec<Box<dyn Estimator>>)| {
            let names: Vec<String> = estimators.iter().map(|estimator| estimator.name()).collect();
            match names.windows(2).all(|pair| pair[0] == pair[1]) {
                true => (*from, names.first().cloned().unwrap_or_default()),
                false => (*from, names.join(",")),
            }
        });
        Ok(OfLayers { names: names.collect(), phases: made, layers: layers.to_vec(), tau })
    }
}

fn maker_of(name: &str) -> Result<Maker> {
    parse(name)?;
    let name = name.to_owned();
    Ok(Box::new(move |_| parse(&name).expect("parsed before")))
}

/// Makes an estimator, which must support the layer and, if `tau` is given, have a temperature.
fn made_for(make: &Maker, layer: Variables, tau: Option<Schedule>) -> Result<Box<dyn Estimator>> {
    let mut estimator = make(layer);
    let name = estimator.name();
    if let Err(reason) = estimator.check(layer) {
        let expected = format!("an estimator for {layer}, one of {}", fitting(layer).join(", "));
        return Err(Error::invalid("estimator", expected, format!("{name}: {reason}")));
    }
    if let Some(tau) = tau {
        // Tried on a copy, so that the name keeps its own temperature.
        if !estimator.set_temperature(tau.at(0) as f32) {
            let expected = "an estimator with a temperature to anneal";
            return Err(Error::invalid("tau", expected, format!("`{name}`")));
        }
        estimator = make(layer);
    }
    Ok(estimator)
}

/// The names, with usual parameters, of the estimators that support these variables.
fn fitting(layer: Variables) -> Vec<&'static str> {
    let fits = |name: &&&str| parse(name).is_ok_and(|estimator| estimator.check(layer).is_ok());
    entries().filter_map(|entry| entry.usual.iter().find(fits)).copied().collect()
}

/// The temperatures that relaxed samples support.
const TAU: std::ops::RangeInclusive<f64> = 1e-3..=1e3;

fn check_tau(tau: Schedule, steps: u64) -> Result<()> {
    match at_every_step(tau, steps, TAU) {
        true => Ok(()),
        false => {
            let expected = format!("a number from {} to {} at every step", TAU.start(), TAU.end());
            Err(Error::invalid("tau", expected, tau))
        }
    }
}

/// The estimators of a run in progress.
pub(super) struct OfLayers {
    names: Vec<(u64, String)>,
    phases: Vec<(u64, Vec<Box<dyn Estimator>>)>,
    layers: Vec<Variables>,
    tau: Option<Schedule>,
}

impl OfLayers {
    /// The estimators for a step, at its temperature.
    pub(super) fn at(&mut self, step: u64) -> &mut [Box<dyn Estimator>] {
        let tau = self.tau_at(step);
        let phase = self.phases.iter_mut().rev().find(|(from, _)| *from <= step);
        let Some((_, estimators)) = phase else { return &mut [] };
        if let Some(tau) = tau {
            for estimator in estimators.iter_mut() {
                estimator.set_temperature(tau as f32);
            }
        }
        estimators
    }

    /// The temperature at a step, if one is annealed.
    pub(super) fn tau_at(&self, step: u64) -> Option<f64> {
        self.tau.map(|tau| tau.at(step))
    }

    /// Samples per image in the loss: K for a K-sample bound, otherwise 1.
    pub(super) fn samples(&self) -> usize {
        let first = self.phases.first().and_then(|(_, estimators)| estimators.first());
        match first.map(|estimator| estimator.objective()) {
            Some(Objective::MultiSample(bound)) => bound.samples(),
            _ => 1,
        }
    }

    /// Stores the settings in a checkpoint.
    pub(super) fn write_settings(&self, checkpoint: &mut Checkpoint) {
        for (from, name) in &self.names {
            match from {
                0 => checkpoint.set("estimator", name),
                from => checkpoint.set("then", format!("{from} {name}")),
            }
        }
        if let Some(tau) = self.tau {
            checkpoint.set("tau", tau);
        }
    }

    /// Saves what the estimators have learned.
    pub(super) fn save(&self, checkpoint: &mut Checkpoint) {
        self.each(|prefix, i, layer| self.phases[i].1[layer].save(prefix, checkpoint));
    }

    /// Loads what [`save`](Self::save) stored.
    pub(super) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let mut outcome = Ok(());
        let mut prefixes = Vec::new();
        self.each(|prefix, i, layer| prefixes.push((prefix.to_owned(), i, layer)));
        for (prefix, i, layer) in prefixes {
            let variables = self.layers[layer];
            outcome = outcome.and_then(|()| self.phases[i].1[layer].restore(&prefix, variables, checkpoint));
        }
        outcome
    }

    fn each(&self, mut visit: impl FnMut(&str, usize, usize)) {
        for (i, (_, estimators)) in self.phases.iter().enumerate() {
            for layer in 0..estimators.len() {
                visit(&format!("estimator.{i}.{layer}."), i, layer);
            }
        }
    }
}

/// The settings of a run's estimators.
#[derive(Clone, PartialEq, Debug)]
pub struct Sampling {
    /// The estimator's name. See [`parse`].
    pub estimator: String,
    /// The temperature at each step. `None` keeps the one in the name.
    pub tau: Option<Schedule>,
    /// A step, and the name of the estimator that takes over from that step.
    pub then: Option<(u64, String)>,
}

impl Sampling {
    /// An estimator with the settings in its name.
    pub fn named(estimator: &str) -> Sampling {
        Sampling { estimator: estimator.to_owned(), tau: None, then: None }
    }

    /// Makes the estimators.
    ///
    /// # Errors
    /// If a name is unknown.
    pub fn estimators(&self) -> Result<Estimators> {
        let mut estimators = Estimators::named(&self.estimator)?;
        if let Some((step, name)) = &self.then {
            estimators = estimators.then(*step, name)?;
        }
        Ok(match self.tau {
            Some(tau) => estimators.annealed(tau),
            None => estimators,
        })
    }

    /// Loads what a run stored; `None` if its model has no variables.
    pub(super) fn read(checkpoint: &Checkpoint) -> Result<Option<Sampling>> {
        let Some(estimator) = checkpoint.text("estimator") else { return Ok(None) };
        let then = match checkpoint.text("then") {
            None => None,
            Some(text) => {
                let parts = text.split_once(' ').and_then(|(from, name)| Some((from.parse().ok()?, name)));
                let unfit = || checkpoint.unfit("a readable setting `then`", format_args!("`{text}`"));
                parts.map(|(from, name)| Some((from, name.to_owned()))).ok_or_else(unfit)?
            }
        };
        Ok(Some(Sampling { estimator: estimator.to_owned(), tau: checkpoint.get_if_set("tau")?, then }))
    }
}
