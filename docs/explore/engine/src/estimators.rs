//! The estimators that the pages offer. A page loads all their code, so there are fewer than in the registry.

use reparam::Variables;
use reparam::estimators::{
    DisArm, Estimator, GumbelSoftmax, LeaveOneOut, ReinMax, ScoreFunction, StGumbelSoftmax, StraightThrough,
    Surrogate, UnorderedSet,
};

/// Makes an estimator from the name that the lab uses.
///
/// # Panics
/// If there is no such name here, or the estimator does not support the variables.
pub(crate) fn estimator(name: &str, variables: Variables) -> Box<dyn Estimator> {
    let (form, number) = name.split_once(':').unwrap_or((name, ""));
    let tau = || number.parse().unwrap_or_else(|_| panic!("{form}: expected a number, found {number:?}"));
    let count =
        || number.parse().unwrap_or_else(|_| panic!("{form}: expected a whole number, found {number:?}"));
    let estimator: Box<dyn Estimator> = match form {
        "score-function" => Box::new(ScoreFunction::new()),
        "rloo" => Box::new(LeaveOneOut::new(count())),
        "unordered-set" => Box::new(UnorderedSet::new(count())),
        "disarm" => Box::new(DisArm),
        "gumbel-softmax" => Box::new(GumbelSoftmax { tau: tau() }),
        "st-gumbel-softmax" => Box::new(StGumbelSoftmax::new(tau())),
        "st-softmax" => Box::new(StraightThrough::new(Surrogate::Softmax(tau()))),
        "reinmax" => Box::new(ReinMax { tau: tau() }),
        _ => panic!(
            "estimator: expected score-function, rloo:K, unordered-set:K, disarm, gumbel-softmax:TAU, st-gumbel-softmax:TAU, st-softmax:TAU or reinmax:TAU, found {name}"
        ),
    };
    estimator.check(variables).unwrap_or_else(|error| panic!("{error}"));
    estimator
}
