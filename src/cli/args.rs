//! Flags that several commands share, and readers of numbers.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::data::Digits;
use crate::error::{Error, Result};

/// The data of a command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DataArgs {
    /// Folder of IDX files (MNIST, Fashion-MNIST, EMNIST, ...; plain or .gz), binarized afresh in every batch
    /// except for mlp, or a file that `reparam data pack` wrote, instead of the embedded fixed-binarized
    /// MNIST
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Exchange rows and columns of the images, as EMNIST's files require
    #[arg(long, requires = "data")]
    pub transpose: bool,
}

impl DataArgs {
    /// Reads the data.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(&self) -> Result<Digits> {
        load(self.path(), self.transpose)
    }

    /// The given folder or file.
    pub fn path(&self) -> Option<&Path> {
        self.data.as_deref()
    }
}

/// Reads the data in a folder or a file, or the embedded data without either.
///
/// # Errors
/// If it cannot be read.
pub fn load(path: Option<&Path>, transpose: bool) -> Result<Digits> {
    let digits = match path {
        None => embedded(),
        Some(path) if path.is_file() => Digits::read_packed(path),
        Some(path) => Digits::read_dir(path),
    }?;
    Ok(if transpose { digits.transposed() } else { digits })
}

/// The embedded data.
///
/// # Errors
/// If this build does not have it.
#[cfg(feature = "embedded")]
pub fn embedded() -> Result<Digits> {
    Ok(Digits::embedded())
}

/// The embedded data.
///
/// # Errors
/// If this build does not have it.
#[cfg(not(feature = "embedded"))]
pub fn embedded() -> Result<Digits> {
    let expected = "a build with the feature `embedded`, or --data where the command takes it";
    Err(Error::invalid("the data", expected, "neither"))
}

/// The threads of a command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ThreadArgs {
    /// Number of threads; the results do not depend on it [default: one per core]
    #[arg(long, value_name = "N", value_parser = whole(1..=u16::MAX))]
    threads: Option<u16>,
}

impl ThreadArgs {
    /// Runs `work` inside a pool of this size, because parallel kernels called from inside a pool do not
    /// allocate.
    ///
    /// # Errors
    /// If the threads cannot be started, or `work` fails.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let threads = self.threads.map_or(0, usize::from);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map_err(|error| {
            Error::invalid("--threads", "a number of threads this machine can start", error)
        })?
        .install(work)
    }
}

/// Reads a number.
///
/// # Errors
/// A sentence that names what was expected and what was found.
pub fn number<T: FromStr>(text: &str) -> std::result::Result<T, String> {
    text.parse().map_err(|_| {
        let kind = if "0.5".parse::<T>().is_ok() { "a number" } else { "a whole number" };
        format!("expected {kind}, found `{text}`")
    })
}

/// A reader of whole numbers in a range.
pub fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> std::result::Result<T, String> + Clone
where
    T: FromStr + PartialOrd + fmt::Display + Clone,
{
    move |text| match text.parse() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => {
            Err(format!("expected a whole number from {} to {}, found `{text}`", range.start(), range.end()))
        }
    }
}

/// Names the flag in an error about a setting, if the command has a flag for that setting.
pub fn with_flag(error: Error, command: &clap::Command) -> Error {
    fn has(command: &clap::Command, flag: &str) -> bool {
        command.get_arguments().any(|argument| argument.get_long() == Some(flag))
            || command.get_subcommands().any(|command| has(command, flag))
    }
    match error {
        Error::Invalid { what, expected, found } if has(command, &what.replace(' ', "-")) => {
            Error::Invalid { what: format!("--{}", what.replace(' ', "-")), expected, found }
        }
        error => error,
    }
}
