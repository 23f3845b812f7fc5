//! Your own op, with its own gradient: `cargo run --release --example custom_op`.
//!
//! Sparsemax, the point of the simplex nearest to x: like softmax, but with exact zeros. y = max(x - t, 0)
//! with t such that y sums to 1. Its gradient is dy minus its mean over the entries that are not 0. We check
//! the rule against finite differences and then fit it to a sparse target, which softmax can approach but
//! never reach.
//!
//! Source: A. Martins, R. Astudillo, "From Softmax to Sparsemax", ICML 2016, algorithm 1 and equation 14.

use reparam::gradcheck::gradcheck;
use reparam::optim::Adam;
use reparam::{InputGradients, Params, Recorded, Rule, Tape, Var};

/// y = the nearest point of the simplex, row by row. The gradient needs only y.
#[derive(Debug)]
struct Sparsemax {
    classes: usize,
}

impl Rule for Sparsemax {
    fn name(&self) -> &'static str {
        "sparsemax"
    }

    fn backward(&self, node: Recorded<'_>, gradients: &mut InputGradients<'_>) {
        let Some(dx) = gradients.add_to(0) else { return };
        let rows = node.output().chunks_exact(self.classes).zip(node.gradient().chunks_exact(self.classes));
        for ((y, dy), dx) in rows.zip(dx.chunks_exact_mut(self.classes)) {
            let support = || (0..y.len()).filter(|&k| y[k] > 0.0);
            let mean = support().map(|k| dy[k]).sum::<f32>() / support().count() as f32;
            support().for_each(|k| dx[k] += dy[k] - mean);
        }
    }
}

fn sparsemax(x: Var<'_>) -> Var<'_> {
    let classes = x.shape().classes();
    x.tape().record(Sparsemax { classes }, &[x], x.shape(), |inputs, y| {
        for (x, y) in inputs[0].chunks_exact(classes).zip(y.chunks_exact_mut(classes)) {
            let threshold = threshold(x);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - threshold).max(0.0));
        }
    })
}

/// The t at which max(x - t, 0) sums to 1: (the sum of the k largest - 1) / k, for the largest k that keeps k
/// entries above 0.
fn threshold(x: &[f32]) -> f32 {
    let mut sorted = x.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut threshold) = (0.0, 0.0);
    for (k, x) in (1..).zip(sorted) {
        sum += x;
        if 1.0 + k as f32 * x > sum {
            threshold = (sum - 1.0) / k as f32;
        }
    }
    threshold
}

/// `squash`(x) after x has been fitted to the target by the squared error.
fn fit(target: &[f32], squash: fn(Var<'_>) -> Var<'_>, steps: usize, learning_rate: f64) -> Vec<f32> {
    let mut params = Params::new();
    let x = params.add("x", [1, target.len()], vec![0.0; target.len()]);
    let (mut adam, mut tape) = (Adam::new(learning_rate), Tape::new());
    for _ in 0..steps {
        let error = squash(params.on(&tape, x)) - tape.input(target, [1, target.len()]);
        let gradients = error.square().sum().backward();
        tape.reset();
        adam.step(&mut params, &gradients);
    }
    squash(params.on(&tape, x)).to_vec()
}

const TARGET: [f32; 6] = [0.0, 0.7, 0.0, 0.0, 0.3, 0.0];

/// Two rows, whose supports have two and three entries, none of them near the edge.
const POINT: [f32; 8] = [1.0, 0.6, -0.5, 0.1, 0.2, 0.35, 0.1, -2.0];

const WEIGHTS: [f32; 8] = [1.0, -2.0, 3.0, 0.5, 0.3, 1.0, -1.0, 2.0];

fn main() {
    let report =
        gradcheck(&[(&POINT, &[2, 4])], |tape, x| (sparsemax(x[0]) * tape.input(&WEIGHTS, [2, 4])).sum());
    println!(
        "gradcheck  {}",
        report.map_or_else(
            |error| error.to_string(),
            |report| format!("passed, {} directions", report.directions)
        )
    );
    println!("target     {TARGET:.3?}");
    println!("sparsemax  {:.3?}", fit(&TARGET, sparsemax, 300, 0.05));
    println!("softmax    {:.3?}", fit(&TARGET, |x| x.softmax(), 300, 0.05));
}

#[test]
fn the_gradient_is_that_of_the_value() {
    gradcheck(&[(&POINT, &[2, 4])], |tape, x| (sparsemax(x[0]) * tape.input(&WEIGHTS, [2, 4])).sum())
        .unwrap();
    // The check can fail: here it does, with the gradient of softmax.
    let wrong = gradcheck(&[(&POINT, &[2, 4])], |tape, x| {
        (sparsemax(x[0]).with_gradient_of(x[0].softmax()) * tape.input(&WEIGHTS, [2, 4])).sum()
    });
    assert!(wrong.is_err());
}

#[test]
fn a_sparse_target_is_reached_exactly_where_softmax_cannot() {
    let (sparse, soft) = (fit(&TARGET, sparsemax, 300, 0.05), fit(&TARGET, |x| x.softmax(), 300, 0.05));
    for ((sparse, soft), target) in sparse.into_iter().zip(soft).zip(TARGET) {
        assert!((sparse - target).abs() < 1e-3, "{sparse} for {target}");
        assert!(target > 0.0 || (sparse == 0.0 && soft > 1e-3), "{sparse} and {soft} for 0");
    }
}
