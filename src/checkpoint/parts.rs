//! Tensors of a shape that is known beforehand, and lists of numbers.

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::shape::Shape;

impl Checkpoint {
    /// The tensor with this name, which must have this shape.
    pub(crate) fn shaped(&self, name: &str, shape: &Shape) -> Result<&[f32]> {
        let expected = format_args!("a tensor `{name}` of shape {shape}");
        match self.tensor(name) {
            Some((found, value)) if found == shape => Ok(value),
            Some((found, _)) => Err(self.unfit(expected, format_args!("one of shape {found}"))),
            None => Err(self.unfit(expected, "none")),
        }
    }

    /// Checks that the tensors whose names `are_meant` accepts hold finite numbers.
    pub(crate) fn check_finite(&self, are_meant: impl Fn(&str) -> bool) -> Result<()> {
        for (name, _, value) in self.tensors().filter(|(name, ..)| are_meant(name)) {
            if let Some(number) = value.iter().find(|number| !number.is_finite()) {
                let expected = format_args!("finite numbers in the tensor `{name}`");
                return Err(self.unfit(expected, format_args!("{number}: the run has diverged")));
            }
        }
        Ok(())
    }

    /// Stores numbers in one setting, separated by spaces.
    pub(crate) fn set_numbers(&mut self, key: &str, numbers: &[f64]) {
        self.set(key, numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
    }

    /// Loads exactly `N` numbers.
    pub(crate) fn get_array<const N: usize>(&self, key: &str) -> Result<[f64; N]> {
        let (text, numbers): (String, _) = (self.get(key)?, self.get_numbers(key)?);
        let expected = format_args!("{N} numbers in the setting `{key}`");
        numbers.try_into().map_err(|_| self.unfit(expected, format_args!("`{text}`")))
    }

    pub(crate) fn get_numbers(&self, key: &str) -> Result<Vec<f64>> {
        let text: String = self.get(key)?;
        let expected = format_args!("numbers in the setting `{key}`");
        let number = |text: &str| text.parse().map_err(|_| self.unfit(expected, format_args!("`{text}`")));
        text.split(' ').filter(|number| !number.is_empty()).map(number).collect()
    }
}
