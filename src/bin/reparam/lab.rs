//! `reparam lab`: estimators of discrete gradients, held against the exact gradient.

pub(crate) mod pictures;

use std::path::PathBuf;

use reparam::data::Digits;
use reparam::estimators::parse;
use reparam::lab::{DEFAULT_ESTIMATORS, Measurement, PROBLEMS, Problem, measure, parse_problem};
use reparam::{Error, Noise, Result};
use serde::Serialize;

use crate::common::{
    DataArgs, ThreadArgs, number, progress, say, whole, writable_dir, writable_folder_of, write_lines,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Problems, comma-separated: toy:T, polynomial:POWER, quadratic:CLASSES, vae:LATENTSxCLASSES
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = PROBLEMS.map(str::to_owned))]
    problem: Vec<String>,
    /// Estimators, comma-separated, like rloo:4 or gumbel-rao:100:0.5 [default: all, with usual parameters]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    estimator: Vec<String>,
    /// Estimates of each; a twentieth in the sweep over a cubic [default: 100000, with --quick 20000, for more than eight
    /// numbers 2000, in sweeps 5000]
    #[arg(long, value_name = "N", value_parser = whole(100..=u32::MAX))]
    samples: Option<u32>,
    /// Steps in which estimators with a learned baseline, control variate or schedule may adapt before they are frozen
    /// [default: 1000, with --quick 100]
    #[arg(long, value_name = "N", value_parser = number::<usize>)]
    adapt: Option<usize>,
    /// Fewer estimates: under a minute
    #[arg(long)]
    quick: bool,
    /// Where the randomness comes from
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number::<u64>)]
    seed: u64,
    /// Write the measurements to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw gradient histograms into this folder, and besides, for problems and estimators of their own, bias and variance
    /// against temperature and against samples, and training curves
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    threads: ThreadArgs,
}

/// A line of the JSON form.
#[derive(Serialize)]
struct Line<'a> {
    problem: &'a str,
    estimator: &'a str,
    samples: usize,
    bias: f64,
    bias_standard_error: f64,
    variance: f64,
    cosine: f64,
    evaluations: f64,
    ns_per_gradient: f64,
    worst_z: f64,
    z_bound: f64,
    unbiased: bool,
    claims_unbiased: bool,
}

impl<'a> From<&'a Measurement> for Line<'a> {
    fn from(m: &'a Measurement) -> Line<'a> {
        Line {
            problem: &m.problem,
            estimator: &m.estimator,
            samples: m.samples,
            bias: m.bias,
            bias_standard_error: m.bias_standard_error,
            variance: m.variance,
            cosine: m.cosine,
            evaluations: m.evaluations,
            ns_per_gradient: m.ns_per_gradient,
            worst_z: m.worst_z,
            z_bound: m.z_bound,
            unbiased: m.agrees,
            claims_unbiased: m.claims_unbiased,
        }
    }
}

pub(crate) fn run(args: Args) -> Result<i32> {
    for name in &args.estimator {
        parse(name)?;
    }
    if let Some(dir) = &args.plot {
        writable_dir(dir)?;
    }
    writable_folder_of(args.json.as_deref())?;
    if let Some(dir) = args.data.path().filter(|_| !args.problem.iter().any(|name| name.starts_with("vae"))) {
        return Err(Error::invalid("--data", "it with a problem vae:LATENTSxCLASSES only", dir.display()));
    }
    args.threads.run(|| {
        let measured = measure_all(&args)?;
        let mut lines: Vec<Line<'_>> = measured.iter().map(Line::from).collect();
        let sweeps = match &args.plot {
            Some(dir) => pictures::draw(dir, &measured, args.samples, args.quick, args.seed)?,
            None => Vec::new(),
        };
        lines.extend(sweeps.iter().map(Line::from));
        if let Some(path) = &args.json {
            write_lines(path, &lines)?;
        }
        Ok(0)
    })
}

fn measure_all(args: &Args) -> Result<Vec<Measurement>> {
    let load = || -> Result<Digits> { args.data.load() };
    let problems = args.problem.iter().map(|name| parse_problem(name, &load, args.seed));
    let problems: Vec<Box<dyn Problem>> = problems.collect::<Result<_>>()?;
    let estimators: Vec<&str> = match args.estimator.is_empty() {
        true => DEFAULT_ESTIMATORS.to_vec(),
        false => args.estimator.iter().map(String::as_str).collect(),
    };
    let mut all = Vec::new();
    for problem in problems {
        print_heading(problem.as_ref());
        let bar = progress(0, estimators.len() as u64, "estimators");
        for &name in &estimators {
            bar.set_message(name.to_owned());
            let outcome = measure_one(args, problem.as_ref(), name);
            bar.suspend(|| match &outcome {
                Ok(measurement) => print_row(measurement),
                Err(reason) => say!("{name:<26} - {reason}"),
            });
            bar.inc(1);
            all.extend(outcome);
        }
        bar.finish_and_clear();
    }
    if all.is_empty() {
        return Err(Error::invalid("lab", "an estimator that treats one of the problems", "none, see above"));
    }
    Ok(all)
}

fn measure_one(args: &Args, problem: &dyn Problem, name: &str) -> std::result::Result<Measurement, String> {
    let mut estimator = parse(name).map_err(|error| error.to_string())?;
    let mut noise = Noise::seed(args.seed);
    let elements = problem.kind().elements();
    let samples = match (args.samples, args.quick) {
        (Some(samples), _) => samples as usize,
        (None, true) if elements > 8 => 2_000,
        (None, true) => 20_000,
        (None, false) => 100_000,
    };
    // Enumeration has no variance.
    let samples = if name == "exact" { 2 } else { samples };
    let adapt = args.adapt.unwrap_or(if args.quick { 100 } else { 1_000 });
    measure(problem, estimator.as_mut(), samples, adapt, &mut noise)
}

fn print_heading(problem: &dyn Problem) {
    say!("\n{}: {}", problem.name(), problem.kind());
    say!(
        "{:<26} {:>10} {:>9} {:>10} {:>7} {:>6} {:>10}  {}",
        "estimator",
        "bias",
        "+-",
        "variance",
        "cosine",
        "evals",
        "ns",
        "agrees with the exact gradient"
    );
}

fn print_row(m: &Measurement) {
    let verdict = match (m.agrees, m.claims_unbiased) {
        (true, true) => "yes",
        (true, false) => "as far as these samples show",
        (false, false) => "no: biased",
        (false, true) => "NO, and it should",
    };
    say!(
        "{:<26} {:>10.2e} {:>9.1e} {:>10.2e} {:>7.3} {:>6} {:>10.0}  {verdict}",
        m.estimator,
        m.bias,
        m.bias_standard_error,
        m.variance,
        m.cosine,
        m.evaluations,
        m.ns_per_gradient,
    );
}
