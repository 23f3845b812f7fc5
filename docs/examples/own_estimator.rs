//! Your own estimator and problem in the lab: `cargo run --release --example own_estimator`.
//!
//! The estimator is the self-critical one (S. Rennie et al., "Self-critical Sequence Training for Image
//! Captioning", CVPR 2017): a score function whose baseline is the loss of the most probable state.

use reparam::estimators::{Estimator, Trial, parse};
use reparam::lab::{Measurement, Problem, measure};
use reparam::{Noise, Var, Variables};

struct SelfCritical;

impl Estimator for SelfCritical {
    fn name(&self) -> String {
        "self-critical".to_owned()
    }
    fn is_unbiased(&self) -> bool {
        true
    }
    fn run<'t>(&mut self, mut trial: Trial<'_, 't>) -> Var<'t> {
        let z = trial.sample();
        let (f, baseline) = (trial.loss(z), trial.loss(trial.logits().mode()));
        trial.score(f, f - baseline, z)
    }
}

/// Six bits, exactly one of which should be 1.
struct OneOfSix([f32; 6]);

impl Problem for OneOfSix {
    fn name(&self) -> String {
        "one-of-six".to_owned()
    }
    fn variables(&self) -> Variables {
        Variables::Bits(6)
    }
    fn logits(&self) -> &[f32] {
        &self.0
    }
    fn loss<'t>(&self, z: Var<'t>) -> Var<'t> {
        (z.sum_axis(1) - 1.0).square()
    }
}

fn measurements() -> [Measurement; 3] {
    let problem = OneOfSix([1.5, 1.0, 0.5, 0.0, -0.5, -1.0]);
    let estimators: [Box<dyn Estimator>; 3] =
        [Box::new(SelfCritical), parse("score-function").unwrap(), parse("gumbel-softmax:1").unwrap()];
    estimators
        .map(|mut estimator| measure(&problem, estimator.as_mut(), 100_000, 0, &mut Noise::seed(1)).unwrap())
}

fn main() {
    for m in measurements() {
        let verdict = if m.agrees { "agrees" } else { "biased" };
        println!(
            "{:<17} bias {:+.4} +- {:.4}, variance {:.3}: {verdict}",
            m.estimator, m.bias, m.bias_standard_error, m.variance
        );
    }
}

#[test]
fn it_agrees_with_the_exact_gradient_and_gumbel_softmax_does_not() {
    let found = measurements().map(|m| (m.claims_unbiased, m.agrees));
    assert_eq!(found, [(true, true), (true, true), (false, false)]);
}
