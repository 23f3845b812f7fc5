//! Bias and variance of the relaxed estimators against their temperature.

use reparam::lab::Quadratic;

use super::moments::Moments;
use super::sheet::*;

const FAMILIES: [(&str, &str); 3] =
    [("gumbel-softmax", BLUE), ("st-gumbel-softmax", ORANGE), ("gumbel-rao:10", GREEN)];
const TAUS: [f64; 9] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 4.0];
/// An estimator without bias, to compare with.
const UNBIASED: &str = "rloo:4";
const SAMPLES: usize = 1_000_000;

pub(super) fn draw() -> String {
    let problem = Quadratic::new(5);
    let sweeps = FAMILIES.map(|(family, _)| {
        TAUS.map(|tau| Moments::measure(&problem, &format!("{family}:{tau}"), SAMPLES, 1))
    });
    let unbiased = Moments::measure(&problem, UNBIASED, SAMPLES, 1).variance.0;
    let square: f64 = sweeps[0][0].exact.iter().map(|g| g * g).sum();

    let mut sheet = Sheet::new(500.0);
    let x = Scale::Log(0.04, 5.0);
    let x_ticks = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
    let powers = |from: i32, to: i32| (from..=to).map(|power| 10f64.powi(power)).collect::<Vec<_>>();

    let (low, high) = (1e-6, 1.0);
    let bias = Plot::new([88.0, 48.0, 366.0, 350.0], x, Scale::Log(low, high));
    bias.axes(
        &mut sheet,
        "squared bias",
        ("temperature τ", "squared length of the bias"),
        (&x_ticks, &powers(-6, 0)),
    );
    bias.curve(&mut sheet, [(0.04, square), (5.0, square)], Pen::new(GREY).dashed());
    let at = bias.place((0.05, square));
    sheet.note((at.0, at.1 - 12.0), INK, "exact gradient, squared length");

    let (least, most) = (1e-4, 100.0);
    let variance = Plot::new([562.0, 48.0, 366.0, 350.0], x, Scale::Log(least, most));
    variance.axes(
        &mut sheet,
        "variance of one estimate",
        ("temperature τ", "variance, summed over logits"),
        (&x_ticks, &powers(-4, 2)),
    );
    variance.curve(&mut sheet, [(0.04, unbiased), (5.0, unbiased)], Pen::new(INK));

    // Bars at the same temperature stand side by side.
    for ((sweep, (_, colour)), aside) in sweeps.iter().zip(FAMILIES).zip([0.97, 1.0, 1.03]) {
        // Each bar is two standard errors either way; where it reaches 0, only its upper end is known.
        let mut line = Vec::new();
        for (tau, run) in TAUS.iter().map(|tau| tau * aside).zip(sweep) {
            let (square, error) = run.squared_bias();
            let error = 2.0 * error;
            if square > error {
                line.push((tau, square));
                bias.dot(&mut sheet, (tau, square), error, colour);
            } else {
                let (from, to) = (bias.place((tau, square.max(0.0) + error)), bias.place((tau, low)));
                sheet.line(&[(from.0 - 6.0, from.1), (from.0 + 6.0, from.1)], Pen::new(colour));
                sheet.arrow(&[from, (from.0, (from.1 + 34.0).min(to.1))], Pen::new(colour).width(1.5));
            }
        }
        bias.curve(&mut sheet, line, Pen::new(colour));
        for (&tau, run) in TAUS.iter().zip(sweep) {
            variance.dot(&mut sheet, (tau, run.variance.0), 2.0 * run.variance.1, colour);
        }
        variance.curve(
            &mut sheet,
            TAUS.iter().zip(sweep).map(|(&tau, run)| (tau, run.variance.0)),
            Pen::new(colour),
        );
    }
    let families = FAMILIES.map(|(family, colour)| (Mark::Bar(colour), family));
    sheet.legend((250.0, 300.0), &families);
    sheet.legend((700.0, 54.0), &[(Mark::Line(Pen::new(INK)), "rloo:4, which has no bias")]);
    let note = "quadratic:5 of the lab; 1,000,000 estimates for each point; bars: ± 2 standard errors;";
    sheet.text((480.0, 460.0), Side::Middle, SMALL, INK, note);
    let note = "an arrow: not distinguishable from 0, and at most where the arrow begins";
    sheet.text((480.0, 480.0), Side::Middle, SMALL, INK, note);
    sheet.finish()
}
