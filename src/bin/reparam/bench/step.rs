//! `bench step`: microseconds per training step, compared with its matrix products alone.

use reparam::cli::args::embedded;
use reparam::cli::files::check_writable;
use reparam::cli::{say, write_lines};
use reparam::data::Digits;
use reparam::models::ModelShape;
use reparam::nn::Mlp;
use reparam::optim::Adam;
use reparam::train::{Plan, Sampling};
use reparam::{Activation, Noise, Params, Result, Tape, Variables};
use reparam_ops::matmul::matmul;
use reparam_ops::{Matrix, Tier, Write};
use serde::Serialize;

use super::measure::{Timing, time};
use super::{Common, allocations};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
}

/// A measurement, as written in JSON.
#[derive(Serialize)]
struct StepTime {
    model: &'static str,
    hidden: Vec<usize>,
    batch: usize,
    threads: usize,
    tier: String,
    us_per_step: f64,
    us_per_step_min: f64,
    spread: f64,
    gemm_us_per_step: f64,
    nodes: usize,
    allocations_per_step: f64,
}

pub(crate) fn run(args: Args) -> Result<i32> {
    check_writable(&args.common.json)?;
    let lines = args.common.threads.run(|| measure_all(&args.common))?;
    if let Some(path) = &args.common.json {
        write_lines(path, &lines)?;
    }
    Ok(0)
}

fn measure_all(common: &Common) -> Result<Vec<StepTime>> {
    say!(
        "{} thread(s), {}; microseconds per step, median of many samples",
        rayon::current_num_threads(),
        Tier::best()
    );
    say!(
        "model            hidden        batch       step        min  spread   products  ratio  nodes  ns/node  allocs"
    );
    let data = embedded()?;
    let mut lines = vec![toy_bernoulli(common), tiny_mlp(common)];
    lines.iter().for_each(print);
    for (hidden, batch) in [(&[][..], 100), (&[512, 256], 100), (&[512, 256], 200)] {
        let line = vae(common, hidden, batch, &data)?;
        print(&line);
        lines.push(line);
    }
    let (bits, categories) = (Variables::Bits(200), Variables::Categories { count: 20, classes: 10 });
    for (model, latents) in [("sbn_bernoulli", bits), ("sbn_categorical", categories)] {
        let line = belief_net(common, model, latents, &data)?;
        print(&line);
        lines.push(line);
    }
    Ok(lines)
}

/// One Bernoulli variable: a Concrete sample, a squared loss, back, Adam.
fn toy_bernoulli(common: &Common) -> StepTime {
    let (mut params, mut noise) = (Params::new(), Noise::seed(1));
    let logit = params.add("logit", [1], vec![0.0]);
    let (mut tape, mut adam, mut nodes) = (Tape::new(), Adam::new(1e-3), 0);
    let step = || {
        let y = params.on(&tape, logit).binary_concrete(0.5, &mut noise);
        let gradients = (y - 0.45).square().sum().backward();
        nodes = tape.len();
        tape.reset();
        adam.step(&mut params, &gradients);
    };
    let measured = timed(common, step);
    line("toy_bernoulli", vec![], 1, measured, 0.0, nodes)
}

/// 32 rows through a net 2-16-16-4 and a Gumbel-Softmax sample.
fn tiny_mlp(common: &Common) -> StepTime {
    const ROWS: usize = 32;
    let (mut params, mut noise) = (Params::new(), Noise::seed(1));
    let net = Mlp::new(&mut params, "net", &[2, 16, 16, 4], Activation::Relu, &mut noise);
    let input: Vec<f32> = (0..2 * ROWS).map(|i| (i as f32).sin()).collect();
    let target: Vec<f32> = (0..4 * ROWS).map(|i| (i as f32).cos()).collect();
    let (mut tape, mut adam, mut nodes) = (Tape::new(), Adam::new(1e-3), 0);
    let step = || {
        let logits = net.forward(&params, tape.input(&input, [ROWS, 2]));
        let z = logits.gumbel_softmax(0.5, &mut noise);
        let gradients = (z * tape.input(&target, [ROWS, 4])).sum().backward();
        nodes = tape.len();
        tape.reset();
        adam.step(&mut params, &gradients);
    };
    let measured = timed(common, step);
    let products = products(common, &[2, 16, 16, 4], ROWS);
    line("tiny_mlp", vec![16, 16], ROWS, measured, products, nodes)
}

