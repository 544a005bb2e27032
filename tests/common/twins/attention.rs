//! Attention between positions. Each of several values may be one image's for so many of the others'.

use gradcam::low_level::network::Shape;

/// Images of a value of this shape, over and over where there are fewer than `n`: each for as many one after the other.
fn images<'a>(values: &'a [f32], shape: Shape, n: usize) -> impl Fn(usize) -> &'a [f32] {
    let sharing = n * shape.len() / values.len();
    move |image| &values[image / sharing * shape.len()..][..shape.len()]
}

/// y[h * keys + j, i] = scale * sum over d of q[h, d, i] k[h, d, j].
pub(crate) fn attention_scores(
    n: usize,
    (q, q_shape): (&[f32], Shape),
    (k, k_shape): (&[f32], Shape),
    heads: usize,
    scale: f32,
) -> Vec<f32> {
    let (positions, keys) = (q_shape.h * q_shape.w, k_shape.h * k_shape.w);
    let depth = q_shape.c / heads;
    let (q, k) = (images(q, q_shape, n), images(k, k_shape, n));
    let mut y = vec![];
    for image in 0..n {
        let (q, k) = (q(image), k(image));
        for (head, j) in (0..heads).flat_map(|head| (0..keys).map(move |j| (head, j))) {
            y.extend((0..positions).map(|i| {
                let product = |d: usize| {
                    let channel = head * depth + d;
                    f64::from(q[channel * positions + i]) * f64::from(k[channel * keys + j])
                };
                ((0..depth).map(product).sum::<f64>() * f64::from(scale)) as f32
            }));
        }
    }
    y
}

/// y[h, c, i] = scale * sum over j of w[h * keys + j, i] x[h, c, j].
pub(crate) fn attention_sum(
    n: usize,
    (w, w_shape): (&[f32], Shape),
    (x, x_shape): (&[f32], Shape),
    heads: usize,
    scale: f32,
) -> Vec<f32> {
    let (positions, keys) = (w_shape.h * w_shape.w, x_shape.h * x_shape.w);
    let depth = x_shape.c / heads;
    let (w, x) = (images(w, w_shape, n), images(x, x_shape, n));
    let mut y = vec![];
    for image in 0..n {
        let (w, x) = (w(image), x(image));
        for c in 0..x_shape.c {
            y.extend((0..positions).map(|i| {
                let product = |j: usize| {
                    let weight = w[(c / depth * keys + j) * positions + i];
                    f64::from(weight) * f64::from(x[c * keys + j])
                };
                ((0..keys).map(product).sum::<f64>() * f64::from(scale)) as f32
            }));
        }
    }
    y
}

/// y[h, c, j] = scale * sum over i of w[h * keys + j, i] x[h, c, i].
pub(crate) fn attention_sum_transposed(
    n: usize,
    (w, w_shape): (&[f32], Shape),
    (x, x_shape): (&[f32], Shape),
    heads: usize,
    scale: f32,
) -> Vec<f32> {
    let (positions, keys) = (w_shape.h * w_shape.w, w_shape.c / heads);
    let depth = x_shape.c / heads;
    let (w, x) = (images(w, w_shape, n), images(x, x_shape, n));
    let mut y = vec![];
    for image in 0..n {
        let (w, x) = (w(image), x(image));
        for c in 0..x_shape.c {
            y.extend((0..keys).map(|j| {
                let product = |i: usize| {
                    let weight = w[(c / depth * keys + j) * positions + i];
                    f64::from(weight) * f64::from(x[c * positions + i])
                };
                ((0..positions).map(product).sum::<f64>() * f64::from(scale)) as f32
            }));
        }
    }
    y
}
