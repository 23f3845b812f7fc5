//! Checks every function of `math` and every distribution of `draw` against `f64`, on a stride in each test
//! run and on all 2^32 inputs with `--ignored` (minutes; add `--nocapture` to see the worst errors). The
//! portable tier must give the same bits.

use reparam_ops::{Tier, draw, math, simd};

/// A function under test. It takes `f32` inputs as bits, so that draws and floats have the same type.
struct Subject {
    name: &'static str,
    run: fn(Tier, &[u32], &mut [f32]),
    /// The exact value for an input, in `f64`.
    truth: fn(u32) -> f64,
    /// Allowed error in ulp of the exact value.
    ulps: f64,
    /// Absolute error that is always allowed.
    floor: f64,
    /// Inputs that the bound covers.
    domain: fn(u32) -> bool,
}

/// Loops over slices, compiled for every tier as the kernels are.
macro_rules! loops {
    ($($loop_name:ident = |$x:ident| $value:expr;)*) => {$(
        simd! {
            fn $loop_name<F>(inputs: &[u32], outputs: &mut [f32]) {
                for (y, &$x) in outputs.iter_mut().zip(inputs) {
                    *y = $value;
                }
            }
        }
    )*};
}

loops! {
    run_exp = |x| math::exp::<F>(f32::from_bits(x));
    run_exp_nonpositive = |x| math::exp_nonpositive::<F>(f32::from_bits(x));
    run_expm1 = |x| math::expm1::<F>(f32::from_bits(x));
    run_ln = |x| math::ln::<F>(f32::from_bits(x));
    run_ln_normal = |x| math::ln_normal::<F>(f32::from_bits(x));
    run_log1p = |x| math::log1p::<F>(f32::from_bits(x));
    run_sigmoid = |x| math::sigmoid::<F>(f32::from_bits(x));
    run_softplus = |x| math::softplus::<F>(f32::from_bits(x));
    run_tanh = |x| math::tanh::<F>(f32::from_bits(x));
    run_uniform = |x| draw::uniform_by::<F>(x);
    run_exponential = |x| draw::exponential_by::<F>(x);
    run_gumbel = |x| draw::gumbel_by::<F>(x);
    run_logistic = |x| draw::logistic_by::<F>(x);
    run_normal = |x| draw::normal_by::<F>(x);
}

const SUBJECTS: [Subject; 14] = [
    float("exp", run_exp, |x| float_of(x).exp(), 1.0),
    Subject {
        domain: nonpositive,
        ..float("exp_nonpositive", run_exp_nonpositive, |x| float_of(x).exp(), 1.0)
    },
    float("expm1", run_expm1, |x| float_of(x).exp_m1(), 1.5),
    float("ln", run_ln, |x| float_of(x).ln(), 1.0),
    Subject { domain: normal_positive, ..float("ln_normal", run_ln_normal, |x| float_of(x).ln(), 1.0) },
    float("log1p", run_log1p, |x| float_of(x).ln_1p(), 2.0),
    float("sigmoid", run_sigmoid, |x| 1.0 / (1.0 + (-float_of(x)).exp()), 2.0),
    float("softplus", run_softplus, |x| softplus(float_of(x)), 2.5),
    float("tanh", run_tanh, |x| float_of(x).tanh(), 3.0),
    float("uniform", run_uniform, midpoint, 1.0),
    float("exponential", run_exponential, exponential, 2.0),
    Subject { floor: 2e-7, ..float("gumbel", run_gumbel, |x| -exponential(x).ln(), 2.0) },
    float("logistic", run_logistic, logistic, 3.0),
    float("normal", run_normal, normal, 3.0),
];

/// A subject without absolute allowance, whose bound covers every input.
const fn float(
    name: &'static str,
    run: fn(Tier, &[u32], &mut [f32]),
    truth: fn(u32) -> f64,
    ulps: f64,
) -> Subject {
    Subject { name, run, truth, ulps, floor: 0.0, domain: |_| true }
}

fn subject(name: &str) -> &'static Subject {
    SUBJECTS.iter().find(|subject| subject.name == name).expect("a subject of that name")
}

fn float_of(bits: u32) -> f64 {
    f64::from(f32::from_bits(bits))
}

fn nonpositive(bits: u32) -> bool {
    f32::from_bits(bits) <= 0.0
}

