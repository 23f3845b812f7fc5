//! Kernels on flat `f32` slices, forward and backward side by side. They know of no tape, no file and no
//! shape beyond rows x classes, so you can use them without the engine.
//!
//! Most kernels take the [`Tier`] to run on as their first argument, usually [`Tier::best`]. Results are
//! bit-for-bit the same on every tier, at any number of threads and on every machine. A kernel uses as many
//! threads as the current rayon pool has, up to the number of cores. Forwards overwrite their output, and
//! backwards add to the gradient. A kernel that can do either takes a [`Write`].
//!
//! Stochastic kernels take [`noise::Draws`], one 32-bit draw per number: a position in a stream, or injected
//! draws. The Gaussian kernels also take injected standard normals. No kernel stores noise or allocates,
//! except for the working memory of each thread at its first use.
//!
//! ```
//! use reparam_ops::noise::Stream;
//! use reparam_ops::{Tier, gumbel_softmax};
//!
//! let (tier, logits, dy) = (Tier::best(), [1.0, 2.0, 3.0], [0.5, 0.0, -0.5]);
//! let (mut y, mut dlogits) = ([0.0; 3], [0.0; 3]);
//! gumbel_softmax::forward(tier, Stream::new(42).into(), &logits, 3, 0.5, &mut y)?;
//! let dtau = gumbel_softmax::backward(tier, &y, &dy, 3, 0.5, true, &mut dlogits);
//! # assert!(dtau.is_finite());
//! # Ok::<(), reparam_ops::MaskedRow>(())
//! ```
//!
//! # The catalogue
//!
//! One line per op. Backward reads the incoming gradient and the values listed under `saved`.
//!
//! | op | module | forward | backward | saved | source |
//! | --- | --- | --- | --- | --- | --- |
//! | `add` | [`elementwise`] | a + b | dy, dy | nothing | |
//! | `sub` | [`elementwise`] | a - b | dy, -dy | nothing | |
//! | `mul` | [`elementwise`] | a b | b dy, a dy | inputs | |
//! | `div` | [`elementwise`] | a / b | dy / b, -y dy / b | b, output | |
//! | `affine` | [`elementwise`] | scale x + shift | scale dy | nothing | |
//! | `exp` | [`elementwise`] | e^x | y dy | output | |
//! | `ln` | [`elementwise`] | ln x | dy / x | input | |
//! | `log1p` | [`elementwise`] | ln(1 + x) | dy / (1 + x) | input | |
//! | `sqrt` | [`elementwise`] | root of x | dy / 2y | output | |
//! | `square` | [`elementwise`] | x^2 | 2x dy | input | |
//! | `abs` | [`elementwise`] | \|x\| | sign(x) dy | input | |
//! | `sigmoid` | [`elementwise`] | 1 / (1 + e^-x) | y (1 - y) dy | input | |
//! | `softplus` | [`elementwise`] | ln(1 + e^x) | sigmoid(x) dy | input | |
//! | `tanh` | [`elementwise`] | tanh x | (1 - y^2) dy | input | |
//! | `relu` | [`elementwise`] | max(x, 0) | dy where x > 0 | input | |
//! | `leaky_relu` | [`elementwise`] | x, or slope x below 0 | dy, or slope dy | input | |
//! | `sum` | [`axis`] | sum of all | dy everywhere | nothing | |
//! | `sum_axis` | [`axis`] | sums over an axis | dy along the axis | nothing | |
//! | `repeat` | [`axis`] | x along a new axis | sums of dy | nothing | |
//! | `transpose` | [`axis`] | last axes swapped | last axes of dy swapped | nothing | |
//! | `slice` | [`index`] | a range of an axis | dy into the range | nothing | |
//! | `concat` | [`index`] | inputs one after another | ranges of dy | nothing | |
//! | `gather` | [`index`] | rows by index | sums of the rows of an index | indices | |
//! | `select` | [`index`] | one entry per row | dy into that entry | indices | |
//! | `masked` | [`masked`] | x, or a number where masked | dy, or 0 where masked | masked positions | |
//! | `matmul` | [`matmul`](mod@matmul) | a b | dy b', a' dy | inputs | |
//! | `linear` | [`linear`] | activation(x W + b) | dz W', x' dz, column sums | inputs, output | |
//! | `softmax` | [`softmax`] | e^x / sum e^x | y (dy - <y, dy>) | output | |
//! | `log_softmax` | [`softmax`] | x - ln sum e^x | dy - e^y sum dy | output | |
//! | `logsumexp` | [`softmax`] | ln sum e^x | softmax(x) dy | input, output | |
//! | `bce_with_logits` | [`bce_with_logits`] | softplus(x) - t x | (sigmoid(x) - t) dy | inputs | |
//! | `cross_entropy` | [`cross_entropy`] | ln sum e^x - x\[t\] | (softmax(x) - one-hot) dy | inputs | |
//! | `categorical_kl` | [`categorical_kl`] | sum p ln(p / q) | p (ln(p / q) - kl), q - p | inputs, output | |
//! | `categorical_kl_uniform` | [`categorical_kl`] | sum p ln p + ln n | p (ln p - sum p ln p) | input | |
//! | `bernoulli_kl` | [`bernoulli_kl`] | p (a - b) - softplus(a) + softplus(b) | p (1 - p)(a - b), q - p | inputs | |
//! | `gaussian_rsample` | [`gaussian`] | mean + e^log_std eps | dy, dy e^log_std eps | log_std, position of draws | Kingma, Welling 2014 |
//! | `gaussian_kl_standard` | [`gaussian`] | (e^2s + m^2 - 1)/2 - s | m, e^2s - 1 | inputs | Kingma, Welling 2014, appendix B |
//! | `gumbel_softmax` | [`gumbel_softmax`] | softmax((x + g) / tau) | h / tau, -sum h ln y / tau | output | Jang et al. 2017; Maddison et al. 2017 |
//! | `st_gumbel_softmax` | [`gumbel_softmax`] | one-hot argmax(x + g) | the gradient of `gumbel_softmax` | x + g, or input and position of draws | Jang et al. 2017, 2.2 |
//! | `gumbel_rao` | [`gumbel_rao`] | one-hot argmax(x + g) | mean gradient of `gumbel_softmax` over noise with that winner | input, output, position of draws | Paulus et al. 2021 |
//! | `st_categorical` | [`st_categorical`] | one-hot argmax(x + g) | the gradient of softmax(x / tau) | input | Bengio et al. 2013 |
//! | `st_argmax` | [`st_argmax`] | one-hot argmax(x) | the gradient of softmax(x / tau) | input | Bengio et al. 2013 |
//! | `categorical` | [`categorical`] | one-hot argmax(x + g) | none: sampling only | nothing | Maddison et al. 2014 |
//! | `gumbel_max` | [`gumbel_max`] | argmax(x + g) | none: sampling only | nothing | Maddison et al. 2014 |
//! | `binary_concrete` | [`binary_concrete`] | sigmoid((x + l) / tau) | y (1 - y) / tau | distance of y from 0 or 1 | Maddison et al. 2017, appendix B |
//! | `st_binary_concrete` | [`binary_concrete`] | 1 where x + l > 0 | the gradient of `binary_concrete` | x + l, or input and position of draws | Jang et al. 2017, 2.2 |
//! | `bernoulli` | [`bernoulli`] | 1 where x + l > 0 | none: sampling only | nothing | |
//! | `st_bernoulli` | [`bernoulli`] | 1 where x + l > 0 | the gradient of sigmoid(x) | input | Bengio et al. 2013 |
//! | `exp_concrete` | [`exp_concrete`] | log of `gumbel_softmax` | dy - e^y sum dy, over tau | output | Maddison et al. 2017, appendix C |
//! | `exp_concrete_log_prob` | [`exp_concrete`] | log density of `exp_concrete` | 1 - n p, -tau (1 - n p) | inputs, output | Maddison et al. 2017, appendix C |
//! | `logit_binary_concrete` | [`logit_binary_concrete`] | (x + l) / tau | 1 / tau | output | Maddison et al. 2017, appendix C |
//! | `logit_binary_concrete_log_prob` | [`logit_binary_concrete`] | log density of `logit_binary_concrete` | -tanh(u / 2) | inputs | Maddison et al. 2017, appendix C |
//! | `with_logits_gradient` | [`with_logits_gradient`] | the loss | dy, and dy times a given estimate | estimate | |
//! | `adam` | [`adam`] | parameter update | none | moments | Kingma, Ba 2015 |
//! | `adamw` | [`adam`] | parameter update | none | moments | Loshchilov, Hutter 2019 |
//! | `sgd_momentum` | [`sgd_momentum`] | parameter update | none | velocity | |

