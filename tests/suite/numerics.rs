//! Extremes: large logits, masks, temperatures, draws and sizes at their ends, empty rows, NaN. Results are
//! finite where they should be, exactly 0 where they should be, and never silently wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};

use reparam::{Activation, Noise, Tape, Var};
use reparam_ops::draw;

const INF: f32 = f32::INFINITY;
/// The draws at both ends, and around the middle.
const ENDS: [u32; 6] = [0, u32::MAX, 1, u32::MAX - 1, 1 << 31, (1 << 31) - 1];

/// An op on rows of logits, with as many draws as there are logits, and a temperature.
type RowOp = (&'static str, for<'t> fn(Var<'t>, f32, &[u32]) -> Var<'t>);

/// An op on single numbers.
type UnaryOp = (&'static str, for<'t> fn(Var<'t>) -> Var<'t>);

/// Every op whose rows are classes, except the density, which needs a sample, `gumbel_rao`, which needs more
/// draws, `logsumexp`, which has a value for masked rows too, and the ops that only sample.
const ROW_OPS: [RowOp; 10] = [
    ("softmax", |x, _, _| x.softmax()),
    ("log_softmax", |x, _, _| x.log_softmax()),
    ("gumbel_softmax", |x, tau, draws| x.gumbel_softmax(tau, &mut &draws[..])),
    ("st_gumbel_softmax", |x, tau, draws| x.st_gumbel_softmax(tau, &mut &draws[..])),
    ("st_categorical", |x, tau, draws| x.st_categorical(tau, &mut &draws[..])),
    ("st_argmax", |x, tau, _| x.st_argmax(tau)),
    ("exp_concrete", |x, tau, draws| x.exp_concrete(tau, &mut &draws[..])),
    ("categorical_kl", |x, _, _| x.categorical_kl(x.affine(0.5, 0.25))),
    ("categorical_kl_uniform", |x, _, _| x.categorical_kl_uniform()),
    ("cross_entropy", |x, _, _| x.cross_entropy(&vec![0; x.shape().rows().len()])),
];

/// Every op on single logits that takes draws, and the losses on single logits.
const BINARY_OPS: [RowOp; 7] = [
    ("bernoulli", |x, _, draws| x.bernoulli(&mut &draws[..])),
    ("st_bernoulli", |x, _, draws| x.st_bernoulli(&mut &draws[..])),
    ("binary_concrete", |x, tau, draws| x.binary_concrete(tau, &mut &draws[..])),
    ("st_binary_concrete", |x, tau, draws| x.st_binary_concrete(tau, &mut &draws[..])),
    ("logit_binary_concrete", |x, tau, draws| x.logit_binary_concrete(tau, &mut &draws[..])),
    ("bernoulli_kl", |x, _, _| x.bernoulli_kl(x.affine(-1.0, 0.5))),
    ("bce_with_logits", |x, _, _| x.bce_with_logits(x.sigmoid().stop_gradient())),
];

/// The ops that take a temperature, as [`RowOp`]s on a tape's temperature.
type TemperedOp = (&'static str, for<'t> fn(Var<'t>, Var<'t>, &[u32]) -> Var<'t>);

const TEMPERED_OPS: [TemperedOp; 8] = [
    ("gumbel_softmax", |x, tau, draws| x.gumbel_softmax(tau, &mut &draws[..])),
    ("st_gumbel_softmax", |x, tau, draws| x.st_gumbel_softmax(tau, &mut &draws[..])),
    ("st_categorical", |x, tau, draws| x.st_categorical(tau, &mut &draws[..])),
    ("st_argmax", |x, tau, _| x.st_argmax(tau)),
    ("exp_concrete", |x, tau, draws| x.exp_concrete(tau, &mut &draws[..])),
    ("binary_concrete", |x, tau, draws| x.binary_concrete(tau, &mut &draws[..])),
    ("st_binary_concrete", |x, tau, draws| x.st_binary_concrete(tau, &mut &draws[..])),
    ("logit_binary_concrete", |x, tau, draws| x.logit_binary_concrete(tau, &mut &draws[..])),
];

fn draws(count: usize) -> Vec<u32> {
    Noise::seed(count as u64).draws(count).collect()
}

/// Value and gradient of an op on rows of logits. The incoming gradient is different for every entry.
fn run(op: RowOp, logits: &[f32], classes: usize, tau: f32, draws: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let tape = Tape::new();
    let x = tape.variable(logits, [logits.len() / classes, classes]);
    let y = op.1(x, tau, draws);
    let dy: Vec<f32> = (0..y.shape().len()).map(|i| 0.3 + (i % 7) as f32 * 0.4).collect();
    // A masked entry of a logarithm is -inf, and a weighted sum with it is NaN, so the sum leaves it out.
    let finite: Vec<f32> =
        y.value().iter().zip(dy).map(|(&y, dy)| if y == -INF { 0.0 } else { dy }).collect();
    let loss = pick(y, &finite);
    // A hard sample passes no gradient on.
    let gradients = loss.is_tracked().then(|| loss.backward());
    let gradient = gradients.as_ref().and_then(|gradients| gradients.of(x));
    (y.to_vec(), gradient.map_or_else(|| vec![0.0; logits.len()], <[f32]>::to_vec))
}

/// sum w y over the entries with w != 0.
fn pick<'t>(y: Var<'t>, weights: &[f32]) -> Var<'t> {
    let (indices, weights): (Vec<u32>, Vec<f32>) =
        (0..).zip(weights).filter(|&(_, &w)| w != 0.0).map(|(i, &w)| (i as u32, w)).unzip();
    let count = weights.len();
    (y.reshape([y.shape().len()]).gather(&indices) * y.tape().input(&weights, [count])).sum()
}

fn assert_finite(what: &str, values: &[f32]) {
    if let Some(i) = values.iter().position(|value| !value.is_finite()) {
        panic!("{what}: entry {i} is {}", values[i]);
    }
}

/// The text of the panic that ends `run`.
fn panic_text<T>(run: impl FnOnce() -> T) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(run)) else { panic!("it did not panic") };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    }
}

