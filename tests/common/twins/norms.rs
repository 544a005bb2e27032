//! Scales and shifts, and normalisations.

use gradcam::low_level::network::{Lrn, Shape, SoftmaxOver};

/// y = scale x + shift, a value a channel.
pub(crate) fn affine(x: &[f32], shape: Shape, scale: &[f32], shift: &[f32]) -> Vec<f32> {
    let positions = shape.h * shape.w;
    x.iter()
        .enumerate()
        .map(|(at, &x)| {
            let c = at / positions % shape.c;
            (f64::from(scale[c]) * f64::from(x) + f64::from(shift[c])) as f32
        })
        .collect()
}

/// The channels that the sum of channel c takes in.
fn normalised(c: usize, shape: Shape, lrn: &Lrn) -> std::ops::RangeInclusive<usize> {
    let before = (lrn.size - 1) / 2;
    c.saturating_sub(before)..=(c + lrn.size - 1 - before).min(shape.c - 1)
}

/// bias + alpha / size times the sum of squares around channel c, of one image.
fn normaliser(x: &[f32], shape: Shape, lrn: &Lrn, c: usize, p: usize) -> f64 {
    let square = |k: usize| f64::from(x[k * shape.h * shape.w + p]).powi(2);
    let sum: f64 = normalised(c, shape, lrn).map(square).sum();
    f64::from(lrn.bias) + f64::from(lrn.alpha) / lrn.size as f64 * sum
}

pub(crate) fn lrn(x: &[f32], shape: Shape, lrn: &Lrn) -> Vec<f32> {
    let positions = shape.h * shape.w;
    let image = |x: &[f32]| -> Vec<f32> {
        let value = |at: usize| {
            let s = normaliser(x, shape, lrn, at / positions, at % positions);
            (f64::from(x[at]) * s.powf(-f64::from(lrn.beta))) as f32
        };
        (0..x.len()).map(value).collect()
    };
    x.chunks_exact(shape.len()).flat_map(image).collect()
}

/// `x` is one image's, `dy` as many as there are gradients: the derivative of each output by each input that it reads.
pub(crate) fn lrn_backward(dy: &[f32], x: &[f32], shape: Shape, lrn: &Lrn) -> Vec<f32> {
    let positions = shape.h * shape.w;
    let beta = f64::from(lrn.beta);
    let gradient = |dy: &[f32]| -> Vec<f32> {
        let mut dx = vec![0.0f64; x.len()];
        for (at, &g) in dy.iter().enumerate() {
            let (c, p) = (at / positions, at % positions);
            let s = normaliser(x, shape, lrn, c, p);
            let (g, of) = (f64::from(g), f64::from(x[at]));
            dx[at] += g * s.powf(-beta);
            for k in normalised(c, shape, lrn) {
                let by =
                    2.0 * f64::from(lrn.alpha) / lrn.size as f64 * f64::from(x[k * positions + p]);
                dx[k * positions + p] -= g * of * beta * s.powf(-beta - 1.0) * by;
            }
        }
        dx.into_iter().map(|v| v as f32).collect()
    };
    dy.chunks_exact(shape.len()).flat_map(gradient).collect()
}

/// Mean of the channels at a position of one image, and 1 / sqrt(variance + epsilon).
fn moments(x: &[f32], shape: Shape, position: usize, epsilon: f64) -> (f64, f64) {
    let positions = shape.h * shape.w;
    let of = |c: usize| f64::from(x[c * positions + position]);
    let mean = (0..shape.c).map(of).sum::<f64>() / shape.c as f64;
    let variance = (0..shape.c).map(|c| (of(c) - mean).powi(2)).sum::<f64>() / shape.c as f64;
    (mean, (variance + epsilon).sqrt().recip())
}

pub(crate) fn layer_norm(
    x: &[f32],
    shape: Shape,
    [scale, shift]: [&[f32]; 2],
    epsilon: f32,
) -> Vec<f32> {
    let positions = shape.h * shape.w;
    let of_image = |x: &[f32]| -> Vec<f32> {
        let value = |at: usize| {
            let (mean, factor) = moments(x, shape, at % positions, f64::from(epsilon));
            let (scale, shift) = (scale[at / positions], shift[at / positions]);
            (f64::from(scale) * (f64::from(x[at]) - mean) * factor + f64::from(shift)) as f32
        };
        (0..x.len()).map(value).collect()
    };
    x.chunks_exact(shape.len()).flat_map(of_image).collect()
}

/// `x` is one image's, `dy` as many as there are gradients: through the value itself, the mean and the variance.
pub(crate) fn layer_norm_backward(
    dy: &[f32],
    x: &[f32],
    shape: Shape,
    scale: &[f32],
    epsilon: f32,
) -> Vec<f32> {
    let positions = shape.h * shape.w;
    let count = shape.c as f64;
    let of_image = |dy: &[f32]| -> Vec<f32> {
        let mut dx = vec![0.0f32; dy.len()];
        for position in 0..positions {
            let (mean, factor) = moments(x, shape, position, f64::from(epsilon));
            let place = |c: usize| c * positions + position;
            let g = |c: usize| f64::from(scale[c]) * f64::from(dy[place(c)]);
            let centred = |c: usize| f64::from(x[place(c)]) - mean;
            let d_variance =
                (0..shape.c).map(|c| g(c) * centred(c)).sum::<f64>() * -0.5 * factor.powi(3);
            let d_mean = -(0..shape.c).map(g).sum::<f64>() * factor;
            for c in 0..shape.c {
                let d = g(c) * factor + d_variance * 2.0 * centred(c) / count + d_mean / count;
                dx[place(c)] = d as f32;
            }
        }
        dx
    };
    dy.chunks_exact(shape.len()).flat_map(of_image).collect()
}

