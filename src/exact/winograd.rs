//! 3 x 3 convolutions of stride 1 by Winograd's F(4 x 4, 3 x 3), in float64: sixteen outputs from 36 products a channel in place of
//! 144. Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015).
//!
//! Y = A^T [(G g G^T) * (B^T d B)] A, summed over channels: d is a tile of 6 x 6 inputs, g a filter. Each of the 36 products is a
//! matrix product, outputs x channels times channels x tiles.

use std::ops::{Add, Mul, Sub};

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use super::bank::{Bank, Filters};
use crate::cores::{on_all_cores, threads};
use crate::network::{Shape, Window};

/// Rows and columns of outputs that are made together.
const OUTPUTS: usize = 4;
/// Rows and columns of their inputs, and of what is multiplied.
const SIDE: usize = 6;
const POINTS: usize = SIDE * SIDE;
/// Rows and columns of a filter.
const TAPS: usize = 3;
/// Tiles that go at once, about: what belongs to them stays in the cores' shared cache.
const TILES: usize = 256;

/// G.
const FILTER: [[f64; TAPS]; SIDE] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// Positions that must be made with a filter before less work on each makes up for the work on the filter.
const PAYS: usize = 512;

/// Whether a convolution goes this way, of so many inputs.
pub(super) fn pays(window: &Window, to: Shape, inputs: usize) -> bool {
    takes(window) && to.h.saturating_mul(to.w).saturating_mul(inputs) >= PAYS
}

/// Whether it can.
pub(super) fn takes(window: &Window) -> bool {
    window.size == [TAPS; 2] && window.stride == [1, 1] && window.dilation == [1, 1]
}

/// Memory that a thread uses for one convolution after the other.
#[derive(Default)]
pub(super) struct Scratch {
    padded: Vec<f64>,
    /// Points x channels x tiles.
    inputs: Vec<[f64; LANES]>,
    /// Points x outputs x tiles.
    products: Vec<[f64; LANES]>,
}

/// What of filters is multiplied, G g G^T: a matrix a point, in the memory of `values`.
pub(super) fn bank(filters: &Filters, mut values: Vec<f64>) -> Bank {
    let pairs = filters.pairs();
    values.resize(POINTS * pairs, 0.0);
    let rows = values.chunks_exact_mut(SIDE * pairs).zip(FILTER);
    on_all_cores(&mut vec![(); threads()], rows, |(), (made, down)| {
        let mut points = made.chunks_exact_mut(pairs);
        let mut points: [&mut [f64]; SIDE] =
            std::array::from_fn(|_| points.next().expect("a row of points"));
        let mut taps = filters.each_tap::<{ TAPS * TAPS }>();
        for pair in 0..pairs {
            let [a, b, c, d, e, f, g, h, i] = taps.each_mut().map(|tap| tap.next().copied());
            let along = |taps: [Option<f32>; TAPS]| {
                let [top, middle, bottom] = taps.map(|tap| f64::from(tap.unwrap_or(0.0)));
                down[0] * top + down[1] * middle + down[2] * bottom
            };
            let [left, centre, right] = [along([a, d, g]), along([b, e, h]), along([c, f, i])];
            for (point, across) in points.iter_mut().zip(FILTER) {
                point[pair] = across[0] * left + across[1] * centre + across[2] * right;
            }
        }
    });
    Bank::new(filters, values)
}

