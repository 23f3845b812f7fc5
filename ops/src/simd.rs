//! SIMD tiers: one portable body, compiled once per instruction set. Nothing else dispatches.
//!
//! A kernel's body is plain scalar Rust over slices. The [`simd!`](macro@crate::simd) macro compiles it again
//! under `#[target_feature]` for every tier, and the generated function takes the [`Tier`] to run as its
//! first argument. Every tier executes the same IEEE operations in the same order (an [`Fma`](crate::Fma)
//! rounds once everywhere, reductions run over [`LANES`] fixed lanes), so results are bit-for-bit equal; only
//! the speed differs.
//!
//! The portable tier multiplies and adds in `f64` and takes 10 to 20 times as long as AVX2. The NEON tier is
//! compiled on AArch64 but has never been run by its authors.

use std::fmt;
use std::sync::OnceLock;

/// Lanes that every reduction and every noise block uses, whatever the hardware's width.
pub const LANES: usize = 16;

/// An instruction set that this machine has. Values exist only for tiers the CPU supports, so running one is
/// safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tier(pub(crate) Set);

/// The instruction sets a body is compiled for, slowest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[doc(hidden)]
#[allow(missing_docs)]
pub enum Set {
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Tier {
    /// The tier that runs on any CPU. It is slow where the CPU has no fused multiply-add, or the compiler's
    /// target does not include it, because it then multiplies and adds in `f64`. The forward pass of
    /// `gumbel_softmax` at 2000 x 10 takes about 27 ns per element with it, 1.9 with AVX2 and 1.3 with
    /// AVX-512.
    pub const PORTABLE: Tier = Tier(Set::Portable);

    /// The fastest tier of this machine, or the one that `REPARAM_SIMD` names, unless that is empty.
    ///
    /// # Panics
    /// If `REPARAM_SIMD` names a tier that does not exist or that this CPU lacks.
    pub fn best() -> Tier {
        static BEST: OnceLock<Tier> = OnceLock::new();
        *BEST.get_or_init(|| match std::env::var("REPARAM_SIMD") {
            Ok(name) if !name.is_empty() => Tier::named(&name).unwrap_or_else(|| {
                let have: Vec<_> = Tier::available().iter().map(Tier::to_string).collect();
                panic!("REPARAM_SIMD={name}: expected one of {} on this machine", have.join("|"))
            }),
            _ => *Tier::available().last().expect("the portable tier is always there"),
        })
    }

    /// Every tier of this machine, slowest first.
    pub fn available() -> Vec<Tier> {
        #[allow(unused_mut, reason = "some targets have no other tier")]
        let mut tiers = vec![Tier::PORTABLE];
        #[cfg(target_arch = "aarch64")]
        tiers.push(Tier(Set::Neon));
        #[cfg(target_arch = "x86_64")]
        {
            // All features that the bodies are compiled for, because a virtual machine may hide any of them.
            if is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt")
            {
                tiers.push(Tier(Set::Avx2));
            }
            if tiers.len() == 2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
            {
                tiers.push(Tier(Set::Avx512));
            }
        }
        tiers
    }

    /// The tier called `portable`, `neon`, `avx2` or `avx512`, if this machine has it.
    pub fn named(name: &str) -> Option<Tier> {
        Tier::available().into_iter().find(|tier| tier.to_string() == name)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
        })
    }
}

/// Compiles a function's body once per tier; the function gains a leading `tier: Tier` parameter.
///
/// The body must be safe, portable code; helpers it calls must be `#[inline(always)]`, or they are compiled
/// for the baseline instruction set only. A body that multiplies and adds declares a type parameter, which is
/// the tier's [`Fma`](crate::Fma), and passes it to its helpers. A body that calls another such function
/// declares a name for the tier, as in `fn double<F>(tier; x: &[f32])`.
///
/// ```
/// reparam_ops::simd! {
///     /// y += 2 x
///     pub fn add_twice<F>(x: &[f32], y: &mut [f32]) {
///         for (y, &x) in y.iter_mut().zip(x) {
///             *y = F::mul_add(2.0, x, *y);
///         }
///     }
/// }
/// let mut y = [1.0; 3];
/// add_twice(reparam_ops::Tier::best(), &[1.0, 2.0, 3.0], &mut y);
/// assert_eq!(y, [3.0, 5.0, 7.0]);
/// ```
#[macro_export]
macro_rules! simd {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $crate::simd! { $(#[$meta])* $vis fn $name<F>($($arg: $ty),*) $(-> $ret)? $body }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$fma:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $crate::simd! { $(#[$meta])* $vis fn $name<$fma>(tier; $($arg: $ty),*) $(-> $ret)? $body }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$fma:ident>($tier:ident; $($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($tier: $crate::Tier, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::extra_unused_type_parameters, clippy::too_many_arguments)]
            fn body<$fma: $crate::Fma>(#[allow(unused_variables)] $tier: $crate::Tier, $($arg: $ty),*) $(-> $ret)? $body

            // Not inlined, like the others. Otherwise a caller that works on pieces would contain the body
            // once for each call.
            #[inline(never)]
            fn portable($tier: $crate::Tier, $($arg: $ty),*) $(-> $ret)? {
                body::<$crate::fma::Portable>($tier, $($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
            fn avx512($tier: $crate::Tier, $($arg: $ty),*) $(-> $ret)? {
                body::<$crate::Hardware>($tier, $($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
            fn avx2($tier: $crate::Tier, $($arg: $ty),*) $(-> $ret)? {
                body::<$crate::Hardware>($tier, $($arg),*)
            }

            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            fn neon($tier: $crate::Tier, $($arg: $ty),*) $(-> $ret)? {
                body::<$crate::Hardware>($tier, $($arg),*)
            }

            match $tier.set() {
                $crate::simd::Set::Portable => portable($tier, $($arg),*),
                // SAFETY: a `Tier` exists only for instruction sets that were detected on this CPU.
                #[cfg(target_arch = "aarch64")]
                $crate::simd::Set::Neon => unsafe { neon($tier, $($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Set::Avx2 => unsafe { avx2($tier, $($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Set::Avx512 => unsafe { avx512($tier, $($arg),*) },
            }
        }
    };
}

impl Tier {
    /// The instruction set, for the `simd!` macro.
    #[doc(hidden)]
    pub fn set(self) -> Set {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_is_found_by_its_name() {
        for tier in Tier::available() {
            assert_eq!(Tier::named(&tier.to_string()), Some(tier));
        }
        assert_eq!(Tier::named("sse9"), None);
    }
}
