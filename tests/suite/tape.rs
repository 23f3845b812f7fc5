//! Does a tape of any length work within the stack of a thread, and do its pictures grow in proportion to its
//! length?

use std::thread;

use reparam::{Noise, Tape, Var};

/// Runs work in a thread with Rust's default stack size.
fn in_a_thread(work: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(2 << 20);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap();
    });
}

/// A long tape is recorded, read, differentiated, printed and dropped. Reading every value of a chain of
/// views must take no longer than for a chain of ops. A search along the chain for each value would take
/// hours.
#[test]
fn a_tape_may_be_a_million_nodes_long() {
    const LENGTH: usize = 1_000_000;
    let views: fn(Var<'_>, usize) -> Var<'_> = |x, i| match i % 3 {
        0 => x.reshape([1]),
        1 => x.reshape([]),
        _ => x.reshape([1]).with_gradient_of(x.reshape([1])),
    };
    let ops: fn(Var<'_>, usize) -> Var<'_> = |x, _| x + 1e-9;
    for step in [views, ops] {
        in_a_thread(move || {
            let mut tape = Tape::new();
            let x = tape.variable(&[0.5], [1]);
            let mut last = x;
            let mut steps = 0;
            while tape.len() < LENGTH {
                last = step(last, steps);
                steps += 1;
            }
            assert!((last.item() - 0.5).abs() < 1e-2);
            assert_eq!(last.backward().of(x), Some(&[1.0][..]));
            tape.check_finite().unwrap();
            assert_eq!(tape.to_string().lines().count(), tape.len());
            tape.reset();
            assert!(tape.is_empty());
        });
    }
}

/// A view of a parameter, of a constant or of another view has the numbers of the value that it views.
#[test]
fn views_of_views_have_the_numbers_of_the_first() {
    let tape = Tape::new();
    let x = tape.variable(&[1.0, 2.0, 3.0, 4.0], [4]);
    let y = (x * 2.0)
        .reshape([2, 2])
        .stop_gradient()
        .reshape([4])
        .with_gradient_of(x.reshape([2, 2]).reshape([4]));
    assert_eq!(y.to_vec(), [2.0, 4.0, 6.0, 8.0]);
    assert_eq!(y.sum().backward().of(x), Some(&[1.0; 4][..]));
}

type Recording = for<'t> fn(&'t Tape, usize) -> Var<'t>;

/// Tapes whose nodes read values from long ago. They read two leaves in every step, each leaf a second time
/// at the end, every value again in the opposite order, or any earlier value.
const LONG_LIVED: [(&str, Recording); 4] = [
    ("recurrent", |tape, steps| {
        let [w, b, mut h] = [0.9, 0.1, 0.0].map(|x| tape.variable(&[x], [1]));
        (0..steps).for_each(|_| h = w * h + b);
        h.sum()
    }),
    ("decay", |tape, steps| {
        let weights: Vec<Var<'_>> = (0..steps).map(|_| tape.variable(&[0.9], [1])).collect();
        let product = weights.iter().fold(tape.input(&[1.0], [1]), |h, &w| h * w);
        weights.iter().fold(product, |sum, &w| sum + w).sum()
    }),
    ("mirrored", |tape, steps| {
        let mut values = vec![tape.variable(&[0.5], [1])];
        (0..steps).for_each(|i| values.push(values[i].tanh()));
        values.iter().rev().fold(values[steps], |h, &value| h * value).sum()
    }),
    ("random", |tape, steps| {
        let mut noise = Noise::seed(1);
        let mut values = vec![tape.variable(&[0.5], [1])];
        for i in 0..2 * steps {
            let other = values[noise.below(values.len() as u32) as usize];
            values.push(values[i] * other);
        }
        values[2 * steps].sum()
    }),
];

#[test]
fn pictures_grow_as_their_tapes_do() {
    for (name, record) in LONG_LIVED {
        let sizes = |steps| {
            let tape = Tape::new();
            let loss = record(&tape, steps);
            let pictures = [tape.to_svg(&loss.backward()), tape.to_dot(), tape.to_html(loss)];
            pictures.map(|picture| picture.len() as f64 / tape.len() as f64)
        };
        let (short, long) = (sizes(250), sizes(1000));
        println!("{name}: {short:.0?} and {long:.0?} bytes a node");
        for (short, long) in short.iter().zip(long) {
            // Node numbers get longer.
            assert!(
                long < 1.25 * short,
                "{name}: {short} bytes a node, {long} where there are four times as many"
            );
        }
    }
}

/// Every reader of a value from long ago has a wire that names the value's node.
#[test]
fn a_wire_that_is_cut_names_its_node() {
    let tape = Tape::new();
    let w = tape.variable(&[0.9], [1]);
    let mut h = tape.variable(&[0.0], [1]);
    (0..100).for_each(|_| h = w * h);
    let picture = tape.to_svg(None);
    let stubs = picture.matches(">%0</text></g>").count();
    let edges = picture.matches("<g class=\"edge\" data-from=\"0\"").count();
    assert!(edges == 100 && (60..100).contains(&stubs), "{stubs} of {edges}");
    assert!(picture.contains("a\u{a0}wire\u{a0}that\u{a0}begins\u{a0}with\u{a0}a\u{a0}number"));
}
