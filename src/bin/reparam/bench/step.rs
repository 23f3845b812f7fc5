//! `bench step`: microseconds per training step, beside its matrix products alone.

use reparam::estimators::Kind;
use reparam::nn::Mlp;
use reparam::optim::{Adam, Optimizer};
use reparam::train::{CellModel, CellRun, CellSettings, ModelKind, Settings, Trainer};
use reparam::{Activation, Noise, Params, Result, Tape, Write};
use reparam_ops::matmul::matmul;
use reparam_ops::{Matrix, Tier};
use serde::Serialize;

use super::measure::{Timing, time};
use super::{Common, allocations};
use crate::common::{embedded, say, writable_folder_of, write_lines};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
}

/// A line of the JSON form.
#[derive(Serialize)]
struct Line {
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
    writable_folder_of(args.common.json.as_deref())?;
    let lines = args.common.threads.run(|| measure_all(&args.common))?;
    if let Some(path) = &args.common.json {
        write_lines(path, &lines)?;
    }
    Ok(0)
}

fn measure_all(common: &Common) -> Result<Vec<Line>> {
    say!(
        "{} thread(s), {}; microseconds per step, median of many samples",
        rayon::current_num_threads(),
        Tier::best()
    );
    say!(
        "{:<16} {:<12} {:>6} {:>10} {:>10} {:>7} {:>10} {:>6} {:>6} {:>8} {:>7}",
        "model",
        "hidden",
        "batch",
        "step",
        "min",
        "spread",
        "products",
        "ratio",
        "nodes",
        "ns/node",
        "allocs"
    );
    let data = embedded()?;
    let mut lines = vec![toy_bernoulli(common), tiny_mlp(common)];
    lines.iter().for_each(print);
    for (hidden, batch) in [(vec![], 100), (vec![512, 256], 100), (vec![512, 256], 200)] {
        let settings = Settings { hidden, batch, ..Settings::defaults(ModelKind::Vae) };
        let line = vae(common, settings, &data)?;
        print(&line);
        lines.push(line);
    }
    let (bits, categories) =
        (Kind { variables: 200, classes: None }, Kind { variables: 20, classes: Some(10) });
    for (model, latents) in [("sbn_bernoulli", bits), ("sbn_categorical", categories)] {
        let line = belief_net(common, model, latents, &data)?;
        print(&line);
        lines.push(line);
    }
    Ok(lines)
}

/// One Bernoulli variable: a Concrete sample, a squared loss, back, Adam.
fn toy_bernoulli(common: &Common) -> Line {
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
    let (timing, allocations) = timed(common, step);
    line("toy_bernoulli", vec![], 1, timing, 0.0, nodes, allocations)
}

/// 32 rows through a net 2-16-16-4 and a Gumbel-Softmax sample.
fn tiny_mlp(common: &Common) -> Line {
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
    let (timing, allocations) = timed(common, step);
    let products = products(common, &[2, 16, 16, 4], ROWS);
    line("tiny_mlp", vec![16, 16], ROWS, timing, products, nodes, allocations)
}

/// A step of `train vae` with everything it does: batch, noise, both passes, Adam.
fn vae(common: &Common, settings: Settings, data: &reparam::data::Digits) -> Result<Line> {
    let (hidden, batch) = (settings.hidden.clone(), settings.batch);
    let mut sizes = vec![data.train().pixels()];
    sizes.extend(&hidden);
    sizes.push(settings.latents * settings.classes);
    let decoder: Vec<usize> = sizes.iter().rev().copied().collect();
    let mut trainer = Trainer::new(settings, data)?;
    let (timing, allocations) = timed(common, || {
        trainer.step();
    });
    // The decoder's first factor has a gradient, the images have none.
    let between = product(common, batch, decoder[1], decoder[0]);
    let products = products(common, &sizes, batch) + products(common, &decoder, batch) + between;
    Ok(line("vae", hidden, batch, timing, products, 0, allocations))
}

