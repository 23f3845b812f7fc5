//! Checksums of the engine's results, to compare WebAssembly with native code.

use reparam::optim::Adam;
use reparam::{Noise, Params, Tape};
use reparam_ops::{Tier, binary_concrete, gumbel_max, gumbel_softmax};

/// The number of proofs.
#[unsafe(no_mangle)]
pub extern "C" fn proofs() -> usize {
    PROOFS.len()
}

/// A checksum over every bit of a computation.
///
/// # Panics
/// If there are not that many.
#[unsafe(no_mangle)]
pub extern "C" fn proof(which: usize) -> u64 {
    PROOFS[which](Tier::best())
}

/// The computations: kernels at two shapes, the README's twenty lines, and a small VAE.
pub(crate) const PROOFS: &[fn(Tier) -> u64] = &[
    |tier| relaxed(tier, 2000, 10),
    |tier| relaxed(tier, 64, 1024),
    |tier| straight_through(tier, 2000, 10),
    |tier| straight_through(tier, 64, 1024),
    |tier| binary(tier, 20_000),
    |tier| indices(tier, 2000, 10),
    |_| twenty_lines(),
    #[cfg(any(test, feature = "vae"))]
    |_| small_vae(),
];

/// FNV-1a over the bits of numbers.
fn checksum<'a>(numbers: impl IntoIterator<Item = &'a f32>) -> u64 {
    let bytes = numbers.into_iter().flat_map(|x| x.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Logits or incoming gradients from -3 to 3.
fn spread(count: usize, seed: u64) -> Vec<f32> {
    let mut noise = Noise::seed(seed);
    (0..count).map(|_| 6.0 * noise.uniform() - 3.0).collect()
}

fn relaxed(tier: Tier, rows: usize, classes: usize) -> u64 {
    let count = rows * classes;
    let (logits, dy) = (spread(count, 1), spread(count, 2));
    let (mut y, mut dlogits) = (vec![0.0; count], vec![0.0; count]);
    let draws = Noise::seed(3).take(count);
    gumbel_softmax::forward(tier, draws.into(), &logits, classes, 0.5, &mut y).expect("no class is masked");
    let dtau = gumbel_softmax::backward(tier, &y, &dy, classes, 0.5, true, &mut dlogits);
    checksum(y.iter().chain(&dlogits).chain([&dtau]))
}

fn straight_through(tier: Tier, rows: usize, classes: usize) -> u64 {
    let count = rows * classes;
    let (logits, dy) = (spread(count, 1), spread(count, 2));
    let (mut y, mut dlogits) = (vec![0.0; count], vec![0.0; count]);
    let draws = Noise::seed(3).take(count);
    gumbel_softmax::st_forward(tier, draws.into(), &logits, classes, &mut y).expect("no class is masked");
    gumbel_softmax::st_backward(tier, draws.into(), &logits, &dy, classes, 0.5, true, &mut dlogits);
    checksum(y.iter().chain(&dlogits))
}

fn binary(tier: Tier, count: usize) -> u64 {
    let (logits, dy) = (spread(count, 1), spread(count, 2));
    let (mut y, mut rest, mut dlogits) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
    binary_concrete::forward(tier, Noise::seed(3).take(count).into(), &logits, 0.5, &mut y, &mut rest);
    let dtau = binary_concrete::backward(tier, &rest, &dy, 0.5, true, &mut dlogits);
    checksum(y.iter().chain(&dlogits).chain([&dtau]))
}

fn indices(tier: Tier, rows: usize, classes: usize) -> u64 {
    let logits = spread(rows * classes, 1);
    let mut index = vec![0; rows];
    let draws = Noise::seed(3).take(rows * classes);
    gumbel_max::forward(tier, draws.into(), &logits, classes, &mut index).expect("no class is masked");
    let index: Vec<f32> = index.iter().map(|&class| class as f32).collect();
    checksum(&index)
}

/// The README's first program, over its 200 steps.
fn twenty_lines() -> u64 {
    let mut params = Params::new();
    let logits = params.add("logits", [4], vec![0.0; 4]);
    let (mut noise, mut adam, mut tape) = (Noise::seed(1), Adam::new(0.05), Tape::new());
    let mut losses = Vec::new();
    for _ in 0..=200 {
        losses.push(adam.minimize(&mut tape, &mut params, |tape, params| {
            let samples = params.on(tape, logits).broadcast_to([64, 4]).gumbel_softmax(0.5, &mut noise);
            (samples * tape.input(&[3.0, 1.0, 2.0, 5.0], [4])).sum_axis(1).mean()
        }));
    }
    checksum(losses.iter().chain(params.value(logits)))
}

/// The losses of ten steps of a small VAE on random images.
#[cfg(any(test, feature = "vae"))]
fn small_vae() -> u64 {
    use reparam::Variables;
    use reparam::estimators::GumbelSoftmax;
    use reparam::models::{Vae, VaeShape};

    let (mut params, mut noise, mut tape) = (Params::new(), Noise::seed(1), Tape::new());
    let shape = VaeShape::symmetric(64, &[32], Variables::Categories { count: 5, classes: 4 });
    let vae = Vae::new(shape, &[0.5; 64], &mut params, &mut noise);
    let mut adam = Adam::new(1e-2);
    let mut losses = Vec::new();
    for _ in 0..10 {
        losses.push(adam.minimize(&mut tape, &mut params, |tape, params| {
            let x = tape.input_with([16, 64], |x| x.fill_with(|| noise.uniform().round()));
            vae.negative_bound(params, x, &mut GumbelSoftmax { tau: 0.7 }, &mut noise).mean()
        }));
    }
    checksum(&losses)
}
