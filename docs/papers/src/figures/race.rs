//! Four exponential clocks: the one that rings first is a sample of softmax.

use reparam::{Noise, Tape};

use super::sheet::*;

const PRICES: [f64; 4] = [3.0, 1.0, 2.0, 5.0];
const LOGITS: [f32; 4] = [0.0, 1.0, 0.5, -1.0];
const RACES: usize = 1000;
const COLOURS: [&str; 4] = [BLUE, ORANGE, GREEN, PINK];

pub(super) fn draw() -> String {
    /// A race in which every clock rings soon enough to be seen, and not in the order of the rates.
    const SEED: u64 = 6;
    let rates = LOGITS.map(|x| f64::from(x).exp());
    let total: f64 = rates.iter().sum();
    let draws: Vec<u32> = Noise::seed(SEED).draws(4 * RACES).collect();
    // The noise of the engine's own sample: an exponential time of rate 1 is -ln of a uniform number.
    let time = |k: usize| -f64::from(reparam_ops::draw::uniform(!draws[k])).ln() / rates[k];
    let times: [f64; 4] = std::array::from_fn(time);
    let tape = Tape::inference();
    let winners = tape.input(&LOGITS, [4]).broadcast_to([RACES, 4]).gumbel_max(&mut &draws[..]);
    let first = winners[0] as usize;
    assert!(times.iter().all(|&time| time >= times[first]), "the engine's sample is the first to ring");

    let mut sheet = Sheet::new(420.0);
    let latest = times.iter().copied().fold(0.0, f64::max);
    let end = (latest * 1.1 * 2.0).ceil() / 2.0;
    let plot = Plot::new([190.0, 48.0, 350.0, 290.0], Scale::Linear(0.0, end), Scale::Linear(0.0, 4.0));
    let step = if end > 2.0 { 1.0 } else { 0.5 };
    let x_ticks: Vec<f64> = (0..).map(|i| step * f64::from(i)).take_while(|&x| x <= end).collect();
    plot.axes(&mut sheet, "one race", ("time", ""), (&x_ticks, &[]));
    for k in 0..4 {
        let y = 3.5 - k as f64;
        let (start, ring) = (plot.place((0.0, y)), plot.place((times[k], y)));
        sheet.line(&[start, ring], Pen::new(COLOURS[k]).width(if k == first { 5.0 } else { 2.5 }));
        sheet.disc(ring, if k == first { 8.0 } else { 5.0 }, COLOURS[k]);
        let (name, rate) = (format!("class {}, price {}", k + 1, PRICES[k]), rates[k]);
        sheet.text((178.0, start.1 - 9.0), Side::Left, SMALL, INK, &name);
        let x = format!("{}", LOGITS[k]).replace('-', "−");
        sheet.text((178.0, start.1 + 10.0), Side::Left, SMALL, INK, &format!("x = {x}, rate eˣ = {rate:.2}"));
        let side = if times[k] > 0.7 * end { Side::Left } else { Side::Right };
        let dx = if times[k] > 0.7 * end { -12.0 } else { 12.0 };
        let note =
            if k == first { format!("{:.2}: the sample", times[k]) } else { format!("{:.2}", times[k]) };
        sheet.text((ring.0 + dx, ring.1 - 13.0), side, SMALL, INK, &note);
    }
    plot.curve(&mut sheet, [(times[first], 0.0), (times[first], 4.0)], Pen::new(INK).width(1.0).dashed());

    let plot = Plot::new([646.0, 48.0, 280.0, 290.0], Scale::Linear(0.5, 4.5), Scale::Linear(0.0, 0.6));
    let ticks: (&[f64], &[f64]) = (&[1.0, 2.0, 3.0, 4.0], &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
    plot.axes(&mut sheet, "1,000 races", ("class", "share of races won"), ticks);
    for k in 0..4 {
        let x = k as f64 + 1.0;
        let share = winners.iter().filter(|&&class| class as usize == k).count() as f64 / RACES as f64;
        let (left, top) = plot.place((x - 0.3, share));
        let (right, bottom) = plot.place((x + 0.3, 0.0));
        sheet.block([left, top, right - left, bottom - top], COLOURS[k], 0.55);
        let error = 2.0 * (share * (1.0 - share) / RACES as f64).sqrt();
        let (low, high) = (plot.place((x, share - error)), plot.place((x, share + error)));
        sheet.line(&[low, high], Pen::new(INK).width(1.5));
        for at in [low, high] {
            sheet.line(&[(at.0 - 5.0, at.1), (at.0 + 5.0, at.1)], Pen::new(INK).width(1.5));
        }
        let exact = rates[k] / total;
        plot.curve(&mut sheet, [(x - 0.42, exact), (x + 0.42, exact)], Pen::new(INK).width(3.0));
        let at = plot.place((x, exact.max(share + error)));
        sheet.text((at.0, at.1 - 13.0), Side::Middle, SMALL, INK, &format!("{exact:.3}"));
    }
    sheet.line(&[(560.0, 402.0), (584.0, 402.0)], Pen::new(INK).width(3.0));
    sheet.note((592.0, 402.0), INK, "softmax(x)");
    sheet.line(&[(700.0, 393.0), (700.0, 411.0)], Pen::new(INK).width(1.5));
    sheet.note((710.0, 402.0), INK, "± 2 standard errors");
    sheet.finish()
}
