//! Threads that work on a kernel together, and that stay awake from one kernel to the next.
//!
//! Waking a sleeping thread takes 60 to 100 us on a virtual machine, which is longer than most kernels. So a
//! helper that has done its share keeps looking for the next region for half a millisecond and then sleeps.
//! The thread that opens a region never waits for a sleeper. It starts at once and takes every leaf that no
//! helper has taken.
//!
//! A process has one team. A region may have as many threads as the current rayon pool, but no more than the
//! machine has cores. While a thread has a region open, a region that is opened by another thread or inside a
//! leaf runs only on the thread that opens it. Nothing here allocates, except for the first region of a
//! process, which starts the helpers.

use std::any::Any;
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The most leaves that a region can have, one bit of a word each.
pub(crate) const LEAVES: usize = u64::BITS as usize;

/// The time that a helper waits for the next region before it sleeps.
const IDLE: Duration = Duration::from_micros(500);

/// The time that a thread spins before it yields between its checks.
const IMPATIENT: Duration = Duration::from_micros(50);

/// Checks between two readings of the clock.
const LOOKS: u32 = 64;

/// Set in [`Team::state`] while helpers may enter the region. The bits below count the helpers inside, and
/// the bits above hold the number of the region.
const OPEN: u64 = 1 << 16;
const REGION: u64 = OPEN << 1;
const INSIDE: u64 = OPEN - 1;

/// The leaves of a region, called by number.
pub(crate) type Work<'a> = &'a (dyn Fn(usize) + Sync + 'a);

#[derive(Clone, Copy)]
struct Region {
    work: Work<'static>,
    leaves: usize,
    threads: usize,
}

struct Team {
    /// Set while a thread has a region open.
    owned: AtomicBool,
    state: AtomicU64,
    /// Written only while the region is closed and no helper is inside.
    region: UnsafeCell<Option<Region>>,
    /// A bit for each leaf, set once a thread has taken it.
    taken: AtomicU64,
    helpers: OnceLock<Vec<Helper>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// A thread that helps the one that opened a region.
struct Helper {
    thread: Thread,
    sleeps: &'static AtomicBool,
}

// SAFETY: the region is the only field that is not `Sync` by itself. A helper reads it only between entering,
// which requires an open region, and leaving. The owner writes it only when nobody is inside.
unsafe impl Sync for Team {}

static TEAM: Team = Team {
    owned: AtomicBool::new(false),
    state: AtomicU64::new(0),
    region: UnsafeCell::new(None),
    taken: AtomicU64::new(0),
    helpers: OnceLock::new(),
    panic: Mutex::new(None),
};

/// Returns the number of cores of this machine that the process may use.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// Returns the number of threads that a region opened here may have.
pub(crate) fn size() -> usize {
    // In WebAssembly the compiler knows the size and leaves out the code for threads. We ask the pool last,
    // because that starts the global one.
    if cfg!(target_family = "wasm") || cores() == 1 { 1 } else { cores().min(rayon::current_num_threads()) }
}

/// Calls `work` once with each number below `leaves`, which is at most 64, on several threads at a time.
pub fn run(leaves: usize, work: Work<'_>) {
    assert!(leaves <= LEAVES);
    let threads = size().min(leaves);
    if threads < 2 || TEAM.owned.swap(true, Ordering::Acquire) {
        return (0..leaves).for_each(work);
    }
    // SAFETY: only the lifetime changes. `Opened` is dropped before this function returns or unwinds, and
    // then no helper is inside or can enter.
    let work = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work) };
    let opened = TEAM.open(Region { work, leaves, threads });
    TEAM.take_leaves(0);
    if let Some(panic) = opened.close() {
        resume_unwind(panic);
    }
}

impl Team {
    fn open(&'static self, region: Region) -> Opened {
        self.taken.store(0, Ordering::Relaxed);
        // SAFETY: this thread owns the team, and the last region is closed and empty, or there was none.
        unsafe { *self.region.get() = Some(region) };
        let closed = self.state.load(Ordering::Relaxed);
        // Either a helper sees that the region is open before it sleeps, or we see that it sleeps.
        self.state.store((closed + REGION) | OPEN, Ordering::SeqCst);
        let helpers = self.helpers.get_or_init(|| (1..cores()).map(|place| self.start(place)).collect());
        for helper in &helpers[..region.threads - 1] {
            if helper.sleeps.load(Ordering::SeqCst) {
                helper.thread.unpark();
            }
        }
        Opened(self)
    }

    fn start(&'static self, place: usize) -> Helper {
        let sleeps: &AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let work = move || self.help(place, sleeps);
        let thread = thread::Builder::new().name(format!("reparam {place}")).spawn(work);
        Helper { thread: thread.expect("a helper thread must start").thread().clone(), sleeps }
    }

