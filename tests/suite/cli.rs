//! Does the binary do what its help says, stop and resume cleanly, and answer every mistake with one clear
//! line?

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use insta::assert_snapshot;
use reparam::train::Stored;
use reparam::{Checkpoint, Noise, Shape};
use serde_json::Value;

use crate::common::desk::{Desk, Running, all, finished, is_picture, json_lines, text};
use crate::common::repository;

fn desk() -> Desk {
    Desk::new(env!("CARGO_BIN_EXE_reparam"))
}

/// Training that takes no time.
const TRAIN: &str = "--data data --steps 40 --hidden 16 --latents 3 --classes 4 --batch 20 --samples 2";
/// The same for semi, whose classes are the labels'.
const TRAIN_SEMI: &str = "--data data --steps 40 --hidden 16 --latents 3 --batch 20 --samples 2";
/// The same for mlp, which has no latent variables.
const TRAIN_MLP: &str = "--data data --steps 40 --hidden 16 --batch 20";

/// Checks the documented fields and their types. A classifier has no bound, and a fixed temperature is not
/// recorded.
fn check_schema(lines: &[Value], has_elbo: bool, has_tau: bool) {
    for line in lines {
        for field in ["step", "epoch", "samples"] {
            assert!(line[field].is_u64(), "{line}");
        }
        for field in ["nll", "standard_error", "learning_rate", "seconds"] {
            assert!(line[field].is_f64(), "{field} in {line}");
        }
        assert!(["train", "validation", "test"].contains(&line["split"].as_str().unwrap()), "{line}");
        for (field, has) in [("elbo", has_elbo), ("tau", has_tau)] {
            assert_eq!((line[field].is_f64(), line[field].is_null()), (has, !has), "{line}");
        }
        assert!(!has_elbo || line["elbo"].as_f64().unwrap() < 0.0, "{line}");
        let is_drawn = has_elbo && line["samples"].as_u64().unwrap() > 1;
        for (field, has) in [
            ("elbo_standard_error", has_elbo),
            ("elbo_draw_error", is_drawn),
            ("draw_error", is_drawn || !has_elbo && line["split"] != "train"),
        ] {
            assert_eq!((line[field].is_f64(), line[field].is_null()), (has, !has), "{field} in {line}");
        }
    }
    assert_eq!(lines.last().unwrap()["split"], "test");
}

#[cfg(feature = "embedded")]
#[test]
fn the_vae_trains_on_the_embedded_digits() {
    let desk = desk();
    let said = desk.run("train vae --steps 400 --hidden 64 --samples 1 --out runs/vae");
    assert!(said.contains("test -ELBO") && said.ends_with("wrote runs/vae\n"), "{said}");
    assert_eq!(desk.names("runs/vae"), ["digits.png", "metrics.jsonl", "model.safetensors"]);
    assert!(is_picture(&desk.read("runs/vae/digits.png")));
    let lines = desk.metrics("runs/vae/metrics.jsonl");
    check_schema(&lines, true, true);
    assert_eq!(lines.iter().filter(|line| line["split"] == "test").count(), 1);
    let last = lines.last().unwrap();
    assert_eq!(last["step"], 400);
    // The mean image costs 206 nats.
    assert!(last["elbo"].as_f64().unwrap() > -170.0, "it does not learn: {last}");
}

