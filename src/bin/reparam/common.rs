//! Flags and helpers that several commands share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reparam::data::Digits;
use reparam::{Error, Result};

/// Which data a command works on.
#[derive(clap::Args)]
pub(crate) struct DataArgs {
    /// Folder of IDX files (MNIST, Fashion-MNIST, ...; plain or .gz), binarized afresh at every use, instead of the
    /// embedded fixed-binarized MNIST
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataArgs {
    pub(crate) fn load(&self) -> Result<Digits> {
        match &self.data {
            Some(dir) => Digits::read_dir(dir),
            None => embedded(),
        }
    }
}

#[cfg(feature = "embedded")]
pub(crate) fn embedded() -> Result<Digits> {
    Ok(Digits::embedded())
}

#[cfg(not(feature = "embedded"))]
pub(crate) fn embedded() -> Result<Digits> {
    Err(Error::invalid("--data", "a folder of IDX files (this build carries no data)", "no --data"))
}

/// How many threads a command works on.
#[derive(clap::Args)]
pub(crate) struct ThreadArgs {
    /// Threads to work on; the results do not depend on it [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl ThreadArgs {
    /// Runs `work` inside a pool of that size: parallel kernels called from inside a pool do not allocate.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let threads = self.threads.map_or(0, usize::from);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map_err(|error| {
            Error::invalid("--threads", "a number of threads this machine can start", error)
        })?
        .install(work)
    }
}

/// Makes a folder and checks that files can be written there, before hours are spent.
pub(crate) fn writable_dir(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|error| Error::io(dir, "create the folder", error))?;
    let probe = dir.join(".writable");
    std::fs::write(&probe, b"").map_err(|error| Error::io(dir, "write in the folder", error))?;
    std::fs::remove_file(&probe).map_err(|error| Error::io(probe, "remove", error))
}

/// A bar with rate and time left; invisible where the output is not a terminal.
pub(crate) fn progress(total: u64, unit: &str) -> ProgressBar {
    let template =
        format!("{{bar:30}} {{human_pos}}/{{human_len}} {unit} {{per_sec}}, {{eta}} left  {{wide_msg}}");
    let style = ProgressStyle::with_template(&template).expect("a valid template");
    let bar = ProgressBar::new(total).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// 12,345 for 12345.
pub(crate) fn thousands(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}
