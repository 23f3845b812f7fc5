//! `reparam tape`: the tape of a small model, to read or to look at.

use std::path::PathBuf;

use clap::ValueEnum;
use reparam::estimators::GumbelSoftmax;
use reparam::internal::write_atomically;
use reparam::models::{Vae, VaeShape};
use reparam::nn::Mlp;
use reparam::{Activation, Noise, Params, Result, Tape, Var, Variables};

use reparam::cli::args::number;
use reparam::cli::say;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Model whose tape to show
    #[arg(value_enum, default_value_t = Model::GumbelSoftmax)]
    model: Model,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = number::<u64>)]
    seed: u64,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Model {
    /// y = x^2 + 3 x of one number, used twice: its gradient adds up
    Polynomial,
    /// The expected cost of a relaxed coin whose two sides cost 3 and 1
    GumbelSoftmax,
    /// The cost of a one-hot coin, with the relaxed coin's gradient
    StraightThrough,
    /// A classifier with a hidden layer, on two points
    Mlp,
    /// The bound of a VAE with one latent variable, on two images of four pixels
    Vae,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A table: a line per node with memory, value and gradient
    Text,
    /// A graph for Graphviz
    Dot,
    /// A picture with values and gradients
    Svg,
    /// A page that steps through the forward and the backward pass
    Html,
}

pub(crate) fn run(args: Args) -> Result<i32> {
    let tape = Tape::new();
    let loss = args.model.record(&tape, &mut Noise::seed(args.seed));
    let shown = match args.format {
        Format::Text => tape.to_table(&loss.backward()),
        Format::Dot => tape.to_dot(),
        Format::Svg => tape.to_svg(&loss.backward()),
        Format::Html => tape.to_html(loss),
    };
    match args.out {
        None => say!("{}", shown.trim_end()),
        Some(path) => write_atomically(&path, shown)?,
    }
    Ok(0)
}

impl Model {
    /// Records its loss on the tape.
    fn record<'t>(self, tape: &'t Tape, noise: &mut Noise) -> Var<'t> {
        match self {
            Model::Polynomial => {
                let x = tape.variable(&[2.0], []);
                x * x + 3.0 * x
            }
            Model::GumbelSoftmax => {
                let (logits, prices) = coin(tape);
                (logits.gumbel_softmax(0.5, noise) * prices).sum()
            }
            Model::StraightThrough => {
                let (logits, prices) = coin(tape);
                let relaxed = logits.gumbel_softmax(0.5, noise);
                let one_hot = relaxed.stop_gradient().st_argmax(0.5);
                (one_hot.with_gradient_of(relaxed) * prices).sum()
            }
            Model::Mlp => {
                let mut params = Params::new();
                let net = Mlp::new(&mut params, "net", &[2, 3, 2], Activation::Tanh, noise);
                let points = tape.input(&[0.5, -1.0, -0.5, 2.0], [2, 2]);
                net.forward(&params, points).cross_entropy(&[0, 1]).mean()
            }
            Model::Vae => {
                let mut params = Params::new();
                let vae = Vae::new(
                    VaeShape::symmetric(4, &[], Variables::Categories { count: 1, classes: 3 }),
                    &[0.5; 4],
                    &mut params,
                    noise,
                );
                let images = tape.input(&[1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0], [2, 4]);
                vae.negative_bound(&params, images, &mut GumbelSoftmax { tau: 0.5 }, noise).mean()
            }
        }
    }
}

/// The logits of heads and tails, and the cost of each.
fn coin(tape: &Tape) -> (Var<'_>, Var<'_>) {
    (tape.variable(&[1.0, 0.0], [2]), tape.input(&[3.0, 1.0], [2]))
}