// ---------------------------------------------------------------------------------------------- large logits

#[test]
fn huge_logits_give_finite_values_and_gradients() {
    let logits = [
        1e4, -1e4, 0.0, 9_999.0, //
        -1e4, -1e4, -1e4, -1e4, //
        1e4, 1e4, 1e4, 1e4, //
        1e-30, -1e4, 88.0, -104.0,
    ];
    for op in ROW_OPS.into_iter().chain(BINARY_OPS) {
        for tau in [1e-3, 1.0, 1e3] {
            let (y, dx) = run(op, &logits, 4, tau, &draws(16));
            assert_finite(&format!("{} at tau {tau}", op.0), &y);
            assert_finite(&format!("gradient of {} at tau {tau}", op.0), &dx);
        }
    }
}

#[test]
fn elementary_functions_of_huge_numbers_have_finite_gradients() {
    let x = [1e4, -1e4, 3e38, -3e38, 0.0, -0.0, 1e-38, -1e-38, 90.0, -110.0];
    let ops: [UnaryOp; 6] = [
        ("sigmoid", |x| x.sigmoid()),
        ("softplus", |x| x.softplus()),
        ("tanh", |x| x.tanh()),
        ("relu", |x| x.relu()),
        ("leaky_relu", |x| x.leaky_relu(0.1)),
        ("abs", |x| x.abs()),
    ];
    for (name, op) in ops {
        let tape = Tape::new();
        let x = tape.variable(&x, [x.len()]);
        let y = op(x);
        assert_finite(name, &y.value());
        assert_finite(name, pick(y, &[1.0; 10]).backward().of(x).expect("a gradient"));
    }
}

#[test]
fn bce_with_logits_is_exact_at_both_ends() {
    let bce = |x: f32, t: f32| {
        let tape = Tape::new();
        let (x, t) = (tape.variable(&[x], [1]), tape.input(&[t], [1]));
        let loss = x.bce_with_logits(t);
        (loss.item(), loss.backward().of(x).expect("a gradient")[0])
    };
    for x in [1e4, 1e30, f32::MAX] {
        // A certain and right answer costs nothing, and a wrong one costs its logit.
        assert_eq!([bce(x, 1.0), bce(-x, 0.0)], [(0.0, 0.0); 2]);
        assert_eq!([bce(x, 0.0), bce(-x, 1.0)], [(x, 1.0), (x, -1.0)]);
        assert_eq!([bce(x, 0.5), bce(-x, 0.5)], [(x / 2.0, 0.5), (x / 2.0, -0.5)]);
    }
    assert_eq!([bce(INF, 1.0), bce(-INF, 0.0)], [(0.0, 0.0); 2]);
}

#[test]
fn the_divergence_of_extreme_bernoulli_variables_is_finite_or_infinite_as_it_should_be() {
    let kl = |p: f32, q: f32| {
        let tape = Tape::new();
        let (p, q) = (tape.variable(&[p], [1]), tape.variable(&[q], [1]));
        let kl = p.bernoulli_kl(q);
        let gradients = kl.backward();
        (kl.item(), gradients.of(p).expect("dp")[0], gradients.of(q).expect("dq")[0])
    };
    assert_eq!(kl(1e4, 1e4), (0.0, 0.0, 0.0));
    assert_eq!(kl(1e4, -1e4), (1e4, 0.0, -1.0));
    assert_eq!(kl(-INF, 0.0), (2f32.ln(), 0.0, 0.5));
    assert_eq!(kl(INF, INF).0, 0.0);
    assert_eq!(kl(0.0, INF).0, INF);
}

// --------------------------------------------------------------------------------------------------- masks

/// Rows with masked classes, and the masked classes.
const MASKED: [f32; 12] = [0.5, -INF, 2.0, -INF, -1.0, 0.0, -INF, 1.5, -INF, -INF, -INF, 3.0];

