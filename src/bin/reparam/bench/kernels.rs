//! `bench kernels`: nanoseconds per element of the stochastic kernels.

use std::collections::BTreeSet;
use std::path::PathBuf;

use reparam::{Error, Result};
use reparam_ops::Tier;
use serde::Serialize;

use super::Common;
use super::cases::{Buffers, CASES, Case, Pass};
use super::measure::{Timing, time};
use reparam::cli::files::check_writable;
use reparam::cli::plot::{self, Axes, Curve};
use reparam::cli::{say, write_lines};
use reparam::internal::write_atomically;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure only kernels whose name contains this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Measure only this size, like 2000x10 [default: twelve sizes from cache to memory, or five with
    /// --quick]
    #[arg(long, value_name = "ROWSxCLASSES", value_parser = parse_size)]
    size: Option<(usize, usize)>,
    /// Measure only these instruction sets, comma-separated, or all [default: the fastest on this machine]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = parse_tiers)]
    tier: Vec<Tiers>,
    /// Draw nanoseconds per element against the number of classes into this SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// The tiers that one name of `--tier` stands for.
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

/// The number of elements of the largest size. Five buffers of it must fit into memory.
const MOST: usize = 1 << 28;

/// Sizes that are always measured: the paper's VAE at batch 10, 100 and 1000, one that the cache still holds
/// and the vocabulary of a language model.
const SIZES: [(usize, usize); 5] = [(200, 10), (2_000, 10), (20_000, 10), (1024, 1024), (64, 50_257)];
/// More sizes of a full run: 2 to 131,072 classes at 2^20 elements, and buffers far beyond the cache.
const MORE_SIZES: [(usize, usize); 7] = [
    (1 << 19, 2),
    (1 << 17, 8),
    (1 << 14, 64),
    (1 << 12, 256),
    (1 << 7, 8192),
    (1 << 3, 1 << 17),
    (1 << 15, 1024),
];

/// A measurement, as written in JSON.
#[derive(Serialize)]
struct KernelTime {
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

pub(crate) fn run(args: Args) -> Result<i32> {
    let kernels: BTreeSet<&str> = CASES.iter().map(|case| case.kernel).collect();
    let is_unknown = |text: &&String| !kernels.iter().any(|kernel| kernel.contains(text.as_str()));
    if let Some(text) = args.only.as_ref().filter(is_unknown) {
        let kernels: Vec<&str> = kernels.into_iter().collect();
        return Err(Error::invalid("--only", format!("part of a name among {}", kernels.join(", ")), text));
    }
    check_writable(args.common.json.iter().chain(&args.plot))?;
    let lines = args.common.threads.run(|| Ok(measure_all(&args)))?;
    if let Some(path) = &args.common.json {
        write_lines(path, &lines)?;
    }
    if let Some(path) = &args.plot {
        let axes = Axes { x: "classes", y: "nanoseconds per element" };
        write_atomically(path, plot::logarithmic(&axes, &curves(&lines))?)?;
    }
    Ok(0)
}

fn measure_all(args: &Args) -> Vec<KernelTime> {
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
        say!("kernel               pass                 fused      min  spread     GB/s  of copy  composed");
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

fn measure(case: &Case, buffers: &mut Buffers, args: &Args, threads: usize) -> KernelTime {
    let n = (buffers.rows * buffers.classes) as f64;
    let Timing { min, median, spread } = time(args.common.budget(), || (case.work)(buffers));
    KernelTime {
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

/// A curve over the number of classes for each kernel, pass, form and tier.
fn curves(lines: &[KernelTime]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    let several_tiers = lines.iter().any(|line| line.tier != lines[0].tier);
    for line in lines.iter().filter(|line| line.variant != "copy") {
        let mut name = format!("{} {} {}", line.variant, line.kernel, line.pass.replace("_", " + "));
        // The composed form always runs on the fastest tier.
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
        // Of several sizes with the same number of classes, keep the first one measured.
        points.dedup_by_key(|point| point.0);
    }
    curves
}

/// Prints one row per kernel and pass, with the composed form next to the fused one.
fn print_table(lines: &[KernelTime]) {
    let copy = lines[0].gb_per_s;
    for line in lines.iter().filter(|line| line.variant != "composed") {
        let name = |line: &KernelTime| (line.kernel, line.pass);
        let composed = lines.iter().find(|other| other.variant == "composed" && name(other) == name(line));
        let composed = composed.map_or(String::new(), |other| format!("{:.2}", other.ns_per_element));
        let KernelTime { kernel, pass, ns_per_element: ns, ns_per_element_min: min, gb_per_s, .. } = line;
        let (spread, of_copy) = (100.0 * line.spread, 100.0 * gb_per_s / copy);
        say!(
            "{kernel:<20} {pass:<17} {ns:>8.3} {min:>8.3} {spread:>6.0}% {gb_per_s:>8.1} {of_copy:>7.0}% {composed:>9}"
        );
    }
}

/// Prints where `gumbel_softmax` spends its time, from the kernels that do a part of its work.
fn print_stages(lines: &[KernelTime]) {
    let cost = |kernel, pass| {
        let wanted = |line: &&KernelTime| (line.kernel, line.pass, line.variant) == (kernel, pass, "fused");
        lines.iter().find(wanted).map_or(f64::NAN, |line| line.ns_per_element)
    };
    let (noise, exp) = (cost("gumbel_noise", "forward"), cost("exp", "forward"));
    let (sample, both) = (cost("gumbel_softmax", "forward"), cost("gumbel_softmax", "forward_backward"));
    if noise.is_nan() || exp.is_nan() || sample.is_nan() {
        return;
    }
    say!(
        "stages of gumbel_softmax: noise {noise:.2}, exponential {exp:.2}, largest entry, sum and scale {:.2}, backward {:.2}",
        sample - noise - exp,
        both - sample
    );
}
