//! Does the engine compute the same bits in a browser and natively?

use reparam_ops::Tier;

use super::browser;
use crate::proof::PROOFS;

/// Compares an engine's checksums in the browser with the native ones at each tier.
fn same_bits(page: &str, engine: &str, proofs: &[fn(Tier) -> u64]) {
    let Some(mut browser) = browser::start() else { return };
    browser.open(&browser::file(page));
    let there = browser.evaluate(&format!(
        "reparam.waiting('{engine}').engine.then((engine) => \
        Array.from({{ length: engine.exports.proofs() }}, (_, i) => BigInt.asUintN(64, engine.exports.proof(i)).toString(16)))"
    ));
    for tier in Tier::available() {
        let here: Vec<String> = proofs.iter().map(|proof| format!("{:x}", proof(tier))).collect();
        assert_eq!(there, serde_json::json!(here), "{tier}");
    }
}

#[test]
fn kernels_and_the_twenty_lines_have_the_same_bits_in_a_browser() {
    // The engine of most pages leaves out the VAE, which is the last proof.
    same_bits("frozen-dice.html", "engine", &PROOFS[..PROOFS.len() - 1]);
}

#[test]
fn a_vae_in_training_has_the_same_bits_in_a_browser() {
    same_bits("vae-live.html", "vae", PROOFS);
}
