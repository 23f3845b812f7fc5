//! Ops checked against reference values in f64: the JSON files in `tests/golden`, or in `$GOLDEN_DIR`.
//! (`gradcheck` and the kernels' own tests check the other ops against f64.)
//!
//! An entry of an output may differ from its reference by 2e-7 times the scale given with it; scale 0 means
//! exact. A file with a `model` is a whole training step and states its own tolerance.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use reparam::{Activation, ParamId, Params, Tape, Var};
use reparam_ops::{Tier, adam, sgd_momentum};
use serde_json::{Map, Value};

/// The error allowed for an entry, in units of its output's scale.
const TOLERANCE: f64 = 2e-7;

type Case = Map<String, Value>;

/// The outputs of an op, by the names of the fields that hold the references.
type Outputs = Vec<(&'static str, Vec<f32>)>;

#[test]
fn golden() {
    let directory = match std::env::var_os("GOLDEN_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
    };
    let mut report = Report::default();
    for path in json_files(&directory) {
        let file = read(&path);
        if file.contains_key("model") {
            vae_step(&path, &file, &mut report);
            continue;
        }
        let cases = file.get("cases").and_then(Value::as_array);
        let cases = cases.unwrap_or_else(|| panic!("{}: neither `cases` nor `model` found", path.display()));
        for case in cases {
            let case = case.as_object().unwrap_or_else(|| panic!("{}: a case is no object", path.display()));
            check_case(case, &mut report);
        }
    }
    report.finish(&directory);
}

fn json_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("golden: cannot read directory {}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    assert!(!files.is_empty(), "golden: no .json file in {}", directory.display());
    files.sort();
    files
}

fn read(path: &Path) -> Case {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("golden: cannot read {}: {error}", path.display()));
    match serde_json::from_str(&with_quoted_infinities(&text)) {
        Ok(Value::Object(file)) => file,
        Ok(_) => panic!("golden: {} is no JSON object", path.display()),
        Err(error) => panic!("golden: {} is no JSON: {error}", path.display()),
    }
}

/// Python writes infinities and NaN as bare words, which JSON does not have. Here they become strings.
fn with_quoted_infinities(text: &str) -> String {
    text.split('"')
        .enumerate()
        .map(|(i, part)| match i % 2 {
            0 => {
                part.replace("-Infinity", "\"-inf\"").replace("Infinity", "\"inf\"").replace("NaN", "\"nan\"")
            }
            _ => format!("\"{part}\""),
        })
        .collect()
}

// ------------------------------------------------------------------------------------------------ the report

#[derive(Default)]
struct OpReport {
    cases: usize,
    entries: usize,
    worst: f64,
    worst_at: String,
}

#[derive(Default)]
struct Report {
    ops: BTreeMap<String, OpReport>,
    failures: Vec<String>,
}

impl Report {
    /// Compares an output with its reference.
    fn compare(&mut self, op: &str, output: &str, place: &str, got: &[f32], want: &[f64], tolerance: f64) {
        if got.len() != want.len() {
            let line = format!("{op} ({place}): {output} has {} entries, expected {}", got.len(), want.len());
            return self.failures.push(line);
        }
        let mut worst = (0.0, 0);
        for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
            let error = (f64::from(got) - want).abs();
            // Equal infinities have no difference; a NaN is never close.
            let ratio = if f64::from(got) == want { 0.0 } else { error / tolerance };
            if ratio > worst.0 || ratio.is_nan() {
                worst = (if ratio.is_nan() { f64::INFINITY } else { ratio }, i);
            }
        }
        let report = self.ops.entry(op.to_string()).or_default();
        report.entries += got.len();
        if worst.0 > report.worst {
            report.worst = worst.0;
            report.worst_at = format!("{output}, {place}");
        }
        if worst.0 > 1.0 {
            let (ratio, i) = worst;
            self.failures.push(format!(
                "{op} ({place}): {output}[{i}] is {:e}, expected {:e}: off by {ratio:.3} of the tolerance {tolerance:.3e}",
                got[i], want[i]
            ));
        }
    }

    /// Prints a line per op (past the test's capture), and fails if anything did.
    fn finish(self, directory: &Path) {
        let mut lines = String::new();
        for (op, OpReport { cases, entries, worst, worst_at }) in &self.ops {
            lines += &format!(
                "{op:<31} {cases:>3} cases {entries:>6} entries, worst error {worst:.3} of the tolerance ({worst_at})\n"
            );
        }
        let _ = std::io::stderr().write_all(lines.as_bytes());
        let (failed, place) = (self.failures.len(), directory.display());
        assert!(failed == 0, "golden: {failed} failures in {place}:\n{}", self.failures.join("\n"));
    }
}

// --------------------------------------------------------------------------------------------------- fields

