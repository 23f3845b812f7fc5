//! The tests through the public API, in one program, with a module for each question. (`tests/allocations.rs`
//! is a separate program, because it sets the global allocator.)

mod common;

mod bound;
mod checkpoints;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod cli;
mod data;
mod distributions;
mod documentation;
mod drawing;
mod estimators;
mod golden;
mod gradcheck;
mod inventory;
mod learning;
mod limits;
mod mistakes;
mod numerics;
mod oracle;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod processes;
#[cfg(feature = "gzip")]
mod readers;
mod sameness;
mod stability;
mod statistics;
mod subnormal;
mod sums;
mod tape;
#[cfg(unix)]
mod tape_page;
mod training;