/// A masked class has no effect: the others have the values and gradients of the row without it.
#[test]
fn a_masked_class_has_no_effect() {
    const CLASSES: usize = 4;
    let draws = draws(MASKED.len());
    for op in ROW_OPS.into_iter().filter(|op| !["cross_entropy", "categorical_kl_uniform"].contains(&op.0)) {
        let (name, f) = op;
        for (r, row) in MASKED.chunks(CLASSES).enumerate() {
            let kept: Vec<usize> = (0..CLASSES).filter(|&k| row[k] > -INF).collect();
            let at = |k: &usize| r * CLASSES + k;
            let fewer: Vec<f32> = kept.iter().map(|k| MASKED[at(k)]).collect();
            let fewer_draws: Vec<u32> = kept.iter().map(|k| draws[at(k)]).collect();
            let row_draws = &draws[r * CLASSES..][..CLASSES];

            let tape = Tape::new();
            let (x, z) = (tape.variable(row, [1, CLASSES]), tape.variable(&fewer, [1, kept.len()]));
            let (y, expected) = (f(x, 0.7, row_draws), f(z, 0.7, &fewer_draws));
            let whole = y.shape().len() == CLASSES;
            let absent = if ["log_softmax", "exp_concrete"].contains(&name) { -INF } else { 0.0 };
            for k in 0..CLASSES {
                if whole && !kept.contains(&k) {
                    assert_eq!(y.value()[k], absent, "{name}: row {r}, class {k}");
                }
            }
            let places: Vec<usize> = if whole { kept.clone() } else { vec![0] };
            for (&k, expected) in places.iter().zip(expected.to_vec()) {
                assert!((y.value()[k] - expected).abs() < 1e-6, "{name}: {} and {expected}", y.value()[k]);
            }
            let weight = |k: usize| 0.5 + k as f32;
            let mut weights = vec![0.0; y.shape().len()];
            places.iter().for_each(|&k| weights[k] = weight(k));
            let few_weights: Vec<f32> = places.iter().map(|&k| weight(k)).collect();
            let dx = pick(y, &weights).backward().of(x).expect("dx").to_vec();
            let dz = pick(expected, &few_weights).backward().of(z).expect("dz").to_vec();
            for k in 0..CLASSES {
                let expected = kept.iter().position(|&other| other == k).map_or(0.0, |i| dz[i]);
                assert!(
                    (dx[k] - expected).abs() <= 1e-6 * expected.abs().min(1.0) + 2e-7 * expected.abs(),
                    "{name}: row {r}: {dx:?} and {dz:?}"
                );
            }
        }
    }
}

/// Compared with the uniform distribution over all classes, a mask adds the rest of ln(classes).
#[test]
fn a_masked_class_has_no_share_in_a_divergence() {
    let tape = Tape::new();
    let x = tape.variable(&[1.0, -INF, 1.0, -INF], [1, 4]);
    let kl = x.categorical_kl_uniform();
    assert!((kl.item() - 2f32.ln()).abs() < 1e-6);
    assert_eq!(kl.backward().of(x).expect("a gradient"), [0.0; 4]);

    // Where q masks a class that p allows, however unlikely, the divergence is infinite.
    for p in [0.0, -50.0, -150.0, -1e4] {
        let (p, q) = (tape.variable(&[0.0, p], [1, 2]), tape.variable(&[0.0, -INF], [1, 2]));
        assert_eq!(p.categorical_kl(q).item(), INF);
        assert_eq!(
            q.categorical_kl(p).item(),
            q.log_softmax().select(&[0]).item() - p.log_softmax().select(&[0]).item()
        );
    }
}

#[test]
fn a_masked_target_is_impossible_and_other_masks_do_not_matter() {
    let tape = Tape::new();
    let x = tape.variable(&[1.0, -INF, 1.0, 0.0, -INF, -INF], [2, 3]);
    let loss = x.cross_entropy(&[0, 0]);
    assert_eq!(loss.to_vec(), [2f32.ln(), 0.0]);
    assert_eq!(loss.sum().backward().of(x).expect("a gradient"), [-0.5, 0.0, 0.5, 0.0, 0.0, 0.0]);
    assert_eq!(x.cross_entropy(&[1, 0]).to_vec(), [INF, 0.0]);
}

/// The density of a masked row is the density of its other classes. Off the mask it is 0.
#[test]
fn masked_classes_do_not_count_in_a_density() {
    let tape = Tape::new();
    let (masked, plain) = (tape.variable(&[0.5, -INF, 2.0], [1, 3]), tape.variable(&[0.5, 2.0], [1, 2]));
    let draws = [7, 8, 1 << 30];
    let (a, b) = (masked.exp_concrete(0.5, &mut &draws[..]), plain.exp_concrete(0.5, &mut &[7, 1 << 30][..]));
    let (p, q) = (a.exp_concrete_log_prob(masked, 0.5), b.exp_concrete_log_prob(plain, 0.5));
    assert!((p.item() - q.item()).abs() < 1e-5, "{} and {}", p.item(), q.item());
    let dmasked = p.backward().of(masked).expect("a gradient").to_vec();
    let dplain = q.backward().of(plain).expect("a gradient").to_vec();
    assert_eq!(dmasked[1], 0.0);
    assert!(
        (dmasked[0] - dplain[0]).abs() < 1e-6 && (dmasked[2] - dplain[1]).abs() < 1e-6,
        "{dmasked:?}, {dplain:?}"
    );
    let elsewhere = tape.input(&[0.5f32.ln(), 0.25f32.ln(), 0.25f32.ln()], [1, 3]);
    assert_eq!(elsewhere.exp_concrete_log_prob(masked, 0.5).item(), -INF);
}

