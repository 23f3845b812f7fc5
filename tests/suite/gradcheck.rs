//! Every op's gradient: one row per op against finite differences of its values; straight-through ops against
//! their documented surrogate; stochastic ops against references in f64 too; and the checker against wrong
//! rules.

use std::io::Write as _;

use rand::Rng;
use reparam::gradcheck::{GradcheckError, GradcheckReport, gradcheck};
use reparam::{Activation, InputGradients, Noise, Recorded, Rule, Tape, Var};

const MASK: f32 = f32::NEG_INFINITY;

/// Numbers and their shape.
type Input<'a> = (&'a [f32], &'a [usize]);

/// `n` numbers in (-1.5, 1.5).
fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut noise = Noise::seed(seed);
    (0..n).map(|_| (f64::from(noise.next_u32()) / 2f64.powi(32) * 3.0 - 1.5) as f32).collect()
}

/// `n` numbers of either sign, between 0.3 and 1.5 in size: far enough from a kink at 0.
fn away(seed: u64, n: usize) -> Vec<f32> {
    numbers(seed, n).into_iter().map(|x| x.signum() * (0.3 + 0.8 * x.abs())).collect()
}

/// `n` numbers in (0.5, 2).
fn positive(seed: u64, n: usize) -> Vec<f32> {
    numbers(seed, n).into_iter().map(|x| 1.25 + 0.5 * x).collect()
}

/// `n` draws.
fn draws(seed: u64, n: usize) -> Vec<u32> {
    let mut noise = Noise::seed(1000 + seed);
    (0..n).map(|_| noise.next_u32()).collect()
}

/// Numbers with some masked.
fn masked(seed: u64, n: usize, mask: &[usize]) -> Vec<f32> {
    let mut x = numbers(seed, n);
    mask.iter().for_each(|&i| x[i] = MASK);
    x
}

// --------------------------------------------------------------------------------------------- the table

#[derive(Default)]
struct Table {
    rows: usize,
    worst: f64,
    worst_row: String,
    failures: Vec<String>,
}

