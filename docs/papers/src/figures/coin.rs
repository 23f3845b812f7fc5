//! The coin: heads (1) costs 3, tails (0) costs 1, and logit x makes heads as probable as sigmoid(x).

use reparam::{Noise, Tape};

use super::sheet::*;

const HEADS: f64 = 3.0;
const TAILS: f64 = 1.0;
const LOGIT: f64 = 1.0;

/// Hard bits at a logit, always from the same draws.
fn bits(logit: f64, count: usize, seed: u64) -> Vec<f32> {
    let tape = Tape::inference();
    let logits = tape.input(&[logit as f32], [1]).broadcast_to([count]);
    logits.bernoulli(&mut Noise::seed(seed)).to_vec()
}

/// A Gaussian sample has a slope in its mean; a coin's sample has none in its logit.
pub(super) fn coin_and_gaussian() -> String {
    const SIGMA: f64 = 0.5;
    /// A draw of about 1, and a coin that falls over near the middle.
    const SEED: u64 = 9;
    const COIN: u64 = 16;
    let sample = |mean: f64| {
        let tape = Tape::inference();
        let (mean, log_std) = (tape.input(&[mean as f32], [1]), tape.input(&[SIGMA.ln() as f32], [1]));
        f64::from(mean.gaussian_rsample(log_std, &mut Noise::seed(SEED)).to_vec()[0])
    };
    let eps = sample(0.0) / SIGMA;
    let mut sheet = Sheet::new(420.0);

    let plot = Plot::new([76.0, 48.0, 370.0, 300.0], Scale::Linear(-2.0, 2.0), Scale::Linear(-2.7, 4.0));
    let title = "a Gaussian sample, one draw ε held fixed";
    let ticks: (&[f64], &[f64]) = (&[-2.0, -1.0, 0.0, 1.0, 2.0], &[-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    plot.axes(&mut sheet, title, ("mean", "sample z"), ticks);
    plot.curve(&mut sheet, [(-2.0, -2.0), (2.0, 2.0)], Pen::new(INK).dashed());
    plot.curve(&mut sheet, spaced(-2.0, 2.0, 41).map(|mean| (mean, sample(mean))), Pen::new(BLUE).width(3.0));
    // One step up, one to the right.
    let corner = |x: f64, at: f64| plot.place((x, sample(at)));
    sheet.line(&[corner(-0.5, -0.5), corner(-0.5, 0.5), corner(0.5, 0.5)], Pen::new(RUST).width(1.5));
    let (left, middle) = (corner(-0.5, 0.0), corner(0.0, 0.5));
    sheet.text((left.0 - 8.0, left.1), Side::Left, SMALL, RUST, "up 1");
    sheet.text((middle.0, middle.1 - 12.0), Side::Middle, SMALL, RUST, "right 1");
    let names =
        [format!("z = mean + σ ε, with σ = {SIGMA}, ε = {eps:.2}"), "the expectation of z: the mean".into()];
    sheet.legend(
        (84.0, 54.0),
        &[
            (Mark::Line(Pen::new(BLUE).width(3.0)), &names[0]),
            (Mark::Line(Pen::new(INK).dashed()), &names[1]),
        ],
    );
    let low = plot.place((0.0, -2.35));
    sheet.text(low, Side::Middle, SMALL, RUST, "the derivative dz/dmean is 1 for every draw");

    let plot = Plot::new([556.0, 48.0, 370.0, 300.0], Scale::Linear(-4.0, 4.0), Scale::Linear(-0.25, 1.5));
    let ticks: (&[f64], &[f64]) = (&[-4.0, -2.0, 0.0, 2.0, 4.0], &[0.0, 0.5, 1.0]);
    plot.axes(&mut sheet, "a coin, one draw u held fixed", ("logit x", "sample z"), ticks);
    let points: Vec<_> = spaced(-4.0, 4.0, 1601).map(|x| (x, f64::from(bits(x, 1, COIN)[0]))).collect();
    let corners = stairs(&points);
    let jump = corners[1].0;
    let p = spaced(-4.0, 4.0, 161).map(|x| (x, sigmoid(x)));
    plot.curve(&mut sheet, p, Pen::new(INK).dashed());
    let blue = Pen::new(BLUE).width(3.0);
    plot.curve(&mut sheet, corners[..2].iter().copied(), blue);
    plot.curve(&mut sheet, corners[2..].iter().copied(), blue);
    plot.curve(&mut sheet, corners[1..3].iter().copied(), Pen::new(BLUE).width(1.0));
    let names = [
        format!("z = 1 if u < sigmoid(x), else 0, with u = {:.2}", sigmoid(jump)),
        "the expectation of z: p = sigmoid(x)".into(),
    ];
    sheet.legend(
        (562.0, 54.0),
        &[(Mark::Line(blue), &names[0]), (Mark::Line(Pen::new(INK).dashed()), &names[1])],
    );
    let at = plot.place((0.5 * (jump - 4.0), -0.1));
    sheet.text(at, Side::Middle, SMALL, RUST, "derivative 0");
    let at = plot.place((0.5 * (jump + 4.0), 1.09));
    sheet.text(at, Side::Middle, SMALL, RUST, "derivative 0");
    let at = plot.place((jump, 0.3));
    sheet.note((at.0 + 8.0, at.1), RUST, &format!("a jump, at x = {jump:.2}"));
    sheet.finish()
}

/// Samples with the draws held fixed are staircases in the logit, and the mean of many of them is nearly
/// smooth.
pub(super) fn staircase() -> String {
    const COUNTS: [usize; 3] = [1, 10, 1000];
    const SEED: u64 = 2;
    let at: Vec<(f64, Vec<f32>)> = spaced(-5.0, 5.0, 801).map(|x| (x, bits(x, 1000, SEED))).collect();
    let mut sheet = Sheet::new(400.0);
    for (i, (&count, colour)) in COUNTS.iter().zip([BLUE, ORANGE, GREEN]).enumerate() {
        let frame = [76.0 + 302.0 * i as f64, 48.0, 256.0, 270.0];
        let plot = Plot::new(frame, Scale::Linear(-5.0, 5.0), Scale::Linear(-0.05, 1.05));
        let title = if count == 1 {
            "one draw".to_owned()
        } else {
            format!("mean of {} draws", if count == 1000 { "1,000" } else { "10" })
        };
        let name = if i == 0 { "z(x, u)" } else { "" };
        let ticks: (&[f64], &[f64]) = (&[-4.0, -2.0, 0.0, 2.0, 4.0], &[0.0, 0.25, 0.5, 0.75, 1.0]);
        plot.axes(&mut sheet, &title, ("logit x", name), ticks);
        let xs = spaced(-5.0, 5.0, 101);
        if count > 1 {
            let band: Vec<_> = xs
                .clone()
                .map(|x| {
                    let (p, error) = (sigmoid(x), 2.0 * (sigmoid(x) * sigmoid(-x) / count as f64).sqrt());
                    (x, (p - error).max(0.0), (p + error).min(1.0))
                })
                .collect();
            plot.band(&mut sheet, &band, GREY, 0.3);
        }
        let mean = |bits: &[f32]| f64::from(bits[..count].iter().sum::<f32>()) / count as f64;
        let means: Vec<_> = at.iter().map(|(x, bits)| (*x, mean(bits))).collect();
        plot.curve(&mut sheet, stairs(&means), Pen::new(colour).width(2.5));
        plot.curve(&mut sheet, xs.map(|x| (x, sigmoid(x))), Pen::new(INK).dashed());
    }
    let pens = [BLUE, ORANGE, GREEN].map(|colour| Pen::new(colour).width(2.5));
    let y = 381.0;
    for (i, pen) in pens.into_iter().enumerate() {
        sheet.line(&[(70.0 + 12.0 * i as f64, y), (80.0 + 12.0 * i as f64, y)], pen);
    }
    sheet.note((112.0, y), INK, "samples, the same draws at every x");
    sheet.line(&[(392.0, y), (420.0, y)], Pen::new(INK).dashed());
    sheet.note((428.0, y), INK, "p = sigmoid(x), exact");
    sheet.block([622.0, y - 6.0, 24.0, 12.0], GREY, 0.3);
    sheet.note((654.0, y), INK, "p ± 2 standard errors of the mean");
    sheet.finish()
}

/// The score-function estimate less a constant: its variance and its mean against the constant.
pub(super) fn baseline() -> String {
    const COUNT: usize = 1000;
    let p = sigmoid(LOGIT);
    let exact = p * (1.0 - p) * (HEADS - TAILS);
    let variance = |c: f64| {
        let (heads, tails) = ((HEADS - c) * (1.0 - p), (TAILS - c) * -p);
        p * heads * heads + (1.0 - p) * tails * tails - exact * exact
    };
    let (mean_loss, best) = (p * HEADS + (1.0 - p) * TAILS, (1.0 - p) * HEADS + p * TAILS);
    // New draws for every constant, so that the points' errors are independent.
    let measured: Vec<_> = spaced(-1.0, 4.0, 11)
        .enumerate()
        .map(|(i, c)| {
            let estimate = |&bit: &f32| {
                let loss = if bit > 0.0 { HEADS } else { TAILS };
                (loss - c) * (f64::from(bit) - p)
            };
            let estimates: Vec<f64> = bits(LOGIT, COUNT, 1 + i as u64).iter().map(estimate).collect();
            let n = COUNT as f64;
            let mean = estimates.iter().sum::<f64>() / n;
            let moment = |power: i32| estimates.iter().map(|g| (g - mean).powi(power)).sum::<f64>() / n;
            let (second, fourth) = (moment(2), moment(4));
            let of_variance = 2.0 * ((fourth - second * second).max(0.0) / n).sqrt();
            (c, (mean, 2.0 * (second / n).sqrt()), (second, of_variance))
        })
        .collect();

    let mut sheet = Sheet::new(456.0);
    let frame = |left: f64| [left, 48.0, 370.0, 320.0];
    let x_ticks = [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0];
    let x = Scale::Linear(-1.2, 4.2);
    let marks = |sheet: &mut Sheet, plot: &Plot, (low, high): (f64, f64), note: f64| {
        for (c, name, side, dx) in
            [(best, "optimal c", Side::Left, -6.0), (mean_loss, "mean loss", Side::Right, 6.0)]
        {
            plot.curve(sheet, [(c, low), (c, high)], Pen::new(RUST).width(1.5).dashed());
            let at = plot.place((c, note));
            sheet.text((at.0 + dx, at.1 - 9.0), side, SMALL, RUST, name);
            sheet.text((at.0 + dx, at.1 + 9.0), side, SMALL, RUST, &format!("{c:.2}"));
        }
    };

    let plot = Plot::new(frame(76.0), x, Scale::Linear(-0.05, 2.0));
    plot.axes(
        &mut sheet,
        "variance: a parabola",
        ("constant c", "variance of one estimate"),
        (&x_ticks, &[0.0, 0.5, 1.0, 1.5, 2.0]),
    );
    marks(&mut sheet, &plot, (-0.05, 1.6), 1.2);
    plot.curve(&mut sheet, spaced(-1.2, 4.2, 109).map(|c| (c, variance(c))), Pen::new(INK));
    for &(c, _, (variance, error)) in &measured {
        plot.dot(&mut sheet, (c, variance), error, BLUE);
    }
    sheet.legend(
        (108.0, 54.0),
        &[(Mark::Line(Pen::new(INK)), "exact"), (Mark::Bar(BLUE), "1,000 estimates ± 2 standard errors")],
    );

    let plot = Plot::new(frame(556.0), x, Scale::Linear(0.0, 0.8));
    plot.axes(
        &mut sheet,
        "mean: the same for every c",
        ("constant c", "mean estimate of dL/dx"),
        (&x_ticks, &[0.0, 0.2, 0.4, 0.6, 0.8]),
    );
    marks(&mut sheet, &plot, (0.0, 0.67), 0.15);
    plot.curve(&mut sheet, [(-1.2, exact), (4.2, exact)], Pen::new(INK));
    for &(c, (mean, error), _) in &measured {
        plot.dot(&mut sheet, (c, mean), error, BLUE);
    }
    let name = format!("exact gradient {exact:.3}");
    sheet.legend(
        (588.0, 54.0),
        &[(Mark::Line(Pen::new(INK)), &name), (Mark::Bar(BLUE), "1,000 estimates ± 2 standard errors")],
    );
    let note = "the coin at logit 1: f(1) = 3, f(0) = 1; one estimate is (f(z) − c) (z − p)";
    sheet.text((480.0, 436.0), Side::Middle, SMALL, INK, note);
    sheet.finish()
}

/// The density of a coin's perturbed logit, and its factor in the integral that is the gradient of a relaxed sample.
pub(super) fn bump() -> String {
    const TAUS: [f64; 3] = [0.2, 0.8, 2.0];
    const COLOURS: [&str; 3] = [BLUE, ORANGE, GREEN];
    let density = |s: f64| sigmoid(s) * sigmoid(-s);
    // f(y) = 1 + y + y^2.
    let slope = |y: f64| 1.0 + 2.0 * y;
    let bump = |s: f64, tau: f64| slope(sigmoid(s / tau)) * density(s / tau) / tau;
    // Sums of thin strips.
    let integral = |f: &dyn Fn(f64) -> f64| spaced(-60.0, 60.0, 60_001).map(|s| 0.002 * f(s)).sum::<f64>();
    let mut sheet = Sheet::new(560.0);
    let x_ticks = [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0];
    let x = Scale::Linear(-6.0, 6.0);

    let plot = Plot::new([84.0, 44.0, 560.0, 170.0], x, Scale::Linear(0.0, 0.3));
    plot.axes(
        &mut sheet,
        "the density of the perturbed logit, s = x + logistic noise",
        ("", "density"),
        (&x_ticks, &[0.0, 0.1, 0.2, 0.3]),
    );
    for (logit, pen) in
        [(-1.0, Pen::new(GREY).dashed()), (LOGIT, Pen::new(INK).width(2.5)), (3.0, Pen::new(GREY))]
    {
        plot.curve(&mut sheet, spaced(-6.0, 6.0, 241).map(|s| (s, density(s - logit))), pen);
    }
    let at = plot.place((0.0, density(-LOGIT)));
    sheet.disc(at, 4.0, RUST);
    sheet.line(&[at, plot.place((0.0, 0.0))], Pen::new(RUST).width(1.0));
    sheet.legend(
        (668.0, 60.0),
        &[
            (Mark::Line(Pen::new(GREY).dashed()), "x = −1"),
            (Mark::Line(Pen::new(INK).width(2.5)), "x = 1"),
            (Mark::Line(Pen::new(GREY)), "x = 3"),
            (Mark::Disc(RUST), "p (1 − p), at s = 0, x = 1"),
        ],
    );
    sheet.note((672.0, 164.0), INK, "as x grows, the density slides");
    sheet.note((672.0, 184.0), INK, "to the right, and the bump stays");

    let plot = Plot::new([84.0, 282.0, 560.0, 210.0], x, Scale::Linear(0.0, 3.0));
    let title = "the bump f′(σ(s/τ)) σ′(s/τ) / τ, for f(y) = 1 + y + y²";
    plot.axes(&mut sheet, title, ("perturbed logit s", "bump"), (&x_ticks, &[0.0, 1.0, 2.0, 3.0]));
    let mut entries = Vec::new();
    for (tau, colour) in TAUS.into_iter().zip(COLOURS) {
        let points: Vec<_> = spaced(-6.0, 6.0, 481).map(|s| (s, 0.0, bump(s, tau))).collect();
        plot.band(&mut sheet, &points, colour, 0.12);
        plot.curve(&mut sheet, points.iter().map(|&(s, _, y)| (s, y)), Pen::new(colour));
        let area = integral(&|s| bump(s, tau));
        let gradient = integral(&|s| bump(s, tau) * density(s - LOGIT));
        entries.push((colour, format!("τ = {tau}: area {area:.2}, gradient {gradient:.3}")));
    }
    let marks: Vec<_> =
        entries.iter().map(|(colour, name)| (Mark::Line(Pen::new(colour)), &name[..])).collect();
    sheet.legend((668.0, 296.0), &marks);
    let exact = density(LOGIT) * (HEADS - TAILS);
    for (i, line) in [
        "area: f(1) − f(0) = 2 for every τ".to_owned(),
        "gradient: the mean over all draws,".to_owned(),
        "∫ density × bump ds, at x = 1".to_owned(),
        format!("exact: 2 p (1 − p) = {exact:.3}"),
    ]
    .iter()
    .enumerate()
    {
        sheet.note((672.0, 384.0 + 21.0 * i as f64), if i == 3 { RUST } else { INK }, line);
    }
    sheet.finish()
}
