//! `gaussian_rsample`, the reparameterised sample of a normal variable, z = mean + e^log_std eps; and
//! `gaussian_kl_standard`, its divergence from the standard normal, in nats.
//!
//! The noise eps is [`draw::normal`] of one draw per element, or injected as [`Draws::Normals`].
//!
//! # Source
//! D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014, section 2.4 and appendix B.

use crate::Tier;
use crate::draw;
use crate::elementwise::add_product;
use crate::fma::Fma;
use crate::math;
use crate::noise::{Draws, PIECE, Reader};
use crate::parallel::{Rows, RowsMut, for_rows};

/// Hands out consecutive standard normals.
#[allow(clippy::large_enum_variant, reason = "there is one at a time, on the stack")]
enum NormalReader<'a> {
    Draws(Reader<'a>),
    Given(&'a [f32]),
}

impl<'a> NormalReader<'a> {
    /// Returns a reader that starts at the normal of element `first`.
    #[inline(always)]
    fn new(noise: Draws<'a>, first: usize) -> NormalReader<'a> {
        match noise {
            Draws::Normals(normals) => NormalReader::Given(&normals[first..]),
            draws => NormalReader::Draws(draws.from_element(first)),
        }
    }

    /// Writes the next `out.len()` numbers, at most [`PIECE`].
    #[inline(always)]
    fn fill<F: Fma>(&mut self, out: &mut [f32]) {
        match self {
            NormalReader::Draws(reader) => draw::normals::<F>(reader.take(out.len()), out),
            NormalReader::Given(normals) => {
                let (now, later) = normals.split_at(out.len());
                out.copy_from_slice(now);
                *normals = later;
            }
        }
    }
}

crate::simd! {
    fn rsample_piece<F>(noise: Draws<'_>, first: usize, mean: &[f32], log_std: &[f32], z: &mut [f32]) {
        let mut reader = NormalReader::new(noise, first);
        let mut eps = [0.0f32; PIECE];
        for ((mean, log_std), z) in mean.chunks(PIECE).zip(log_std.chunks(PIECE)).zip(z.chunks_mut(PIECE)) {
            let eps = &mut eps[..z.len()];
            reader.fill::<F>(eps);
            for (((z, &mean), &log_std), &eps) in z.iter_mut().zip(mean).zip(log_std).zip(eps.iter()) {
                *z = F::mul_add(eps, math::exp::<F>(log_std), mean);
            }
        }
    }
}

crate::simd! {
    fn rsample_backward_piece<F>(noise: Draws<'_>, first: usize, log_std: &[f32], dz: &[f32], dlog_std: &mut [f32]) {
        let mut reader = NormalReader::new(noise, first);
        let mut eps = [0.0f32; PIECE];
        for ((log_std, dz), dlog_std) in log_std.chunks(PIECE).zip(dz.chunks(PIECE)).zip(dlog_std.chunks_mut(PIECE)) {
            let eps = &mut eps[..dz.len()];
            reader.fill::<F>(eps);
            for (((dlog_std, &log_std), &dz), &eps) in dlog_std.iter_mut().zip(log_std).zip(dz).zip(eps.iter()) {
                *dlog_std = F::mul_add(dz, eps * math::exp::<F>(log_std), *dlog_std);
            }
        }
    }
}

/// Writes z = mean + e^log_std eps, elementwise.
#[track_caller]
pub fn rsample_forward(tier: Tier, noise: Draws<'_>, mean: &[f32], log_std: &[f32], z: &mut [f32]) {
    assert!(mean.len() == log_std.len() && mean.len() == z.len(), "lengths must be equal");
    noise.check_count(z.len());
    let parts = (Rows(mean, 1), Rows(log_std, 1), RowsMut(z, 1));
    for_rows(mean.len(), 1, parts, |first, (Rows(mean, _), Rows(log_std, _), RowsMut(z, _))| {
        rsample_piece(tier, noise, first, mean, log_std, z);
    });
}

/// Adds the gradient of log_std: dlog_std += dz eps e^log_std. It reads the noise again, because its small
/// values are lost in z - mean. (The gradient of the mean is dz itself.)
#[track_caller]
pub fn rsample_backward_log_std(
    tier: Tier,
    noise: Draws<'_>,
    log_std: &[f32],
    dz: &[f32],
    dlog_std: &mut [f32],
) {
    assert!(log_std.len() == dz.len() && log_std.len() == dlog_std.len(), "lengths must be equal");
    noise.check_count(dz.len());
    let parts = (Rows(log_std, 1), Rows(dz, 1), RowsMut(dlog_std, 1));
    for_rows(dz.len(), 1, parts, |first, (Rows(log_std, _), Rows(dz, _), RowsMut(dlog_std, _))| {
        rsample_backward_piece(tier, noise, first, log_std, dz, dlog_std);
    });
}

crate::simd! {
    fn kl_piece<F>(mean: &[f32], log_std: &[f32], kl: &mut [f32]) {
        for ((kl, &m), &s) in kl.iter_mut().zip(mean).zip(log_std) {
            // We halve m before squaring, because the square itself may overflow. At infinity the exponential
            // outweighs s.
            let halves = F::mul_add(0.5 * m, m, 0.5 * math::expm1::<F>(2.0 * s));
            *kl = halves - math::at_most(s, f32::MAX);
        }
    }
}

crate::simd! {
    fn kl_backward_log_std_piece<F>(log_std: &[f32], dkl: &[f32], dlog_std: &mut [f32]) {
        for ((dlog_std, &s), &dkl) in dlog_std.iter_mut().zip(log_std).zip(dkl) {
            *dlog_std = F::mul_add(dkl, math::expm1::<F>(2.0 * s), *dlog_std);
        }
    }
}

/// Writes kl = KL(N(mean, std^2) || N(0, 1)) = (e^(2 log_std) + mean^2 - 1) / 2 - log_std, elementwise. It is
/// inf where the mean or log_std is infinite.
#[track_caller]
pub fn kl_standard_forward(tier: Tier, mean: &[f32], log_std: &[f32], kl: &mut [f32]) {
    assert!(mean.len() == log_std.len() && mean.len() == kl.len(), "lengths must be equal");
    let parts = (Rows(mean, 1), Rows(log_std, 1), RowsMut(kl, 1));
    for_rows(mean.len(), 1, parts, |_, (Rows(mean, _), Rows(log_std, _), RowsMut(kl, _))| {
        kl_piece(tier, mean, log_std, kl);
    });
}

/// Adds the gradient of the mean, elementwise: dmean += dkl mean.
#[track_caller]
pub fn kl_standard_backward_mean(tier: Tier, mean: &[f32], dkl: &[f32], dmean: &mut [f32]) {
    add_product(tier, mean, dkl, dmean);
}

/// Adds the gradient of log_std, elementwise: dlog_std += dkl (e^(2 log_std) - 1).
#[track_caller]
pub fn kl_standard_backward_log_std(tier: Tier, log_std: &[f32], dkl: &[f32], dlog_std: &mut [f32]) {
    assert!(log_std.len() == dkl.len() && log_std.len() == dlog_std.len(), "lengths must be equal");
    let parts = (Rows(log_std, 1), Rows(dkl, 1), RowsMut(dlog_std, 1));
    for_rows(dkl.len(), 1, parts, |_, (Rows(log_std, _), Rows(dkl, _), RowsMut(dlog_std, _))| {
        kl_backward_log_std_piece(tier, log_std, dkl, dlog_std);
    });
}
