//! The estimators that the pages offer. A page loads all their code, so there are fewer than in the registry.

use reparam::Variables;
use reparam::estimators::{
    DisArm, Estimator, GumbelSoftmax, LeaveOneOut, ReinMax, ScoreFunction, StGumbelSoftmax, StraightThrough,
    Surrogate, UnorderedSet,
};

/// Makes an estimator from its name, as the lab writes it.
///
/// # Panics
/// If there is none of that name here, or it does not support the variables.
pub(crate) fn estimator(name: &str, variables: Variables) -> Box<dyn Estimator> {
    let (form, number) = name.split_once(':').unwrap_or((name, ""));
    let tau = || number.parse().unwrap_or_else(|_| panic!("{form}: a number expected, {number:?} found"));
    let count =
        || number.parse().unwrap_or_else(|_| panic!("{form}: a whole number expected, {number:?} found"));
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
            "estimator: score-function, rloo:K, unordered-set:K, disarm, gumbel-softmax:TAU, st-gumbel-softmax:TAU, st-softmax:TAU or reinmax:TAU expected, {name} found"
        ),
    };
    estimator.check(variables).unwrap_or_else(|error| panic!("{error}"));
    estimator
}
