//! A reader that chooses where to look next: `cargo run --release --example hard_attention`.
//!
//! A reader sees a digit through three patches of 7 x 7 pixels out of a grid of 4 x 4. The first place is
//! fixed. Each further one is a categorical variable that depends on the patches seen so far. It is drawn and
//! hard, so a patch that was not chosen stays unseen. The loss of a choice includes all later glimpses, so
//! estimators nest, and you can use any of them. The yardsticks are places drawn at random, and learned ones
//! that are the same for every image. In so few steps only straight-through Gumbel-Softmax gets beyond the
//! latter, which takes places that depend on the image.
//!
//! Source: V. Mnih, N. Heess, A. Graves, K. Kavukcuoglu, "Recurrent Models of Visual Attention", NeurIPS
//! 2014.

use reparam::data::{Batches, Digits, Split};
use reparam::estimators::{Estimate, Estimator, parse};
use reparam::nn::Mlp;
use reparam::optim::Adam;
use reparam::{Activation, Logits, Noise, Params, Tape, Var};

const PLACES: usize = 16;
const PATCH: usize = 49;
const STATE: usize = 64;
const CHOICES: usize = 2;
const BATCH: usize = 100;
const FIRST: usize = 5;

/// The information on which the choice of places after the first one may depend.
#[derive(Clone, Copy, Debug)]
enum Policy {
    Random,
    SameForAll,
    Seen,
}

struct Reader {
    params: Params,
    policy: Policy,
    glimpse: Mlp,
    places: Mlp,
    classify: Mlp,
}

impl Reader {
    fn new(policy: Policy, noise: &mut Noise) -> Reader {
        let mut params = Params::new();
        let mut mlp =
            |name: &str, sizes: &[usize]| Mlp::new(&mut params, name, sizes, Activation::Relu, noise);
        let glimpse = mlp("glimpse", &[PATCH + PLACES, 128, STATE]);
        let places = mlp("places", &[STATE, 64, CHOICES * PLACES]);
        let classify = mlp("classify", &[STATE, 64, 10]);
        Reader { params, policy, glimpse, places, classify }
    }

    /// The logits of the next place: `[images, 1, places]`.
    fn next_place<'t>(&self, choice: usize, state: Var<'t>) -> Logits<'t> {
        let images = state.shape().dims()[0];
        let constant = |value, width| state.tape().input_with([images, width], |x| x.fill(value));
        let logits = match self.policy {
            Policy::Random => constant(0.0, CHOICES * PLACES),
            Policy::SameForAll => self.places.forward(&self.params, constant(1.0, STATE)),
            Policy::Seen => self.places.forward(&self.params, state.relu()),
        };
        let from = choice * PLACES;
        Logits::categories(logits.slice(1, from..from + PLACES).reshape([images, 1, PLACES]))
    }

    /// The contribution of a look at the one-hot `place` to the state, `[images, state]`.
    fn look<'t>(&self, patches: Var<'t>, place: Var<'t>) -> Var<'t> {
        let images = patches.shape().dims()[0];
        let seen = (place.reshape([images, PLACES, 1]) * patches).sum_axis(1);
        let place = place.reshape([images, PLACES]);
        self.glimpse.forward(&self.params, Var::concat(&[seen, place], 1))
    }

    fn first_look<'t>(&self, patches: Var<'t>) -> Var<'t> {
        let images = patches.shape().dims()[0];
        let mut first = [0.0; PLACES];
        first[FIRST] = 1.0;
        self.look(patches, patches.tape().input(&first, [1, PLACES]).broadcast_to([images, PLACES]))
    }

    /// The loss per image after the remaining choices, with one estimator for each.
    fn loss<'t>(
        &self,
        patches: Var<'t>,
        labels: &[u32],
        state: Var<'t>,
        choices: &mut [Box<dyn Estimator>],
        noise: &mut Noise,
    ) -> Var<'t> {
        let choice = CHOICES - choices.len();
        let Some((estimator, rest)) = choices.split_first_mut() else {
            return self.classify.forward(&self.params, state.relu()).cross_entropy(labels);
        };
        estimator.estimate(self.next_place(choice, state), noise, |place, noise| {
            self.loss(patches, labels, state + self.look(patches, place), rest, noise)
        })
    }

    fn train(&mut self, digits: &Split, estimator: &str, steps: usize, noise: &mut Noise) {
        let mut choices: Vec<_> = (0..CHOICES).map(|_| parse(estimator).unwrap()).collect();
        let (mut adam, mut tape) = (Adam::new(2e-3), Tape::new());
        let mut batches = Batches::new(digits.len(), noise.split());
        for _ in 0..steps {
            let (patches, labels) = cut(digits, batches.next_batch(BATCH), &tape);
            let loss = self.loss(patches, &labels, self.first_look(patches), &mut choices, noise);
            let gradients = loss.mean().backward();
            tape.reset();
            adam.step(&mut self.params, &gradients);
        }
    }

    /// The share of digits recognised with drawn places, and the mean number of an image's `CHOICES` looks
    /// that each place got.
    fn test(&self, digits: &Split, noise: &mut Noise) -> (f32, Vec<f32>) {
        let tape = Tape::inference();
        let (patches, labels) = cut(digits, &Vec::from_iter(0..2000), &tape);
        let (mut state, mut looks) = (self.first_look(patches), tape.input(&[0.0; PLACES], [PLACES]));
        for choice in 0..CHOICES {
            let place = self.next_place(choice, state).sample(noise);
            looks = looks + place.reshape([2000, PLACES]).mean_axis(0);
            state = state + self.look(patches, place);
        }
        let guess = self.classify.forward(&self.params, state.relu()).st_argmax(1.0);
        (guess.select(&labels).mean().item(), looks.to_vec())
    }
}

