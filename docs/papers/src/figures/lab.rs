//! The lab's measurements of families of estimators, and the loss at which they end.

use reparam::cli::plot::{self, Axes, Curve};
use reparam::estimators::{Estimate, parse};
use reparam::lab::{Problem, Quadratic, Toy, measure_named};
use reparam::{Logits, Noise, Result, Tape};

use super::moments::{Moments, mean_and_error};
use super::sheet::*;

const ESTIMATES: usize = 100_000;
const SEED: u64 = 1;

/// Bias squared and variance against the temperature, on a quadratic of five classes. A squared bias that may
/// be due to chance is left out.
pub(super) fn temperature() -> Result<String> {
    const FAMILIES: [&str; 4] = ["gumbel-softmax", "st-gumbel-softmax", "gumbel-rao:10", "st-softmax"];
    const TAUS: [f64; 9] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 4.0];
    let problem = Quadratic::new(5);
    let mut curves = Vec::new();
    for (i, family) in FAMILIES.iter().enumerate() {
        let sweep =
            TAUS.map(|tau| (tau, Moments::measure(&problem, &format!("{family}:{tau}"), ESTIMATES, SEED)));
        let variance = sweep.iter().map(|(tau, run)| (*tau, run.variance.0)).collect();
        curves.push(Curve::nth(i, format!("{family}, variance"), variance));
        let bias = sweep.iter().filter_map(|(tau, run)| {
            let (square, error) = run.squared_bias();
            (square > 2.0 * error).then_some((*tau, square))
        });
        curves.push(Curve::nth(i, format!("{family}, squared bias"), bias.collect()).lighter());
    }
    let y = "variance, or squared bias where it is above 2 standard errors";
    plot::logarithmic(&Axes { x: "temperature", y }, &curves)
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

/// The exact loss of a toy against the evaluations of its loss, while an estimator trains the logit: the mean
/// of some runs and its standard error.
pub(super) fn training() -> String {
    const SHOWN: [(&str, &str); 7] = [
        ("score-function", BLUE),
        ("disarm", "#e69f00"),
        ("rloo:2", ORANGE),
        ("rebar", GREEN),
        ("relax", PINK),
        ("gumbel-softmax:0.5", SKY),
        ("st-softmax:1", GREY),
    ];
    const MOST: f64 = 10_000.0;
    const TARGET: f64 = 0.45;
    let mut sheet = Sheet::new(540.0);
    let plot = Plot::new([92.0, 46.0, 620.0, 410.0], Scale::Linear(0.0, MOST), Scale::Linear(0.2, 0.26));
    let x_ticks = [0.0, 2000.0, 4000.0, 6000.0, 8000.0, 10_000.0];
    let title = "gradient descent on the toy (z − 0.45)², one estimate a step";
    let names = ("evaluations of the loss", "expected loss, exact");
    plot.axes(&mut sheet, title, names, (&x_ticks, &[0.2, 0.21, 0.22, 0.23, 0.24, 0.25, 0.26]));
    let best = TARGET * TARGET;
    plot.curve(&mut sheet, [(0.0, best), (MOST, best)], Pen::new(INK).dashed());
    let mut entries = vec![(Mark::Line(Pen::new(INK).dashed()), "optimum, t² = 0.2025".to_owned())];
    for (name, colour) in SHOWN {
        let runs: Vec<Vec<(f64, f64)>> =
            (1..=RUNS).map(|seed| train(name, TARGET as f32, MOST, seed)).collect();
        let points = (0..runs[0].len()).map(|i| {
            let losses: Vec<f64> = runs.iter().map(|run| run[i].1).collect();
            let (mean, error) = mean_and_error(&losses);
            (runs[0][i].0, mean, 2.0 * error)
        });
        let points: Vec<_> = points.collect();
        let band: Vec<_> = points.iter().map(|&(x, mean, error)| (x, mean - error, mean + error)).collect();
        plot.band(&mut sheet, &band, colour, 0.2);
        // On one bit two estimators are nearly the same.
        let pen = Pen::new(colour).width(2.5);
        let pen = if name == "rloo:2" { pen.dashed() } else { pen };
        plot.curve(&mut sheet, points.iter().map(|&(x, mean, _)| (x, mean)), pen);
        entries.push((Mark::Line(pen), name.to_owned()));
    }
    let entries: Vec<_> = entries.iter().map(|(mark, name)| (*mark, &name[..])).collect();
    sheet.legend((726.0, 80.0), &entries);
    sheet.note((730.0, 300.0), INK, "mean of 10 runs;");
    sheet.note((730.0, 321.0), INK, "bands: ± 2 standard errors");
    sheet.note((730.0, 354.0), INK, "learning rate 0.1, logit 0");
    sheet.note((730.0, 375.0), INK, "at the start, where the");
    sheet.note((730.0, 396.0), INK, "loss is 0.2525");
    sheet.finish()
}

/// The number of runs of an estimator, and of points in each.
const RUNS: u64 = 10;
const POINTS: usize = 100;

/// Evaluations of the loss and the exact loss, during gradient descent.
fn train(name: &str, target: f32, most: f64, seed: u64) -> Vec<(f64, f64)> {
    let mut estimator = parse(name).expect("a name of the lab's own");
    let toy = Toy::new(target);
    let (mut noise, mut tape) = (Noise::seed(seed), Tape::new());
    let (mut logit, mut evaluations) = (0.0f32, 0.0);
    let mut points = Vec::with_capacity(POINTS + 1);
    while points.len() <= POINTS {
        if evaluations >= most / POINTS as f64 * points.len() as f64 {
            let (p, t) = (sigmoid(f64::from(logit)), f64::from(target));
            points.push((evaluations, p * (1.0 - t) * (1.0 - t) + (1.0 - p) * t * t));
        }
        let gradient = {
            let logits = tape.variable(&[logit], [1, 1]);
            let loss = estimator.estimate(Logits::bits(logits), &mut noise, |z, _| {
                evaluations += 1.0;
                toy.loss(z)
            });
            loss.sum().backward().of(logits).map_or(0.0, |gradient| gradient[0])
        };
        tape.reset();
        logit -= 0.1 * gradient;
    }
    points
}
