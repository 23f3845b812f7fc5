//! Reductions over a slice in the same order on any hardware: [`LANES`] running values, then a fixed tree.

use crate::fma::Fma;
use crate::simd::LANES;

/// True if rows of up to [`LANES`] classes have separate code for each length. WebAssembly has none, because
/// a page would have to load an engine a sixth larger.
pub(crate) const ROWS_HAVE_OWN_CODE: bool = cfg!(not(target_family = "wasm"));

/// Lanes in a wide vector: four vectors side by side, so that no addition waits for the previous one.
pub(crate) const WIDE: usize = 4 * LANES;

/// Number of wide vectors that are added up before their sum joins the total, so that rounding errors do not
/// pile up.
const RUN: usize = 32;

/// The most elements that we sum in `f32` alone. The sums of longer slices are added piece by piece in `f64`.
pub(crate) const PIECE: usize = 8192;

/// Sum of a slice of any length.
#[inline(always)]
pub(crate) fn sum_of_any(x: &[f32]) -> f32 {
    if x.len() <= PIECE {
        return sum(x);
    }
    let mut total = 0.0f64;
    for x in x.chunks(PIECE) {
        total += f64::from(sum(x));
    }
    total as f32
}

/// Sum of a slice, at most [`PIECE`] elements.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    debug_assert!(x.len() <= PIECE);
    let mut lanes = [0.0f32; LANES];
    let (wide, rest) = x.as_chunks::<WIDE>();
    for run in wide.chunks(RUN) {
        let mut sums = [0.0f32; WIDE];
        for chunk in run {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += value;
            }
        }
        for (lane, sum) in lanes.iter_mut().zip(added(&sums)) {
            *lane += sum;
        }
    }
    let (chunks, tail) = rest.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    let mut total = if x.len() < LANES { 0.0 } else { tree(&lanes) };
    for value in tail {
        total += value;
    }
    total
}

/// Sum of `a * (b - shift)` over two slices of equal length, however long.
#[inline(always)]
pub(crate) fn dot_shifted_of_any<F: Fma>(a: &[f32], b: &[f32], shift: f32) -> f32 {
    let mut total = 0.0f64;
    for (a, b) in a.chunks(RUN * WIDE).zip(b.chunks(RUN * WIDE)) {
        total += f64::from(dot_shifted::<F>(a, b, shift));
    }
    total as f32
}

/// Sum of `a * (b - shift)` over two slices of equal length, at most [`PIECE`] elements.
#[inline(always)]
pub(crate) fn dot_shifted<F: Fma>(a: &[f32], b: &[f32], shift: f32) -> f32 {
    debug_assert!(a.len() <= PIECE);
    let (a_wide, a_rest) = a.as_chunks::<WIDE>();
    let (b_wide, b_rest) = b[..a.len()].as_chunks::<WIDE>();
    let mut lanes = [0.0f32; LANES];
    if !a_wide.is_empty() {
        let mut sums = [0.0f32; WIDE];
        for (a, b) in a_wide.iter().zip(b_wide) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum = F::mul_add(*a, b - shift, *sum);
            }
        }
        lanes = added(&sums);
    }
    let (a_chunks, a_tail) = a_rest.as_chunks::<LANES>();
    let (b_chunks, b_tail) = b_rest.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] = F::mul_add(a[lane], b[lane] - shift, lanes[lane]);
        }
    }
    let mut total = if a.len() < LANES { 0.0 } else { tree(&lanes) };
    for (a, b) in a_tail.iter().zip(b_tail) {
        total = F::mul_add(*a, b - shift, total);
    }
    total
}

/// Returns the sum of the four vectors of a wide one.
#[inline(always)]
fn added(sums: &[f32; WIDE]) -> [f32; LANES] {
    let (parts, _) = sums.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for lane in 0..LANES {
        lanes[lane] = (parts[0][lane] + parts[1][lane]) + (parts[2][lane] + parts[3][lane]);
    }
    lanes
}