fn normal_positive(bits: u32) -> bool {
    let x = f32::from_bits(bits);
    x.is_normal() && x > 0.0
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `(x + 1/2) 2^-32`, exact in `f64`.
fn midpoint(x: u32) -> f64 {
    (f64::from(x) + 0.5) / 4_294_967_296.0
}

fn exponential(x: u32) -> f64 {
    -(-midpoint(x)).ln_1p()
}

fn logistic(x: u32) -> f64 {
    // The odds minus 1 are small near v = 1/2, where ln v - ln(1 - v) would cancel.
    let (v, rest) = (midpoint(x), midpoint(!x));
    if v >= rest { ((v - rest) / rest).ln_1p() } else { -((rest - v) / v).ln_1p() }
}

/// The inverse normal distribution function, accurate to about 1e-16 for the probabilities of draws.
///
/// M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied Statistics 37
/// (1988), routine PPND16, without its branch for tails beyond 1.4e-11.
#[allow(clippy::excessive_precision)] // the digits as published
fn normal(x: u32) -> f64 {
    const A: [f64; 8] = [
        3.387_132_872_796_366_608,
        1.331_416_678_917_843_774_5e2,
        1.971_590_950_306_551_442_7e3,
        1.373_169_376_550_946_112_5e4,
        4.592_195_393_154_987_145_7e4,
        6.726_577_092_700_870_085_3e4,
        3.343_057_558_358_812_810_5e4,
        2.509_080_928_730_122_672_7e3,
    ];
    const B: [f64; 8] = [
        1.0,
        4.231_333_070_160_091_125_2e1,
        6.871_870_074_920_579_083e2,
        5.394_196_021_424_751_107_7e3,
        2.121_379_430_158_659_586_7e4,
        3.930_789_580_009_271_061e4,
        2.872_908_573_572_194_267_4e4,
        5.226_495_278_852_854_561e3,
    ];
    const C: [f64; 8] = [
        1.423_437_110_749_683_577_34,
        4.630_337_846_156_545_295_9,
        5.769_497_221_460_691_405_5,
        3.647_848_324_763_204_605_04,
        1.270_458_252_452_368_382_58,
        2.417_807_251_774_506_117_7e-1,
        2.272_384_498_926_918_458_33e-2,
        7.745_450_142_783_414_076_4e-4,
    ];
    const D: [f64; 8] = [
        1.0,
        2.053_191_626_637_758_821_87,
        1.676_384_830_183_803_849_4,
        6.897_673_349_851_000_045_5e-1,
        1.481_039_764_274_800_745_9e-1,
        1.519_866_656_361_645_719_66e-2,
        5.475_938_084_995_344_946e-4,
        1.050_750_071_644_416_843_24e-9,
    ];
    let (v, rest) = (midpoint(x), midpoint(!x));
    let q = (v - rest) / 2.0;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        q * horner(r, &A) / horner(r, &B)
    } else {
        let r = (-v.min(rest).ln()).sqrt() - 1.6;
        (horner(r, &C) / horner(r, &D)).copysign(q)
    }
}

