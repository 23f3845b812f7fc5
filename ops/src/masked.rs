//! `masked`: x with one number at the masked positions, where no gradient passes.
//!
//! A mask lists the replaced positions in ascending order, so it is short if there are few.

/// Writes y = x, except `fill` at the positions in `mask`.
#[track_caller]
pub fn forward(mask: &[u32], fill: f32, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "x and y must have the same length");
    y.copy_from_slice(x);
    for &position in mask {
        y[position as usize] = fill;
    }
}

/// Adds dx += dy, except at the positions in `mask`, whose dy is ignored and may be infinite or NaN.
///
/// # Panics
/// If the positions do not ascend, or one lies outside dy.
#[track_caller]
pub fn backward(mask: &[u32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!(dy.len(), dx.len(), "dy and dx must have the same length");
    let mut start = 0;
    for end in mask.iter().map(|&position| position as usize).chain([dy.len()]) {
        for (dx, dy) in dx[start..end].iter_mut().zip(&dy[start..end]) {
            *dx += dy;
        }
        start = end + 1;
    }
}
