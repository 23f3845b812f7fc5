//! `reparam lab`: estimators of discrete gradients, compared with the exact gradient.

mod pictures;

use std::path::PathBuf;
use std::time::Instant;

use reparam::data::Digits;
use reparam::estimators::parse;
use reparam::lab::{
    COLUMNS, Measurement, PROBLEMS, Problem, default_estimators, heading, listing, measure_timed,
    parse_problem,
};
use reparam::{Error, Noise, Result};

use reparam::cli::args::{DataArgs, ThreadArgs, number, whole};
use reparam::cli::files::{check_writable, writable_dir};
use reparam::cli::{progress, say, write_lines};

#[derive(clap::Args)]
#[command(after_long_help = COLUMNS)]
pub(crate) struct Args {
    /// Problems, comma-separated: toy:T, toy:T:LOGIT, polynomial:POWER, quadratic:CLASSES,
    /// vae:LATENTSxCLASSES
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = PROBLEMS.map(str::to_owned))]
    problem: Vec<String>,
    /// Estimators, comma-separated, like rloo:4 or gumbel-rao:100:0.5 [default: all, with usual parameters]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    estimator: Vec<String>,
    /// Estimates per estimator [default: 100000; 20000 with --quick; 2000 for more than eight numbers]
    #[arg(long, value_name = "N", value_parser = whole(100..=10_000_000_u32))]
    samples: Option<u32>,
    /// Steps during which estimators with a learned baseline, control variate or schedule may adapt before
    /// they are frozen [default: 1000, with --quick 100]
    #[arg(long, value_name = "N", value_parser = whole(0..=1_000_000_usize))]
    adapt: Option<usize>,
    /// List the problems and the estimators, without measuring
    #[arg(long, exclusive = true)]
    list: bool,
    /// Fewer estimates: under a minute
    #[arg(long)]
    quick: bool,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number::<u64>)]
    seed: u64,
    /// Write the measurements to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the length and direction of the means, and histograms of the estimates, for each problem into
    /// this folder
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    threads: ThreadArgs,
}

pub(crate) fn run(args: Args) -> Result<i32> {
    if args.list {
        say!("{}", listing());
        return Ok(0);
    }
    for name in &args.estimator {
        parse(name)?;
    }
    if let Some(dir) = &args.plot {
        writable_dir(dir)?;
    }
    check_writable(&args.json)?;
    if let Some(dir) = args.data.path().filter(|_| !args.problem.iter().any(|name| name.starts_with("vae"))) {
        return Err(Error::invalid(
            "--data",
            "no folder without a problem vae:LATENTSxCLASSES",
            dir.display(),
        ));
    }
    args.threads.run(|| {
        let measured = measure_all(&args)?;
        if let Some(dir) = &args.plot {
            pictures::draw(dir, &measured)?;
        }
        if let Some(path) = &args.json {
            write_lines(path, &measured)?;
        }
        Ok(0)
    })
}

fn measure_all(args: &Args) -> Result<Vec<Measurement>> {
    let load = || -> Result<Digits> { args.data.load() };
    let problems = args.problem.iter().map(|name| parse_problem(name, &load, args.seed));
    let problems: Vec<Box<dyn Problem>> = problems.collect::<Result<_>>()?;
    let estimators: Vec<&str> = match args.estimator.is_empty() {
        true => default_estimators(),
        false => args.estimator.iter().map(String::as_str).collect(),
    };
    let mut all = Vec::new();
    for problem in problems {
        say!("\n{}", heading(problem.as_ref()));
        let bar = progress(0, estimators.len() as u64, "estimators");
        for &name in &estimators {
            bar.set_message(name.to_owned());
            let outcome = measure_one(args, problem.as_ref(), name);
            bar.suspend(|| match &outcome {
                Ok(measurement) => say!("{measurement}"),
                Err(reason) => say!("{name:<24} - {reason}"),
            });
            bar.inc(1);
            all.extend(outcome);
        }
        bar.finish_and_clear();
    }
    if all.is_empty() {
        return Err(Error::invalid("lab", "an estimator that fits one of the problems", "none, see above"));
    }
    Ok(all)
}

fn measure_one(args: &Args, problem: &dyn Problem, name: &str) -> std::result::Result<Measurement, String> {
    let mut estimator = parse(name).map_err(|error| error.to_string())?;
    let mut noise = Noise::seed(args.seed);
    let elements = problem.variables().elements();
    let samples = match (args.samples, args.quick) {
        (Some(samples), _) => samples as usize,
        (None, true) if elements > 8 => 2_000,
        (None, true) => 20_000,
        (None, false) => 100_000,
    };
    // Enumeration has no variance.
    let samples = if name == "exact" { 2 } else { samples };
    let adapt = args.adapt.unwrap_or(if args.quick { 100 } else { 1_000 });
    let start = Instant::now();
    measure_timed(problem, estimator.as_mut(), samples, adapt, &mut noise, &|| start.elapsed())
}
