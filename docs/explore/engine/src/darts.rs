//! The dartboard: estimates of the gradient of three classes, in their plane.

use reparam::estimators::{Estimate, Estimator};
use reparam::{Noise, Tape, Var, Variables};

use crate::estimators::estimator;
use crate::exchange::{Given, answer};
use crate::statistics::softmax;

/// One variable of three classes.
const VARIABLES: Variables = Variables::Categories { count: 1, classes: 3 };

/// Throws `count` darts, each the mean of `batch` estimates, or, if `equal` is 1, of as many estimates as
/// `batch` evaluations of the loss pay for. The loss is sum_k f_k z_k + bend (1 - sum_k z_k^2), so `bend`
/// changes nothing at a hard sample.
///
/// Reads three logits, three prices f and the bend, and an estimator's name as text. Answers the evaluations
/// of one estimate; the estimates per dart; the exact gradient and the darts, as points of the plane with the
/// axes (1, -1, 0) / sqrt(2) and (1, 1, -2) / sqrt(6).
///
/// # Panics
/// If the estimator does not exist or does not support one variable of three classes.
#[unsafe(no_mangle)]
pub extern "C" fn darts(batch: usize, equal: u32, seed: u32, count: usize) -> usize {
    answer(|given, out| {
        let board = Board::of(given);
        let mut estimator = estimator(given.text(), VARIABLES);
        let noise = &mut Noise::seed(seed.into());
        let mut tape = Tape::new();
        let (_, evaluations) = board.estimates(estimator.as_mut(), &mut tape, 1, noise);
        let batch = if equal == 1 { (batch / evaluations).max(1) } else { batch };
        let (estimates, _) = board.estimates(estimator.as_mut(), &mut tape, count * batch, noise);
        out.extend([evaluations as f64, batch as f64]);
        out.extend(in_plane(board.exact()));
        for dart in estimates.chunks_exact(3 * batch) {
            let sum = |class: usize| dart.iter().skip(class).step_by(3).map(|&g| f64::from(g)).sum::<f64>();
            out.extend(in_plane([0, 1, 2].map(|class| sum(class) / batch as f64)));
        }
    })
}

struct Board {
    logits: [f64; 3],
    prices: [f64; 3],
    bend: f32,
}

impl Board {
    fn of(given: &Given) -> Board {
        let [a, b, c, f, g, h, bend] = given.numbers[..] else {
            panic!("expected three logits, three prices and a bend")
        };
        Board { logits: [a, b, c], prices: [f, g, h], bend: bend as f32 }
    }

    /// The gradients of the logits in `rows` independent estimates, and the evaluations of the loss in one.
    fn estimates(
        &self,
        estimator: &mut dyn Estimator,
        tape: &mut Tape,
        rows: usize,
        noise: &mut Noise,
    ) -> (Vec<f32>, usize) {
        let mut evaluations = 0;
        let estimates = {
            let logits = self.logits.map(|x| x as f32).repeat(rows);
            let logits = VARIABLES.logits(tape.variable(&logits, [rows, 3]));
            let loss = estimator.estimate(logits, noise, |z, _| {
                evaluations += 1;
                self.loss(z)
            });
            let gradients = loss.sum().backward();
            gradients.of(logits.var()).expect("the logits are tracked").to_vec()
        };
        tape.reset();
        (estimates, evaluations)
    }

    fn loss<'t>(&self, z: Var<'t>) -> Var<'t> {
        let z = z.reshape([z.shape().len() / 3, 3]);
        let price = (z * z.tape().input(&self.prices.map(|f| f as f32), [3])).sum_axis(1);
        price + (1.0 - z.square().sum_axis(1)) * self.bend
    }

    fn exact(&self) -> [f64; 3] {
        let p = softmax(&self.logits);
        let mean: f64 = p.iter().zip(self.prices).map(|(p, f)| p * f).sum();
        [0, 1, 2].map(|class| p[class] * (self.prices[class] - mean))
    }
}

/// The coordinates of a gradient, whose components sum to 0.
fn in_plane([a, b, c]: [f64; 3]) -> [f64; 2] {
    [(a - b) / 2f64.sqrt(), (a + b - 2.0 * c) / 6f64.sqrt()]
}
