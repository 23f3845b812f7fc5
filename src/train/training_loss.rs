//! How the training loss of a cell is made: by estimators, or as a bound of several samples.

use crate::error::{Error, Result};
use crate::estimators::{Estimator, Kind, Objective, parse};
use crate::models::Nodes;
use crate::train::{CellModel, CellSettings};
use crate::var::temperature::is_temperature;

/// How the training loss is made.
pub(super) enum TrainingLoss {
    /// One sample, with an estimator for each layer.
    Estimators(Vec<Box<dyn Estimator>>),
    /// The bound of some samples.
    Bound { nodes: Nodes, samples: usize },
}

impl TrainingLoss {
    /// The one that the settings name: `concrete:POSTERIOR:PRIOR`, `vimco`, or an estimator.
    pub(super) fn new(settings: &CellSettings) -> Result<TrainingLoss> {
        let CellSettings { model, estimator, samples, .. } = settings;
        let parts: Vec<&str> = estimator.split(':').collect();
        let nodes = match parts[..] {
            ["concrete", posterior, prior] => {
                let tau = |text: &str| text.parse().ok().filter(|&tau| is_temperature(tau));
                let (Some(posterior), Some(prior)) = (tau(posterior), tau(prior)) else {
                    return Err(Error::invalid("estimator", "concrete:TAU:TAU", format!("`{estimator}`")));
                };
                Nodes::Relaxed { posterior, prior }
            }
            ["vimco"] if *samples > 1 => Nodes::Hard,
            _ if *samples == 1 => return TrainingLoss::of_estimators(settings),
            _ => {
                let found = format!("`{estimator}` with {samples}");
                return Err(Error::invalid(
                    "estimator",
                    "concrete:TAU:TAU or vimco for several samples",
                    found,
                ));
            }
        };
        let has_bound = matches!(model, CellModel::Prediction(_) | CellModel::BeliefNet(_));
        if !has_bound || model.layers().iter().any(|kind| kind.classes.is_some()) {
            let expected = "a net of bits for a bound of several samples";
            return Err(Error::invalid("the model", expected, format!("{model:?}")));
        }
        match settings.tau {
            Some(_) => Err(without_temperature(settings)),
            None => Ok(TrainingLoss::Bound { nodes, samples: *samples }),
        }
    }

    fn of_estimators(settings: &CellSettings) -> Result<TrainingLoss> {
        let of_layer = |kind: Kind| {
            let mut estimator = parse(&settings.estimator)?;
            if estimator.objective() != Objective::Expected {
                let found = "one of a bound of several samples; `vimco` takes their number from the settings";
                return Err(Error::invalid(&settings.estimator, "an estimator of an expected loss", found));
            }
            if settings.tau_at(0).is_some_and(|tau| !estimator.set_temperature(tau)) {
                return Err(without_temperature(settings));
            }
            estimator.check(kind).map_err(|reason| {
                Error::invalid(&settings.estimator, format!("an estimator for {kind}"), reason)
            })?;
            Ok(estimator)
        };
        settings.model.layers().into_iter().map(of_layer).collect::<Result<_>>().map(TrainingLoss::Estimators)
    }

    /// The estimators, of which some learn; none for a bound.
    pub(super) fn estimators(&self) -> &[Box<dyn Estimator>] {
        match self {
            TrainingLoss::Estimators(estimators) => estimators,
            TrainingLoss::Bound { .. } => &[],
        }
    }

    /// The same, to be changed.
    pub(super) fn estimators_mut(&mut self) -> &mut [Box<dyn Estimator>] {
        match self {
            TrainingLoss::Estimators(estimators) => estimators,
            TrainingLoss::Bound { .. } => &mut [],
        }
    }
}

fn without_temperature(settings: &CellSettings) -> Error {
    Error::invalid("tau", "an estimator with a temperature to anneal", format!("`{}`", settings.estimator))
}
