//! Training: any [`Model`](crate::models::Model), any [estimator](crate::estimators), any
//! [data](crate::data), one loop and one kind of checkpoint.
//!
//! A [`Run`] is a model in training. Each [`step`](Run::step) takes a batch, updates the parameters and, when
//! due, scores the validation images. A [`checkpoint`](Run::checkpoint) holds everything needed to continue
//! the run bit for bit. A [`Plan`] is the settings of a run of one of this crate's models, and a checkpoint
//! stores them. [`Stored`] is the model in such a checkpoint.
//!
//! ```
//! # #[cfg(feature = "embedded")] {
//! use reparam::data::Digits;
//! use reparam::models::{Vae, VaeShape};
//! use reparam::train::{Estimators, Run, Training};
//! use reparam::{Noise, Params, Variables};
//!
//! let data = Digits::embedded();
//! let mut params = Params::new();
//! let shape = VaeShape::symmetric(784, &[32], Variables::Bits(8));
//! let model = Vae::new(shape, &data.train().pixel_means(), &mut params, &mut Noise::seed(1));
//! let training = Training { steps: 5, batch: 20, ..Training::default() };
//! let estimators = Estimators::named("disarm").unwrap();
//! let mut run = Run::new(training, Box::new(model), params, estimators, &data).unwrap();
//! while !run.is_finished() {
//!     assert!(run.step().loss.is_finite());
//! }
//! # }
//! ```

mod best;
mod estimators;
mod evaluation;
mod exchange;
mod moments;
mod plan;
mod run;
mod stored;
mod training;

pub use estimators::{Estimators, Sampling};
pub use evaluation::{Evaluation, Record, Scores};
pub use exchange::{Alone, Exchange};
pub use plan::Plan;
pub use run::{Run, Stepped};
pub use stored::Stored;
pub use training::{MOST_SAMPLES, MOST_STEPS, OptimizerPlan, Training, Validation, falling};

use crate::data::Digits;
use crate::noise::Noise;

/// The number of whole passes over the training images after `step` steps.
fn epoch(step: u64, batch: usize, data: &Digits) -> u64 {
    let images = u128::from(step) * batch as u128;
    (images / data.train().len().max(1) as u128) as u64
}

/// The independent streams of noise of a run.
struct Streams {
    /// For initialising the parameters.
    init: Noise,
    /// For the order of images.
    order: Noise,
    /// For the steps.
    steps: Noise,
    /// For evaluations. Each begins at the start of this stream.
    evaluation: Noise,
}

impl Streams {
    fn of(seed: u64) -> Streams {
        let mut root = Noise::seed(seed);
        let mut next = || root.split();
        Streams { init: next(), order: next(), steps: next(), evaluation: next() }
    }
}
