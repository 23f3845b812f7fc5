//! `reparam-papers figures`: the pictures of the documentation, made by the engine.

mod bias_arrow;
mod bias_variance;
mod code_usage;
mod coin;
mod density;
mod diagrams;
mod digits;
mod elbo_gap;
mod gradcheck_step;
mod gradients;
mod lab;
mod moments;
mod parts;
mod race;
mod raster;
mod sheet;
mod simplex;
mod slope;
mod straight_through;
mod tails;
mod tape;
mod temperature;
mod training;

use std::path::PathBuf;

use reparam::internal::write_atomically;
use reparam::{Error, Result};

use reparam::cli::args::ThreadArgs;
use reparam::cli::files::writable_dir;
use reparam::cli::{progress, say};

#[derive(clap::Args)]
#[command(after_help = "\
Every run writes the same bytes, on any instruction set and with any number of threads.")]
pub(crate) struct Args {
    /// Folder for NAME.svg and NAME.png
    #[arg(long, value_name = "DIR", default_value = "docs/figures")]
    out: PathBuf,
    /// Pictures to draw, comma-separated [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    threads: ThreadArgs,
}

/// Pictures made from the same numbers.
struct Work {
    names: &'static [&'static str],
    /// Their SVG files, one for each name.
    draw: fn() -> Result<Vec<String>>,
}

/// All pictures. A picture added here is drawn, checked and named with the others.
const WORKS: [Work; 24] = [
    Work { names: &["coin-and-gaussian"], draw: || Ok(vec![coin::coin_and_gaussian()]) },
    Work { names: &["staircase"], draw: || Ok(vec![coin::staircase()]) },
    Work { names: &["race"], draw: || Ok(vec![race::draw()]) },
    Work { names: &["baseline"], draw: || Ok(vec![coin::baseline()]) },
    Work { names: &["bump"], draw: || Ok(vec![coin::bump()]) },
    Work { names: &["bias-arrow"], draw: || Ok(vec![bias_arrow::draw()]) },
    Work { names: &["gradient-paths"], draw: || Ok(vec![diagrams::gradient_paths()]) },
    Work { names: &["gradcheck-step"], draw: || Ok(vec![gradcheck_step::draw()]) },
    Work { names: &["rule"], draw: || Ok(vec![diagrams::rule()]) },
    Work { names: &["kernel-cost"], draw: || Ok(vec![diagrams::kernel_cost()]) },
    Work { names: &["elbo-gap"], draw: || Ok(vec![elbo_gap::draw()]) },
    Work { names: &["density"], draw: || Ok(vec![density::draw()]) },
    Work { names: &["gradient"], draw: || Ok(vec![slope::draw()]) },
    Work { names: &["temperature"], draw: || one(temperature::draw()) },
    Work { names: &["simplex"], draw: || one(simplex::draw()) },
    Work { names: &["tails"], draw: || one(tails::draw()) },
    Work { names: &["straight-through"], draw: || one(straight_through::draw()) },
    Work { names: &["gradients"], draw: || one(gradients::draw()) },
    Work { names: &["bias-variance"], draw: || Ok(vec![bias_variance::draw()]) },
    Work { names: &["lab-temperature"], draw: || one(lab::temperature()) },
    Work { names: &["lab-samples"], draw: || one(lab::samples()) },
    Work { names: &["lab-training"], draw: || Ok(vec![lab::training()]) },
    Work { names: &["tape"], draw: || Ok(vec![tape::picture()]) },
    Work { names: &["digits", "code-usage"], draw: training::draw },
];

fn one(svg: Result<String>) -> Result<Vec<String>> {
    svg.map(|svg| vec![svg])
}

pub(crate) fn run(args: Args) -> Result<i32> {
    let names: Vec<&str> = WORKS.iter().flat_map(|work| work.names).copied().collect();
    if let Some(unknown) = args.only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(Error::invalid(
            "--only",
            format!("names among {}", names.join(", ")),
            format!("`{unknown}`"),
        ));
    }
    writable_dir(&args.out)?;
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let works: Vec<&Work> = WORKS.iter().filter(|work| work.names.iter().any(|name| wanted(name))).collect();
    args.threads.run(|| {
        let bar = progress(0, works.len() as u64, "pictures");
        for work in works {
            bar.set_message(work.names.join(", "));
            let pictures = (work.draw)()?;
            for (name, svg) in work.names.iter().zip(pictures).filter(|(name, _)| wanted(name)) {
                let png = raster::png(&svg)?;
                write_atomically(args.out.join(format!("{name}.svg")), svg)?;
                write_atomically(args.out.join(format!("{name}.png")), png)?;
                bar.suspend(|| say!("{name}"));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(0)
    })
}