/// The error names the row, whatever block, piece or thread it is in.
#[test]
fn a_fully_masked_row_is_named() {
    for (rows, classes, masked) in [(1, 1, 0), (3, 4, 1), (20_000, 10, 12_345), (40, 700, 33), (3, 20_000, 2)]
    {
        let mut logits = vec![0.0; rows * classes];
        logits[masked * classes..][..classes].fill(-INF);
        let draws = draws(logits.len());
        let check = |name: &str, text: String| {
            let expected = format!(
                "{name}: row {masked} has no class left: all its logits are -inf; leave at least one class of every \
                 row unmasked"
            );
            assert_eq!(text, expected);
        };
        let tape = Tape::inference();
        let x = tape.input(&logits, [rows, classes]);
        for (name, op) in ROW_OPS {
            check(name, panic_text(|| op(x, 0.5, &draws)));
        }
        check("categorical", panic_text(|| x.categorical(&mut &draws[..])));
        check("gumbel_max", panic_text(|| x.gumbel_max(&mut &draws[..])));
        let log_y = tape.input_with([rows, classes], |log_y| log_y.fill(-1.0));
        check("exp_concrete_log_prob", panic_text(|| log_y.exp_concrete_log_prob(x, 0.5)));
        // The same for the second argument of a divergence.
        check("categorical_kl", panic_text(|| log_y.categorical_kl(x)));
        // But the logarithm of an empty sum is defined.
        assert_eq!(x.logsumexp().value()[masked], -INF);
    }
}

// --------------------------------------------------------------------------------------------- temperatures

#[test]
fn every_temperature_from_a_thousandth_to_a_thousand_is_finite() {
    let logits: Vec<f32> = Noise::seed(5).draws(60).map(|draw| 3.0 * draw::normal(draw)).collect();
    for (name, op) in TEMPERED_OPS {
        for tau in [1e-3, 1e-2, 0.1, 0.5, 1.0, 10.0, 100.0, 1e3] {
            let tape = Tape::new();
            let (x, tau) = (tape.variable(&logits, [6, 10]), tape.variable(&[tau], []));
            let y = op(x, tau, &draws(60));
            let weights: Vec<f32> = (0..60).map(|i| 0.1 + (i % 11) as f32).collect();
            let gradients = pick(y, &weights).backward();
            assert_finite(name, &y.value());
            assert_finite(name, gradients.of(x).expect("dlogits"));
            assert_finite(name, gradients.of(tau).expect("dtau"));
        }
    }
}

#[test]
fn a_temperature_that_is_none_is_refused() {
    let tape = Tape::new();
    let x = tape.variable(&[0.0, 1.0], [1, 2]);
    // The last one is a positive number whose inverse is infinite.
    let cases = [
        (0.0, "0"),
        (-0.0, "-0"),
        (-1.0, "-1"),
        (f32::NAN, "NaN"),
        (INF, "inf"),
        (1e-39, &format!("{}", 1e-39f32)),
    ];
    for (tau, printed) in cases {
        let tau = tape.input(&[tau], []);
        let expected = |name: &str| {
            let hint = match printed {
                // A straight-through op cannot recommend a straight-through op.
                "0" | "-0" if !name.starts_with("st_") => "for the limit tau -> 0 use a straight-through op",
                _ => "0.1 to 1 is usual",
            };
            format!("{name}: tau must be finite and at least 1.2e-38, it is {printed}; {hint}")
        };
        for (name, op) in TEMPERED_OPS {
            assert_eq!(panic_text(|| op(x, tau, &[1, 2])), expected(name));
        }
        for (name, op) in ROW_OPS.into_iter().chain(BINARY_OPS) {
            if TEMPERED_OPS.iter().any(|tempered| tempered.0 == name) {
                assert_eq!(panic_text(|| op(x, tau.item(), &[1, 2])), expected(name));
            }
        }
        let text = panic_text(|| x.exp_concrete_log_prob(x, tau));
        assert_eq!(text, expected("exp_concrete_log_prob"));
        let text = panic_text(|| x.logit_binary_concrete_log_prob(x, tau));
        assert_eq!(text, expected("logit_binary_concrete_log_prob"));
    }
    let text = panic_text(|| x.gumbel_softmax(x, &mut &[1, 2][..]));
    assert_eq!(text, "gumbel_softmax: tau must be one number, its shape is [1, 2]");
}

