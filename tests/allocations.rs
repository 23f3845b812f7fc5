//! Does a steady state allocate, and does memory stay flat?
//!
//! We count the threads that work for a test: its own pool, and the team that helps. There is one team, so
//! the tests take turns.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use reparam::data::Digits;
use reparam::distributions::{Gumbel, KlForm, Normal, OneHot, RelaxedBernoulli, RelaxedOneHot, Uniform};
use reparam::models::ModelShape;
use reparam::nn::Mlp;
use reparam::optim::{Adam, Sgd};
use reparam::train::{OptimizerPlan, Plan, Sampling};
use reparam::{Activation, Gradients, Noise, Params, Tape, Var, Variables};
use reparam_ops::{Buffer, internal};

/// The allocations of one test's threads.
#[derive(Default)]
struct Counters {
    count: AtomicU64,
    live: AtomicI64,
    /// Asks for a trace of the last allocation.
    traced: AtomicBool,
    trace: Mutex<String>,
}

thread_local! {
    static COUNTERS: Cell<Option<&'static Counters>> = const { Cell::new(None) };
}

struct Counting;

impl Counting {
    fn count(layout: Layout, freed: usize) {
        let Some(counters) = COUNTERS.get() else { return };
        counters.count.fetch_add(1, Relaxed);
        if counters.traced.load(Relaxed) {
            // Tracing allocates as well, which does not count.
            COUNTERS.set(None);
            *counters.trace.lock().unwrap() = format!("{layout:?}\n{}", Backtrace::force_capture());
            COUNTERS.set(Some(counters));
        }
        counters.live.fetch_add(layout.size() as i64 - freed as i64, Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counting::count(layout, 0);
        // SAFETY: the caller makes the promises that `System` requires.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        if let Some(counters) = COUNTERS.get() {
            counters.live.fetch_sub(layout.size() as i64, Relaxed);
        }
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size is a valid one for this alignment.
        Counting::count(unsafe { Layout::from_size_align_unchecked(size, layout.align()) }, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` inside a pool of `threads`, and counts all of them and the team's. Each thread keeps working
/// memory from its first share of some work on. Which share that is, and when, is chance, so all threads get
/// theirs beforehand.
fn in_pool<T: Send>(threads: usize, work: impl FnOnce(&'static Counters) -> T + Send) -> T {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let counters: &'static Counters = Box::leak(Box::default());
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .start_handler(move |_| COUNTERS.set(Some(counters)))
        .build()
        .unwrap();
    pool.install(|| {
        let team = threads.min(thread::available_parallelism().unwrap().get());
        let here = AtomicUsize::new(0);
        internal::team::run(team, &|_| {
            COUNTERS.set(Some(counters));
            warm_up_memory();
            // Each thread of the team takes one of these leaves, because none returns before all are taken.
            here.fetch_add(1, Relaxed);
            while here.load(Relaxed) < team {
                thread::yield_now();
            }
        });
        // Rayon's workers allocate when they first look for work, which is before they sleep.
        thread::sleep(Duration::from_millis(50));
        work(counters)
    })
}

fn warm_up_memory() {
    const LARGE: usize = 1 << 18;
    // Nested, because kernels that borrow memory call each other.
    internal::scratch::with(LARGE, |_| {
        internal::scratch::with(LARGE, |_| internal::scratch::with(LARGE, |_| ()));
    });
    internal::scratch::with_indices(LARGE, LARGE, |_, _| ());
}

/// The allocations of `steps` calls of `step`, after `warm_up` calls.
fn steady(counters: &Counters, warm_up: usize, steps: usize, mut step: impl FnMut()) -> u64 {
    (0..warm_up).for_each(|_| step());
    let before = counters.count.load(Relaxed);
    counters.traced.store(true, Relaxed);
    (0..steps).for_each(|_| step());
    counters.traced.store(false, Relaxed);
    counters.count.load(Relaxed) - before
}

/// Asserts that live memory does not grow over `steps` calls of `step`, and that nothing is allocated.
#[track_caller]
fn assert_flat(counters: &Counters, steps: usize, mut step: impl FnMut()) {
    (0..100).for_each(|_| step());
    let (live, count) = (counters.live.load(Relaxed), counters.count.load(Relaxed));
    (0..steps).for_each(|_| step());
    let (live_now, count_now) = (counters.live.load(Relaxed), counters.count.load(Relaxed));
    assert!(live_now <= live, "{} bytes more are alive after {steps} steps", live_now - live);
    assert_eq!(count_now - count, 0, "allocations in {steps} steps");
}

/// Images of 28 x 28: if `lit`, three of twenty pixels are lit, as in MNIST; otherwise all are grey.
fn images(lit: bool) -> Digits {
    let folder = tempfile::tempdir().unwrap();
    for (name, count) in [("train", 600u32), ("t10k", 10)] {
        let pixel = |i: u32| {
            let random = i.wrapping_mul(2_654_435_761) >> 8;
            if lit { if random % 20 < 3 { 255 } else { 0 } } else { (random % 200) as u8 + 30 }
        };
        let header = [0x803, count, 28, 28].map(u32::to_be_bytes).concat();
        let pixels: Vec<u8> = (0..count * 784).map(pixel).collect();
        fs::write(folder.path().join(format!("{name}-images-idx3-ubyte")), [header, pixels].concat())
            .unwrap();
        let header = [0x801, count].map(u32::to_be_bytes).concat();
        let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
        fs::write(folder.path().join(format!("{name}-labels-idx1-ubyte")), [header, labels].concat())
            .unwrap();
    }
    Digits::read_dir(folder.path()).unwrap()
}

/// 1,000 steps of a `Run`, batches, data and optimizer included.
fn assert_steady_training(threads: usize, plan: &Plan, lit: bool) {
    let (count, trace) = in_pool(threads, |counters| {
        let data = images(lit);
        let mut run = plan.begin(&data).unwrap();
        let count = steady(counters, 100, 1000, || {
            run.step();
        });
        (count, counters.trace.lock().unwrap().clone())
    });
    let name = plan.model.name();
    assert_eq!(count, 0, "allocations in 1,000 steps of {name} on {threads} threads, the last {trace}");
}

/// A long run without validation.
fn steady_plan(mut plan: Plan, batch: usize) -> Plan {
    plan = plan.with_steps(100_000);
    (plan.training.batch, plan.training.validation) = (batch, None);
    plan
}

fn vae(latents: Variables, hidden: &[usize], batch: usize) -> Plan {
    let mirrored = hidden.iter().rev().copied().collect();
    let model = ModelShape::Vae { latents, encoder: hidden.to_vec(), decoder: mirrored };
    steady_plan(Plan { model, ..Plan::vae() }, batch)
}

#[test]
fn a_steady_vae_step_allocates_nothing() {
    let plan = vae(Variables::Categories { count: 5, classes: 10 }, &[64, 32], 32);
    for (threads, lit, estimator) in [
        (1, true, "gumbel-softmax:1"),
        (2, true, "gumbel-softmax:1"),
        (2, false, "gumbel-softmax:1"),
        (2, true, "st-gumbel-softmax:1"),
    ] {
        let tau = plan.sampling.as_ref().and_then(|sampling| sampling.tau);
        let sampling = Some(Sampling { tau, ..Sampling::named(estimator) });
        assert_steady_training(threads, &Plan { sampling, ..plan.clone() }, lit);
    }
}

#[test]
fn so_does_a_classifiers_with_every_optimizer() {
    for optimizer in [
        OptimizerPlan::AdamW { beta1: 0.9, beta2: 0.999, weight_decay: 1e-4 },
        OptimizerPlan::Sgd { momentum: 0.9, weight_decay: 1e-4 },
    ] {
        let mut plan = Plan { model: ModelShape::Classifier { hidden: vec![64] }, ..Plan::mlp() };
        (plan.training.optimizer, plan.training.clip_norm) = (optimizer, Some(0.5));
        assert_steady_training(2, &steady_plan(plan, 100), true);
    }
}

#[test]
#[ignore = "the shapes of the main job: a minute"]
fn so_does_the_main_job() {
    let plan = vae(Variables::Categories { count: 20, classes: 10 }, &[512, 256], 100);
    for threads in [1, 2] {
        assert_steady_training(threads, &plan, true);
    }
}

/// A sample, a density and a divergence of each kind of distribution, with masked classes too, and the
/// gradient of their sum.
#[test]
fn so_does_a_step_with_distributions() {
    const SHAPE: [usize; 2] = [64, 8];
    let (count, trace) = in_pool(2, |counters| {
        let (mut tape, mut noise) = (Tape::new(), Noise::seed(1));
        let numbers: Vec<f32> = (0..512).map(|i| (i % 13) as f32 / 6.0 - 1.0).collect();
        let mask: Vec<bool> = (0..512).map(|i| i % 8 == 3).collect();
        let count = steady(counters, 20, 200, || {
            tape.reset();
            let (a, b) = (tape.variable(&numbers, SHAPE), tape.variable(&numbers, SHAPE));
            let exact = OneHot::new(a);
            let classes = exact.log_prob(exact.sample(&mut noise)) + exact.entropy();
            let fewer = OneHot::new(a.masked(&mask, f32::NEG_INFINITY));
            let classes = classes + fewer.log_prob(fewer.sample(&mut noise)) + fewer.entropy();
            let (q, p) = (RelaxedOneHot::new(a, 0.7), RelaxedOneHot::new(b, 0.5));
            let z = q.rsample(&mut noise);
            let classes =
                classes + KlForm::Relaxed.categorical(q, p, z) + KlForm::RelaxedMass.categorical(q, p, z);
            let (q, p) = (RelaxedBernoulli::new(a, 0.7), RelaxedBernoulli::new(b, 0.5));
            let z = q.rsample(&mut noise);
            let bits = KlForm::Relaxed.binary(q, p, z) + q.log_prob(z) + q.rounded().entropy();
            let (q, p) = (Normal::new(a, b), Gumbel::new(a, b));
            let numbers = q.log_prob(q.rsample(&mut noise)) + p.log_prob(p.rsample(&mut noise)) + p.kl(p);
            let uniform = Uniform::new(a, a.exp() + 3.0);
            let numbers = numbers + uniform.log_prob(uniform.rsample(&mut noise));
            drop((classes.sum() + bits.sum() + numbers.sum()).backward());
        });
        (count, counters.trace.lock().unwrap().clone())
    });
    assert_eq!(count, 0, "allocations in 200 steps, the last {trace}");
}

/// The buffers of a few dropped gradients wait for the next backward pass, however many gradients were alive
/// at once.
#[test]
fn gradients_that_are_dropped_do_not_pile_up() {
    const NUMBERS: usize = 65_536;
    let kept = in_pool(1, |counters| {
        let tape = Tape::new();
        let loss = tape.variable(&vec![0.5; NUMBERS], [NUMBERS]).square().sum();
        let before = counters.live.load(Relaxed);
        let gradients: Vec<Gradients> = (0..500).map(|_| loss.backward()).collect();
        drop(gradients);
        counters.live.load(Relaxed) - before
    });
    // Each gradient has two buffers of NUMBERS numbers.
    let most = 8 * 2 * 4 * NUMBERS as i64 + (1 << 16);
    assert!(kept <= most, "{kept} bytes are kept of 500 gradients, at most {most} expected");
}

/// A net whose inputs and activations are never zero, so that every product is dense.
struct Net {
    params: Params,
    mlp: Mlp,
    input: Vec<f32>,
    width: usize,
}

impl Net {
    fn new(rows: usize, sizes: &[usize]) -> Net {
        let mut params = Params::new();
        let mlp = Mlp::new(&mut params, "net", sizes, Activation::Tanh, &mut Noise::seed(1));
        let input = (0..rows * sizes[0]).map(|i| 0.1 + (i % 17) as f32 / 20.0).collect();
        Net { params, mlp, input, width: sizes[0] }
    }

    fn loss<'t>(&self, tape: &'t Tape) -> Var<'t> {
        let x = tape.input(&self.input, [self.input.len() / self.width, self.width]);
        self.mlp.forward(&self.params, x).square().mean()
    }
}

#[test]
fn a_dense_step_allocates_nothing() {
    for threads in [1, 2] {
        let count = in_pool(threads, |counters| {
            let (mut net, mut adam, mut tape) =
                (Net::new(64, &[300, 128, 64, 10]), Adam::new(1e-3), Tape::new());
            steady(counters, 100, 1000, || {
                let gradients = net.loss(&tape).backward();
                tape.reset();
                adam.step(&mut net.params, &gradients);
            })
        });
        assert_eq!(count, 0, "allocations in 1,000 steps on {threads} threads");
    }
}

/// The counters see a buffer that starts at a cache line, and a thread that helps.
#[test]
fn an_aligned_leak_is_seen_on_every_thread() {
    for threads in [1, 2] {
        let (count, live) = in_pool(threads, |counters| {
            let live = counters.live.load(Relaxed);
            let count = steady(counters, 0, 100, || {
                internal::team::run(8, &|_| std::mem::forget(Buffer::from(&[1.0][..])));
            });
            (count, counters.live.load(Relaxed) - live)
        });
        assert_eq!(count, 800, "on {threads} threads");
        // The pool's own threads may free a few kilobytes meanwhile.
        assert!((700 * 64..=800 * 64).contains(&live), "{live} bytes on {threads} threads");
    }
}

/// Small enough for a hundred thousand steps.
fn small() -> Net {
    Net::new(2, &[3, 4, 1])
}

#[test]
fn memory_is_flat_over_a_hundred_thousand_steps() {
    in_pool(1, |counters| {
        let (mut net, mut sgd, mut tape) = (small(), Sgd::new(1e-3, 0.9), Tape::new());
        assert_flat(counters, 100_000, || {
            let gradients = net.loss(&tape).backward();
            tape.reset();
            sgd.step(&mut net.params, &gradients);
        });
    });
}

#[test]
fn memory_is_flat_without_a_backward_pass() {
    for mut tape in [Tape::inference(), Tape::new()] {
        in_pool(1, |counters| {
            let net = small();
            assert_flat(counters, 20_000, || {
                net.loss(&tape).item();
                tape.reset();
            });
        });
    }
}

#[test]
fn memory_is_flat_whenever_gradients_are_dropped() {
    in_pool(1, |counters| {
        let (net, mut tape) = (small(), Tape::new());
        assert_flat(counters, 10_000, || {
            drop(net.loss(&tape).backward());
            tape.reset();
        });
        assert_flat(counters, 10_000, || {
            let gradients = net.loss(&tape).backward();
            tape.reset();
            drop(gradients);
        });
        // Two backward passes over one recording, and gradients that outlive the next one.
        let mut kept: Option<Gradients> = None;
        assert_flat(counters, 10_000, || {
            let loss = net.loss(&tape);
            kept = Some(loss.backward());
            drop(loss.backward());
            tape.reset();
        });
    });
}

#[test]
fn memory_is_flat_when_gradients_add_up() {
    in_pool(1, |counters| {
        let (mut net, mut adam, mut tape) = (small(), Adam::new(1e-3), Tape::new());
        assert_flat(counters, 10_000, || {
            let mut total = net.loss(&tape).backward();
            for _ in 0..3 {
                tape.reset();
                total += &net.loss(&tape).backward();
            }
            tape.reset();
            adam.step(&mut net.params, &total);
        });
    });
}

#[test]
fn memory_is_flat_when_batches_use_different_parameters() {
    in_pool(1, |counters| {
        let mut params = Params::new();
        let (a, b) = (params.add("a", [100], vec![1.0; 100]), params.add("b", [100], vec![2.0; 100]));
        let mut tape = Tape::new();
        assert_flat(counters, 10_000, || {
            let mut total = params.on(&tape, a).square().sum().backward();
            tape.reset();
            total += &params.on(&tape, b).square().sum().backward();
            tape.reset();
            assert_eq!((total.parameter(a).unwrap()[0], total.parameter(b).unwrap()[0]), (2.0, 4.0));
        });
    });
}

#[test]
fn memory_is_flat_when_shapes_change_from_step_to_step() {
    in_pool(1, |counters| {
        let (mut tape, mut noise) = (Tape::new(), Noise::seed(1));
        let data = vec![0.5; 40 * 7];
        let mut rows = 0;
        assert_flat(counters, 10_000, || {
            rows = rows % 40 + 1;
            let x = tape.variable(&data[..rows * 7], [rows, 7]);
            let loss =
                (x.gumbel_softmax(0.7, &mut noise) * x).sum() + x.st_gumbel_softmax(0.7, &mut noise).sum();
            assert!(loss.backward().of(x).is_some());
            tape.reset();
        });
    });
}
