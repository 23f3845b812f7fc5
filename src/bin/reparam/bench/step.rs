//! `bench step`: microseconds per training step, compared with its matrix products and the optimizer's memory
//! traffic.

use reparam::cli::args::embedded;
use reparam::cli::files::check_writable;
use reparam::cli::{say, write_lines};
use reparam::data::Digits;
use reparam::models::ModelShape;
use reparam::nn::Mlp;
use reparam::optim::Adam;
use reparam::train::{Plan, Sampling};
use reparam::{Activation, Noise, Params, Result, Tape, Variables};
use reparam_ops::elementwise::add_scaled;
use reparam_ops::matmul::matmul;
use reparam_ops::{Matrix, Tier, Write};
use serde::Serialize;

use super::{Common, allocations, measure::time};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
}

/// A measurement, as written in JSON.
#[derive(Serialize, Default)]
struct StepTime {
    model: &'static str,
    hidden: Vec<usize>,
    batch: usize,
    threads: usize,
    tier: String,
    us_per_step: f64,
    us_per_step_min: f64,
    spread: f64,
    efficiency: f64,
    gemm_us_per_step: f64,
    optimizer_us_per_step: f64,
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
    let threads = rayon::current_num_threads();
    say!("{threads} thread(s), {}; microseconds per step, median of many samples", Tier::best());
    say!(
        "model            hidden        batch       step        min  spread  effic.   products  optimizer  of limit  nodes  allocs"
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
    let measured = timed(common, 1, step);
    StepTime { model: "toy_bernoulli", batch: 1, nodes, ..measured }
}

/// 32 rows through a net 2-16-16-4 and a Gumbel-Softmax sample.
fn tiny_mlp(common: &Common) -> StepTime {
    const ROWS: usize = 32;
    let (mut params, mut noise) = (Params::new(), Noise::seed(1));
    let net = Mlp::new(&mut params, "net", &[2, 16, 16, 4], Activation::Relu, &mut noise);
    let input: Vec<f32> = (0..2 * ROWS).map(|i| (i as f32).sin()).collect();
    let target: Vec<f32> = (0..4 * ROWS).map(|i| (i as f32).cos()).collect();
    let (mut tape, mut adam, mut nodes) = (Tape::new(), Adam::new(1e-3), 0);
    let parameters = params.elements();
    let step = || {
        let logits = net.forward(&params, tape.input(&input, [ROWS, 2]));
        let z = logits.gumbel_softmax(0.5, &mut noise);
        let gradients = (z * tape.input(&target, [ROWS, 4])).sum().backward();
        nodes = tape.len();
        tape.reset();
        adam.step(&mut params, &gradients);
    };
    let measured = timed(common, parameters, step);
    let gemm_us_per_step = products(common, &[2, 16, 16, 4], ROWS);
    StepTime { model: "tiny_mlp", hidden: vec![16, 16], batch: ROWS, nodes, gemm_us_per_step, ..measured }
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
    let gemm_us_per_step = products(common, &sizes, batch) + products(common, &decoder, batch) + between;
    Ok(StepTime { model: "vae", hidden: hidden.to_vec(), batch, gemm_us_per_step, ..measured })
}

/// A step of the SBN rows of Jang's table, in which two layers of Gumbel-Softmax samples lead from one half
/// of an image to the other.
fn belief_net(common: &Common, model: &'static str, layer: Variables, data: &Digits) -> Result<StepTime> {
    let mut plan = Plan::sbn();
    plan.model = ModelShape::Prediction { layers: vec![layer; 2] };
    plan.sampling = Some(Sampling::named("gumbel-softmax:1"));
    let batch = plan.training.batch;
    let measured = timed_plan(common, plan, data)?;
    let (half, units) = (data.train().pixels() / 2, layer.elements());
    let gemm_us_per_step = products(common, &[half, units, units, half], batch);
    Ok(StepTime { model, hidden: vec![units], batch, gemm_us_per_step, ..measured })
}

/// The times of a step of this plan, without evaluations.
fn timed_plan(common: &Common, mut plan: Plan, data: &Digits) -> Result<StepTime> {
    plan.training.validation = None;
    let mut run = plan.begin(data)?;
    let parameters = run.params().elements();
    Ok(timed(common, parameters, || _ = run.step()))
}

/// The times of a step, and its allocations once all buffers have their size.
fn timed(common: &Common, parameters: usize, mut step: impl FnMut() + Send) -> StepTime {
    const COUNTED: u32 = 20;
    let timing = time(common.budget() * 5, &mut step);
    let before = allocations::count();
    (0..COUNTED).for_each(|_| step());
    let allocations = allocations::count() - before;
    let threads = rayon::current_num_threads();
    let on_one = || time(common.budget() * 3, &mut step).median;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started");
    let alone = if threads == 1 { timing.median } else { pool.install(on_one) };
    StepTime {
        threads,
        tier: Tier::best().to_string(),
        us_per_step: timing.median / 1e3,
        us_per_step_min: timing.min / 1e3,
        spread: timing.spread,
        efficiency: alone / (threads as f64 * timing.median),
        optimizer_us_per_step: adam_traffic(common, parameters),
        allocations_per_step: allocations as f64 / f64::from(COUNTED),
        ..StepTime::default()
    }
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

/// Microseconds of one product of plain row-major matrices, `m x k` times `k x n`, in the fastest layout.
fn product(common: &Common, m: usize, k: usize, n: usize) -> f64 {
    let (a, b, mut c) = (vec![0.5; m * k], vec![0.25; k * n], vec![0.0; m * n]);
    let work = || matmul(Tier::best(), Matrix::new(&a, m, k), Matrix::new(&b, k, n), Write::Replace, &mut c);
    time(common.budget() / 4, work).median / 1e3
}

/// Microseconds to move what Adam reads and writes: a gradient, and twice each a parameter and its two means.
fn adam_traffic(common: &Common, parameters: usize) -> f64 {
    // Twenty-eight bytes for each parameter, twelve for each entry of a sum.
    let entries = (28 * parameters).div_ceil(12);
    let (x, mut y) = (vec![0.5; entries], vec![0.0; entries]);
    time(common.budget() / 4, || add_scaled(Tier::best(), 1.0, &x, &mut y)).median / 1e3
}

fn print(line: &StepTime) {
    let StepTime { model, batch, nodes, us_per_step: step, us_per_step_min: min, efficiency, .. } = line;
    let StepTime { gemm_us_per_step: products, optimizer_us_per_step: optimizer, .. } = line;
    let or_dash = |there: bool, text: String| if there { text } else { "-".to_owned() };
    let widths: Vec<String> = line.hidden.iter().map(usize::to_string).collect();
    let hidden = or_dash(!widths.is_empty(), widths.join(","));
    // An optimizer may take 1.2 times as long as its traffic.
    let of_limit = or_dash(*products > 0.0, format!("{:.2}", step / (products + 1.2 * optimizer)));
    let products = or_dash(*products > 0.0, format!("{products:.2}"));
    let nodes = or_dash(*nodes > 0, nodes.to_string());
    let (spread, allocations) = (100.0 * line.spread, line.allocations_per_step);
    say!(
        "{model:<16} {hidden:<12} {batch:>6} {step:>10.2} {min:>10.2} {spread:>6.0}% {efficiency:>7.2} {products:>10} {optimizer:>10.2} {of_limit:>9} {nodes:>6} {allocations:>7.2}"
    );
}
