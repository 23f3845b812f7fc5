//! Mean estimates of a gradient as arrows: bias in length and in direction.

use reparam::lab::Problem;
use reparam::{Var, Variables};

use super::moments::Moments;
use super::sheet::*;

const ESTIMATORS: [(&str, &str, &str); 6] = [
    ("gumbel-softmax:0.5", "Gumbel-Softmax, τ = 0.5", "#0072b2"),
    ("gumbel-softmax:1", "Gumbel-Softmax, τ = 1", "#56b4e9"),
    ("gumbel-softmax:2", "Gumbel-Softmax, τ = 2", "#e69f00"),
    ("st-gumbel-softmax:1", "ST-Gumbel-Softmax, τ = 1", PINK),
    ("st-softmax:1", "straight-through, τ = 1", ORANGE),
    ("reinmax:1", "ReinMax, τ = 1", GREEN),
];
const SAMPLES: usize = 20_000;

/// The shopper of the course with three classes, and a fee |z|^2 that is 1 for every whole one.
struct WithFee;

impl Problem for WithFee {
    fn name(&self) -> String {
        "three prices and a fee".to_owned()
    }

    fn variables(&self) -> Variables {
        Variables::Categories { count: 1, classes: 3 }
    }

    fn logits(&self) -> &[f32] {
        &[0.0, 1.0, 0.0]
    }

    fn loss<'t>(&self, z: Var<'t>) -> Var<'t> {
        let z = z.reshape([z.shape().dims()[0], 3]);
        (z * z.tape().input(&[3.0, 1.0, 2.0], [3]) + z.square()).sum_axis(1)
    }
}

pub(super) fn draw() -> String {
    let runs = ESTIMATORS.map(|(name, ..)| Moments::measure(&WithFee, name, SAMPLES, 1));
    let exact = &runs[0].exact;
    let length = norm(exact);
    // Two directions in the plane of the gradients, whose entries sum to 0: along the exact gradient, and
    // across.
    let along: Vec<f64> = exact.iter().map(|g| g / length).collect();
    let third = 3f64.sqrt().recip();
    let across: Vec<f64> = (0..3).map(|i| third * (along[(i + 2) % 3] - along[(i + 1) % 3])).collect();
    let plane = |g: &[f64]| (dot(g, &along) / length, dot(g, &across) / length);

    let mut sheet = Sheet::new(420.0);
    const UNIT: f64 = 384.0;
    let origin = (36.0, 246.0);
    let place = |(x, y): (f64, f64)| (origin.0 + UNIT * x, origin.1 - UNIT * y);
    let grid = Pen::new(GREY).width(1.0).faint(0.4);
    sheet.title((300.0, 24.0), "mean estimates; the exact gradient has length 1");
    for radius in [0.25, 0.5, 0.75, 1.0, 1.25] {
        let arc =
            spaced(-0.175, 0.36, 45).map(|angle| place((radius * f64::cos(angle), radius * f64::sin(angle))));
        sheet.line(&arc.collect::<Vec<_>>(), grid);
        let at = place((radius * 0.175f64.cos(), -radius * 0.175f64.sin()));
        sheet.text((at.0, at.1 + 12.0), Side::Middle, SMALL, INK, &format!("{radius}"));
    }
    for degrees in [-10i32, 0, 10, 20] {
        let angle = f64::from(degrees).to_radians();
        sheet.line(&[origin, place((1.38 * angle.cos(), 1.38 * angle.sin()))], grid);
        let at = place((1.4 * angle.cos(), 1.4 * angle.sin()));
        sheet.note((at.0 - 2.0, at.1), INK, &format!("{degrees}°").replace('-', "−"));
    }
    sheet.arrow(&[origin, place((1.0, 0.0))], Pen::new(INK).width(4.0));
    let mut rows = Vec::new();
    for (run, (_, name, colour)) in runs.iter().zip(ESTIMATORS) {
        let (x, y) = plane(&run.mean);
        sheet.arrow(&[origin, place((x, y))], Pen::new(colour).width(2.5));
        // The covariance of the mean in the plane.
        let n = run.samples as f64 * length * length;
        let of = |a: &[f64], b: &[f64]| {
            (0..9).map(|at| a[at / 3] * run.covariance[at] * b[at % 3]).sum::<f64>() / n
        };
        let (xx, xy, yy) = (of(&along, &along), of(&along, &across), of(&across, &across));
        // 95 % of a normal variable of two dimensions are within sqrt(5.991) standard deviations.
        let (l, reach) = (xx.sqrt(), 5.991f64.sqrt());
        let (below, rest) = (xy / l, (yy - xy * xy / xx).max(0.0).sqrt());
        let ellipse: Vec<At> = spaced(0.0, std::f64::consts::TAU, 49)
            .map(|t| place((x + reach * l * t.cos(), y + reach * (below * t.cos() + rest * t.sin()))))
            .collect();
        sheet.area(&ellipse, colour, 0.35);
        sheet.line(&ellipse, Pen::new(INK).width(1.0));
        let (size, angle) = (x.hypot(y), y.atan2(x).to_degrees());
        rows.push((name, colour, size, angle));
    }
    let heads = [(950.0, "angle"), (894.0, "length")];
    let top = 70.0;
    for (x, head) in heads {
        sheet.text((x, top), Side::Left, SMALL, INK, head);
    }
    sheet.arrow(&[(622.0, top + 28.0), (646.0, top + 28.0)], Pen::new(INK).width(4.0));
    sheet.note((654.0, top + 28.0), INK, "exact");
    sheet.text((894.0, top + 28.0), Side::Left, SMALL, INK, "1.00");
    sheet.text((950.0, top + 28.0), Side::Left, SMALL, INK, "0.0°");
    for (i, (name, colour, size, angle)) in rows.into_iter().enumerate() {
        let y = top + 56.0 + 28.0 * i as f64;
        sheet.arrow(&[(622.0, y), (646.0, y)], Pen::new(colour).width(2.5));
        sheet.note((654.0, y), INK, name);
        sheet.text((894.0, y), Side::Left, SMALL, INK, &format!("{size:.2}"));
        sheet.text((950.0, y), Side::Left, SMALL, INK, &format!("{angle:.1}°").replace('-', "−"));
    }
    sheet.note((622.0, 330.0), INK, "f(z) = (3, 1, 2) · z + |z|², logits (0, 1, 0);");
    sheet.note((622.0, 351.0), INK, "means of 20,000 estimates;");
    sheet.note((622.0, 372.0), INK, "ellipses: 95 % confidence;");
    sheet.note((622.0, 393.0), INK, "arcs: length; rays: angle to the exact one");
    sheet.finish()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}
