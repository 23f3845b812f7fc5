//! `masked`: x with one number in some places, where no gradient passes.
//!
//! A mask is the list of the replaced positions, ascending: where it is short, so is the list.

/// y = x, but `fill` at the positions in `mask`.
#[track_caller]
pub fn forward(mask: &[u32], fill: f32, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "x and y must have one length");
    y.copy_from_slice(x);
    for &position in mask {
        y[position as usize] = fill;
    }
}

/// dx += dy, except at the positions in `mask`, whose dy is not looked at: it may be infinite or NaN.
///
/// # Panics
/// If the positions do not ascend, or one lies outside dy.
#[track_caller]
pub fn backward(mask: &[u32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!(dy.len(), dx.len(), "dy and dx must have one length");
    let mut start = 0;
    for end in mask.iter().map(|&position| position as usize).chain([dy.len()]) {
        for (dx, dy) in dx[start..end].iter_mut().zip(&dy[start..end]) {
            *dx += dy;
        }
        start = end + 1;
    }
}
