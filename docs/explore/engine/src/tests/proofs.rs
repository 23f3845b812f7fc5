//! Does the engine compute the same bits in a browser and natively?

use reparam_ops::Tier;

use super::browser;
use crate::proof::PROOFS;

#[test]
fn kernels_and_the_twenty_lines_have_the_same_bits_in_a_browser() {
    let Some(mut browser) = browser::start() else { return };
    browser.open(&browser::file("frozen-dice.html"));
    let expression = "reparam.waiting('engine').engine.then((engine) => \
        Array.from({ length: engine.exports.proofs() }, (_, i) => BigInt.asUintN(64, engine.exports.proof(i)).toString(16)))";
    let there = browser.evaluate(expression);
    // The engine of most pages leaves out the VAE, which is the last proof.
    let here = |tier: Tier| -> Vec<String> {
        PROOFS[..7].iter().map(|proof| format!("{:x}", proof(tier))).collect()
    };
    for tier in Tier::available() {
        assert_eq!(there, serde_json::json!(here(tier)), "{tier}");
    }
}
