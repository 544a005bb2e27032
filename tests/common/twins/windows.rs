//! Windows over rows and columns: convolutions, pools, padding, resampling.

use gradcam::low_level::network::{Pad, Shape, Taps, Window};

use super::planes;

/// Filters O x I / groups x H x W.
pub(crate) struct Filters<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) groups: usize,
}

impl Filters<'_> {
    /// The inputs that output `o` reads, each with its filter's place.
    fn of(&self, o: usize) -> impl Iterator<Item = (usize, usize)> {
        let inputs = self.inputs / self.groups;
        let first = o / (self.outputs / self.groups) * inputs;
        (0..inputs).map(move |i| (first + i, o * inputs + i))
    }
}

/// Places (input row and column) that a window's taps fall on for one output, with the tap's number.
fn taps(
    window: Window,
    input: Shape,
    row: usize,
    col: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let [kh, kw] = window.size;
    (0..kh * kw).filter_map(move |tap| {
        let r = (row * window.stride[0] + tap / kw * window.dilation[0])
            .checked_sub(window.pad_before[0])?;
        let c = (col * window.stride[1] + tap % kw * window.dilation[1])
            .checked_sub(window.pad_before[1])?;
        (r < input.h && c < input.w).then_some((tap, r * input.w + c))
    })
}

pub(crate) fn output_shape(input: Shape, channels: usize, window: Window) -> Shape {
    let [h, w] = window.output(input.h, input.w).unwrap();
    Shape::new(channels, h, w)
}

pub(crate) fn conv2d(
    x: &[f32],
    n: usize,
    input: Shape,
    filters: &Filters<'_>,
    bias: Option<&[f32]>,
    window: Window,
) -> Vec<f32> {
    let out = output_shape(input, filters.outputs, window);
    let taps_len = window.size[0] * window.size[1];
    let mut y = Vec::with_capacity(n * out.len());
    for image in 0..n {
        for o in 0..out.c {
            for row in 0..out.h {
                for col in 0..out.w {
                    let mut sum = bias.map_or(0.0, |bias| f64::from(bias[o]));
                    for (tap, at) in taps(window, input, row, col) {
                        for (i, filter) in filters.of(o) {
                            let w = filters.values[filter * taps_len + tap];
                            let x = x[(image * input.c + i) * input.h * input.w + at];
                            sum += f64::from(w) * f64::from(x);
                        }
                    }
                    y.push(sum as f32);
                }
            }
        }
    }
    y
}

/// The input gradient of [`conv2d`]: the same products, scattered.
pub(crate) fn conv2d_backward(
    dy: &[f32],
    n: usize,
    input: Shape,
    filters: &Filters<'_>,
    window: Window,
) -> Vec<f32> {
    let out = output_shape(input, filters.outputs, window);
    let taps_len = window.size[0] * window.size[1];
    let mut dx = vec![0.0; n * input.len()];
    for image in 0..n {
        for o in 0..out.c {
            for row in 0..out.h {
                for col in 0..out.w {
                    let g = f64::from(dy[((image * out.c + o) * out.h + row) * out.w + col]);
                    for (tap, at) in taps(window, input, row, col) {
                        for (i, filter) in filters.of(o) {
                            let w = filters.values[filter * taps_len + tap];
                            dx[(image * input.c + i) * input.h * input.w + at] += f64::from(w) * g;
                        }
                    }
                }
            }
        }
    }
    dx.into_iter().map(|v| v as f32).collect()
}

/// Values, and for each the place of the maximum in its plane.
pub(crate) fn max_pool(
    x: &[f32],
    n: usize,
    input: Shape,
    window: Window,
) -> (Vec<f32>, Vec<usize>) {
    let out = output_shape(input, input.c, window);
    let mut y = vec![];
    let mut argmax = vec![];
    for plane in planes(n, input) {
        for row in 0..out.h {
            for col in 0..out.w {
                let mut best: Option<(f32, usize)> = None;
                for (_, at) in taps(window, input, row, col) {
                    let value = x[plane + at];
                    if best.is_none_or(|(largest, _)| value > largest) {
                        best = Some((value, at));
                    }
                }
                let (value, at) = best.unwrap();
                y.push(value);
                argmax.push(at);
            }
        }
    }
    (y, argmax)
}

pub(crate) fn max_pool_backward(
    dy: &[f32],
    n: usize,
    input: Shape,
    window: Window,
    argmax: &[usize],
) -> Vec<f32> {
    let out = output_shape(input, input.c, window);
    let mut dx = vec![0.0; n * input.len()];
    for (plane, start) in planes(n, input).enumerate() {
        for i in 0..out.h * out.w {
            let winner = argmax[plane % input.c * out.h * out.w + i];
            dx[start + winner] += dy[plane * out.h * out.w + i];
        }
    }
    dx
}

/// Places of a window that are averaged, and by how many their sum is divided.
fn averaged(
    window: Window,
    input: Shape,
    row: usize,
    col: usize,
    count_include_pad: bool,
) -> (Vec<usize>, f64) {
    let places: Vec<usize> = taps(window, input, row, col).map(|(_, at)| at).collect();
    let count = match count_include_pad {
        true => window.size[0] * window.size[1],
        false => places.len(),
    };
    (places, count as f64)
}

/// Places of bin i of `out` along `length`, each end by its own formula.
fn bin(i: usize, length: usize, out: usize) -> std::ops::Range<usize> {
    i * length / out..((i + 1) * length).div_ceil(out)
}

