//! `bench kernels`: nanoseconds per element of the stochastic kernels.

use std::collections::BTreeSet;
use std::path::PathBuf;

use reparam::{Error, Result, Tape, Var};
use reparam_ops::noise::{Draws, Stream};
use reparam_ops::{Tier, binary_concrete, draw, elementwise, gumbel_max, gumbel_softmax, softmax};
use serde::Serialize;

use super::Common;
use super::measure::{Timing, checksum, time};
use crate::common::{say, writable_folder_of, write_lines};
use crate::plot::{self, Axes, Curve};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only kernels whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only this size, like 2000x10 [default: twelve, from the cache to memory, with --quick five]
    #[arg(long, value_name = "ROWSxCLASSES", value_parser = parse_size)]
    size: Option<(usize, usize)>,
    /// Only these instruction sets, comma-separated, or all [default: the fastest of this machine]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = parse_tiers)]
    tier: Vec<Tiers>,
    /// Draw nanoseconds per element against the number of classes into this SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// What one name of `--tier` stands for.
type Tiers = Vec<Tier>;

fn parse_tiers(name: &str) -> std::result::Result<Tiers, String> {
    let have = Tier::available();
    match Tier::named(name) {
        Some(tier) => Ok(vec![tier]),
        None if name == "all" => Ok(have),
        None => {
            let names: Vec<_> = have.iter().map(Tier::to_string).collect();
            Err(format!("expected all or one of {} on this machine, found `{name}`", names.join(", ")))
        }
    }
}

fn parse_size(text: &str) -> std::result::Result<(usize, usize), String> {
    let parse = |number: &str| number.parse::<usize>().ok().filter(|&number| number > 0);
    let size = text.split_once('x').and_then(|(rows, classes)| Some((parse(rows)?, parse(classes)?)));
    match size {
        Some((rows, classes)) if rows.checked_mul(classes).is_some_and(|n| n <= MOST) => Ok((rows, classes)),
        _ => Err(format!("expected a size like 2000x10, of at most {MOST} elements, found `{text}`")),
    }
}

/// Elements of the largest size: five buffers of it must fit into memory.
const MOST: usize = 1 << 28;

/// Sizes that are always measured: those of the paper's VAE at batch 10, 100 and 1000, one that the cache still holds
/// and the vocabulary of a language model.
const SIZES: [(usize, usize); 5] = [(200, 10), (2_000, 10), (20_000, 10), (1024, 1024), (64, 50_257)];
/// Sizes of a full run besides: from 2 to 131,072 classes at 2^20 elements, and buffers far beyond the cache.
const MORE_SIZES: [(usize, usize); 7] = [
    (1 << 19, 2),
    (1 << 17, 8),
    (1 << 14, 64),
    (1 << 12, 256),
    (1 << 7, 8192),
    (1 << 3, 1 << 17),
    (1 << 15, 1024),
];

const TAU: f32 = 0.5;

/// A line of the JSON form.
#[derive(Serialize)]
struct Line {
    kernel: &'static str,
    pass: &'static str,
    variant: &'static str,
    rows: usize,
    classes: usize,
    threads: usize,
    tier: String,
    ns_per_element: f64,
    ns_per_element_min: f64,
    spread: f64,
    gb_per_s: f64,
    checksum: String,
}

/// What a kernel works on.
struct Buffers {
    tier: Tier,
    rows: usize,
    classes: usize,
    logits: Vec<f32>,
    dy: Vec<f32>,
    y: Vec<f32>,
    dlogits: Vec<f32>,
    index: Vec<u32>,
    tape: Tape,
}

impl Buffers {
    fn new(tier: Tier, rows: usize, classes: usize) -> Buffers {
        let n = rows * classes;
        let noise = |seed| {
            let mut x = vec![0.0; n];
            draw::fill_logistic(Tier::best(), stream(seed), &mut x);
            x
        };
        Buffers {
            tier,
            rows,
            classes,
            logits: noise(1),
            dy: noise(2),
            y: vec![0.0; n],
            dlogits: vec![0.0; n],
            index: vec![0; rows],
            tape: Tape::new(),
        }
    }

