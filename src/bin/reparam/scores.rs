//! Scores in words, while a model trains and at its end, and the paper's for comparison.

use reparam::cli::say;
use reparam::models::ModelShape;
use reparam::train::{Record, Scores};

/// The default number of hard samples of an evaluation.
pub(crate) const SAMPLES: u32 = 100;

/// Prints the paper's figure to compare the result with.
pub(crate) fn say_paper(model: &ModelShape) {
    match model {
        ModelShape::Vae { .. } => say!(
            "\
paper's best VAE cell                    101.5   Jang, Gu, Poole 2017, table 1: the bound with 1000 samples, a
                                                 network without hidden encoder layers, the literature's binarization"
        ),
        ModelShape::Prediction { .. } => say!(
            "\
paper's best cell of this net             59.0   Jang, Gu, Poole 2017, table 1: the bound with 1000 samples, the
                                                 literature's binarization"
        ),
        ModelShape::BeliefNet { .. } => say!(
            "\
paper's (200H~200H~784V), one sample      87.9   Maddison, Mnih, Teh 2017, table 1: the bound with 50,000 samples after
                                                 10,000,000 steps, the literature's binarization"
        ),
        ModelShape::FewLabels(_) => say!(
            "\
paper's best accuracy with 100 labels     93.6 % Jang, Gu, Poole 2017, table 2: convolutional nets, images binarized
                                                 anew in each batch, neither random shifts nor guidance of q(y | x)"
        ),
        ModelShape::Classifier { .. } => {}
    }
}

/// The score to watch, in a few words.
pub(crate) fn headline(record: &Record) -> String {
    let Record { split, scores, .. } = record;
    match (scores.elbo, scores.accuracy) {
        (Some(elbo), None) => format!("{split} -ELBO {:.2}", -elbo),
        (Some(elbo), Some(accuracy)) => {
            format!("{split} accuracy {:.2} %, -ELBO {:.2}", 100.0 * accuracy, -elbo)
        }
        (None, Some(accuracy)) => {
            format!("{split} accuracy {:.2} %, loss {:.4}", 100.0 * accuracy, scores.nll)
        }
        (None, None) => format!("{split} loss {:.4}", scores.nll),
    }
}

/// Prints final scores as a small table.
pub(crate) fn describe(model: &ModelShape, record: &Record, seconds: f64) {
    let Record { split, samples, scores, .. } = record;
    if let Some(accuracy) = scores.accuracy {
        say!("{split} accuracy {:.2} %", 100.0 * accuracy);
    }
    let Scores { elbo, elbo_standard_error, elbo_draw_error, nll, standard_error, draw_error, .. } = *scores;
    let (Some(elbo), Some(of_elbo)) = (elbo, elbo_standard_error) else {
        return say!("{split} cross-entropy {nll:.4} nats, standard error {standard_error:.4}");
    };
    let counted = if *samples == 1 { "1 sample".to_owned() } else { format!("{samples} samples") };
    let given = if matches!(model, ModelShape::Prediction { .. }) { "p(y | x)" } else { "p(x)" };
    let line = |label: String, mean: f64, over_images: f64, over_draws: Option<f64>| {
        let draws = over_draws.map_or(String::new(), |error| format!(", {error:.3} over draws"));
        say!("{label:<40} {mean:6.2}   nats, standard error {over_images:.2} over images{draws}");
    };
    line(format!("{split} -ELBO, mean of {counted}"), -elbo, of_elbo, elbo_draw_error);
    line(format!("{split} -ln {given}, bound of {counted}"), nll, standard_error, draw_error);
    say!("evaluated in {seconds:.1} s");
}
