//! Histograms of the estimates that the lab measured.

use std::path::Path;

use reparam::Result;
use reparam::cli::plot::{self, Axes, Curve};
use reparam::internal::write_atomically;
use reparam::lab::Measurement;

/// Draws densities of single estimates, projected on the exact gradient, together with the truth, for each
/// problem measured. If there are too many estimators to tell apart, it prefers some that differ.
pub(super) fn draw(dir: &Path, measured: &[Measurement]) -> Result<()> {
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
        if !(low < high && (high - low).is_finite()) {
            continue;
        }
        let mut curves: Vec<Curve> =
            shown.iter().enumerate().map(|(i, m)| outline(i, m, low, high)).collect();
        let top = curves.iter().flat_map(|c| &c.points).fold(0.0, |top: f64, point| top.max(point.1));
        let truth = vec![(truth, 0.0), (truth, top)];
        curves.push(Curve::nth(SHOWN.len(), "exact gradient".to_owned(), truth));
        let axes = Axes { x: "estimate along the exact gradient", y: "share of the estimates" };
        let file = format!("histogram-{}.svg", problem.replace(':', "-"));
        write_atomically(dir.join(file), plot::linear(&axes, &curves)?)?;
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
