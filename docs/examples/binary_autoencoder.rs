//! An image as a word of bits: `cargo run --release --example binary_autoencoder`.
//!
//! An encoder gives 32 logits for the 784 pixels of a digit. We draw 32 bits from them, and a decoder paints
//! the digit from these bits alone. The decoder sees hard bits. The backward pass differentiates the relaxed
//! sample sigmoid((logits + noise) / tau) with the same noise. The yardstick is the mean image, which ignores
//! the digit.
//!
//! Source: Y. Bengio, N. Léonard, A. Courville, "Estimating or Propagating Gradients Through Stochastic
//! Neurons for Conditional Computation", 2013; E. Jang, S. Gu, B. Poole, ICLR 2017, section 2.2.

use reparam::data::{Batches, Digits, Split};
use reparam::distributions::Bernoulli;
use reparam::nn::Mlp;
use reparam::optim::Adam;
use reparam::{Activation, Noise, Params, Tape};

const BITS: usize = 32;
const BATCH: usize = 100;

struct Autoencoder {
    params: Params,
    encoder: Mlp,
    decoder: Mlp,
}

impl Autoencoder {
    fn new(noise: &mut Noise) -> Autoencoder {
        let mut params = Params::new();
        let encoder = Mlp::new(&mut params, "encoder", &[784, 128, BITS], Activation::Relu, noise);
        let decoder = Mlp::new(&mut params, "decoder", &[BITS, 128, 784], Activation::Relu, noise);
        Autoencoder { params, encoder, decoder }
    }

    fn train(&mut self, images: &Split, steps: usize, learning_rate: f64, noise: &mut Noise) {
        let mut adam = Adam::new(learning_rate);
        let mut batches = Batches::new(images.len(), noise.split());
        let mut tape = Tape::new();
        for _ in 0..steps {
            let batch = batches.next_batch(BATCH);
            let x = tape.input_with([BATCH, 784], |pixels| images.pixels_into(batch, pixels));
            let bits = self.encoder.forward(&self.params, x).st_binary_concrete(0.7, noise);
            let pixels = self.decoder.forward(&self.params, bits);
            let gradients = (pixels.bce_with_logits(x).sum() / BATCH as f32).backward();
            tape.reset();
            adam.step(&mut self.params, &gradients);
        }
    }

    /// The more probable value of each bit, row by row.
    fn encode(&self, pixels: &[f32]) -> Vec<f32> {
        let tape = Tape::inference();
        let x = tape.input(pixels, [pixels.len() / 784, 784]);
        Bernoulli::new(self.encoder.forward(&self.params, x)).mode().to_vec()
    }

    /// The probability of each pixel, given bits.
    fn decode(&self, bits: &[f32]) -> Vec<f32> {
        let tape = Tape::inference();
        let bits = tape.input(bits, [bits.len() / BITS, BITS]);
        self.decoder.forward(&self.params, bits).sigmoid().to_vec()
    }
}

/// The cost of the pixels under these probabilities, in nats per image.
fn cost(pixels: &[f32], probabilities: &[f32]) -> f64 {
    let of_pixel = |(&pixel, &p): (&f32, &f32)| {
        let p = f64::from(p).clamp(1e-4, 1.0 - 1e-4);
        if pixel == 1.0 { -p.ln() } else { -(1.0 - p).ln() }
    };
    pixels.iter().zip(probabilities).map(of_pixel).sum::<f64>() / (pixels.len() / 784) as f64
}

fn first_images(split: &Split, count: u32) -> Vec<f32> {
    let mut pixels = vec![0.0; count as usize * 784];
    split.pixels_into(&Vec::from_iter(0..count), &mut pixels);
    pixels
}

/// Two images side by side, two rows of pixels per line.
fn show(left: &[f32], right: &[f32]) {
    let block = |top: f32, bottom: f32| match (top > 0.5, bottom > 0.5) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    };
    let line = |image: &[f32], y: usize| -> String {
        (0..28).map(|x| block(image[y * 28 + x], image[(y + 1) * 28 + x])).collect()
    };
    (2..26).step_by(2).for_each(|y| println!("  {}  {}", line(left, y), line(right, y).trim_end()));
}

/// The cost on 1000 validation images: of the mean image, and of their own codes.
fn learn(steps: usize, learning_rate: f64) -> (Autoencoder, f64, f64) {
    let (digits, mut noise) = (Digits::embedded(), Noise::seed(1));
    let mut model = Autoencoder::new(&mut noise);
    model.train(digits.train(), steps, learning_rate, &mut noise);
    let pixels = first_images(digits.validation(), 1000);
    let mean = cost(&pixels, &digits.train().pixel_means().repeat(1000));
    let coded = cost(&pixels, &model.decode(&model.encode(&pixels)));
    (model, mean, coded)
}

fn main() {
    let (model, mean, coded) = learn(3000, 3e-3);
    println!("nats per validation image: {mean:.1} from the mean image, {coded:.1} from {BITS} bits");
    let pixels = first_images(Digits::embedded().validation(), 3);
    for digit in pixels.chunks_exact(784) {
        let bits = model.encode(digit);
        println!("\ncode {}", bits.iter().map(|bit| bit.to_string()).collect::<String>());
        show(digit, &model.decode(&bits));
    }
}

#[test]
fn bits_say_far_more_than_the_mean_image() {
    let (model, mean, coded) = learn(1000, 3e-3);
    assert!(coded < 0.7 * mean, "{coded} nats from bits, {mean} from the mean image");
    // The decoder reads the code: with another image's code it does worse than the mean image.
    let pixels = first_images(Digits::embedded().validation(), 1000);
    let mut bits = model.encode(&pixels);
    bits.rotate_left(BITS);
    assert!(cost(&pixels, &model.decode(&bits)) > mean);
}