/// A convolution's outputs, in `y`.
pub(super) fn convolve(
    x: &[f64],
    [from, to]: [Shape; 2],
    bank: &Bank,
    bias: &[f32],
    window: &Window,
    scratch: &mut [Scratch],
    y: &mut [f64],
) {
    let [down, across] = [to.h, to.w].map(|length| length.div_ceil(OUTPUTS));
    let rows = (TILES / across).clamp(1, down.div_ceil(scratch.len()));
    let mut parts: Vec<Vec<&mut [f64]>> = vec![];
    parts.resize_with(down.div_ceil(rows), Vec::new);
    for plane in y.chunks_exact_mut(to.h * to.w) {
        let of_parts = plane.chunks_mut(rows * OUTPUTS * to.w);
        parts
            .iter_mut()
            .zip(of_parts)
            .for_each(|(part, y)| part.push(y));
    }
    on_all_cores(
        scratch,
        parts.into_iter().enumerate(),
        |scratch, (part, y)| {
            let first = part * rows;
            let tiles = Tiles {
                first,
                across,
                count: rows.min(down - first) * across,
            };
            let Scratch {
                padded,
                inputs,
                products,
            } = scratch;
            let vectors = tiles.vectors();
            let [input_stride, product_stride] = [from.c, to.c].map(|c| c * vectors + GAP);
            inputs.resize(POINTS * input_stride, Default::default());
            products.resize(POINTS * product_stride, Default::default());
            padded.clear();
            padded.resize(tiles.read(), 0.0);
            for (channel, x) in x.chunks_exact(from.h * from.w).enumerate() {
                tiles.gather(x, [from.h, from.w], window.pad_before, padded);
                tiles.transform(padded, &mut inputs[channel * vectors..], input_stride);
            }
            let made = products.chunks_exact_mut(product_stride);
            let x = inputs.chunks_exact(input_stride);
            for (point, (x, made)) in x.zip(made).enumerate() {
                let x = x[..from.c * vectors].as_flattened();
                let made = made[..to.c * vectors].as_flattened_mut();
                let x = ArrayView2::from_shape((from.c, vectors * LANES), x);
                let made = ArrayViewMut2::from_shape((to.c, vectors * LANES), made);
                let (x, mut made) = x.ok().zip(made.ok()).expect("as long as it was cut");
                general_mat_mul(1.0, &bank.matrix(point), &x, 0.0, &mut made);
            }
            for ((channel, y), &bias) in y.into_iter().enumerate().zip(bias) {
                let products = &products[channel * vectors..];
                tiles.outputs(products, product_stride, f64::from(bias), to.w, y);
            }
        },
    );
}

/// Rows of tiles that go at once.
struct Tiles {
    /// The first row.
    first: usize,
    /// Tiles of a row.
    across: usize,
    count: usize,
}

impl Tiles {
    /// Where tile number `tile` begins among the outputs of these.
    fn place(&self, tile: usize) -> [usize; 2] {
        [tile / self.across * OUTPUTS, tile % self.across * OUTPUTS]
    }

    fn vectors(&self) -> usize {
        self.count.div_ceil(LANES)
    }

    /// Places that these read of a channel, padding among them.
    fn read(&self) -> usize {
        self.width() * (self.count / self.across * OUTPUTS + SIDE - OUTPUTS)
    }

    /// Columns that a row of tiles reads.
    fn width(&self) -> usize {
        self.across * OUTPUTS + SIDE - OUTPUTS
    }

    /// Puts what these tiles read of a channel into its place in the padding.
    fn gather(&self, x: &[f64], [h, w]: [usize; 2], [top, left]: [usize; 2], padded: &mut [f64]) {
        for (row, padded) in padded.chunks_exact_mut(self.width()).enumerate() {
            let read = (self.first * OUTPUTS + row).checked_sub(top);
            if let Some(read) = read.filter(|&read| read < h) {
                let padded = padded.iter_mut().skip(left);
                for (padded, value) in padded.zip(&x[read * w..][..w]) {
                    *padded = *value;
                }
            }
        }
    }

    /// B^T d B of each tile of a channel, points that lie `stride` apart.
    fn transform(&self, padded: &[f64], made: &mut [[f64; LANES]], stride: usize) {
        for vector in 0..self.vectors() {
            let mut d = [[Lanes::default(); SIDE]; SIDE];
            for lane in 0..LANES.min(self.count - vector * LANES) {
                let [row, column] = self.place(vector * LANES + lane);
                let rows = padded[row * self.width() + column..].chunks(self.width());
                for (d, row) in d.iter_mut().zip(rows) {
                    for (d, &value) in d.iter_mut().zip(&row[..SIDE]) {
                        d.0[lane] = value;
                    }
                }
            }
            // Down the columns, then along the rows.
            let mut columns = [[Lanes::default(); SIDE]; SIDE];
            for (column, made) in columns.iter_mut().enumerate() {
                *made = points(across_rows(&d, column));
            }
            for row in 0..SIDE {
                let values = points(across_rows(&columns, row));
                for (column, values) in values.iter().enumerate() {
                    made[(row * SIDE + column) * stride + vector] = values.0;
                }
            }
        }
    }

