//! Checkpoints: as files, and the settings and tensors in them.

use std::path::Path;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::Config;
use reparam::data::{Digits, SplitKind};
use reparam::models::ModelShape;
use reparam::train::{Plan, Stored};
use reparam::{Checkpoint, Noise, Shape, Variables};
use serde_json::json;

use super::{Damage, Folder, check, damaged, value_or_line, word};
use crate::common::bars::images;
use crate::common::plans;

properties! {
    checkpoints_come_back,
    damaged_checkpoints_are_named,
    flipped_bits_are_named,
    headers_of_any_tensors_are_named,
    any_settings_are_a_run_or_named,
    any_tensors_are_a_run_or_named,
}

/// Any text, or one that a reader could take for something else.
fn text() -> impl Strategy<Value = String> {
    let known = select(&["", "dtype", "data_offsets", "reparam", "a.b", "\r", "\u{0}", "\"\\"][..]);
    prop_oneof![any::<String>(), known.prop_map(str::to_owned)]
}

fn tensor() -> impl Strategy<Value = (Shape, Vec<f32>)> {
    vec(0..4usize, 0..4).prop_flat_map(|dims| {
        let shape = Shape::from(&dims[..]);
        vec(any::<u32>().prop_map(f32::from_bits), shape.len()).prop_map(move |value| (shape.clone(), value))
    })
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let key = text().prop_map(|text| text.replace(['=', '\n'], ""));
    let value = text().prop_map(|text| text.replace('\n', ""));
    (btree_map(key, value, 0..4), btree_map(text(), tensor(), 0..4)).prop_map(|(settings, tensors)| {
        let mut checkpoint = Checkpoint::new();
        settings.iter().for_each(|(key, value)| checkpoint.set(key, value));
        tensors.iter().for_each(|(name, (shape, value))| checkpoint.put(name, shape, value));
        checkpoint
    })
}

/// Name, shape and bits of each tensor.
type Tensors = Vec<(String, Shape, Vec<u32>)>;

/// The settings and the tensors of a checkpoint.
fn contents(checkpoint: &Checkpoint) -> (Vec<(String, String)>, Tensors) {
    let bits = |value: &[f32]| value.iter().map(|number| number.to_bits()).collect();
    let settings = checkpoint.settings().map(|(key, value)| (key.to_owned(), value.to_owned()));
    let tensors =
        checkpoint.tensors().map(|(name, shape, value)| (name.to_owned(), shape.clone(), bits(value)));
    (settings.collect(), tensors.collect())
}

fn checkpoints_come_back(config: Config) {
    let folder = Folder::new();
    check(config, checkpoint(), |checkpoint| {
        let path = folder.file(&checkpoint.to_bytes());
        let read = Checkpoint::load(&path).unwrap();
        assert_eq!(contents(&read), contents(&checkpoint));
        assert!(read.to_bytes() == checkpoint.to_bytes());
    });
}

fn damaged_checkpoints_are_named(config: Config) {
    let folder = Folder::new();
    check(config, (checkpoint(), Damage::some()), |(checkpoint, damage)| {
        let bytes = checkpoint.to_bytes();
        let damaged = damaged(&bytes, &damage);
        let path = folder.file(&damaged);
        let read = value_or_line(Checkpoint::load(&path), &path);
        assert!(read.is_none() || damaged == bytes, "damage is not seen");
    });
}

