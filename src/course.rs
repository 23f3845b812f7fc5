//! The course: how a gradient passes through a discrete sample. All its code runs with the tests.
//!
//! [Start here](start_here). It takes ten minutes and shows three routes.
//!
//! Part I, one variable:
//!
//! 1. [A coin](a_coin)
//! 2. [REINFORCE and its baseline](reinforce)
//! 3. [The Gumbel race](the_gumbel_race)
//! 4. [Gumbel-Softmax and its gradient](gumbel_softmax)
//! 5. [Temperature](temperature)
//! 6. [Straight-through](straight_through)
//! 7. [Which one?](which_one)
//!
//! Part II, the engine:
//!
//! 8. [The tape](the_tape)
//! 9. [A gradient rule, and an op of your own](a_gradient_rule)
//! 10. [Checking a gradient](checking_a_gradient)
//! 11. [Fusing a kernel](fusing_a_kernel)
//!
//! Part III, models:
//!
//! 12. [The ELBO](the_elbo)
//! 13. [A VAE from an empty file](a_vae_from_an_empty_file)
//!
//! Appendices: [A, densities](densities); [B, more estimators](more_estimators); [C, noise and
//! kernels](noise_and_kernels); [D, names](names).
//!
//! See also [how to choose an estimator](estimators), [adding an op](adding_an_op), and [what the kernels
//! cost](performance). The pages read well in docs/ on a code host too.

/// A page and its pictures, which the page's script puts in their places.
macro_rules! chapter {
    ($name:ident, $page:literal $(, $picture:literal)*) => {
        #[doc = include_str!(concat!("../docs/", $page, ".md"))]
        $(#[doc = concat!("\n<div id=\"", $picture, "\">\n", include_str!(concat!("../docs/figures/", $picture, ".svg")), "\n</div>\n")])*
        pub mod $name {}
    };
}

chapter!(start_here, "00-start-here", "coin-and-gaussian");
chapter!(a_coin, "01-a-coin", "staircase");
chapter!(reinforce, "02-reinforce", "baseline");
chapter!(the_gumbel_race, "03-the-gumbel-race", "race");
chapter!(gumbel_softmax, "04-gumbel-softmax", "simplex", "tape");
chapter!(temperature, "05-temperature", "bump", "bias-variance");
chapter!(straight_through, "06-straight-through", "gradient-paths", "bias-arrow");
chapter!(which_one, "07-which-one", "gradients", "lab-training");
chapter!(the_tape, "08-the-tape", "tape");
chapter!(a_gradient_rule, "09-a-gradient-rule", "rule");
chapter!(checking_a_gradient, "10-checking-a-gradient", "gradcheck-step");
chapter!(fusing_a_kernel, "11-fusing-a-kernel", "kernel-cost");
chapter!(the_elbo, "12-the-elbo", "elbo-gap");
#[cfg(feature = "embedded")]
chapter!(a_vae_from_an_empty_file, "13-a-vae-from-an-empty-file", "digits", "code-usage");
chapter!(densities, "A-densities", "density");
chapter!(more_estimators, "B-more-estimators", "gradients");
chapter!(noise_and_kernels, "C-noise-and-kernels", "tails");
chapter!(names, "D-names");
chapter!(estimators, "estimators", "lab-temperature", "lab-samples", "lab-training");
#[doc = include_str!("../docs/adding-an-op.md")]
// It quotes pieces of files.
#[allow(rustdoc::invalid_rust_codeblocks)]
pub mod adding_an_op {}

chapter!(performance, "performance");
chapter!(json, "json");