pub mod adam;
pub mod axis;
pub mod bce_with_logits;
pub mod bernoulli;
pub mod bernoulli_kl;
pub mod binary_concrete;
mod buffer;
pub mod categorical;
pub mod categorical_kl;
pub mod cross_entropy;
pub mod draw;
pub mod elementwise;
pub mod exp_concrete;
pub mod fma;
pub mod gaussian;
pub mod gumbel_max;
pub mod gumbel_rao;
pub mod gumbel_softmax;
pub mod index;
mod lanes;
pub mod linear;
mod lists;
mod log_rows;
pub mod logit_binary_concrete;
pub mod masked;
pub mod math;
pub mod matmul;
mod matrix;
pub mod noise;
mod one_hot;
mod parallel;
mod perturbed;
mod recomputed;
mod rows;
mod scratch;
pub mod sgd_momentum;
pub mod simd;
mod soft_rows;
mod soft_vectors;
pub mod softmax;
mod sparse;
pub mod st_argmax;
pub mod st_categorical;
mod sums;
mod team;
mod tile;
mod tile_in_f64;
mod vectors;
pub mod with_logits_gradient;

pub use buffer::Buffer;
pub use fma::{Fma, Hardware};
pub use matrix::{Matrix, Write};
pub use rows::MaskedRow;
pub use simd::{LANES, Tier};

/// Items that the crates of this repository share. They may change in any version.
#[doc(hidden)]
pub mod internal {
    pub use crate::lanes::argmax;

    /// Working memory that each thread keeps between calls.
    pub mod scratch {
        pub use crate::scratch::{with, with_indices};
    }

    /// The threads that work on a kernel together.
    pub mod team {
        pub use crate::team::run;
    }
}
