//! A generator of token sequences, measured exactly: `cargo run --release --example token_sequences`.
//!
//! A recurrent net q draws eight tokens, `(`, `)` or `-`, and gets each one as its next input. We train it to
//! match the distribution p(x) = e^(-energy(x)) / Z, whose energy counts brackets that do not match. The free
//! energy E_q[energy] - H(q) has its minimum, -ln Z, at q = p. The gradient passes through every drawn token
//! (Gumbel-Softmax, hard or relaxed). There are 3^8 sequences, so Z, KL(q || p) and the mass on balanced
//! sequences are sums over all of them.
//!
//! Source: M. Kusner, J. M. Hernández-Lobato, "GANs for Sequences of Discrete Elements with the
//! Gumbel-softmax Distribution", 2016, for such a generator.

use reparam::distributions::OneHot;
use reparam::nn::{Init, Linear};
use reparam::optim::Adam;
use reparam::{Activation, Noise, Params, Tape, Var};

const TOKENS: [char; 3] = ['(', ')', '-'];
const LENGTH: usize = 8;
const STATE: usize = 32;
const BATCH: usize = 64;

struct Generator {
    params: Params,
    step: Linear,
    token: Linear,
}

impl Generator {
    fn new(noise: &mut Noise) -> Generator {
        let mut params = Params::new();
        let init = Init::GlorotUniform;
        let step = Linear::new(&mut params, "step", (3 + STATE, STATE), Activation::Tanh, init, noise);
        let token =
            Linear::new(&mut params, "token", (STATE, 3), Activation::Identity, Init::Constant(0.0), noise);
        Generator { params, step, token }
    }

    /// Draws tokens one after another, each with `choose` from its logits `[sequences, 3]` at a position.
    /// Returns the logits and the tokens, `[sequences, length, 3]`.
    fn draw<'t>(
        &self,
        tape: &'t Tape,
        sequences: usize,
        mut choose: impl FnMut(usize, Var<'t>) -> Var<'t>,
    ) -> [Var<'t>; 2] {
        let zeros = |width| tape.input_with([sequences, width], |x| x.fill(0.0));
        let (mut state, mut token) = (zeros(STATE), zeros(3));
        let (mut logits, mut tokens) = (Vec::new(), Vec::new());
        for position in 0..LENGTH {
            state = self.step.forward(&self.params, Var::concat(&[token, state], 1));
            logits.push(self.token.forward(&self.params, state));
            token = choose(position, logits[position]);
            tokens.push(token);
        }
        [logits, tokens].map(|each| Var::concat(&each, 1).reshape([sequences, LENGTH, 3]))
    }
}

