//! The error of a finite difference of f32 values against its step.

use reparam::Tape;

use super::sheet::*;

const PRICES: [f32; 4] = [3.0, 1.0, 2.0, 5.0];
/// The point at which the derivative is taken, a logit of the class of price 1.
const AT: f32 = 1.0;

/// The expected price, in f32, by the engine.
fn price(logit: f32) -> f64 {
    let tape = Tape::inference();
    let p = tape.input(&[0.0, logit, 0.0, 0.0], [4]).softmax();
    f64::from((p * tape.input(&PRICES, [4])).sum().item())
}

pub(super) fn draw() -> String {
    // The price is a + b sigmoid(x - ln 3), so that all derivatives are polynomials in s.
    let s = sigmoid(f64::from(AT) - 3f64.ln());
    let others = 10.0 / 3.0;
    let value = others + (1.0 - others) * s;
    let (scale, first) = ((1.0 - others) * s * (1.0 - s), (1.0 - others) * s * (1.0 - s));
    let third = scale * (1.0 - 6.0 * s + 6.0 * s * s);
    let fifth = scale * (1.0 - 30.0 * s + 150.0 * s * s - 240.0 * s.powi(3) + 120.0 * s.powi(4));
    // The steps are powers of 2, so that x + h and x - h are exact.
    let steps: Vec<f32> = (1..=20).map(|k| 2f32.powi(-k)).collect();
    let at = |steps: f32, h: f32| price(AT + steps * h);
    let three = |h: f32| (at(1.0, h) - at(-1.0, h)) / (2.0 * f64::from(h));
    let five =
        |h: f32| (8.0 * (at(1.0, h) - at(-1.0, h)) - (at(2.0, h) - at(-2.0, h))) / (12.0 * f64::from(h));
    let mut sheet = Sheet::new(470.0);
    let (low, high) = (5e-7, 1.0);
    let plot = Plot::new([100.0, 46.0, 560.0, 340.0], Scale::Log(low, high), Scale::Log(1e-9, 1.0));
    let x_ticks = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
    let y_ticks = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
    let title = "the derivative of an expected price by finite differences of f32 values";
    plot.axes(&mut sheet, title, ("step h", "absolute error"), (&x_ticks, &y_ticks));
    // The steps that gradcheck tries.
    let ((left, top), (right, bottom)) = (plot.place((1.0 / 256.0, 1.0)), plot.place((1.0 / 16.0, 1e-9)));
    sheet.block([left, top, right - left, bottom - top], GREY, 0.2);
    let rounding = 2f64.powi(-24) * value;
    let thin = Pen::new(INK).width(1.5);
    plot.curve(&mut sheet, [(low, rounding / low), (high, rounding / high)], thin);
    let truncation = |h: f64| h * h * third.abs() / 6.0;
    plot.curve(
        &mut sheet,
        [(low, truncation(low)), (high, truncation(high))],
        Pen::new(BLUE).width(1.5).dashed(),
    );
    let truncation = |h: f64| h.powi(4) * fifth.abs() / 30.0;
    plot.curve(
        &mut sheet,
        [(low, truncation(low)), (high, truncation(high))],
        Pen::new(ORANGE).width(1.5).dashed(),
    );
    for &h in &steps {
        for (quotient, colour) in [(three(h), BLUE), (five(h), ORANGE)] {
            let error = (quotient - first).abs();
            assert!((1e-9..1.0).contains(&error), "the range of the picture");
            plot.dot(&mut sheet, (f64::from(h), error), 0.0, colour);
        }
    }
    sheet.legend(
        (686.0, 60.0),
        &[
            (Mark::Disc(BLUE), "(f(x + h) − f(x − h)) / 2h"),
            (Mark::Line(Pen::new(BLUE).width(1.5).dashed()), "truncation h² |f‴| / 6"),
            (Mark::Disc(ORANGE), "five points, as gradcheck"),
            (Mark::Line(Pen::new(ORANGE).width(1.5).dashed()), "truncation h⁴ |f⁽⁵⁾| / 30"),
            (Mark::Line(thin), "rounding, about 2⁻²⁴ |f| / h"),
            (Mark::Band(GREY, 0.25), "steps of gradcheck"),
        ],
    );
    for (i, line) in [
        "f: the expected price of four".to_owned(),
        "classes at logits (0, x, 0, 0)".to_owned(),
        "for prices 3, 1, 2, 5, at x = 1;".to_owned(),
        format!("exact derivative {first:.4}").replace("-", "−"),
    ]
    .iter()
    .enumerate()
    {
        sheet.note((690.0, 230.0 + 21.0 * i as f64), INK, line);
    }
    sheet.note(
        (100.0, 448.0),
        INK,
        "small steps lose digits to rounding, large steps to the terms that the quotient leaves out",
    );
    sheet.finish()
}