impl Table {
    fn row(
        &mut self,
        op: &str,
        case: &str,
        inputs: &[Input<'_>],
        f: impl for<'t> Fn(&'t Tape, &[Var<'t>]) -> Var<'t>,
    ) {
        self.rows += 1;
        let name = if case.is_empty() { op.to_string() } else { format!("{op}: {case}") };
        match gradcheck(inputs, f) {
            Ok(GradcheckReport { directions, worst }) => {
                assert!(directions >= 6, "{name}: {directions} directions");
                if worst > self.worst {
                    (self.worst, self.worst_row) = (worst, name);
                }
            }
            Err(error) => self.failures.push(format!("{name}: {error}")),
        }
    }

    fn finish(self, title: &str) {
        let Table { rows, worst, worst_row, failures } = self;
        let line = format!("{title}: {rows} rows, worst error {worst:.3} of what is allowed ({worst_row})\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
        assert!(failures.is_empty(), "{} of {rows} rows failed:\n{}", failures.len(), failures.join("\n"));
    }
}

#[test]
fn elementwise_ops() {
    let mut table = Table::default();
    let (any, off_zero, above_zero) = (numbers(1, 12), away(2, 12), positive(3, 12));
    let shaped = |x| -> [Input<'_>; 1] { [(x, &[3, 4])] };
    let (any, off_zero, above_zero) = (shaped(&any), shaped(&off_zero), shaped(&above_zero));
    table.row("exp", "", &any, |_, x| x[0].exp());
    table.row("ln", "", &above_zero, |_, x| x[0].ln());
    table.row("log1p", "", &above_zero, |_, x| x[0].log1p());
    table.row("sqrt", "", &above_zero, |_, x| x[0].sqrt());
    table.row("square", "", &any, |_, x| x[0].square());
    table.row("abs", "", &off_zero, |_, x| x[0].abs());
    table.row("sigmoid", "", &any, |_, x| x[0].sigmoid());
    table.row("softplus", "", &any, |_, x| x[0].softplus());
    table.row("tanh", "", &any, |_, x| x[0].tanh());
    table.row("relu", "", &off_zero, |_, x| x[0].relu());
    table.row("leaky_relu", "", &off_zero, |_, x| x[0].leaky_relu(0.1));
    table.row("affine", "", &any, |_, x| x[0].affine(-2.5, 0.75));
    table.row("affine", "operators with numbers", &above_zero, |_, x| {
        (3.0 - (x[0] + 1.0) * 0.5 - 2.0 * x[0]) / 1.5 + 2.0 / x[0] + -x[0]
    });
    table.finish("elementwise");
}

#[test]
fn arithmetic_and_broadcasting() {
    let mut table = Table::default();
    let shapes: [(&[usize], &[usize]); 9] = [
        (&[2, 3], &[2, 3]),
        (&[2, 3], &[3]),
        (&[3], &[2, 3]),
        (&[2, 1], &[1, 3]),
        (&[2, 3], &[]),
        (&[], &[4]),
        (&[2, 1, 3], &[4, 1]),
        (&[1, 1], &[2, 2]),
        (&[2, 1, 1, 3], &[1, 2, 2, 1]),
    ];
    for (i, (a_shape, b_shape)) in shapes.into_iter().enumerate() {
        let (a, b) = (numbers(i as u64, a_shape.iter().product()), away(99, b_shape.iter().product()));
        let inputs: [Input<'_>; 2] = [(&a, a_shape), (&b, b_shape)];
        table.row("add", &format!("{a_shape:?} {b_shape:?}"), &inputs, |_, x| x[0] + x[1]);
        table.row("sub", &format!("{a_shape:?} {b_shape:?}"), &inputs, |_, x| x[0] - x[1]);
        table.row("mul", &format!("{a_shape:?} {b_shape:?}"), &inputs, |_, x| x[0] * x[1]);
        table.row("div", &format!("{a_shape:?} {b_shape:?}"), &inputs, |_, x| x[0] / x[1]);
    }
    let x = away(4, 6);
    let x: [Input<'_>; 1] = [(&x, &[2, 3])];
    table.row("mul", "one input twice", &x, |_, x| x[0] * x[0]);
    table.row("add", "one input twice", &x, |_, x| x[0] + x[0]);
    table.row("sub", "one input twice", &x, |_, x| x[0] - x[0]);
    table.row("div", "one input twice", &x, |_, x| (x[0] + 0.5 * x[0].square()) / x[0]);
    table.row("mul", "one input in many places", &x, |_, x| {
        (x[0] * x[0].exp()).square() * x[0] + x[0].sigmoid()
    });
    table.finish("arithmetic");
}

#[test]
fn axes_views_and_positions() {
    let mut table = Table::default();
    let (x, y) = (numbers(5, 24), numbers(6, 12));
    let cube: [Input<'_>; 1] = [(&x, &[2, 3, 4])];
    table.row("sum", "", &cube, |_, x| x[0].square().sum());
    table.row("mean", "", &cube, |_, x| x[0].square().mean());
    for axis in 0..3 {
        table.row("sum_axis", &format!("axis {axis}"), &cube, move |_, x| x[0].square().sum_axis(axis));
        table.row("mean_axis", &format!("axis {axis}"), &cube, move |_, x| x[0].square().mean_axis(axis));
        table.row("slice", &format!("axis {axis}"), &cube, move |_, x| x[0].square().slice(axis, 1..2));
        table.row("concat", &format!("axis {axis}"), &cube, move |_, x| {
            Var::concat(&[x[0], x[0].square(), x[0]], axis)
        });
    }
    table.row("repeat", "", &[(&y, &[3, 1, 4])], |_, x| x[0].square().broadcast_to([2, 3, 5, 4]));
    table.row("reshape", "", &cube, |_, x| x[0].square().reshape([4, 6]));
    table.row("stop_gradient", "", &cube, |tape, x| {
        let fixed = tape.input(&numbers(5, 24), [2, 3, 4]);
        x[0] * fixed.stop_gradient()
    });
    table.row("transpose", "", &cube, |_, x| x[0].square().transpose());
    table.row("slice", "empty", &cube, |_, x| x[0].slice(2, 1..1).sum() + x[0].sum());
    table
        .row("concat", "of two", &[(&x, &[2, 3, 4]), (&y, &[2, 3, 2])], |_, x| Var::concat(&[x[0], x[1]], 2));
    table.row("gather", "", &cube, |_, x| x[0].square().gather(&[1, 0, 1, 1]));
    table.row("gather", "of none", &cube, |_, x| x[0].gather(&[]).sum() + x[0].sum());
    table.row("select", "", &cube, |_, x| x[0].square().select(&[0, 3, 2, 2, 1, 0]));
    let mask: [bool; 24] = std::array::from_fn(|i| i % 5 == 0 || i > 20);
    table.row("masked", "", &cube, |_, x| x[0].square().masked(&mask, 2.5));
    table.row("masked", "everywhere", &cube, |_, x| x[0].masked(&[true; 24], 2.5) + x[0]);
    table.row("masked", "nowhere", &cube, |_, x| x[0].masked(&[false; 24], 2.5));
    table.finish("axes, views, positions");
}

#[test]
fn products() {
    let mut table = Table::default();
    let (x, w, b) = (numbers(7, 15), numbers(8, 20), numbers(9, 4));
    let layer: [Input<'_>; 3] = [(&x, &[3, 5]), (&w, &[5, 4]), (&b, &[4])];
    table.row("matmul", "", &layer[..2], |_, x| x[0].matmul(x[1]));
    let (left, right) = ((&w[..12], &[2, 2, 3][..]), (&x[..12], &[2, 3, 2][..]));
    table.row("matmul", "several matrices", &[left, right], |_, x| x[0].matmul(x[1]));
    table.row("matmul", "with itself", &[(&w[..16], &[4, 4])], |_, x| x[0].matmul(x[0]));
    table.row("linear", "identity", &layer, |_, x| x[0].linear(x[1], x[2], Activation::Identity));
    table.row("linear", "sigmoid", &layer, |_, x| x[0].linear(x[1], x[2], Activation::Sigmoid));
    table.row("linear", "tanh", &layer, |_, x| x[0].linear(x[1], x[2], Activation::Tanh));
    // Small weights, and a bias of either sign, keep every unit away from its kink.
    let small: Vec<f32> = w.iter().map(|w| 0.02 * w).collect();
    let kinked: [Input<'_>; 3] = [(&x, &[3, 5]), (&small, &[5, 4]), (&[1.5, -1.5, 2.0, -2.0], &[4])];
    table.row("linear", "relu", &kinked, |_, x| x[0].linear(x[1], x[2], Activation::Relu));
    table.row("linear", "leaky relu", &kinked, |_, x| x[0].linear(x[1], x[2], Activation::LeakyRelu(0.2)));
    let cube: [Input<'_>; 3] = [(&numbers(10, 20), &[2, 2, 5]), layer[1], layer[2]];
    table.row("linear", "three axes", &cube, |_, x| x[0].linear(x[1], x[2], Activation::Tanh));
    table.finish("products");
}

#[test]
fn distributions_over_classes() {
    let mut table = Table::default();
    let (p, q) = (numbers(11, 15), numbers(12, 15));
    let with_masks = masked(13, 15, &[0, 7, 8, 9, 14]);
    let plain: [Input<'_>; 2] = [(&p, &[3, 5]), (&q, &[3, 5])];
    let holes: [Input<'_>; 2] = [(&with_masks, &[3, 5]), (&q, &[3, 5])];
    let single: [Input<'_>; 2] = [(&p[..3], &[3, 1]), (&q[..3], &[3, 1])];
    for (case, pair) in [("", plain), ("masked", holes), ("one class", single)] {
        let (logits, classes) = (&pair[..1], pair[0].1[1] as u32);
        table.row("softmax", case, logits, |_, x| x[0].softmax());
        table.row("log_softmax", case, logits, |_, x| x[0].log_softmax());
        table.row("logsumexp", case, logits, |_, x| x[0].logsumexp());
        let targets = [1, 0, 3].map(|target: u32| target.min(classes - 1));
        table.row("cross_entropy", case, logits, |_, x| x[0].cross_entropy(&targets));
        table.row("categorical_kl", case, &pair, |_, x| x[0].categorical_kl(x[1]));
        table.row("categorical_kl_uniform", case, logits, |_, x| x[0].categorical_kl_uniform());
    }
    // The logits' own contribution is cut off and replaced with a given gradient.
    table.row("with_logits_gradient", "", &[plain[0], (&q[..3], &[3])], |tape, x| {
        let slope = tape.input(&q, [3, 5]);
        let of_logits = (x[0] * slope).sum_axis(1).stop_gradient();
        (of_logits + x[1].square()).with_logits_gradient(x[0], slope)
    });
    table.row("categorical_kl", "one input twice", &plain, |_, x| x[0].categorical_kl(-x[0]));
    table.finish("classes");
}

#[test]
fn elementwise_distributions() {
    let mut table = Table::default();
    let (a, b) = (numbers(14, 10), numbers(15, 10));
    let far: Vec<f32> = a.iter().map(|a| 20.0 * a).collect();
    let pair: [Input<'_>; 2] = [(&a, &[2, 5]), (&b, &[2, 5])];
    let extreme: [Input<'_>; 2] = [(&far, &[2, 5]), (&b, &[2, 5])];
    table.row("bernoulli_kl", "", &pair, |_, x| x[0].bernoulli_kl(x[1]));
    table.row("bernoulli_kl", "far p", &extreme, |_, x| x[0].bernoulli_kl(x[1]));
    table.row("bernoulli_kl", "far q", &extreme, |_, x| x[1].bernoulli_kl(x[0]));
    table.row("bce_with_logits", "", &pair, |_, x| x[0].bce_with_logits(x[1].sigmoid()));
    table.row("bce_with_logits", "far", &extreme, |_, x| x[0].bce_with_logits(x[1].sigmoid()));
    table.row("gaussian_kl_standard", "", &pair, |_, x| x[0].gaussian_kl_standard(x[1]));
    table.row("gaussian_rsample", "", &pair, |_, x| x[0].gaussian_rsample(x[1], &mut Noise::seed(3)));
    table.row("gaussian_rsample", "draws", &pair, |_, x| x[0].gaussian_rsample(x[1], &mut &draws(1, 10)[..]));
    table.row("gaussian_rsample", "normals", &pair, |_, x| {
        x[0].gaussian_rsample(x[1], &mut &numbers(2, 10)[..])
    });
    table.finish("elementwise distributions");
}

#[test]
fn relaxed_samples() {
    let mut table = Table::default();
    let x = numbers(16, 20);
    let holes = masked(17, 20, &[1, 2, 9, 15, 17, 18, 19]);
    let tau = [0.8f32];
    let plain: [Input<'_>; 2] = [(&x, &[4, 5]), (&tau, &[])];
    let masks: [Input<'_>; 2] = [(&holes, &[4, 5]), (&tau, &[])];
    let single: [Input<'_>; 2] = [(&x, &[20, 1]), (&tau, &[1])];
    let noise = || Noise::seed(5);
    for (case, inputs) in [("", plain), ("masked", masks), ("one class", single)] {
        table.row("gumbel_softmax", case, &inputs, |_, x| x[0].gumbel_softmax(x[1], &mut noise()));
        table.row("exp_concrete", case, &inputs, |_, x| x[0].exp_concrete(x[1], &mut noise()));
    }
    let draws = draws(2, 20);
    table
        .row("gumbel_softmax", "tau a number", &plain[..1], |_, x| x[0].gumbel_softmax(0.7, &mut &draws[..]));
    table.row("gumbel_softmax", "tau alone", &plain[1..], |tape, tau| {
        tape.input(&numbers(16, 20), [4, 5]).gumbel_softmax(tau[0], &mut &draws[..])
    });
    table.row("binary_concrete", "", &plain, |_, x| x[0].binary_concrete(x[1], &mut noise()));
    table.row("binary_concrete", "tau a number", &plain[..1], |_, x| {
        x[0].binary_concrete(2.0, &mut &draws[..])
    });
    table.row("binary_concrete", "tau alone", &plain[1..], |tape, tau| {
        tape.input(&numbers(16, 20), [20]).binary_concrete(tau[0], &mut &draws[..])
    });
    table.row("logit_binary_concrete", "", &plain, |_, x| x[0].logit_binary_concrete(x[1], &mut noise()));
    table.row("logit_binary_concrete", "tau a number", &plain[..1], |_, x| {
        x[0].logit_binary_concrete(0.6, &mut &draws[..])
    });
    table.finish("relaxed samples");
}

#[test]
fn densities_of_relaxed_samples() {
    let mut table = Table::default();
    let (x, holes) = (numbers(18, 15), masked(19, 15, &[3, 5, 6, 7, 8]));
    // Any log_y will do, because the formula does not require a normalised row.
    let (log_y, log_y_holes) = (numbers(20, 15), masked(20, 15, &[3, 5, 6, 7, 8]));
    let tau = [0.7f32];
    let plain: [Input<'_>; 3] = [(&log_y, &[3, 5]), (&x, &[3, 5]), (&tau, &[])];
    let masks: [Input<'_>; 3] = [(&log_y_holes, &[3, 5]), (&holes, &[3, 5]), (&tau, &[])];
    for (case, number, inputs) in [("", "tau a number", plain), ("masked", "masked, tau a number", masks)] {
        table.row("exp_concrete_log_prob", case, &inputs, |_, x| x[0].exp_concrete_log_prob(x[1], x[2]));
        table
            .row("exp_concrete_log_prob", number, &inputs[..2], |_, x| x[0].exp_concrete_log_prob(x[1], 1.3));
    }
    table.row("exp_concrete_log_prob", "of its own sample", &plain[1..], |_, x| {
        x[0].exp_concrete(x[1], &mut Noise::seed(1)).exp_concrete_log_prob(0.5 * x[0], 0.9)
    });
    table.row("logit_binary_concrete_log_prob", "", &plain, |_, x| {
        x[0].logit_binary_concrete_log_prob(x[1], x[2])
    });
    table.row("logit_binary_concrete_log_prob", "tau a number", &plain[..2], |_, x| {
        x[0].logit_binary_concrete_log_prob(x[1], 1.3)
    });
    table.row("logit_binary_concrete_log_prob", "of its own sample", &plain[1..], |_, x| {
        x[0].logit_binary_concrete(x[1], &mut Noise::seed(1)).logit_binary_concrete_log_prob(0.5 * x[0], 0.9)
    });
    table.finish("densities");
}

// ------------------------------------------------------------------------------------ straight-through ops

/// The value, and the gradients of logits and tau, for a weighted sum of the output.
fn value_and_gradients(
    logits: &[f32],
    tau: f32,
    f: impl for<'t> Fn(Var<'t>, Var<'t>) -> Var<'t>,
) -> (Vec<f32>, Vec<f32>, Option<f32>) {
    let tape = Tape::new();
    let (x, tau) = (tape.variable(logits, [logits.len() / 5, 5]), tape.variable(&[tau], []));
    let y = f(x, tau);
    let gradients = (y * tape.input(&numbers(21, logits.len()), y.shape())).sum().backward();
    let dtau = gradients.of(tau).map(|dtau| dtau[0]);
    (y.to_vec(), gradients.of(x).expect("logits have a gradient").to_vec(), dtau)
}

/// A straight-through op: its value has steps and is flat between them, and its gradient is the surrogate's.
fn straight_through(
    name: &str,
    hard: impl for<'t> Fn(Var<'t>, Var<'t>) -> Var<'t>,
    surrogate: impl for<'t> Fn(Var<'t>, Var<'t>) -> Var<'t>,
) {
    for (tau, mask) in [(0.3, &[][..]), (1.0, &[1, 7]), (4.0, &[0])] {
        let logits = masked(22, 40, mask);
        let (value, dlogits, dtau) = value_and_gradients(&logits, tau, &hard);
        assert!(value.iter().all(|&y| y == 0.0 || y == 1.0), "{name}: a value is neither 0 nor 1");
        let nudged: Vec<f32> = logits.iter().zip(numbers(23, 40)).map(|(x, d)| x + 1e-5 * d).collect();
        assert_eq!(value_and_gradients(&nudged, tau, &hard).0, value, "{name}: the value is not flat");

        let (_, soft_dlogits, soft_dtau) = value_and_gradients(&logits, tau, &surrogate);
        let largest = soft_dlogits.iter().fold(0f32, |largest, g| largest.max(g.abs()));
        for (i, (&g, &soft)) in dlogits.iter().zip(&soft_dlogits).enumerate() {
            assert!(
                (g - soft).abs() <= 2e-6 * largest,
                "{name}, tau {tau}: dlogits[{i}] is {g}, expected {soft}"
            );
        }
        for &i in mask {
            assert_eq!(dlogits[i], 0.0, "{name}: the gradient of a masked class");
        }
        assert_eq!(dtau.is_some(), soft_dtau.is_some(), "{name}: whether tau has a gradient");
        if let (Some(dtau), Some(soft)) = (dtau, soft_dtau) {
            assert!(
                (dtau - soft).abs() <= 1e-5 * soft.abs().max(largest),
                "{name}, tau {tau}: {dtau} {soft}"
            );
        }
    }
}

#[test]
fn straight_through_ops_differentiate_their_surrogates() {
    /// softmax(x / t), also with masks. If all classes have the same noise, a relaxed sample has none.
    fn softmax<'t>(x: Var<'t>, t: Var<'t>) -> Var<'t> {
        x.gumbel_softmax(t, &mut &vec![1 << 31; x.shape().len()][..])
    }
    let draws = &draws(3, 40);
    straight_through(
        "st_gumbel_softmax",
        |x, t| x.st_gumbel_softmax(t, &mut &draws[..]),
        |x, t| x.gumbel_softmax(t, &mut &draws[..]),
    );
    straight_through("st_categorical", |x, t| x.st_categorical(t, &mut &draws[..]), softmax);
    straight_through("st_argmax", |x, t| x.st_argmax(t), softmax);
    straight_through(
        "st_binary_concrete",
        |x, t| x.st_binary_concrete(t, &mut &draws[..]),
        |x, t| x.binary_concrete(t, &mut &draws[..]),
    );
    straight_through("st_bernoulli", |x, _| x.st_bernoulli(&mut &draws[..]), |x, _| x.sigmoid());
}

/// The gradient of `gumbel_rao` in f64: each sample's noise given the winner, then the relaxed sample's
/// gradient.
fn gumbel_rao_in_f64(logits: &[f32], winner: usize, dy: &[f32], tau: f64, draws: &[u32]) -> Vec<f64> {
    let classes = logits.len();
    let largest = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
    let p: Vec<f64> = logits.iter().map(|&x| (f64::from(x) - largest).exp()).collect();
    let total: f64 = p.iter().sum();
    let mut dlogits = vec![0.0; classes];
    for draws in draws.chunks(classes) {
        let exponential = |draw: u32| -(1.0 - (f64::from(draw) + 0.5) / 2f64.powi(32)).ln();
        let first = exponential(draws[0]);
        // The winner has the first draw, and class 0 the winner's.
        let draw_of = |class: usize| if class == 0 { draws[winner] } else { draws[class] };
        let time = |class: usize| match class == winner {
            true => first,
            false => exponential(draw_of(class)) * total / p[class] + first,
        };
        let y: Vec<f64> = (0..classes).map(|class| time(class).powf(-1.0 / tau)).collect();
        let sum: f64 = y.iter().sum();
        let mean: f64 = y.iter().zip(dy).map(|(y, &dy)| y / sum * f64::from(dy)).sum();
        for ((dlogit, y), &dy) in dlogits.iter_mut().zip(&y).zip(dy) {
            *dlogit += y / sum * (f64::from(dy) - mean) / tau;
        }
    }
    let samples = (draws.len() / classes) as f64;
    dlogits.into_iter().map(|dlogit| dlogit / samples).collect()
}

/// "gumbel_rao" differentiates a mean that no other op computes, so it has its own reference.
#[test]
fn gumbel_rao_averages_the_relaxed_gradient_over_noise_with_one_winner() {
    for (rows, classes, samples, tau) in [(8, 5, 1, 1.0), (8, 5, 37, 0.3), (3, 40, 9, 2.0), (2, 700, 3, 0.7)]
    {
        let elements = rows * classes;
        let (logits, dy) = (masked(31, elements, &[1]), numbers(32, elements));
        let draws = draws(5, elements * (1 + samples));
        let tape = Tape::new();
        let x = tape.variable(&logits, [rows, classes]);
        let y = x.gumbel_rao(samples, tau, &mut &draws[..]);
        assert_eq!(y.to_vec(), x.st_categorical(1.0, &mut &draws[..elements]).to_vec(), "an exact sample");
        let dlogits = (y * tape.input(&dy, [rows, classes])).sum().backward().of(x).unwrap().to_vec();
        for r in 0..rows {
            let row = r * classes..(r + 1) * classes;
            let winner = y.to_vec()[row.clone()].iter().position(|&y| y == 1.0).unwrap();
            let of_row = elements + r * samples * classes..elements + (r + 1) * samples * classes;
            let expected = gumbel_rao_in_f64(
                &logits[row.clone()],
                winner,
                &dy[row.clone()],
                f64::from(tau),
                &draws[of_row],
            );
            let largest = expected.iter().fold(0f64, |largest, g| largest.max(g.abs()));
            for (got, want) in dlogits[row].iter().zip(&expected) {
                assert!(
                    (f64::from(*got) - want).abs() <= 3e-6 * largest,
                    "{rows} x {classes}, {samples} samples, tau {tau}: {got} {want}"
                );
            }
        }
        assert_eq!(dlogits[1], 0.0, "a masked class");
    }
}

#[test]
fn samples_without_gradients_have_none() {
    let (x, draws) = (numbers(24, 600), draws(4, 600));
    for classes in [1, 3, 40, 300] {
        let tape = Tape::new();
        let logits = tape.variable(&x, [600 / classes, classes]);
        let bits = logits.bernoulli(&mut &draws[..]);
        assert!(!bits.is_tracked());
        assert_eq!(bits.to_vec(), logits.st_bernoulli(&mut &draws[..]).to_vec(), "bernoulli");
        assert!((bits * logits).sum().backward().of(bits).is_none());
        let one_hot = logits.categorical(&mut &draws[..]);
        assert!(!one_hot.is_tracked());
        assert_eq!(one_hot.to_vec(), logits.st_categorical(1.0, &mut &draws[..]).to_vec(), "categorical");
        for (row, index) in one_hot.to_vec().chunks(classes).zip(logits.gumbel_max(&mut &draws[..])) {
            assert_eq!(row[index as usize], 1.0, "gumbel_max");
        }
    }
}

// ------------------------------------------------------------------------------------- references in f64

/// -ln(-ln(1 - v))
fn gumbel(draw: u32) -> f64 {
    let (v, rest) = (uniform(draw), uniform(!draw));
    -(if v < 0.5 { -(-v).ln_1p() } else { -rest.ln() }).ln()
}

/// ln v - ln(1 - v)
fn logistic(draw: u32) -> f64 {
    uniform(draw).ln() - uniform(!draw).ln()
}

fn uniform(draw: u32) -> f64 {
    (f64::from(draw) + 0.5) / 2f64.powi(32)
}

fn log_softmax(row: &[f64]) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = max + row.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    row.iter().map(|x| x - log_sum).collect()
}

fn ln_factorial(n: usize) -> f64 {
    (2..=n).map(|k| (k as f64).ln()).sum()
}

/// The derivative of `f`, by five points.
fn slope(f: impl Fn(f64) -> f64) -> f64 {
    const H: f64 = 1e-3;
    (8.0 * (f(H) - f(-H)) - (f(2.0 * H) - f(-2.0 * H))) / (12.0 * H)
}

/// One row of each input, the row's noise, tau: the op in f64.
type RowInF64<'a> = &'a dyn Fn(&[&[f64]], &[f64], f64) -> Vec<f64>;

/// Inputs, tau, draws: the op on a tape.
type OpOnTape<'a> = &'a dyn for<'t> Fn(&[Var<'t>], Var<'t>, &[u32]) -> Var<'t>;

/// An op of inputs that are all `[rows, classes]`, and tau.
struct Reference<'a> {
    name: &'static str,
    /// The noise that a draw stands for.
    noise: fn(u32) -> f64,
    row: RowInF64<'a>,
    op: OpOnTape<'a>,
}

impl Reference<'_> {
    /// Compares values and all gradients; returns the worst error's share of the tolerance.
    ///
    /// An entry may be off by 3e-7 of its size. This grows with the largest score, (x + noise) / tau or
    /// x - tau y, because the rounding of a score is relative to that, and for sums with the root of their
    /// length.
    fn check(&self, inputs: &[Vec<f32>], rows: usize, tau: f32) -> f64 {
        let (name, classes) = (self.name, inputs[0].len() / rows);
        let draws = draws(rows as u64, rows * classes);
        let tape = Tape::new();
        let x: Vec<Var<'_>> = inputs.iter().map(|x| tape.variable(x, [rows, classes])).collect();
        let tau_var = tape.variable(&[tau], []);
        let y = (self.op)(&x, tau_var, &draws);
        let weights = numbers(25, y.shape().len());
        let gradients = (y * tape.input(&weights, y.shape())).sum().backward();

        let wide: Vec<Vec<f64>> = inputs.iter().map(|x| x.iter().map(|&x| f64::from(x)).collect()).collect();
        let (values, tau) = (y.to_vec(), f64::from(tau));
        let width = values.len() / rows;
        let mut worst: f64 = 0.0;
        let mut compare = |what: &str, got: f32, want: f64, size: f64| {
            let ratio = (f64::from(got) - want).abs() / (3e-7 * size);
            assert!(
                ratio <= 1.0,
                "{name} {rows} x {classes}, tau {tau}: {what} is {got}, expected {want}: off by {ratio} of the tolerance"
            );
            worst = worst.max(ratio);
        };
        let largest = |row: &[f64]| row.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        let (mut dtau, mut dtau_size) = (0.0, 0.0);
        for r in 0..rows {
            let part = r * classes..(r + 1) * classes;
            let noise: Vec<f64> = draws[part.clone()].iter().map(|&draw| (self.noise)(draw)).collect();
            let row: Vec<&[f64]> = wide.iter().map(|x| &x[part.clone()]).collect();
            let weights = &weights[r * width..(r + 1) * width];
            let projected = |row: &[&[f64]], tau: f64| {
                (self.row)(row, &noise, tau).iter().zip(weights).map(|(y, &w)| y * f64::from(w)).sum::<f64>()
            };
            let score = match &row[..] {
                [x] => (largest(x) + largest(&noise)) / tau,
                [y, x] => largest(x) + tau * largest(y),
                _ => unreachable!("one or two inputs"),
            };
            let root = (classes as f64).sqrt();
            for (&got, want) in values[r * width..].iter().zip((self.row)(&row, &noise, tau)) {
                let terms = if width < classes { root } else { 1.0 };
                compare("a value", got, want, want.abs().max(1.0) + score * terms);
            }
            // Slopes of a score: 1 or 1 / tau for logits, tau for samples.
            let steepest = tau.max(1.0 / tau);
            for (i, x) in x.iter().enumerate() {
                let got = &gradients.of(*x).expect("it has a gradient")[part.clone()];
                for k in 0..classes {
                    let want = slope(|step| {
                        let mut moved = row[i].to_vec();
                        moved[k] += step;
                        let mut row = row.clone();
                        row[i] = &moved;
                        projected(&row, tau)
                    });
                    compare("a gradient", got[k], want, (1.0 + score) * steepest * root);
                }
            }
            dtau += slope(|step| projected(&row, tau + step * tau)) / tau;
            dtau_size += (1.0 + score).powi(2) * steepest * root;
        }
        compare("dtau", gradients.of(tau_var).expect("tau has a gradient")[0], dtau, dtau_size);
        worst
    }
}

#[test]
fn stochastic_ops_agree_with_references_in_f64() {
    let relaxed = |x: &[f64], noise: &[f64], tau: f64| {
        let scores: Vec<f64> = x.iter().zip(noise).map(|(x, g)| (x + g) / tau).collect();
        log_softmax(&scores)
    };
    let references = [
        Reference {
            name: "gumbel_softmax",
            noise: gumbel,
            row: &|x, noise, tau| relaxed(x[0], noise, tau).iter().map(|y| y.exp()).collect(),
            op: &|x, tau, draws| x[0].gumbel_softmax(tau, &mut &draws[..]),
        },
        Reference {
            name: "exp_concrete",
            noise: gumbel,
            row: &|x, noise, tau| relaxed(x[0], noise, tau),
            op: &|x, tau, draws| x[0].exp_concrete(tau, &mut &draws[..]),
        },
        Reference {
            name: "exp_concrete_log_prob",
            noise: gumbel,
            row: &|x, _, tau| {
                let n = x[0].len() as f64;
                let scores: Vec<f64> = x[0].iter().zip(x[1]).map(|(log_y, x)| x - tau * log_y).collect();
                let log_p: f64 = log_softmax(&scores).iter().sum();
                vec![ln_factorial(x[0].len() - 1) + (n - 1.0) * tau.ln() + log_p]
            },
            op: &|x, tau, _| x[0].exp_concrete_log_prob(x[1], tau),
        },
        Reference {
            name: "binary_concrete",
            noise: logistic,
            row: &|x, noise, tau| {
                let scores = x[0].iter().zip(noise).map(|(x, l)| (x + l) / tau);
                scores.map(|u| 1.0 / (1.0 + (-u).exp())).collect()
            },
            op: &|x, tau, draws| x[0].binary_concrete(tau, &mut &draws[..]),
        },
        Reference {
            name: "logit_binary_concrete",
            noise: logistic,
            row: &|x, noise, tau| x[0].iter().zip(noise).map(|(x, l)| (x + l) / tau).collect(),
            op: &|x, tau, draws| x[0].logit_binary_concrete(tau, &mut &draws[..]),
        },
        Reference {
            name: "logit_binary_concrete_log_prob",
            noise: logistic,
            row: &|x, _, tau| {
                let scores = x[0].iter().zip(x[1]).map(|(y, x)| x - tau * y);
                scores.map(|u| tau.ln() + u - 2.0 * (u.max(0.0) + (-u.abs()).exp().ln_1p())).collect()
            },
            op: &|x, tau, _| x[0].logit_binary_concrete_log_prob(x[1], tau),
        },
    ];
    for reference in references {
        let mut worst: f64 = 0.0;
        for (seed, (rows, classes)) in [(1, 1), (3, 2), (2, 17), (5, 10), (2, 300)].into_iter().enumerate() {
            for tau in [0.2, 2.0 / 3.0, 1.0, 8.0] {
                let count = if reference.name.ends_with("log_prob") { 2 } else { 1 };
                let input =
                    |i| numbers(30 + 10 * seed as u64 + i, rows * classes).iter().map(|x| 3.0 * x).collect();
                worst = worst.max(reference.check(&(0..count).map(input).collect::<Vec<_>>(), rows, tau));
            }
        }
        let line = format!("{}: worst error {worst:.3} of the tolerance against f64\n", reference.name);
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

// ------------------------------------------------------------------------------------- the checker itself

/// y = x^3 with a gradient that is `factor` times the right one, from entry `from` on.
#[derive(Debug)]
struct Crooked {
    factor: f32,
    from: usize,
}

impl Rule for Crooked {
    fn name(&self) -> &'static str {
        "crooked"
    }
    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let Some(dx) = gradients.add_to(0) else { return };
        for (i, ((dx, x), dy)) in dx.iter_mut().zip(node.input(0)).zip(node.gradient()).enumerate() {
            *dx += 3.0 * x * x * dy * if i >= self.from { self.factor } else { 1.0 };
        }
    }
}

fn check_crooked(factor: f32, from: usize) -> Result<GradcheckReport, GradcheckError> {
    let x = away(26, 40);
    gradcheck(&[(&x, &[40])], |tape, x| {
        tape.record(Crooked { factor, from }, x, [40], |x, y| {
            y.iter_mut().zip(&x[0]).for_each(|(y, x)| *y = x * x * x);
        })
    })
}

#[test]
fn the_checker_accepts_a_right_rule_and_rejects_one_that_is_a_percent_wrong() {
    check_crooked(1.0, 0).expect("the rule is right");
    for (factor, from) in [(1.01, 0), (0.99, 0), (1.01, 39), (1.002, 0), (0.0, 39)] {
        let error = check_crooked(factor, from).expect_err("the rule is wrong");
        assert!(matches!(error, GradcheckError::Mismatch { .. }), "{error}");
    }
}

/// Without this check, an infinite gradient would be allowed an infinite error.
#[test]
fn the_checker_rejects_a_gradient_that_is_not_finite() {
    for factor in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = check_crooked(factor, 39).expect_err("the rule is wrong").to_string();
        let expected = "the tape's derivative with respect to entry 39 of input 0 is ";
        assert!(error.starts_with(expected), "{error}");
    }
}

/// A check that compares nothing is a mistake in the test that runs it.
#[test]
fn the_checker_rejects_what_leaves_nothing_to_compare() {
    const MASK: f32 = f32::NEG_INFINITY;
    let no_input = "nothing to check: no input has a finite entry";
    let no_number = "nothing to check: the function returns no numbers, or only -inf";
    let checks = [
        (gradcheck(&[], |tape, _| tape.input(&[1.0], [1])), no_input),
        (gradcheck(&[(&[], &[0])], |_, x| x[0].sum()), no_input),
        (gradcheck(&[(&[MASK; 2], &[1, 2])], |_, x| x[0].exp()), no_input),
        (gradcheck(&[(&[0.5], &[1])], |_, x| x[0].slice(0, 0..0)), no_number),
        (gradcheck(&[(&[0.5], &[1])], |_, x| x[0].masked(&[true], MASK)), no_number),
    ];
    for (found, expected) in checks {
        assert_eq!(found.unwrap_err().to_string(), expected);
    }
}

#[test]
fn the_checker_names_what_it_found() {
    let error = gradcheck(&[(&[0.0], &[1])], |_, x| x[0].ln()).unwrap_err();
    assert_eq!(error.to_string(), "near the inputs the function gives -inf at element 0");
    // A gradient that should be there and is not.
    let error = gradcheck(&[(&[1.0], &[1])], |_, x| x[0].stop_gradient().square()).unwrap_err();
    assert!(error.to_string().contains("the tape's derivative is 0.000000e0"), "{error}");
    // A kink: two steps disagree.
    let error = gradcheck(&[(&[0.001], &[1])], |_, x| x[0].abs()).unwrap_err();
    assert!(matches!(error, GradcheckError::Mismatch { spread, .. } if spread > 1e-3), "{error}");
}
