//! Problems by name, and what the lab measures by default.

use std::ops::RangeInclusive;

use super::{DigitVae, Polynomial, Problem, Quadratic, Toy};
use crate::data::Digits;
use crate::error::{Error, Result};
use crate::estimators::{Entry, countable_states, entries};
use crate::variables::Variables;

/// The problems of a full run.
pub const PROBLEMS: [&str; 9] = [
    "toy:0.45:1",
    "toy:0.49:1",
    "toy:0.499:1",
    "polynomial:1.5",
    "polynomial:2",
    "polynomial:3",
    "quadratic:5",
    "vae:2x8",
    "vae:4x8",
];

/// The estimators of a full run: all, with usual parameters.
pub fn default_estimators() -> Vec<&'static str> {
    entries().flat_map(|entry| entry.usual).copied().collect()
}

/// The problems of a full run, and all estimators, as text.
pub fn listing() -> String {
    let mut text = format!(
        "problems: toy:T, toy:T:LOGIT, polynomial:POWER, quadratic:CLASSES, vae:LATENTSxCLASSES; by default {}\n\n\
         {:<36} {:<17} {:<30} {:<18} usual",
        PROBLEMS.join(", "),
        "estimator",
        "variables",
        "unbiased",
        "evaluations"
    );
    for entry in entries() {
        let Entry { form, variables, unbiased, evaluations, usual, .. } = entry;
        let usual = usual.join(" ");
        text += &format!("\n{form:<36} {variables:<17} {unbiased:<30} {evaluations:<18} {usual}");
    }
    text
}

/// Makes the problem with a name such as `toy:0.49`, `toy:0.49:1` (at logit 1) or `vae:2x8`. `digits` is
/// called only if the problem needs images.
///
/// # Errors
/// If the name is invalid, with a list of the names, or if there are no images.
pub fn parse_problem(name: &str, digits: &dyn Fn() -> Result<Digits>, seed: u64) -> Result<Box<dyn Problem>> {
    let (word, parameter) = name.split_once(':').unwrap_or((name, ""));
    let number = |range: RangeInclusive<f32>| parameter.parse().ok().filter(|number| range.contains(number));
    match word {
        "toy" => {
            let (t, logit) = parameter.split_once(':').unwrap_or((parameter, "0"));
            let within = |text: &str, most: f32| text.parse().ok().filter(|x: &f32| x.abs() <= most);
            let parameters = within(t, Toy::LARGEST_T).zip(within(logit, Toy::LARGEST_LOGIT));
            parameters.map(|(t, logit)| Box::new(Toy::at(t, logit)) as Box<dyn Problem>)
        }
        "polynomial" => number(Polynomial::POWERS).map(|power| Box::new(Polynomial::new(power)) as _),
        "quadratic" => parameter
            .parse()
            .ok()
            .filter(|classes| (2..=Quadratic::MOST_CLASSES).contains(classes))
            .map(|classes| Box::new(Quadratic::new(classes)) as _),
        "vae" => match latents_and_classes(parameter) {
            Some((latents, classes)) => {
                let digits = digits()?;
                Some(Box::new(DigitVae::train(&digits, latents, classes, seed)) as _)
            }
            None => None,
        },
        _ => None,
    }
    .ok_or_else(|| {
        let names = "toy:T or toy:T:LOGIT with T from -1000 to 1000 and LOGIT from -30 to 30, polynomial:POWER from 0.01 to 100, quadratic:CLASSES from 2 to 4096, \
                     or vae:LATENTSxCLASSES of at most 65536 states";
        Error::invalid("problem", names, format!("`{name}`"))
    })
}

fn latents_and_classes(text: &str) -> Option<(usize, usize)> {
    let (latents, classes) = text.split_once('x')?;
    let parse = |number: &str| number.parse::<usize>().ok().filter(|number| (1..=1000).contains(number));
    let (latents, classes) = (parse(latents)?, parse(classes)?);
    // Refused before the training, not after it.
    countable_states(Variables::Categories { count: latents, classes }).ok()?;
    Some((latents, classes))
}
