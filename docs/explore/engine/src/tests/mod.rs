//! The pages in a real browser, and the engine's bits there compared with native ones.

mod browser;
mod numbers;
mod pages;
mod proofs;
mod vae;
