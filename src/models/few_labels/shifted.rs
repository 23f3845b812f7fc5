//! Images shifted by a few pixels.

use crate::noise::Noise;
use crate::var::Var;

/// Shifts every image of `x` `[images, pixels]`, with `cols` pixels in a row, at random by up to `shift`
/// pixels up or down and left or right. Pixels from outside the image are 0.
pub(super) fn shifted<'t>(x: Var<'t>, cols: usize, shift: usize, noise: &mut Noise) -> Var<'t> {
    let (images, of_image) = (x.to_vec(), x.shape().classes());
    let mut offset = || noise.below(2 * shift as u32 + 1) as usize;
    x.tape().input_with(x.shape(), |out| {
        out.fill(0.0);
        for (out, image) in out.chunks_exact_mut(of_image).zip(images.chunks_exact(of_image)) {
            let (down, right) = (offset(), offset());
            for (row, pixels) in image.chunks_exact(cols).enumerate() {
                for (col, &pixel) in pixels.iter().enumerate() {
                    // Counted from `shift` before the first row and column, so that no number is below 0.
                    let (row, col) = (row + down, col + right);
                    let inside = (shift..shift + of_image / cols).contains(&row)
                        && (shift..shift + cols).contains(&col);
                    if inside {
                        out[(row - shift) * cols + col - shift] = pixel;
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Tape;

    #[test]
    fn an_image_is_moved_by_up_to_the_shift_and_zeros_come_in() {
        let tape = Tape::inference();
        // Of twelve pixels in three rows, row 0 column 1 and the last one are lit.
        let mut image = [0.0; 12];
        (image[1], image[11]) = (1.0, 0.5);
        let moved = shifted(tape.input(&image.repeat(200), [200, 12]), 4, 1, &mut Noise::seed(5));
        let mut seen: Vec<Vec<f32>> = moved.value().chunks_exact(12).map(<[f32]>::to_vec).collect();
        seen.sort_by(|a, b| a.partial_cmp(b).unwrap());
        seen.dedup();
        let mut expected = Vec::new();
        for (down, right) in (-1..=1).flat_map(|down| (-1..=1).map(move |right| (down, right))) {
            let mut image = vec![0.0; 12];
            for (row, col, pixel) in [(0, 1, 1.0), (2, 3, 0.5)] {
                let (row, col) = (row + down, col + right);
                if (0..3).contains(&row) && (0..4).contains(&col) {
                    image[(row * 4 + col) as usize] = pixel;
                }
            }
            expected.push(image);
        }
        expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
        expected.dedup();
        assert_eq!(seen, expected);
    }
}