/// Densities of a model's own samples, at temperatures where the samples themselves have long underflowed.
#[test]
fn own_samples_have_finite_densities_down_to_a_hundredth() {
    let logits: Vec<f32> = Noise::seed(6).draws(2000).map(|draw| 3.0 * draw::normal(draw)).collect();
    for tau in [0.01, 0.1, 0.5, 1.0, 10.0] {
        let tape = Tape::new();
        let x = tape.variable(&logits, [200, 10]);
        let log_y = x.exp_concrete(tau, &mut Noise::seed(7));
        if tau == 0.01 {
            assert!(log_y.exp().value().contains(&0.0), "the sample itself underflows");
        }
        let y = x.logit_binary_concrete(tau, &mut Noise::seed(8));
        for log_prob in [log_y.exp_concrete_log_prob(x, tau), y.logit_binary_concrete_log_prob(x, tau)] {
            assert_finite("log_prob", &log_prob.value());
            assert_finite("its gradient", log_prob.sum().backward().of(x).expect("a gradient"));
        }
    }
}

// ---------------------------------------------------------------------------------- one class, no rows, ties

#[test]
fn a_single_class_is_certain_and_has_no_gradient() {
    for op in ROW_OPS {
        let (y, dx) = run(op, &[3.0, -1e4, 0.0], 1, 0.5, &ENDS[..3]);
        let certain = match op.0 {
            "softmax" | "gumbel_softmax" | "st_gumbel_softmax" | "st_categorical" | "st_argmax" => 1.0,
            _ => 0.0,
        };
        assert_eq!(y, [certain; 3], "{}", op.0);
        assert_eq!(dx, [0.0; 3], "{}", op.0);
    }
    let tape = Tape::inference();
    let x = tape.input(&[3.0, -1e4, 0.0], [3, 1]);
    assert_eq!(x.categorical(&mut &ENDS[..3]).to_vec(), [1.0; 3]);
    assert_eq!(x.gumbel_max(&mut &ENDS[..3]), [0; 3]);
    assert_eq!(x.exp_concrete(0.5, &mut &ENDS[..3]).exp_concrete_log_prob(x, 0.5).to_vec(), [0.0; 3]);
}

#[test]
fn no_rows_are_no_trouble() {
    for classes in [1, 3, 300] {
        let tape = Tape::new();
        let x = tape.variable(&[], [0, classes]);
        let tau = tape.variable(&[0.5], []);
        for (name, op) in ROW_OPS.into_iter().chain(BINARY_OPS) {
            let y = op(x, 0.5, &[]);
            assert!(y.to_vec().is_empty(), "{name}");
            let loss = y.sum();
            assert_eq!(loss.item(), 0.0, "{name}");
            let gradients = loss.is_tracked().then(|| loss.backward());
            let gradient = gradients.as_ref().and_then(|gradients| gradients.of(x));
            assert_eq!(gradient, (name != "bernoulli").then_some(&[][..]), "{name}");
        }
        for (name, op) in TEMPERED_OPS {
            assert_eq!(op(x, tau, &[]).sum().backward().of(tau), Some(&[0.0][..]), "{name}");
        }
        for log_prob in [x.exp_concrete_log_prob(x, tau), x.logit_binary_concrete_log_prob(x, tau)] {
            assert_eq!(log_prob.sum().backward().of(tau), Some(&[0.0][..]));
        }
        assert!(x.categorical(&mut &[0u32; 0][..]).to_vec().is_empty());
        assert!(x.gumbel_max(&mut &[0u32; 0][..]).is_empty());
        let others = [
            x.logsumexp(),
            x.exp(),
            x + x,
            x.square(),
            x.transpose(),
            x.sum_axis(1),
            x.slice(1, 0..1),
            x.gather(&[]),
            x.select(&[]),
            x.gaussian_rsample(x, &mut &[0u32; 0][..]),
            x.gaussian_kl_standard(x),
            x.matmul(tape.variable(&vec![1.0; 2 * classes], [classes, 2])),
            Var::concat(&[x, x], 1),
        ];
        for y in others {
            assert!(y.to_vec().is_empty(), "{y:?}");
            assert_eq!(y.sum().backward().of(x), Some(&[][..]));
        }
        // Sums over an empty axis of rows are 0.
        assert_eq!(x.sum_axis(0).to_vec(), vec![0.0; classes]);
    }
}

#[test]
fn no_rows_pass_through_a_layer() {
    let tape = Tape::new();
    let (x, w, b) =
        (tape.variable(&[], [0, 3]), tape.variable(&[1.0; 6], [3, 2]), tape.variable(&[1.0; 2], [2]));
    let y = x.linear(w, b, Activation::Relu);
    assert_eq!(y.shape().dims(), [0, 2]);
    let gradients = y.sum().backward();
    assert_eq!((gradients.of(w), gradients.of(b)), (Some(&[0.0; 6][..]), Some(&[0.0; 2][..])));
}