    /// The checksum of what a kernel has computed last.
    fn checksum(&self, case: &Case) -> u64 {
        match (case.kernel, case.pass) {
            ("gumbel_max", _) => checksum(bytemuck::cast_slice(&self.index)),
            (_, Pass::Forward) => checksum(&self.y),
            (_, Pass::ForwardBackward) => checksum(&self.dlogits),
        }
    }
}

fn stream(seed: u64) -> Draws<'static> {
    Stream::new(seed).into()
}

#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Forward,
    ForwardBackward,
}

/// A kernel as it is measured. `bytes` is what it must move between memory and core for one element.
struct Case {
    kernel: &'static str,
    pass: Pass,
    variant: &'static str,
    bytes: f64,
    work: fn(&mut Buffers),
}

const fn forward(kernel: &'static str, variant: &'static str, bytes: f64, work: fn(&mut Buffers)) -> Case {
    Case { kernel, pass: Pass::Forward, variant, bytes, work }
}

const fn both(kernel: &'static str, variant: &'static str, work: fn(&mut Buffers)) -> Case {
    // Forward reads logits and writes y; backward reads y and dy, and the gradient is zeroed, read and written.
    Case { kernel, pass: Pass::ForwardBackward, variant, bytes: 28.0, work }
}

const CASES: &[Case] = &[
    forward("copy", "copy", 8.0, |b| b.y.copy_from_slice(&b.logits)),
    forward("gumbel_noise", "fused", 4.0, |b| draw::fill_gumbel(b.tier, stream(3), &mut b.y)),
    forward("logistic_noise", "fused", 4.0, |b| draw::fill_logistic(b.tier, stream(3), &mut b.y)),
    forward("exp", "fused", 8.0, |b| elementwise::exp::forward(b.tier, &b.logits, &mut b.y)),
    forward("softmax", "fused", 8.0, |b| {
        let _ = softmax::forward(b.tier, &b.logits, b.classes, TAU, &mut b.y);
    }),
    forward("gumbel_max", "fused", 4.0, |b| {
        let _ = gumbel_max::forward(b.tier, stream(3), &b.logits, b.classes, &mut b.index);
    }),
    forward("gumbel_softmax", "fused", 8.0, gumbel_softmax_forward),
    forward("gumbel_softmax", "composed", 8.0, |b| composed(b, Pass::Forward, composed_gumbel_softmax)),
    both("gumbel_softmax", "fused", |b| gumbel_softmax_both(b, false)),
    both("gumbel_softmax", "composed", |b| composed(b, Pass::ForwardBackward, composed_gumbel_softmax)),
    both("gumbel_softmax_tau", "fused", |b| gumbel_softmax_both(b, true)),
    forward("st_gumbel_softmax", "fused", 8.0, st_gumbel_softmax_forward),
    both("st_gumbel_softmax", "fused", |b| {
        st_gumbel_softmax_forward(b);
        b.dlogits.fill(0.0);
        let Buffers { tier, classes, logits, dy, dlogits, .. } = b;
        gumbel_softmax::st_backward(*tier, stream(3), logits, dy, *classes, TAU, false, dlogits);
    }),
    forward("binary_concrete", "fused", 8.0, binary_concrete_forward),
    forward("binary_concrete", "composed", 8.0, |b| composed(b, Pass::Forward, composed_binary_concrete)),
    both("binary_concrete", "fused", |b| binary_concrete_both(b, false)),
    both("binary_concrete", "composed", |b| composed(b, Pass::ForwardBackward, composed_binary_concrete)),
    both("binary_concrete_tau", "fused", |b| binary_concrete_both(b, true)),
    both("st_binary_concrete", "fused", |b| {
        binary_concrete::st_forward(b.tier, stream(3), &b.logits, &mut b.y);
        b.dlogits.fill(0.0);
        binary_concrete::st_backward(b.tier, stream(3), &b.logits, &b.dy, TAU, false, &mut b.dlogits);
    }),
];