/// The places of the values that a softmax makes shares of, of each row of one image.
fn rows(shape: Shape, over: SoftmaxOver) -> Vec<Vec<usize>> {
    let positions = shape.h * shape.w;
    let row = |c: usize, position: usize| match over {
        SoftmaxOver::Positions => [c, 0],
        SoftmaxOver::Channels { count, apart } => {
            [c / (count * apart) * apart + c % apart, position]
        }
    };
    let mut rows = std::collections::BTreeMap::<[usize; 2], Vec<usize>>::new();
    for at in 0..shape.len() {
        let key = row(at / positions, at % positions);
        rows.entry(key).or_default().push(at);
    }
    rows.into_values().collect()
}

/// Of each of the images.
pub(crate) fn softmax(x: &[f32], shape: Shape, over: SoftmaxOver) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    for (x, y) in x.chunks(shape.len()).zip(y.chunks_mut(shape.len())) {
        for row in rows(shape, over) {
            let largest = row.iter().map(|&at| x[at]).fold(f32::MIN, f32::max);
            let power = |at: usize| (f64::from(x[at]) - f64::from(largest)).exp();
            let sum: f64 = row.iter().map(|&at| power(at)).sum();
            for &at in &row {
                y[at] = (power(at) / sum) as f32;
            }
        }
    }
    y
}

/// `x` is one image's, `dy` as many as there are gradients: by the whole matrix of slopes.
pub(crate) fn softmax_backward(dy: &[f32], x: &[f32], shape: Shape, over: SoftmaxOver) -> Vec<f32> {
    let y = softmax(x, shape, over);
    let mut dx = vec![0.0; dy.len()];
    for (dy, dx) in dy.chunks(shape.len()).zip(dx.chunks_mut(shape.len())) {
        for row in rows(shape, over) {
            for &to in &row {
                let slope = |from: usize| {
                    let same = f64::from(u8::from(from == to));
                    f64::from(y[from]) * (same - f64::from(y[to]))
                };
                let each = row.iter().map(|&from| f64::from(dy[from]) * slope(from));
                dx[to] = each.sum::<f64>() as f32;
            }
        }
    }
    dx
}

/// Rows as columns, of each channel of all images.
pub(crate) fn transpose(x: &[f32], shape: Shape) -> Vec<f32> {
    let planes = x.chunks(shape.h * shape.w);
    let turned = planes.flat_map(|plane| {
        let places = (0..shape.w).flat_map(|j| (0..shape.h).map(move |i| i * shape.w + j));
        places.map(|at| plane[at])
    });
    turned.collect()
}

/// A group's values of one image: their mean and 1 / sqrt(variance + epsilon). The values of a group lie next to each other.
fn moments_of(x: &[f32], epsilon: f64) -> (f64, f64) {
    let count = x.len() as f64;
    let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let squares = x.iter().map(|&v| (f64::from(v) - mean).powi(2));
    (
        mean,
        (squares.sum::<f64>() / count + epsilon).sqrt().recip(),
    )
}

pub(crate) fn group_norm(
    x: &[f32],
    shape: Shape,
    groups: usize,
    [scale, shift]: [&[f32]; 2],
    epsilon: f32,
) -> Vec<f32> {
    let (positions, size) = (shape.h * shape.w, shape.c / groups);
    let each = x.chunks_exact(size * positions).enumerate();
    let values = each.flat_map(|(group, x)| {
        let (mean, factor) = moments_of(x, f64::from(epsilon));
        let first = group % groups * size;
        x.iter().enumerate().map(move |(at, &x)| {
            let c = first + at / positions;
            let normal = (f64::from(x) - mean) * factor;
            (f64::from(scale[c]) * normal + f64::from(shift[c])) as f32
        })
    });
    values.collect()
}

/// `x` is one image's, `dy` as many as there are gradients: through the value itself, the mean and the variance.
pub(crate) fn group_norm_backward(
    dy: &[f32],
    x: &[f32],
    shape: Shape,
    groups: usize,
    scale: &[f32],
    epsilon: f32,
) -> Vec<f32> {
    let (positions, size) = (shape.h * shape.w, shape.c / groups);
    let count = (size * positions) as f64;
    let each = dy.chunks_exact(size * positions).enumerate();
    let gradients = each.flat_map(|(group, dy)| {
        let first = group % groups * size;
        let x = &x[first * positions..][..size * positions];
        let (mean, factor) = moments_of(x, f64::from(epsilon));
        let g = |at: usize| f64::from(scale[first + at / positions]) * f64::from(dy[at]);
        let centred = |at: usize| f64::from(x[at]) - mean;
        let d_variance =
            (0..x.len()).map(|at| g(at) * centred(at)).sum::<f64>() * -0.5 * factor.powi(3);
        let d_mean = -(0..x.len()).map(g).sum::<f64>() * factor;
        let d = |at| g(at) * factor + d_variance * 2.0 * centred(at) / count + d_mean / count;
        (0..x.len()).map(|at| d(at) as f32).collect::<Vec<_>>()
    });
    gradients.collect()
}
