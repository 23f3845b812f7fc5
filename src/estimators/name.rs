//! Estimators by name.

use super::{
    Arm, ControlVariate, Darn, DisArm, Estimator, Exact, GumbelRao, GumbelSoftmax, LeaveOneOut, MuProp, Nvil,
    ReinMax, ScoreFunction, StGumbelSoftmax, StraightThrough, Surrogate, UnorderedSet, Vimco,
};
use crate::error::{Error, Result};
use crate::var::temperature::is_temperature;

/// Every name that [`parse`] understands, with the parameters it takes behind colons.
pub const ALL: [&str; 25] = [
    "exact",
    "score-function",
    "moving-average",
    "nvil",
    "nvil-normalised",
    "rloo:K",
    "vimco:K",
    "gumbel-softmax:TAU",
    "st-gumbel-softmax:TAU",
    "st-gumbel-softmax:FORWARD:BACKWARD",
    "gumbel-rao:K:TAU",
    "st-identity",
    "st-softmax:TAU",
    "st-hard-tanh",
    "st-slope-annealed",
    "darn",
    "reinmax:TAU",
    "muprop",
    "muprop-baseline",
    "muprop-normalised",
    "rebar",
    "relax",
    "arm",
    "disarm",
    "unordered-set:K",
];

/// The estimator of a name such as `rloo:4` or `gumbel-rao:100:0.5`.
///
/// ```
/// use reparam::estimators::parse;
///
/// assert_eq!(parse("gumbel-rao:100:0.5").unwrap().name(), "gumbel-rao:100:0.5");
/// assert!(parse("rloo").is_err());
/// ```
///
/// # Errors
/// What is wrong with the name and what the names are.
pub fn parse(name: &str) -> Result<Box<dyn Estimator>> {
    let mut parts = name.split(':');
    let word = parts.next().unwrap_or_default();
    let parameters: Vec<&str> = parts.collect();
    let estimator: Box<dyn Estimator> = match (word, &parameters[..]) {
        ("exact", []) => Box::new(Exact),
        ("score-function", []) => Box::new(ScoreFunction::new()),
        ("moving-average", []) => Box::new(ScoreFunction::moving_average(0.99)),
        ("nvil", []) => Box::new(Nvil::new()),
        ("nvil-normalised", []) => Box::new(Nvil::normalised()),
        ("rloo", [k]) => Box::new(LeaveOneOut::new(count(name, k)?)),
        ("vimco", [k]) => Box::new(Vimco::new(count(name, k)?)),
        ("gumbel-softmax", [tau]) => Box::new(GumbelSoftmax { tau: temperature(name, tau)? }),
        ("st-gumbel-softmax", [tau]) => Box::new(StGumbelSoftmax::new(temperature(name, tau)?)),
        ("st-gumbel-softmax", [forward, backward]) => Box::new(StGumbelSoftmax {
            forward: temperature(name, forward)?,
            backward: temperature(name, backward)?,
        }),
        ("gumbel-rao", [k, tau]) => {
            Box::new(GumbelRao { samples: count(name, k)?, tau: temperature(name, tau)? })
        }
        ("st-identity", []) => Box::new(StraightThrough::new(Surrogate::Identity)),
        ("st-softmax", [tau]) => Box::new(StraightThrough::new(Surrogate::Softmax(temperature(name, tau)?))),
        ("st-hard-tanh", []) => Box::new(StraightThrough::new(Surrogate::HardTanh)),
        ("st-slope-annealed", []) => {
            Box::new(StraightThrough::new(Surrogate::SlopeAnnealed { growth: 1e-4, most: 5.0 }))
        }
        ("darn", []) => Box::new(Darn),
        ("reinmax", [tau]) => Box::new(ReinMax { tau: temperature(name, tau)? }),
        ("muprop", []) => Box::new(MuProp::new()),
        ("muprop-baseline", []) => Box::new(MuProp::with_baseline()),
        ("muprop-normalised", []) => Box::new(MuProp::normalised()),
        ("rebar", []) => Box::new(ControlVariate::rebar(1.0, 0.5)),
        ("relax", []) => Box::new(ControlVariate::relax(1.0, 0.5, 10)),
        ("arm", []) => Box::new(Arm),
        ("disarm", []) => Box::new(DisArm),
        ("unordered-set", [k]) => Box::new(UnorderedSet::new(count(name, k)?)),
        _ => {
            return Err(Error::invalid(
                "estimator",
                format!("one of {}", ALL.join(", ")),
                format!("`{name}`"),
            ));
        }
    };
    Ok(estimator)
}

fn count(name: &str, text: &str) -> Result<usize> {
    text.parse().map_err(|_| Error::invalid(name, "a whole number of samples", format!("`{text}`")))
}

fn temperature(name: &str, text: &str) -> Result<f32> {
    match text.parse::<f32>() {
        Ok(tau) if is_temperature(tau) => Ok(tau),
        _ => Err(Error::invalid(name, "a positive temperature", format!("`{text}`"))),
    }
}
