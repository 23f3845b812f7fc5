//! The values that a cell's settings are chosen from.

use std::fmt;

use reparam::models::ModelShape;

use crate::settings::Settings;

/// A value that may be chosen for a setting.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Choice {
    LearningRate(f64),
    /// The temperature at the first and the last step.
    Tau(f64, f64),
    /// Adam's decays.
    Betas(f64, f64),
    Estimator(&'static str),
    /// The weight of the classes of labelled images.
    Weight(f32),
}

impl Choice {
    pub(crate) fn apply(&self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        match *self {
            Choice::LearningRate(rate) => settings.learning_rate = rate,
            Choice::Tau(start, end) => settings.tau = Some((start, end)),
            Choice::Betas(beta1, beta2) => settings.betas = (beta1, beta2),
            Choice::Estimator(name) => settings.estimator = name.to_owned(),
            Choice::Weight(chosen) => {
                if let ModelShape::FewLabels(shape) = &mut settings.model {
                    shape.weight = chosen;
                }
            }
        }
        settings
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::LearningRate(rate) => write!(f, "learning rate {rate}"),
            Choice::Tau(start, end) => write!(f, "tau {start} to {end}"),
            Choice::Betas(beta1, beta2) => write!(f, "betas {beta1} {beta2}"),
            Choice::Estimator(name) => write!(f, "estimator {name}"),
            Choice::Weight(weight) => write!(f, "weight {weight}"),
        }
    }
}

/// Values to choose from, one setting after another. Each stage keeps the choices of the stages before it.
pub(crate) type Stages = Vec<Vec<Choice>>;
