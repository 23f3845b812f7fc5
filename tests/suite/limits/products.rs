//! Sums, copies and products.

use reparam::{Activation, Tape, Var};

use super::{ENDLESS, Expected, INF, LARGEST, Limits, MAX, wide};

pub(super) fn rows(limits: &mut Limits) {
    copies(limits);
    sums(limits);
    layers(limits);
    weights_that_are_not_finite(limits);
}

/// Copies pass values on unchanged, and pass gradients only to the elements that they copied.
fn copies(limits: &mut Limits) {
    let x = [INF, -INF, MAX, -MAX, 0.0, 1.0];
    let input = [(&x[..], &[2usize, 3][..])];
    let all = [1.0f32; 6];
    let mut copy = |op: &str, f: for<'t> fn(Var<'t>) -> Var<'t>, from: &[usize], count: &[f64]| {
        let value: Vec<f64> = from.iter().map(|&i| f64::from(x[i])).collect();
        let expected = Expected { value: &value, gradients: &[count] };
        limits.row(op, &input, |_, x| f(x[0]), &all.repeat(2)[..from.len()], expected);
    };
    copy("transpose", |x| x.transpose(), &[0, 3, 1, 4, 2, 5], &[1.0; 6]);
    copy("slice", |x| x.slice(1, 0..1), &[0, 3], &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    copy("concat", |x| Var::concat(&[x, x], 0), &[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5], &[2.0; 6]);
    copy("gather", |x| x.gather(&[1, 1]), &[3, 4, 5, 3, 4, 5], &[0.0, 0.0, 0.0, 2.0, 2.0, 2.0]);
    copy("select", |x| x.select(&[1, 0]), &[1, 3], &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    copy(
        "repeat",
        |x| x.reshape([1, 6]).broadcast_to([2, 6]),
        &[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5],
        &[2.0; 6],
    );
    let mask = [true, true, false, true, false, false];
    let expected = Expected {
        value: &[7.0, 7.0, LARGEST, 7.0, 0.0, 1.0],
        gradients: &[&[0.0, 0.0, 1.0, 0.0, 1.0, 1.0]],
    };
    limits.row(
        "masked",
        &input,
        |_, x| x[0].masked(&mask, 7.0),
        &[INF, f32::NAN, 1.0, 0.0, 1.0, 1.0],
        expected,
    );
}

fn sums(limits: &mut Limits) {
    for (x, sum) in [([INF, 1.0, MAX], ENDLESS), ([-INF, -MAX, 1.0], -ENDLESS), ([MAX, 0.0, -MAX], 0.0)] {
        let input = [(&x[..], &[1usize, 3][..])];
        let value = [sum];
        let expected = || Expected { value: &value, gradients: &[&[1.0; 3]] };
        limits.row("sum", &input, |_, x| x[0].sum(), &[1.0], expected());
        limits.row("sum_axis", &input, |_, x| x[0].sum_axis(1), &[1.0], expected());
        let rows = [(&x[..], &[3usize, 1][..])];
        limits.row("sum_axis", &rows, |_, x| x[0].sum_axis(0), &[1.0], expected());
    }
}

fn layers(limits: &mut Limits) {
    let (x, w) = ([INF, 2.0], [1.0, 3.0]);
    let inputs = [(&x[..], &[1usize, 2][..]), (&w[..], &[2usize, 1][..])];
    let gradients: [&[f64]; 2] = [&[1.0, 3.0], &[ENDLESS, 2.0]];
    let expected = Expected { value: &[ENDLESS], gradients: &gradients };
    limits.row("matmul", &inputs, |_, x| x[0].matmul(x[1]), &[1.0], expected);
    // A layer has one unit whose pre-activation is infinite or at an end of f32. Its slope is computed from
    // the output.
    for (z, activation, value, slope) in [
        (INF, Activation::Identity, ENDLESS, 1.0),
        (-INF, Activation::Relu, 0.0, 0.0),
        (INF, Activation::Relu, ENDLESS, 1.0),
        (-MAX, Activation::Relu, 0.0, 0.0),
        (-INF, Activation::LeakyRelu(0.0), 0.0, 0.0),
        (-INF, Activation::LeakyRelu(0.5), -ENDLESS, 0.5),
        (INF, Activation::Sigmoid, 1.0, 0.0),
        (-INF, Activation::Sigmoid, 0.0, 0.0),
        (MAX, Activation::Sigmoid, 1.0, 0.0),
        (INF, Activation::Tanh, 1.0, 0.0),
        (-MAX, Activation::Tanh, -1.0, 0.0),
    ] {
        let inputs: [(&[f32], &[usize]); 3] = [(&[1.0], &[1, 1]), (&[1.0], &[1, 1]), (&[z], &[1])];
        let gradients: [&[f64]; 3] = [&[slope], &[slope], &[slope]];
        let expected = Expected { value: &[value], gradients: &gradients };
        limits.row("linear", &inputs, |_, x| x[0].linear(x[1], x[2], activation), &[1.0], expected);
    }
}

/// 0 times a weight that is not finite is NaN, whether or not the product skips zeros.
fn weights_that_are_not_finite(limits: &mut Limits) {
    const INPUTS: usize = 50;
    const OUTPUTS: usize = 40;
    for rows in [1, 60] {
        for lit in [1, INPUTS - 1] {
            for bad in [f32::NAN, INF] {
                let nan = |tape: &Tape| -> [usize; 2] {
                    let x: Vec<f32> =
                        (0..rows * INPUTS).map(|i| f32::from(i % INPUTS > INPUTS - 1 - lit)).collect();
                    let (mut w, mut dy) = (vec![0.5; INPUTS * OUTPUTS], vec![1.0; rows * OUTPUTS]);
                    (w[0], dy[0]) = (bad, bad);
                    let x = tape.input(&x, [rows, INPUTS]);
                    let (w, b) =
                        (tape.variable(&w, [INPUTS, OUTPUTS]), tape.variable(&[0.0; OUTPUTS], [OUTPUTS]));
                    let y = x.linear(w, b, Activation::Identity);
                    let gradients = (y * tape.input(&dy, [rows, OUTPUTS])).sum().backward();
                    let of_weight = gradients.of(w).expect("a gradient");
                    [&y.value(), of_weight].map(|x| x.iter().filter(|x| x.is_nan()).count())
                };
                // NaN must appear in the first column of y, and in the first column of the weight's gradient
                // where dy[0] times an x is NaN.
                let found = nan(&Tape::new()).map(|count| count as f32);
                let place = format!("linear of {rows} rows, {lit} of {INPUTS} lit, with {bad}");
                let of_gradient = if bad.is_nan() { INPUTS } else { INPUTS - lit };
                limits.compare("linear", &place, &found, &wide(&[rows as f32, of_gradient as f32]), 0.0);
            }
        }
    }
}
