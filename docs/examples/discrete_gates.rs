//! A recurrent net that skips: `cargo run --release --example discrete_gates`.
//!
//! One symbol of a long sequence is marked, and the net must name it at the end. The state is h <- g
//! candidate + (1 - g) h with a hard gate g that is drawn, so a closed gate copies the state exactly, over
//! any distance. Each open gate costs a little, and one is enough. The backward pass differentiates the
//! gate's probability (straight-through). For comparison we train the same net with its gates always open. It
//! works at every symbol, and learns less in the same number of steps.
//!
//! Source: Y. Bengio, N. Léonard, A. Courville 2013; V. Campos et al., "Skip RNN", ICLR 2018, for the cost of
//! an update.

use reparam::nn::{Init, Linear};
use reparam::optim::Adam;
use reparam::{Activation, Noise, Params, Tape, Var};

const SYMBOLS: usize = 8;
const STATE: usize = 32;
const BATCH: usize = 64;

struct GatedNet {
    params: Params,
    candidate: Linear,
    gate: Linear,
    read: Linear,
    always_open: bool,
}

impl GatedNet {
    fn new(always_open: bool, noise: &mut Noise) -> GatedNet {
        let mut params = Params::new();
        let inputs = SYMBOLS + 1 + STATE;
        let mut layer = |name: &str, size, activation| {
            Linear::new(&mut params, name, size, activation, Init::GlorotUniform, noise)
        };
        let candidate = layer("candidate", (inputs, STATE), Activation::Tanh);
        let gate = layer("gate", (inputs, 1), Activation::Identity);
        let read = layer("read", (STATE, SYMBOLS), Activation::Identity);
        GatedNet { params, candidate, gate, read, always_open }
    }

    /// The logits of the answers, and the gates `[sequences, length]`.
    fn run<'t>(&self, tape: &'t Tape, task: &Task, noise: &mut Noise) -> [Var<'t>; 2] {
        let sequences = task.marked.len();
        let constant = |value, width| tape.input_with([sequences, width], |x| x.fill(value));
        let (mut h, mut gates) = (constant(0.0, STATE), Vec::new());
        for x in &task.steps {
            let x = Var::concat(&[tape.input(x, [sequences, SYMBOLS + 1]), h], 1);
            let candidate = self.candidate.forward(&self.params, x);
            let gate = match self.always_open {
                true => constant(1.0, 1),
                false => self.gate.forward(&self.params, x).st_bernoulli(noise),
            };
            h = h + gate * (candidate - h);
            gates.push(gate);
        }
        [self.read.forward(&self.params, h), Var::concat(&gates, 1)]
    }
}

/// Sequences of symbols, one of which is marked.
struct Task {
    /// For each step `[sequences, symbols + 1]`: the one-hot symbol, and 1 or 0 for the mark.
    steps: Vec<Vec<f32>>,
    marked: Vec<u32>,
    answers: Vec<u32>,
}

impl Task {
    fn draw(sequences: usize, length: usize, noise: &mut Noise) -> Task {
        let marked: Vec<u32> = (0..sequences).map(|_| noise.below(length as u32)).collect();
        let mut answers = vec![0; sequences];
        let mut steps = vec![vec![0.0; sequences * (SYMBOLS + 1)]; length];
        for (t, step) in steps.iter_mut().enumerate() {
            for (s, x) in step.chunks_exact_mut(SYMBOLS + 1).enumerate() {
                let symbol = noise.below(SYMBOLS as u32);
                x[symbol as usize] = 1.0;
                if t == marked[s] as usize {
                    x[SYMBOLS] = 1.0;
                    answers[s] = symbol;
                }
            }
        }
        Task { steps, marked, answers }
    }
}

fn train(net: &mut GatedNet, steps: usize, length: usize, noise: &mut Noise) {
    // Each has its own rate: a net whose gates are always open needs smaller steps.
    let learning_rate = if net.always_open { 3e-3 } else { 1e-2 };
    let (mut adam, mut tape) = (Adam::new(learning_rate), Tape::new());
    for _ in 0..steps {
        let task = Task::draw(BATCH, length, noise);
        let [logits, gates] = net.run(&tape, &task, noise);
        let loss = logits.cross_entropy(&task.answers).mean() + 0.1 * gates.sum_axis(1).mean();
        let mut gradients = loss.backward();
        gradients.clip_norm(1.0);
        tape.reset();
        adam.step(&mut net.params, &gradients);
    }
}

/// The share of right answers, open gates per sequence, and open gates at the mark per sequence.
fn test(net: &GatedNet, length: usize, noise: &mut Noise) -> (f32, f32, f32) {
    let (tape, task) = (Tape::inference(), Task::draw(1000, length, noise));
    let [logits, gates] = net.run(&tape, &task, noise);
    let right = logits.st_argmax(1.0).select(&task.answers).mean().item();
    (right, gates.sum_axis(1).mean().item(), gates.select(&task.marked).mean().item())
}

fn learn(always_open: bool, steps: usize, noise: &mut Noise) -> GatedNet {
    let mut net = GatedNet::new(always_open, noise);
    train(&mut net, steps, 20, noise);
    net
}

fn main() {
    println!(
        "gates         steps   20 symbols: right, gates open   500 symbols: right, gates open, at the mark"
    );
    for (always_open, steps) in [(true, 1500), (true, 3000), (false, 1500), (false, 3000)] {
        let mut noise = Noise::seed(1);
        let net = learn(always_open, steps, &mut noise);
        let [(right, open, _), (right_far, open_far, at_mark)] =
            [20, 500].map(|length| test(&net, length, &mut noise));
        print!("{:<12} {steps:6}", if always_open { "always open" } else { "drawn" });
        print!("{:16.1} %, {open:10.2}", 100.0 * right);
        println!("{:19.1} %, {open_far:10.2}, {at_mark:11.2}", 100.0 * right_far);
    }
    println!("chance: {:.1} %", 100.0 / SYMBOLS as f32);
}

#[test]
fn gates_open_at_the_mark_and_copy_across_ten_times_the_length() {
    let mut noise = Noise::seed(1);
    let net = learn(false, 1500, &mut noise);
    let (right, open, at_mark) = test(&net, 20, &mut noise);
    assert!(right > 0.9 && at_mark > 0.9, "{right} right, {at_mark} open at the mark; chance is 0.125");
    assert!(open < 2.0, "{open} of 20 gates open, one is needed");
    let (right, open, _) = test(&net, 200, &mut noise);
    assert!(right > 0.85 && open < 5.0, "{right} right of 200 symbols with {open} gates open");
}
