//! A live tape: a sample, its price, and the gradients on the way back.

use reparam::{Noise, Tape, Var};

use crate::exchange::{answer, say};
use crate::statistics::{in_f64, moments, softmax};

/// Independent samples whose gradients are averaged for comparison with the one on the tape.
const SAMPLES: usize = 2000;

/// Records z = sample(logits), paid = z * prices, loss = sum(paid), and goes back. The sample is
/// `gumbel_softmax` (`op` 0), `st_gumbel_softmax` (1) or `st_categorical` (2).
///
/// Reads the logits of `k` classes and their prices. Answers z, `k` numbers; the value that a
/// straight-through op differentiates in place of z, `k`; paid, `k`; the loss; the gradients of the logits,
/// `k`, of z, `k`, and of the prices, `k`; the exact gradient of the expected price, `k`; the mean gradient
/// of the logits over 2000 other samples, `k`, with its standard errors, `k`. Says the tape in its printed
/// form.
///
/// # Panics
/// If the op is another number.
#[unsafe(no_mangle)]
pub extern "C" fn live_tape(op: u32, tau: f64, seed: u32) -> usize {
    answer(|given, out| {
        let numbers = given.in_f32();
        let (logits, prices) = numbers.split_at(numbers.len() / 2);
        let classes = logits.len();
        let tape = Tape::new();
        let x = tape.variable(logits, [1, classes]);
        let f = tape.variable(prices, [classes]);
        let z = sample(op, x, tau as f32, &mut Noise::seed(seed.into()));
        let paid = z * f;
        let loss = paid.sum();
        let gradients = loss.backward();
        say(tape.to_string());

        out.extend(in_f64(&z.value()));
        out.extend(in_f64(&surrogate(op, logits, tau as f32, &mut Noise::seed(seed.into()))));
        out.extend(in_f64(&paid.value()));
        out.push(loss.item().into());
        out.extend(in_f64(gradients.of(x).expect("the logits are tracked")));
        out.extend(in_f64(gradients.of(z).expect("the sample is tracked")));
        out.extend(in_f64(gradients.of(f).expect("the prices are tracked")));

        let p = softmax(&given.numbers[..classes]);
        let mean: f64 = p.iter().zip(prices).map(|(p, &f)| p * f64::from(f)).sum();
        out.extend(p.iter().zip(prices).map(|(p, &f)| p * (f64::from(f) - mean)));
        let many = many_gradients(op, logits, prices, tau as f32, seed);
        let of_class = |class: usize| many.iter().skip(class).step_by(classes).copied().collect::<Vec<_>>();
        let found: Vec<[f64; 3]> = (0..classes).map(|class| moments(&of_class(class))).collect();
        out.extend(found.iter().map(|moments| moments[0]));
        out.extend(found.iter().map(|moments| moments[1]));
    })
}

fn sample<'t>(op: u32, x: Var<'t>, tau: f32, noise: &mut Noise) -> Var<'t> {
    match op {
        0 => x.gumbel_softmax(tau, noise),
        1 => x.st_gumbel_softmax(tau, noise),
        2 => x.st_categorical(tau, noise),
        _ => panic!("op: expected 0, 1 or 2, found {op}"),
    }
}

/// The value that an op differentiates: the relaxed sample of the same noise, or softmax(logits / tau).
fn surrogate(op: u32, logits: &[f32], tau: f32, noise: &mut Noise) -> Vec<f32> {
    let tape = Tape::inference();
    let x = tape.input(logits, [1, logits.len()]);
    match op {
        2 => (x / tau).softmax().to_vec(),
        _ => x.gumbel_softmax(tau, noise).to_vec(),
    }
}

fn many_gradients(op: u32, logits: &[f32], prices: &[f32], tau: f32, seed: u32) -> Vec<f64> {
    let tape = Tape::new();
    let x = tape.variable(&logits.repeat(SAMPLES), [SAMPLES, logits.len()]);
    // A different stream from the sample on the tape.
    let noise = &mut Noise::seed(seed.into()).split();
    let loss = (sample(op, x, tau, noise) * tape.input(prices, [prices.len()])).sum();
    in_f64(loss.backward().of(x).expect("the logits are tracked"))
}
