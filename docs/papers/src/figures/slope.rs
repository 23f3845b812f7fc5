//! A gradient through a discrete sample: the expected price along a logit, and the slopes that relaxed
//! samples give.

use reparam::{Noise, Tape};

use super::moments::mean_and_error;
use super::sheet::*;

const PRICES: [f32; 4] = [3.0, 1.0, 2.0, 5.0];
const TAU: f32 = 0.5;
/// Draws of a mean, and the number of single draws shown.
const DRAWS: usize = 64;
const SINGLE: usize = 12;
/// Draws of a mean with almost no error left, so that its distance from the exact slope is the bias.
const MANY: usize = 100_000;
/// The logit at which the slopes are taken.
const AT: f64 = 0.0;

/// The slope for each draw, with respect to the logit of the class of price 1.
fn slopes(logit: f64, draws: usize, seed: u64) -> Vec<f64> {
    let tape = Tape::new();
    let logits = tape.variable(&[0.0, logit as f32, 0.0, 0.0].repeat(draws), [draws, 4]);
    let cost = (logits.gumbel_softmax(TAU, &mut Noise::seed(seed)) * tape.input(&PRICES, [4])).sum();
    let gradients = cost.backward();
    gradients.of(logits).expect("a gradient").chunks_exact(4).map(|row| f64::from(row[1])).collect()
}

pub(super) fn draw() -> String {
    let p = |logit: f64| sigmoid(logit - 3f64.ln());
    let price = |logit: f64| 10.0 / 3.0 - 7.0 / 3.0 * p(logit);
    let exact = -7.0 / 3.0 * p(AT) * (1.0 - p(AT));
    let all = slopes(AT, DRAWS, 1);
    let (mean, error) = mean_and_error(&all);
    let (limit, _) = mean_and_error(&slopes(AT, MANY, 2));
    let mut sheet = Sheet::new(430.0);
    let plot = Plot::new([84.0, 46.0, 540.0, 310.0], Scale::Linear(-4.0, 5.0), Scale::Linear(0.8, 3.8));
    let ticks: (&[f64], &[f64]) = (&[-4.0, -2.0, 0.0, 2.0, 4.0], &[1.0, 1.5, 2.0, 2.5, 3.0, 3.5]);
    let names = ("logit of the cheapest class, the others at 0", "expected price");
    plot.axes(&mut sheet, "a gradient through a discrete choice", names, ticks);
    let tangent = |slope: f64, reach: f64| [-reach, reach].map(|dx| (AT + dx, price(AT) + slope * dx));
    for &slope in &all[..SINGLE] {
        plot.curve(&mut sheet, tangent(slope, 1.0), Pen::new(SKY).width(1.5));
    }
    plot.curve(&mut sheet, spaced(-4.0, 5.0, 181).map(|x| (x, price(x))), Pen::new(INK).width(3.0));
    plot.curve(&mut sheet, tangent(exact, 2.2), Pen::new(INK).width(2.0).dashed());
    plot.curve(&mut sheet, tangent(mean, 2.2), Pen::new(ORANGE).width(3.0));
    sheet.disc(plot.place((AT, price(AT))), 6.0, INK);
    let minus = |text: String| text.replace('-', "−");
    let (one, exact) =
        (format!("slopes of {SINGLE} single samples"), minus(format!("exact slope {exact:.2}")));
    let many = minus(format!("mean of {DRAWS} samples: {mean:.2} ± {error:.2}"));
    sheet.legend(
        (646.0, 60.0),
        &[
            (Mark::Line(Pen::new(INK).width(3.0)), "expected price, exact"),
            (Mark::Line(Pen::new(INK).dashed()), &exact),
            (Mark::Line(Pen::new(SKY).width(1.5)), &one),
            (Mark::Line(Pen::new(ORANGE).width(3.0)), &many),
        ],
    );
    let limit = minus(format!("the slopes average {limit:.2}, so the"));
    for (i, line) in [
        "A shopper draws one of four classes",
        "that cost 3, 1, 2 and 5. The draw has",
        "no derivative. gumbel_softmax at",
        "temperature 0.5 gives every draw a",
        "slope, steep or flat. Over 100,000 draws",
        &limit,
        "estimate has a small bias.",
        "(±: one standard error)",
    ]
    .iter()
    .enumerate()
    {
        sheet.note((650.0, 184.0 + 22.0 * i as f64), INK, line);
    }
    sheet.finish()
}