/// 4 (depth below zero)^2 after each token, and 4 depth^2 at the end: 0 for balanced brackets. `[sequences]`
fn energy(tokens: Var<'_>) -> Var<'_> {
    // Each token moves the depth at its own and all later positions.
    let moves = tokens.tape().input_with([LENGTH * 3, LENGTH], |moves| {
        for (i, entry) in moves.iter_mut().enumerate() {
            let (from, token, position) = (i / LENGTH / 3, i / LENGTH % 3, i % LENGTH);
            *entry = if from <= position { [1.0, -1.0, 0.0][token] } else { 0.0 };
        }
    });
    let depths = tokens.reshape([tokens.shape().dims()[0], LENGTH * 3]).matmul(moves);
    let end = depths.slice(1, LENGTH - 1..LENGTH);
    4.0 * ((-depths).relu().square().sum_axis(1) + end.square().sum_axis(1))
}

/// Minimises the free energy. The entropy of each token given the earlier ones has a closed form.
fn train(net: &mut Generator, hard: bool, steps: usize, learning_rate: f64, noise: &mut Noise) {
    let (mut adam, mut tape) = (Adam::new(learning_rate), Tape::new());
    for _ in 0..steps {
        let [logits, tokens] = net.draw(&tape, BATCH, |_, logits| match hard {
            true => logits.st_gumbel_softmax(0.5, noise),
            false => logits.gumbel_softmax(0.5, noise),
        });
        let free_energy = energy(tokens) - OneHot::new(logits).entropy().sum_axis(1);
        let gradients = free_energy.mean().backward();
        tape.reset();
        adam.step(&mut net.params, &gradients);
    }
}

struct Exact {
    /// KL(q || p), in nats.
    kl: f64,
    /// The mass of balanced sequences under q and under p.
    balanced: [f64; 2],
    log_z: f64,
}

/// Sums over all sequences.
fn measure(net: &Generator) -> Exact {
    let (tape, all) = (Tape::inference(), 3usize.pow(LENGTH as u32));
    let [logits, tokens] = net.draw(&tape, all, |position, _| {
        let digit = |sequence: usize| sequence / 3usize.pow(position as u32) % 3;
        let one_hot = (0..3 * all).map(|i| f32::from(digit(i / 3) == i % 3)).collect::<Vec<f32>>();
        tape.input(&one_hot, [all, 3])
    });
    let log_q = OneHot::new(logits).log_prob(tokens).sum_axis(1);
    let energies = energy(tokens).to_vec();
    let log_z = energies.iter().map(|&e| f64::from(-e).exp()).sum::<f64>().ln();
    let (mut kl, mut balanced) = (log_z, [0.0; 2]);
    for (log_q, e) in log_q.to_vec().into_iter().zip(energies) {
        let q = f64::from(log_q).exp();
        kl += q * f64::from(log_q + e);
        if e == 0.0 {
            balanced[0] += q;
            balanced[1] += (-log_z).exp();
        }
    }
    Exact { kl, balanced, log_z }
}

fn sample(net: &Generator, noise: &mut Noise) -> String {
    let tape = Tape::inference();
    let [_, tokens] = net.draw(&tape, 1, |_, logits| OneHot::new(logits).sample(noise));
    let token = |one_hot: &[f32]| TOKENS[one_hot.iter().position(|&z| z == 1.0).unwrap()];
    tokens.value().chunks_exact(3).map(token).collect()
}

fn learn(hard: bool, steps: usize, learning_rate: f64) -> Generator {
    let mut noise = Noise::seed(1);
    let mut net = Generator::new(&mut noise);
    train(&mut net, hard, steps, learning_rate, &mut noise);
    net
}

fn main() {
    println!("generator               KL(q || p)   balanced");
    let row = |name: &str, kl: f64, balanced: f64| print!("{name:<24} {kl:8.3} {:8.1} %", 100.0 * balanced);
    for (name, hard, steps) in
        [("untrained", true, 0), ("gumbel_softmax", false, 4000), ("st_gumbel_softmax", true, 4000)]
    {
        let (net, mut noise) = (learn(hard, steps, 5e-3), Noise::seed(2));
        let Exact { kl, balanced: [q, p], log_z } = measure(&net);
        if steps == 0 {
            row("p itself", 0.0, p);
            row("\n-------- forever", log_z, 1.0);
            println!();
        }
        row(name, kl, q);
        (0..4).for_each(|_| print!("   {}", sample(&net, &mut noise)));
        println!();
    }
}

#[test]
fn drawn_tokens_learn_the_grammar_and_keep_its_variety() {
    let untrained = measure(&learn(true, 0, 0.0));
    assert!(untrained.kl > 20.0 && untrained.balanced[0] < 0.1);
    for hard in [false, true] {
        let Exact { kl, balanced, log_z } = measure(&learn(hard, 1500, 5e-3));
        assert!(balanced[0] > 0.5, "hard {hard}: {} of the mass is balanced", balanced[0]);
        // Always drawing the same balanced sequence costs ln Z.
        assert!(kl < 0.3 * log_z, "hard {hard}: KL {kl}, ln Z {log_z}");
    }
}
