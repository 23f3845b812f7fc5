//! The lab: estimators compared with the exact gradient, on problems small enough to enumerate.
//!
//! A [`Problem`] is a distribution of discrete variables and a loss. [`measure`] runs an estimator on it many
//! times, many rows at a time, and reports how far its mean is from the exact gradient, in length and in
//! direction, how much it varies and what it costs.
//!
//! ```
//! use reparam::estimators::{DisArm, Estimator, parse};
//! use reparam::lab::{Toy, measure};
//! use reparam::Noise;
//!
//! let problem = Toy::new(0.45);
//! let noise = &mut Noise::seed(1);
//! let disarm = measure(&problem, &mut DisArm, 10_000, 0, noise).unwrap();
//! let relaxed = measure(&problem, parse("gumbel-softmax:1").unwrap().as_mut(), 10_000, 0, noise).unwrap();
//! assert!(disarm.agrees && !relaxed.agrees);
//! ```

mod curve;
mod digit_vae;
mod exact;
mod measure;
mod name;
mod problem;
mod spread;
mod sweep;
mod table;
mod toys;

pub use curve::{CurvePoint, training_curve};
pub use digit_vae::DigitVae;
pub use measure::{Measurement, measure, measure_timed, z_bound};
pub use name::{PROBLEMS, default_estimators, listing, parse_problem};
pub use problem::Problem;
pub use sweep::{measure_named, sweep_temperatures};
pub use table::{COLUMNS, heading};
pub use toys::{Polynomial, Quadratic, Toy};