#[test]
fn metrics_hold_every_split_and_go_where_they_are_told() {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --steps 1000 --validate-every 250 --out vae --json scores.jsonl"));
    assert_eq!(desk.names("vae"), ["digits.png", "model.safetensors"]);
    let lines = desk.metrics("scores.jsonl");
    check_schema(&lines, true, true);
    let of = |line: &Value| {
        let field = |name: &str| line[name].to_string();
        format!(
            "{} {} {} {}",
            field("step"),
            field("epoch"),
            line["split"].as_str().unwrap(),
            field("samples")
        )
    };
    assert_snapshot!(lines.iter().map(of).collect::<Vec<_>>().join("\n"), @"
    250 20 validation 1
    500 40 train 0
    500 40 validation 1
    750 60 validation 1
    1000 80 train 0
    1000 80 validation 1
    1000 80 test 2
    ");
    let seconds: Vec<f64> = lines.iter().map(|line| line["seconds"].as_f64().unwrap()).collect();
    assert!(seconds.is_sorted());
}

#[test]
fn a_classifier_trains_and_is_evaluated() {
    let desk = desk();
    let said = desk.run(&format!("train mlp {TRAIN_MLP} --steps 300 --out mlp"));
    assert!(said.contains("test accuracy "), "{said}");
    assert_eq!(desk.names("mlp"), ["metrics.jsonl", "model.safetensors"]);
    let lines = desk.metrics("mlp/metrics.jsonl");
    check_schema(&lines, false, false);
    // Chance is 0.1.
    assert!(lines.last().unwrap()["accuracy"].as_f64().unwrap() > 0.9, "it does not learn: {lines:?}");

    let said = desk.run("eval mlp/model.safetensors --data data --split validation --json eval.jsonl");
    assert!(said.starts_with("validation accuracy "), "{said}");
    let lines = desk.metrics("eval.jsonl");
    assert_eq!((lines.len(), lines[0]["split"].as_str()), (1, Some("validation")));
}

#[test]
fn a_vae_is_evaluated_and_sampled() {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --out vae"));
    let said = desk.run("eval vae/model.safetensors --data data --samples 5 --json eval.jsonl");
    assert!(said.contains("test -ELBO, mean of 5 samples"), "{said}");
    let lines = desk.metrics("eval.jsonl");
    check_schema(&lines, true, true);
    assert_eq!((lines[0]["step"].as_u64(), lines[0]["samples"].as_u64()), (Some(40), Some(5)));

    assert_snapshot!(desk.run("sample vae/model.safetensors --count 7 --out samples.png"), @"wrote 7 images to samples.png");
    desk.run("sample vae/model.safetensors --count 7 --out again.png --threads 1");
    assert!(is_picture(&desk.read("samples.png")) && desk.read("samples.png") == desk.read("again.png"));
    desk.run("sample vae/model.safetensors --count 7 --out other.png --seed 2");
    assert!(desk.read("samples.png") != desk.read("other.png"));
}

/// `train`, `eval` and the JSON lines of both report the same scores of the test images. Another seed draws
/// other samples of the same images.
#[test]
fn a_run_and_its_checkpoint_have_the_same_scores() {
    let desk = desk();
    let scores = |said: &str| {
        let lines = said.lines().filter(|line| line.starts_with("test "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let of_json = |file: &str| desk.metrics(file).pop().unwrap();
    let number = |line: &Value, field: &str| line[field].as_f64().unwrap();
    let trained = desk.run(&format!("train vae {TRAIN} --samples 30 --out vae"));
    let said = desk.run("eval vae/model.safetensors --data data --samples 30 --json eval.jsonl");
    assert_eq!((scores(&trained).len(), scores(&trained)), (2, scores(&said)));
    let (run, again) = (of_json("vae/metrics.jsonl"), of_json("eval.jsonl"));
    for field in ["elbo", "elbo_standard_error", "elbo_draw_error", "nll", "standard_error", "draw_error"] {
        assert_eq!(run[field], again[field], "{field}");
    }
    let line = |label: &str, sign: f64, [mean, images, draws]: [&str; 3]| {
        let [mean, images, draws] = [sign * number(&run, mean), number(&run, images), number(&run, draws)];
        format!(
            "{label:<40} {mean:6.2}   nats, standard error {images:.2} over images, {draws:.3} over draws"
        )
    };
    let elbo = ["elbo", "elbo_standard_error", "elbo_draw_error"];
    let nll = ["nll", "standard_error", "draw_error"];
    assert_eq!(scores(&said)[0], line("test -ELBO, mean of 30 samples", -1.0, elbo));
    assert_eq!(scores(&said)[1], line("test -ln p(x), bound of 30 samples", 1.0, nll));

    for seed in 2..8 {
        desk.run(&format!(
            "eval vae/model.safetensors --data data --samples 30 --seed {seed} --json other.jsonl"
        ));
        let other = of_json("other.jsonl");
        for [mean, _, draws] in [elbo, nll] {
            let distance = (number(&run, mean) - number(&other, mean)).abs();
            let error = number(&run, draws).hypot(number(&other, draws));
            assert!(distance > 0.0 && distance < 3.0 * error, "{mean}: {distance}, standard error {error}");
        }
    }
}

#[cfg(feature = "embedded")]
#[test]
fn a_belief_net_is_trained_and_evaluated() {
    let desk = desk();
    let said = desk.run(&format!("train sbn {} --samples 5 --out sbn", TRAIN.replace("--hidden 16 ", "")));
    assert!(said.contains("test -ln p(y | x), bound of 5 samples"), "{said}");
    assert!(is_picture(&desk.read("sbn/digits.png")));
    let lines = desk.metrics("sbn/metrics.jsonl");
    check_schema(&lines, true, false);

    desk.run("train sbn --steps 200 --validate-every 100 --samples 1 --out digits");
    let elbo = |line: &serde_json::Value| line["elbo"].as_f64().unwrap();
    let lines = desk.metrics("digits/metrics.jsonl");
    assert!(elbo(&lines[1]) > elbo(&lines[0]) + 3.0, "it does not learn: {lines:?}");

    let said = desk.run("eval sbn/model.safetensors --data data --samples 5");
    assert!(said.starts_with("test -ELBO, mean of 5 samples"), "{said}");
    assert_snapshot!(desk.run("sample sbn/model.safetensors --data data --count 5 --out halves.png"), @"wrote 5 images to halves.png");
    assert!(is_picture(&desk.read("halves.png")));
    assert_snapshot!(desk.refused("sample sbn/model.safetensors"), @"error: the data: expected images of 12 x 12 pixels, as the model was trained on, found 28 x 28");
    assert_snapshot!(desk.misused("train sbn --hidden 5"), @"error: unexpected argument '--hidden' found");
}

#[test]
fn a_semi_supervised_model_is_trained_evaluated_and_sampled() {
    let desk = desk();
    let longer = "--steps 300 --hidden 64 --learning-rate 3e-3 --validate-every 20 --samples 5";
    let said = desk.run(&format!("train semi {TRAIN_SEMI} {longer} --out semi"));
    assert!(said.contains("test accuracy ") && said.contains("test -ln p(x), bound of 5 samples"), "{said}");
    assert!(is_picture(&desk.read("semi/digits.png")));
    let lines = desk.metrics("semi/metrics.jsonl");
    let accuracies = lines.iter().filter_map(|line| line["accuracy"].as_f64());
    assert_eq!(accuracies.filter(|accuracy| (0.0..=1.0).contains(accuracy)).count(), 16);
    // Only the bound can tell here. A class is a bright row, which the random shifts of labelled images move,
    // and there are 20 test images. `learning::` holds the accuracy on digits.
    let elbo = |line: &Value| line["elbo"].as_f64().unwrap();
    assert!(elbo(lines.last().unwrap()) > elbo(&lines[0]) + 4.0, "it does not learn: {lines:?}");

    let said = desk.run("eval semi/model.safetensors --data data --samples 5");
    assert!(said.starts_with("test accuracy "), "{said}");
    assert_snapshot!(desk.run("sample semi/model.safetensors --count 7 --out samples.png"), @"wrote 7 images to samples.png");
    assert!(is_picture(&desk.read("samples.png")));
    assert_snapshot!(desk.refused("train semi --hidden none"), @"error: --hidden: expected at least one width for semi, found none");
}

#[test]
fn data_is_inspected_and_packed() {
    let desk = desk();
    assert_snapshot!(desk.run("data inspect data --picture first.png"), @"
    10 classes, fingerprint 250+50+20x12x12-b868ff7c38c6c316
    train      250 8-bit images of 12 x 12, mean pixel 0.1777, images per class [25, 25, 25, 25, 25, 25, 25, 25, 25, 25]
    validation 50 8-bit images of 12 x 12, mean pixel 0.1790, images per class [5, 5, 5, 5, 5, 5, 5, 5, 5, 5]
    test       20 8-bit images of 12 x 12, mean pixel 0.1795, images per class [2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    wrote first.png
    ");
    assert!(is_picture(&desk.read("first.png")));
    desk.run("data pack data --out packed.gz");
    let said = desk.run("data inspect packed.gz");
    assert!(said.contains("250 binary images of 12 x 12"), "{said}");
    // It can be trained on.
    let line = "--steps 2 --hidden 8 --latents 2 --classes 2 --batch 20 --samples 2";
    let said = desk.run(&format!("train vae --data packed.gz {line} --out out"));
    assert!(said.contains("250 images, steps 0 to 2"), "{said}");
}

#[test]
fn only_models_that_read_labels_mind_others() {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --out vae"));
    desk.run(&format!("train mlp {TRAIN_MLP} --out mlp"));
    desk.write_data("more", 300, 0);
    for name in ["train", "t10k"] {
        let file = format!("more/{name}-labels-idx1-ubyte");
        let mut labels = desk.read(&file);
        *labels.last_mut().unwrap() = 10;
        fs::write(desk.path(&file), labels).unwrap();
    }
    desk.run("eval vae/model.safetensors --data more --samples 1");
    assert_snapshot!(desk.refused("eval mlp/model.safetensors --data more"), @"error: the data: expected at most the 10 classes the model was trained on, found 11");
}

/// A run of a second, with a validation every two hundred steps.
const LONG: &str = "--data data --steps 10000 --hidden 24 --latents 3 --classes 4 --batch 20 --samples 2 \
                    --validate-every 200";

/// The metrics without their times. No split may come twice at a step.
fn without_seconds(mut lines: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("seconds");
        let key = format!("{} {} {}", line["step"], line["split"], line["samples"]);
        assert!(seen.insert(key), "{line} twice");
    }
    lines
}

fn assert_same_run(desk: &Desk, a: &str, b: &str) {
    for file in ["model.safetensors", "digits.png"] {
        assert!(desk.read(&format!("{a}/{file}")) == desk.read(&format!("{b}/{file}")), "{file}");
    }
    let metrics = |run: &str| without_seconds(desk.metrics(&format!("{run}/metrics.jsonl")));
    assert_eq!(metrics(a), metrics(b));
}

#[test]
fn an_interrupted_or_killed_run_resumes_to_the_same_bytes() {
    let desk = desk();
    desk.run(&format!("train vae {LONG} --out whole"));

    let mut run = Running::start(&desk, &format!("train vae {LONG} --out cut"));
    run.wait_for_step_after(&desk.path("cut/metrics.jsonl"), 0);
    run.signal("INT");
    let (code, said) = run.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("stopped after "), "{said}");
    assert_eq!(desk.names("cut"), ["metrics.jsonl", "model.safetensors"]);
    let stopped: u64 = Checkpoint::load(&desk.path("cut/model.safetensors")).unwrap().get("step").unwrap();
    assert!((200..10_000).contains(&stopped), "{stopped}");

    // Exactly the command it named.
    let resume = said.lines().last().unwrap().trim().strip_prefix("reparam ").unwrap();
    assert_eq!(resume, "train vae --out cut --resume --data data --samples 2");
    let saved = desk.read("cut/model.safetensors");

    // What a kill leaves: a checkpoint that is whole, lines that are ahead of it, perhaps half a file.
    let mut run = Running::start(&desk, resume);
    run.wait_for_step_after(&desk.path("cut/metrics.jsonl"), stopped);
    run.signal("KILL");
    assert_eq!(run.end().0, None);
    assert!(desk.read("cut/model.safetensors") == saved);
    fs::write(desk.path("cut/.model.safetensors.1-0.partial"), &saved[..1000]).unwrap();

    desk.run(resume);
    assert_eq!(desk.names("cut"), ["digits.png", "metrics.jsonl", "model.safetensors"]);
    assert_same_run(&desk, "cut", "whole");

    // A finished run has nothing left to do, and prints its result again.
    desk.run(resume);
    assert_same_run(&desk, "cut", "whole");
}

#[test]
fn a_terminated_run_stops_as_an_interrupted_one() {
    let desk = desk();
    let mut run =
        Running::start(&desk, &format!("train vae {LONG} --steps 100000 --out out --json it.jsonl"));
    run.wait_for_step_after(&desk.path("it.jsonl"), 0);
    run.signal("TERM");
    let (code, said) = run.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(
        said.ends_with("reparam train vae --out out --resume --data data --json it.jsonl --samples 2\n"),
        "{said}"
    );
    assert_eq!(desk.names("out"), ["model.safetensors"]);
}

#[test]
fn flags_that_cannot_be_are_refused() {
    let desk = desk();
    let flags = [
        "--steps 0",
        "--steps many",
        "--batch 0",
        "--batch -1",
        "--threads 0",
        "--latents 0",
        "--classes 0",
        "--hidden 16,x",
        "--tau nan",
        "--tau anneal:1,2",
        "--learning-rate fast",
        "--momentum x",
        "--samples 0",
        "--optimizer adagrad",
        "--seed -1",
        "--bits 3 --classes 4",
        "--bogus",
    ];
    let lines = flags.map(|flag| desk.misused(&format!("train vae --data data --out out {flag}")));
    assert_snapshot!(all(lines), @"
    error: invalid value '0' for '--steps <N>': expected a whole number from 1 to 1000000000000, found `0`
    error: invalid value 'many' for '--steps <N>': expected a whole number from 1 to 1000000000000, found `many`
    error: invalid value '0' for '--batch <N>': expected a whole number from 1 to 4294967295, found `0`
    error: invalid value '-1' for '--batch <N>': expected a whole number from 1 to 4294967295, found `-1`
    error: invalid value '0' for '--threads <N>': expected a whole number from 1 to 65535, found `0`
    error: invalid value '0' for '--latents <N>': expected a whole number from 1 to 268435456, found `0`
    error: invalid value '0' for '--classes <K>': expected a whole number from 1 to 268435456, found `0`
    error: invalid value '16,x' for '--hidden <WIDTHS>': expected widths like 512,256, or none, found `16,x`
    error: invalid value 'nan' for '--tau <SCHEDULE>': expected a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO (EVERY at least 1, TO after FROM), found `nan`
    error: invalid value 'anneal:1,2' for '--tau <SCHEDULE>': expected a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO (EVERY at least 1, TO after FROM), found `anneal:1,2`
    error: invalid value 'fast' for '--learning-rate <SCHEDULE>': expected a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO (EVERY at least 1, TO after FROM), found `fast`
    error: invalid value 'x' for '--momentum <X>': expected a number, found `x`
    error: invalid value '0' for '--samples <N>': expected a whole number from 1 to 100000, found `0`
    error: invalid value 'adagrad' for '--optimizer <NAME>': expected one of adam, adamw, sgd, found `adagrad`
    error: invalid value '-1' for '--seed <N>': expected a whole number, found `-1`
    error: the argument '--bits <N>' cannot be used with '--classes <K>'
    error: unexpected argument '--bogus' found
    ");
    let lines = ["train gan", "eval", "dance", "sample x --count 0", "eval x --split dev"]
        .map(|line| desk.misused(line));
    assert_snapshot!(all(lines), @"
    error: unrecognized subcommand 'gan'
    error: the following required arguments were not provided:
    error: unrecognized subcommand 'dance'
    error: invalid value '0' for '--count <N>': expected a whole number from 1 to 10000, found `0`
    error: invalid value 'dev' for '--split <SPLIT>': expected one of train, validation, test, found `dev`
    ");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let desk = desk();
    let flags = [
        "--batch 251",
        "--tau 0",
        "--tau -1",
        "--tau 1e-9",
        "--tau tail:1,0,5,6",
        "--learning-rate 0",
        "--learning-rate -0.1",
        "--classes 1",
        "--hidden 0",
        "--hidden 16,0",
        "--hidden 999999999999",
        "--latents 99999999",
        "--optimizer sgd --momentum 1",
        "--optimizer sgd --momentum nan",
        "--beta1 -0.1",
        "--beta2 1",
        "--optimizer adamw --weight-decay -1",
        "--clip-norm nan",
        "--patience 3 --validate-every 0",
        "--momentum 0.5",
        "--weight-decay 0.01",
        "--optimizer sgd --beta1 0.5",
    ];
    let mut lines: Vec<String> =
        flags.iter().map(|flag| desk.refused(&format!("train vae {TRAIN} --out out {flag}"))).collect();
    lines.push(desk.refused("train semi --data data --out out --latents 99999999"));
    lines.push(desk.refused("train vae --data data --out out --resume --steps 3"));
    assert_snapshot!(all(lines), @"
    error: --batch: expected at most the 250 training images, found 251
    error: --tau: expected a number from 0.001 to 1000 at every step, found 0
    error: --tau: expected a number from 0.001 to 1000 at every step, found -1
    error: --tau: expected a number from 0.001 to 1000 at every step, found 0.000000001
    error: --tau: expected a number from 0.001 to 1000 at every step, found tail:1,0,5,6
    error: --learning-rate: expected a number above 0 at every step, found 0
    error: --learning-rate: expected a number above 0 at every step, found -0.1
    error: --classes: expected at least 2, found 1
    error: --hidden: expected at least 1, found 0
    error: --hidden: expected at least 1, found 0
    error: --hidden: expected at most 268435456, found 999999999999
    error: vae: expected at most 268435456 weights, found more
    error: --momentum: expected a number from 0 to below 1, found 1
    error: --momentum: expected a number from 0 to below 1, found NaN
    error: --beta1: expected a number from 0 to 0.99999, found -0.1
    error: --beta2: expected a number from 0 to 0.99999, found 1
    error: --weight-decay: expected a number that is not negative, found -1
    error: --clip-norm: expected a number above 0, found NaN
    error: --validate-every: expected at least 1 with --patience, found 0
    error: --momentum: expected this flag only with --optimizer sgd, found adam
    error: --weight-decay: expected this flag only with --optimizer adamw or sgd, found adam
    error: --beta1: expected this flag only with --optimizer adam or adamw, found sgd
    error: semi: expected at most 268435456 weights, found more
    error: --resume: expected no other settings, because a resumed run keeps its own, found flags that change them
    ");
    // Not even the folder was made.
    assert!(!desk.path("out").exists());
}

#[test]
fn a_tier_that_is_not_there_is_refused() {
    let desk = desk();
    let output = finished(desk.command("data inspect data").env("REPARAM_SIMD", "sse9").output().unwrap());
    let error = desk.error("REPARAM_SIMD=sse9", &output);
    assert!(error.starts_with("error: REPARAM_SIMD: expected one of portable"), "{error}");
    assert!(error.ends_with("on this machine, found sse9"), "{error}");
}

/// Nothing is computed before, and nothing printed.
#[test]
fn numbers_have_bounds() {
    let desk = desk();
    let lines = [
        "train vae --data data --out out --estimator rloo:1000000000000",
        "train vae --data data --out out --estimator gumbel-rao:3:0",
        "lab --estimator gumbel-rao:18446744073709551615:1",
        "lab --estimator concrete:1:1:0 --problem toy:0.45",
        "lab --problem toy:1e30",
        "lab --problem polynomial:1e30",
        "lab --problem quadratic:1",
        "lab --problem toy:0.45 --estimator exact --json /proc/lab.jsonl",
    ];
    assert_snapshot!(all(lines.map(|line| desk.refused(line))), @"
    error: --estimator: expected rloo:K with a whole number from 1 to 1000 for K, found `rloo:1000000000000`
    error: --estimator: expected gumbel-rao:K:TAU with a positive number for TAU, found `gumbel-rao:3:0`
    error: --estimator: expected gumbel-rao:K:TAU with a whole number from 1 to 1000 for K, found `gumbel-rao:18446744073709551615:1`
    error: --estimator: expected concrete:POSTERIOR:PRIOR:K with a whole number from 1 to 1000 for K, found `concrete:1:1:0`
    error: --problem: expected toy:T or toy:T:LOGIT with T from -1000 to 1000 and LOGIT from -30 to 30, polynomial:POWER from 0.01 to 100, quadratic:CLASSES from 2 to 4096, or vae:LATENTSxCLASSES of at most 65536 states, found `toy:1e30`
    error: --problem: expected toy:T or toy:T:LOGIT with T from -1000 to 1000 and LOGIT from -30 to 30, polynomial:POWER from 0.01 to 100, quadratic:CLASSES from 2 to 4096, or vae:LATENTSxCLASSES of at most 65536 states, found `polynomial:1e30`
    error: --problem: expected toy:T or toy:T:LOGIT with T from -1000 to 1000 and LOGIT from -30 to 30, polynomial:POWER from 0.01 to 100, quadratic:CLASSES from 2 to 4096, or vae:LATENTSxCLASSES of at most 65536 states, found `quadratic:1`
    error: /proc/lab.jsonl: cannot write: No such file or directory (os error 2)
    ");
    let lines = [
        "train vae --steps 18446744073709551615",
        "train vae --batch 99999999999",
        "train vae --latents 99999999999",
        "lab --samples 4000000000",
        "lab --adapt 18446744073709551615",
    ];
    assert_snapshot!(all(lines.map(|line| desk.misused(line))), @"
    error: invalid value '18446744073709551615' for '--steps <N>': expected a whole number from 1 to 1000000000000, found `18446744073709551615`
    error: invalid value '99999999999' for '--batch <N>': expected a whole number from 1 to 4294967295, found `99999999999`
    error: invalid value '99999999999' for '--latents <N>': expected a whole number from 1 to 268435456, found `99999999999`
    error: invalid value '4000000000' for '--samples <N>': expected a whole number from 100 to 10000000, found `4000000000`
    error: invalid value '18446744073709551615' for '--adapt <N>': expected a whole number from 0 to 1000000, found `18446744073709551615`
    ");
    // The largest and smallest problems are no fault of an estimator.
    let said = desk.run(
        "lab --problem toy:1000,toy:-1000,polynomial:100,polynomial:0.01 --estimator exact,rloo:2 --quick",
    );
    assert!(!said.contains("NO") && !said.contains("NaN") && !said.contains("inf"), "{said}");
}

#[test]
fn an_empty_tier_is_none() {
    let desk = desk();
    let best = desk.run("tape");
    let output = finished(desk.command("tape").env("REPARAM_SIMD", "").output().unwrap());
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), best));
}

/// A shell can run the command that a stopped run prints, whatever the name of its folder.
#[test]
fn the_command_that_resumes_is_right_for_any_folder() {
    use std::os::unix::ffi::OsStrExt;
    let desk = desk();
    for name in [&b"-begins"[..], b"not\xffutf8", b"it's one", b"a line\nand another"] {
        let folder = desk.folder.path().join(std::ffi::OsStr::from_bytes(name));
        let flags = LONG.replace("--samples 2", "--samples 1 --steps 100000000");
        let mut command = desk.command(&format!("train vae {flags}"));
        let out = [b"--out=", name].concat();
        command.arg(std::ffi::OsStr::from_bytes(&out)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = Running(command.spawn().unwrap());
        run.wait_for_step_after(&folder.join("metrics.jsonl"), 0);
        run.signal("TERM");
        let (code, said) = run.end();
        assert_eq!(code, Some(130), "{said}");
        let resume = said.split_once("resume with\n").unwrap().1;
        // A folder of data with fewer images than a batch: the command gets as far as that.
        let script =
            format!("reparam() {{ \"$0\" \"$@\"; }}; {}", resume.replace("--data data", "--data none"));
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_reparam")).current_dir(desk.folder.path());
        let output = finished(shell.output().unwrap());
        assert!(desk.error("", &output).starts_with("error: none: expected a folder with "), "{resume}");
    }
}

#[test]
fn data_that_cannot_be_read_is_refused() {
    let desk = desk();
    let images = desk.read("data/train-images-idx3-ubyte");
    let refused = || desk.refused(&format!("train vae {TRAIN} --out out"));
    let mut lines = vec![desk.refused(&format!("train vae {TRAIN} --data nowhere --out out"))];
    lines.push(desk.refused(&format!("train vae {TRAIN} --data data/t10k-labels-idx1-ubyte --out out")));
    for damaged in [&images[..images.len() - 1], &images[..9], b"", b"<html>", &[&images[..], b"!"].concat()]
    {
        fs::write(desk.path("data/train-images-idx3-ubyte"), damaged).unwrap();
        lines.push(refused());
    }
    // Labels under the name of images.
    fs::copy(desk.path("data/train-labels-idx1-ubyte"), desk.path("data/train-images-idx3-ubyte")).unwrap();
    lines.push(refused());
    fs::remove_file(desk.path("data/train-images-idx3-ubyte")).unwrap();
    lines.push(refused());
    lines.push(desk.refused("data inspect nothing"));
    lines.push(desk.refused("data inspect data/train-labels-idx1-ubyte"));
    lines.push(desk.refused("data pack data --out packed.gz"));
    assert_snapshot!(all(lines), @r"
    error: nowhere: expected a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), found nothing
    error: data/t10k-labels-idx1-ubyte: expected a file that `pack` made (starts with BITS), found a file that starts with \x00\x00\x08\x01
    error: data/train-images-idx3-ubyte: expected 300 images of 12 x 12 pixels, 43216 bytes, found only 43215 bytes
    error: data/train-images-idx3-ubyte: expected a whole IDX header, 16 bytes, found only 9 bytes
    error: data/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), found an empty file
    error: data/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), found text (<htm)
    error: data/train-images-idx3-ubyte: expected 300 images of 12 x 12 pixels, 43216 bytes, found more bytes after them
    error: data/train-images-idx3-ubyte: expected IDX images (magic number 0x00000803), found IDX labels (magic number 0x00000801)
    error: data: expected train-images-idx3-ubyte (or the same with .gz), found no such file
    error: nothing: expected a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), found nothing
    error: data/train-labels-idx1-ubyte: expected a file that `pack` made (starts with BITS), found a file that starts with \x00\x00\x08\x01
    error: data: expected train-images-idx3-ubyte (or the same with .gz), found no such file
    ");
    assert!(!desk.path("out").exists());
}

/// Checks that every way to read the checkpoint at `out/model.safetensors` refuses it, and returns their
/// messages.
fn refused_checkpoint(desk: &Desk) -> String {
    all([
        desk.refused("eval out/model.safetensors --data data"),
        desk.refused("sample out/model.safetensors"),
        desk.refused("train vae --data data --out out --resume"),
    ])
}

/// Like [`refused_checkpoint`], when all three messages are the same.
fn refused_alike(desk: &Desk, checkpoint: &[u8]) -> String {
    fs::write(desk.path("out/model.safetensors"), checkpoint).unwrap();
    let lines = refused_checkpoint(desk);
    let first = lines.lines().next().unwrap();
    assert!(lines.lines().all(|line| line == first), "{lines}");
    first.to_owned()
}

/// A checkpoint with one tensor or setting replaced.
fn changed(
    bytes: &[u8],
    change: impl Fn(&str, &mut Shape, &mut Vec<f32>) -> bool,
    setting: (&str, Option<&str>),
) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    fs::write(&path, bytes).unwrap();
    let (old, mut new) = (Checkpoint::load(&path).unwrap(), Checkpoint::new());
    for (key, value) in old.settings() {
        let value = if key == setting.0 { setting.1 } else { Some(value) };
        if let Some(value) = value {
            new.set(key, value);
        }
    }
    for (name, shape, value) in old.tensors() {
        let (mut shape, mut value) = (shape.clone(), value.to_vec());
        if change(name, &mut shape, &mut value) {
            new.put(name, &shape, &value);
        }
    }
    new.to_bytes()
}

/// Returns a checkpoint as written by versions without checksums.
fn without_checksums(checkpoint: &[u8]) -> Vec<u8> {
    let (_, metadata) = safetensors::SafeTensors::read_metadata(checkpoint).unwrap();
    let settings = metadata.metadata().as_ref().unwrap()["reparam"].split_once('\n').unwrap().1.to_owned();
    let tensors = safetensors::SafeTensors::deserialize(checkpoint).unwrap();
    let metadata = std::collections::HashMap::from([("reparam".to_owned(), settings)]);
    safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap()
}

#[test]
fn checkpoints_that_are_none_are_refused() {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --out out"));
    let good = desk.read("out/model.safetensors");
    let mut noise = Noise::seed(1);
    let random: Vec<u8> = noise.draws(5000).map(|draw| draw as u8).collect();
    let mut flipped = good.clone();
    flipped[9] ^= 0xff;
    let one = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).unwrap();
    let foreign = safetensors::serialize([("weight", one)], None).unwrap();
    let (mut in_header, mut in_tensors) = (good.clone(), good.clone());
    in_header[100] ^= 1;
    in_tensors[good.len() - 1000] ^= 0x40;
    let mut lines = Vec::new();
    for bytes in [
        &b""[..],
        b"short",
        &random,
        &good[..good.len() / 2],
        &good[..100],
        &flipped,
        &in_header,
        &in_tensors,
        &foreign,
        &without_checksums(&good),
    ] {
        lines.push(refused_alike(&desk, bytes));
    }
    fs::remove_file(desk.path("out/model.safetensors")).unwrap();
    lines.push(desk.refused("eval out/model.safetensors --data data"));
    lines.push(desk.refused("train vae --data data --out out --resume"));
    lines.push(desk.refused("train vae --data data --out never --resume"));
    assert!(!desk.path("never").exists());
    lines.push(desk.refused("eval out --data data"));
    assert_snapshot!(all(lines), @"
    error: out/model.safetensors: expected a whole safetensors file, found header too small
    error: out/model.safetensors: expected a whole safetensors file, found header too small
    error: out/model.safetensors: expected a whole safetensors file, found header too large
    error: out/model.safetensors: expected a whole safetensors file, found incomplete metadata, file not fully covered
    error: out/model.safetensors: expected the header that was written, found a damaged one: the checksum does not match
    error: out/model.safetensors: expected a whole safetensors file, found invalid UTF-8 in header: invalid utf-8 sequence of 1 bytes from index 1
    error: out/model.safetensors: expected the header that was written, found a damaged one: the checksum does not match
    error: out/model.safetensors: expected the tensors that were written, found damaged ones: the checksum does not match
    error: out/model.safetensors: expected a checkpoint written by reparam, found safetensors of another origin
    error: out/model.safetensors: expected a checkpoint with checksums, found none: an older version wrote it, or its header is damaged; train again, or use it with that version
    error: out/model.safetensors: cannot read: No such file or directory (os error 2)
    error: out/model.safetensors: cannot read: No such file or directory (os error 2)
    error: never/model.safetensors: cannot read: No such file or directory (os error 2)
    error: out: cannot read: Is a directory (os error 21)
    ");
}

#[test]
fn checkpoints_that_lack_something_are_refused() {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --out out"));
    let good = desk.read("out/model.safetensors");
    let as_is = ("", None);
    let mut lines = vec![
        refused_alike(&desk, &changed(&good, |name, _, _| name != "encoder.0.weight", as_is)),
        refused_alike(
            &desk,
            &changed(
                &good,
                |name, shape, value| {
                    if name == "decoder.0.bias" {
                        (*shape, *value) = (Shape::from([2, 8]), value.clone());
                    }
                    true
                },
                as_is,
            ),
        ),
    ];
    let keep = |_: &str, _: &mut Shape, _: &mut Vec<f32>| true;
    for setting in [
        ("format", None),
        ("format", Some("1")),
        ("tau", Some("warm")),
        ("model.encoder", Some("16,16")),
        ("model.encoder", Some("x")),
        ("model.latents", Some("3x1")),
        ("model.latents", Some("999999999x4")),
        ("model.encoder", Some("32768")),
        ("model.encoder", Some(&["1"; 10_000].join(","))),
        ("model.decoder", Some("16,32768")),
        ("model", Some("gan")),
        ("model", None),
        ("optimizer", Some("x")),
        ("step", Some("-1")),
    ] {
        lines.push(refused_alike(&desk, &changed(&good, keep, setting)));
    }
    assert_snapshot!(all(lines), @"
    error: out/model.safetensors: expected a tensor `encoder.0.weight` of shape [144, 16], found none
    error: out/model.safetensors: expected a tensor `decoder.0.bias` of shape [16], found one of shape [2, 8]
    error: out/model.safetensors: expected a checkpoint of format 2, found one without a format, as older versions wrote
    error: out/model.safetensors: expected a checkpoint of format 2, found one of format 1
    error: out/model.safetensors: expected a readable setting `tau`, found `warm`
    error: out/model.safetensors: expected a tensor `encoder.1.weight` of shape [16, 16], found one of shape [16, 12]
    error: out/model.safetensors: expected a readable setting `model.encoder`, found `x`
    error: out/model.safetensors: expected settings that can be run, found classes: expected at least 2, found 1
    error: out/model.safetensors: expected settings that can be run, found latents: expected at most 268435456, found 999999999
    error: out/model.safetensors: expected a tensor `encoder.0.weight` of shape [144, 32768], found one of shape [144, 16]
    error: out/model.safetensors: expected settings that can be run, found hidden: expected at most 1000 layers, found 10000
    error: out/model.safetensors: expected a tensor `decoder.1.weight` of shape [16, 32768], found one of shape [16, 144]
    error: out/model.safetensors: expected a checkpoint of vae, sbn, belief, semi or mlp, found one of `gan`
    error: out/model.safetensors: expected a checkpoint of vae, sbn, belief, semi or mlp, found one of another model
    error: out/model.safetensors: expected adam, adamw or sgd, found `x`
    error: out/model.safetensors: expected a readable setting `step`, found `-1`
    ");

    // The settings that a run has from its data.
    let mut lines = Vec::new();
    for rows in ["18446744073709551615", "0"] {
        let changed = changed(&good, keep, ("images.rows", Some(rows)));
        fs::write(desk.path("out/model.safetensors"), changed).unwrap();
        lines.push(desk.refused("eval out/model.safetensors --data data"));
    }
    assert_snapshot!(all(lines), @"
    error: out/model.safetensors: expected a possible image format, found 18446744073709551615 x 12 pixels, 10 classes
    error: out/model.safetensors: expected a possible image format, found 0 x 12 pixels, 10 classes
    ");

    // Settings that only a run needs. The model alone can still be used.
    let mut lines = Vec::new();
    let missing = changed(&good, |name, _, _| name != "optimizer.mean.encoder.0.weight", as_is);
    for bytes in [
        missing,
        changed(&good, keep, ("window", Some("1 2"))),
        changed(&good, keep, ("order.cursor", Some("251"))),
        changed(&good, keep, ("noise.start", None)),
        changed(&good, keep, ("tau", Some("0"))),
        changed(&good, keep, ("estimator", Some("self-critical"))),
    ] {
        fs::write(desk.path("out/model.safetensors"), bytes).unwrap();
        desk.run("eval out/model.safetensors --data data --samples 1");
        let line = desk.refused("train vae --data data --out out --resume");
        lines.push(line.split(", score-function").next().unwrap().to_owned());
    }
    assert_snapshot!(all(lines), @"
    error: out/model.safetensors: expected a tensor `optimizer.mean.encoder.0.weight` of shape [144, 16], found none
    error: out/model.safetensors: expected 3 numbers in the setting `window`, found `1 2`
    error: out/model.safetensors: expected at most 250, the number of examples, in the setting `order.cursor`, found 251
    error: out/model.safetensors: expected the setting `noise.start`, found none
    error: out/model.safetensors: expected settings that can be run, found tau: expected a number from 0.001 to 1000 at every step, found 0
    error: out/model.safetensors: expected settings that can be run, found estimator: expected one of exact
    ");
}

#[test]
fn checkpoints_of_something_else_are_refused() {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --out vae"));
    desk.run(&format!("train mlp {TRAIN_MLP} --out mlp"));
    desk.write_data("other", 300, 7);
    desk.write_data("few", 12, 7);
    let lines = [
        "train mlp --data data --out vae --resume",
        "train vae --data data --out mlp --resume",
        "train vae --data other --out vae --resume",
        "train vae --data few --out vae --resume",
        "sample mlp/model.safetensors",
        "eval mlp/model.safetensors --data data --samples 5",
    ];
    assert_snapshot!(all(lines.map(|line| desk.refused(line))), @"
    error: vae/model.safetensors: expected a checkpoint of mlp, found one of vae
    error: mlp/model.safetensors: expected a checkpoint of vae, found one of mlp
    error: --data: expected the images that the run began with, 250+50+20x12x12-b868ff7c38c6c316, found the images of other, 250+50+20x12x12-26086cb50332956d
    error: --data: expected the images that the run began with, 250+50+20x12x12-b868ff7c38c6c316, found the images of few, 10+2+20x12x12-5d96b619d78bb7d8
    error: mlp/model.safetensors: expected a model that draws images (vae, sbn, belief or semi), found one of mlp
    error: --samples: expected a model that samples, found mlp
    ");
    #[cfg(feature = "embedded")]
    assert_snapshot!(desk.refused("eval mlp/model.safetensors"), @"error: the data: expected images of 12 x 12 pixels, as the model was trained on, found 28 x 28");
}

#[test]
fn places_that_cannot_be_written_are_refused() {
    let desk = desk();
    fs::write(desk.path("file"), "in the way").unwrap();
    desk.run(&format!("train vae {TRAIN} --out vae"));
    let outs = ["file", "file/below", "/proc/nowhere", "/dev/full", "/dev/full/below"];
    let mut lines = Vec::from(outs.map(|out| desk.refused(&format!("train vae {TRAIN} --out {out}"))));
    for line in [
        "sample vae/model.safetensors --out file/below",
        "sample vae/model.safetensors --out missing/samples.png",
        "sample vae/model.safetensors --out /dev/full",
        "sample vae/model.safetensors --out data",
        "eval vae/model.safetensors --data data --samples 1 --json missing/eval.jsonl",
        "eval vae/model.safetensors --data data --samples 1 --json /dev/full",
        "data inspect data --picture file/below",
        "data pack data --out /proc/packed.gz",
        "data pack data --out /dev/full",
    ] {
        lines.push(desk.refused(line));
    }
    lines.push(desk.refused(&format!("train vae {TRAIN} --out out --json missing/metrics.jsonl")));
    lines.push(desk.refused(&format!("train vae {TRAIN} --out out --json data")));
    assert_snapshot!(all(lines), @"
    error: file: cannot create the folder: File exists (os error 17)
    error: file/below: cannot create the folder: Not a directory (os error 20)
    error: /proc/nowhere: cannot create the folder: No such file or directory (os error 2)
    error: /dev/full: cannot create the folder: File exists (os error 17)
    error: /dev/full/below: cannot create the folder: Not a directory (os error 20)
    error: file/below: cannot write: Not a directory (os error 20)
    error: missing/samples.png: cannot write: No such file or directory (os error 2)
    error: /dev/full: cannot write: No space left on device (os error 28)
    error: data: cannot write: Is a directory (os error 21)
    error: missing/eval.jsonl: cannot write: No such file or directory (os error 2)
    error: /dev/full: cannot write: No space left on device (os error 28)
    error: file/below: cannot write: Not a directory (os error 20)
    error: /proc/packed.gz: cannot write: No such file or directory (os error 2)
    error: /dev/full: cannot write: No space left on device (os error 28)
    error: missing/metrics.jsonl: cannot write: No such file or directory (os error 2)
    error: data: cannot write: Is a directory (os error 21)
    ");
}

/// Runs the binary with no file allowed to grow beyond `blocks` of 1,024 bytes, as if the disk were full.
fn on_a_full_disk(desk: &Desk, blocks: u32, line: &str) -> Output {
    let binary = desk.command(line);
    let mut shell = Command::new("bash");
    // The limit's signal must not end the program before the write fails.
    shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""));
    shell.arg(binary.get_program()).args(binary.get_args()).current_dir(desk.folder.path());
    finished(shell.env_remove("REPARAM_SIMD").env("RUST_BACKTRACE", "0").output().unwrap())
}

#[test]
fn a_full_disk_is_one_line_and_leaves_nothing_half_written() {
    let desk = desk();
    let line = format!("train vae {TRAIN} --out out");
    let mut lines = vec![desk.error(&line, &on_a_full_disk(&desk, 8, &line))];
    assert!(!desk.path("out").exists());

    // An existing checkpoint stays.
    desk.run(&line);
    let before = desk.read("out/model.safetensors");
    let again = "train vae --data data --out out --resume";
    lines.push(desk.error(again, &on_a_full_disk(&desk, 8, again)));
    assert!(desk.read("out/model.safetensors") == before);
    assert_eq!(desk.names("out"), ["digits.png", "metrics.jsonl", "model.safetensors"]);

    // Metrics end with a whole line.
    let line = format!(
        "train mlp {TRAIN_MLP} --steps 400 --validate-every 1 --hidden none --batch 1 --optimizer sgd --out mlp"
    );
    lines.push(desk.error(&line, &on_a_full_disk(&desk, 40, &line)));
    assert!(desk.metrics("mlp/metrics.jsonl").len() > 50);

    let line = format!("train vae {TRAIN} --out other --json /dev/full");
    lines.push(desk.error(&line, &desk.output(&line)));
    assert_eq!(desk.names("other"), ["digits.png", "model.safetensors"]);
    assert_snapshot!(all(lines), @"
    error: out/model.safetensors: cannot write: File too large (os error 27)
    error: out/model.safetensors: cannot write: File too large (os error 27)
    error: mlp/metrics.jsonl: cannot write: File too large (os error 27)
    error: /dev/full: cannot write: No space left on device (os error 28)
    ");
}

#[test]
fn a_reader_that_goes_away_is_no_mistake() {
    let desk = desk();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = finished(desk.command("data inspect data").stdout(writer).output().unwrap());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(141), String::new()));

    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = finished(desk.command("data inspect data").stdout(full).output().unwrap());
    assert_snapshot!(desk.error("data inspect", &output), @"error: standard output: cannot write: No space left on device (os error 28)");
}

#[test]
fn flags_that_a_model_does_not_read_are_refused() {
    let desk = desk();
    let flags = ["mlp --latents 3", "semi --classes 4", "mlp --tau 1", "belief --bits 5", "sbn --hidden 5"];
    let lines = flags.map(|line| desk.misused(&format!("train {line} --data data --out out")));
    assert_snapshot!(all(lines), @"
    error: unexpected argument '--latents' found
    error: unexpected argument '--classes' found
    error: unexpected argument '--tau' found
    error: unexpected argument '--bits' found
    error: unexpected argument '--hidden' found
    ");
    let flags = ["mlp --samples 2", "mlp --estimator rloo:4", "belief --layers none"];
    let lines = flags.map(|line| desk.refused(&format!("train {line} --data data --out out")));
    assert_snapshot!(all(lines), @"
    error: --samples: expected a model that samples, found mlp
    error: --estimator: expected none: mlp has no discrete variables to estimate a gradient through, found `rloo:4`
    error: --layers: expected at least 1, found 0
    ");
    // The message names the estimators that fit.
    let line = desk.refused(&format!("train vae {TRAIN} --estimator disarm --out out"));
    assert!(
        line.contains("an estimator for 3 categorical variable(s) of 4 classes, one of exact, "),
        "{line}"
    );
    assert!(line.ends_with(
        "found disarm: it works on bits, and was given 3 categorical variable(s) of 4 classes; use rloo:2"
    ));
    assert!(!desk.path("out").exists());
}

/// Every kind of estimator trains a VAE, is resumed to the same bytes after a kill, is evaluated and drawn
/// from.
#[test]
fn a_vae_trains_with_any_estimator_that_fits() {
    const RUN: &str = "--data data --steps 2000 --hidden 16 --batch 20 --samples 2 --validate-every 100";
    let desk = desk();
    let (classes, bits) = ("--latents 3 --classes 4", "--bits 6");
    for (estimator, variables) in [
        ("reinmax:1", classes),
        ("rebar", classes),
        ("gumbel-rao:10:0.5", classes),
        ("rloo:4", classes),
        ("st-gumbel-softmax:1", classes),
        ("exact", "--latents 2 --classes 3"),
        ("disarm", bits),
        ("vimco:5", bits),
        ("concrete:0.67:0.5:5", bits),
    ] {
        let line = |out: &str| format!("train vae {RUN} {variables} --estimator {estimator} --out {out}");
        desk.run(&line("whole"));
        let mut run = Running::start(&desk, &line("cut"));
        run.wait_for_step_after(&desk.path("cut/metrics.jsonl"), 0);
        run.signal("INT");
        let (code, said) = run.end();
        assert_eq!(code, Some(130), "{estimator}: {said}");
        let run = Running::start(&desk, "train vae --data data --out cut --resume --samples 2");
        sleep(Duration::from_millis(20));
        run.signal("KILL");
        run.end();
        desk.run("train vae --data data --out cut --resume --samples 2");
        assert_same_run(&desk, "cut", "whole");
        let lines = desk.metrics("whole/metrics.jsonl");
        let (first, last) = (&lines[0], &lines[lines.len() - 1]);
        let nll = |line: &Value| line["nll"].as_f64().unwrap();
        assert!(nll(last) < nll(first), "{estimator} does not learn: {first}, {last}");
        // The same seed and samples give the same score.
        desk.run("eval whole/model.safetensors --data data --samples 2 --json eval.jsonl");
        assert_eq!(without_seconds(desk.metrics("eval.jsonl")), without_seconds(vec![last.clone()]));
        desk.run("sample whole/model.safetensors --count 4 --out drawn.png");
        assert!(is_picture(&desk.read("drawn.png")));
        for folder in ["whole", "cut"] {
            fs::remove_dir_all(desk.path(folder)).unwrap();
        }
    }
}

#[test]
fn belief_nets_with_a_prior_train_and_draw() {
    let desk = desk();
    for (estimator, link) in [("vimco:3", "linear"), ("concrete:0.67:0.5:1", "nonlinear"), ("nvil", "linear")]
    {
        let flags = "--data data --steps 100 --batch 20 --samples 2 --layers 8,5 --out belief --force";
        let said = desk.run(&format!("train belief {flags} --link {link} --estimator {estimator}"));
        assert!(said.contains("test -ln p(x), bound of 2 samples"), "{said}");
        desk.run("eval belief/model.safetensors --data data --samples 3");
        desk.run("sample belief/model.safetensors --count 4 --out drawn.png");
        assert!(is_picture(&desk.read("drawn.png")) && is_picture(&desk.read("belief/digits.png")));
    }
}

#[test]
fn a_run_that_diverges_says_so() {
    let desk = desk();
    for (model, flags) in [("vae", TRAIN), ("mlp", TRAIN_MLP)] {
        desk.run(&format!("train {model} {flags} --out {model}"));
        let line =
            format!("train {model} {flags} --optimizer sgd --learning-rate 1e30 --out {model} --force");
        let error = desk.error(&line, &desk.output(&line));
        assert!(error.starts_with("error: the loss: expected a finite number, found "), "{error}");
        // Neither the model of the previous run, nor one with NaN in it.
        let stored = Stored::load(&desk.path(model).join("model.safetensors")).unwrap();
        assert_eq!((stored.step, stored.plan.training.optimizer.name()), (0, "sgd"));
    }
}

/// Checks that no number is written as null, which could not be read back.
fn check_numbers(desk: &Desk, metrics: &str) {
    assert!(desk.metrics(metrics).iter().all(|line| line["nll"].is_number()), "{metrics}");
}

#[test]
fn a_run_whose_last_update_diverges_says_so() {
    let desk = desk();
    let mut lines = Vec::new();
    for (model, flags) in [("vae", TRAIN), ("mlp", TRAIN_MLP), ("semi", TRAIN_SEMI)] {
        let line = format!("train {model} {flags} --steps 1 --learning-rate 1e30 --out {model}");
        let error = desk.error(&line, &desk.output(&line));
        assert!(error.contains("the run has diverged"), "{error}");
        lines.push(error);
        check_numbers(&desk, &format!("{model}/metrics.jsonl"));
    }
    assert_snapshot!(all(lines), @"
    error: the score on the test images: expected a finite number, found inf after step 1: the run has diverged; a smaller --learning-rate or a --clip-norm may help
    error: the score on the test images: expected a finite number, found inf after step 1: the run has diverged; a smaller --learning-rate or a --clip-norm may help
    error: the images: expected finite numbers, found NaN: the run has diverged
    ");
    // The model that was written has finite weights but no finite score.
    let line = "eval vae/model.safetensors --data data --samples 2 --json eval.jsonl";
    assert_snapshot!(desk.refused(line), @"error: the score on the test images: expected a finite number, found inf after step 1: the run has diverged; a smaller --learning-rate or a --clip-norm may help");
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let desk = desk();
    desk.run(&format!("train vae {TRAIN} --out out"));
    let good = desk.read("out/model.safetensors");
    let mut lines = Vec::new();
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let bias = |name: &str, _: &mut Shape, value: &mut Vec<f32>| {
            if name == "decoder.1.bias" {
                value[7] = number;
            }
            true
        };
        lines.push(refused_alike(&desk, &changed(&good, bias, ("", None))));
    }
    assert_snapshot!(all(lines), @"
    error: out/model.safetensors: expected finite numbers in the tensor `decoder.1.bias`, found NaN: the run has diverged
    error: out/model.safetensors: expected finite numbers in the tensor `decoder.1.bias`, found inf: the run has diverged
    error: out/model.safetensors: expected finite numbers in the tensor `decoder.1.bias`, found -inf: the run has diverged
    ");
}

#[test]
fn tape_shows_every_model_in_every_format() {
    let desk = desk();
    for model in ["polynomial", "gumbel-softmax", "straight-through", "mlp", "vae"] {
        for (format, part) in
            [("text", "total "), ("dot", "digraph"), ("svg", "<svg "), ("html", "<!DOCTYPE html>")]
        {
            let line = format!("tape {model} --format {format}");
            let said = desk.run(&line);
            assert!(said.contains(part), "{line}: {said}");
            desk.run(&format!("{line} --out tape"));
            assert_eq!(text(&desk.read("tape")), said, "{line}");
        }
    }
    assert_ne!(desk.run("tape"), desk.run("tape --seed 2"));
    assert_snapshot!(desk.run("tape straight-through"), @"
    node                          shape  value B  saved B  gradient B  value          gradient
    %0* variable                    [2]        8        0           8  1 0            0.00461 -0.00461
    %1 input                        [2]        8        0           0  3 1
    %2* gumbel_softmax(%0)          [2]        8       16           8  0.00115 0.999  3 1
    %3 stop_gradient(%2)            [2]        0        0           0  0.00115 0.999
    %4 st_argmax(%3)                [2]        8        0           0  0 1
    %5* with_gradient_of(%4, %2)    [2]        0        0           8  0 1            3 1
    %6* mul(%5, %1)                 [2]        8        0           8  0 1            1 1
    %7* sum(%6)                      []        4        0           4  1              1
    total                                     44       16          36
    ");
    let lines = [
        desk.misused("tape lstm"),
        desk.misused("tape --format png"),
        desk.misused("tape --seed x"),
        desk.refused("tape --out missing/tape.txt"),
        desk.refused("tape --out data"),
    ];
    assert_snapshot!(all(lines), @"
    error: invalid value 'lstm' for '[MODEL]'
    error: invalid value 'png' for '--format <FORMAT>'
    error: invalid value 'x' for '--seed <N>': expected a whole number, found `x`
    error: missing/tape.txt: cannot write: No such file or directory (os error 2)
    error: data: cannot write: Is a directory (os error 21)
    ");
}

/// The picture and the page in the repository are what the command writes.
#[test]
fn the_tape_in_the_documentation_is_what_the_command_writes() {
    let desk = desk();
    for format in ["svg", "html"] {
        let line = format!("tape gumbel-softmax --seed 2 --format {format} --out tape.{format}");
        desk.run(&line);
        let path = repository::root().join("docs/figures").join(format!("tape.{format}"));
        let kept = fs::read(&path).unwrap_or_default();
        assert!(
            kept == desk.read(&format!("tape.{format}")),
            "run `reparam {line}` in docs/figures and look at it"
        );
        assert!(kept.len() < 100_000);
    }
}

#[test]
fn help_is_stable() {
    let desk = desk();
    assert_snapshot!(desk.run("--help"), @"
    Train and look at small stochastic neural nets

    Usage: reparam <COMMAND>

    Commands:
      train    Train a model, evaluate it with hard samples, and write a checkpoint, metrics and a picture
      eval     Evaluate a checkpoint with hard samples
      sample   Draw images from a checkpoint
      lab      Compare estimators of discrete gradients with the exact gradient: bias, variance, cosine, cost
      bench    Measure kernels and training steps on this machine
      tape     Show the tape of a small model: text, DOT, a picture, or a page that steps through it
      explore  Serve the course, with pages in which the engine runs, to this machine only, and print the address
      data     Look at data, or pack IDX files into the embedded format
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version
    ");
    assert_snapshot!(desk.run("train --help"), @r#"
    Train a model, evaluate it with hard samples, and write a checkpoint, metrics and a picture

    Usage: reparam train <COMMAND>

    Commands:
      vae     A variational autoencoder of binary images
      sbn     A sigmoid belief net that draws the lower half of an image from the upper one
      belief  A sigmoid belief net with a learned prior
      semi    A semi-supervised model of images, a hundred of them labelled
      mlp     A classifier

    Options:
      -h, --help  Print help

    vae: A variational autoencoder of binary images
          --hidden <WIDTHS>    Widths of the encoder's hidden layers, like 512,256, or "none"; the decoder mirrors them [default: 512,256]
          --bits <N>           Latent bits in a layer, instead of categorical variables
          --latents <N>        Categorical latent variables in a layer [default: 20]
          --classes <K>        Classes of each categorical latent variable [default: 10]
          --estimator --tau --straight-through-from --samples --out --json --resume --force --data --transpose --threads --seed --steps --batch --optimizer --learning-rate --beta1 --beta2 --momentum --weight-decay --clip-norm --validate-every --patience

    sbn: A sigmoid belief net that draws the lower half of an image from the upper one
          --bits <N>           Latent bits in a layer, instead of categorical variables
          --latents <N>        Categorical latent variables in a layer [default: 20]
          --classes <K>        Classes of each categorical latent variable [default: 10]
          --estimator --tau --straight-through-from --samples --out --json --resume --force --data --transpose --threads --seed --steps --batch --optimizer --learning-rate --beta1 --beta2 --momentum --weight-decay --clip-norm --validate-every --patience

    belief: A sigmoid belief net with a learned prior
          --layers <WIDTHS>    Bits of each layer, the layer next to the pixels first [default: 200,200]
          --link <LINK>        A layer's dependence on the one before: linear or nonlinear [default: nonlinear]
          --estimator --tau --straight-through-from --samples --out --json --resume --force --data --transpose --threads --seed --steps --batch --optimizer --learning-rate --beta1 --beta2 --momentum --weight-decay --clip-norm --validate-every --patience

    semi: A semi-supervised model of images, a hundred of them labelled
          --hidden <WIDTHS>    Widths of the hidden layers of each net, like 400 or 500,300 [default: 400]
          --latents <N>        Normal latent variables, the style of an image [default: 10]
          --estimator --tau --straight-through-from --samples --out --json --resume --force --data --transpose --threads --seed --steps --batch --optimizer --learning-rate --beta1 --beta2 --momentum --weight-decay --clip-norm --validate-every --patience

    mlp: A classifier
          --hidden <WIDTHS>    Widths of the hidden layers, like 256,128, or "none" [default: 256,128]
          --samples --out --json --resume --force --data --transpose --threads --seed --steps --batch --optimizer --learning-rate --beta1 --beta2 --momentum --weight-decay --clip-norm --validate-every --patience

    `reparam train MODEL --help` explains all flags of a model, with their defaults.
    "#);
    let help = desk.run("train vae --help");
    for part in ["Model:", "Estimator:", "Training:", "Defaults: --steps 18000", "rloo:K"] {
        assert!(help.contains(part), "{part} in {help}");
    }
    assert_snapshot!(desk.run("eval --help"), @"
    Evaluate a checkpoint with hard samples

    Usage: reparam eval [OPTIONS] <CHECKPOINT>

    Arguments:
      <CHECKPOINT>  Checkpoint written by `reparam train` or `reparam-papers`

    Options:
          --split <SPLIT>  Images to evaluate on: train, validation or test [default: test]
          --samples <N>    Hard samples per image in the bound on -ln p [default: 100]
          --seed <N>       Seed of the random numbers [default: the run's seed, which reproduces its scores]
          --json <FILE>    Write the scores as a JSON line
          --data <PATH>    Folder of IDX files (MNIST, Fashion-MNIST, EMNIST, ...; plain or .gz), binarized afresh in every batch except for mlp, or a file that `reparam data pack` wrote, instead of the embedded fixed-binarized MNIST
          --transpose      Exchange rows and columns of the images, as EMNIST's files require
          --threads <N>    Number of threads; the results do not depend on it [default: one per core]
      -h, --help           Print help
    ");
    assert_snapshot!(desk.run("sample --help"), @"
    Draw images from a checkpoint

    Usage: reparam sample [OPTIONS] <CHECKPOINT>

    Arguments:
      <CHECKPOINT>  Checkpoint written by `reparam train` or `reparam-papers`. vae and belief draw from their prior, semi draws one class after another, and sbn completes the upper halves of test images

    Options:
          --count <N>    Number of images [default: 100]
          --seed <N>     Seed of the random numbers [default: 1]
          --out <FILE>   Picture to write [default: samples.png]
          --data <PATH>  Folder of IDX files (MNIST, Fashion-MNIST, EMNIST, ...; plain or .gz), binarized afresh in every batch except for mlp, or a file that `reparam data pack` wrote, instead of the embedded fixed-binarized MNIST
          --transpose    Exchange rows and columns of the images, as EMNIST's files require
          --threads <N>  Number of threads; the results do not depend on it [default: one per core]
      -h, --help         Print help
    ");
    assert_snapshot!(desk.run("tape -h"), @"
    Show the tape of a small model: text, DOT, a picture, or a page that steps through it

    Usage: reparam tape [OPTIONS] [MODEL]

    Arguments:
      [MODEL]  Model whose tape to show [default: gumbel-softmax] [possible values: polynomial, gumbel-softmax, straight-through, mlp, vae]

    Options:
          --format <FORMAT>  Output format [default: text] [possible values: text, dot, svg, html]
          --seed <N>         Seed of the random numbers [default: 1]
          --out <FILE>       File to write [default: standard output]
      -h, --help             Print help (see more with '--help')
    ");
    assert_snapshot!(desk.run("data --help"), @"
    Look at data, or pack IDX files into the embedded format

    Usage: reparam data <COMMAND>

    Commands:
      pack     Binarize a folder of IDX files once and pack it into one file like the embedded one
      inspect  Print what a data set holds
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help
    ");
    assert_snapshot!(desk.run("data pack --help"), @"
    Binarize a folder of IDX files once and pack it into one file like the embedded one

    Usage: reparam data pack [OPTIONS] <DIR>

    Arguments:
      <DIR>  Folder of the four IDX files, plain or .gz

    Options:
          --out <FILE>  File to write [default: binarized.gz]
          --transpose   Exchange rows and columns of the images, as EMNIST's files require
      -h, --help        Print help
    ");
    assert_snapshot!(desk.run("data inspect --help"), @"
    Print what a data set holds

    Usage: reparam data inspect [OPTIONS] [PATH]

    Arguments:
      [PATH]  A folder of IDX files or a packed file [default: the embedded data]

    Options:
          --transpose       Exchange rows and columns of the images, as EMNIST's files require
          --picture <FILE>  Write a picture of the first 100 training images
      -h, --help            Print help
    ");
}

/// One line per measurement with the documented fields, and equal checksums at any number of threads.
#[test]
fn bench_kernels_writes_what_json_md_says() {
    let desk = desk();
    let lines = |threads: usize| -> Vec<serde_json::Value> {
        let file = format!("kernels{threads}.jsonl");
        let flags = format!("--quick --size 300x10 --only gumbel_softmax --threads {threads} --json {file}");
        let table = desk.run(&format!("bench kernels {flags} --plot plot.svg"));
        let plot = fs::read_to_string(desk.path("plot.svg")).unwrap();
        assert!(plot.starts_with("<svg") && plot.contains("composed gumbel_softmax forward + backward"));
        assert!(table.contains("300 x 10") && table.contains("of copy"), "{table}");
        let text = fs::read_to_string(desk.path(&file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (one, two) = (lines(1), lines(2));
    let names = |line: &serde_json::Value| {
        ["kernel", "pass", "variant"].map(|field| line[field].as_str().unwrap().to_owned()).join(" ")
    };
    assert_eq!(
        one.iter().map(names).collect::<Vec<_>>(),
        [
            "copy forward copy",
            "gumbel_softmax forward fused",
            "gumbel_softmax forward composed",
            "gumbel_softmax forward_backward fused",
            "gumbel_softmax forward_backward composed",
            "gumbel_softmax_tau forward_backward fused",
            "st_gumbel_softmax forward fused",
            "st_gumbel_softmax forward_backward fused",
        ]
    );
    for (one, two) in one.iter().zip(&two) {
        assert_eq!(one["checksum"], two["checksum"], "{}", names(one));
        assert_eq!((&one["threads"], &two["threads"]), (&1.into(), &2.into()));
        for field in ["ns_per_element", "ns_per_element_min", "gb_per_s"] {
            assert!(one[field].as_f64().unwrap() > 0.0, "{field} of {}", names(one));
        }
    }
}

#[cfg(feature = "embedded")]
#[test]
fn bench_step_times_every_model() {
    let desk = desk();
    desk.run("bench step --quick --threads 1 --json step.jsonl");
    let text = fs::read_to_string(desk.path("step.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let models: Vec<_> = lines.iter().map(|line| line["model"].as_str().unwrap()).collect();
    assert_eq!(
        models,
        ["toy_bernoulli", "tiny_mlp", "vae", "vae", "vae", "sbn_bernoulli", "sbn_categorical"]
    );
    for line in &lines {
        assert!(line["us_per_step"].as_f64().unwrap() > 0.0);
        let products = line["gemm_us_per_step"].as_f64().unwrap();
        assert_eq!(products > 0.0, line["model"] != "toy_bernoulli");
        assert!(line["optimizer_us_per_step"].as_f64().unwrap() > 0.0);
        assert_eq!(line["efficiency"], 1.0, "on one thread");
    }
    assert_eq!(lines[0]["allocations_per_step"], 0.0);
}

#[test]
fn bench_refuses_sizes_that_cannot_be() {
    let desk = desk();
    let lines = ["0x10", "10", "ax3", "99999999x99999"]
        .map(|size| desk.misused(&format!("bench kernels --size {size}")));
    assert_snapshot!(all(lines), @r"
    error: invalid value '0x10' for '--size <ROWSxCLASSES>': expected a size like 2000x10, of at most 268435456 elements, found `0x10`
    error: invalid value '10' for '--size <ROWSxCLASSES>': expected a size like 2000x10, of at most 268435456 elements, found `10`
    error: invalid value 'ax3' for '--size <ROWSxCLASSES>': expected a size like 2000x10, of at most 268435456 elements, found `ax3`
    error: invalid value '99999999x99999' for '--size <ROWSxCLASSES>': expected a size like 2000x10, of at most 268435456 elements, found `99999999x99999`
    ");
}

#[test]
fn lab_writes_what_json_md_says() {
    let desk = desk();
    let flags =
        "--problem toy:0.45,quadratic:3 --estimator exact,disarm,rloo:2,gumbel-softmax:1 --quick --threads 1";
    let table = desk.run(&format!("lab {flags} --json lab.jsonl --plot pictures"));
    assert!(table.contains("disarm") && table.contains("it works on bits"), "{table}");
    let lines = json_lines(&desk, "lab.jsonl");
    for line in &lines {
        for field in [
            "samples",
            "bias",
            "bias_standard_error",
            "length",
            "length_standard_error",
            "direction_cosine",
            "direction_cosine_standard_error",
            "squared_bias",
            "squared_bias_standard_error",
            "variance",
            "cosine",
            "evaluations",
            "ns_per_gradient",
            "worst_z",
            "z_bound",
        ] {
            assert!(line[field].is_number(), "{field} in {line}");
        }
        let (unbiased, claims) =
            (line["unbiased"].as_bool().unwrap(), line["claims_unbiased"].as_bool().unwrap());
        assert!(unbiased || !claims, "{line}");
        assert!(line["ns_per_gradient"].as_f64() > Some(0.0), "{line}");
    }
    let of = |problem: &str, estimator: &str| {
        lines.iter().find(|line| line["problem"] == problem && line["estimator"] == estimator)
    };
    assert!(of("toy:0.45", "disarm").is_some() && of("quadratic:3", "disarm").is_none());
    assert_eq!(of("toy:0.45", "gumbel-softmax:1").unwrap()["unbiased"], false);
    for picture in ["histogram-toy-0.45", "histogram-quadratic-3", "bias-toy-0.45", "bias-quadratic-3"] {
        let svg = fs::read_to_string(desk.path(&format!("pictures/{picture}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("polyline"), "{picture}");
    }
}

#[test]
fn lab_is_the_same_at_any_number_of_threads() {
    let desk = desk();
    let figures = |threads: u32| {
        desk.run(&format!(
            "lab --problem quadratic:4 --estimator rebar,gumbel-rao:3:0.5,nvil --samples 3000 --threads {threads} --json {threads}.jsonl"
        ));
        let lines = json_lines(&desk, &format!("{threads}.jsonl"));
        lines.iter().map(|line| format!("{} {}", line["bias"], line["variance"])).collect::<Vec<_>>()
    };
    assert_eq!(figures(1), figures(3));
}

#[test]
fn lab_lets_estimators_adapt_for_as_long_as_it_is_told() {
    let desk = desk();
    let variance = |adapt: u32| {
        desk.run(&format!(
            "lab --problem toy:0.45 --estimator moving-average --samples 5000 --adapt {adapt} --json {adapt}.jsonl"
        ));
        json_lines(&desk, &format!("{adapt}.jsonl"))[0]["variance"].as_f64().unwrap()
    };
    // Without a mean yet, it is the plain score function.
    assert!(variance(100) < 0.2 * variance(0));
}

#[test]
fn lab_refuses_what_it_cannot_do() {
    let desk = desk();
    assert_snapshot!(
        [
            desk.refused("lab --problem foo"),
            desk.refused("lab --estimator rloo:x"),
            desk.refused("lab --problem toy:0.45 --estimator unordered-set:2"),
            desk.refused("lab --data no-such-folder --problem vae:2x8"),
            desk.refused("lab --data data --problem toy:0.45"),
            desk.misused("lab --samples 3"),
        ]
        .join("\n"),
        @"
    error: --problem: expected toy:T or toy:T:LOGIT with T from -1000 to 1000 and LOGIT from -30 to 30, polynomial:POWER from 0.01 to 100, quadratic:CLASSES from 2 to 4096, or vae:LATENTSxCLASSES of at most 65536 states, found `foo`
    error: --estimator: expected rloo:K with a whole number from 1 to 1000 for K, found `rloo:x`
    error: lab: expected an estimator that fits one of the problems, found none, see above
    error: no-such-folder: expected a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), found nothing
    error: --data: expected no folder without a problem vae:LATENTSxCLASSES, found data
    error: invalid value '3' for '--samples <N>': expected a whole number from 100 to 10000000, found `3`
    "
    );
}

/// The answer to a request, with its head.
fn asked(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{request} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The path of a link in a folder of a site. A link out of the site stays in its root, as in a browser.
fn in_site(folder: &str, link: &str) -> String {
    let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path.join("/")
}

#[test]
fn explore_serves_the_pages_to_this_machine() {
    let mut server =
        Command::new(env!("CARGO_BIN_EXE_reparam")).arg("explore").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    let index = asked(address, "GET /");
    assert!(index.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"), "{index}");
    // All that the pages link to, show or load, from the first page on, is there.
    let (mut found, mut open) = (HashSet::from(["index.html".to_owned()]), vec!["index.html".to_owned()]);
    while let Some(file) = open.pop() {
        let answer = asked(address, &format!("GET /{file}?x"));
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.len() > 500, "{file}: {answer}");
        let parts = if file.ends_with(".html") { answer.split(['"']).collect() } else { vec![] };
        let targets = parts.windows(2).filter(|pair| pair[0].ends_with("href=") || pair[0].ends_with("src="));
        for target in targets.map(|pair| pair[1]).filter(|target| !target.contains("://")) {
            let path = target.split('#').next().unwrap();
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            let next = if path.is_empty() { file.clone() } else { in_site(folder, path) };
            if found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    let count = |end: &str| found.iter().filter(|file| file.ends_with(end)).count();
    assert!(count(".html") > 27 && count(".js") > 10 && count(".svg") > 15, "{found:?}");
    assert!(asked(address, "HEAD /frame.js").ends_with("\r\n\r\n"));
    assert!(asked(address, "GET /../Cargo.toml").starts_with("HTTP/1.1 404"));
    assert!(asked(address, "POST /").starts_with("HTTP/1.1 405"));
    server.kill().unwrap();
    server.wait().unwrap();
}