fn field<'a>(case: &'a Case, name: &str) -> &'a Value {
    case.get(name).unwrap_or_else(|| panic!("field `{name}` is missing"))
}

fn number(value: &Value) -> f64 {
    let parsed = match value {
        Value::String(word) => word.parse().ok(),
        other => other.as_f64(),
    };
    parsed.unwrap_or_else(|| panic!("expected a number, found {value}"))
}

/// A number or a flat list of them.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().map(number).collect(),
        other => vec![number(other)],
    }
}

fn floats(case: &Case, name: &str) -> Vec<f32> {
    numbers(field(case, name)).into_iter().map(|x| x as f32).collect()
}

fn float(case: &Case, name: &str) -> f32 {
    number(field(case, name)) as f32
}

fn count(case: &Case, name: &str) -> usize {
    field(case, name).as_u64().unwrap_or_else(|| panic!("field `{name}` is no count")) as usize
}

fn words(case: &Case, name: &str) -> Vec<u32> {
    numbers(field(case, name)).into_iter().map(|x| x as u32).collect()
}

/// `[rows, classes]`, or `[n]` if the op is elementwise.
fn shape(case: &Case) -> Vec<usize> {
    match case.contains_key("rows") {
        true => vec![count(case, "rows"), count(case, "classes")],
        false => vec![count(case, "n")],
    }
}

/// Sizes and temperature of a case, for messages.
fn place(case: &Case) -> String {
    let sizes = ["rows", "classes", "n", "tau", "weight_decay"];
    let present = sizes.iter().filter_map(|name| Some(format!("{name} {}", case.get(*name)?)));
    present.collect::<Vec<_>>().join(", ")
}

// ------------------------------------------------------------------------------------------------- the cases

/// The fields that hold inputs. Every other field of a case is an output, and must be known.
const INPUTS: [&str; 28] = [
    "op",
    "note",
    "rows",
    "classes",
    "n",
    "tau",
    "logits",
    "draws",
    "grad_out",
    "x",
    "mask",
    "fill",
    "log_y",
    "sample_logit",
    "p_logits",
    "q_logits",
    "target",
    "mean",
    "log_std",
    "eps",
    "lr",
    "weight_decay",
    "momentum",
    "betas",
    "parameter",
    "gradients",
    "seed",
    "comment",
];

fn check_case(case: &Case, report: &mut Report) {
    let op = case.get("op").and_then(Value::as_str).unwrap_or("(no op)").to_string();
    let place = place(case);
    report.ops.entry(op.clone()).or_default().cases += 1;
    let outputs = match catch_unwind(AssertUnwindSafe(|| outputs(&op, case))) {
        Ok(Some(outputs)) => outputs,
        Ok(None) => return report.failures.push(format!("{op}: this test does not know the op")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            return report.failures.push(format!("{op} ({place}): panicked: {}", text.unwrap_or_default()));
        }
    };
    for name in case.keys() {
        let output = name.strip_suffix("_scale").unwrap_or(name);
        if output != name && case.contains_key(output) {
            continue;
        }
        if !INPUTS.contains(&output) && !outputs.iter().any(|(known, _)| *known == output) {
            report.failures.push(format!("{op} ({place}): this test does not know the output `{output}`"));
        }
    }
    let mut checked = 0;
    for (name, got) in outputs {
        let Some(want) = case.get(name) else { continue };
        let Some(scale) = case.get(&format!("{name}_scale")) else {
            report.failures.push(format!("{op} ({place}): {name} has no scale"));
            continue;
        };
        report.compare(&op, name, &place, &got, &numbers(want), TOLERANCE * number(scale));
        checked += 1;
    }
    if checked == 0 {
        report.failures.push(format!("{op} ({place}): no output to compare"));
    }
}

/// Differentiates sum(y * grad_out).
struct Run<'t> {
    y: Var<'t>,
    gradients: reparam::Gradients,
}