#[test]
fn ties_take_the_lowest_index() {
    for classes in [2, 15, 16, 17, 40, 300, 1000] {
        let mut logits = vec![-1.0; classes];
        let (low, high) = (classes / 3, classes - 1);
        (logits[low], logits[high]) = (2.0, 2.0);
        // One draw for all classes ties those with one logit.
        let same = vec![12_345_678; classes];
        let tape = Tape::inference();
        let x = tape.input(&logits, [1, classes]);
        assert_eq!(x.gumbel_max(&mut &same[..]), [low as u32]);
        let samples = [
            x.categorical(&mut &same[..]),
            x.st_gumbel_softmax(1.0, &mut &same[..]),
            x.st_categorical(1.0, &mut &same[..]),
        ];
        for y in samples.into_iter().chain([x.st_argmax(1.0)]) {
            assert_eq!(y.value().iter().position(|&y| y == 1.0), Some(low));
            assert_eq!(y.value().iter().sum::<f32>(), 1.0);
        }
    }
}

// ---------------------------------------------------------------------------------------- draws and sizes

#[test]
fn the_extreme_draws_are_finite_noise() {
    for x in ENDS {
        for distribution in [draw::uniform, draw::exponential, draw::gumbel, draw::logistic, draw::normal] {
            assert!(distribution(x).is_finite());
        }
        let uniform = draw::uniform(x);
        assert!(0.0 < uniform && uniform < 1.0 && draw::exponential(x) > 0.0);
    }
}

#[test]
fn every_stochastic_op_is_finite_at_the_extreme_draws() {
    let logits = [0.0, 1.0, -1.0, 20.0, -20.0, 5.0];
    for op in ROW_OPS.into_iter().chain(BINARY_OPS) {
        for classes in [1, 2, 3, 6] {
            for tau in [1e-3, 0.5, 1e3] {
                let (y, dx) = run(op, &logits, classes, tau, &ENDS);
                assert_finite(op.0, &y);
                assert_finite(op.0, &dx);
            }
        }
    }
    let tape = Tape::new();
    let (mean, log_std) = (tape.variable(&logits, [6]), tape.variable(&logits, [6]));
    let z = mean.gaussian_rsample(log_std, &mut &ENDS[..]);
    assert_finite("gaussian_rsample", &z.value());
    assert_finite("gaussian_rsample", z.sum().backward().of(log_std).expect("a gradient"));
    // The largest possible Gumbel noise against the smallest: a difference of 26 puts no class out of reach.
    assert_eq!(tape.input(&[0.0, 25.9], [1, 2]).gumbel_max(&mut &[0, u32::MAX][..]), [0]);
    assert_eq!(tape.input(&[0.0, 26.1], [1, 2]).gumbel_max(&mut &[0, u32::MAX][..]), [1]);
}

/// Within 4 ulp of 1 for every number of classes, whole vectors or not.
#[test]
fn rows_sum_to_one() {
    let sizes = (1..=70).chain([100, 127, 128, 129, 255, 256, 257, 500, 1000, 1023, 2047, 2049, 4096, 5001]);
    let mut worst = 0.0f64;
    for classes in sizes {
        let rows = 1 + 2000 / classes;
        let spread = [0.1, 3.0, 30.0][classes % 3];
        let logits: Vec<f32> = Noise::seed(classes as u64)
            .draws(rows * classes)
            .map(|draw| spread * draw::normal(draw))
            .collect();
        let tape = Tape::inference();
        let x = tape.input(&logits, [rows, classes]);
        for y in [
            x.softmax(),
            x.gumbel_softmax(0.5, &mut Noise::seed(1)),
            x.gumbel_softmax(50.0, &mut Noise::seed(1)),
        ] {
            for row in y.value().chunks(classes) {
                let sum: f64 = row.iter().map(|&y| f64::from(y)).sum();
                worst = worst.max((sum - 1.0).abs() / f64::from(f32::EPSILON));
            }
        }
    }
    println!("worst: {worst:.2} ulp");
    assert!(worst <= 4.0, "a row's sum is {worst:.2} ulp from 1");
}

#[test]
fn a_hundred_thousand_classes() {
    const CLASSES: usize = 131_072;
    let tape = Tape::new();
    let x = tape.variable(&vec![0.5; 2 * CLASSES], [2, CLASSES]);
    let y = x.gumbel_softmax(1.0, &mut Noise::seed(3));
    for row in y.value().chunks(CLASSES) {
        let sum: f64 = row.iter().map(|&y| f64::from(y)).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    }
    let dx = y.square().sum().backward().of(x).expect("a gradient").to_vec();
    assert_finite("gradient", &dx);
    // A softmax does not change if all its logits shift together, so the gradient of a row sums to 0.
    assert!(dx[..CLASSES].iter().map(|&dx| f64::from(dx)).sum::<f64>().abs() < 1e-6);
    // The hard samples of the same draws agree with it.
    let winners = x.gumbel_max(&mut Noise::seed(3));
    let hard = x.st_gumbel_softmax(1.0, &mut Noise::seed(3));
    for (r, winner) in winners.into_iter().enumerate() {
        let winner = r * CLASSES + winner as usize;
        let largest = y.value()[r * CLASSES..][..CLASSES].iter().fold(0.0f32, |a, &b| a.max(b));
        assert_eq!((y.value()[winner], hard.value()[winner]), (largest, 1.0));
    }
    let uniform = tape.input(&vec![0.0; CLASSES], [1, CLASSES]);
    assert!(uniform.categorical_kl_uniform().item().abs() < 1e-4);
    assert!((uniform.logsumexp().item() - (CLASSES as f32).ln()).abs() < 1e-5);
}