/// Places of the bin at row and column of a plane.
fn binned(input: Shape, [h, w]: [usize; 2], row: usize, col: usize) -> Vec<usize> {
    let columns = bin(col, input.w, w);
    bin(row, input.h, h)
        .flat_map(|r| columns.clone().map(move |c| r * input.w + c))
        .collect()
}

pub(crate) fn adaptive_avg_pool(x: &[f32], n: usize, input: Shape, out: [usize; 2]) -> Vec<f32> {
    let mut y = vec![];
    for plane in planes(n, input) {
        for at in 0..out[0] * out[1] {
            let places = binned(input, out, at / out[1], at % out[1]);
            let sum: f64 = places.iter().map(|at| f64::from(x[plane + at])).sum();
            y.push((sum / places.len() as f64) as f32);
        }
    }
    y
}

pub(crate) fn adaptive_avg_pool_backward(
    dy: &[f32],
    n: usize,
    input: Shape,
    out: [usize; 2],
) -> Vec<f32> {
    let mut dx = vec![0.0f64; n * input.len()];
    let mut dy = dy.iter();
    for plane in planes(n, input) {
        for at in 0..out[0] * out[1] {
            let g = f64::from(*dy.next().unwrap());
            let places = binned(input, out, at / out[1], at % out[1]);
            for at in &places {
                dx[plane + at] += g / places.len() as f64;
            }
        }
    }
    dx.into_iter().map(|v| v as f32).collect()
}

pub(crate) fn avg_pool(
    x: &[f32],
    n: usize,
    input: Shape,
    window: Window,
    count_include_pad: bool,
) -> Vec<f32> {
    let out = output_shape(input, input.c, window);
    let mut y = vec![];
    for plane in planes(n, input) {
        for row in 0..out.h {
            for col in 0..out.w {
                let (places, count) = averaged(window, input, row, col, count_include_pad);
                let sum: f64 = places.iter().map(|at| f64::from(x[plane + at])).sum();
                y.push((sum / count) as f32);
            }
        }
    }
    y
}

pub(crate) fn avg_pool_backward(
    dy: &[f32],
    n: usize,
    input: Shape,
    window: Window,
    count_include_pad: bool,
) -> Vec<f32> {
    let out = output_shape(input, input.c, window);
    let mut dx = vec![0.0f64; n * input.len()];
    let mut dy = dy.iter();
    for plane in planes(n, input) {
        for row in 0..out.h {
            for col in 0..out.w {
                let g = f64::from(*dy.next().unwrap());
                let (places, count) = averaged(window, input, row, col, count_include_pad);
                for at in places {
                    dx[plane + at] += g / count;
                }
            }
        }
    }
    dx.into_iter().map(|v| v as f32).collect()
}

/// `value` where no place of x is; rows and columns are moved by `before`.
pub(crate) fn pad(x: &[f32], n: usize, input: Shape, out: Shape, pad: Pad) -> Vec<f32> {
    let mut y = vec![pad.value; n * out.len()];
    for (plane, to) in y.chunks_exact_mut(out.h * out.w).enumerate() {
        for (at, to) in to.iter_mut().enumerate() {
            let row = (at / out.w) as i32 - pad.before[0];
            let col = (at % out.w) as i32 - pad.before[1];
            if (0..input.h as i32).contains(&row) && (0..input.w as i32).contains(&col) {
                *to = x[plane * input.h * input.w + row as usize * input.w + col as usize];
            }
        }
    }
    y
}

/// What comes of each value of x goes back to it, and nowhere else.
pub(crate) fn pad_backward(dy: &[f32], n: usize, input: Shape, out: Shape, pad: Pad) -> Vec<f32> {
    let mut dx = vec![0.0; n * input.len()];
    for (plane, from) in dy.chunks_exact(out.h * out.w).enumerate() {
        for (at, &g) in from.iter().enumerate() {
            let row = (at / out.w) as i32 - pad.before[0];
            let col = (at % out.w) as i32 - pad.before[1];
            if (0..input.h as i32).contains(&row) && (0..input.w as i32).contains(&col) {
                dx[plane * input.h * input.w + row as usize * input.w + col as usize] = g;
            }
        }
    }
    dx
}

/// Each place the sum of its taps, down and across.
pub(crate) fn resample(x: &[f32], input: Shape, rows: &Taps, columns: &Taps) -> Vec<f32> {
    let mut y = vec![];
    for plane in x.chunks_exact(input.h * input.w) {
        for row in &rows.of {
            for column in &columns.of {
                let taps = row
                    .iter()
                    .flat_map(|r| column.iter().map(move |c| (r, c)))
                    .map(|((r, u), (c, v))| f64::from(u * v) * f64::from(plane[r * input.w + c]));
                y.push(taps.sum::<f64>() as f32);
            }
        }
    }
    y
}

/// What comes of each value of x goes back to it by the same weights.
pub(crate) fn resample_backward(dy: &[f32], input: Shape, rows: &Taps, columns: &Taps) -> Vec<f32> {
    let mut dx = vec![];
    for plane in dy.chunks_exact(rows.of.len() * columns.of.len()) {
        let mut back = vec![0.0; input.h * input.w];
        let mut add = |at: usize, share: f32, g: f32| back[at] += f64::from(share) * f64::from(g);
        for (i, row) in rows.of.iter().enumerate() {
            for (k, column) in columns.of.iter().enumerate() {
                for (r, u) in row {
                    for (c, v) in column {
                        add(r * input.w + c, u * v, plane[i * columns.of.len() + k]);
                    }
                }
            }
        }
        dx.extend(back.into_iter().map(|value: f64| value as f32));
    }
    dx
}
