//! A temperature that is learned: `cargo run --release --example learned_temperature`.
//!
//! A classifier answers with a relaxed sample y = softmax((logits + g) / tau). Its loss is the squared error
//! against noisy labels, plus a price on hedging, y (1 - y). The squared error alone is least if y is the
//! class probabilities without noise, at a high tau. The price is least if y is at a corner, at a low tau.
//! The parameter is ln tau, and the op takes tau = e^(ln tau) as a value on the tape, so no step can make it
//! negative. We check the slope at the start by finite differences of the loss.
//!
//! Source: C. Maddison, A. Mnih, Y. W. Teh, ICLR 2017, and E. Jang, S. Gu, B. Poole, ICLR 2017, section 2:
//! tau fixed, annealed, or learned.

use reparam::nn::Mlp;
use reparam::optim::Adam;
use reparam::{Activation, Noise, ParamId, Params, Tape, Var};

const CLASSES: usize = 4;
const BATCH: usize = 64;
/// The share of labels that are replaced by random ones.
const LABEL_NOISE: u32 = 40;

struct Model {
    params: Params,
    classifier: Mlp,
    log_tau: ParamId,
    /// The price of hedging.
    price: f32,
}

impl Model {
    fn new(price: f32, log_tau: f32, noise: &mut Noise) -> Model {
        let mut params = Params::new();
        let classifier = Mlp::new(&mut params, "classifier", &[2, 16, CLASSES], Activation::Tanh, noise);
        let log_tau = params.add("log_tau", [], vec![log_tau]);
        Model { params, classifier, log_tau, price }
    }

    fn tau(&self) -> f32 {
        self.params.value(self.log_tau)[0].exp()
    }

    /// The loss of points drawn from the four quadrants of a square, labelled by quadrant, most of them
    /// correctly.
    fn loss<'t>(&self, tape: &'t Tape, rows: usize, noise: &mut Noise) -> Var<'t> {
        let points: Vec<f32> = (0..2 * rows).map(|_| noise.below(2001) as f32 / 1000.0 - 1.0).collect();
        let mut labels = vec![0.0; rows * CLASSES];
        for (point, label) in points.chunks_exact(2).zip(labels.chunks_exact_mut(CLASSES)) {
            let quadrant = usize::from(point[0] > 0.0) + 2 * usize::from(point[1] > 0.0);
            let class = if noise.below(100) < LABEL_NOISE { noise.below(4) as usize } else { quadrant };
            label[class] = 1.0;
        }
        let logits = self.classifier.forward(&self.params, tape.input(&points, [rows, 2]));
        let tau = self.params.on(tape, self.log_tau).exp();
        let y = logits.gumbel_softmax(tau, noise);
        let error = (y - tape.input(&labels, [rows, CLASSES])).square();
        (error + self.price * y * (1.0 - y)).sum() / rows as f32
    }

    fn train(&mut self, steps: usize, learning_rate: f64, noise: &mut Noise) {
        let (mut adam, mut tape) = (Adam::new(learning_rate), Tape::new());
        for _ in 0..steps {
            let gradients = self.loss(&tape, BATCH, noise).backward();
            tape.reset();
            adam.step(&mut self.params, &gradients);
        }
    }

    /// The loss of 20,000 points.
    fn test(&self) -> f32 {
        self.loss(&Tape::inference(), 20_000, &mut Noise::seed(3)).item()
    }

    /// d loss / d ln tau by finite differences, with the same points and noise on both sides.
    fn slope(&mut self) -> f32 {
        let at = self.params.value(self.log_tau)[0];
        let [above, below] = [0.1, -0.1].map(|shift| {
            self.params.value_mut(self.log_tau)[0] = at + shift;
            self.test()
        });
        self.params.value_mut(self.log_tau)[0] = at;
        (above - below) / 0.2
    }
}

struct Comparison {
    slope_at_start: f32,
    tau: f32,
    /// With tau as it was at the start, and with the learned one.
    losses: [f32; 2],
}

fn compare(price: f32, start: f32, steps: usize, learning_rate: f64) -> Comparison {
    let [mut fixed, mut learned] = [(); 2].map(|()| Model::new(price, start.ln(), &mut Noise::seed(1)));
    let slope_at_start = learned.slope();
    fixed.params.freeze(fixed.log_tau);
    fixed.train(steps, learning_rate, &mut Noise::seed(2));
    learned.train(steps, learning_rate, &mut Noise::seed(2));
    Comparison { slope_at_start, tau: learned.tau(), losses: [fixed.test(), learned.test()] }
}

fn main() {
    println!("price of   d loss / d ln tau                    loss, tau   loss, tau");
    println!("hedging    at the start        tau              kept at 2   learned");
    for price in [0.0, 0.2, 1.0, 2.0] {
        let Comparison { slope_at_start, tau, losses: [fixed, learned] } = compare(price, 2.0, 600, 1e-2);
        println!(
            "{price:<10} {slope_at_start:+.3}              2.00 -> {tau:.2}   {fixed:9.3}   {learned:9.3}"
        );
    }
}

#[test]
fn tau_goes_where_the_loss_falls() {
    for (price, rises) in [(0.0, true), (2.0, false)] {
        let Comparison { slope_at_start, tau, losses: [fixed, learned] } = compare(price, 2.0, 600, 1e-2);
        let is_right = if rises { slope_at_start < -0.05 } else { slope_at_start > 0.05 };
        assert!(is_right, "price {price}: the loss has slope {slope_at_start}");
        assert!(if rises { tau > 3.0 } else { tau < 1.0 }, "price {price}: tau {tau} from 2");
        assert!(learned < fixed - 0.02, "price {price}: loss {learned} with tau learned, {fixed} with tau 2");
    }
}

#[test]
fn no_step_leaves_the_domain() {
    // The first step alone moves ln tau from ln 2 to ln 2 - 3. A step of that size would make tau itself
    // negative.
    let mut model = Model::new(2.0, 2f32.ln(), &mut Noise::seed(1));
    model.train(1, 3.0, &mut Noise::seed(2));
    assert!((model.tau().ln() - (2f32.ln() - 3.0)).abs() < 1e-3, "tau {}", model.tau());
}
