//! Flags and helpers that several commands share.

use std::fmt;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use reparam::data::Digits;
use reparam::{Error, Result, write_atomically};
use serde::Serialize;

/// Which data a command works on.
#[derive(clap::Args)]
pub(crate) struct DataArgs {
    /// Folder of IDX files (MNIST, Fashion-MNIST, ...; plain or .gz), binarized afresh at every use, or a file that
    /// `reparam data pack` wrote, instead of the embedded fixed-binarized MNIST
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
}

impl DataArgs {
    pub(crate) fn load(&self) -> Result<Digits> {
        load(self.path())
    }

    /// The folder or file that was given.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.data.as_deref()
    }
}

/// The data in a folder or a file; the embedded one without either.
pub(crate) fn load(path: Option<&Path>) -> Result<Digits> {
    match path {
        None => embedded(),
        Some(path) if path.is_file() => Digits::read_packed(path),
        Some(path) => Digits::read_dir(path),
    }
}

#[cfg(feature = "embedded")]
pub(crate) fn embedded() -> Result<Digits> {
    Ok(Digits::embedded())
}

#[cfg(not(feature = "embedded"))]
pub(crate) fn embedded() -> Result<Digits> {
    let expected = "a build with the feature `embedded`, or --data where the command takes it";
    Err(Error::invalid("the data", expected, "neither"))
}

/// How many threads a command works on.
#[derive(clap::Args)]
pub(crate) struct ThreadArgs {
    /// Threads to work on; what is computed does not depend on it [default: one per core]
    #[arg(long, value_name = "N", value_parser = whole(1..=u16::MAX))]
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

/// The exit code of a command that Ctrl-C ended, as shells have it.
pub(crate) const INTERRUPTED: i32 = 130;

/// Set by Ctrl-C.
pub(crate) fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    ctrlc::set_handler(move || set.store(true, Ordering::Relaxed))
        .map_err(|error| Error::invalid("Ctrl-C", "a signal handler", error))?;
    Ok(flag)
}

/// A number that is given as text, with an error that says what it should have been.
pub(crate) fn number<T: FromStr>(text: &str) -> std::result::Result<T, String> {
    text.parse().map_err(|_| {
        let kind = if "0.5".parse::<T>().is_ok() { "a number" } else { "a whole number" };
        format!("expected {kind}, found `{text}`")
    })
}

/// A parser of whole numbers in a range.
pub(crate) fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> std::result::Result<T, String> + Clone
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

/// A whole number that is not 0.
pub(crate) fn at_least_one<T: FromStr + Default + PartialEq>(text: &str) -> std::result::Result<T, String> {
    match text.parse() {
        Ok(value) if value != T::default() => Ok(value),
        _ => Err(format!("expected a whole number from 1, found `{text}`")),
    }
}

/// Prints a line on standard output: `println!` that does not panic when nobody reads it.
macro_rules! say {
    ($($part:tt)*) => { $crate::common::print(format_args!($($part)*)) };
}
pub(crate) use say;

/// See [`say!`]. A reader that went away ends the program as silently as it ends any other in a pipe.
pub(crate) fn print(line: fmt::Arguments<'_>) {
    match writeln!(io::stdout(), "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(128 + 13),
        Err(error) => fail(&Error::io("standard output", "write", error)),
    }
}

/// Ends the program with an error's one line.
pub(crate) fn fail(error: &Error) -> ! {
    // Where standard error is closed as well, the exit code is all that is left.
    let _ = writeln!(io::stderr(), "error: {error}");
    process::exit(1)
}

/// One JSON object a line.
pub(crate) fn json_lines(lines: &[impl Serialize]) -> String {
    lines.iter().map(|line| serde_json::to_string(line).expect("numbers and text") + "\n").collect()
}

/// Writes one JSON object a line.
pub(crate) fn write_lines(path: &Path, lines: &[impl Serialize]) -> Result<()> {
    write_atomically(path, json_lines(lines))
}

/// Makes a folder and checks that files can be written there, before hours are spent.
pub(crate) fn writable_dir(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|error| Error::io(dir, "create the folder", error))?;
    let probe = dir.join(".writable");
    std::fs::write(&probe, b"").map_err(|error| Error::io(dir, "write in the folder", error))?;
    std::fs::remove_file(&probe).map_err(|error| Error::io(probe, "remove", error))
}

/// Checks that a file that is written at the end can be, before long work.
pub(crate) fn writable_folder_of(file: Option<&Path>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::metadata(folder).map(drop).map_err(|error| Error::io(file, "write", error))
}

/// Removes what an unfinished [`reparam::write_atomically`] of one of the `names` left in a folder.
pub(crate) fn remove_partial(dir: &Path, names: &[&str]) {
    remove_files(dir, |file| {
        file.ends_with(".partial") && names.iter().any(|name| file.starts_with(&format!(".{name}.")))
    });
}

/// Removes the files of a folder whose name is one to remove.
pub(crate) fn remove_files(dir: &Path, is_to_remove: impl Fn(&str) -> bool) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if is_to_remove(&entry.file_name().to_string_lossy()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A bar that begins at `start`, with rate and time left; invisible where standard error is not a terminal.
pub(crate) fn progress(start: u64, total: u64, unit: &str) -> ProgressBar {
    // Not as wide as the terminal: what Ctrl-C echoes stays on the line that is cleared.
    let template = format!("{{bar:25}} {{human_pos}} of {{human_len}} {unit}{{pace}}  {{msg}}");
    let style = ProgressStyle::with_template(&template).expect("a valid template");
    let bar = ProgressBar::new(total).with_position(start);
    bar.set_style(style.with_key("pace", move |state: &ProgressState, out: &mut dyn fmt::Write| {
        let (done, seconds) = (state.pos().saturating_sub(start), state.elapsed().as_secs_f64());
        if done > 0 && seconds > 0.0 {
            let rate = done as f64 / seconds;
            let digits = if rate < 10.0 { format!("{rate:.1}") } else { thousands(rate as u64) };
            let left = total.saturating_sub(state.pos()) as f64 / rate;
            let left = Duration::from_secs_f64(left.round().min(1e12));
            let _ = write!(out, ", {digits}/s, {:#} left", HumanDuration(left));
        }
    }));
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// 12,345 for 12345.
pub(crate) fn thousands(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}