fn gumbel_softmax_forward(b: &mut Buffers) {
    let _ = gumbel_softmax::forward(b.tier, stream(3), &b.logits, b.classes, TAU, &mut b.y);
}

fn gumbel_softmax_both(b: &mut Buffers, want_tau: bool) {
    gumbel_softmax_forward(b);
    b.dlogits.fill(0.0);
    gumbel_softmax::backward(b.tier, &b.y, &b.dy, b.classes, TAU, want_tau, &mut b.dlogits);
}

fn st_gumbel_softmax_forward(b: &mut Buffers) {
    let _ = gumbel_softmax::st_forward(b.tier, stream(3), &b.logits, b.classes, &mut b.y);
}

fn binary_concrete_forward(b: &mut Buffers) {
    binary_concrete::forward(b.tier, stream(3), &b.logits, TAU, &mut b.y);
}

fn binary_concrete_both(b: &mut Buffers, want_tau: bool) {
    binary_concrete_forward(b);
    b.dlogits.fill(0.0);
    binary_concrete::backward(b.tier, &b.y, &b.dy, TAU, want_tau, &mut b.dlogits);
}

/// The same from primitive ops on a tape, which runs on the fastest tier only. The backward pass starts from <y, dy>, which costs a product and a sum more.
fn composed(b: &mut Buffers, pass: Pass, op: for<'t> fn(Var<'t>) -> Var<'t>) {
    let shape = [b.rows, b.classes];
    let x = b.tape.variable(&b.logits, shape);
    let y = op(x);
    if pass == Pass::Forward {
        b.y.copy_from_slice(&y.value());
    } else {
        let gradients = (y * b.tape.input(&b.dy, shape)).sum().backward();
        b.dlogits.copy_from_slice(gradients.of(x).expect("a variable"));
    }
    b.tape.reset();
}

fn composed_gumbel_softmax(x: Var<'_>) -> Var<'_> {
    let noise = x.tape().input_with(x.shape(), |out| draw::fill_gumbel(Tier::best(), stream(3), out));
    let scores = (x + noise) / TAU;
    let rows = scores.shape().dims()[0];
    (scores - scores.logsumexp().reshape([rows, 1])).exp()
}

fn composed_binary_concrete(x: Var<'_>) -> Var<'_> {
    let noise = x.tape().input_with(x.shape(), |out| draw::fill_logistic(Tier::best(), stream(3), out));
    ((x + noise) / TAU).sigmoid()
}

pub(crate) fn run(args: Args) -> Result<i32> {
    let kernels: BTreeSet<&str> = CASES.iter().map(|case| case.kernel).collect();
    if let Some(text) =
        args.only.as_ref().filter(|text| !kernels.iter().any(|kernel| kernel.contains(&text[..])))
    {
        let kernels: Vec<&str> = kernels.into_iter().collect();
        return Err(Error::invalid("--only", format!("a part of {}", kernels.join(", ")), text));
    }
    writable_folder_of(args.common.json.as_deref())?;
    writable_folder_of(args.plot.as_deref())?;
    let lines = args.common.threads.run(|| Ok(measure_all(&args)))?;
    if let Some(path) = &args.common.json {
        write_lines(path, &lines)?;
    }
    if let Some(path) = &args.plot {
        let axes = Axes { x: "classes", y: "nanoseconds per element" };
        plot::logarithmic(path, &axes, &curves(&lines))?;
    }
    Ok(0)
}

fn measure_all(args: &Args) -> Vec<Line> {
    let threads = rayon::current_num_threads();
    let tiers = if args.tier.is_empty() { vec![Tier::best()] } else { args.tier.concat() };
    let sizes: Vec<_> = match args.size {
        Some(size) => vec![size],
        None if args.common.quick => SIZES.to_vec(),
        None => SIZES.into_iter().chain(MORE_SIZES).collect(),
    };
    say!("{threads} thread(s); nanoseconds per element, median of many samples");
    let mut lines = Vec::new();
    for ((rows, classes), &tier) in
        sizes.into_iter().flat_map(|size| tiers.iter().map(move |tier| (size, tier)))
    {
        say!("\n{rows} x {classes}, {tier}");
        say!(
            "{:<20} {:<17} {:>8} {:>8} {:>7} {:>8} {:>8} {:>9}",
            "kernel",
            "pass",
            "fused",
            "min",
            "spread",
            "GB/s",
            "of copy",
            "composed"
        );
        let mut buffers = Buffers::new(tier, rows, classes);
        let wanted = |case: &&Case| {
            let named = args.only.as_ref().is_none_or(|text| case.kernel.contains(text.as_str()));
            case.variant == "copy" || named && (case.variant != "composed" || tier == Tier::best())
        };
        let begin = lines.len();
        for case in CASES.iter().filter(wanted) {
            lines.push(measure(case, &mut buffers, args, threads));
        }
        print_table(&lines[begin..]);
        print_stages(&lines[begin..]);
    }
    lines
}

fn measure(case: &Case, buffers: &mut Buffers, args: &Args, threads: usize) -> Line {
    let n = (buffers.rows * buffers.classes) as f64;
    let Timing { min, median, spread } = time(args.common.budget(), || (case.work)(buffers));
    Line {
        kernel: case.kernel,
        pass: if case.pass == Pass::Forward { "forward" } else { "forward_backward" },
        variant: case.variant,
        rows: buffers.rows,
        classes: buffers.classes,
        threads,
        tier: buffers.tier.to_string(),
        ns_per_element: median / n,
        ns_per_element_min: min / n,
        spread,
        gb_per_s: case.bytes * n / median,
        checksum: format!("{:016x}", buffers.checksum(case)),
    }
}

/// A curve for each kernel, pass, form and tier, by the number of classes.
fn curves(lines: &[Line]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    let several_tiers = lines.iter().any(|line| line.tier != lines[0].tier);
    for line in lines.iter().filter(|line| line.variant != "copy") {
        let mut name = format!("{} {} {}", line.variant, line.kernel, line.pass.replace("_", " + "));
        // What is composed runs on the fastest tier always.
        if several_tiers && line.variant != "composed" {
            name += &format!(", {}", line.tier);
        }
        let point = (line.classes as f64, line.ns_per_element);
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve::nth(curves.len(), name, vec![point])),
        }
    }
    for Curve { points, .. } in &mut curves {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Of several sizes with as many classes, the first one measured.
        points.dedup_by_key(|point| point.0);
    }
    curves
}