/// The chosen images as `[images, places, patch]`, with their labels.
fn cut<'t>(digits: &Split, images: &[u32], tape: &'t Tape) -> (Var<'t>, Vec<u32>) {
    let (mut pixels, mut labels) = (vec![0.0; images.len() * 784], vec![0; images.len()]);
    digits.pixels_into(images, &mut pixels);
    digits.labels_into(images, &mut labels);
    let patches = tape.input_with([images.len(), PLACES, PATCH], |patches| {
        for (i, pixel) in patches.iter_mut().enumerate() {
            let (image, place, y, x) = (i / 784, i / PATCH % PLACES, i % PATCH / 7, i % 7);
            *pixel = pixels[image * 784 + (place / 4 * 7 + y) * 28 + place % 4 * 7 + x];
        }
    });
    (patches, labels)
}

fn learn(policy: Policy, estimator: &str, steps: usize) -> (f32, Vec<f32>) {
    let (digits, mut noise) = (Digits::embedded(), Noise::seed(1));
    let mut reader = Reader::new(policy, &mut noise);
    reader.train(digits.train(), estimator, steps, &mut noise);
    reader.test(digits.validation(), &mut noise)
}

fn main() {
    println!("places                estimator            validation digits recognised");
    let mut looks = Vec::new();
    for (policy, estimator) in [
        (Policy::Random, "score-function"),
        (Policy::SameForAll, "st-gumbel-softmax:1"),
        (Policy::Seen, "moving-average"),
        (Policy::Seen, "rloo:2"),
        (Policy::Seen, "st-gumbel-softmax:1"),
    ] {
        let (accuracy, places) = learn(policy, estimator, 2000);
        println!("{:<21} {estimator:<20} {:.1} %", format!("{policy:?}"), 100.0 * accuracy);
        looks = places;
    }
    println!("\nlooks per 100 images, by place (row 2, column 2 is seen anyway):");
    for row in looks.chunks_exact(4) {
        println!("{}", row.iter().map(|n| format!("{:5.0}", 100.0 * n)).collect::<String>());
    }
}

#[test]
fn learned_places_read_more_digits_than_random_ones() {
    let (random, _) = learn(Policy::Random, "score-function", 600);
    for (estimator, margin) in [("st-gumbel-softmax:1", 0.08), ("moving-average", 0.03)] {
        let (learned, _) = learn(Policy::Seen, estimator, 600);
        assert!(learned > random + margin, "{estimator}: {learned} recognised, {random} with random places");
    }
}

#[test]
#[ignore = "a quarter of a minute: it takes 2000 steps until what was seen pays"]
fn learned_places_heed_what_was_seen() {
    let [same, seen] =
        [Policy::SameForAll, Policy::Seen].map(|policy| learn(policy, "st-gumbel-softmax:1", 2000).0);
    assert!(seen > same + 0.03, "{seen} recognised, {same} with the same places for all");
}