/// A step of `train vae` with everything it does: batch, noise, both passes, Adam.
fn vae(common: &Common, hidden: &[usize], batch: usize, data: &Digits) -> Result<StepTime> {
    let mut plan = Plan::vae();
    let latents = Variables::Categories { count: 20, classes: 10 };
    let mirrored: Vec<usize> = hidden.iter().rev().copied().collect();
    plan.model = ModelShape::Vae { latents, encoder: hidden.to_vec(), decoder: mirrored };
    plan.training.batch = batch;
    let measured = timed_plan(common, plan, data)?;
    let sizes = [&[data.train().pixels()], hidden, &[latents.elements()]].concat();
    let decoder: Vec<usize> = sizes.iter().rev().copied().collect();
    // The decoder's first factor has a gradient; the images have none.
    let between = product(common, batch, decoder[1], decoder[0]);
    let products = products(common, &sizes, batch) + products(common, &decoder, batch) + between;
    Ok(line("vae", hidden.to_vec(), batch, measured, products, 0))
}

/// A step of the rows SBN of Jang's table: half an image through two layers of Gumbel-Softmax samples to the
/// other half.
fn belief_net(common: &Common, name: &'static str, layer: Variables, data: &Digits) -> Result<StepTime> {
    let mut plan = Plan::sbn();
    plan.model = ModelShape::Prediction { layers: vec![layer; 2] };
    plan.sampling = Some(Sampling::named("gumbel-softmax:1"));
    let batch = plan.training.batch;
    let measured = timed_plan(common, plan, data)?;
    let (half, units) = (data.train().pixels() / 2, layer.elements());
    let products = products(common, &[half, units, units, half], batch);
    Ok(line(name, vec![units], batch, measured, products, 0))
}

/// The time of a step of a plan that scores nothing.
fn timed_plan(common: &Common, mut plan: Plan, data: &Digits) -> Result<(Timing, f64)> {
    plan.training.validation = None;
    let mut run = plan.begin(data)?;
    Ok(timed(common, || {
        run.step();
    }))
}

/// The time of a step, and the allocations of one once all buffers have their size.
fn timed(common: &Common, mut step: impl FnMut()) -> (Timing, f64) {
    const COUNTED: u32 = 20;
    let timing = time(common.budget() * 5, &mut step);
    let before = allocations::count();
    (0..COUNTED).for_each(|_| step());
    (timing, (allocations::count() - before) as f64 / f64::from(COUNTED))
}

/// Microseconds of the products of a stack of layers: each one forward, the gradient of its weight, and the
/// gradient of its input, except for the first layer's, which is data.
fn products(common: &Common, sizes: &[usize], batch: usize) -> f64 {
    let layers = sizes.windows(2).enumerate();
    let of_layer = |(i, layer): (usize, &[usize])| {
        let (inputs, outputs) = (layer[0], layer[1]);
        let back = if i > 0 { product(common, batch, outputs, inputs) } else { 0.0 };
        product(common, batch, inputs, outputs) + product(common, inputs, batch, outputs) + back
    };
    layers.map(of_layer).sum()
}

/// Microseconds of one product of plain row-major matrices, `m x k` times `k x n`: the fastest layout there
/// is.
fn product(common: &Common, m: usize, k: usize, n: usize) -> f64 {
    let (a, b, mut c) = (vec![0.5; m * k], vec![0.25; k * n], vec![0.0; m * n]);
    let work = || matmul(Tier::best(), Matrix::new(&a, m, k), Matrix::new(&b, k, n), Write::Replace, &mut c);
    time(common.budget() / 4, work).median / 1e3
}

fn line(
    model: &'static str,
    hidden: Vec<usize>,
    batch: usize,
    (timing, allocations_per_step): (Timing, f64),
    gemm_us_per_step: f64,
    nodes: usize,
) -> StepTime {
    let (threads, tier) = (rayon::current_num_threads(), Tier::best().to_string());
    let (us_per_step, us_per_step_min) = (timing.median / 1e3, timing.min / 1e3);
    let spread = timing.spread;
    StepTime {
        model,
        hidden,
        batch,
        threads,
        tier,
        us_per_step,
        us_per_step_min,
        spread,
        gemm_us_per_step,
        nodes,
        allocations_per_step,
    }
}

fn print(line: &StepTime) {
    let StepTime { model, batch, nodes, us_per_step: step, us_per_step_min: min, .. } = line;
    let StepTime { gemm_us_per_step: products, allocations_per_step: allocations, .. } = line;
    let or_dash = |there: bool, text: String| if there { text } else { "-".to_owned() };
    let widths: Vec<String> = line.hidden.iter().map(usize::to_string).collect();
    let hidden = or_dash(!widths.is_empty(), widths.join(","));
    let ratio = or_dash(*products > 0.0, format!("{:.2}", step / products));
    let products = or_dash(*products > 0.0, format!("{products:.2}"));
    let per_node = or_dash(*nodes > 0, format!("{:.0}", 1e3 * step / *nodes as f64));
    let nodes = or_dash(*nodes > 0, nodes.to_string());
    let spread = 100.0 * line.spread;
    say!(
        "{model:<16} {hidden:<12} {batch:>6} {step:>10.2} {min:>10.2} {spread:>6.0}% {products:>10} {ratio:>6} {nodes:>6} {per_node:>8} {allocations:>7.2}"
    );
}
