//! The comparison in candle, composed from its tensor ops, because its own function of that name returns an
//! argmax without a gradient. Prints one JSON object per line.

use std::time::Instant;

use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap};

const PEER: &str = "candle 0.11";
const TAU: f64 = 0.5;
const SIZES: [(usize, usize); 4] = [(2000, 10), (20_000, 10), (1024, 1024), (64, 50_257)];

fn gumbel_softmax(x: &Tensor) -> Result<Tensor> {
    let gumbel = x.rand_like(0.0, 1.0)?.log()?.neg()?.log()?.neg()?;
    candle_nn::ops::softmax(&((x + gumbel)? / TAU)?, D::Minus1)
}

fn binary_concrete(x: &Tensor) -> Result<Tensor> {
    let u = x.rand_like(0.0, 1.0)?;
    let logistic = (u.log()? - u.affine(-1.0, 1.0)?.log()?)?;
    candle_nn::ops::sigmoid(&((x + logistic)? / TAU)?)
}

fn net(vars: &VarBuilder<'_>, name: &str, sizes: &[usize]) -> Result<Vec<Linear>> {
    let layer = |(i, s): (usize, &[usize])| candle_nn::linear(s[0], s[1], vars.pp(format!("{name}.{i}")));
    sizes.windows(2).enumerate().map(layer).collect()
}

fn apply(layers: &[Linear], x: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    for (i, layer) in layers.iter().enumerate() {
        x = layer.forward(&x)?;
        if i + 1 < layers.len() {
            x = x.relu()?;
        }
    }
    Ok(x)
}

/// The median time of a call in seconds, over samples of at least 0.1 ms, after calls to warm up.
fn time(seconds: f64, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    for _ in 0..3 {
        work()?;
    }
    let begin = Instant::now();
    work()?;
    let calls = (1e-4 / begin.elapsed().as_secs_f64()) as u32 + 1;
    let mut samples = Vec::new();
    let begin = Instant::now();
    while samples.len() < 7 || begin.elapsed().as_secs_f64() < seconds {
        let begin = Instant::now();
        for _ in 0..calls {
            work()?;
        }
        samples.push(begin.elapsed().as_secs_f64() / f64::from(calls));
    }
    samples.sort_by(f64::total_cmp);
    Ok(samples[samples.len() / 2])
}

fn kernels(threads: usize, seconds: f64) -> Result<()> {
    type Op = fn(&Tensor) -> Result<Tensor>;
    let ops: [(&str, Op); 2] = [("gumbel_softmax", gumbel_softmax), ("binary_concrete", binary_concrete)];
    for (kernel, op) in ops {
        for (rows, classes) in SIZES {
            let x = Var::from_tensor(&Tensor::randn(0f32, 1.0, (rows, classes), &Device::Cpu)?)?;
            let dy = Tensor::randn(0f32, 1.0, (rows, classes), &Device::Cpu)?;
            let plain = x.as_detached_tensor();
            let forward = time(seconds, || op(&plain).map(drop))?;
            let both = time(seconds, || (op(&x)? * &dy)?.sum_all()?.backward().map(drop))?;
            for (pass, seconds) in [("forward", forward), ("forward_backward", both)] {
                let ns = seconds * 1e9 / (rows * classes) as f64;
                let line = serde_json::json!({"peer": PEER, "kernel": kernel, "pass": pass, "threads": threads,
                    "rows": rows, "classes": classes, "ns_per_element": ns});
                println!("{line}");
            }
        }
    }
    Ok(())
}

fn vae_step(hidden: &[usize], threads: usize, seconds: f64) -> Result<()> {
    const BATCH: usize = 100;
    let mut sizes = vec![784];
    sizes.extend(hidden);
    sizes.push(200);
    let map = VarMap::new();
    let vars = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let encoder = net(&vars, "encoder", &sizes)?;
    sizes.reverse();
    let decoder = net(&vars, "decoder", &sizes)?;
    let rate = ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..ParamsAdamW::default() };
    let mut adam = AdamW::new(map.all_vars(), rate)?;
    let x = Tensor::rand(0f32, 1.0, (BATCH, 784), &Device::Cpu)?.lt(0.13)?.to_dtype(DType::F32)?;
    let seconds = time(seconds, || {
        let logits = apply(&encoder, &x)?.reshape((BATCH * 20, 10))?;
        let z = gumbel_softmax(&logits)?.reshape((BATCH, 200))?;
        let out = apply(&decoder, &z)?;
        let nll = ((out.relu()? - (&out * &x)?)? + (out.abs()?.neg()?.exp()? + 1.0)?.log()?)?.sum_all()?;
        let log_q = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
        let kl = (log_q.exp()? * (&log_q + 10f64.ln())?)?.sum_all()?;
        adam.backward_step(&((nll + kl)? / BATCH as f64)?)
    })?;
    let names: Vec<String> = hidden.iter().map(usize::to_string).collect();
    let name = if names.is_empty() { "-".to_owned() } else { names.join(",") };
    let peer = format!("{PEER}, AdamW without decay");
    let line = serde_json::json!({"peer": peer, "kernel": format!("vae {name}"), "pass": "step",
        "threads": threads, "us_per_step": seconds * 1e6});
    println!("{line}");
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [group, threads, seconds] = &arguments[..] else { panic!("expected: kernels|steps THREADS SECONDS") };
    let (threads, seconds) = (threads.parse().expect("threads"), seconds.parse().expect("seconds"));
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the first pool");
    if group == "kernels" {
        return kernels(threads, seconds);
    }
    vae_step(&[], threads, seconds)?;
    vae_step(&[512, 256], threads, seconds)
}