#[test]
fn an_excluded_class_makes_a_divergence_infinite_however_rare() {
    let tape = Tape::new();
    let (p, q) = (tape.variable(&[-110.0, 110.0, -INF, INF], [4]), tape.input(&[-INF, INF, -INF, INF], [4]));
    assert_eq!(p.bernoulli_kl(q).to_vec(), [INF, INF, 0.0, 0.0]);
    // A class that p masks has gradient 0, even then.
    let (p, q) = (tape.variable(&[0.0, 0.0, -INF], [1, 3]), tape.input(&[0.0, -INF, 0.0], [1, 3]));
    let kl = p.categorical_kl(q);
    assert_eq!((kl.item(), kl.sum().backward().of(p).expect("a gradient")[2]), (INF, 0.0));
}

#[test]
fn logsumexp_keeps_its_gradient_where_the_value_has_lost_it() {
    for logits in [[1e8, 1e8], [-1e8, -1e8], [1e4, 1e4]] {
        let tape = Tape::new();
        let x = tape.variable(&logits, [1, 2]);
        let dx = x.logsumexp().sum().backward().of(x).expect("a gradient").to_vec();
        assert!(dx.iter().all(|dx| (dx - 0.5).abs() < 1e-6), "{logits:?}: {dx:?}");
    }
}

/// Sizes whose product wraps around to the actual number of elements.
#[test]
fn sizes_beyond_what_can_be_are_refused() {
    let (wide, few) = ((1usize << 63) + (1 << 20), 1 << 21);
    let tape = Tape::inference();
    let text = panic_text(|| tape.input(&vec![0.0; few], [2, wide]));
    assert!(text.ends_with("has more elements than a usize can count"), "{text}");
    let few = vec![0.0; few];
    let text = panic_text(|| reparam_ops::Matrix::new(&few, 2, wide));
    assert!(text.contains("matrix"), "{text}");
}

#[test]
fn a_number_whose_inverse_is_none_divides() {
    let tape = Tape::new();
    let x = tape.variable(&[0.0, 1e-39, 2e38], [3]);
    assert_eq!((x / 1e-39).to_vec()[..2], [0.0, 1.0]);
    assert_eq!((x / 2e38).to_vec(), [0.0, 0.0, 1.0]);
    assert_eq!((x / 2e38).sum().backward().of(x).expect("a gradient"), [1.0 / 2e38; 3]);
    assert!((x / 0.0).value()[0].is_nan() && (x / 0.0).value()[2] == INF);
}

/// The logarithm of a probability of 0 is a mask: a class without a share in the loss has none in the
/// gradient.
#[test]
fn a_probability_of_0_masks_its_class() {
    let tape = Tape::new();
    let p = tape.variable(&[0.9, 0.1, 0.0], [1, 3]);
    assert_eq!(p.ln().value()[2], -INF);
    let weights = tape.input(&[1.0, 2.0, 4.0], [1, 3]);
    let losses = [
        (p.ln().softmax() * weights).sum(),
        (p.ln().gumbel_softmax(0.5, &mut &draws(3)[..]) * weights).sum(),
        p.ln().cross_entropy(&[1]).sum(),
        p.ln().categorical_kl_uniform().sum(),
    ];
    for loss in losses {
        let gradients = loss.backward();
        let dp = gradients.of(p).expect("a gradient");
        assert!(dp[..2].iter().all(|dp| dp.is_finite() && *dp != 0.0) && dp[2] == 0.0, "{dp:?}");
    }
    // The same for a number whose inverse is beyond f32.
    let p = tape.variable(&[0.0, 1e-40, 0.5], [3]);
    assert_eq!(p.ln().slice(0, 2..3).sum().backward().of(p), Some(&[0.0, 0.0, 2.0][..]));
}

// ----------------------------------------------------------------------------------------------------- NaN

