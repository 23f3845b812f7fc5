//! Checkpoints: named tensors and a text of settings in one safetensors file, which any safetensors reader
//! opens.
//!
//! The same state always gives the same bytes: the settings are one metadata string, sorted by key, and hold
//! no time, no path and no thread count.

mod parts;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::file::write_atomically;
use crate::shape::Shape;

/// The metadata key under which the settings are stored.
const KEY: &str = "reparam";

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
/// // Later, into a model, an optimizer and a noise that were made as these.
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
    /// If the number of elements is not that of the shape, there is a tensor of that name already (a parameter may have the name
    /// of an optimizer's buffer), or the name is `__metadata__`, which safetensors files keep for their metadata.
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

    /// A setting as text, if it is there.
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

    /// A setting as a value, if it is there.
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
        let text: String = self.settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        let bytes = |value: &Vec<f32>| value.iter().flat_map(|number| number.to_le_bytes()).collect();
        let tensors: Vec<(&String, &Shape, Vec<u8>)> =
            self.tensors.iter().map(|(name, (shape, value))| (name, shape, bytes(value))).collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.dims().to_vec(), bytes);
            (name, view.expect("the shape is the value's"))
        });
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), text)])))
            .expect("plain f32 tensors")
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
    /// If it cannot be read, is damaged, or was not written by `reparam`.
    pub fn load(path: &Path) -> Result<Checkpoint> {
        let bytes = std::fs::read(path).map_err(|error| Error::io(path, "read", error))?;
        let checkpoint = Checkpoint::from_bytes(&bytes);
        let checkpoint = checkpoint.map_err(|(expected, found)| Error::format(path, expected, found))?;
        Ok(Checkpoint { path: Some(path.to_owned()), ..checkpoint })
    }

    /// Parses a file's bytes. The error is what was expected and what was found.
    fn from_bytes(bytes: &[u8]) -> std::result::Result<Checkpoint, (&'static str, String)> {
        let damaged = |error| ("a whole safetensors file", format!("{error}"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let text = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let text =
            text.ok_or(("a checkpoint written by reparam", "safetensors of another origin".to_owned()))?;
        let mut checkpoint = Checkpoint::new();
        // Not `lines`, which would treat a carriage return as part of the line's end.
        for line in text.split_terminator('\n') {
            let (key, value) = line.split_once('=').ok_or(("settings `key=value`", format!("`{line}`")))?;
            checkpoint.set(key, value);
        }
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(("f32 tensors", format!("`{name}` of type {:?}", view.dtype())));
            }
            let (bytes, _) = view.data().as_chunks::<4>();
            let value = bytes.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            checkpoint.tensors.insert(name.to_owned(), (Shape::from(view.shape()), value));
        }
        Ok(checkpoint)
    }
}