/// A step of `reproduce jang-table1`, rows SBN: half an image through two layers of Gumbel-Softmax samples to the other half.
fn belief_net(
    common: &Common,
    name: &'static str,
    latents: Kind,
    data: &reparam::data::Digits,
) -> Result<Line> {
    const BATCH: usize = 100;
    // No end and no score is reached.
    const NEVER: u64 = 1 << 40;
    let settings = CellSettings {
        model: CellModel::Prediction(vec![latents, latents]),
        estimator: "gumbel-softmax:1".to_owned(),
        samples: 1,
        tau: None,
        learning_rate: 1e-3,
        betas: (0.9, 0.99),
        batch: BATCH,
        steps: NEVER,
        validate_every: NEVER,
        seed: 1,
    };
    let (half, units) = (data.train().pixels() / 2, latents.variables * latents.classes.unwrap_or(1));
    let mut run = CellRun::new(settings, data)?;
    let (timing, allocations) = timed(common, || {
        run.step();
    });
    let products = products(common, &[half, units, units, half], BATCH);
    Ok(line(name, vec![units], BATCH, timing, products, 0, allocations))
}

/// The time of a step, and the allocations that one makes when all buffers have their size.
fn timed(common: &Common, mut step: impl FnMut()) -> (Timing, f64) {
    const COUNTED: u32 = 20;
    let timing = time(common.budget() * 5, &mut step);
    let before = allocations::count();
    (0..COUNTED).for_each(|_| step());
    (timing, (allocations::count() - before) as f64 / f64::from(COUNTED))
}

/// Microseconds of the products of a stack of layers: each one forward, the weight's gradient, and the gradient of its
/// input but for the first layer's, which is data.
fn products(common: &Common, sizes: &[usize], batch: usize) -> f64 {
    let layers = sizes.windows(2).enumerate();
    let of_layer = |(i, layer): (usize, &[usize])| {
        let (inputs, outputs) = (layer[0], layer[1]);
        let back = if i > 0 { product(common, batch, outputs, inputs) } else { 0.0 };
        product(common, batch, inputs, outputs) + product(common, inputs, batch, outputs) + back
    };
    layers.map(of_layer).sum()
}

/// Microseconds of one product of plain row-major matrices, `m x k` times `k x n`: the fastest layout there is.
fn product(common: &Common, m: usize, k: usize, n: usize) -> f64 {
    let (a, b, mut c) = (vec![0.5; m * k], vec![0.25; k * n], vec![0.0; m * n]);
    let work = || matmul(Matrix::new(&a, m, k), Matrix::new(&b, k, n), Write::Replace, &mut c);
    time(common.budget() / 4, work).median / 1e3
}

fn line(
    model: &'static str,
    hidden: Vec<usize>,
    batch: usize,
    timing: Timing,
    gemm_us_per_step: f64,
    nodes: usize,
    allocations_per_step: f64,
) -> Line {
    Line {
        model,
        hidden,
        batch,
        threads: rayon::current_num_threads(),
        tier: Tier::best().to_string(),
        us_per_step: timing.median / 1e3,
        us_per_step_min: timing.min / 1e3,
        spread: timing.spread,
        gemm_us_per_step,
        nodes,
        allocations_per_step,
    }
}

fn print(line: &Line) {
    let hidden: Vec<String> = line.hidden.iter().map(usize::to_string).collect();
    let or_dash = |there: bool, text: String| if there { text } else { "-".to_owned() };
    say!(
        "{:<16} {:<12} {:>6} {:>10.2} {:>10.2} {:>6.0}% {:>10} {:>6} {:>6} {:>8} {:>7.2}",
        line.model,
        or_dash(!hidden.is_empty(), hidden.join(",")),
        line.batch,
        line.us_per_step,
        line.us_per_step_min,
        100.0 * line.spread,
        or_dash(line.gemm_us_per_step > 0.0, format!("{:.2}", line.gemm_us_per_step)),
        or_dash(line.gemm_us_per_step > 0.0, format!("{:.2}", line.us_per_step / line.gemm_us_per_step)),
        or_dash(line.nodes > 0, line.nodes.to_string()),
        or_dash(line.nodes > 0, format!("{:.0}", 1e3 * line.us_per_step / line.nodes as f64)),
        line.allocations_per_step
    );
}
