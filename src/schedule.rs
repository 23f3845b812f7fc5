//! Schedules: a number as a function of the step, for learning rates and temperatures.

use std::fmt;
use std::str::FromStr;

/// A number that depends on the step.
///
/// Written and read as text, for command lines and checkpoints: `0.5`, `anneal:1,3e-5,0.5,500` or
/// `tail:0.001,2e-5,18000,30000`.
///
/// ```
/// use reparam::Schedule;
///
/// let tau: Schedule = "anneal:1,3e-5,0.5,1000".parse().unwrap();
/// assert_eq!(tau.at(999), 1.0);
/// assert_eq!(tau.at(1_000_000), 0.5);
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Schedule {
    /// The same at every step.
    Fixed(f64),
    /// max(floor, start e^(-rate t)), with t the step rounded down to a multiple of `every`. This is the
    /// temperature of Jang, Gu and Poole 2017, section 4.2.
    Anneal {
        /// Value at step 0.
        start: f64,
        /// Decay per step.
        rate: f64,
        /// The least value.
        floor: f64,
        /// Steps between updates.
        every: u64,
    },
    /// `start` up to step `from`, then linear to `end` at step `to`, and `end` from there on.
    Tail {
        /// Value before `from`.
        start: f64,
        /// Value from `to` on.
        end: f64,
        /// The step at which the change begins.
        from: u64,
        /// The step at which it ends.
        to: u64,
    },
}

impl Schedule {
    /// The value at a step, counted from 0.
    ///
    /// # Panics
    /// If a number is not finite, if the `every` of an `Anneal` is 0, or if a `Tail` does not end after it
    /// begins.
    #[track_caller]
    pub fn at(self, step: u64) -> f64 {
        if let Err(expected) = self.check() {
            panic!("Schedule::at: {expected}, found {self}");
        }
        match self {
            Schedule::Fixed(value) => value,
            Schedule::Anneal { start, rate, floor, every } => {
                let updated = step - step % every;
                (start * (-rate * updated as f64).exp()).max(floor)
            }
            Schedule::Tail { start, end, from, to } => {
                let fraction = step.saturating_sub(from) as f64 / (to - from) as f64;
                match end - start {
                    // The end is exact. The sum would be rounded, and a small `end` to 0.
                    _ if fraction >= 1.0 => end,
                    fall if fall.is_finite() => start + fall * fraction,
                    _ => start * (1.0 - fraction) + end * fraction,
                }
            }
        }
    }

    /// Checks that the schedule has a value at every step.
    ///
    /// # Errors
    /// The numbers expected.
    pub(crate) fn check(self) -> Result<(), &'static str> {
        let (numbers, steps) = match self {
            Schedule::Fixed(value) => ([value; 3], Ok(())),
            Schedule::Anneal { start, rate, floor, every } => {
                ([start, rate, floor], if every > 0 { Ok(()) } else { Err("expected EVERY of at least 1") })
            }
            Schedule::Tail { start, end, from, to } => {
                ([start, end, end], if from < to { Ok(()) } else { Err("expected TO after FROM") })
            }
        };
        match numbers.iter().all(|number| number.is_finite()) {
            true => steps,
            false => Err("expected finite numbers"),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Fixed(value) => write!(f, "{value}"),
            Schedule::Anneal { start, rate, floor, every } => {
                write!(f, "anneal:{start},{rate},{floor},{every}")
            }
            Schedule::Tail { start, end, from, to } => write!(f, "tail:{start},{end},{from},{to}"),
        }
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Schedule, String> {
        parse(text).filter(|schedule| schedule.check().is_ok()).ok_or_else(|| {
            format!(
                "expected a number, anneal:START,RATE,FLOOR,EVERY or tail:START,END,FROM,TO (EVERY at least 1, \
                 TO after FROM), found `{text}`"
            )
        })
    }
}

fn parse(text: &str) -> Option<Schedule> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let step = |text: &str| text.trim().parse::<u64>().ok();
    let Some((kind, rest)) = text.split_once(':') else { return number(text).map(Schedule::Fixed) };
    let fields: Vec<&str> = rest.split(',').collect();
    let &[a, b, c, d] = &fields[..] else { return None };
    match kind {
        "anneal" => {
            let (start, rate, floor) = (number(a)?, number(b)?, number(c)?);
            Some(Schedule::Anneal { start, rate, floor, every: step(d)? })
        }
        "tail" => Some(Schedule::Tail { start: number(a)?, end: number(b)?, from: step(c)?, to: step(d)? }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_the_corners() {
        let tail = Schedule::Tail { start: 1.0, end: 0.0, from: 10, to: 20 };
        assert_eq!([0, 10, 15, 20, 99].map(|step| tail.at(step)), [1.0, 1.0, 0.5, 0.0, 0.0]);
        let small = Schedule::Tail { start: 1.0, end: 1e-17, from: 0, to: 10 };
        assert_eq!(small.at(10), 1e-17);
        let wide = Schedule::Tail { start: -f64::MAX, end: f64::MAX, from: 0, to: 4 };
        for (step, value) in [-1.0, -0.5, 0.0, 0.5, 1.0].into_iter().enumerate() {
            assert!((wide.at(step as u64) / f64::MAX - value).abs() < 1e-15);
        }
        let anneal = Schedule::Anneal { start: 1.0, rate: 1e-4, floor: 0.5, every: 500 };
        assert_eq!(anneal.at(499), 1.0);
        assert_eq!(anneal.at(999), (-0.05f64).exp());
        assert_eq!(anneal.at(u64::MAX), 0.5);
    }

    #[test]
    fn text_comes_back_the_same() {
        for text in ["0.5", "anneal:1,0.00003,0.5,500", "tail:0.001,0.00002,18000,30000"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        for text in ["", "nan", "anneal:1,2,3", "anneal:1,1,1,0", "tail:1,1,5,5", "cosine:1,2,3,4"] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
    }
}
