//! The table of estimators, with the meaning of their names and how to make them from names.

use std::fmt;

use super::{
    Estimator, arm, control_variate, darn, exact, gumbel_rao, gumbel_softmax, leave_one_out, muprop, nvil,
    reinmax, relaxed_bound, score_function, straight_through, unordered_set, vimco,
};
use crate::error::{Error, Result};
use crate::var::temperature::is_temperature;

/// All estimators, file by file. No other place lists them.
const FILES: [&[Entry]; 15] = [
    exact::ENTRIES,
    score_function::ENTRIES,
    nvil::ENTRIES,
    leave_one_out::ENTRIES,
    vimco::ENTRIES,
    muprop::ENTRIES,
    control_variate::ENTRIES,
    arm::ENTRIES,
    unordered_set::ENTRIES,
    gumbel_softmax::ENTRIES,
    gumbel_rao::ENTRIES,
    straight_through::ENTRIES,
    darn::ENTRIES,
    reinmax::ENTRIES,
    relaxed_bound::ENTRIES,
];

/// An estimator, or a family of them, in the table.
pub struct Entry {
    /// The name, with its parameters in capitals: `rloo:K`.
    pub form: &'static str,
    /// The type that the name stands for.
    pub type_name: &'static str,
    /// A summary in a few words.
    pub summary: &'static str,
    /// The variables that it supports.
    pub variables: &'static str,
    /// Says whether its mean is the exact gradient.
    pub unbiased: &'static str,
    /// The number of loss evaluations.
    pub evaluations: &'static str,
    /// Names with usual parameters, which the lab measures by default.
    pub usual: &'static [&'static str],
    /// Makes it from the parameters of a name.
    pub(super) make: fn(&Parameters<'_>) -> Result<Box<dyn Estimator>>,
}

/// The entries of the table, in its order.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    FILES.into_iter().flatten()
}

/// The table as Markdown.
pub fn table() -> String {
    let mut table = String::from(
        "| name | estimator | variables | unbiased | evaluations |\n| --- | --- | --- | --- | --- |\n",
    );
    for Entry { form, type_name, summary, variables, unbiased, evaluations, .. } in entries() {
        table += &format!(
            "| `{form}` | [`{type_name}`]: {summary} | {variables} | {unbiased} | {evaluations} |\n"
        );
    }
    table
}

/// The parameters of a name, as text after its colons.
pub(super) struct Parameters<'n> {
    form: &'static str,
    name: &'n str,
    texts: Vec<&'n str>,
}

/// The most samples in a name, which is more than a gradient of one variable needs.
const MOST_SAMPLES: usize = 1000;

impl Parameters<'_> {
    /// Parameter `i` as a number of samples.
    pub(super) fn count(&self, i: usize) -> Result<usize> {
        let count = self.texts[i].parse().ok().filter(|count| (1..=MOST_SAMPLES).contains(count));
        count.ok_or_else(|| self.unfit(i, format_args!("a whole number from 1 to {MOST_SAMPLES}")))
    }

    /// Parameter `i` as a temperature.
    pub(super) fn temperature(&self, i: usize) -> Result<f32> {
        let tau = self.texts[i].parse().ok().filter(|&tau| is_temperature(tau));
        tau.ok_or_else(|| self.unfit(i, format_args!("a positive number")))
    }

    fn unfit(&self, i: usize, number: fmt::Arguments<'_>) -> Error {
        let place = self.form.split(':').nth(i + 1).expect("as many as there are texts");
        let expected = format!("{} with {number} for {place}", self.form);
        Error::invalid("estimator", expected, format!("`{}`", self.name))
    }
}

/// Makes the estimator with a name such as `rloo:4` or `gumbel-rao:100:0.5`.
///
/// ```
/// use reparam::estimators::parse;
///
/// assert_eq!(parse("gumbel-rao:100:0.5").unwrap().name(), "gumbel-rao:100:0.5");
/// assert!(parse("rloo").is_err());
/// ```
///
/// # Errors
/// If the name is unknown or a parameter is invalid. The error lists the names.
pub fn parse(name: &str) -> Result<Box<dyn Estimator>> {
    let texts: Vec<&str> = name.split(':').collect();
    let is_named = |entry: &&Entry| {
        let mut form = entry.form.split(':');
        form.next() == texts.first().copied() && form.count() == texts.len() - 1
    };
    match entries().find(is_named) {
        Some(entry) => (entry.make)(&Parameters { form: entry.form, name, texts: texts[1..].to_vec() }),
        None => {
            let forms: Vec<&str> = entries().map(|entry| entry.form).collect();
            Err(Error::invalid("estimator", format!("one of {}", forms.join(", ")), format!("`{name}`")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page and the crate's documentation show this table. `UPDATE_TABLES=1 cargo test --lib` rewrites
    /// it.
    #[test]
    fn the_table_in_the_documentation_is_this_one() {
        let root = env!("CARGO_MANIFEST_DIR");
        let path = format!("{root}/src/estimators/table.md");
        if std::env::var_os("UPDATE_TABLES").is_some() {
            std::fs::write(&path, table()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), table());
        let page = std::fs::read_to_string(format!("{root}/docs/estimators.md")).unwrap();
        let links_away = table().replace("[`", "`").replace("`]", "`");
        assert!(page.contains(&links_away), "docs/estimators.md lacks this table:\n{links_away}");
    }
}
