//! Does every reader of files and names return what was written, and refuse everything else with one line?
//!
//! proptest makes the inputs. The few inputs of an ordinary run come from a fixed seed, so such a test passes
//! always or never. The many inputs of an ignored test come from a fresh seed, and a failure prints the
//! smallest input that still fails.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, Select, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tempfile::TempDir;

/// Makes each property a test with few inputs, and an ignored test with many.
macro_rules! properties {
    ($($property:ident),+ $(,)?) => {
        mod few {
            $(#[test] fn $property() { super::$property($crate::readers::few_inputs()); })+
        }
        mod many {
            $(#[test] #[ignore = "many inputs: a minute"]
            fn $property() { super::$property($crate::readers::many_inputs()); })+
        }
    };
}

mod checkpoints;
mod images;
mod names;

fn few_inputs() -> Config {
    Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::with_cases(1_000) }
}

/// The number of cases is `PROPTEST_CASES`, or fifty thousand.
fn many_inputs() -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    Config { failure_persistence: None, ..Config::with_cases(cases.unwrap_or(50_000)) }
}

/// Tries a property on inputs, and panics with the smallest input on which the property panics.
fn check<S: Strategy>(config: Config, inputs: S, property: impl Fn(S::Value)) {
    let outcome = TestRunner::new(config).run(&inputs, |input| {
        property(input);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// The value, if there is one. An error must be one line that begins with the path.
fn value_or_line<T>(outcome: reparam::Result<T>, path: &Path) -> Option<T> {
    let text = match outcome {
        Ok(value) => return Some(value),
        Err(error) => error.to_string(),
    };
    assert!(text.starts_with(path.to_str().unwrap()), "{text:?} does not name {}", path.display());
    assert!(!text.contains(char::is_control), "{text:?} is more than a line");
    None
}

/// One of some words, which spaces separate.
fn word(words: &'static str) -> Select<&'static str> {
    select(words.split(' ').collect::<Vec<_>>())
}

/// A folder for the files of one input after another.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    /// The folder, without the files of the previous input.
    fn emptied(&self) -> &Path {
        for entry in fs::read_dir(self.0.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        self.0.path()
    }

    /// A file in it.
    fn file(&self, contents: &[u8]) -> PathBuf {
        let path = self.0.path().join("file");
        fs::write(&path, contents).unwrap();
        path
    }
}

/// Something that happens to a file.
#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Change(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    /// Two words of the header change places.
    Swap(usize, usize),
    Replace(Vec<u8>),
}

impl Damage {
    fn any() -> impl Strategy<Value = Damage> {
        prop_oneof![
            2 => any::<Index>().prop_map(Damage::Cut),
            6 => any::<(Index, u8)>().prop_map(|(place, byte)| Damage::Change(place, byte)),
            2 => any::<(Index, u8)>().prop_map(|(place, byte)| Damage::Insert(place, byte)),
            2 => any::<Index>().prop_map(Damage::Remove),
            2 => (0..6usize, 0..6usize).prop_map(|(a, b)| Damage::Swap(a, b)),
            1 => vec(any::<u8>(), 0..40).prop_map(Damage::Replace),
        ]
    }

    /// One or a few of them.
    fn some() -> impl Strategy<Value = Vec<Damage>> {
        vec(Damage::any(), 1..4)
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        match (self, bytes.len()) {
            (Damage::Replace(others), _) => bytes.clone_from(others),
            (Damage::Insert(place, byte), len) => bytes.insert(place.index(len + 1), *byte),
            (_, 0) => {}
            (Damage::Cut(place), len) => bytes.truncate(place.index(len)),
            (Damage::Change(place, byte), len) => bytes[place.index(len)] = *byte,
            (Damage::Remove(place), len) => _ = bytes.remove(place.index(len)),
            (Damage::Swap(a, b), len) if len >= 4 * (a.max(b) + 1) => {
                (0..4).for_each(|byte| bytes.swap(4 * a + byte, 4 * b + byte));
            }
            (Damage::Swap(..), _) => {}
        }
    }
}

/// A file's bytes after the damage.
fn damaged(bytes: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    damage.iter().for_each(|damage| damage.apply(&mut bytes));
    bytes
}