impl<'t> Run<'t> {
    fn new(case: &Case, y: Var<'t>) -> Run<'t> {
        let grad_out = y.tape().input(&floats(case, "grad_out"), y.shape());
        Run { y, gradients: (y * grad_out).sum().backward() }
    }

    fn value(&self, name: &'static str) -> (&'static str, Vec<f32>) {
        (name, self.y.to_vec())
    }

    fn gradient(&self, name: &'static str, of: Var<'t>) -> (&'static str, Vec<f32>) {
        (name, self.gradients.of(of).expect("it has a gradient").to_vec())
    }
}

/// Runs a case; `None` if the op is unknown.
fn outputs(op: &str, case: &Case) -> Option<Outputs> {
    let tape = Tape::new();
    let on_tape = |name: &str| tape.variable(&floats(case, name), &shape(case)[..]);
    let tau = || tape.variable(&[float(case, "tau")], []);
    let draws = || words(case, "draws");
    Some(match op {
        "gumbel_softmax" | "st_gumbel_softmax" | "st_categorical" | "st_argmax" | "binary_concrete"
        | "st_binary_concrete" => {
            let (logits, tau) = (on_tape("logits"), tau());
            let run = Run::new(
                case,
                match op {
                    "gumbel_softmax" => logits.gumbel_softmax(tau, &mut &draws()[..]),
                    "st_gumbel_softmax" => logits.st_gumbel_softmax(tau, &mut &draws()[..]),
                    "st_categorical" => logits.st_categorical(tau, &mut &draws()[..]),
                    "st_argmax" => logits.st_argmax(tau),
                    "binary_concrete" => logits.binary_concrete(tau, &mut &draws()[..]),
                    _ => logits.st_binary_concrete(tau, &mut &draws()[..]),
                },
            );
            vec![run.value("y"), run.gradient("grad_logits", logits), run.gradient("grad_tau", tau)]
        }
        "st_bernoulli" | "softmax" | "log_softmax" => {
            let logits = on_tape("logits");
            let run = Run::new(
                case,
                match op {
                    "st_bernoulli" => logits.st_bernoulli(&mut &draws()[..]),
                    "softmax" => logits.softmax(),
                    _ => logits.log_softmax(),
                },
            );
            vec![run.value("y"), run.gradient("grad_logits", logits)]
        }
        "exp_concrete_log_prob" => {
            let (log_y, logits, tau) = (on_tape("log_y"), on_tape("logits"), tau());
            let run = Run::new(case, log_y.exp_concrete_log_prob(logits, tau));
            vec![
                run.value("log_prob"),
                run.gradient("grad_logits", logits),
                run.gradient("grad_log_y", log_y),
                run.gradient("grad_tau", tau),
            ]
        }
        "logit_binary_concrete_log_prob" => {
            let (sample, logits, tau) = (on_tape("sample_logit"), on_tape("logits"), tau());
            let run = Run::new(case, sample.logit_binary_concrete_log_prob(logits, tau));
            vec![
                run.value("log_prob"),
                run.gradient("grad_logits", logits),
                run.gradient("grad_sample", sample),
                run.gradient("grad_tau", tau),
            ]
        }
        "masked" => {
            let mask: Vec<bool> = words(case, "mask").into_iter().map(|masked| masked == 1).collect();
            let x = on_tape("x");
            let run = Run::new(case, x.masked(&mask, float(case, "fill")));
            vec![run.value("y"), run.gradient("grad_x", x)]
        }
        "categorical_kl" | "bernoulli_kl" => {
            let (p, q) = (on_tape("p_logits"), on_tape("q_logits"));
            let run =
                Run::new(case, if op == "bernoulli_kl" { p.bernoulli_kl(q) } else { p.categorical_kl(q) });
            vec![run.value("kl"), run.gradient("grad_p", p), run.gradient("grad_q", q)]
        }
        "cross_entropy" => {
            let logits = on_tape("logits");
            let run = Run::new(case, logits.cross_entropy(&words(case, "target")));
            vec![run.value("loss"), run.gradient("grad_logits", logits)]
        }
        "bce_with_logits" => {
            let (logits, target) = (on_tape("logits"), on_tape("target"));
            let run = Run::new(case, logits.bce_with_logits(target));
            vec![run.value("loss"), run.gradient("grad_logits", logits), run.gradient("grad_target", target)]
        }
        "gaussian_rsample" | "gaussian_kl_standard" => {
            let (mean, log_std) = (on_tape("mean"), on_tape("log_std"));
            let (run, value) = match op {
                "gaussian_rsample" => {
                    (Run::new(case, mean.gaussian_rsample(log_std, &mut &floats(case, "eps")[..])), "z")
                }
                _ => (Run::new(case, mean.gaussian_kl_standard(log_std)), "kl"),
            };
            vec![run.value(value), run.gradient("grad_mean", mean), run.gradient("grad_log_std", log_std)]
        }
        "adam" | "adamw" | "sgd_momentum" => vec![("after", optimize(op, case))],
        _ => return None,
    })
}

/// A parameter after the case's gradients, one step each, computed with the update kernels.
fn optimize(op: &str, case: &Case) -> Vec<f32> {
    let mut parameter = floats(case, "parameter");
    let betas = numbers(field(case, "betas"));
    let hyper = adam::Hyper {
        learning_rate: number(field(case, "lr")),
        beta1: betas[0],
        beta2: betas[1],
        epsilon: number(field(case, "eps")),
        weight_decay: number(field(case, "weight_decay")),
    };
    let (mut first, mut second) = (vec![0.0; parameter.len()], vec![0.0; parameter.len()]);
    let gradients = field(case, "gradients").as_array().expect("a list of gradients");
    for (step, gradient) in (1..).zip(gradients) {
        let gradient: Vec<f32> = numbers(gradient).into_iter().map(|g| g as f32).collect();
        if op == "sgd_momentum" {
            let (rate, decay) = (hyper.learning_rate as f32, hyper.weight_decay as f32);
            let momentum = float(case, "momentum");
            sgd_momentum::update(Tier::best(), rate, momentum, decay, &gradient, &mut first, &mut parameter);
        } else {
            assert!(op == "adamw" || hyper.weight_decay == 0.0, "adam has no decoupled weight decay");
            adam::update(Tier::best(), hyper, step, &gradient, &mut first, &mut second, &mut parameter);
        }
    }
    parameter
}

// ------------------------------------------------------------------------------------------- a training step

/// The fields of a training step.
const VAE_FIELDS: [&str; 18] = [
    "model",
    "batch",
    "latents",
    "classes",
    "hidden",
    "tau",
    "pixels",
    "activation",
    "layout",
    "tolerance",
    "x",
    "draws",
    "params",
    "reconstruction",
    "kl",
    "loss",
    "generator",
    "note",
];

/// The tolerances of this test, as the file must state them.
const VAE_TOLERANCE: &str = "loss terms 1e-5 relative; each gradient 2e-5 of its tensor's largest entry";

fn vae_step(path: &Path, case: &Case, report: &mut Report) {
    let model = field(case, "model").as_str().unwrap_or("(no name)").to_string();
    report.ops.entry(model.clone()).or_default().cases += 1;
    for name in case.keys().filter(|name| !VAE_FIELDS.contains(&&name[..])) {
        report.failures.push(format!("{model}: this test does not know the field `{name}`"));
    }
    assert_eq!(model, "categorical_vae", "{}: this test does not know the model", path.display());
    assert_eq!(field(case, "activation"), "relu", "{}: another activation", path.display());
    assert_eq!(field(case, "tolerance"), VAE_TOLERANCE, "{}: another tolerance", path.display());

    let mut params = Params::new();
    let tensors = field(case, "params").as_object().expect("params is an object");
    for (name, tensor) in tensors {
        let tensor = tensor.as_object().expect("a parameter is an object");
        for name in tensor.keys().filter(|name| !["shape", "value", "grad"].contains(&&name[..])) {
            report.failures.push(format!("{model}: this test does not know a parameter's `{name}`"));
        }
        let shape: Vec<usize> = numbers(field(tensor, "shape")).into_iter().map(|n| n as usize).collect();
        params.add(name, &shape[..], floats(tensor, "value"));
    }

    let [batch, latents, classes, pixels] =
        ["batch", "latents", "classes", "pixels"].map(|name| count(case, name));
    let layers = numbers(field(case, "hidden")).len() + 1;
    let tape = Tape::new();
    let find = |name: String| -> ParamId {
        params.find(&name).unwrap_or_else(|| panic!("{}: no parameter `{name}`", path.display()))
    };
    let network = |prefix: &str, x| {
        (0..layers).fold(x, |x: Var<'_>, layer| {
            let weight = params.on(&tape, find(format!("{prefix}.{layer}.weight")));
            let bias = params.on(&tape, find(format!("{prefix}.{layer}.bias")));
            let last = layer + 1 == layers;
            x.linear(weight, bias, if last { Activation::Identity } else { Activation::Relu })
        })
    };
    let x = tape.input(&floats(case, "x"), [batch, pixels]);
    let logits = network("encoder", x).reshape([batch * latents, classes]);
    let z = logits.gumbel_softmax(float(case, "tau"), &mut &words(case, "draws")[..]);
    let x_logits = network("decoder", z.reshape([batch, latents * classes]));
    let reconstruction = x_logits.bce_with_logits(x).sum() / batch as f32;
    let kl = logits.categorical_kl_uniform().sum() / batch as f32;
    let loss = reconstruction + kl;
    let gradients = loss.backward();

    for (name, got) in [("reconstruction", reconstruction), ("kl", kl), ("loss", loss)] {
        let want = number(field(case, name));
        report.compare(&model, name, "value", &[got.item()], &[want], 1e-5 * want.abs());
    }
    for (name, tensor) in tensors {
        let want = numbers(field(tensor.as_object().expect("a parameter is an object"), "grad"));
        let largest = want.iter().fold(0.0, |largest: f64, g| largest.max(g.abs()));
        let got = gradients.parameter(find(name.clone())).expect("the loss depends on every parameter");
        report.compare(&model, name, "gradient", got, &want, 2e-5 * largest);
    }
}
