//! `categorical`: exact samples of categorical variables as one-hot vectors, one-hot of argmax(logits + g),
//! with one draw per logit. There is no gradient.
//!
//! With the same draws, [`gumbel_max`](crate::gumbel_max) gives the place of the 1, and
//! [`st_categorical`](crate::st_categorical) the same vectors with a gradient.
//!
//! # Source
//! E. J. Gumbel, "Statistical Theory of Extreme Values and Some Practical Applications", 1954; C. Maddison,
//! D. Tarlow, T. Minka, "A* Sampling", NIPS 2014, section 2.

pub use crate::gumbel_softmax::st_forward as forward;
