//! The spread of a mean, from the means of batches, and what follows for its length and direction.

/// The most batches. Their number limits how well a standard error is known: to 7 % with a hundred.
const BATCHES: usize = 100;

/// Sums of vectors in batches of consecutive ones.
pub(super) struct Spread {
    components: usize,
    samples: usize,
    sums: Vec<f64>,
}

impl Spread {
    pub(super) fn new(components: usize, samples: usize) -> Spread {
        Spread { components, samples, sums: vec![0.0; components * samples.min(BATCHES)] }
    }

    fn batches(&self) -> usize {
        self.samples.min(BATCHES)
    }

    /// The sums that vector number `i` belongs to.
    pub(super) fn batch(&mut self, i: usize) -> &mut [f64] {
        let batch = i * self.batches() / self.samples;
        &mut self.sums[batch * self.components..][..self.components]
    }

    /// The mean of all vectors, and the deviations of the batches from it.
    pub(super) fn mean_and_deviations(self) -> (Vec<f64>, Deviations) {
        let (batches, n) = (self.batches(), self.samples as f64);
        let sum = |i: usize| self.sums.iter().skip(i).step_by(self.components).sum::<f64>();
        let mean: Vec<f64> = (0..self.components).map(|i| sum(i) / n).collect();
        let scale = (batches as f64 / (batches as f64 - 1.0).max(1.0)).sqrt() / n;
        let first = |batch: usize| (batch * self.samples).div_ceil(batches);
        let deviations = self.sums.chunks_exact(self.components).enumerate().map(|(batch, sums)| {
            let count = (first(batch + 1) - first(batch)) as f64;
            sums.iter().zip(&mean).map(|(sum, mean)| scale * (sum - count * mean)).collect()
        });
        let deviations = deviations.collect();
        (mean, Deviations(deviations))
    }
}

/// Vectors d, one per batch, with the sum of d d' as the covariance C of the mean.
pub(super) struct Deviations(Vec<Vec<f64>>);

impl Deviations {
    /// The variance of the mean along v: v' C v.
    fn along(&self, v: &[f64]) -> f64 {
        self.0.iter().map(|d| dot(d, v).powi(2)).sum()
    }

    /// The trace of C.
    fn trace(&self) -> f64 {
        self.0.iter().map(|d| dot(d, d)).sum()
    }

    /// An estimate of the trace of C squared, without bias for normal deviations.
    fn trace_of_square(&self) -> f64 {
        let freedom = self.0.len() as f64 - 1.0;
        if freedom < 2.0 {
            return 0.0;
        }
        let square: f64 = self.0.iter().flat_map(|a| self.0.iter().map(|b| dot(a, b).powi(2))).sum();
        let scale = freedom * freedom / ((freedom - 1.0) * (freedom + 2.0));
        (scale * (square - self.trace().powi(2) / freedom)).max(0.0)
    }

    /// The squared length of a vector that was known up to C, without the trace of C that chance adds to it,
    /// and its standard error.
    pub(super) fn squared_length(&self, v: &[f64], trace: f64) -> (f64, f64) {
        // Var |v|^2 = 4 v' C v + 2 tr C^2 at the true v. At the one found, v' C v is larger by tr C^2.
        let chance = 2.0 * self.trace_of_square();
        let variance = (4.0 * self.along(v) - chance).max(chance);
        (dot(v, v) - trace, variance.sqrt())
    }
}

/// Length and direction of a mean compared with an exact vector, with standard errors.
pub(super) struct Polar {
    pub(super) length: f64,
    pub(super) length_error: f64,
    pub(super) cosine: f64,
    pub(super) cosine_error: f64,
}

impl Polar {
    /// With e for the mean's error, across the true mean E and along it:
    /// |E + e| = |E| + along + |across|^2 / 2 |E|, to second order. The cosine loses what the length gains.
    pub(super) fn of(mean: &[f64], exact: &[f64], deviations: &Deviations) -> Polar {
        let (length, exact_length) = (dot(mean, mean).sqrt(), dot(exact, exact).sqrt());
        if exact_length.is_nan() || exact_length == 0.0 || length.is_nan() {
            return Polar {
                length: f64::NAN,
                length_error: f64::NAN,
                cosine: f64::NAN,
                cosine_error: f64::NAN,
            };
        }
        let unit: Vec<f64> = mean.iter().map(|x| if length > 0.0 { x / length } else { 0.0 }).collect();
        let along = deviations.along(&unit);
        let across = (deviations.trace() - along).max(0.0);
        let square = (length * length - across).max(0.0);
        // The variance of |across|^2 is twice this.
        let fourth = (deviations.trace_of_square() - along * along).max(0.0);
        let at_least = square.max((2.0 * fourth).sqrt());
        let chance = if fourth > 0.0 { 0.5 * fourth / at_least } else { 0.0 };
        let length_error = (along + chance).sqrt() / exact_length;
        let corrected = square.sqrt();
        if corrected == 0.0 {
            return Polar { length: 0.0, length_error, cosine: 0.0, cosine_error: 1.0 };
        }
        let direction = exact.iter().map(|x| x / exact_length);
        let raw: f64 = direction.clone().zip(&unit).map(|(d, u)| d * u).sum();
        let slope: Vec<f64> = direction.zip(&unit).map(|(d, u)| d - raw * u).collect();
        let chance = 0.5 * fourth / (square * square);
        let variance = (deviations.along(&slope) / square - chance).max(chance);
        let has_direction = corrected > 3.0 * (along + 0.5 * fourth / at_least.max(f64::MIN_POSITIVE)).sqrt();
        Polar {
            length: corrected / exact_length,
            length_error,
            cosine: (raw * length / corrected).clamp(-1.0, 1.0),
            cosine_error: if has_direction { variance.sqrt().min(1.0) } else { 1.0 },
        }
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
