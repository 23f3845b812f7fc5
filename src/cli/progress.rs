//! A progress bar with rate and time left.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle, WeakProgressBar};

/// The most recent bar.
static SHOWN: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// A bar that begins at `start`, with rate and time left. It is invisible if standard error is not a
/// terminal.
pub fn progress(start: u64, total: u64, unit: &str) -> ProgressBar {
    // Narrower than the terminal, so that the echo of Ctrl-C stays on the line that is cleared.
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
    if let Ok(mut shown) = SHOWN.lock() {
        *shown = Some(bar.downgrade());
    }
    bar
}

/// Prints above the bar, if there is one.
pub(crate) fn above_bar(print: impl FnOnce()) {
    match SHOWN.lock().ok().and_then(|shown| shown.as_ref().and_then(WeakProgressBar::upgrade)) {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// A number with commas: 12,345 for 12345.
pub fn thousands(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}
