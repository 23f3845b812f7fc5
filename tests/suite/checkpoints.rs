//! Does everything with a state come back from a checkpoint, either whole or not at all?

use reparam::estimators::{Estimate, Estimator, parse};
use reparam::optim::{Adam, Optimizer, Sgd};
use reparam::{Checkpoint, Gradients, Logits, Noise, ParamId, Params, Shape, Tape, Variables};

use crate::common::bars::images;
use crate::common::plans;

/// Two parameters that are trained, one without elements and a frozen one.
fn params(values: [f32; 2]) -> (Params, [ParamId; 4]) {
    let mut params = Params::new();
    let first = params.add("first", [2], vec![values[0]; 2]);
    let empty = params.add("empty", [0, 3], vec![]);
    let frozen = params.add("frozen", [1], vec![7.0]);
    let last = params.add("last", [1], vec![values[1]]);
    params.freeze(frozen);
    (params, [first, empty, frozen, last])
}

#[test]
fn parameters_come_back_all_or_none() {
    let mut checkpoint = Checkpoint::new();
    params([1.0, 2.0]).0.save("model.", &mut checkpoint);
    let (mut others, [first, .., last]) = params([3.0, 4.0]);
    others.restore("model.", &checkpoint).unwrap();
    assert_eq!((others.value(first), others.value(last)), (&[1.0; 2][..], &[2.0][..]));

    let mut without_last = Checkpoint::new();
    for (name, shape, value) in checkpoint.tensors().filter(|(name, ..)| *name != "model.last") {
        without_last.put(name, shape, value);
    }
    let (mut others, [first, ..]) = params([3.0, 4.0]);
    let error = others.restore("model.", &without_last).unwrap_err().to_string();
    assert_eq!(error, "the checkpoint: expected a tensor `model.last` of shape [1], found none");
    assert_eq!(others.value(first), [3.0; 2]);
}

#[test]
fn gradients_made_by_hand_add_up() {
    let (params, [first, .., last]) = params([1.0, 2.0]);
    let mut gradients = Gradients::new();
    gradients.add(&params, first, &[1.0, 2.0]);
    gradients.add(&params, first, &[10.0, 20.0]);
    assert_eq!(gradients.parameter(first), Some(&[11.0, 22.0][..]));
    assert_eq!(gradients.parameter(last), None);

    let tape = Tape::new();
    let mut of_tape = params.on(&tape, first).sum().backward();
    of_tape.add(&params, last, &[0.5]);
    of_tape += &gradients;
    assert_eq!(of_tape.parameter(first), Some(&[12.0, 23.0][..]));
    assert_eq!(of_tape.parameter(last), Some(&[0.5][..]));
    gradients += &of_tape;
    assert_eq!(gradients.parameter(first), Some(&[23.0, 45.0][..]));
    assert_eq!(gradients.parameters().collect::<Vec<_>>(), [first, last]);
}

/// Takes steps before and after the checkpoint. The last parameter has a gradient only after it.
#[test]
fn optimizers_resume_as_if_nothing_had_happened() {
    let optimizers: [fn() -> Box<dyn Optimizer>; 2] =
        [|| Box::new(Adam::new(0.1)), || Box::new(Sgd::new(0.1, 0.9))];
    for make in optimizers {
        let step = |params: &mut Params, optimizer: &mut dyn Optimizer, ids: &[ParamId]| {
            let mut gradients = Gradients::new();
            for &id in ids {
                let numbers = params.shape(id).len();
                gradients.add(params, id, &vec![0.3; numbers]);
            }
            optimizer.step(params, &gradients);
        };
        let (mut whole, ids) = params([1.0, 2.0]);
        let mut optimizer = make();
        (0..3).for_each(|_| step(&mut whole, optimizer.as_mut(), &ids[..3]));
        let mut checkpoint = Checkpoint::new();
        whole.save("", &mut checkpoint);
        optimizer.save("optimizer.", &whole, &mut checkpoint);

        let (mut resumed, other_ids) = params([0.0, 0.0]);
        let mut other = make();
        resumed.restore("", &checkpoint).unwrap();
        other.restore("optimizer.", &resumed, &checkpoint).unwrap();
        assert_eq!(other.steps(), 3);
        for _ in 0..3 {
            step(&mut whole, optimizer.as_mut(), &ids);
            step(&mut resumed, other.as_mut(), &other_ids);
        }
        for (id, other_id) in ids.into_iter().zip(other_ids) {
            assert_eq!(whole.value(id), resumed.value(other_id));
        }
        assert_eq!(resumed.value(other_ids[2]), [7.0]);
        let missing = make().restore("elsewhere.", &resumed, &checkpoint).unwrap_err().to_string();
        assert_eq!(missing, "the checkpoint: expected the setting `elsewhere.steps`, found none");
    }
}

