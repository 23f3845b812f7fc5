//! Names and numbers as text: schedules, estimators, problems.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;
use reparam::estimators::{entries, parse};
use reparam::lab::parse_problem;
use reparam::{Error, Schedule};

use super::{check, word};

properties! {
    schedules_come_back,
    texts_are_schedules_or_not,
    estimators_come_back,
    texts_are_estimators_or_named,
    texts_are_problems_or_named,
}

/// A name, a number at its end, and perhaps others after separators; or any text.
fn text(
    names: impl Strategy<Value = &'static str> + 'static,
    separator: &'static str,
) -> impl Strategy<Value = String> {
    let number = || word(" 0 1 2 2 3 -1 0.5 1e-320 1e39 nan inf 65537 18446744073709551615");
    let numbers = vec(number(), 0..5).prop_map(move |numbers| numbers.join(separator));
    let pieces = (names, numbers).prop_map(|(name, numbers)| format!("{name}{numbers}"));
    prop_oneof![9 => pieces, 1 => any::<String>()]
}

fn finite() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |number| number.is_finite())
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let anneal = (finite(), finite(), finite(), 1..=u64::MAX);
    let tail = (finite(), finite(), any::<u64>(), any::<u64>());
    prop_oneof![
        finite().prop_map(Schedule::Fixed),
        anneal.prop_map(|(start, rate, floor, every)| Schedule::Anneal { start, rate, floor, every }),
        tail.prop_filter("not empty", |&(_, _, from, to)| from != to)
            .prop_map(|(start, end, a, b)| { Schedule::Tail { start, end, from: a.min(b), to: a.max(b) } }),
    ]
}

fn schedules_come_back(config: Config) {
    check(config, (schedule(), any::<u64>()), |(schedule, step)| {
        let text = schedule.to_string();
        let read: Schedule = text.parse().unwrap();
        assert_eq!(read, schedule);
        assert_eq!(read.to_string(), text);
        assert_eq!(read.at(step).to_bits(), schedule.at(step).to_bits());
    });
}

fn texts_are_schedules_or_not(config: Config) {
    check(config, text(word("anneal: tail: "), ","), |text| match text.parse::<Schedule>() {
        Ok(schedule) => assert_eq!(schedule.to_string().parse(), Ok(schedule)),
        Err(error) => assert!(error.starts_with("expected a number,"), "{error}"),
    });
}

/// The forms of the estimators' names, like `rloo:K`.
fn forms() -> Vec<&'static str> {
    entries().map(|entry| entry.form).collect()
}

/// An estimator's name, with numbers in the places of its parameters.
fn estimator() -> impl Strategy<Value = String> {
    let temperature = || ((1u32 << 23)..(255 << 23)).prop_map(f32::from_bits);
    (select(forms()), 1..1000usize, temperature(), temperature()).prop_map(|(form, k, tau, other)| {
        let (first, second) = (format!(":{tau}"), format!(":{other}"));
        let name = form.replace(":K", &format!(":{k}")).replace(":TAU", &first);
        let name = name.replace(":FORWARD", &first).replace(":BACKWARD", &second);
        name.replace(":POSTERIOR", &first).replace(":PRIOR", &second)
    })
}

fn estimators_come_back(config: Config) {
    check(config, estimator(), |name| assert_eq!(parse(&name).unwrap().name(), name));
}

/// The name of an estimator, which a parameter can follow.
fn estimator_word() -> impl Strategy<Value = &'static str> {
    select(forms()).prop_map(|name| name.find(':').map_or(name, |colon| &name[..=colon]))
}

/// An error must be one line.
fn assert_is_line(error: &Error) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
}

fn texts_are_estimators_or_named(config: Config) {
    check(config, text(estimator_word(), ":"), |text| match parse(&text) {
        Ok(estimator) => assert_eq!(parse(&estimator.name()).unwrap().name(), estimator.name()),
        Err(error) => assert_is_line(&error),
    });
}

fn texts_are_problems_or_named(config: Config) {
    let none = || Err(Error::invalid("the data", "images", "none"));
    check(config, text(word("toy: polynomial: quadratic: vae: vae"), "x"), |text| {
        if let Err(error) = parse_problem(&text, &none, 1) {
            assert_is_line(&error);
        }
    });
}
