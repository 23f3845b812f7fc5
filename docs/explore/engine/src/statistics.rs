//! Means, probabilities and similar functions in f64, which several interactions use.

/// Numbers of the engine, in f64.
pub(crate) fn in_f64(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&x| f64::from(x)).collect()
}

/// The probabilities of logits.
pub(crate) fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|x| (x - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// sigmoid(x), the probability of heads.
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln(1 + e^x).
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The mean of some numbers, its standard error, and the variance of one.
pub(crate) fn moments(numbers: &[f64]) -> [f64; 3] {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    [mean, (variance / n).sqrt(), variance]
}

/// The share of each class among indices.
pub(crate) fn shares(index: &[u32], classes: usize) -> Vec<f64> {
    let mut shares = vec![0.0; classes];
    for &class in index {
        shares[class as usize] += 1.0;
    }
    shares.iter().map(|count| count / index.len() as f64).collect()
}

/// The expectation of a function of logistic noise: its mean over the middles of equally probable pieces.
pub(crate) fn over_noise(pieces: usize, value: impl Fn(f64) -> f64) -> f64 {
    let middles = (0..pieces).map(|i| (i as f64 + 0.5) / pieces as f64);
    middles.map(|u| value((u / (1.0 - u)).ln())).sum::<f64>() / pieces as f64
}
