//! Densities of binary Concrete variables.

use reparam::Tape;
use reparam::distributions::{RelaxedBernoulli, RelaxedBit};

use super::sheet::*;

const TAUS: [f32; 4] = [0.3, 1.0, 1.5, 3.0];
const COLOURS: [&str; 4] = [BLUE, ORANGE, GREEN, PINK];
const LOGIT: f32 = 1.0;

pub(super) fn draw() -> String {
    let curves = TAUS.map(|tau| {
        // Evenly spaced in the logit of y, where most of the density lies.
        let logits: Vec<f32> = spaced(-12.0, 12.0, 481).map(|logit| logit as f32).collect();
        let tape = Tape::inference();
        let places = tape.input(&logits, [logits.len()]);
        let distribution = RelaxedBernoulli::new(tape.input(&[LOGIT], [1]).broadcast_to([logits.len()]), tau);
        let log_density = distribution.log_prob(RelaxedBit::from_logit(places)).to_vec();
        let point = |(&logit, log): (&f32, f32)| (sigmoid(f64::from(logit)), f64::from(log));
        logits.iter().zip(log_density).map(point).collect::<Vec<_>>()
    });
    let mut sheet = Sheet::new(430.0);
    let x_ticks = [0.0, 0.25, 0.5, 0.75, 1.0];
    let x = Scale::Linear(0.0, 1.0);
    let density = Plot::new([72.0, 48.0, 374.0, 290.0], x, Scale::Linear(0.0, 4.0));
    density.axes(&mut sheet, "density", ("relaxed bit y", "density"), (&x_ticks, &[0.0, 1.0, 2.0, 3.0, 4.0]));
    let log = Plot::new([552.0, 48.0, 374.0, 290.0], x, Scale::Linear(-4.0, 3.0));
    let ticks = [-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0];
    log.axes(&mut sheet, "its logarithm", ("relaxed bit y", "ln density"), (&x_ticks, &ticks));
    for (i, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
        let pen = Pen::new(colour).width(2.5);
        density.curve(&mut sheet, curve.iter().map(|&(y, log)| (y, log.exp())), pen);
        log.curve(&mut sheet, curve.iter().copied(), pen);
        let best = curve.iter().copied().fold((0.5, f64::MIN), |a, b| if b.1 > a.1 { b } else { a });
        let inside = TAUS[i] > 1.0;
        if inside {
            sheet.disc(density.place((best.0, best.1.exp())), 5.0, colour);
            sheet.disc(log.place(best), 5.0, colour);
        }
        let left = 60.0 + 224.0 * i as f64;
        sheet.line(&[(left, 406.0), (left + 24.0, 406.0)], pen);
        let kind = if inside { "peak inside" } else { "log-convex" };
        sheet.note((left + 32.0, 406.0), INK, &format!("τ = {}: {kind}", TAUS[i]));
    }
    sheet.finish()
}
