//! What each shader computes, on the CPU in float64: written from the formula, not from the shader.
//!
//! Tensors are N x C x H x W. A backward twin takes N gradients that share one image's activations.
#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses a part"
)]

use gradcam::low_level::network::{
    Activation, FlattenOrder, Lrn, MatrixLayout, Pad, ReluRule, Shape, Taps, Window,
};

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

fn planes(n: usize, shape: Shape) -> impl Iterator<Item = usize> {
    (0..n * shape.c).map(move |plane| plane * shape.h * shape.w)
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

pub(crate) fn global_mean(x: &[f32], shape: Shape) -> Vec<f32> {
    let positions = shape.h * shape.w;
    let mean = |plane: &[f32]| plane.iter().map(|&v| f64::from(v)).sum::<f64>() / positions as f64;
    x.chunks_exact(positions)
        .map(|plane| mean(plane) as f32)
        .collect()
}

pub(crate) fn global_mean_backward(dy: &[f32], shape: Shape) -> Vec<f32> {
    let positions = shape.h * shape.w;
    dy.iter()
        .flat_map(|&g| std::iter::repeat_n((f64::from(g) / positions as f64) as f32, positions))
        .collect()
}

/// Index in the flattened vector of each value of one C x H x W image.
fn order(shape: Shape, order: FlattenOrder) -> Vec<usize> {
    let positions = shape.h * shape.w;
    let at = |c: usize, p: usize| match order {
        FlattenOrder::Chw => c * positions + p,
        FlattenOrder::Hwc => p * shape.c + c,
    };
    (0..shape.len())
        .map(|i| at(i / positions, i % positions))
        .collect()
}

pub(crate) fn flatten(x: &[f32], shape: Shape, flatten_order: FlattenOrder) -> Vec<f32> {
    let places = order(shape, flatten_order);
    let mut y = vec![0.0; x.len()];
    for (i, &value) in x.iter().enumerate() {
        y[i / shape.len() * shape.len() + places[i % shape.len()]] = value;
    }
    y
}

pub(crate) fn flatten_backward(dy: &[f32], shape: Shape, flatten_order: FlattenOrder) -> Vec<f32> {
    let places = order(shape, flatten_order);
    (0..dy.len())
        .map(|i| dy[i / shape.len() * shape.len() + places[i % shape.len()]])
        .collect()
}

pub(crate) fn relu(x: &[f32]) -> Vec<f32> {
    x.iter().map(|&v| v.max(0.0)).collect()
}

/// `activations` are one image's, `dy` as many as there are gradients.
pub(crate) fn relu_backward(dy: &[f32], activations: &[f32], rule: ReluRule) -> Vec<f32> {
    let pass = |g: f32, a: f32| match rule {
        ReluRule::Plain => a > 0.0,
        ReluRule::Guided => a > 0.0 && g > 0.0,
        ReluRule::Deconv => g > 0.0,
    };
    dy.iter()
        .zip(activations.iter().cycle())
        .map(|(&g, &a)| if pass(g, a) { g } else { 0.0 })
        .collect()
}

pub(crate) fn clip(x: &[f32], low: f32, high: f32) -> Vec<f32> {
    x.iter().map(|&v| v.max(low).min(high)).collect()
}

/// As [`relu_backward`].
pub(crate) fn clip_backward(
    dy: &[f32],
    activations: &[f32],
    [low, high]: [f32; 2],
    rule: ReluRule,
) -> Vec<f32> {
    let pass = |g: f32, a: f32| match rule {
        ReluRule::Plain => low < a && a < high,
        ReluRule::Guided => low < a && a < high && g > 0.0,
        ReluRule::Deconv => g > 0.0,
    };
    dy.iter()
        .zip(activations.iter().cycle())
        .map(|(&g, &a)| if pass(g, a) { g } else { 0.0 })
        .collect()
}

/// y[n, r] = sum over c of m[r, c] x[n, c].
pub(crate) fn linear_rows(m: &[f32], columns: usize, x: &[f32]) -> Vec<f32> {
    let dot = |row: &[f32], x: &[f32]| -> f64 {
        row.iter()
            .zip(x)
            .map(|(&m, &x)| f64::from(m) * f64::from(x))
            .sum()
    };
    x.chunks_exact(columns)
        .flat_map(|x| m.chunks_exact(columns).map(move |row| dot(row, x) as f32))
        .collect()
}

/// y[n, c] = sum over r of x[n, r] m[r, c].
pub(crate) fn linear_columns(m: &[f32], columns: usize, x: &[f32]) -> Vec<f32> {
    let rows = m.len() / columns;
    x.chunks_exact(rows)
        .flat_map(|x| {
            let mut sums = vec![0.0f64; columns];
            for (&x, row) in x.iter().zip(m.chunks_exact(columns)) {
                for (sum, &m) in sums.iter_mut().zip(row) {
                    *sum += f64::from(m) * f64::from(x);
                }
            }
            sums.into_iter().map(|sum| sum as f32)
        })
        .collect()
}

/// The matrix over the positions of its input's channels: sums times `scale`, as the matrix has its axes.
pub(crate) fn linear_means(
    m: &[f32],
    layout: MatrixLayout,
    order: FlattenOrder,
    [channels, positions]: [usize; 2],
    scale: f64,
) -> Vec<f32> {
    let inputs = channels * positions;
    let outputs = m.len() / inputs;
    let input = |c: usize, p: usize| match order {
        FlattenOrder::Chw => c * positions + p,
        FlattenOrder::Hwc => p * channels + c,
    };
    let at = |c: usize, o: usize, p: usize| match layout {
        MatrixLayout::OutIn => o * inputs + input(c, p),
        MatrixLayout::InOut => input(c, p) * outputs + o,
    };
    let sum =
        |c: usize, o: usize| -> f64 { (0..positions).map(|p| f64::from(m[at(c, o, p)])).sum() };
    let made = |i: usize| match layout {
        MatrixLayout::OutIn => sum(i % channels, i / channels),
        MatrixLayout::InOut => sum(i / outputs, i % outputs),
    };
    (0..channels * outputs)
        .map(|i| (made(i) * scale) as f32)
        .collect()
}

/// `s * a + b` with a = 1/2, b = 1, 8 times a round, from each element's own start: 64 elements of four a workgroup.
pub(crate) fn multiply_add(workgroups: u32, rounds: u32) -> Vec<f32> {
    let starts = (0..workgroups * 64 * 4).map(|i| f64::from(i / 4 % 64) + f64::from(i % 4));
    let end = |start| (0..8 * rounds).fold(start, |s: f64, _| s * 0.5 + 1.0) as f32;
    starts.map(end).collect()
}

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

/// 2 / sqrt(pi) times the integral of exp(-t^2) up to v, by its series, else by the continued fraction of what is left.
fn erf(v: f64) -> f64 {
    let u = v.abs();
    if u < 3.0 {
        let (mut term, mut sum) = (u, u);
        for n in 1..100 {
            term *= -u * u / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return v.signum() * sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let fraction = (1..100)
        .rev()
        .fold(u, |below, k| u + f64::from(k) / 2.0 / below);
    v.signum() * (1.0 - (-u * u).exp() / (fraction * std::f64::consts::PI.sqrt()))
}

fn sigmoid(v: f64) -> f64 {
    1.0 / (1.0 + (-v).exp())
}

/// Value and slope of an activation at `x` of channel `c`.
fn activation_at(activation: &Activation, x: f64, c: usize) -> [f64; 2] {
    let leaky = |alpha: f64| {
        if x > 0.0 {
            [x, 1.0]
        } else {
            [alpha * x, alpha]
        }
    };
    let elu = |scale: f64, alpha: f64| match x > 0.0 {
        true => [scale * x, scale],
        false => [scale * alpha * x.exp_m1(), scale * alpha * x.exp()],
    };
    // x times a gate of x.
    let gated = |gate: f64, slope: f64| [x * gate, gate + x * slope];
    let softplus = x.exp().ln_1p();
    let s = sigmoid(x);
    match activation {
        Activation::Relu => [x.max(0.0), f64::from(u8::from(x > 0.0))],
        Activation::Clip { low, high } => {
            let (low, high) = (f64::from(*low), f64::from(*high));
            [x.clamp(low, high), f64::from(u8::from(low < x && x < high))]
        }
        Activation::LeakyRelu { alpha } => leaky(f64::from(*alpha)),
        Activation::PRelu { slope } => leaky(f64::from(slope.to_vec()[c % slope.len()])),
        Activation::Elu { alpha } => elu(1.0, f64::from(*alpha)),
        Activation::Selu => elu(1.050_700_987_355_480_5, 1.673_263_242_354_377_2),
        Activation::Sigmoid => [s, s * (1.0 - s)],
        Activation::Tanh => [x.tanh(), 1.0 - x.tanh() * x.tanh()],
        Activation::Silu => gated(s, s * (1.0 - s)),
        Activation::HardSigmoid { alpha, beta } => {
            let alpha = f64::from(*alpha);
            let y = alpha * x + f64::from(*beta);
            let inside = 0.0 < y && y < 1.0;
            [y.clamp(0.0, 1.0), if inside { alpha } else { 0.0 }]
        }
        Activation::HardSwish => {
            let inside = -3.0 < x && x < 3.0;
            let slope = if inside { 1.0 / 6.0 } else { 0.0 };
            gated((x / 6.0 + 0.5).clamp(0.0, 1.0), slope)
        }
        Activation::Gelu => {
            let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            gated(0.5 + 0.5 * erf(x / 2f64.sqrt()), density)
        }
        Activation::GeluTanh => {
            let k = (2.0 / std::f64::consts::PI).sqrt();
            let t = (k * (x + 0.044_715 * x.powi(3))).tanh();
            let inner = k * (1.0 + 3.0 * 0.044_715 * x * x);
            gated(0.5 + 0.5 * t, (1.0 - t * t) / 2.0 * inner)
        }
        Activation::Softplus => [softplus, s],
        Activation::Mish => {
            let t = softplus.tanh();
            gated(t, (1.0 - t * t) * s)
        }
    }
}

fn channel(at: usize, shape: Shape) -> usize {
    at / (shape.h * shape.w) % shape.c
}

pub(crate) fn activate(x: &[f32], shape: Shape, activation: &Activation) -> Vec<f32> {
    let value = |(at, &x): (usize, &f32)| {
        activation_at(activation, f64::from(x), channel(at, shape))[0] as f32
    };
    x.iter().enumerate().map(value).collect()
}

/// `x` is one image's, `dy` as many as there are gradients.
pub(crate) fn activate_backward(
    dy: &[f32],
    x: &[f32],
    shape: Shape,
    activation: &Activation,
) -> Vec<f32> {
    let pass = |(at, (&g, &x)): (usize, (&f32, &f32))| {
        let [_, slope] = activation_at(activation, f64::from(x), channel(at, shape));
        (f64::from(g) * slope) as f32
    };
    dy.iter()
        .zip(x.iter().cycle())
        .enumerate()
        .map(pass)
        .collect()
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

/// Sum or product of two values of n images; `other` may have one position in place of many.
pub(crate) fn combine(
    one: &[f32],
    other: &[f32],
    positions: usize,
    spread: bool,
    multiplied: bool,
) -> Vec<f32> {
    let value = |(at, &a): (usize, &f32)| {
        let b = other[if spread { at / positions } else { at }];
        if multiplied { a * b } else { a + b }
    };
    one.iter().enumerate().map(value).collect()
}

/// For each channel of each image the sum over positions of x times `other`, or of x alone.
pub(crate) fn product_sum(x: &[f32], other: Option<&[f32]>, positions: usize) -> Vec<f32> {
    let factor = |at: usize| other.map_or(1.0, |other| f64::from(other[at]));
    let planes = (0..x.len()).step_by(positions);
    let sum = |first: usize| -> f64 {
        (first..first + positions)
            .map(|at| f64::from(x[at]) * factor(at))
            .sum()
    };
    planes.map(|first| sum(first) as f32).collect()
}

/// `channels` of x, of `shape`, from channel `from` on.
pub(crate) fn copy_channels(x: &[f32], shape: Shape, from: usize, channels: usize) -> Vec<f32> {
    let positions = shape.h * shape.w;
    let of_image = |x: &[f32]| x[from * positions..][..channels * positions].to_vec();
    x.chunks_exact(shape.len()).flat_map(of_image).collect()
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
