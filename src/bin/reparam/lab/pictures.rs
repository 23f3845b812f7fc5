//! The lab's pictures, and the sweeps behind them.

use std::path::Path;

use reparam::estimators::parse;
use reparam::lab::{
    Measurement, Polynomial, Problem, Quadratic, Toy, measure_named, sweep_temperatures, training_curve,
};
use reparam::{Noise, Result};

use reparam::cli::plot::{self, Axes, Curve};

const SAMPLES: [usize; 5] = [2, 3, 4, 8, 12];
const NOISES: [usize; 6] = [1, 2, 5, 10, 30, 100];

/// Draws every picture; returns the measurements of the sweeps.
pub(super) fn draw(
    dir: &Path,
    measured: &[Measurement],
    samples: Option<u32>,
    quick: bool,
    seed: u64,
) -> Result<Vec<Measurement>> {
    let samples = samples.map_or(if quick { 5_000 } else { 100_000 }, |samples| samples as usize);
    histograms(dir, measured)?;
    let mut sweeps = temperature(dir, samples, seed)?;
    sweeps.extend(numbers_of_samples(dir, samples, seed)?);
    training(dir, if quick { 1_000 } else { 5_000 }, seed)?;
    Ok(sweeps)
}

/// Densities of single estimates, projected on the exact gradient, beside the truth: for each problem measured. Of more
/// estimators than can be told apart, first some that differ.
fn histograms(dir: &Path, measured: &[Measurement]) -> Result<()> {
    const SHOWN: [&str; 6] =
        ["score-function", "rloo:4", "rebar", "gumbel-softmax:0.5", "st-gumbel-softmax:0.5", "st-softmax:1"];
    let mut problems: Vec<&str> = measured.iter().map(|m| m.problem.as_str()).collect();
    problems.dedup();
    for problem in problems {
        let mut shown: Vec<&Measurement> = measured.iter().filter(|m| m.problem == problem).collect();
        if shown.len() > SHOWN.len() {
            // It has no spread to show.
            shown.retain(|m| m.estimator != "exact");
        }
        shown.sort_by_key(|m| !SHOWN.contains(&m.estimator.as_str()));
        shown.truncate(SHOWN.len());
        let Some(first) = shown.first() else { continue };
        let truth = first.exact.iter().map(|g| g * g).sum::<f64>().sqrt();
        let mut values: Vec<f64> =
            shown.iter().flat_map(|m| m.projections.iter().map(|&x| f64::from(x))).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[(share * (values.len() - 1) as f64) as usize];
        let (low, high) = (at(0.005).min(truth), at(0.995).max(truth));
        if low >= high {
            continue;
        }
        let mut curves: Vec<Curve> =
            shown.iter().enumerate().map(|(i, m)| outline(i, m, low, high)).collect();
        let top = curves.iter().flat_map(|c| &c.points).fold(0.0, |top: f64, point| top.max(point.1));
        let truth = vec![(truth, 0.0), (truth, top)];
        curves.push(Curve::nth(SHOWN.len(), "exact gradient".to_owned(), truth));
        let axes = Axes { x: "estimate along the exact gradient", y: "share of the estimates" };
        let file = format!("histogram-{}.svg", problem.replace(':', "-"));
        plot::linear(&dir.join(file), &axes, &curves)?;
    }
    Ok(())
}

/// The outline of a histogram of `BINS` bars.
fn outline(i: usize, m: &Measurement, low: f64, high: f64) -> Curve {
    const BINS: usize = 60;
    let width = (high - low) / BINS as f64;
    let corners = m.histogram(low, high, BINS).into_iter().enumerate().flat_map(|(bin, share)| {
        let left = low + bin as f64 * width;
        [(left, share), (left + width, share)]
    });
    Curve::nth(i, m.estimator.clone(), corners.collect())
}

