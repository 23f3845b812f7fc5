//! Ctrl-C and other requests to terminate.

use std::io::{self, Write};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::cli::above_bar;
use crate::error::{Error, Result};
use crate::file::outputs::Lock;

/// The exit code of a command that Ctrl-C ended, by the convention of shells.
pub const INTERRUPTED: i32 = 130;

/// The response of a command to Ctrl-C, SIGTERM and SIGHUP. If there is nothing to save, the first signal
/// ends the command at once. Otherwise it is noted, and the command saves and ends. A second Ctrl-C always
/// ends the command at once.
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    manner: Arc<Mutex<Manner>>,
}

/// The effect of the first signal.
enum Manner {
    /// The signal is noted, and the work stops when it can.
    Note,
    /// The command prints its last words and ends.
    End(Box<dyn FnOnce() + Send>),
}

impl Interrupt {
    /// Starts to listen. The first signal ends the command. A signal that is already ignored, for example
    /// under `nohup`, stays ignored.
    ///
    /// # Errors
    /// If the system does not allow a signal handler.
    pub fn listen() -> Result<Interrupt> {
        let manner = Arc::new(Mutex::new(Manner::End(Box::new(|| {}))));
        let interrupt = Interrupt { asked: Arc::default(), manner };
        interrupt.begin().map_err(|error| Error::invalid("Ctrl-C", "a signal handler", error))?;
        Ok(interrupt)
    }

    fn begin(&self) -> io::Result<()> {
        let ignored = ignored();
        let signals = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
        let signals: Vec<i32> = signals.collect();
        if signals.contains(&SIGINT) {
            // The order matters. The second Ctrl-C finds the flag that the first one set, whatever the
            // threads are doing.
            flag::register_conditional_shutdown(SIGINT, INTERRUPTED, self.asked.clone())?;
        }
        for &signal in &signals {
            flag::register(signal, self.asked.clone())?;
        }
        let (mut signals, manner) = (Signals::new(signals)?, self.manner.clone());
        thread::Builder::new().spawn(move || {
            if signals.forever().next().is_some() {
                answer(&manner);
            }
        })?;
        Ok(())
    }

    /// Returns true if a signal has arrived.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Makes the first signal from now on a request, which the work checks with [`is_asked`](Self::is_asked).
    pub fn asks(&self) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = Manner::Note;
    }

    /// Makes the first signal from now on print the last words and end the command. If one has already
    /// arrived, that happens at once.
    pub fn ends(&self, last_words: impl FnOnce() + Send + 'static) {
        let mut manner = self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        *manner = Manner::End(Box::new(last_words));
        if self.is_asked() {
            end(&mut manner);
        }
    }
}

/// Answers the first signal.
fn answer(manner: &Mutex<Manner>) {
    let mut manner = manner.lock().unwrap_or_else(PoisonError::into_inner);
    match &*manner {
        Manner::Note => above_bar(|| {
            let _ = writeln!(
                io::stderr(),
                "stopping at the end of this step; press Ctrl-C again to stop at once"
            );
        }),
        Manner::End(_) => end(&mut manner),
    }
}

fn end(manner: &mut Manner) {
    if let Manner::End(last_words) = std::mem::replace(manner, Manner::Note) {
        above_bar(last_words);
    }
    Lock::remove_all();
    process::exit(INTERRUPTED)
}

/// Returns the signals that were ignored when the program began, as bits.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Other systems do not tell. There we do not listen to SIGHUP, so that a run under `nohup` outlives its
    // terminal.
    mask.unwrap_or(1 << (SIGHUP - 1))
}
