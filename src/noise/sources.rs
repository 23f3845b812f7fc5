//! Where an op takes its noise from, and how its rule takes it again.

use reparam_ops::gaussian::Normals;
use reparam_ops::noise::{Draws, Stream};

use super::Noise;

/// Where an op takes its draws: from noise, which moves on, or from a slice, one entry per element.
#[derive(Debug)]
pub enum DrawSource<'a> {
    /// The next draws of a stream.
    Noise(&'a mut Noise),
    /// Injected 32-bit draws.
    Given(&'a [u32]),
}

impl<'a> From<&'a mut Noise> for DrawSource<'a> {
    fn from(noise: &'a mut Noise) -> Self {
        DrawSource::Noise(noise)
    }
}

impl<'a> From<&'a [u32]> for DrawSource<'a> {
    fn from(draws: &'a [u32]) -> Self {
        DrawSource::Given(draws)
    }
}

impl<'a> From<&'a Vec<u32>> for DrawSource<'a> {
    fn from(draws: &'a Vec<u32>) -> Self {
        DrawSource::Given(draws)
    }
}

impl<'a, const N: usize> From<&'a [u32; N]> for DrawSource<'a> {
    fn from(draws: &'a [u32; N]) -> Self {
        DrawSource::Given(draws)
    }
}

impl<'a> DrawSource<'a> {
    /// `count` draws.
    ///
    /// # Panics
    /// If another number of draws was injected.
    #[track_caller]
    pub(crate) fn take(self, op: &str, count: usize) -> Draws<'a> {
        match self {
            DrawSource::Noise(noise) => Draws::Stream(noise.take(count)),
            DrawSource::Given(draws) => {
                assert!(draws.len() == count, "{op}: {} draws injected, {count} are needed", draws.len());
                Draws::Given(draws)
            }
        }
    }
}

/// Draws as a rule keeps them, to be taken again in the backward pass: a place in a stream, or a copy.
#[derive(Debug)]
pub(crate) enum Replay {
    Stream(Stream),
    Given(Box<[u32]>),
}

impl From<Draws<'_>> for Replay {
    fn from(draws: Draws<'_>) -> Self {
        match draws {
            Draws::Stream(stream) => Replay::Stream(stream),
            Draws::Given(draws) => Replay::Given(draws.into()),
        }
    }
}

impl Replay {
    pub(crate) fn draws(&self) -> Draws<'_> {
        match self {
            Replay::Stream(stream) => Draws::Stream(*stream),
            Replay::Given(draws) => Draws::Given(draws),
        }
    }

    /// Bytes of the draws it keeps outside itself.
    pub(crate) fn buffer_bytes(&self) -> usize {
        match self {
            Replay::Stream(_) => 0,
            Replay::Given(draws) => size_of_val(&draws[..]),
        }
    }
}

/// Where an op takes standard normal noise: one draw for each number, or the numbers themselves.
#[derive(Debug)]
pub enum NormalSource<'a> {
    /// One draw for each element, through the inverse normal distribution function.
    Draws(DrawSource<'a>),
    /// Injected standard normals, one per element.
    Given(&'a [f32]),
}

impl<'a, D: Into<DrawSource<'a>>> From<D> for NormalSource<'a> {
    fn from(draws: D) -> Self {
        NormalSource::Draws(draws.into())
    }
}

impl<'a> From<&'a [f32]> for NormalSource<'a> {
    fn from(eps: &'a [f32]) -> Self {
        NormalSource::Given(eps)
    }
}

impl<'a> From<&'a Vec<f32>> for NormalSource<'a> {
    fn from(eps: &'a Vec<f32>) -> Self {
        NormalSource::Given(eps)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for NormalSource<'a> {
    fn from(eps: &'a [f32; N]) -> Self {
        NormalSource::Given(eps)
    }
}

impl<'a> NormalSource<'a> {
    /// The noise of `elements` elements.
    ///
    /// # Panics
    /// If another number of draws or normals was injected.
    #[track_caller]
    pub(crate) fn take(self, op: &str, elements: usize) -> Normals<'a> {
        match self {
            NormalSource::Draws(draws) => Normals::Draws(draws.take(op, elements)),
            NormalSource::Given(eps) => {
                assert!(eps.len() == elements, "{op}: {} normals injected, {elements} are needed", eps.len());
                Normals::Given(eps)
            }
        }
    }
}

/// Standard normal noise as a rule keeps it: draws to be taken again, or a copy.
#[derive(Debug)]
pub(crate) enum ReplayNormals {
    Draws(Replay),
    Given(Box<[f32]>),
}

impl From<Normals<'_>> for ReplayNormals {
    fn from(noise: Normals<'_>) -> Self {
        match noise {
            Normals::Draws(draws) => ReplayNormals::Draws(draws.into()),
            Normals::Given(eps) => ReplayNormals::Given(eps.into()),
        }
    }
}

impl ReplayNormals {
    pub(crate) fn normals(&self) -> Normals<'_> {
        match self {
            ReplayNormals::Draws(draws) => Normals::Draws(draws.draws()),
            ReplayNormals::Given(eps) => Normals::Given(eps),
        }
    }

    /// Bytes of the numbers it keeps outside itself.
    pub(crate) fn buffer_bytes(&self) -> usize {
        match self {
            ReplayNormals::Draws(draws) => draws.buffer_bytes(),
            ReplayNormals::Given(eps) => size_of_val(&eps[..]),
        }
    }
}
