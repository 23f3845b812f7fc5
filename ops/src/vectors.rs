//! Rows of two to four vectors.
//!
//! The last vector of a row ends where the row ends, so it overlaps the previous one unless the row is a
//! multiple of [`LANES`]. No entry is left over, and the compiler knows the number of vectors and keeps them
//! in registers. Otherwise the code would process the last entries of a row one by one, which takes up to
//! three times as long.

use crate::lanes;
use crate::rows::row_by_row;
use crate::simd::LANES;

/// Returns true for rows of two to four vectors, except rows of four whole ones, for which other code is
/// faster.
#[inline(always)]
pub(crate) fn has_few(classes: usize) -> bool {
    (LANES + 1..4 * LANES).contains(&classes)
}

/// Calls `f::<V>(classes, ...)` for rows of `V` vectors, which are [few](has_few).
macro_rules! by_vectors {
    ($f:ident$(::<$fma:ident>)?($classes:expr, $($arg:expr),*)) => {
        match $classes.div_ceil($crate::simd::LANES) {
            2 => $f::<$($fma,)? 2>($classes, $($arg),*),
            3 => $f::<$($fma,)? 3>($classes, $($arg),*),
            _ => $f::<$($fma,)? 4>($classes, $($arg),*),
        }
    };
}
pub(crate) use by_vectors;

/// Keeps the compiler from working on the same entry of four vectors at once by gathering and scattering.
#[inline(always)]
fn vector_by_vector() {
    row_by_row();
}

/// The entries of a row in vectors.
#[derive(Clone, Copy)]
pub(crate) struct Vectors<const V: usize>([[f32; LANES]; V]);

impl<const V: usize> Vectors<V> {
    /// The vectors of a row of more than `V - 1` and at most `V` vectors.
    #[inline(always)]
    pub(crate) fn of(row: &[f32]) -> Self {
        let mut vectors = [[0.0; LANES]; V];
        for (v, vector) in vectors.iter_mut().enumerate() {
            vector.copy_from_slice(&row[Self::start(v, row.len())..][..LANES]);
        }
        Vectors(vectors)
    }

    /// Writes the vectors to a row of the same length.
    #[inline(always)]
    pub(crate) fn write(&self, row: &mut [f32]) {
        for (v, vector) in self.0.iter().enumerate() {
            let start = Self::start(v, row.len());
            row[start..][..LANES].copy_from_slice(vector);
        }
    }

    /// The place of the first entry of vector `v`.
    #[inline(always)]
    fn start(v: usize, len: usize) -> usize {
        if v < V - 1 { v * LANES } else { len - LANES }
    }

    /// Changes each entry.
    #[inline(always)]
    pub(crate) fn map(mut self, change: impl Fn(f32) -> f32) -> Self {
        for vector in &mut self.0 {
            vector_by_vector();
            for x in vector {
                *x = change(*x);
            }
        }
        self
    }

    /// Combines each entry with the same entry of another row.
    #[inline(always)]
    pub(crate) fn zip(mut self, other: &Self, combine: impl Fn(f32, f32) -> f32) -> Self {
        for (vector, other) in self.0.iter_mut().zip(&other.0) {
            vector_by_vector();
            for (x, &other) in vector.iter_mut().zip(other) {
                *x = combine(*x, other);
            }
        }
        self
    }

    /// The largest entry, apart from NaN.
    #[inline(always)]
    pub(crate) fn max(&self) -> f32 {
        let mut best = [f32::NEG_INFINITY; LANES];
        for vector in &self.0 {
            for (best, &x) in best.iter_mut().zip(vector) {
                *best = lanes::larger(x, *best);
            }
        }
        lanes::max_of_few::<LANES>(&best)
    }

    /// The sum of the entries, each counted once.
    #[inline(always)]
    pub(crate) fn sum(&self, len: usize) -> f32 {
        // The last vector begins with entries of the one before.
        let repeated = (V * LANES - len) as i32;
        let mut sums = [0.0; LANES];
        for (lane, (sum, &x)) in sums.iter_mut().zip(&self.0[V - 1]).enumerate() {
            *sum = if lane as i32 >= repeated { x } else { 0.0 };
        }
        for vector in &self.0[..V - 1] {
            for (sum, &x) in sums.iter_mut().zip(vector) {
                *sum += x;
            }
        }
        lanes::sum_of_few::<LANES>(&sums)
    }
}