/// Bias squared and variance against the temperature, on a quadratic and on a cubic.
fn temperature(dir: &Path, samples: usize, seed: u64) -> Result<Vec<Measurement>> {
    const FAMILIES: [&str; 4] = ["gumbel-softmax", "st-gumbel-softmax", "gumbel-rao:10", "st-softmax"];
    let mut all = Vec::new();
    let quadratic = Quadratic::new(5);
    let cubic = Polynomial::new(3.0);
    for (problem, file, samples) in [
        (&quadratic as &dyn Problem, "temperature-quadratic.svg", samples),
        (&cubic, "temperature-cubic.svg", (samples / 20).max(100)),
    ] {
        let mut curves = Vec::new();
        for (i, family) in FAMILIES.iter().enumerate() {
            let sweep = sweep_temperatures(problem, family, samples, seed);
            let curve = |what: &str, of: &dyn Fn(&Measurement) -> f64| {
                let points = sweep.iter().map(|(tau, m)| (f64::from(*tau), of(m))).collect();
                Curve::nth(i, format!("{family}, {what}"), points)
            };
            curves.push(curve("variance", &|m| m.variance));
            curves.push(curve("bias squared", &Measurement::squared_bias).lighter());
            all.extend(sweep.into_iter().map(|(_, m)| m));
        }
        plot::logarithmic(&dir.join(file), &Axes { x: "temperature", y: "per estimate" }, &curves)?;
    }
    Ok(all)
}

/// Variance against the number of samples, or of noises for one sample.
fn numbers_of_samples(dir: &Path, samples: usize, seed: u64) -> Result<Vec<Measurement>> {
    let problem = Quadratic::new(12);
    let families: [(&str, &str, &[usize]); 5] = [
        ("rloo", "", &SAMPLES),
        ("unordered-set", "", &SAMPLES[..4]),
        ("gumbel-rao", ":1", &NOISES),
        ("gumbel-rao", ":0.5", &NOISES),
        ("gumbel-rao", ":0.1", &NOISES),
    ];
    let (mut all, mut curves) = (Vec::new(), Vec::new());
    for (family, tau, numbers) in families {
        let measured =
            |&k: &usize| Some((k, measure_named(&problem, &format!("{family}:{k}{tau}"), samples, seed)?));
        let sweep: Vec<(usize, Measurement)> = numbers.iter().filter_map(measured).collect();
        let name = if tau.is_empty() { family.to_owned() } else { format!("{family}, tau {}", &tau[1..]) };
        let points = sweep.iter().map(|(k, m)| (*k as f64, m.variance)).collect();
        curves.push(Curve::nth(curves.len(), name, points));
        all.extend(sweep.into_iter().map(|(_, m)| m));
    }
    let axes = Axes { x: "samples (gumbel-rao: noises of one sample)", y: "variance" };
    plot::logarithmic(&dir.join("samples.svg"), &axes, &curves)?;
    Ok(all)
}

/// The exact loss of the toys while an estimator trains their logit.
fn training(dir: &Path, steps: usize, seed: u64) -> Result<()> {
    const SHOWN: [&str; 7] =
        ["score-function", "rloo:2", "rebar", "relax", "disarm", "gumbel-softmax:0.5", "st-softmax:1"];
    for t in [0.45, 0.49, 0.499] {
        let curve = |(i, name): (usize, &&str)| {
            let mut estimator = parse(name).expect("a name of the lab's own");
            let (every, mut noise) = ((steps / 200).max(1), Noise::seed(seed));
            let points = training_curve(&Toy::new(t), estimator.as_mut(), steps, every, 0.1, &mut noise);
            let points = points.expect("every one of them treats a bit");
            let points = points.iter().map(|point| (point.step as f64, point.loss)).collect();
            Curve::nth(i, (*name).to_owned(), points)
        };
        let curves: Vec<Curve> = SHOWN.iter().enumerate().map(curve).collect();
        let axes = Axes { x: "steps", y: "exact loss" };
        plot::linear(&dir.join(format!("training-{t}.svg")), &axes, &curves)?;
    }
    Ok(())
}