/// One row per kernel and pass, the composed form beside the fused one.
fn print_table(lines: &[Line]) {
    let copy = lines[0].gb_per_s;
    for line in lines.iter().filter(|line| line.variant != "composed") {
        let composed = lines
            .iter()
            .find(|other| {
                other.variant == "composed" && (other.kernel, other.pass) == (line.kernel, line.pass)
            })
            .map_or(String::new(), |other| format!("{:.2}", other.ns_per_element));
        say!(
            "{:<20} {:<17} {:>8.3} {:>8.3} {:>6.0}% {:>8.1} {:>7.0}% {:>9}",
            line.kernel,
            line.pass,
            line.ns_per_element,
            line.ns_per_element_min,
            100.0 * line.spread,
            line.gb_per_s,
            100.0 * line.gb_per_s / copy,
            composed
        );
    }
}

/// Where `gumbel_softmax` spends its time, from the kernels that do a part of its work.
fn print_stages(lines: &[Line]) {
    let cost = |kernel: &str, pass: &str| {
        let line =
            lines.iter().find(|line| (line.kernel, line.pass, line.variant) == (kernel, pass, "fused"));
        line.map(|line| line.ns_per_element)
    };
    let forward = |kernel| cost(kernel, "forward");
    let (Some(noise), Some(exp), Some(sample)) =
        (forward("gumbel_noise"), forward("exp"), forward("gumbel_softmax"))
    else {
        return;
    };
    let both = cost("gumbel_softmax", "forward_backward").expect("measured with its forward pass");
    say!(
        "stages of gumbel_softmax: noise {noise:.2}, exponential {exp:.2}, largest entry, sum and scale {:.2}, backward {:.2}",
        sample - noise - exp,
        both - sample
    );
}
