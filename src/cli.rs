//! Shared parts of the command lines: flags that make a [`Plan`](crate::train::Plan), progress, signals,
//! records and pictures.
//!
//! The binaries `reparam` and `reparam-papers` are built on them. The feature `cli` enables this module.

pub mod args;
mod output;
pub mod picture;
pub mod plan_args;
pub mod plot;
mod progress;
pub mod records;
mod training_args;

#[doc(hidden)]
pub use crate::__say as say;
pub use crate::file::outputs as files;
pub use crate::interrupt::{INTERRUPTED, Interrupt};
pub use output::{fail, json_lines, print, try_print, write_lines};
pub(crate) use progress::above_bar;
pub use progress::{progress, thousands};