/// A NaN is not a mask. It comes out in the value of its row, and in no other row.
#[test]
fn a_nan_comes_out_of_its_row() {
    let rows = [[0.0, f32::NAN, 1.0], [f32::NAN; 3], [-INF, f32::NAN, -INF], [f32::NAN, -INF, 0.0]];
    for (name, op) in ROW_OPS {
        for nan in rows {
            let tape = Tape::new();
            let x = tape.variable(&[[1.0, 2.0, 0.5], nan, [0.0, 0.0, 3.0]].concat(), [3, 3]);
            let y = op(x, 0.5, &draws(9));
            let width = y.shape().len() / 3;
            let is_nan: Vec<bool> =
                y.value().chunks(width).map(|row| row.iter().any(|y| y.is_nan())).collect();
            assert_eq!(is_nan, [false, true, false], "{name} of {nan:?}: {y:?}");
            let dx = y.sum().backward().of(x).expect("a gradient").to_vec();
            let is_nan: Vec<bool> = dx.chunks(3).map(|row| row.iter().any(|dx| dx.is_nan())).collect();
            assert_eq!(is_nan, [false, true, false], "gradient of {name} of {nan:?}: {dx:?}");
        }
    }
    for nan in rows {
        let tape = Tape::inference();
        let x = tape.input(&nan, [1, 3]);
        assert!(x.logsumexp().item().is_nan(), "logsumexp of {nan:?}");
        let y = tape.input(&nan.map(|x| if x == -INF { -INF } else { -1.0 }), [1, 3]);
        assert!(y.exp_concrete_log_prob(x, 0.5).item().is_nan(), "density for {nan:?}");
        let log_prob = y.logit_binary_concrete_log_prob(x, 0.5);
        assert!(log_prob.value().iter().zip(nan).all(|(p, x)| p.is_nan() == x.is_nan()), "{log_prob:?}");
        assert!(
            x.categorical(&mut &draws(3)[..]).value().iter().all(|z| z.is_nan()),
            "categorical of {nan:?}"
        );
        // An index cannot be NaN.
        let text = panic_text(|| x.gumbel_max(&mut &draws(3)[..]));
        assert!(text.starts_with("gumbel_max: a logit is NaN"), "{text}");
    }
}

/// Each row has its own noise, whatever the rows before it contain.
#[test]
fn a_nan_does_not_move_the_noise_of_other_rows() {
    let gradient = |first: f32| {
        let tape = Tape::new();
        let x = tape.variable(&[first, 0.0, 1.0, 1.0, 2.0, 0.5], [2, 3]);
        let weights = tape.input(&[1.0, 2.0, 4.0, 1.0, 2.0, 4.0], [2, 3]);
        let loss = (x.gumbel_rao(5, 0.5, &mut Noise::seed(3)) * weights).sum();
        loss.backward().of(x).expect("a gradient")[3..].to_vec()
    };
    assert_eq!(gradient(f32::NAN), gradient(0.5));
}

#[test]
fn a_nan_reaches_the_temperature() {
    for (name, op) in TEMPERED_OPS {
        let tape = Tape::new();
        let (x, tau) = (tape.variable(&[0.5, f32::NAN], [1, 2]), tape.variable(&[0.5], []));
        let dtau = op(x, tau, &draws(2)).sum().backward().of(tau).expect("dtau")[0];
        assert!(dtau.is_nan(), "dtau of {name} is {dtau}");
    }
}

#[test]
fn a_nan_comes_out_of_every_op_on_single_numbers() {
    let unary: [UnaryOp; 11] = [
        ("exp", |x| x.exp()),
        ("ln", |x| x.ln()),
        ("log1p", |x| x.log1p()),
        ("sqrt", |x| x.sqrt()),
        ("square", |x| x.square()),
        ("abs", |x| x.abs()),
        ("sigmoid", |x| x.sigmoid()),
        ("softplus", |x| x.softplus()),
        ("tanh", |x| x.tanh()),
        ("relu", |x| x.relu()),
        ("leaky_relu", |x| x.leaky_relu(0.1)),
    ];
    let tape = Tape::inference();
    let x = tape.input(&[f32::NAN], [1]);
    for (name, op) in unary {
        assert!(op(x).item().is_nan(), "{name}");
    }
    for (name, op) in BINARY_OPS {
        assert!(op(x, 0.5, &[1 << 31]).item().is_nan(), "{name}");
    }
    assert!(x.gaussian_rsample(x, &mut &[1u32 << 31][..]).item().is_nan());
    assert!(x.gaussian_kl_standard(x).item().is_nan());
    let (one, zero) = (tape.input(&[1.0], [1, 1]), tape.input(&[0.0], [1]));
    for activation in [Activation::Relu, Activation::LeakyRelu(0.1), Activation::Sigmoid, Activation::Tanh] {
        assert!(x.linear(one, zero, activation).item().is_nan(), "{activation:?}");
    }
}

#[test]
fn check_finite_names_the_first_bad_node_and_passes_masks_over() {
    let tape = Tape::new();
    let x = tape.variable(&[0.0, -INF, 1.0], [1, 3]);
    x.log_softmax().select(&[1]);
    x.gumbel_softmax(0.5, &mut Noise::seed(1));
    // Indices are whole numbers: read as floats, these would be NaN.
    tape.variable(&[1.0; 3], [3]).gather(&[]);
    tape.check_finite().expect("masks are no mistake");

    let y = x.affine(1e38, 0.0).exp();
    y.ln();
    let error = tape.check_finite().expect_err("e^1e38 is infinite");
    assert_eq!(error.to_string(), format!("node %{} (exp) holds inf at element 2", y.index()));

    let tape = Tape::new();
    let x = tape.variable(&[1.0, -1.0, 4.0], [3]);
    x.sqrt().sum();
    let error = tape.check_finite().expect_err("the root of -1");
    assert_eq!((error.node, error.op, error.element, error.value.is_nan()), (1, "sqrt", 1, true));
}
