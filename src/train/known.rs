//! Which images' classes a semi-supervised run knows.

use crate::data::Split;
use crate::error::{Error, Result};
use crate::noise::Noise;

/// Where known classes come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Labels {
    /// From the data: so many images of each class, chosen by the seed.
    OfEachClass(usize),
    /// Drawn at random for so many images: to measure what a step costs with any number of classes.
    Random(usize),
}

/// The images whose class is known.
pub(super) struct Known {
    pub(super) indices: Vec<u32>,
    pub(super) labels: Vec<u32>,
}

impl Known {
    pub(super) fn choose(labels: Labels, classes: usize, split: &Split, noise: &mut Noise) -> Result<Known> {
        let mut order: Vec<u32> = (0..split.len() as u32).collect();
        noise.shuffle(&mut order);
        let label = |index: u32| u32::from(split.labels()[index as usize]);
        match labels {
            Labels::Random(count) => {
                order.truncate(count);
                let labels = order.iter().map(|_| noise.below(classes as u32)).collect();
                Ok(Known { indices: order, labels })
            }
            Labels::OfEachClass(count) => {
                let of_class = |class| order.iter().copied().filter(move |&i| label(i) == class).take(count);
                let indices: Vec<u32> = (0..classes as u32).flat_map(of_class).collect();
                if indices.len() < count * classes {
                    let expected = format!("{count} training images of each of {classes} classes");
                    return Err(Error::invalid("the data", expected, format!("{} in all", indices.len())));
                }
                let labels = indices.iter().map(|&index| label(index)).collect();
                Ok(Known { indices, labels })
            }
        }
    }
}
