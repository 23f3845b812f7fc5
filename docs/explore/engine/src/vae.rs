//! A VAE, live: 20 variables of ten classes that learn digits while the page watches.

use std::cell::RefCell;

use reparam::data::{Batches, Split};
use reparam::estimators::{Estimator, GumbelSoftmax};
use reparam::models::{Vae, VaeShape};
use reparam::optim::Adam;
use reparam::{Noise, Params, Tape, Variables};

use crate::exchange::answer;
use crate::statistics::{in_f64, moments};

/// Pixels of a digit, and the bytes that hold them one bit each, the first pixel in the lowest bit, as in the
/// embedded digits.
const PIXELS: usize = 784;
const BYTES: usize = PIXELS / 8;
const CODES: usize = 20;
const CLASSES: usize = 10;
const LATENTS: Variables = Variables::Categories { count: CODES, classes: CLASSES };
/// The samples of a test image.
const SAMPLES: usize = 10;

struct Live {
    images: Split,
    train: usize,
    params: Params,
    vae: Vae,
    adam: Adam,
    batches: Batches,
    noise: Noise,
    tape: Tape,
}

thread_local! {
    static LIVE: RefCell<Option<Live>> = const { RefCell::new(None) };
}

fn with_live<T>(work: impl FnOnce(&mut Live) -> T) -> T {
    LIVE.with_borrow_mut(|live| work(live.as_mut().expect("vae_begin comes first")))
}

/// Begins a VAE of one hidden layer of `hidden` units on either side, or of none. Training takes all digits but
/// the last `test`.
///
/// Reads the digits as bytes, 98 for each. Answers the numbers of training images and of parameters.
///
/// # Panics
/// If the bytes are not whole digits, or no digit is left to train on.
#[unsafe(no_mangle)]
pub extern "C" fn vae_begin(hidden: usize, rate: f64, test: usize, seed: u32) -> usize {
    answer(|given, out| {
        let images = unpack(&given.bytes);
        assert!(images.len() > test, "more than {test} digits expected, {} found", images.len());
        let train = images.len() - test;
        let mut noise = Noise::seed(seed.into());
        let mut params = Params::new();
        let widths = if hidden == 0 { vec![] } else { vec![hidden] };
        let shape = VaeShape::symmetric(PIXELS, &widths, LATENTS);
        let vae = Vae::new(shape, &images.pixel_means(), &mut params, &mut noise);
        out.extend([train as f64, params.len() as f64]);
        let batches = Batches::new(train, noise.split());
        let adam = Adam::new(rate);
        LIVE.set(Some(Live { images, train, params, vae, adam, batches, noise, tape: Tape::new() }));
    })
}

/// Trains for `steps` steps at a temperature. Answers the training loss of each, in nats per image.
#[unsafe(no_mangle)]
pub extern "C" fn vae_train(steps: usize, batch: usize, tau: f64) -> usize {
    answer(|_, out| {
        with_live(|live| {
            let mut estimator = GumbelSoftmax { tau: tau as f32 };
            out.extend((0..steps).map(|_| live.step(batch, &mut estimator)));
        });
    })
}

/// Tests the first `count` test images, in nats per image. Answers -ELBO with hard samples, the training
/// objective with relaxed ones, the standard error of their difference over the images, and the KL of each of
/// the 20 variables, a mean over the images.
#[unsafe(no_mangle)]
pub extern "C" fn vae_test(count: usize, tau: f64, seed: u32) -> usize {
    answer(|_, out| {
        with_live(|live| {
            let pixels = live.pixels(live.train, count);
            let bounds = live.vae.evaluate(&live.params, &pixels, SAMPLES, &mut Noise::seed(seed.into()));
            let (relaxed, kl) = live.relaxed(&pixels, count, tau as f32, seed);
            let hard = bounds.iter().map(|bound| bound.negative_elbo.value);
            let gaps: Vec<f64> = hard.zip(&relaxed).map(|(hard, relaxed)| hard - relaxed).collect();
            let ([relaxed, ..], [gap, error, _]) = (moments(&relaxed), moments(&gaps));
            out.extend([relaxed + gap, relaxed, error]);
            out.extend(kl);
        });
    })
}

