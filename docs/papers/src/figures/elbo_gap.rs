//! A decoder with a hump between its states, which a relaxed objective counts and no state sees.

use reparam::{Noise, Tape};

use super::moments::mean_and_error;
use super::sheet::*;

/// The logit of q(z = 1), and the height of the hump. The states are the chapter's.
const LOGIT: f64 = 2.0;
const HUMP: f64 = 1.0;
const SAMPLES: usize = 2000;

/// ln p(x | y): ln 0.2 at 0, ln 0.6 at 1, and a hump between them.
fn decoder(y: f64) -> f64 {
    (1.0 - y) * 0.2f64.ln() + y * 0.6f64.ln() + HUMP * 4.0 * y * (1.0 - y)
}

pub(super) fn draw() -> String {
    let q = sigmoid(LOGIT);
    let kl = q * (2.0 * q).ln() + (1.0 - q) * (2.0 * (1.0 - q)).ln();
    let evidence = (0.5 * decoder(0.0).exp() + 0.5 * decoder(1.0).exp()).ln();
    let hard = q * decoder(1.0) + (1.0 - q) * decoder(0.0) - kl;
    // Over evenly spaced quantiles of the noise.
    let relaxed = |tau: f64| {
        let at = |i: usize| {
            let u = (i as f64 + 0.5) / 4000.0;
            decoder(sigmoid((LOGIT + (u / (1.0 - u)).ln()) / tau))
        };
        (0..4000).map(at).sum::<f64>() / 4000.0 - kl
    };
    let mut sheet = Sheet::new(430.0);

    let plot = Plot::new([84.0, 48.0, 320.0, 300.0], Scale::Linear(-0.05, 1.05), Scale::Linear(-2.0, 0.5));
    let ticks: (&[f64], &[f64]) = (&[0.0, 0.25, 0.5, 0.75, 1.0], &[-2.0, -1.5, -1.0, -0.5, 0.0, 0.5]);
    plot.axes(&mut sheet, "the decoder", ("code y", "ln p(x | y)"), ticks);
    plot.curve(&mut sheet, spaced(0.0, 1.0, 101).map(|y| (y, decoder(y))), Pen::new(ORANGE));
    for y in [0.0, 1.0] {
        sheet.disc(plot.place((y, decoder(y))), 7.0, INK);
    }
    sheet.legend(
        (150.0, 290.0),
        &[
            (Mark::Disc(INK), "the two states of the bit"),
            (Mark::Line(Pen::new(ORANGE)), "soft codes: a hump"),
        ],
    );

    let plot = Plot::new([524.0, 48.0, 400.0, 300.0], Scale::Log(0.05, 5.0), Scale::Linear(-1.1, 0.1));
    let ticks: (&[f64], &[f64]) =
        (&[0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0], &[-1.0, -0.8, -0.6, -0.4, -0.2, 0.0]);
    plot.axes(&mut sheet, "the objective, with q held fixed", ("temperature τ", "nats"), ticks);
    let (low, high) = (0.05, 5.0);
    plot.curve(&mut sheet, [(low, evidence), (high, evidence)], Pen::new(INK).width(2.5));
    plot.curve(&mut sheet, [(low, hard), (high, hard)], Pen::new(BLUE).dashed());
    plot.curve(
        &mut sheet,
        (0..=100).map(|i| {
            let tau = low * (high / low).powf(f64::from(i) / 100.0);
            (tau, relaxed(tau))
        }),
        Pen::new(ORANGE),
    );
    for (i, tau) in [0.07, 0.14, 0.28, 0.56, 1.12, 2.24, 4.48].into_iter().enumerate() {
        let tape = Tape::inference();
        let logits = tape.input(&[LOGIT as f32], [1]).broadcast_to([SAMPLES]);
        // The same noise for the soft code and the bit, other noise at every temperature.
        let seed = || Noise::seed(1 + i as u64);
        let soft = logits.binary_concrete(tau as f32, &mut seed()).to_vec();
        let bits = logits.bernoulli(&mut seed()).to_vec();
        for (codes, colour) in [(soft, ORANGE), (bits, BLUE)] {
            let values: Vec<f64> = codes.iter().map(|&y| decoder(f64::from(y))).collect();
            let (mean, error) = mean_and_error(&values);
            plot.dot(&mut sheet, (tau, mean - kl), 2.0 * error, colour);
        }
    }
    sheet.legend(
        (532.0, 54.0),
        &[
            (Mark::Line(Pen::new(ORANGE)), "relaxed objective, soft codes"),
            (Mark::Line(Pen::new(INK).width(2.5)), "ln p(x), exact"),
            (Mark::Line(Pen::new(BLUE).dashed()), "ELBO, hard bits"),
        ],
    );
    let note = format!(
        "dots: 2,000 samples ± 2 standard errors; q(z = 1) = sigmoid({LOGIT}) = {q:.2}; ln p(x) = {evidence:.3}; ELBO {hard:.3}"
    );
    sheet.text((480.0, 412.0), Side::Middle, SMALL, INK, &note.replace("= -", "= −").replace("O -", "O −"));
    sheet.finish()
}
