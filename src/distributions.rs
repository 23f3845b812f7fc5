//! Distributions on the tape: samples, log-densities, entropies and divergences, all in nats.
//!
//! Each is a small `Copy` struct of its parameters. Where they make sense, it has these methods:
//!
//! | method | gives |
//! | --- | --- |
//! | `sample(noise)` | a value of this distribution, taken as a constant without gradient |
//! | `rsample(noise)` | the same value as a function of parameters and noise, with its gradient; continuous distributions only |
//! | `log_prob(value)` | the logarithm of its probability or density |
//! | `entropy()`, `mean()`, `mode()` | if there is a closed form |
//! | `kl(q)` | KL(self \|\| q), if there is a closed form |
//!
//! A discrete variable has only logits, because probabilities would round to 0 and 1. Its last axis holds the
//! classes, which `log_prob`, `entropy` and `kl` sum over; distributions of single numbers work elementwise.
//! Parameters and values must have the same shape; use [`Var::broadcast_to`](crate::Var::broadcast_to) to
//! match them. Straight-through samples are separate ops on the logits
//! ([`st_gumbel_softmax`](crate::Var::st_gumbel_softmax) and others). They are not `rsample`s, because their
//! gradient is not the gradient of their value.
//!
//! In debug builds, constructors panic if a parameter is NaN, and `log_prob` panics if a constant lies
//! outside the support.
//!
//! | distribution | value | parameters |
//! | --- | --- | --- |
//! | [`OneHot`] | one-hot rows | logits |
//! | [`Categorical`] | class indices | logits |
//! | [`Bernoulli`] | 0 or 1 | logits |
//! | [`RelaxedOneHot`] | [`Simplex`]: rows on the simplex, with their logarithm | logits, tau |
//! | [`ExpConcrete`] | the logarithm alone | logits, tau |
//! | [`RelaxedBernoulli`] | [`RelaxedBit`]: numbers in (0, 1), with their logit | logits, tau |
//! | [`LogitRelaxedBernoulli`] | the logit alone | logits, tau |
//! | [`Gumbel`], [`Logistic`] | numbers | loc, log_scale |
//! | [`Normal`] | numbers | mean, log_std |
//! | [`Uniform`] | numbers | low, high |
//!
//! Parameters and values may be infinite. Log-densities, entropies and divergences are then the limits, where
//! a limit exists. An infinite logit makes a bit or a class certain. Its relaxed sample is certain too, with
//! log-density 0 and no gradient. An infinite number has density 0. Where there is no limit, for example if a
//! number and its location are both infinite, the result is NaN. [`Uniform`] panics if an end is infinite.
//!
//! [`KlForm`] selects the divergence in an ELBO whose samples are relaxed.
//!
//! ```
//! use reparam::distributions::OneHot;
//! use reparam::{Noise, Tape};
//!
//! // A score-function gradient: the value of a sample times the gradient of its log-probability.
//! let tape = Tape::new();
//! let logits = tape.variable(&[0.0, 1.0, 2.0], [1, 3]);
//! let posterior = OneHot::new(logits);
//! let z = posterior.sample(&mut Noise::seed(1));
//! let value = (z * tape.input(&[1.0, 5.0, 2.0], [3])).sum_axis(1);
//! let gradients = (value * posterior.log_prob(z)).sum().backward();
//! assert_eq!(gradients.of(logits).unwrap().len(), 3);
//! ```

mod bernoulli;
mod categorical;
mod exp_concrete;
mod gumbel;
mod kl_form;
mod logistic;
mod logit_relaxed_bernoulli;
mod normal;
mod one_hot;
mod parts;
mod relaxed_bernoulli;
mod relaxed_one_hot;
mod uniform;

pub use bernoulli::Bernoulli;
pub(crate) use bernoulli::is_positive;
pub use categorical::Categorical;
pub use exp_concrete::ExpConcrete;
pub use gumbel::Gumbel;
pub use kl_form::KlForm;
pub use logistic::Logistic;
pub use logit_relaxed_bernoulli::LogitRelaxedBernoulli;
pub use normal::Normal;
pub use one_hot::OneHot;
pub(crate) use parts::divided;
pub use relaxed_bernoulli::{RelaxedBernoulli, RelaxedBit};
pub use relaxed_one_hot::{RelaxedOneHot, Simplex};
pub use uniform::Uniform;
