//! Two stochastic layers, an estimator for each: `cargo run --release --example stochastic_two_layer`.
//!
//! A sigmoid belief net has three bits b, eight bits a given b, and an image given a. In the other direction
//! it has q(a | x) and q(b | a). The loss of the lower layer includes the upper one, so the estimators nest.
//! The images are bars: some of the rows of a 4 x 4 grid, or some of the columns. These 30 images have an
//! entropy of 3.38 nats, and no -ELBO can be below it. With so few bits we report -ELBO exactly, by
//! enumerating both layers, whichever estimator trained the net.
//!
//! Source: A. Mnih, K. Gregor, "Neural Variational Inference and Learning in Belief Networks", ICML 2014.

use reparam::distributions::Bernoulli;
use reparam::estimators::{Estimate, Estimator, parse};
use reparam::nn::Mlp;
use reparam::optim::Adam;
use reparam::{Activation, Logits, Noise, Params, Tape, Var};

const LOWER: usize = 8;
const UPPER: usize = 3;

struct Net {
    params: Params,
    a_of_x: Mlp,
    b_of_a: Mlp,
    a_of_b: Mlp,
    x_of_a: Mlp,
}

impl Net {
    fn new(noise: &mut Noise) -> Net {
        let mut params = Params::new();
        let mut mlp =
            |name: &str, from, to| Mlp::new(&mut params, name, &[from, 48, to], Activation::Tanh, noise);
        let (a_of_x, b_of_a) = (mlp("a_of_x", 16, LOWER), mlp("b_of_a", LOWER, UPPER));
        let (a_of_b, x_of_a) = (mlp("a_of_b", UPPER, LOWER), mlp("x_of_a", LOWER, 16));
        Net { params, a_of_x, b_of_a, a_of_b, x_of_a }
    }

    /// -ELBO of each image, in nats: E[-ln p(x | a) - ln p(a | b) + KL(q(b | a) || uniform)] - H(q(a | x)).
    fn negative_elbo<'t>(
        &self,
        x: Var<'t>,
        layers: &mut [Box<dyn Estimator>; 2],
        noise: &mut Noise,
    ) -> Var<'t> {
        let [lower, upper] = layers;
        let q_a = self.a_of_x.forward(&self.params, x);
        let expected = lower.estimate(Logits::bits(q_a), noise, |a, noise| {
            let q_b = self.b_of_a.forward(&self.params, a);
            let of_a = upper.estimate(Logits::bits(q_b), noise, |b, _| {
                self.a_of_b.forward(&self.params, b).bce_with_logits(a).sum_axis(1)
            });
            let of_x = self.x_of_a.forward(&self.params, a).bce_with_logits(x).sum_axis(1);
            of_x + of_a + UPPER as f32 * 2f32.ln() - entropy(q_b)
        });
        expected - entropy(q_a)
    }
}

/// The entropy of all bits of a row, in nats.
fn entropy(logits: Var<'_>) -> Var<'_> {
    Bernoulli::new(logits).entropy().sum_axis(1)
}

/// All 32 choices, each equally likely: rows or columns, and which of them.
fn bars() -> Vec<f32> {
    let pixel = |i: usize| {
        let (choice, y, x) = (i / 16, i / 4 % 4, i % 4);
        let bar = if choice < 16 { y } else { x };
        (choice >> bar & 1) as f32
    };
    (0..32 * 16).map(pixel).collect()
}

fn both(estimator: &str) -> [Box<dyn Estimator>; 2] {
    [(); 2].map(|()| parse(estimator).unwrap())
}

/// A net after training.
fn train(estimator: &str, steps: usize, learning_rate: f64, seed: u64) -> Net {
    let (mut layers, mut noise) = (both(estimator), Noise::seed(seed));
    let mut net = Net::new(&mut noise);
    let (mut adam, mut tape) = (Adam::new(learning_rate), Tape::new());
    for _ in 0..steps {
        let x = tape.input(&bars(), [32, 16]);
        let gradients = net.negative_elbo(x, &mut layers, &mut noise).mean().backward();
        tape.reset();
        adam.step(&mut net.params, &gradients);
    }
    net
}

/// The exact -ELBO, in nats per image.
fn exact(net: &Net) -> f32 {
    let tape = Tape::inference();
    net.negative_elbo(tape.input(&bars(), [32, 16]), &mut both("exact"), &mut Noise::seed(0)).mean().item()
}

/// The exact -ELBO after training.
fn learn(estimator: &str, steps: usize, learning_rate: f64, seed: u64) -> f32 {
    exact(&train(estimator, steps, learning_rate, seed))
}

/// The entropy of the images: 28 of them have one choice, the empty and the full one have two.
fn least() -> f32 {
    28.0 / 32.0 * 32f32.ln() + 4.0 / 32.0 * 16f32.ln()
}

fn main() {
    println!(
        "exact -ELBO in nats per image; at least {:.2}; independent pixels {:.2}",
        least(),
        16.0 * 2f32.ln()
    );
    println!("seed                  1     2     3");
    let show =
        |name: &str, nats: [f32; 3]| println!("{name:<21} {:.2}  {:.2}  {:.2}", nats[0], nats[1], nats[2]);
    show("untrained", [1, 2, 3].map(|seed| learn("rloo:4", 0, 0.0, seed)));
    for estimator in ["score-function", "nvil", "rloo:4", "disarm", "st-gumbel-softmax:0.5", "reinmax:1"] {
        show(estimator, [1, 2, 3].map(|seed| learn(estimator, 2000, 5e-3, seed)));
    }
}

#[test]
fn both_layers_come_near_the_entropy() {
    let untrained = learn("rloo:4", 0, 0.0, 1);
    assert!(untrained > 10.0, "{untrained} nats before training");
    for (estimator, most) in [("rloo:4", 0.3), ("disarm", 0.6), ("st-gumbel-softmax:0.5", 1.0)] {
        let mut net = train(estimator, 2000, 5e-3, 1);
        let nats = exact(&net);
        assert!((-1e-3..most).contains(&(nats - least())), "{estimator}: {nats} nats, at least {}", least());
        // The upper layer contributes: with fair bits in its place, independent of the lower ones, the bound
        // is worse.
        let last = *net.b_of_a.layers().last().unwrap();
        for id in [last.weight, last.bias] {
            net.params.value_mut(id).fill(0.0);
        }
        let without = exact(&net);
        assert!(without > nats + 0.1, "{estimator}: {nats} nats, without the upper layer {without}");
    }
}