/// Encodes test image `index`. Answers its pixels, 784; q(z | x), 200; the class of each variable in a hard
/// sample, 20; and the reconstruction from that sample, 784.
#[unsafe(no_mangle)]
pub extern "C" fn vae_encode(index: usize, seed: u32) -> usize {
    answer(|_, out| {
        with_live(|live| {
            let pixels = live.pixels(live.train + index, 1);
            let tape = Tape::inference();
            let q = live.vae.encode(&live.params, tape.input(&pixels, [1, PIXELS]));
            let z = q.sample(&mut Noise::seed(seed.into()));
            out.extend(in_f64(&pixels));
            out.extend(in_f64(&q.probs().to_vec()));
            let one_hot = z.to_vec();
            let class = |row: &[f32]| row.iter().position(|&z| z == 1.0).expect("a hard sample") as f64;
            out.extend(one_hot.chunks_exact(CLASSES).map(class));
            out.extend(in_f64(&live.vae.decode(&live.params, z).sigmoid().to_vec()));
        });
    })
}

/// Decodes codes. Reads the class of each code's 20 variables. Answers each code's pixel probabilities, 784.
///
/// # Panics
/// If a class is not one of the ten.
#[unsafe(no_mangle)]
pub extern "C" fn vae_decode() -> usize {
    answer(|given, out| {
        with_live(|live| {
            let mut z = vec![0.0; given.numbers.len() * CLASSES];
            for (row, &class) in z.chunks_exact_mut(CLASSES).zip(&given.numbers) {
                row[class as usize] = 1.0;
            }
            let tape = Tape::inference();
            let z = tape.input(&z, LATENTS.shape(given.numbers.len() / CODES));
            out.extend(in_f64(&live.vae.decode(&live.params, z).sigmoid().to_vec()));
        });
    })
}

impl Live {
    /// Takes a training step. Returns the loss, in nats per image.
    fn step(&mut self, batch: usize, estimator: &mut dyn Estimator) -> f64 {
        let Live { images, params, vae, adam, batches, noise, tape, .. } = self;
        let chosen = batches.next_batch(batch);
        let loss = adam.minimize(tape, params, |tape, params| {
            let x = tape.input_with([batch, PIXELS], |out| images.pixels_into(chosen, out));
            vae.negative_bound(params, x, estimator, noise).mean()
        });
        loss.into()
    }

    fn pixels(&self, first: usize, count: usize) -> Vec<f32> {
        let indices: Vec<u32> = (first as u32..).take(count).collect();
        let mut pixels = vec![0.0; count * PIXELS];
        self.images.pixels_into(&indices, &mut pixels);
        pixels
    }

    /// The training objective of each image with a relaxed sample, and the KL of each variable, a mean over
    /// the images.
    fn relaxed(&self, pixels: &[f32], count: usize, tau: f32, seed: u32) -> (Vec<f64>, Vec<f64>) {
        let tape = Tape::inference();
        let x = tape.input(pixels, [count, PIXELS]);
        let q = self.vae.encode(&self.params, x);
        let kl = q.var().reshape([count, CODES, CLASSES]).categorical_kl_uniform();
        let z = q.relaxed(tau, &mut Noise::seed(seed.into()));
        let reconstruction = self.vae.decode(&self.params, z).bce_with_logits(x).sum_axis(1);
        let (kl, reconstruction) = (in_f64(&kl.to_vec()), in_f64(&reconstruction.to_vec()));
        let mut of_codes = vec![0.0; CODES];
        for kl in kl.chunks_exact(CODES) {
            of_codes.iter_mut().zip(kl).for_each(|(sum, kl)| *sum += kl / count as f64);
        }
        let of_image = |(reconstruction, kl): (&f64, &[f64])| reconstruction + kl.iter().sum::<f64>();
        (reconstruction.iter().zip(kl.chunks_exact(CODES)).map(of_image).collect(), of_codes)
    }
}

/// Digits of one bit a pixel.
fn unpack(bytes: &[u8]) -> Split {
    assert!(bytes.len().is_multiple_of(BYTES), "whole digits of {BYTES} bytes expected");
    let bits = |&byte: &u8| (0..8).map(move |bit| byte >> bit & 1 == 1);
    let pixels: Vec<bool> = bytes.iter().flat_map(bits).collect();
    let labels = vec![0; bytes.len() / BYTES];
    Split::of_bits([28, 28], &pixels, labels).unwrap_or_else(|error| panic!("{error}"))
}
