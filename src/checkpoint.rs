//! Checkpoints: named tensors and a text of settings in one safetensors file, which any safetensors reader
//! opens.
//!
//! The same state always gives the same bytes: the settings are one metadata string, sorted by key, and hold
//! no time, no path and no thread count. The file begins with checksums of the header and of the tensors,
//! which reveal damage.

mod file;
mod parts;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use self::file::Unread;
use crate::error::{Error, Result};
use crate::file::write_atomically;
use crate::shape::Shape;

/// Settings and tensors, by name. Types with a state store it with their `save` under a prefix and load it
/// with `restore`: [`Params`](crate::Params), [optimizers](crate::optim::Optimizer), [`Noise`](crate::Noise),
/// [`Batches`](crate::data::Batches), [estimators](crate::estimators::Estimator).
///
/// ```
/// use reparam::optim::{Adam, Optimizer};
/// use reparam::{Checkpoint, Noise, Params};
///
/// let (mut params, mut adam, mut noise) = (Params::new(), Adam::new(1e-3), Noise::seed(1));
/// params.add("w", [2], vec![3.0, 4.0]);
///
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.set("step", 100);
/// params.save("", &mut checkpoint);
/// adam.save("adam.", &params, &mut checkpoint);
/// noise.save("noise.", &mut checkpoint);
/// let path = std::env::temp_dir().join("reparam-checkpoint-example");
/// checkpoint.save(&path)?;
///
/// // Later, into a model, an optimizer and a noise that were made in the same way.
/// let checkpoint = Checkpoint::load(&path)?;
/// let step: u64 = checkpoint.get("step")?;
/// params.restore("", &checkpoint)?;
/// adam.restore("adam.", &params, &checkpoint)?;
/// noise.restore("noise.", &checkpoint)?;
/// # std::fs::remove_file(path).unwrap();
/// # assert_eq!(step, 100);
/// # Ok::<(), reparam::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    settings: BTreeMap<String, String>,
    tensors: BTreeMap<String, (Shape, Vec<f32>)>,
    /// The file it was read from, which errors name.
    path: Option<PathBuf>,
}

impl Checkpoint {
    /// An empty checkpoint.
    pub fn new() -> Checkpoint {
        Checkpoint::default()
    }

    /// Stores a setting.
    ///
    /// # Panics
    /// If its text is more than one line, or its key contains `=`.
    #[track_caller]
    pub fn set(&mut self, key: &str, value: impl ToString) {
        let value = value.to_string();
        assert!(!key.contains(['=', '\n']) && !value.contains('\n'), "settings are lines `key=value`");
        self.settings.insert(key.to_owned(), value);
    }

    /// Stores a tensor.
    ///
    /// # Panics
    /// If the number of elements does not match the shape, a tensor of that name exists (a parameter may
    /// share its name with an optimizer's buffer), or the name is `__metadata__`, which safetensors files
    /// reserve for their metadata.
    #[track_caller]
    pub fn put(&mut self, name: &str, shape: &Shape, value: &[f32]) {
        assert!(
            name != "__metadata__",
            "Checkpoint::put: no tensor of a safetensors file can be called `{name}`"
        );
        let (len, found) = (shape.len(), value.len());
        assert!(
            len == found,
            "Checkpoint::put `{name}`: {found} elements given for shape {shape}, which has {len}"
        );
        assert!(
            !self.tensors.contains_key(name),
            "Checkpoint::put: there is a tensor `{name}` already; save one of the two under another prefix"
        );
        self.tensors.insert(name.to_owned(), (shape.clone(), value.to_vec()));
    }

    /// A setting as text, if present.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// A setting as a value.
    ///
    /// # Errors
    /// If it is missing or is not a `T`.
    pub fn get<T: FromStr>(&self, key: &str) -> Result<T> {
        let text = self.text(key).ok_or_else(|| self.unfit(format_args!("the setting `{key}`"), "none"))?;
        let expected = format_args!("a readable setting `{key}`");
        text.parse().map_err(|_| self.unfit(expected, format_args!("`{text}`")))
    }

    /// A setting as a value, if present.
    ///
    /// # Errors
    /// If it is not a `T`.
    pub fn get_if_set<T: FromStr>(&self, key: &str) -> Result<Option<T>> {
        self.text(key).map(|_| self.get(key)).transpose()
    }

    /// The error for a checkpoint that holds something other than expected.
    pub fn unfit(&self, expected: impl Display, found: impl Display) -> Error {
        match &self.path {
            Some(path) => Error::format(path, expected, found),
            None => Error::invalid("the checkpoint", expected, found),
        }
    }

    /// A tensor by name.
    pub fn tensor(&self, name: &str) -> Option<(&Shape, &[f32])> {
        self.tensors.get(name).map(|(shape, value)| (shape, &value[..]))
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Shape, &[f32])> {
        self.tensors.iter().map(|(name, (shape, value))| (&**name, shape, &value[..]))
    }

    /// All settings, sorted by key.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::to_bytes(self)
    }

    /// Writes the file, first under a temporary name next to it, so that a reader never sees half of it.
    ///
    /// # Errors
    /// If it cannot be written. Any earlier file is then unchanged.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomically(path, self.to_bytes())
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, was not written by `reparam`, or was written by a version without
    /// checksums.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        Unread::open(path)?.read(path)
    }

    /// Like [`load`](Self::load), but fails if `check` refuses the settings and the shapes of the tensors.
    /// `check` runs before any value is read, so it sees tensors without values.
    pub(crate) fn load_if(path: &Path, check: impl FnOnce(&Checkpoint) -> Result<()>) -> Result<Checkpoint> {
        let unread = Unread::open(path)?;
        check(&unread.outline)?;
        unread.read(path)
    }
}
