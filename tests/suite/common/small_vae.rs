//! A tape that is printed and drawn.

use reparam::nn::Mlp;
use reparam::{Activation, Noise, Params, Tape, Var};

/// A small VAE: 4 pixels, 2 latent variables of 3 classes, 2 images.
pub(crate) fn vae_tape(tape: &Tape) -> Var<'_> {
    let (mut params, mut noise) = (Params::new(), Noise::seed(1));
    let encoder = Mlp::new(&mut params, "encoder", &[4, 5, 6], Activation::Relu, &mut noise);
    let decoder = Mlp::new(&mut params, "decoder", &[6, 4], Activation::Relu, &mut noise);
    let x = tape.input(&[0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0], [2, 4]);
    let logits = encoder.forward(&params, x - 0.5).reshape([4, 3]);
    let z = logits.gumbel_softmax(0.5, &mut noise).reshape([2, 6]);
    let reconstruction = decoder.forward(&params, z).bce_with_logits(x).sum();
    (reconstruction + logits.categorical_kl_uniform().sum()) / 2.0
}