    /// A^T M A of each tile of a channel and its bias, from products of which each point's lie `stride` apart.
    fn outputs(
        &self,
        products: &[[f64; LANES]],
        stride: usize,
        bias: f64,
        w: usize,
        y: &mut [f64],
    ) {
        let of_point = |point: usize| &products[point * stride..][..self.vectors()];
        let points: [_; POINTS] = std::array::from_fn(of_point);
        let product = |point: usize, vector: usize| Lanes(points[point][vector]);
        for vector in 0..self.vectors() {
            let mut columns = [[Lanes::default(); OUTPUTS]; SIDE];
            for (column, made) in columns.iter_mut().enumerate() {
                let mut values = [Lanes::default(); SIDE];
                for (row, value) in values.iter_mut().enumerate() {
                    *value = product(row * SIDE + column, vector);
                }
                *made = outputs(values);
            }
            let mut made = [[Lanes::default(); OUTPUTS]; OUTPUTS];
            for (row, made) in made.iter_mut().enumerate() {
                *made = outputs(across_rows(&columns, row));
            }
            for lane in 0..LANES.min(self.count - vector * LANES) {
                let [row, column] = self.place(vector * LANES + lane);
                let y = y[row * w..].chunks_exact_mut(w);
                for (made, y) in made.iter().zip(y) {
                    for (y, made) in y[column..].iter_mut().zip(made) {
                        *y = made.0[lane] + bias;
                    }
                }
            }
        }
    }
}

/// Between the points' values, so that those of one tile do not all fall into the same few places of a cache.
const GAP: usize = 2;

/// Tiles side by side, so that the processor's vectors hold them.
const LANES: usize = 4;

/// A value of each of them.
#[derive(Clone, Copy, Default)]
struct Lanes([f64; LANES]);

impl Add for Lanes {
    type Output = Self;

    #[inline]
    fn add(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
        self
    }
}

impl Sub for Lanes {
    type Output = Self;

    #[inline]
    fn sub(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a -= b);
        self
    }
}

impl Mul<Lanes> for f64 {
    type Output = Lanes;

    #[inline]
    fn mul(self, mut values: Lanes) -> Lanes {
        values.0.iter_mut().for_each(|value| *value *= self);
        values
    }
}

/// The values of a column.
#[inline]
fn across_rows<const N: usize>(rows: &[[Lanes; N]; SIDE], column: usize) -> [Lanes; SIDE] {
    let [a, b, c, d, e, f] = rows;
    [
        a[column], b[column], c[column], d[column], e[column], f[column],
    ]
}

/// B^T.
#[inline]
fn points([d0, d1, d2, d3, d4, d5]: [Lanes; SIDE]) -> [Lanes; SIDE] {
    let [even, odd] = [d4 - 4.0 * d2, d3 - 4.0 * d1];
    let [near, twice] = [d4 - d2, 2.0 * (d3 - d1)];
    [
        4.0 * d0 - 5.0 * d2 + d4,
        even + odd,
        even - odd,
        near + twice,
        near - twice,
        4.0 * d1 - 5.0 * d3 + d5,
    ]
}

/// A^T.
#[inline]
fn outputs([m0, m1, m2, m3, m4, m5]: [Lanes; SIDE]) -> [Lanes; OUTPUTS] {
    let [sum, difference] = [m1 + m2, m1 - m2];
    let [far_sum, far_difference] = [m3 + m4, m3 - m4];
    [
        m0 + sum + far_sum,
        difference + 2.0 * far_difference,
        sum + 4.0 * far_sum,
        difference + 8.0 * far_difference + m5,
    ]
}
