//! A generator of token sequences, measured exactly: `cargo run --release --example token_sequences`.
//!
//! A recurrent net q draws eight tokens, `(`, `)` or `-`, each fed back into it. It is trained to follow the law
//! p(x) = e^(-energy(x)) / Z, whose energy counts brackets that do not match: the free energy E_q[energy] - H(q) is least,
//! and then -ln Z, where q = p. Its gradient goes through every drawn token (Gumbel-Softmax, hard or relaxed). There are 3^8
//! sequences, so Z, KL(q || p) and the mass on balanced sequences are sums over all of them.
//!
//! Source: M. Kusner, J. M. Hernández-Lobato, "GANs for Sequences of Discrete Elements with the Gumbel-softmax
//! Distribution", 2016, for such a generator.

use reparam::distributions::OneHot;
use reparam::nn::{Init, Linear};
use reparam::optim::{Adam, Optimizer};
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

    /// Tokens one after another, each `choose`n from its logits `[sequences, 3]`; returns logits and tokens.
    fn unroll<'t>(
        &self,
        tape: &'t Tape,
        sequences: usize,
        mut choose: impl FnMut(usize, Var<'t>) -> Var<'t>,
    ) -> Vec<(Var<'t>, Var<'t>)> {
        let zeros = |width: usize| tape.input(&vec![0.0; sequences * width], [sequences, width]);
        let (mut state, mut token) = (zeros(STATE), zeros(3));
        let of_position = |t| {
            state = self.step.forward(&self.params, Var::concat(&[token, state], 1));
            let logits = self.token.forward(&self.params, state);
            token = choose(t, logits);
            (logits, token)
        };
        (0..LENGTH).map(of_position).collect()
    }
}

/// 4 (depth below zero)^2 after each token, and 4 depth^2 at the end: 0 for balanced brackets. `[sequences]`
fn energy<'t>(tokens: impl Iterator<Item = Var<'t>>) -> Var<'t> {
    let up = |z: Var<'t>| (z.slice(1, 0..1) - z.slice(1, 1..2)).sum_axis(1);
    let depths: Vec<Var<'t>> = tokens
        .scan(None, |depth: &mut Option<Var<'t>>, z| {
            *depth = Some(depth.map_or(up(z), |depth| depth + up(z)));
            *depth
        })
        .collect();
    let below = depths.iter().map(|&depth| (-depth).relu().square()).reduce(|sum, term| sum + term).unwrap();
    4.0 * (below + depths[LENGTH - 1].square())
}

/// One step along the free energy; the entropy of each token given those before is known in closed form.
fn train(net: &mut Generator, hard: bool, steps: usize, learning_rate: f64, noise: &mut Noise) {
    let (mut adam, mut tape) = (Adam::new(learning_rate), Tape::new());
    for _ in 0..steps {
        let drawn = net.unroll(&tape, BATCH, |_, logits| match hard {
            true => logits.st_gumbel_softmax(0.5, &mut *noise),
            false => logits.gumbel_softmax(0.5, &mut *noise),
        });
        let entropy =
            drawn.iter().map(|&(logits, _)| OneHot::new(logits).entropy()).reduce(|sum, h| sum + h).unwrap();
        let free_energy = energy(drawn.iter().map(|&(_, token)| token)) - entropy;
        let gradients = free_energy.mean().backward();
        tape.reset();
        adam.step(&mut net.params, &gradients);
    }
}

struct Exact {
    /// KL(q || p), in nats.
    kl: f64,
    /// The mass that q and p put on balanced sequences.
    balanced: [f64; 2],
    log_z: f64,
}

/// Sums over all sequences.
fn measure(net: &Generator) -> Exact {
    let (tape, all) = (Tape::inference(), 3usize.pow(LENGTH as u32));
    let every = net.unroll(&tape, all, |t, _| {
        let digit = |sequence: usize| sequence / 3usize.pow(t as u32) % 3;
        let one_hot = (0..3 * all).map(|i| f32::from(digit(i / 3) == i % 3)).collect::<Vec<f32>>();
        tape.input(&one_hot, [all, 3])
    });
    let log_q =
        every.iter().map(|&(logits, z)| OneHot::new(logits).log_prob(z)).reduce(|sum, l| sum + l).unwrap();
    let energies = energy(every.iter().map(|&(_, z)| z)).to_vec();
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
    let drawn = net.unroll(&tape, 1, |_, logits| OneHot::new(logits).sample(&mut *noise));
    drawn.iter().map(|(_, z)| TOKENS[z.to_vec().iter().position(|&z| z == 1.0).unwrap()]).collect()
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
        // Saying one balanced sequence forever costs ln Z.
        assert!(kl < 0.3 * log_z, "hard {hard}: KL {kl}, ln Z {log_z}");
    }
}
