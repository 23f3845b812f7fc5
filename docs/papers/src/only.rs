//! The cells that `--only` names.

use reparam::{Error, Result};

use crate::cell::Cell;

/// The ways in which a text may name a cell, the most specific first: its name, its row or column, words in
/// its name.
const WAYS: [fn(&Cell, &str) -> bool; 3] = [
    |cell, text| cell.name() == text,
    |cell, text| cell.row == text || cell.column == text,
    |cell, text| has_words(&cell.name(), text),
];

/// The given texts, one by one. A name with a comma in it, like `VIMCO, m = 5`, is one text.
pub(crate) fn texts<'t>(given: &'t [String], cells: &[Cell]) -> Vec<&'t str> {
    let is_name = |text: &str| WAYS[..2].iter().any(|names| cells.iter().any(|cell| names(cell, text)));
    let parts = |text: &'t String| {
        if is_name(text) { vec![&text[..]] } else { text.split(',').map(str::trim).collect() }
    };
    given.iter().flat_map(parts).collect()
}

/// The cells that some of the texts name, or all cells without texts. Each text names cells in the most
/// specific way that matches any.
pub(crate) fn choose(cells: Vec<Cell>, texts: &[&str]) -> Result<Vec<Cell>> {
    let mut is_chosen = vec![texts.is_empty(); cells.len()];
    for text in texts {
        let names = WAYS.into_iter().find(|names| cells.iter().any(|cell| names(cell, text)));
        let names = names.ok_or_else(|| {
            let example = cells.first().map_or_else(String::new, |cell| format!(", like `{}`", cell.name()));
            Error::invalid("--only", format!("words of a cell's name{example}"), text)
        })?;
        for (is_chosen, cell) in is_chosen.iter_mut().zip(&cells) {
            *is_chosen |= names(cell, text);
        }
    }
    Ok(cells.into_iter().zip(is_chosen).filter_map(|(cell, is_chosen)| is_chosen.then_some(cell)).collect())
}

/// Returns true if `words` stands in a text with no letter or digit right before or after it: `m = 5` does
/// not name `m = 50`, nor `arm` `disarm`.
fn has_words(text: &str, words: &str) -> bool {
    !words.is_empty()
        && text.match_indices(words).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + words.len()..]);
            !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Budget, Budgeted, concrete, jang, modern};

    const BUDGET: Budgeted = Budgeted { budget: Budget::Full, steps: 1, samples: 1, seed: 1 };

    /// The number of cells chosen, and the name of the first.
    fn chosen(cells: fn(Budgeted) -> Vec<Cell>, given: &[&str]) -> (usize, String) {
        let given: Vec<String> = given.iter().map(|&text| text.to_owned()).collect();
        let texts = texts(&given, &cells(BUDGET));
        let chosen = choose(cells(BUDGET), &texts).unwrap();
        (chosen.len(), chosen[0].name())
    }

    #[test]
    fn a_name_is_taken_as_a_whole_and_words_otherwise() {
        let one = (1, "(200H~784V) / VIMCO, m = 5".to_owned());
        assert_eq!(chosen(concrete::cells, &["(200H~784V) / VIMCO, m = 5"]), one);
        assert_eq!(chosen(concrete::cells, &["VIMCO, m = 5"]).0, 4);
        assert_eq!(chosen(concrete::cells, &["m = 5"]).0, 8);
        assert_eq!(chosen(concrete::cells, &["(200H~784V) / VIMCO, m = 5", "m = 1"]).0, 9);
        // A row of that name, not the rows that have it in their names.
        assert_eq!(chosen(jang::cells, &["VAE categorical"]).0, 7);
        assert_eq!(chosen(jang::cells, &["VAE categorical, 200"]).0, 7);
        assert_eq!(chosen(jang::cells, &["VAE categorical / ST"]), (1, "VAE categorical / ST".to_owned()));
        assert_eq!(chosen(jang::cells, &["DARN,MuProp"]).0, 10);
        assert_eq!(chosen(modern::cells, &["arm"]).0, 3);
        assert_eq!(chosen(jang::cells, &["SBN bernoulli, VAE bernoulli"]).0, 14);
        for none in ["ARN", ""] {
            assert!(choose(jang::cells(BUDGET), &[none]).is_err());
        }
    }

    #[test]
    fn words_are_whole() {
        let name = "(200H~784V) / Concrete, m = 5";
        assert!(["(200H~784V)", "Concrete", "m = 5", name].iter().all(|words| has_words(name, words)));
        assert!(!has_words("(200H~784V) / Concrete, m = 50", "m = 5") && !has_words("disarm", "arm"));
        // A later place may match if an earlier one does not.
        assert!(has_words("disarm / arm", "arm"));
    }
}
