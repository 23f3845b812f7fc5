//! The course, which explains how a gradient passes through a sample in twelve chapters whose code runs with
//! the tests.
//!
//! 1. [The tape](the_tape)
//! 2. [A first gradient rule](a_first_gradient_rule)
//! 3. [Checking a gradient](checking_a_gradient)
//! 4. [Why argmax has no gradient](why_argmax_has_no_gradient)
//! 5. [The Gumbel-max trick](the_gumbel_max_trick)
//! 6. [Gumbel-Softmax, derived, then fused](gumbel_softmax)
//! 7. [What temperature does, and choosing it](temperature)
//! 8. [Straight-through and its bias](straight_through)
//! 9. [Binary Concrete, densities, and which KL is a bound](binary_concrete)
//! 10. [Score functions, baselines, control variates, and the lab](score_functions)
//! 11. [A categorical VAE from an empty file](a_categorical_vae)
//! 12. [How a kernel gets fast](how_a_kernel_gets_fast)
//!
//! See also [frequent confusions](confusions), [how to choose an estimator](estimators), [adding an
//! op](adding_an_op), and [what the kernels cost](performance). The pages are written to be read in docs/ on
//! a code host as well.

/// A page and its pictures, which the page's script puts in their places.
macro_rules! chapter {
    ($name:ident, $page:literal $(, $picture:literal)*) => {
        #[doc = include_str!(concat!("../docs/", $page, ".md"))]
        $(#[doc = concat!("\n<div id=\"", $picture, "\">\n", include_str!(concat!("../docs/figures/", $picture, ".svg")), "\n</div>\n")])*
        pub mod $name {}
    };
}

chapter!(the_tape, "01-the-tape");
chapter!(a_first_gradient_rule, "02-a-first-gradient-rule");
chapter!(checking_a_gradient, "03-checking-a-gradient");
chapter!(why_argmax_has_no_gradient, "04-why-argmax-has-no-gradient");
chapter!(the_gumbel_max_trick, "05-the-gumbel-max-trick", "tails");
chapter!(gumbel_softmax, "06-gumbel-softmax", "temperature", "simplex", "tape");
chapter!(temperature, "07-temperature", "temperature", "simplex", "bias-variance");
chapter!(straight_through, "08-straight-through", "straight-through", "gradients");
chapter!(binary_concrete, "09-binary-concrete");
chapter!(score_functions, "10-score-functions", "gradients", "lab-training");
#[cfg(feature = "embedded")]
chapter!(a_categorical_vae, "11-a-categorical-vae", "digits", "code-usage");
chapter!(how_a_kernel_gets_fast, "12-how-a-kernel-gets-fast");
chapter!(confusions, "confusions");
chapter!(estimators, "estimators", "lab-temperature", "lab-samples", "lab-training");
#[doc = include_str!("../docs/adding-an-op.md")]
// It quotes pieces of files.
#[allow(rustdoc::invalid_rust_codeblocks)]
pub mod adding_an_op {}

chapter!(performance, "performance");
chapter!(json, "json");