/// Largest value, or -inf for an empty slice. NaN is skipped.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let mut best = f32::NEG_INFINITY;
    let (wide, rest) = x.as_chunks::<WIDE>();
    let (chunks, tail) = rest.as_chunks::<LANES>();
    if x.len() >= LANES {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        // Without this condition the compiler would keep the wide maxima in memory for short rows too.
        if !wide.is_empty() {
            lanes = max_of_wide(wide);
        }
        for chunk in chunks {
            lanes = larger_of_each(chunk, &lanes);
        }
        best = max_tree(&lanes);
    }
    for &value in tail {
        best = larger(value, best);
    }
    best
}

/// Returns the larger of two, lane by lane. The result is a new array, because a lane changed in place might
/// become a masked store that keeps the lanes in memory.
#[inline(always)]
fn larger_of_each<const N: usize>(values: &[f32; N], best: &[f32; N]) -> [f32; N] {
    let mut larger_ones = [0.0; N];
    for lane in 0..N {
        larger_ones[lane] = larger(values[lane], best[lane]);
    }
    larger_ones
}

/// The largest entries lane by lane.
#[inline(always)]
fn max_of_wide(wide: &[[f32; WIDE]]) -> [f32; LANES] {
    let mut maxima = [f32::NEG_INFINITY; WIDE];
    for chunk in wide {
        maxima = larger_of_each(chunk, &maxima);
    }
    let (parts, _) = maxima.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for lane in 0..LANES {
        lanes[lane] = larger(larger(parts[0][lane], parts[1][lane]), larger(parts[2][lane], parts[3][lane]));
    }
    lanes
}

/// Index of the largest entry. Ties take the lowest index; it is 0 if no entry exceeds -inf. NaN is skipped.
#[inline(always)]
pub fn argmax(x: &[f32]) -> usize {
    let best = max(x);
    // This looks through whole vectors without a branch per entry.
    let without = |chunk: &&[f32; LANES]| !chunk.iter().fold(false, |found, &value| found | (value == best));
    let skipped = LANES * x.as_chunks::<LANES>().0.iter().take_while(without).count();
    x[skipped..].iter().position(|&value| value == best).map_or(0, |i| skipped + i)
}

/// Sum of `value(a, b)` over two slices of equal length, at most [`PIECE`] elements.
#[inline(always)]
pub(crate) fn sum_of_pairs(a: &[f32], b: &[f32], value: impl Fn(f32, f32) -> f32) -> f32 {
    debug_assert!(a.len() <= PIECE);
    let (a_wide, a_rest) = a.as_chunks::<WIDE>();
    let (b_wide, b_rest) = b[..a.len()].as_chunks::<WIDE>();
    let mut sums = [0.0f32; WIDE];
    for (a, b) in a_wide.iter().zip(b_wide) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += value(a, b);
        }
    }
    let mut rest = [0.0f32; WIDE];
    for ((rest, &a), &b) in rest.iter_mut().zip(a_rest).zip(b_rest) {
        *rest = value(a, b);
    }
    sum(&sums) + sum(&rest)
}

/// Sum of a row of `C` entries, or of any number if `C` is 0. A [short](is_short) row is added in halves.
#[inline(always)]
pub(crate) fn sum_of_row<const C: usize>(row: &[f32]) -> f32 {
    match C {
        0 if is_short(row) => sum_of_short(row),
        0 => sum_of_any(row),
        _ => sum_of_few::<C>(row),
    }
}

/// Returns true in WebAssembly for a row that has separate code in [`by_classes!`](crate::rows::by_classes)
/// elsewhere. The sums are the same.
#[inline(always)]
fn is_short(row: &[f32]) -> bool {
    !ROWS_HAVE_OWN_CODE && row.len() <= LANES
}

/// Sum of at most [`LANES`] entries, added in halves.
#[inline(never)]
fn sum_of_short(row: &[f32]) -> f32 {
    halve(row, |a, b| a + b)
}