fn horner(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// Distance between the `f32` values around `x`.
fn ulp(x: f64) -> f64 {
    let exponent = (x.to_bits() >> 52) & 0x7ff;
    f64::from_bits((exponent.clamp(1023 - 126, 1023 + 127) - 23) << 52)
}

/// The distance between `got` and `truth`. Infinity counts as 2^128, the first value past the largest float.
fn distance(got: f32, truth: f64) -> f64 {
    let finite = |x: f64| x.clamp(-(2f64.powi(128)), 2f64.powi(128));
    let distance = (finite(f64::from(got)) - finite(truth)).abs();
    match distance.is_nan() {
        true if got.is_nan() && truth.is_nan() => 0.0,
        true => f64::INFINITY,
        false => distance,
    }
}

/// The largest value of a measure so far, and its input.
#[derive(Clone, Copy, Default)]
struct Peak {
    value: f64,
    at: u32,
}

impl Peak {
    fn see(&mut self, value: f64, at: u32) {
        if value > self.value {
            *self = Peak { value, at };
        }
    }
}

/// The worst errors so far.
#[derive(Clone, Copy, Default)]
struct Worst {
    ulps: Peak,
    absolute: Peak,
    /// Error as a fraction of the bound; above 1 the bound is broken.
    share: Peak,
}

impl Worst {
    fn see(&mut self, subject: &Subject, x: u32, got: f32) {
        let truth = (subject.truth)(x);
        let (distance, ulp) = (distance(got, truth), ulp(truth));
        self.ulps.see(distance / ulp, x);
        self.absolute.see(distance, x);
        self.share.see(distance / (subject.ulps * ulp).max(subject.floor), x);
    }

    fn or(mut self, other: Worst) -> Worst {
        self.ulps.see(other.ulps.value, other.ulps.at);
        self.absolute.see(other.absolute.value, other.absolute.at);
        self.share.see(other.share.value, other.share.at);
        self
    }
}

/// The worst error on every `stride`-th of the inputs `from .. to`.
fn worst_in(subject: &Subject, from: u64, to: u64, stride: u64) -> Worst {
    const BLOCK: usize = 1024;
    let mut worst = Worst::default();
    let (mut inputs, mut outputs, mut portable) = (Vec::with_capacity(BLOCK), [0.0; BLOCK], [0.0; BLOCK]);
    // We start on the stride, so that the tested inputs do not depend on the number of parts.
    let mut next = from.next_multiple_of(stride);
    while next < to {
        inputs.clear();
        while next < to && inputs.len() < BLOCK {
            if (subject.domain)(next as u32) {
                inputs.push(next as u32);
            }
            next += stride;
        }
        (subject.run)(Tier::best(), &inputs, &mut outputs);
        (subject.run)(Tier::PORTABLE, &inputs, &mut portable);
        let bits = |y: f32| if y.is_nan() { f32::NAN } else { y }.to_bits();
        let differ = |i: &usize| bits(outputs[*i]) != bits(portable[*i]);
        if let Some(i) = (0..inputs.len()).find(differ) {
            panic!("{}: the portable tier gives other bits at {:#010x}", subject.name, inputs[i]);
        }
        for (&x, &got) in inputs.iter().zip(&outputs) {
            worst.see(subject, x, got);
        }
    }
    worst
}

/// Checks the bound on every `stride`-th bit pattern, on all cores.
fn check(subject: &Subject, stride: u64) {
    let parts = std::thread::available_parallelism().map_or(1, |n| n.get()) as u64;
    let length = (1u64 << 32) / parts;
    let worst = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..parts)
            .map(|part| {
                let to = if part + 1 == parts { 1 << 32 } else { (part + 1) * length };
                scope.spawn(move || worst_in(subject, part * length, to, stride))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker")).fold(Worst::default(), Worst::or)
    });
    let input = |peak: Peak| format!("{:#010x} ({:e})", peak.at, f32::from_bits(peak.at));
    println!(
        "{:16} {:.3} ulp at {}, {:.2e} absolute at {}, {:.3} of the bound at {}",
        subject.name,
        worst.ulps.value,
        input(worst.ulps),
        worst.absolute.value,
        input(worst.absolute),
        worst.share.value,
        input(worst.share),
    );
    assert!(worst.share.value <= 1.0, "{}: the bound of {} ulp is broken", subject.name, subject.ulps);
}

#[test]
fn a_stride_of_inputs_keeps_the_bounds() {
    for subject in &SUBJECTS {
        check(subject, 997);
    }
}

#[test]
fn every_tier_gives_the_same_bits() {
    // The length is odd, so that the tail of a loop is scalar code.
    let inputs: Vec<u32> = (0..(1u64 << 32)).step_by(99_991).map(|x| x as u32).chain(edges()).collect();
    for subject in &SUBJECTS {
        let inputs: Vec<u32> = inputs.iter().copied().filter(|&x| (subject.domain)(x)).collect();
        let values = |tier: Tier, inputs: &[u32]| {
            let mut outputs = vec![0.0; inputs.len()];
            (subject.run)(tier, inputs, &mut outputs);
            // A NaN's payload may differ.
            outputs.iter().map(|y: &f32| if y.is_nan() { f32::NAN } else { *y }.to_bits()).collect::<Vec<_>>()
        };
        let expected = values(Tier::PORTABLE, &inputs);
        for tier in Tier::available() {
            assert!(values(tier, &inputs) == expected, "{} on {tier}", subject.name);
            let alone: Vec<_> = inputs[inputs.len() - 40..].chunks(1).flat_map(|x| values(tier, x)).collect();
            assert!(alone == expected[inputs.len() - 40..], "{} one by one on {tier}", subject.name);
        }
    }
}

/// Both ends of the draws, and the floats where something changes.
fn edges() -> impl Iterator<Item = u32> {
    let floats = [
        0.0,
        1.0,
        0.5,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
        88.0,
        88.722_84,
        88.73,
        103.9,
        104.0,
    ];
    let floats = floats.into_iter().flat_map(|x: f32| [x.to_bits(), (-x).to_bits()]);
    let around = floats.chain([1 << 31, 0x5555_5555]);
    around.flat_map(|x| (0..9).map(move |n: u32| x.wrapping_add(n).wrapping_sub(4)))
}

/// One test per subject, over every input.
mod every_input {
    macro_rules! tests {
        ($($name:ident)*) => {$(
            #[test]
            #[ignore = "2^32 inputs: minutes"]
            fn $name() {
                super::check(super::subject(stringify!($name)), 1);
            }
        )*};
    }

    tests! {
        exp exp_nonpositive expm1 ln ln_normal log1p sigmoid softplus tanh
        uniform exponential gumbel logistic normal
    }
}
