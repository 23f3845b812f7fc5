//! Does PyTorch compute the same from the same draws? `docs/oracle/gumbel_softmax.py` has recorded its
//! answers.

use reparam::{Noise, Tape, Var};
use serde_json::Value;

use crate::common::repository::read;

/// The numbers in a list, or in a list of lists.
fn numbers(value: &Value) -> Vec<f64> {
    match value.as_array() {
        Some(parts) => parts.iter().flat_map(numbers).collect(),
        None => vec![value.as_f64().unwrap()],
    }
}

fn floats(value: &Value) -> Vec<f32> {
    numbers(value).into_iter().map(|x| x as f32).collect()
}

#[test]
fn gumbel_softmax_agrees_with_pytorch() {
    let oracle: Value = serde_json::from_str(&read("docs/oracle/gumbel_softmax.json")).unwrap();
    let draws: Vec<u32> = numbers(&oracle["draws"]).into_iter().map(|draw| draw as u32).collect();
    assert_eq!(draws, Noise::seed(1).draws(256).collect::<Vec<u32>>());
    let (prices, tau) = (floats(&oracle["prices"]), oracle["tau"].as_f64().unwrap() as f32);

    let compare = |case: &Value, name: &str, sample: &dyn for<'t> Fn(Var<'t>) -> Var<'t>| {
        let tape = Tape::new();
        let logits = tape.variable(&floats(&case["logits"]), [4]);
        let samples = sample(logits.broadcast_to([64, 4]));
        let cost = (samples * tape.input(&prices, [4])).sum_axis(1).mean();
        let gradients = cost.backward();
        let found = [
            ("samples", samples.to_vec()),
            ("cost", cost.to_vec()),
            ("dlogits", gradients.of(logits).unwrap().to_vec()),
        ];
        for (what, ours) in found {
            let theirs = numbers(&case[name][what]);
            assert_eq!(ours.len(), theirs.len());
            let close = |(&a, b): (&f32, &f64)| (f64::from(a) - b).abs() < 1e-6;
            let off = ours.iter().zip(&theirs).find(|&pair| !close(pair));
            assert!(off.is_none(), "{name}, logits {}, {what}: ours and PyTorch's {off:?}", case["logits"]);
        }
    };
    let cases = oracle["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        compare(case, "relaxed", &|logits| logits.gumbel_softmax(tau, &mut &draws[..]));
        compare(case, "straight_through", &|logits| logits.st_gumbel_softmax(tau, &mut &draws[..]));
    }
}