/// Sum of a row of `C` entries, at most [`LANES`], added in halves.
#[inline(always)]
pub(crate) fn sum_of_few<const C: usize>(row: &[f32]) -> f32 {
    halve(&row[..C], |a, b| a + b)
}

/// Largest of `C` entries, at most [`LANES`], compared in halves. If there is a NaN, it is any number or NaN.
#[inline(always)]
pub(crate) fn max_of_few<const C: usize>(row: &[f32]) -> f32 {
    halve(&row[..C], |low, high| larger(high, low))
}

/// Sum of `a * (b - shift)` over `C` entries, at most [`LANES`], added in halves.
#[inline(always)]
pub(crate) fn dot_shifted_of_few<const C: usize>(a: &[f32], b: &[f32], shift: f32) -> f32 {
    let mut products = [0.0; LANES];
    for i in 0..C {
        products[i] = a[i] * (b[i] - shift);
    }
    sum_of_few::<C>(&products)
}

/// Sum of `a * (b - shift)` over a row of `C` entries, or of any number if `C` is 0. A [short](is_short) row is
/// added in halves.
#[inline(always)]
pub(crate) fn dot_shifted_of_row<F: Fma, const C: usize>(a: &[f32], b: &[f32], shift: f32) -> f32 {
    match C {
        0 if is_short(a) => dot_shifted_of_short(a, b, shift),
        0 if a.len() > PIECE => dot_shifted_of_any::<F>(a, b, shift),
        0 => dot_shifted::<F>(a, b, shift),
        _ => dot_shifted_of_few::<C>(a, b, shift),
    }
}

/// Sum of `a * (b - shift)` over a [short](is_short) row, added in halves.
#[inline(never)]
fn dot_shifted_of_short(a: &[f32], b: &[f32], shift: f32) -> f32 {
    let mut products = [0.0; LANES];
    for ((product, &a), &b) in products.iter_mut().zip(a).zip(b) {
        *product = a * (b - shift);
    }
    sum_of_short(&products[..a.len()])
}

/// Combines at most [`LANES`] entries in halves.
#[inline(always)]
fn halve(row: &[f32], combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    lanes[..row.len()].copy_from_slice(row);
    let mut len = row.len();
    while len > 1 {
        let half = len.next_power_of_two() / 2;
        for lane in half..len {
            lanes[lane - half] = combine(lanes[lane - half], lanes[lane]);
        }
        len = half;
    }
    lanes[0]
}

/// The larger of two; `best` if `value` is NaN.
#[inline(always)]
pub(crate) fn larger(value: f32, best: f32) -> f32 {
    if value > best { value } else { best }
}

// Not inlined: the compiler would work backwards from the scalar end of the tree and take apart the vectors
// of the loop before it. A call is cheaper.
#[inline(never)]
fn tree(lanes: &[f32; LANES]) -> f32 {
    fold_halves(lanes, |a, b| a + b)
}

#[inline(never)]
fn max_tree(lanes: &[f32; LANES]) -> f32 {
    fold_halves(lanes, |low, high| larger(high, low))
}

#[inline(always)]
fn fold_halves(lanes: &[f32; LANES], combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = *lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = combine(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hardware as H;

    #[test]
    fn ties_and_masks_take_the_lowest_index() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[f32::NEG_INFINITY; 20]), 0);
        let mut x = [0.0; 40];
        x[37] = 2.0;
        x[39] = 2.0;
        assert_eq!(argmax(&x), 37);
    }

    #[test]
    fn sums_count_every_element_once() {
        for n in 0..70usize {
            let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
            assert_eq!(sum(&x), (n * n.saturating_sub(1) / 2) as f32, "n = {n}");
            assert_eq!(dot_shifted::<H>(&x, &vec![3.0; n], 1.0), (n * n.saturating_sub(1)) as f32);
        }
    }
}
