//! Looking a value up in a small memory: `cargo run --release --example memory_addressing`.
//!
//! Each row has its own memory of 16 slots with random keys of length 1 and 8-bit values, and a query: one
//! slot's key under an unknown fixed rotation. The net must learn the rotation from values alone, because it
//! never sees the right address. The address is a categorical variable over slots, drawn and hard, so exactly
//! one slot is read. The yardsticks are an address at random, and a soft address, which reads a blend of all
//! slots.
//!
//! Source: A. Graves, G. Wayne, I. Danihelka, "Neural Turing Machines", 2014, section 3.3.1, for addressing
//! by content; W. Zaremba, I. Sutskever, "Reinforcement Learning Neural Turing Machines", 2015, for hard
//! addresses.

use reparam::distributions::OneHot;
use reparam::estimators::{Estimate, parse};
use reparam::nn::Init;
use reparam::optim::Adam;
use reparam::{Logits, Noise, ParamId, Params, Tape, Var};

const SLOTS: usize = 16;
const KEY: usize = 16;
const VALUE: usize = 8;
const BATCH: usize = 64;

struct Reader {
    params: Params,
    /// From queries to keys, `[key, key]`.
    map: ParamId,
}

/// Memories and a query for each.
struct Lookup<'t> {
    keys: Var<'t>,
    values: Var<'t>,
    queries: Var<'t>,
    answers: Var<'t>,
}

impl Reader {
    fn new(noise: &mut Noise) -> Reader {
        let mut params = Params::new();
        let map = params.add("map", [KEY, KEY], Init::Normal(0.1).values(KEY, KEY, noise));
        Reader { params, map }
    }

    /// The logits of each slot, `[rows, slots]`: how well its key fits the query.
    fn address<'t>(&self, lookup: &Lookup<'t>) -> Var<'t> {
        let rows = lookup.queries.shape().dims()[0];
        let wanted = lookup.queries.matmul(self.params.on(lookup.queries.tape(), self.map));
        (lookup.keys * wanted.reshape([rows, 1, KEY])).sum_axis(2)
    }
}

impl<'t> Lookup<'t> {
    fn draw(tape: &'t Tape, rows: usize, noise: &mut Noise) -> Lookup<'t> {
        let mut keys = Init::Normal(1.0).values(rows * SLOTS, KEY, noise);
        for key in keys.chunks_exact_mut(KEY) {
            let norm = key.iter().map(|x| x * x).sum::<f32>().sqrt();
            key.iter_mut().for_each(|x| *x /= norm);
        }
        let values: Vec<f32> = (0..rows * SLOTS * VALUE).map(|_| noise.below(2) as f32).collect();
        let (mut queries, mut answers) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let slot = row * SLOTS + noise.below(SLOTS as u32) as usize;
            let key = &keys[slot * KEY..][..KEY];
            // A Householder reflection after a shift of the axes: an orthogonal map that the net does not
            // know.
            let mean = 2.0 * key.iter().sum::<f32>() / KEY as f32;
            queries.extend((0..KEY).map(|i| key[(i + 5) % KEY] - mean));
            answers.extend_from_slice(&values[slot * VALUE..][..VALUE]);
        }
        Lookup {
            keys: tape.input(&keys, [rows, SLOTS, KEY]),
            values: tape.input(&values, [rows, SLOTS, VALUE]),
            queries: tape.input(&queries, [rows, KEY]),
            answers: tape.input(&answers, [rows, VALUE]),
        }
    }

    /// The value read with a weight on each slot, `[rows, value]`.
    fn read(&self, weights: Var<'t>) -> Var<'t> {
        (weights.reshape([weights.shape().len() / SLOTS, SLOTS, 1]) * self.values).sum_axis(1)
    }

    /// The squared error of each row's value.
    fn error(&self, weights: Var<'t>) -> Var<'t> {
        (self.read(weights) - self.answers).square().sum_axis(1)
    }
}

/// Trains with a soft address, or with hard ones and an estimator of that name.
fn learn(estimator: Option<&str>, steps: usize, learning_rate: f64, noise: &mut Noise) -> Reader {
    let (mut reader, mut adam, mut tape) = (Reader::new(noise), Adam::new(learning_rate), Tape::new());
    let mut estimator = estimator.map(|name| parse(name).unwrap());
    for _ in 0..steps {
        let lookup = Lookup::draw(&tape, BATCH, noise);
        let logits = reader.address(&lookup);
        let loss = match &mut estimator {
            None => lookup.error(logits.softmax()),
            Some(estimator) => {
                let slot = Logits::categories(logits.reshape([BATCH, 1, SLOTS]));
                estimator.estimate(slot, noise, |address, _| lookup.error(address))
            }
        };
        let gradients = loss.mean().backward();
        tape.reset();
        adam.step(&mut reader.params, &gradients);
    }
    reader
}

/// The share of values read with every bit right, to within 0.1: through a drawn address, and through a soft
/// one.
fn test(reader: &Reader, noise: &mut Noise) -> [f32; 2] {
    let tape = Tape::inference();
    let lookup = Lookup::draw(&tape, 2000, noise);
    let distribution = OneHot::new(reader.address(&lookup));
    [distribution.sample(noise), distribution.probs()].map(|weights| {
        let off = (lookup.read(weights) - lookup.answers).to_vec();
        let right = off.chunks_exact(VALUE).filter(|row| row.iter().all(|off| off.abs() < 0.1)).count();
        right as f32 / 2000.0
    })
}

fn main() {
    println!("values read right        drawn address   soft address");
    for (name, estimator, steps) in [
        ("untrained", None, 0),
        ("softmax", None, 1500),
        ("st-gumbel-softmax:1", Some("st-gumbel-softmax:1"), 1500),
        ("rloo:4", Some("rloo:4"), 1500),
        ("moving-average", Some("moving-average"), 1500),
    ] {
        let mut noise = Noise::seed(1);
        let [drawn, soft] = test(&learn(estimator, steps, 5e-2, &mut noise), &mut noise);
        println!("{name:<22} {:13.1} % {:12.1} %", 100.0 * drawn, 100.0 * soft);
    }
}

#[test]
fn hard_addresses_find_the_value_without_being_told_where() {
    for estimator in ["st-gumbel-softmax:1", "rloo:4"] {
        let mut noise = Noise::seed(1);
        let untrained = Reader::new(&mut noise);
        let [chance, _] = test(&untrained, &mut noise);
        let [drawn, _] = test(&learn(Some(estimator), 800, 5e-2, &mut noise), &mut noise);
        assert!(chance < 0.15, "{chance} right at random, of {SLOTS} slots");
        assert!(drawn > 0.95, "{estimator}: {drawn} right");
    }
}
