//! Sources of noise for the ops: a generator, which advances, or injected numbers.

use reparam_ops::noise::Draws;

use super::Noise;

/// A source of the noise that sampling ops take. Every such op takes one by `&mut`:
///
/// | source | argument | noise |
/// | --- | --- | --- |
/// | a [`Noise`] | `&mut noise` | its next draws |
/// | injected 32-bit draws | `&mut &draws[..]` | those draws, a `&[u32]` |
/// | injected standard normals | `&mut &normals[..]` | those numbers, a `&[f32]`, for [`gaussian_rsample`] and [`Normal`] |
///
/// One op uses up the injected numbers. It panics at the caller's line if it needs more or fewer; most ops
/// need one per element.
///
/// ```
/// use reparam::{Noise, Tape};
///
/// let tape = Tape::new();
/// let logits = tape.variable(&[1.0, 2.0, 3.0], [1, 3]);
/// let draws: Vec<u32> = Noise::seed(7).draws(3).collect();
/// let injected = logits.gumbel_softmax(0.5, &mut &draws[..]);
/// assert_eq!(injected.to_vec(), logits.gumbel_softmax(0.5, &mut Noise::seed(7)).to_vec());
///
/// let (mean, log_std) = (tape.variable(&[1.0], [1]), tape.variable(&[0.0], [1]));
/// assert_eq!(mean.gaussian_rsample(log_std, &mut &[0.5f32][..]).to_vec(), [1.5]);
/// ```
///
/// [`gaussian_rsample`]: crate::Var::gaussian_rsample
/// [`Normal`]: crate::distributions::Normal
pub trait NoiseSource {
    /// The noise of the next `count` random numbers. It can be taken again, so a rule that keeps it can
    /// replay it.
    fn next_draws(&mut self, count: usize) -> Draws<'_>;
}

impl NoiseSource for Noise {
    fn next_draws(&mut self, count: usize) -> Draws<'_> {
        Draws::Stream(self.take(count))
    }
}

/// Returns the whole slice, whatever the count. The op compares the two.
impl NoiseSource for &[u32] {
    fn next_draws(&mut self, _count: usize) -> Draws<'_> {
        Draws::Given(std::mem::take(self))
    }
}

/// Returns the whole slice, whatever the count. The op compares the two.
impl NoiseSource for &[f32] {
    fn next_draws(&mut self, _count: usize) -> Draws<'_> {
        Draws::Normals(std::mem::take(self))
    }
}

/// The draws of `count` random numbers for `op`.
///
/// # Panics
/// If the wrong number of draws was injected, or normals.
#[track_caller]
pub(crate) fn draws_for<'a>(op: &str, noise: &'a mut (impl NoiseSource + ?Sized), count: usize) -> Draws<'a> {
    let draws = noise.next_draws(count);
    assert!(
        !matches!(draws, Draws::Normals(_)),
        "{op}: standard normals injected, 32-bit draws are needed; inject a slice of u32"
    );
    check_count(op, draws, count);
    draws
}

/// The noise of `count` standard normal numbers for `op`: draws, or the numbers themselves.
///
/// # Panics
/// If the wrong number of draws or normals was injected.
#[track_caller]
pub(crate) fn normals_for<'a>(
    op: &str,
    noise: &'a mut (impl NoiseSource + ?Sized),
    count: usize,
) -> Draws<'a> {
    let draws = noise.next_draws(count);
    check_count(op, draws, count);
    draws
}

#[track_caller]
fn check_count(op: &str, draws: Draws<'_>, count: usize) {
    let (what, injected) = match draws {
        Draws::Stream(_) => return,
        Draws::Given(draws) => ("draws", draws.len()),
        Draws::Normals(normals) => ("normals", normals.len()),
    };
    assert!(injected == count, "{op}: {injected} {what} injected, {count} are needed");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;

    #[test]
    fn sources_of_several_kinds_fit_in_one_list() {
        let draws: Vec<u32> = Noise::seed(7).draws(6).collect();
        let sources: [&mut dyn NoiseSource; 2] = [&mut Noise::seed(7), &mut &draws[..]];
        let tape = Tape::inference();
        let logits = tape.input(&[0.5, -1.0, 2.0, 0.0, 0.0, 0.0], [2, 3]);
        let [streamed, injected] = sources.map(|source| logits.gumbel_softmax(0.5, source).to_vec());
        assert_eq!(streamed, injected);
    }
}
