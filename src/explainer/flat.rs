//! Whether a picture is flat in parts: there rounding decides more of a gradient at the pixels than elsewhere, see [`crate::exact`].

use crate::network::Shape;

/// Rows and columns of a square.
const SIDE: usize = 4;
/// One square of so many makes a picture flat.
const PART: usize = 20;

/// Whether a twentieth of the squares of 4 x 4 pixels, or more, are of one colour each. `input` is a picture of `shape`,
/// C x H x W; what is left over at its end belongs to no square.
pub(super) fn is_flat(input: &[f32], shape: Shape) -> bool {
    let (rows, columns) = (shape.h / SIDE, shape.w / SIDE);
    let plane = shape.h * shape.w;
    let is_one_colour = |at: usize| {
        let first = at / columns * SIDE * shape.w + at % columns * SIDE;
        input.chunks_exact(plane).all(|channel| {
            let mut lines = (0..SIDE).map(|row| &channel[first + row * shape.w..][..SIDE]);
            lines.all(|line| line.iter().all(|&value| value == channel[first]))
        })
    };
    let squares = rows * columns;
    let flat = (0..squares).filter(|&at| is_one_colour(at)).count();
    flat > 0 && flat * PART >= squares
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three channels of which each value is another, but for the first `flat` squares of a picture of ten by ten squares, and for
    /// what is left over.
    fn picture(flat: usize) -> (Vec<f32>, Shape) {
        let shape = Shape::new(3, 43, 42);
        let value = |at: usize| {
            let (row, column) = (at / shape.w % shape.h, at % shape.w);
            let square = row / SIDE * 10 + column / SIDE;
            let is_flat = square < flat || row >= 40 || column >= 40;
            if is_flat { 0.25 } else { at as f32 }
        };
        ((0..shape.len()).map(value).collect(), shape)
    }

    #[test]
    fn a_twentieth_of_the_squares_makes_a_picture_flat() {
        let is_flat = |flat| {
            let (input, shape) = picture(flat);
            super::is_flat(&input, shape)
        };
        assert_eq!([0, 4, 5, 100].map(is_flat), [false, false, true, true]);
    }

    #[test]
    fn one_channel_that_changes_makes_no_square_flat() {
        let (mut input, shape) = picture(100);
        for (at, value) in input.iter_mut().enumerate().skip(2 * shape.h * shape.w) {
            *value = at as f32;
        }
        assert!(!is_flat(&input, shape));
    }

    #[test]
    fn a_picture_smaller_than_a_square_is_not_flat() {
        assert!(!is_flat(&[0.5; 3 * 3 * 3], Shape::new(3, 3, 3)));
    }
}