    /// Helps in one region after another.
    fn help(&self, place: usize, sleeps: &AtomicBool) {
        let (mut helped, mut since) = (0, Instant::now());
        loop {
            if !wait(since, IDLE, || self.enter(helped)) {
                sleeps.store(true, Ordering::SeqCst);
                if self.state.load(Ordering::SeqCst) & OPEN == 0 {
                    thread::park();
                }
                sleeps.store(false, Ordering::Relaxed);
            } else {
                helped = self.state.load(Ordering::Relaxed) / REGION;
                let taken = catch_unwind(AssertUnwindSafe(|| self.take_leaves(place)));
                if let Err(panic) = taken {
                    *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
                }
                self.state.fetch_sub(1, Ordering::Release);
            }
            since = Instant::now();
        }
    }

    /// Enters the region, if it is open and is not number `helped`.
    fn enter(&self, helped: u64) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        let enter = |expected| {
            self.state.compare_exchange(expected, expected + 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        state & OPEN != 0 && state / REGION != helped && enter(state)
    }

    /// Works on the leaves that nobody has taken. Each place begins at a different leaf, the same in all
    /// regions of one size, so that a thread finds its earlier results in its cache.
    fn take_leaves(&self, place: usize) {
        // SAFETY: this thread owns the region or has entered it, so nobody writes.
        let Region { work, leaves, threads } = unsafe { *self.region.get() }.expect("an open region");
        if place >= threads {
            return;
        }
        let first = place * leaves / threads;
        for leaf in (first..leaves).chain(0..first) {
            let bit = 1 << leaf;
            let is_free = self.taken.load(Ordering::Relaxed) & bit == 0;
            if is_free && self.taken.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
                work(leaf);
            }
        }
    }
}

/// The open region of the team, which this thread owns.
struct Opened(&'static Team);

impl Opened {
    /// Ends the region and returns the panic of a helper, if there is one.
    fn close(self) -> Option<Box<dyn Any + Send>> {
        self.wait_for_helpers();
        self.0.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps further helpers out and waits until every taken leaf is done.
    fn wait_for_helpers(&self) {
        let state = &self.0.state;
        state.fetch_and(!OPEN, Ordering::Relaxed);
        wait(Instant::now(), Duration::MAX, || state.load(Ordering::Acquire) & INSIDE == 0);
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.wait_for_helpers();
        if thread::panicking() {
            // A helper may have panicked as well; one of the two is enough.
            self.0.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        self.0.owned.store(false, Ordering::Release);
    }
}

/// Returns true as soon as `done` does, or false after the given time.
fn wait(since: Instant, most: Duration, mut done: impl FnMut() -> bool) -> bool {
    loop {
        for _ in 0..LOOKS {
            if done() {
                return true;
            }
            spin_loop();
        }
        let waited = since.elapsed();
        if waited > most {
            return false;
        }
        if waited > IMPATIENT {
            thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Calls `run` and counts the calls of each leaf.
    fn counts(leaves: usize) -> Vec<usize> {
        let counts: Vec<_> = (0..leaves).map(|_| AtomicUsize::new(0)).collect();
        run(leaves, &|leaf| {
            counts[leaf].fetch_add(1, Ordering::Relaxed);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_leaf_is_called_once_in_thousands_of_regions() {
        for round in 0..20_000 {
            let leaves = round % (LEAVES + 1);
            assert_eq!(counts(leaves), vec![1; leaves]);
        }
    }

    #[test]
    fn threads_with_regions_of_their_own_do_not_disturb_each_other() {
        rayon::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|_| (0..2000).for_each(|_| assert_eq!(counts(9), [1; 9])));
            }
        });
    }

    #[test]
    fn a_region_inside_a_leaf_is_complete() {
        let inner = Mutex::new(Vec::new());
        run(4, &|_| {
            let counts = counts(5);
            inner.lock().unwrap().push(counts);
        });
        assert_eq!(inner.into_inner().unwrap(), vec![vec![1; 5]; 4]);
    }

    #[test]
    fn a_panic_reaches_the_thread_that_opened_the_region() {
        for bad in [0, 7].into_iter().cycle().take(100) {
            let broken = || run(8, &|leaf| assert!(leaf != bad, "leaf {bad}"));
            let panic = catch_unwind(AssertUnwindSafe(broken)).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>(), Some(&format!("leaf {bad}")));
            assert_eq!(counts(8), [1; 8], "the team works on");
        }
    }

    #[test]
    fn helpers_that_have_nothing_to_do_sleep() {
        counts(8);
        let all_sleep = || {
            let helpers = TEAM.helpers.get().into_iter().flatten();
            helpers.fold(true, |all, helper| all & helper.sleeps.load(Ordering::Relaxed))
        };
        assert!(wait(Instant::now(), Duration::from_secs(60), all_sleep));
        assert_eq!(counts(8), [1; 8], "they are woken again");
    }
}