#[test]
fn noise_resumes_from_its_position() {
    let mut noise = Noise::seed(3);
    noise.take(1000);
    let mut checkpoint = Checkpoint::new();
    noise.save("noise.", &mut checkpoint);
    let mut other = Noise::seed(4);
    assert!(other.restore("elsewhere.", &checkpoint).is_err());
    other.restore("noise.", &checkpoint).unwrap();
    assert_eq!(noise, other);
}

/// An estimator that has learned forgets it when it loads a checkpoint of one that had not been used.
#[test]
fn estimators_come_back_used_or_not() {
    let kind = Variables::Bits(3);
    for name in ["moving-average", "nvil", "muprop-baseline", "rebar", "relax", "st-slope-annealed"] {
        let learn = |estimator: &mut dyn Estimator| {
            let tape = Tape::new();
            let variable = Logits::bits(tape.variable(&[0.3; 12], [4, 3]));
            let loss = estimator
                .estimate(variable, &mut Noise::seed(1), |z, _| (z - 0.4).square().sum_axis(1) + 5.0);
            loss.sum().backward();
        };
        let saved = |estimator: &dyn Estimator| {
            let mut checkpoint = Checkpoint::new();
            estimator.save("e.", &mut checkpoint);
            checkpoint
        };
        let unused = saved(parse(name).unwrap().as_ref());
        let mut estimator = parse(name).unwrap();
        learn(estimator.as_mut());
        let used = saved(estimator.as_ref());
        assert!(used.to_bytes() != unused.to_bytes(), "{name} learns nothing");
        for checkpoint in [&unused, &used, &unused] {
            estimator.restore("e.", kind, checkpoint).unwrap();
            assert!(saved(estimator.as_ref()).to_bytes() == checkpoint.to_bytes(), "{name}");
        }
        assert!(estimator.restore("elsewhere.", kind, &used).is_err(), "{name}");
    }
}

/// A run that cannot load a checkpoint is unchanged, whatever the checkpoint lacks.
#[test]
fn a_run_comes_back_all_or_not_at_all() {
    let digits = images(4, 120, 10);
    let layer = Variables::Categories { count: 2, classes: 3 };
    for estimator in ["nvil", "relax", "moving-average"] {
        let mut run = plans::plan(plans::sbn(layer), estimator, 30).begin(&digits).unwrap();
        for _ in 0..8 {
            run.step();
        }
        let later = run.checkpoint();
        let mut run = plans::plan(plans::sbn(layer), estimator, 30).begin(&digits).unwrap();
        run.step();
        let before = run.checkpoint().to_bytes();
        let mut refused = 0;
        let keys = later.settings().map(|(key, _)| key).chain(later.tensors().map(|(name, ..)| name));
        for missing in keys {
            let mut damaged = Checkpoint::new();
            for (key, value) in later.settings().filter(|(key, _)| *key != missing) {
                damaged.set(key, value);
            }
            for (name, shape, value) in later.tensors().filter(|(name, ..)| *name != missing) {
                damaged.put(name, shape, value);
            }
            if run.restore(&damaged).is_err() {
                refused += 1;
                assert!(run.checkpoint().to_bytes() == before, "{estimator}, without {missing}");
            } else {
                let mut first = plans::plan(plans::sbn(layer), estimator, 30).begin(&digits).unwrap();
                first.step();
                run = first;
            }
        }
        assert!(refused > 20, "{estimator}: {refused}");
        run.restore(&later).unwrap();
        assert!(run.checkpoint().to_bytes() == later.to_bytes(), "{estimator}");
    }
}

/// A file with such a tensor could not be read again.
#[test]
#[should_panic(expected = "no tensor of a safetensors file can be called `__metadata__`")]
fn the_name_of_the_metadata_is_refused_for_a_tensor() {
    Checkpoint::new().put("__metadata__", &Shape::scalar(), &[1.0]);
}