/// Every flipped bit is detected, and the error names the part that contains it.
fn flipped_bits_are_named(config: Config) {
    let folder = Folder::new();
    let runs = runs(&images(4, 120, 10)).map(|run| run.to_bytes());
    check(config, (any::<Index>(), any::<Index>()), |(run, bit)| {
        let mut bytes = run.get(&runs).clone();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let bit = bit.index(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        let line = Checkpoint::load(&folder.file(&bytes)).unwrap_err().to_string();
        let part = match bit / 8 {
            // Before the checksums, a flipped bit may make a file look like one from elsewhere, or like no
            // safetensors file.
            0..46 => "",
            at if at < header => "expected the header that was written, found a damaged one",
            _ => "expected the tensors that were written, found damaged ones",
        };
        assert!(line.contains(part), "byte {}: {line}", bit / 8);
    });
}

/// Types of tensors, and their bits.
const TYPES: [(&str, usize); 7] =
    [("F32", 32), ("F64", 64), ("BF16", 16), ("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("C64", 64)];

/// A whole file with tensors of any type. One number of its header may be another.
fn safetensors() -> impl Strategy<Value = Vec<u8>> {
    let tensor = (text(), select(&TYPES[..]), vec(0..4u64, 0..3));
    let numbers = prop_oneof![0..20u64, select(&[1 << 32, 1 << 62, 1 << 63, u64::MAX][..])];
    let wrong = prop_oneof![Just(None), (any::<Index>(), numbers).prop_map(Some)];
    (proptest::option::of(text()), vec(tensor, 0..3), wrong).prop_map(|(settings, tensors, wrong)| {
        let (mut numbers, mut len) = (Vec::new(), 0);
        for (_, (_, bits), dims) in &tensors {
            let end = len + (dims.iter().product::<u64>() * *bits as u64).div_ceil(8);
            numbers.extend([dims, &[len, end][..]].concat());
            len = end;
        }
        if let (Some((place, number)), false) = (wrong, numbers.is_empty()) {
            *place.get_mut(&mut numbers) = number;
        }
        let mut numbers = numbers.into_iter();
        let mut header = serde_json::Map::new();
        for (name, (dtype, _), dims) in tensors {
            let shape: Vec<u64> = numbers.by_ref().take(dims.len()).collect();
            let offsets: Vec<u64> = numbers.by_ref().take(2).collect();
            header.insert(name, json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
        }
        header.extend(settings.map(|text| ("__metadata__".to_owned(), json!({"reparam": text}))));
        let header = serde_json::Value::Object(header).to_string();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![7; len as usize]].concat()
    })
}

fn headers_of_any_tensors_are_named(config: Config) {
    let folder = Folder::new();
    check(config, safetensors(), |bytes| {
        let path = folder.file(&bytes);
        assert!(value_or_line(Checkpoint::load(&path), &path).is_none(), "it has no checksums");
    });
}

/// Returns the states of small runs after the first step, for each model, and for a VAE with each estimator
/// that learns.
fn runs(data: &Digits) -> [Checkpoint; 11] {
    let after_a_step = |(model, estimator): (ModelShape, &str)| {
        let mut run = plans::plan(model, estimator, 10).begin(data).unwrap();
        run.step();
        run.checkpoint()
    };
    let [vae, sbn, belief, semi, mlp] = plans::every_model().map(|model| (model, "gumbel-softmax:1"));
    let bits = |estimator| (plans::vae(Variables::Bits(3)), estimator);
    let learning =
        ["rebar", "relax", "nvil", "muprop-baseline", "moving-average", "st-slope-annealed"].map(bits);
    let [a, b, c, d, e, f] = learning;
    [vae, sbn, belief, semi, mlp, a, b, c, d, e, f].map(after_a_step)
}

/// Numbers at their ends, values of other settings, or any text.
fn value() -> impl Strategy<Value = String> {
    let numbers =
        word(" 0 1 2 3 7 -1 0.5 -0 1e-320 1e400 nan inf 4294967296 9223372036854775808 18446744073709551615");
    let others =
        word("vae sbn semi mlp adamw sgd 4,4 , true anneal:1,-1e300,1,1 tail:1,1e-3,0,18446744073709551615");
    prop_oneof![
        3 => numbers.prop_map(str::to_owned),
        2 => others.prop_map(str::to_owned),
        1 => text().prop_map(|text| text.replace('\n', "")),
    ]
}

fn any_settings_are_a_run_or_named(config: Config) {
    let (folder, data) = (Folder::new(), images(4, 120, 10));
    let runs = runs(&data);
    let inputs = (any::<Index>(), vec((any::<Index>(), value()), 1..3));
    check(config, inputs, |(run, changes)| {
        let mut run = run.get(&runs).clone();
        for (place, value) in changes {
            let keys: Vec<String> = run.settings().map(|(key, _)| key.to_owned()).collect();
            run.set(place.get::<String>(&keys), value);
        }
        let path = folder.file(&run.to_bytes());
        let loss = use_as_run(&path, &data);
        assert!(loss.is_none_or(|loss| !loss.is_nan()));
    });
}

/// Uses a file as the commands do. A file that cannot be used must give an error of one line. Returns the
/// loss of a step, if one was made.
fn use_as_run(path: &Path, data: &Digits) -> Option<f64> {
    if let Some(stored) = value_or_line(Stored::load(path), path) {
        stored.plan.training.check().unwrap();
        let mut evaluation = stored.evaluation(SplitKind::Test, 2, 1);
        while evaluation.advance(&*stored.model, &stored.params, data) {}
        let record = stored.record(&evaluation, data);
        assert!(record.check().is_ok() || !record.scores.nll.is_finite() || record.scores.elbo.is_some());
        stored.model.draw(&stored.params, &vec![0.0; data.test().pixels()], 3, &mut Noise::seed(1));
    }
    let (_, mut run) = value_or_line(Plan::load(path).and_then(|run| Plan::resume(&run, data)), path)?;
    let loss = (!run.is_finished()).then(|| run.step().loss);
    run.training_record();
    loss
}

/// Extreme numbers, or any bits.
fn number() -> impl Strategy<Value = f32> {
    const ENDS: [f32; 12] =
        [0.0, -0.0, 1e-45, 1.0, 90.0, -90.0, 1e10, -1e30, f32::MAX, f32::MIN, f32::INFINITY, f32::NAN];
    prop_oneof![select(&ENDS[..]), any::<u32>().prop_map(f32::from_bits)]
}

fn any_tensors_are_a_run_or_named(config: Config) {
    let (folder, data) = (Folder::new(), images(4, 120, 10));
    let runs = runs(&data);
    let inputs = (any::<Index>(), vec((any::<Index>(), any::<Index>(), number(), any::<bool>()), 1..4));
    check(config, inputs, |(run, changes)| {
        let run = run.get(&runs);
        let mut tensors: Vec<(&str, &Shape, Vec<f32>)> =
            run.tensors().map(|(name, shape, value)| (name, shape, value.to_vec())).collect();
        let full: Vec<usize> = (0..tensors.len()).filter(|&i| !tensors[i].2.is_empty()).collect();
        for (which, place, number, is_everywhere) in changes {
            let value = &mut tensors[*which.get(&full)].2;
            match is_everywhere {
                true => value.fill(number),
                false => *place.get_mut(value) = number,
            }
        }
        let mut changed = Checkpoint::new();
        run.settings().for_each(|(key, value)| changed.set(key, value));
        tensors.iter().for_each(|(name, shape, value)| changed.put(name, shape, value));
        use_as_run(&folder.file(&changed.to_bytes()), &data);
    });
}
