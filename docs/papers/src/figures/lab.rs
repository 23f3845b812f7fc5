//! What the lab measures of families of estimators, and the loss that they end at.

use reparam::cli::plot::{self, Axes, Curve};
use reparam::estimators::parse;
use reparam::lab::{Measurement, Quadratic, Toy, measure_named, sweep_temperatures, training_curve};
use reparam::{Noise, Result};

const ESTIMATES: usize = 100_000;
const SEED: u64 = 1;

/// Bias squared and variance against the temperature, on a quadratic of five classes.
pub(super) fn temperature() -> Result<String> {
    const FAMILIES: [&str; 4] = ["gumbel-softmax", "st-gumbel-softmax", "gumbel-rao:10", "st-softmax"];
    let problem = Quadratic::new(5);
    let mut curves = Vec::new();
    for (i, family) in FAMILIES.iter().enumerate() {
        let sweep = sweep_temperatures(&problem, family, ESTIMATES, SEED);
        let curve = |what: &str, of: fn(&Measurement) -> f64| {
            let points = sweep.iter().map(|(tau, m)| (f64::from(*tau), of(m))).collect();
            Curve::nth(i, format!("{family}, {what}"), points)
        };
        curves.push(curve("variance", |m| m.variance));
        curves.push(curve("bias squared", Measurement::squared_bias).lighter());
    }
    plot::logarithmic(&Axes { x: "temperature", y: "per estimate" }, &curves)
}

/// Variance against the number of samples, or of noises for one sample, on a quadratic of twelve classes.
pub(super) fn samples() -> Result<String> {
    const SAMPLES: [usize; 5] = [2, 3, 4, 8, 12];
    const NOISES: [usize; 6] = [1, 2, 5, 10, 30, 100];
    let problem = Quadratic::new(12);
    let families: [(&str, &str, &[usize]); 5] = [
        ("rloo", "", &SAMPLES),
        ("unordered-set", "", &SAMPLES[..4]),
        ("gumbel-rao", ":1", &NOISES),
        ("gumbel-rao", ":0.5", &NOISES),
        ("gumbel-rao", ":0.1", &NOISES),
    ];
    let curve = |(i, (family, tau, numbers)): (usize, (&str, &str, &[usize]))| {
        let point = |&k: &usize| {
            let measured = measure_named(&problem, &format!("{family}:{k}{tau}"), ESTIMATES, SEED)?;
            Some((k as f64, measured.variance))
        };
        let name = if tau.is_empty() { family.to_owned() } else { format!("{family}, tau {}", &tau[1..]) };
        Curve::nth(i, name, numbers.iter().filter_map(point).collect())
    };
    let curves: Vec<Curve> = families.into_iter().enumerate().map(curve).collect();
    plot::logarithmic(&Axes { x: "samples (gumbel-rao: noises of one sample)", y: "variance" }, &curves)
}

/// The exact loss of a toy while an estimator trains its logit.
pub(super) fn training() -> Result<String> {
    const SHOWN: [&str; 7] =
        ["score-function", "rloo:2", "rebar", "relax", "disarm", "gumbel-softmax:0.5", "st-softmax:1"];
    const STEPS: usize = 5_000;
    let curve = |(i, name): (usize, &&str)| {
        let mut estimator = parse(name).expect("a name of the lab's own");
        let (toy, mut noise) = (Toy::new(0.45), Noise::seed(SEED));
        let points = training_curve(&toy, estimator.as_mut(), STEPS, STEPS / 200, 0.1, &mut noise);
        let points = points.expect("every one of them treats a bit");
        let points = points.iter().map(|point| (point.step as f64, point.loss)).collect();
        Curve::nth(i, (*name).to_owned(), points)
    };
    let curves: Vec<Curve> = SHOWN.iter().enumerate().map(curve).collect();
    plot::linear(&Axes { x: "steps", y: "exact loss" }, &curves)
}
