//! Does the binary do what it says, stop and go on cleanly, and answer every mistake with one clear line?

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use reparam::train::{ModelKind, OptimizerKind, Settings, Trained};
use reparam::{Checkpoint, Noise, Shape};
use serde_json::Value;
use tempfile::TempDir;

/// A folder to work in, with a small data set in `data`.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Desk {
        let desk = Desk { folder: tempfile::tempdir().unwrap() };
        desk.write_data("data", 300, 0);
        desk
    }

    /// IDX files of 12 x 12 grey images with a bar whose height is the label.
    fn write_data(&self, name: &str, train: u32, seed: u64) {
        let folder = self.path(name);
        fs::create_dir(&folder).unwrap();
        let mut noise = Noise::seed(seed);
        for (name, count) in [("train", train), ("t10k", 20)] {
            let mut pixels = [0x803, count, 12, 12].map(u32::to_be_bytes).concat();
            let mut labels = [0x801, count].map(u32::to_be_bytes).concat();
            for image in 0..count {
                labels.push((image % 10) as u8);
                let grey = |(i, draw)| if i as u32 / 12 == image % 10 { 220 } else { (draw % 60) as u8 };
                pixels.extend(noise.draws(144).enumerate().map(grey));
            }
            fs::write(folder.join(format!("{name}-images-idx3-ubyte")), pixels).unwrap();
            fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The binary, in this folder, with `line` split at spaces as its arguments.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reparam"));
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        command.env_remove("REPARAM_SIMD").env("RUST_BACKTRACE", "0");
        command
    }

    fn output(&self, line: &str) -> Output {
        finished(self.command(line).output().unwrap())
    }

    /// What a run that must succeed says.
    fn run(&self, line: &str) -> String {
        let output = self.output(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The one line with which the binary must refuse, after which no file is new, gone or changed in length.
    fn refused(&self, line: &str) -> String {
        let before = self.files();
        let output = self.output(line);
        assert_eq!(self.files(), before, "{line}: files changed");
        self.error(line, &output)
    }

    /// The one line of a run that failed with exit code 1.
    fn error(&self, line: &str, output: &Output) -> String {
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {error}");
        assert!(error.starts_with("error: ") && error.ends_with('\n'), "{line}: {error:?}");
        assert_eq!(error.lines().count(), 1, "{line}: {error}");
        error.trim_end().replace(self.folder.path().to_str().unwrap(), "DIR")
    }

    /// What the flags' parser says, usage and advice left away.
    fn misused(&self, line: &str) -> String {
        let before = self.files();
        let output = self.output(line);
        assert_eq!(self.files(), before, "{line}: files changed");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {error}");
        assert!(error.starts_with("error: "), "{line}: {error}");
        error.lines().next().unwrap().to_owned()
    }

    /// All files, with their lengths.
    fn files(&self) -> Vec<(PathBuf, u64)> {
        fn visit(folder: &Path, found: &mut Vec<(PathBuf, u64)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let metadata = fs::symlink_metadata(entry.path()).unwrap();
                match metadata.is_dir() {
                    true => visit(&entry.path(), found),
                    false => found.push((entry.path(), metadata.len())),
                }
            }
        }
        let mut found = Vec::new();
        visit(self.folder.path(), &mut found);
        found.sort();
        found
    }

    /// The names in a folder of this desk.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The lines of a metrics file.
    fn metrics(&self, name: &str) -> Vec<Value> {
        let text = text(&self.read(name));
        assert!(text.is_empty() || text.ends_with('\n'), "{name} ends in the middle of a line");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Whatever else happens, the binary does not panic.
fn finished(output: Output) -> Output {
    let error = text(&output.stderr);
    assert!(!error.contains("panicked"), "{error}");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Training that takes no time.
const TRAIN: &str = "--data data --steps 40 --hidden 16 --latents 3 --classes 4 --batch 20 --samples 2";
/// The same for semi, whose classes are the labels'.
const TRAIN_SEMI: &str = "--data data --steps 40 --hidden 16 --latents 3 --batch 20 --samples 2";
/// The same for mlp, which has no latent variables.
const TRAIN_MLP: &str = "--data data --steps 40 --hidden 16 --batch 20";

fn is_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82")
}

/// The documented fields, of the documented types. A classifier has neither a bound nor a temperature.
fn check_schema(lines: &[Value], has_elbo: bool) {
    for line in lines {
        for field in ["step", "epoch", "samples"] {
            assert!(line[field].is_u64(), "{line}");
        }
        for field in ["nll", "standard_error", "learning_rate", "seconds"] {
            assert!(line[field].is_f64(), "{field} in {line}");
        }
        assert!(["train", "validation", "test"].contains(&line["split"].as_str().unwrap()), "{line}");
        for field in ["elbo", "tau"] {
            assert_eq!((line[field].is_f64(), line[field].is_null()), (has_elbo, !has_elbo), "{line}");
        }
        assert!(!has_elbo || line["elbo"].as_f64().unwrap() < 0.0, "{line}");
    }
    assert_eq!(lines.last().unwrap()["split"], "test");
}

#[cfg(feature = "embedded")]
#[test]
fn the_vae_trains_on_the_embedded_digits() {
    let desk = Desk::new();
    let said = desk.run("train vae --steps 400 --hidden 64 --samples 1 --out runs/vae");
    assert!(said.contains("test -ELBO") && said.ends_with("wrote runs/vae\n"), "{said}");
    assert_eq!(desk.names("runs/vae"), ["digits.png", "metrics.jsonl", "model.safetensors"]);
    assert!(is_picture(&desk.read("runs/vae/digits.png")));
    let lines = desk.metrics("runs/vae/metrics.jsonl");
    check_schema(&lines, true);
    // One sample for both bounds: there is nothing to evaluate twice.
    assert_eq!(lines.iter().filter(|line| line["split"] == "test").count(), 1);
    let last = lines.last().unwrap();
    assert_eq!(last["step"], 400);
    // The mean image costs 206 nats.
    assert!(last["elbo"].as_f64().unwrap() > -170.0, "it does not learn: {last}");
}

#[test]
fn metrics_hold_every_split_and_go_where_they_are_told() {
    let desk = Desk::new();
    desk.run(&format!("train vae {TRAIN} --steps 1000 --validate-every 250 --out vae --json scores.jsonl"));
    assert_eq!(desk.names("vae"), ["digits.png", "model.safetensors"]);
    let lines = desk.metrics("scores.jsonl");
    check_schema(&lines, true);
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
    1000 80 test 1
    1000 80 test 2
    ");
    let seconds: Vec<f64> = lines.iter().map(|line| line["seconds"].as_f64().unwrap()).collect();
    assert!(seconds.is_sorted());
}

#[test]
fn a_classifier_trains_and_is_evaluated() {
    let desk = Desk::new();
    let said = desk.run(&format!("train mlp {TRAIN_MLP} --steps 300 --out mlp"));
    assert!(said.contains("test accuracy "), "{said}");
    assert_eq!(desk.names("mlp"), ["metrics.jsonl", "model.safetensors"]);
    let lines = desk.metrics("mlp/metrics.jsonl");
    check_schema(&lines, false);
    // Chance is 0.1.
    assert!(lines.last().unwrap()["accuracy"].as_f64().unwrap() > 0.9, "it does not learn: {lines:?}");

    let said = desk.run("eval mlp/model.safetensors --data data --split validation --json eval.jsonl");
    assert!(said.starts_with("validation accuracy "), "{said}");
    let lines = desk.metrics("eval.jsonl");
    assert_eq!((lines.len(), lines[0]["split"].as_str()), (1, Some("validation")));
}

#[test]
fn a_vae_is_evaluated_and_sampled() {
    let desk = Desk::new();
    desk.run(&format!("train vae {TRAIN} --out vae"));
    let said = desk.run("eval vae/model.safetensors --data data --samples 5 --json eval.jsonl");
    assert!(said.contains("test -ELBO, one hard sample"), "{said}");
    let lines = desk.metrics("eval.jsonl");
    check_schema(&lines, true);
    assert_eq!((lines[0]["step"].as_u64(), lines[0]["samples"].as_u64()), (Some(40), Some(5)));

    assert_snapshot!(desk.run("sample vae/model.safetensors --count 7 --out samples.png"), @"wrote 7 images to samples.png");
    desk.run("sample vae/model.safetensors --count 7 --out again.png --threads 1");
    assert!(is_picture(&desk.read("samples.png")) && desk.read("samples.png") == desk.read("again.png"));
    desk.run("sample vae/model.safetensors --count 7 --out other.png --seed 2");
    assert!(desk.read("samples.png") != desk.read("other.png"));
}

#[cfg(feature = "embedded")]
#[test]
fn a_belief_net_is_trained_and_evaluated() {
    let desk = Desk::new();
    let said = desk.run(&format!("train sbn {} --samples 5 --out sbn", TRAIN.replace("--hidden 16 ", "")));
    assert!(said.contains("test -ln p(y | x), bound of 5 samples"), "{said}");
    assert!(is_picture(&desk.read("sbn/digits.png")));
    let lines = desk.metrics("sbn/metrics.jsonl");
    check_schema(&lines, true);

    desk.run("train sbn --steps 200 --validate-every 100 --samples 1 --out digits");
    let elbo = |line: &serde_json::Value| line["elbo"].as_f64().unwrap();
    let lines = desk.metrics("digits/metrics.jsonl");
    assert!(elbo(&lines[1]) > elbo(&lines[0]) + 3.0, "it does not learn: {lines:?}");

    let said = desk.run("eval sbn/model.safetensors --data data --samples 5");
    assert!(said.starts_with("test -ELBO, one hard sample"), "{said}");
    assert_snapshot!(desk.refused("sample sbn/model.safetensors"), @"error: sbn/model.safetensors: expected a model that draws images (vae or semi), found a net that draws halves (sbn)");
    assert_snapshot!(desk.refused("train sbn --hidden 5"), @"error: hidden: expected none for sbn, whose layers are two of latents x classes, found 5");
}

#[test]
fn a_semi_supervised_model_is_trained_evaluated_and_sampled() {
    let desk = Desk::new();
    let said = desk.run(&format!("train semi {TRAIN_SEMI} --steps 100 --samples 5 --out semi"));
    assert!(said.contains("test accuracy ") && said.contains("test -ln p(x), bound of 5 samples"), "{said}");
    assert!(is_picture(&desk.read("semi/digits.png")));
    let lines = desk.metrics("semi/metrics.jsonl");
    let accuracies: Vec<f64> = lines.iter().filter_map(|line| line["accuracy"].as_f64()).collect();
    assert!(accuracies[accuracies.len() - 1] > 0.3, "it does not learn: {lines:?}");

    let said = desk.run("eval semi/model.safetensors --data data --samples 5");
    assert!(said.starts_with("test accuracy "), "{said}");
    assert_snapshot!(desk.run("sample semi/model.safetensors --count 7 --out samples.png"), @"wrote 7 images to samples.png");
    assert!(is_picture(&desk.read("samples.png")));
    assert_snapshot!(desk.refused("train semi --hidden none"), @"error: hidden: expected at least one width for semi, found none");
}

#[test]
fn data_is_inspected_and_packed() {
    let desk = Desk::new();
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
    let said = desk.run("reproduce semi-supervised --data packed.gz --steps 1 --only marginalization");
    assert!(said.contains("the images are binarized once"), "{said}");
}

#[test]
fn only_models_that_read_labels_mind_others() {
    let desk = Desk::new();
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

/// A child process; it does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

impl Running {
    fn start(desk: &Desk, line: &str) -> Running {
        let mut command = desk.command(line);
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until the metrics file has a line of a step beyond `step`.
    fn wait_for_step_after(&mut self, metrics: &Path, step: u64) {
        let begin = Instant::now();
        let is_later = |line: &str| {
            serde_json::from_str::<Value>(line).is_ok_and(|line| line["step"].as_u64().unwrap() > step)
        };
        while !fs::read_to_string(metrics).is_ok_and(|text| text.lines().any(is_later)) {
            assert!(begin.elapsed() < Duration::from_secs(60), "no step after {step}");
            assert!(self.0.try_wait().unwrap().is_none(), "the run ended before step {step}");
            sleep(Duration::from_millis(1));
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Its exit code, and what it said on standard output.
    fn end(mut self) -> (Option<i32>, String) {
        use std::io::Read;
        let (mut out, mut error) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert!(!error.contains("panicked"), "{error}");
        (self.0.wait().unwrap().code(), out)
    }
}

/// A run of a second, with a validation every two hundred steps.
const LONG: &str = "--data data --steps 10000 --hidden 24 --latents 3 --classes 4 --batch 20 --samples 2 \
                    --validate-every 200";

/// The metrics without the time they took; no split twice at a step.
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
fn an_interrupted_or_killed_run_goes_on_as_if_nothing_had_happened() {
    let desk = Desk::new();
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

    // A finished run has nothing to go on with, and says its result again.
    desk.run(resume);
    assert_same_run(&desk, "cut", "whole");
}

#[test]
fn a_terminated_run_stops_as_an_interrupted_one() {
    let desk = Desk::new();
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

/// Lines of the same command with one thing wrong each.
fn all(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

#[test]
fn flags_that_cannot_be_are_refused() {
    let desk = Desk::new();
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
        "--resume --steps 3",
        "--bogus",
    ];
    let lines = flags.map(|flag| desk.misused(&format!("train vae --data data --out out {flag}")));
    assert_snapshot!(all(lines), @"
    error: invalid value '0' for '--steps <N>': expected a whole number from 1, found `0`
    error: invalid value 'many' for '--steps <N>': expected a whole number from 1, found `many`
    error: invalid value '0' for '--batch <N>': expected a whole number from 1, found `0`
    error: invalid value '-1' for '--batch <N>': expected a whole number from 1, found `-1`
    error: invalid value '0' for '--threads <N>': expected a whole number from 1 to 65535, found `0`
    error: invalid value '0' for '--latents <N>': expected a whole number from 1, found `0`
    error: invalid value '0' for '--classes <N>': expected a whole number from 1, found `0`
    error: invalid value '16,x' for '--hidden <WIDTHS>': expected widths like 512,256, or none, found `16,x`
    error: invalid value 'nan' for '--tau <SCHEDULE>': expected a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO (EVERY at least 1, TO after FROM), found `nan`
    error: invalid value 'anneal:1,2' for '--tau <SCHEDULE>': expected a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO (EVERY at least 1, TO after FROM), found `anneal:1,2`
    error: invalid value 'fast' for '--learning-rate <SCHEDULE>': expected a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO (EVERY at least 1, TO after FROM), found `fast`
    error: invalid value 'x' for '--momentum <X>': expected a number, found `x`
    error: invalid value '0' for '--samples <N>': expected a whole number from 1 to 100000, found `0`
    error: invalid value 'adagrad' for '--optimizer <NAME>': expected one of adam, adamw, sgd, found `adagrad`
    error: invalid value '-1' for '--seed <N>': expected a whole number, found `-1`
    error: the argument '--resume' cannot be used with '--steps <N>'
    error: unexpected argument '--bogus' found
    ");
    let lines = ["train gan", "eval", "dance", "sample x --count 0", "eval x --split dev"]
        .map(|line| desk.misused(line));
    assert_snapshot!(all(lines), @"
    error: invalid value 'gan' for '<MODEL>': expected one of vae, sbn, semi, mlp, found `gan`
    error: the following required arguments were not provided:
    error: unrecognized subcommand 'dance'
    error: invalid value '0' for '--count <N>': expected a whole number from 1 to 10000, found `0`
    error: invalid value 'dev' for '--split <SPLIT>': expected one of train, validation, test, found `dev`
    ");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let desk = Desk::new();
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
    lines.push(desk.refused("train semi --data data --out out --latents 40000"));
    assert_snapshot!(all(lines), @"
    error: batch: expected at most the 250 training images, found 251
    error: tau: expected a number from 0.001 to 1000 at every step, found 0
    error: tau: expected a number from 0.001 to 1000 at every step, found -1
    error: tau: expected a number from 0.001 to 1000 at every step, found 0.000000001
    error: tau: expected a number from 0.001 to 1000 at every step, found tail:1,0,5,6
    error: learning rate: expected a number above 0 at every step, found 0
    error: learning rate: expected a number above 0 at every step, found -0.1
    error: classes: expected at least 2, found 1
    error: hidden: expected at least 1, found 0
    error: hidden: expected at least 1, found 0
    error: hidden: expected at most 32768, found 999999999999
    error: latents x classes: expected at most 32768, found 399999996
    error: momentum: expected a number from 0 to below 1, found 1
    error: momentum: expected a number from 0 to below 1, found NaN
    error: beta1: expected a number from 0 to 0.99999, found -0.1
    error: beta2: expected a number from 0 to 0.99999, found 1
    error: weight decay: expected a number that is not negative, found -1
    error: clip norm: expected a number that is not negative, found NaN
    error: validate every: expected at least 1 with patience, found 0
    error: --momentum: expected it with --optimizer sgd only, found adam
    error: --weight-decay: expected it with --optimizer adamw or sgd only, found adam
    error: --beta1: expected it with --optimizer adam or adamw only, found sgd
    error: latents: expected at most 32768, found 40000
    ");
    // Not even the folder was made.
    assert!(!desk.path("out").exists());
}

#[test]
fn a_tier_that_is_not_there_is_refused() {
    let desk = Desk::new();
    let output = finished(desk.command("data inspect data").env("REPARAM_SIMD", "sse9").output().unwrap());
    let error = desk.error("REPARAM_SIMD=sse9", &output);
    assert!(error.starts_with("error: REPARAM_SIMD: expected one of portable"), "{error}");
    assert!(error.ends_with("on this machine, found sse9"), "{error}");
}

#[test]
fn data_that_cannot_be_read_is_refused() {
    let desk = Desk::new();
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

/// Every way to read the checkpoint at `out/model.safetensors` refuses it; returns what each says.
fn refused_checkpoint(desk: &Desk) -> String {
    all([
        desk.refused("eval out/model.safetensors --data data"),
        desk.refused("sample out/model.safetensors"),
        desk.refused("train vae --data data --out out --resume"),
    ])
}

/// As [`refused_checkpoint`], when all three say the same.
fn refused_alike(desk: &Desk, checkpoint: &[u8]) -> String {
    fs::write(desk.path("out/model.safetensors"), checkpoint).unwrap();
    let lines = refused_checkpoint(desk);
    let first = lines.lines().next().unwrap();
    assert!(lines.lines().all(|line| line == first), "{lines}");
    first.to_owned()
}

/// A checkpoint with one tensor or setting put in the place of another.
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

#[test]
fn checkpoints_that_are_none_are_refused() {
    let desk = Desk::new();
    desk.run(&format!("train vae {TRAIN} --out out"));
    let good = desk.read("out/model.safetensors");
    let mut noise = Noise::seed(1);
    let random: Vec<u8> = noise.draws(5000).map(|draw| draw as u8).collect();
    let mut flipped = good.clone();
    flipped[9] ^= 0xff;
    let one = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).unwrap();
    let foreign = safetensors::serialize([("weight", one)], None).unwrap();
    let mut lines = Vec::new();
    for bytes in [&b""[..], b"short", &random, &good[..good.len() / 2], &good[..100], &flipped, &foreign] {
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
    error: out/model.safetensors: expected a whole safetensors file, found invalid header length
    error: out/model.safetensors: expected a whole safetensors file, found invalid UTF-8 in header: invalid utf-8 sequence of 1 bytes from index 1
    error: out/model.safetensors: expected a checkpoint written by reparam, found safetensors of another origin
    error: out/model.safetensors: cannot read: No such file or directory (os error 2)
    error: out/model.safetensors: cannot read: No such file or directory (os error 2)
    error: never/model.safetensors: cannot read: No such file or directory (os error 2)
    error: out: cannot read: Is a directory (os error 21)
    ");
}

#[test]
fn checkpoints_that_lack_something_are_refused() {
    let desk = Desk::new();
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
        ("tau", None),
        ("tau", Some("warm")),
        ("tau", Some("0")),
        ("hidden", Some("16,16")),
        ("hidden", Some("x")),
        ("classes", Some("1")),
        ("latents", Some("999999999")),
        ("hidden", Some("32768")),
        ("hidden", Some("16,32768")),
        ("model", Some("gan")),
        ("step", Some("-1")),
    ] {
        lines.push(refused_alike(&desk, &changed(&good, keep, setting)));
    }
    assert_snapshot!(all(lines), @"
    error: out/model.safetensors: expected a tensor `encoder.0.weight` of shape [144, 16], found none
    error: out/model.safetensors: expected a tensor `decoder.0.bias` of shape [16], found one of shape [2, 8]
    error: out/model.safetensors: expected the setting `tau`, found none
    error: out/model.safetensors: expected a readable setting `tau`, found `warm`
    error: out/model.safetensors: expected settings that can be run, found tau: expected a number from 0.001 to 1000 at every step, found 0
    error: out/model.safetensors: expected a tensor `encoder.1.weight` of shape [16, 16], found one of shape [16, 12]
    error: out/model.safetensors: expected layer widths, found `x`
    error: out/model.safetensors: expected settings that can be run, found classes: expected at least 2, found 1
    error: out/model.safetensors: expected settings that can be run, found latents x classes: expected at most 32768, found 3999999996
    error: out/model.safetensors: expected the weights of a layer from 72 to 32768 units, found 15684 numbers in all
    error: out/model.safetensors: expected the weights of a layer from 16 to 32768 units, found 15684 numbers in all
    error: out/model.safetensors: expected a readable setting `model`, found `gan`
    error: out/model.safetensors: expected a readable setting `step`, found `-1`
    ");

    // What a run has from its data.
    let mut lines = Vec::new();
    for rows in ["18446744073709551615", "0"] {
        let changed = changed(&good, keep, ("images.rows", Some(rows)));
        fs::write(desk.path("out/model.safetensors"), changed).unwrap();
        lines.push(desk.refused("eval out/model.safetensors --data data"));
    }
    assert_snapshot!(all(lines), @"
    error: out/model.safetensors: expected a tensor `pixel_mean` of shape [18446744073709551615], found one of shape [144]
    error: out/model.safetensors: expected a tensor `pixel_mean` of shape [0], found one of shape [144]
    ");

    // What only a run needs: the model alone can still be used.
    let mut lines = Vec::new();
    let missing = changed(&good, |name, _, _| name != "optimizer.mean.encoder.0.weight", as_is);
    for bytes in [
        missing,
        changed(&good, keep, ("window", Some("1 2"))),
        changed(&good, keep, ("order.cursor", Some("251"))),
        changed(&good, keep, ("noise.start", None)),
    ] {
        fs::write(desk.path("out/model.safetensors"), bytes).unwrap();
        desk.run("eval out/model.safetensors --data data --samples 1");
        lines.push(desk.refused("train vae --data data --out out --resume"));
    }
    assert_snapshot!(all(lines), @"
    error: out/model.safetensors: expected a tensor `optimizer.mean.encoder.0.weight` of shape [144, 16], found none
    error: out/model.safetensors: expected 3 numbers in the setting `window`, found `1 2`
    error: out/model.safetensors: expected at most 250, the number of examples, in the setting `order.cursor`, found 251
    error: out/model.safetensors: expected the setting `noise.start`, found none
    ");
}

#[test]
fn checkpoints_of_something_else_are_refused() {
    let desk = Desk::new();
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
    error: vae/model.safetensors: expected a checkpoint of the data 250+50+20x12x12-26086cb50332956d, found one of 250+50+20x12x12-b868ff7c38c6c316
    error: vae/model.safetensors: expected a checkpoint of the data 10+2+20x12x12-5d96b619d78bb7d8, found one of 250+50+20x12x12-b868ff7c38c6c316
    error: mlp/model.safetensors: expected a model that draws images (vae or semi), found a classifier (mlp)
    error: --samples: expected it with a vae, sbn or semi checkpoint only, found one of mlp
    ");
    #[cfg(feature = "embedded")]
    assert_snapshot!(desk.refused("eval mlp/model.safetensors"), @"error: the data: expected images of 12 x 12 pixels, as the model was trained on, found 28 x 28");
}

#[test]
fn places_that_cannot_be_written_are_refused() {
    let desk = Desk::new();
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

/// Runs the binary where no file may grow beyond `blocks` of 1,024 bytes: to it, the disk is full then.
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
    let desk = Desk::new();
    let line = format!("train vae {TRAIN} --out out");
    let mut lines = vec![desk.error(&line, &on_a_full_disk(&desk, 8, &line))];
    assert_eq!(desk.names("out"), ["metrics.jsonl"]);
    assert_eq!(desk.metrics("out/metrics.jsonl").len(), 0);

    // A checkpoint that is there stays.
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
    assert_eq!(desk.names("other"), ["model.safetensors"]);
    assert_snapshot!(all(lines), @"
    error: out/model.safetensors: cannot write: File too large (os error 27)
    error: out/model.safetensors: cannot write: File too large (os error 27)
    error: mlp/metrics.jsonl: cannot write: File too large (os error 27)
    error: /dev/full: cannot write: No space left on device (os error 28)
    ");
}

#[test]
fn a_reader_that_goes_away_is_no_mistake() {
    let desk = Desk::new();
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
    let desk = Desk::new();
    let lines = [
        "mlp --latents 3",
        "semi --classes 4",
        "mlp --tau 1",
        "mlp --straight-through-from 5",
        "mlp --samples 2",
    ]
    .map(|line| desk.refused(&format!("train {line} --data data --out out")));
    assert_snapshot!(all(lines), @"
    error: --latents: expected it with vae, sbn or semi only, found mlp
    error: --classes: expected it with vae or sbn only, found semi
    error: --tau: expected it with vae, sbn or semi only, found mlp
    error: --straight-through-from: expected it with vae, sbn or semi only, found mlp
    error: --samples: expected it with vae, sbn or semi only, found mlp
    ");
    assert!(!desk.path("out").exists());
}

#[test]
fn a_run_that_diverges_says_so() {
    let desk = Desk::new();
    for (model, flags) in [("vae", TRAIN), ("mlp", TRAIN_MLP)] {
        desk.run(&format!("train {model} {flags} --out {model}"));
        let line = format!("train {model} {flags} --optimizer sgd --learning-rate 1e30 --out {model}");
        let error = desk.error(&line, &desk.output(&line));
        assert!(error.starts_with("error: the loss: expected a finite number, found "), "{error}");
        // Not the model of the run before, and none with NaN in it.
        let model = Trained::load(&desk.path(model).join("model.safetensors")).unwrap();
        assert_eq!((model.step, model.settings.optimizer), (0, OptimizerKind::Sgd));
    }
}

#[test]
fn tape_shows_every_model_in_every_format() {
    let desk = Desk::new();
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
    node                           shape  value B  saved B  gradient B  value                gradient
    %0* variable                  [1, 3]       12        0          12  1 -2 2               -0.112 0.00673 0.105
    %1 input                      [1, 3]       12        0           0  1 2 3
    %2* gumbel_softmax(%0)        [1, 3]       12       16          12  0.0562 0.891 0.0524  1 2 3
    %3 stop_gradient(%2)          [1, 3]        0        0           0  0.0562 0.891 0.0524
    %4 st_argmax(%3)              [1, 3]       12        0           0  0 1 0
    %5* with_gradient_of(%4, %2)  [1, 3]        0        0          12  0 1 0                1 2 3
    %6* mul(%5, %1)               [1, 3]       12        0          12  0 2 0                1 1 1
    %7* sum(%6)                       []        4        0           4  2                    1
    total                                      64       16          52
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
    let desk = Desk::new();
    for format in ["svg", "html"] {
        let line = format!("tape gumbel-softmax --format {format} --out tape.{format}");
        desk.run(&line);
        let path = committed_pictures().join(format!("tape.{format}"));
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
    let desk = Desk::new();
    let steps =
        ModelKind::ALL.iter().map(|&model| format!("{} for {model}", Settings::defaults(model).steps));
    let batch = |model| Settings::defaults(model).batch;
    let batches = format!("{}, {} for semi", batch(ModelKind::Vae), batch(ModelKind::Semi));
    for (flag, default) in [("--steps", steps.collect::<Vec<_>>().join(", ")), ("--batch", batches)] {
        let help = desk.run("train --help");
        let line = help.lines().find(|line| line.contains(flag)).unwrap();
        assert!(line.ends_with(&format!("[default: {default}]")), "{line}");
    }
    assert_snapshot!(desk.run("--help"), @"
    Train and look at small stochastic neural nets

    Usage: reparam <COMMAND>

    Commands:
      train      Train a model, evaluate it with hard samples, and write a checkpoint, metrics and a picture
      eval       Evaluate a checkpoint with hard samples
      sample     Draw images from a checkpoint
      reproduce  Run a paper's table cell by cell, beside the paper's figures
      lab        Hold estimators of discrete gradients against the exact gradient: bias, variance, cosine, cost
      figures    Draw the pictures of the documentation
      bench      Measure kernels and training steps on this machine
      tape       Show the tape of a small model: text, DOT, a picture, or a page that steps through it
      data       Look at data, or pack IDX files into the embedded format
      help       Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version
    ");
    assert_snapshot!(desk.run("train --help"), @r#"
    Train a model, evaluate it with hard samples, and write a checkpoint, metrics and a picture

    Usage: reparam train [OPTIONS] <MODEL>

    Arguments:
      <MODEL>  What to train: vae (categorical variational autoencoder), sbn (belief net that draws lower halves of images from upper ones), semi (images of which a hundred have a label) or mlp (classifier)

    Options:
          --seed <N>                   Where all randomness comes from [default: 1]
          --steps <N>                  Steps; the default schedules end with them [default: 18000 for vae, 20000 for sbn, 4000 for semi, 5000 for mlp]
          --batch <N>                  Images per step, those without a label [default: 100, 250 for semi]
          --hidden <WIDTHS>            Widths of the hidden layers, like 512,256, or "none" [default: 512,256 for vae, 400 for semi, 256,128 for mlp; sbn has none]
          --latents <N>                Latent variables: categorical ones of vae and of both layers of sbn, normal ones of semi [default: 20, 10 for semi]
          --classes <N>                Classes of each categorical latent variable [default: 10]
          --optimizer <NAME>           adam, adamw or sgd [default: adam]
          --learning-rate <SCHEDULE>   Learning rate: a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO [default: 2e-3 for vae and semi, 3e-3 for sbn, 1e-3 for mlp, falling to 1 % of it over the last 60 % of the steps]
          --beta1 <X>                  Decay of adam's and adamw's mean of gradients [default: 0.6 for vae, 0.9 for others]
          --beta2 <X>                  Decay of adam's and adamw's mean of squared gradients [default: 0.99 for vae and sbn, 0.999 for others]
          --momentum <X>               Momentum of sgd [default: 0.9]
          --weight-decay <X>           Weight decay of adamw and sgd [default: 0]
          --tau <SCHEDULE>             Temperature: a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO [default: from 1, falling to 0.1 over all steps, to 0.5 for semi; 1 for sbn]
          --straight-through-from <N>  First step whose samples are straight-through instead of relaxed [default: never]
          --clip-norm <X>              Largest norm of the gradient; 0 for no limit [default: 0]
          --validate-every <N>         Steps between evaluations on the validation images; 0 for none [default: 2000]
          --patience <N>               Stop after so many evaluations without improvement and keep the best; 0 for never [default: 0]
          --samples <N>                Hard samples per test image in the bound on -ln p [default: 100]
          --out <DIR>                  Folder for model.safetensors, metrics.jsonl and digits.png [default: out/MODEL]
          --json <FILE>                File for the metrics, one JSON object a line [default: metrics.jsonl in the output folder]
          --resume                     Go on from the checkpoint in the output folder, with the settings it was begun with
          --data <PATH>                Folder of IDX files (MNIST, Fashion-MNIST, ...; plain or .gz), binarized afresh at every use, or a file that `reparam data pack` wrote, instead of the embedded fixed-binarized MNIST
          --threads <N>                Threads to work on; what is computed does not depend on it [default: one per core]
      -h, --help                       Print help
    "#);
    assert_snapshot!(desk.run("eval --help"), @"
    Evaluate a checkpoint with hard samples

    Usage: reparam eval [OPTIONS] <CHECKPOINT>

    Arguments:
      <CHECKPOINT>  Checkpoint that `reparam train` wrote

    Options:
          --split <SPLIT>  Images to evaluate on: train, validation or test [default: test]
          --samples <N>    Hard samples per image in the bound on -ln p [default: 100]
          --seed <N>       Where the randomness comes from [default: 1]
          --json <FILE>    Write the scores as a JSON line
          --data <PATH>    Folder of IDX files (MNIST, Fashion-MNIST, ...; plain or .gz), binarized afresh at every use, or a file that `reparam data pack` wrote, instead of the embedded fixed-binarized MNIST
          --threads <N>    Threads to work on; what is computed does not depend on it [default: one per core]
      -h, --help           Print help
    ");
    assert_snapshot!(desk.run("sample --help"), @"
    Draw images from a checkpoint

    Usage: reparam sample [OPTIONS] <CHECKPOINT>

    Arguments:
      <CHECKPOINT>  Checkpoint that `reparam train vae` or `reparam train semi` wrote; images of the latter go through the classes in turn

    Options:
          --count <N>    Number of images [default: 100]
          --seed <N>     Where the randomness comes from [default: 1]
          --out <FILE>   Picture to write [default: samples.png]
          --threads <N>  Threads to work on; what is computed does not depend on it [default: one per core]
      -h, --help         Print help
    ");
    assert_snapshot!(desk.run("tape -h"), @"
    Show the tape of a small model: text, DOT, a picture, or a page that steps through it

    Usage: reparam tape [OPTIONS] [MODEL]

    Arguments:
      [MODEL]  Whose tape [default: gumbel-softmax] [possible values: polynomial, gumbel-softmax, straight-through, mlp, vae]

    Options:
          --format <FORMAT>  How to show it [default: text] [possible values: text, dot, svg, html]
          --seed <N>         Where the randomness comes from [default: 1]
          --out <FILE>       File to write [default: standard output]
      -h, --help             Print help (see more with '--help')
    ");
    assert_snapshot!(desk.run("data --help"), @"
    Look at data, or pack IDX files into the embedded format

    Usage: reparam data <COMMAND>

    Commands:
      pack     Binarize a folder of IDX files once and for all and pack it into one file, as the embedded one was made
      inspect  Print what a data set holds
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help
    ");
    assert_snapshot!(desk.run("data pack --help"), @"
    Binarize a folder of IDX files once and for all and pack it into one file, as the embedded one was made

    Usage: reparam data pack [OPTIONS] <DIR>

    Arguments:
      <DIR>  Folder of the four IDX files, plain or .gz

    Options:
          --out <FILE>  File to write [default: binarized.gz]
      -h, --help        Print help
    ");
    assert_snapshot!(desk.run("data inspect --help"), @"
    Print what a data set holds

    Usage: reparam data inspect [OPTIONS] [PATH]

    Arguments:
      [PATH]  A folder of IDX files or a packed file [default: the embedded data]

    Options:
          --picture <FILE>  Write a picture of the first 100 training images
      -h, --help            Print help
    ");
}

/// One line per measurement with the documented fields, and equal checksums at any number of threads.
#[test]
fn bench_kernels_writes_what_json_md_says() {
    let desk = Desk::new();
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
    let desk = Desk::new();
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
    }
    assert_eq!(lines[0]["allocations_per_step"], 0.0);
}

#[test]
fn bench_refuses_sizes_that_cannot_be() {
    let desk = Desk::new();
    let lines = ["0x10", "10", "ax3", "99999999x99999"]
        .map(|size| desk.misused(&format!("bench kernels --size {size}")));
    assert_snapshot!(all(lines), @r"
    error: invalid value '0x10' for '--size <ROWSxCLASSES>': expected a size like 2000x10, of at most 268435456 elements, found `0x10`
    error: invalid value '10' for '--size <ROWSxCLASSES>': expected a size like 2000x10, of at most 268435456 elements, found `10`
    error: invalid value 'ax3' for '--size <ROWSxCLASSES>': expected a size like 2000x10, of at most 268435456 elements, found `ax3`
    error: invalid value '99999999x99999' for '--size <ROWSxCLASSES>': expected a size like 2000x10, of at most 268435456 elements, found `99999999x99999`
    ");
}

fn json_lines(desk: &Desk, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(desk.path(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lab_writes_what_json_md_says() {
    let desk = Desk::new();
    let flags =
        "--problem toy:0.45,quadratic:3 --estimator exact,disarm,rloo:2,gumbel-softmax:1 --quick --threads 1";
    let table = desk.run(&format!("lab {flags} --json lab.jsonl --plot pictures"));
    assert!(table.contains("disarm") && table.contains("it treats bits"), "{table}");
    let lines = json_lines(&desk, "lab.jsonl");
    for line in &lines {
        for field in [
            "samples",
            "bias",
            "bias_standard_error",
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
    }
    let of = |problem: &str, estimator: &str| {
        lines.iter().find(|line| line["problem"] == problem && line["estimator"] == estimator)
    };
    assert!(of("toy:0.45", "disarm").is_some() && of("quadratic:3", "disarm").is_none());
    assert_eq!(of("toy:0.45", "gumbel-softmax:1").unwrap()["unbiased"], false);
    for picture in ["histogram-toy-0.45", "temperature-cubic", "samples", "training-0.49"] {
        let svg = fs::read_to_string(desk.path(&format!("pictures/{picture}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("polyline"), "{picture}");
    }
}

#[test]
fn lab_is_the_same_at_any_number_of_threads() {
    let desk = Desk::new();
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
    let desk = Desk::new();
    let variance = |adapt: u32| {
        desk.run(&format!(
            "lab --problem toy:0.45 --estimator moving-average --samples 5000 --adapt {adapt} --json {adapt}.jsonl"
        ));
        json_lines(&desk, &format!("{adapt}.jsonl"))[0]["variance"].as_f64().unwrap()
    };
    // Without a mean yet it is the plain score function.
    assert!(variance(100) < 0.2 * variance(0));
}

#[test]
fn lab_refuses_what_it_cannot_do() {
    let desk = Desk::new();
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
    error: problem: expected one of toy:T, polynomial:POWER, quadratic:CLASSES, vae:LATENTSxCLASSES, of at most 65536 states, found `foo`
    error: rloo:x: expected a whole number of samples, found `x`
    error: lab: expected an estimator that treats one of the problems, found none, see above
    error: no-such-folder: expected a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), found nothing
    error: --data: expected it with a problem vae:LATENTSxCLASSES only, found data
    error: invalid value '3' for '--samples <N>': expected a whole number from 100 to 4294967295, found `3`
    "
    );
}

/// The pictures in docs/figures that do not go through matrix products and take no time.
const PICTURES: [&str; 3] = ["temperature", "simplex", "straight-through"];

fn committed_pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/figures")
}

#[test]
fn figures_are_those_of_the_docs_at_any_number_of_threads() {
    let desk = Desk::new();
    for threads in [1, 3] {
        let said =
            desk.run(&format!("figures --only {} --out pictures --threads {threads}", PICTURES.join(",")));
        assert_eq!(said.lines().collect::<Vec<_>>(), PICTURES);
        let mut files = PICTURES.map(|name| [format!("{name}.png"), format!("{name}.svg")]).concat();
        files.sort();
        assert_eq!(desk.names("pictures"), files);
        for file in &files {
            let (drawn, committed) =
                (desk.read(&format!("pictures/{file}")), fs::read(committed_pictures().join(file)).unwrap());
            // The last digits of a PNG file's colours may be others on another processor.
            let comparable = file.ends_with(".svg") || cfg!(target_arch = "x86_64");
            assert!(
                drawn == committed || !comparable,
                "docs/figures/{file} is not what `reparam figures` draws"
            );
        }
    }
}

/// Markdown ends an inlined picture at an empty line; what has no viewBox does not shrink with the page.
#[test]
fn pictures_can_be_inlined() {
    let mut count = 0;
    for entry in fs::read_dir(committed_pictures()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "svg") {
            continue;
        }
        let svg = fs::read_to_string(&path).unwrap();
        // A tape is as wide as its nodes.
        let is_tape = path.ends_with("tape.svg");
        let head = svg.lines().next().unwrap();
        assert!(is_tape || head.starts_with("<svg width=\"960\""), "{}: not 960 wide", path.display());
        assert!(head.contains("viewBox"), "{}: no viewBox", path.display());
        assert!(svg.lines().all(|line| !line.trim().is_empty()), "{}: an empty line", path.display());
        assert!(svg.len() < 150_000, "{}: {} bytes", path.display(), svg.len());
        count += 1;
    }
    assert!(count >= 11, "{count} pictures");
}

#[test]
fn figures_refuses_what_it_cannot_do() {
    let desk = Desk::new();
    assert_snapshot!(
        [
            desk.refused("figures --only foo,temperature"),
            desk.refused("figures --only temperature --out data/t10k-labels-idx1-ubyte/pictures"),
        ]
        .join("\n"),
        @"
    error: --only: expected some of temperature, simplex, tails, straight-through, gradients, bias-variance, tape, digits, code-usage, found `foo`
    error: data/t10k-labels-idx1-ubyte/pictures: cannot create the folder: Not a directory (os error 20)
    "
    );
}

/// The cells of a table that take no time.
const REPRODUCE: &str = "--data data --samples 2 --threads 1";
/// The same where the number of samples is fixed.
const ONE_SAMPLE: &str = "--data data --threads 1";

/// The documented fields, of the documented types; returns `row | column` of each line.
fn check_results(desk: &Desk, file: &str, table: &str) -> Vec<String> {
    let lines = json_lines(desk, file);
    for line in &lines {
        assert_eq!(line["table"], table);
        for field in ["ours", "standard_error", "validation", "seconds", "learning_rate"] {
            assert!(line[field].is_f64(), "{field} in {line}");
        }
        for field in ["steps", "best_step", "seed", "batch", "training_samples", "test_samples"] {
            assert!(line[field].is_u64(), "{field} in {line}");
        }
        assert!(line["paper"].is_f64() || line["paper"].is_null(), "{line}");
        assert!(line["optimizer"].as_str().unwrap().starts_with("adam "), "{line}");
    }
    let curves = json_lines(desk, &file.replace(".jsonl", ".curves.jsonl"));
    let name =
        |line: &Value| ["row", "column"].map(|field| line[field].as_str().unwrap().to_owned()).join(" | ");
    let names: Vec<String> = lines.iter().map(name).collect();
    assert_eq!(curves.iter().map(name).collect::<Vec<_>>(), names);
    assert!(curves.iter().all(|curve| !curve["curve"].as_array().unwrap().is_empty()));
    assert!(!desk.path(&file.replace(".jsonl", ".work")).exists());
    names
}

#[test]
fn reproduce_runs_every_cell_of_jangs_table_once() {
    let desk = Desk::new();
    let line = format!("reproduce jang-table1 {REPRODUCE} --steps 3 --json jang.jsonl --label abc");
    let said = desk.run(&line);
    assert!(said.contains("VAE categorical, 200") && !said.contains('±'), "{said}");
    let names = check_results(&desk, "jang.jsonl", "jang-table1");
    assert_eq!((names.len(), names.iter().collect::<HashSet<_>>().len()), (35, 35));
    assert!(json_lines(&desk, "jang.jsonl").iter().all(|line| line["label"] == "abc"));
    let before = desk.read("jang.jsonl");
    desk.run(&line);
    assert!(desk.read("jang.jsonl") == before, "a cell was run again");
}

/// The settings of a line are those of the short runs that were better than all before them, the last one of each kind.
fn check_chosen(line: &Value) {
    let mut best = f64::INFINITY;
    let mut chosen: Vec<[&str; 2]> = Vec::new();
    for trial in line["search"].as_array().unwrap() {
        let (kind, value) = trial["choice"].as_str().unwrap().split_once(' ').unwrap();
        let validation = trial["validation"].as_f64().unwrap();
        if kind != "in" && validation < best {
            best = validation;
            chosen.retain(|[other, _]| *other != kind);
            chosen.push([kind, value]);
        }
    }
    for [kind, value] in chosen {
        let is_chosen = match kind {
            "betas" => line["optimizer"] == format!("adam {value}"),
            "tau" => {
                let (start, end) = value.split_once(" to ").unwrap();
                line["tau"] == serde_json::json!([start.parse::<f64>().unwrap(), end.parse::<f64>().unwrap()])
            }
            "estimator" => line["estimator"] == value,
            _ => true,
        };
        assert!(is_chosen, "{kind} {value} in {line}");
    }
}

#[test]
fn reproduce_chooses_settings_on_the_validation_split() {
    let desk = Desk::new();
    desk.run(&format!(
        "reproduce jang-table1 {REPRODUCE} --steps 20 --budget full --only annealed,MuProp --json jang.jsonl"
    ));
    check_results(&desk, "jang.jsonl", "jang-table1");
    for line in json_lines(&desk, "jang.jsonl") {
        let search = line["search"].as_array().unwrap();
        let best_of = |start: &str| {
            let named = search.iter().filter(|trial| trial["choice"].as_str().unwrap().starts_with(start));
            let score = |trial: &&Value| trial["validation"].as_f64().unwrap();
            let best = named.min_by(|a, b| score(a).total_cmp(&score(b))).unwrap();
            let rate = best["choice"].as_str().unwrap().rsplit(' ').next().unwrap().parse::<f64>();
            (rate.unwrap(), score(&best))
        };
        // Rates, then other estimators or temperatures, then other decays; each choice that changes something is tried once.
        let is_sbn = line["row"].as_str().unwrap().starts_with("SBN");
        let short = match (line["column"].as_str(), is_sbn) {
            (Some("MuProp"), true) => 2 + 1 + 1,
            (Some("MuProp"), false) => 3 + 1 + 1,
            (_, true) => 2 + 3 + 1,
            (_, false) => 4 + 3 + 1,
        };
        assert_eq!(search.len(), short + 2, "{line}");
        // The first stage is the learning rate; the last two runs are in full, at that rate and at a third of it.
        let (short, _) = best_of("learning rate");
        let (full, validation) = best_of("in full");
        let chosen = line["learning_rate"].as_f64().unwrap();
        assert!([short, short / 3.0].iter().any(|rate| (chosen / rate - 1.0).abs() < 1e-6), "{line}");
        assert!((full / chosen - 1.0).abs() < 0.05, "{line}");
        assert_eq!(line["validation"], validation, "{line}");
        check_chosen(&line);
    }
}

/// On images so few, more steps learn them by heart.
#[test]
fn a_short_run_counts_where_it_is_the_best_one() {
    let desk = Desk::new();
    desk.write_data("few", 120, 3);
    let line = "reproduce jang-table1 --data few --samples 2 --threads 1 --steps 1500 --budget full";
    let name = ["--json", "jang-table1.jsonl", "--only", "SBN bernoulli / ST"];
    let output = desk.command(line).args(name).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let [line, curve] =
        ["jang-table1.jsonl", "jang-table1.curves.jsonl"].map(|file| json_lines(&desk, file).remove(0));
    let search = line["search"].as_array().unwrap();
    let scores = search.iter().map(|trial| trial["validation"].as_f64().unwrap());
    assert_eq!(line["validation"].as_f64(), scores.min_by(f64::total_cmp), "{line}");
    assert_eq!([&line["steps"], &line["short_steps"]], [1500, 300], "{line}");
    assert_eq!(curve["curve"].as_array().unwrap().last().unwrap()[0], 300);

    desk.run("reproduce report --from . --out page.md");
    let page = text(&desk.read("page.md"));
    assert!(page.contains(" | 300 | ") && page.contains("(jang-table1.0.svg)"), "{page}");
}

#[test]
fn reproduce_runs_the_concrete_and_the_modern_table() {
    let desk = Desk::new();
    let quick = format!("{REPRODUCE} --steps 2");
    desk.run(&format!("reproduce concrete {quick} --json concrete.jsonl"));
    let names = check_results(&desk, "concrete.jsonl", "concrete");
    assert_eq!(names.len(), 16);
    assert!(names.contains(&"(200H~200H~784V) | VIMCO, m = 5".to_owned()), "{names:?}");
    let said = desk.run(&format!("reproduce modern {quick} --json modern.jsonl"));
    assert!(said.contains('±'), "{said}");
    let names = check_results(&desk, "modern.jsonl", "modern");
    assert_eq!(names.len(), 3 * (10 + 8), "{names:?}");
    assert!(json_lines(&desk, "modern.jsonl").iter().all(|line| line["paper"].is_null()));
}

#[test]
fn reproduce_runs_the_semi_supervised_table_and_its_cost() {
    let desk = Desk::new();
    let said = desk.run(&format!("reproduce semi-supervised {ONE_SAMPLE} --steps 3 --json semi.jsonl"));
    assert!(said.contains("images are binarized anew in every batch"), "{said}");
    assert!(said.contains("virtual adversarial training"), "{said}");
    let lines = json_lines(&desk, "semi.jsonl");
    let names: Vec<String> = lines.iter().map(|line| format!("{} {}", line["row"], line["column"])).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for pair in lines.chunks(2) {
        assert_eq!(
            (pair[0]["column"].as_str(), pair[1]["column"].as_str()),
            (Some("-ELBO"), Some("accuracy (%)"))
        );
        assert!((0.0..=100.0).contains(&pair[1]["ours"].as_f64().unwrap()));
        // The share of wrong answers on the validation images.
        assert!((0.0..=1.0).contains(&pair[0]["validation"].as_f64().unwrap()));
    }
    let cost = json_lines(&desk, "semi.cost.jsonl");
    assert_eq!(cost.len(), 10);
    for line in &cost {
        for field in ["ours", "us_per_step", "us_per_step_marginalization", "seconds"] {
            assert!(line[field].as_f64().unwrap() > 0.0, "{field} in {line}");
        }
    }
    let before = desk.read("semi.cost.jsonl");
    let said = desk.run(&format!("reproduce semi-supervised {ONE_SAMPLE} --only cost --json semi.jsonl"));
    assert!(said.contains("as measured before") && said.contains("(paper 9.9)"), "{said}");
    assert!(desk.read("semi.cost.jsonl") == before, "it was measured again");
    let steps = format!("reproduce semi-supervised {ONE_SAMPLE} --only cost --steps 7 --json semi.jsonl");
    assert_snapshot!(desk.refused(&steps), @"error: --steps: expected no such flag with `--only cost`: the budget says how many steps are timed, found 7");
    let full = format!("reproduce semi-supervised {ONE_SAMPLE} --only cost --budget full --json semi.jsonl");
    assert_snapshot!(desk.refused(&full), @"error: semi.cost.jsonl: expected nothing or medians of 20 steps; another --json keeps both, found medians of 3");
    let svg = fs::read_to_string(desk.path("semi.cost.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("ST Gumbel-Softmax"));

    assert_snapshot!(desk.refused(&format!("reproduce semi-supervised {REPRODUCE}")), @r"
    error: --samples: expected no such flag here: the test figure is -ELBO, the bound of one sample, found 2
    ");

    // As many images as a step takes are not there.
    desk.write_data("few", 40, 3);
    let few = desk.output("reproduce semi-supervised --data few --steps 1 --json few.jsonl");
    assert_snapshot!(desk.error("few", &few), @"error: batch: expected at most the 34 training images, found 250");
}

/// The page in the repository is what its files make, pictures included.
#[test]
fn the_page_of_results_is_made_from_its_files() {
    let desk = Desk::new();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::create_dir(desk.path("results")).unwrap();
    for entry in fs::read_dir(docs.join("results")).unwrap() {
        let path = entry.unwrap().path();
        let copy = desk.path("results").join(path.file_name().unwrap());
        if path.extension().is_some_and(|ending| ending == "jsonl" || ending == "md") {
            fs::copy(&path, copy).unwrap();
        } else if path.is_dir() {
            // What models drew: only that it is there counts.
            fs::create_dir(&copy).unwrap();
            fs::read_dir(path).unwrap().for_each(|picture| {
                fs::write(copy.join(picture.unwrap().file_name()), b"").unwrap();
            });
        }
    }
    desk.run("reproduce report --from results --out results.md");
    let page = text(&desk.read("results.md"));
    let said = fs::read_to_string(docs.join("results.md")).unwrap();
    assert!(page == said, "run `reparam reproduce report` and look at the changes");
    for name in desk.names("results").iter().filter(|name| name.ends_with(".svg")) {
        let picture = fs::read(docs.join("results").join(name)).unwrap_or_default();
        assert!(picture == desk.read(&format!("results/{name}")), "{name}");
    }
}

#[test]
fn a_report_holds_every_table_and_its_pictures() {
    let desk = Desk::new();
    fs::create_dir(desk.path("results")).unwrap();
    let steps = "--steps 401 --json results";
    desk.run(&format!("reproduce modern {REPRODUCE} --only disarm {steps}/modern.jsonl"));
    let semi = format!("reproduce semi-supervised {ONE_SAMPLE}");
    desk.run(&format!("{semi} --only ST {steps}/semi-supervised.jsonl"));
    desk.run(&format!("{semi} --only cost --json results/semi-supervised.jsonl"));
    desk.run("reproduce report --from results --out page.md");
    let page = text(&desk.read("page.md"));
    for part in [
        "| disarm | ",
        " ± ",
        "| ST Gumbel-Softmax | ",
        " / 93.6 / ",
        "![time of a step against the number of classes](results/semi-supervised.cost.svg)",
        "(results/modern.0.svg)",
        "![images of disarm, VAE bernoulli, seed 2](results/modern.drawn/disarm-VAE-bernoulli-2.png)",
        "(results/semi-supervised.drawn/ST-Gumbel-Softmax--ELBO-1.png)",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(text(&desk.read("results/modern.0.svg")).starts_with("<svg"));
    assert!(is_picture(&desk.read("results/modern.drawn/disarm-VAE-bernoulli-2.png")));

    fs::create_dir(desk.path("empty")).unwrap();
    let lines = [
        desk.refused("reproduce report --from empty --out page.md"),
        desk.refused("reproduce report --from results --out missing/page.md"),
    ];
    assert_snapshot!(all(lines), @"
    error: empty: expected a folder with one of jang-table1.jsonl, concrete.jsonl, semi-supervised.jsonl, modern.jsonl, found none
    error: missing/page.md: cannot write: No such file or directory (os error 2)
    ");
}

/// What a file of results says, without the time it took.
fn figures(desk: &Desk, file: &str) -> Vec<Value> {
    let mut lines = json_lines(desk, file);
    lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("seconds")));
    lines
}

#[test]
fn an_interrupted_cell_goes_on_as_if_nothing_had_happened() {
    let desk = Desk::new();
    let flags = "--data data --samples 2 --steps 400 --budget full --only DARN";
    let line = |file: &str| format!("reproduce jang-table1 {flags} --json {file}");
    // Left of another run, whose file with its settings has been removed.
    fs::create_dir(desk.path("whole.work")).unwrap();
    fs::write(desk.path("whole.work/SBN-bernoulli-DARN-1.0.safetensors"), "of other settings").unwrap();
    desk.run(&line("whole.jsonl"));
    assert!(!desk.path("whole.work").exists());
    let mut interruptions = 0;
    loop {
        let mut run = Running::start(&desk, &line("cut.jsonl"));
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(400) && run.0.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(5));
        }
        if run.0.try_wait().unwrap().is_none() {
            run.signal("INT");
        }
        let (code, said) = run.end();
        if code == Some(0) {
            break;
        }
        assert_eq!(code, Some(130), "{said}");
        assert!(
            said.ends_with("stopped; the same command goes on where it was, with the results in cut.jsonl\n"),
            "{said}"
        );
        if interruptions == 0 {
            let other = line("cut.jsonl").replace("400", "401");
            let error = desk.error(&other, &desk.output(&other));
            assert_snapshot!(error, @"error: cut.work/SBN-bernoulli-DARN-1.json: expected a cell of this command's settings and data (remove it to begin again), found one of others");
        }
        interruptions += 1;
        assert!(interruptions < 100);
    }
    assert!(interruptions > 0);
    assert_eq!(figures(&desk, "cut.jsonl"), figures(&desk, "whole.jsonl"));
    assert!(desk.read("cut.curves.jsonl") == desk.read("whole.curves.jsonl"));
    assert_eq!(desk.names("cut.drawn"), desk.names("whole.drawn"));
    for name in desk.names("whole.drawn") {
        assert!(
            desk.read(&format!("cut.drawn/{name}")) == desk.read(&format!("whole.drawn/{name}")),
            "{name}"
        );
    }
}

#[test]
fn reproduce_refuses_what_it_cannot_do() {
    let desk = Desk::new();
    fs::write(desk.path("bad.jsonl"), "{\"table\":\"jang-table1\"}\n").unwrap();
    let of = |flags: &str| desk.refused(&format!("reproduce jang-table1 {REPRODUCE} --steps 2 {flags}"));
    desk.run(&format!("reproduce jang-table1 {REPRODUCE} --steps 2 --only DARN --json one.jsonl"));
    let error = of("--only DARN --json one.jsonl --samples 3");
    assert!(error.contains("expected no results or ones of 3 test samples"), "{error}");
    assert!(error.contains("found 2 test samples"), "{error}");
    // One table shows all of a file: nothing of another budget gets into it, whatever the cell and its steps.
    let error = of("--only MuProp --json one.jsonl --budget full");
    assert!(error.contains("expected no results or ones of budget full"), "{error}");
    assert!(
        error.contains("found budget quick") && error.contains(" of SBN bernoulli, DARN, seed 1"),
        "{error}"
    );
    let mut lines = vec![
        of("--only nothing-like-it"),
        of("--only DARN,ARN"),
        of("--only cost"),
        of("--json bad.jsonl"),
        of("--json data"),
        desk.refused("reproduce concrete --data nowhere"),
    ];
    lines.extend(
        [
            "reproduce table9",
            "reproduce modern --budget huge",
            "reproduce modern --steps 0",
            "reproduce concrete --seed x",
        ]
        .map(|line| desk.misused(line)),
    );
    assert_snapshot!(all(lines), @r"
    error: --only: expected words of a cell's name, like `SBN bernoulli / score function`, found nothing-like-it
    error: --only: expected words of a cell's name, like `SBN bernoulli / score function`, found ARN
    error: --only: expected words of a cell's name, like `SBN bernoulli / score function`, found cost
    error: bad.jsonl: expected lines that reproduce wrote, found line 1: missing field `row` at line 1 column 23
    error: data: cannot read: Is a directory (os error 21)
    error: nowhere: expected a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (or the same with .gz), found nothing
    error: unrecognized subcommand 'table9'
    error: invalid value 'huge' for '--budget <BUDGET>'
    error: invalid value '0' for '--steps <N>': expected a whole number from 1, found `0`
    error: invalid value 'x' for '--seed <N>': expected a whole number, found `x`
    ");
}
