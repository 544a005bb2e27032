//! Samples to rows of pixels: colour brought to the resolution of luma, and turned into RGB. As libjpeg does both, to the bit.

use super::super::colour::{from_ycc, under_black};
use super::{Colour, Component, Frame};

/// The samples of a component, of which the last rows are held.
pub(super) struct Plane {
    pub(super) stride: usize,
    /// How many rows are held; row r is at r modulo this.
    held: usize,
    samples: Vec<u8>,
}

impl Plane {
    /// Holds two bands: what one row of units gives, twice.
    pub(super) fn new(frame: &Frame, component: &Component) -> Self {
        let (wide, high) = component.factors;
        let (stride, held) = (8 * wide * frame.units.0, 2 * 8 * high);
        Self {
            stride,
            held,
            samples: vec![0; stride * held],
        }
    }

    /// From the first sample of a block on.
    pub(super) fn block(&mut self, row: usize, column: usize) -> &mut [u8] {
        let at = (8 * row % self.held) * self.stride + 8 * column;
        &mut self.samples[at..]
    }

    fn row(&self, row: usize) -> &[u8] {
        &self.samples[row % self.held * self.stride..][..self.stride]
    }
}

/// How a component's samples spread over the pixels, as libjpeg chooses. Those that halve are weighted by nearness.
#[derive(Clone, Copy)]
enum Spread {
    None,
    HalfWide,
    HalfHigh,
    Half,
    /// So many pixels of the same colour wide and high.
    Same(usize, usize),
}

fn spread(frame: &Frame, component: &Component) -> Spread {
    let (wide, high) = component.factors;
    let more = (frame.factors.0 / wide, frame.factors.1 / high);
    let wide_enough = component.size.0 > 2;
    match more {
        (1, 1) => Spread::None,
        (2, 1) if wide_enough => Spread::HalfWide,
        (1, 2) => Spread::HalfHigh,
        (2, 2) if wide_enough => Spread::Half,
        (x, y) => Spread::Same(x, y),
    }
}

/// Writes rows of pixels.
pub(super) struct Rows {
    colour: Colour,
    spreads: Vec<Spread>,
    /// A row of each component at the width of the picture.
    lines: Vec<Vec<u8>>,
    sums: Vec<u16>,
}

impl Rows {
    pub(super) fn new(frame: &Frame, colour: Colour) -> Self {
        // Pairs and groups of pixels may reach beyond the picture.
        let line = vec![0; 8 * frame.factors.0 * frame.units.0];
        Self {
            colour,
            spreads: frame.components.iter().map(|c| spread(frame, c)).collect(),
            sums: vec![0; line.len()],
            lines: vec![line; frame.components.len()],
        }
    }

    /// Pixel row `y` as RGB. The planes must hold the samples around it.
    pub(super) fn write(&mut self, frame: &Frame, planes: &[Plane], y: usize, rgb: &mut [u8]) {
        for (i, (component, plane)) in frame.components.iter().zip(planes).enumerate() {
            let (width, height) = component.size;
            let line = &mut self.lines[i];
            // Of rows twice as far apart: the one that holds the pixel, and the next nearest.
            let near = y / 2;
            let far = match y % 2 {
                0 => near.saturating_sub(1),
                _ => (near + 1).min(height - 1),
            };
            match self.spreads[i] {
                Spread::None => line[..width].copy_from_slice(&plane.row(y)[..width]),
                Spread::HalfWide => half_wide(&plane.row(y)[..width], line),
                Spread::HalfHigh => {
                    let bias = 1 + (y % 2) as u16;
                    let samples = plane.row(near).iter().zip(plane.row(far));
                    for (pixel, (&near, &far)) in line[..width].iter_mut().zip(samples) {
                        *pixel = ((3 * u16::from(near) + u16::from(far) + bias) / 4) as u8;
                    }
                }
                Spread::Half => {
                    let sums = &mut self.sums[..width];
                    let samples = plane.row(near).iter().zip(plane.row(far));
                    for (sum, (&near, &far)) in sums.iter_mut().zip(samples) {
                        *sum = 3 * u16::from(near) + u16::from(far);
                    }
                    half(sums, line);
                }
                Spread::Same(wide, high) => {
                    for (pixels, sample) in line.chunks_exact_mut(wide).zip(plane.row(y / high)) {
                        pixels.fill(*sample);
                    }
                }
            }
        }
        self.turn(rgb);
    }

    fn turn(&self, rgb: &mut [u8]) {
        let pixels = rgb.as_chunks_mut::<3>().0.iter_mut();
        match (self.colour, &self.lines[..]) {
            (Colour::YCbCr, [y, cb, cr]) => {
                for (pixel, ((&y, &cb), &cr)) in pixels.zip(y.iter().zip(cb).zip(cr)) {
                    *pixel = from_ycc(y, cb, cr);
                }
            }
            (Colour::Rgb, [r, g, b]) => {
                for (pixel, ((&r, &g), &b)) in pixels.zip(r.iter().zip(g).zip(b)) {
                    *pixel = [r, g, b];
                }
            }
            (Colour::Cmyk, [c, m, y, k]) => {
                // Inks are stored inverted, as Adobe writes them and everybody since, marked or not.
                for (pixel, (((&c, &m), &y), &k)) in pixels.zip(c.iter().zip(m).zip(y).zip(k)) {
                    *pixel = under_black([255 - c, 255 - m, 255 - y], k);
                }
            }
            (Colour::Ycck, [y, cb, cr, k]) => {
                for (pixel, (((&y, &cb), &cr), &k)) in pixels.zip(y.iter().zip(cb).zip(cr).zip(k)) {
                    *pixel = under_black(from_ycc(y, cb, cr), k);
                }
            }
            (_, lines) => {
                for (pixel, &grey) in pixels.zip(&lines[0]) {
                    *pixel = [grey; 3];
                }
            }
        }
    }
}

/// Pixels a quarter of a sample left and right of each sample: three parts of it and one of that neighbour. At least two samples.
fn half_wide(samples: &[u8], line: &mut [u8]) {
    let mix =
        |near: u8, far: u8, bias: u16| ((3 * u16::from(near) + u16::from(far) + bias) / 4) as u8;
    let pairs = line.as_chunks_mut::<2>().0;
    for (pair, three) in pairs[1..].iter_mut().zip(samples.windows(3)) {
        *pair = [mix(three[1], three[0], 1), mix(three[1], three[2], 2)];
    }
    let last = samples.len() - 1;
    pairs[0] = [samples[0], mix(samples[0], samples[1], 2)];
    pairs[last] = [mix(samples[last], samples[last - 1], 1), samples[last]];
}

/// The same of sums of two rows, three parts of the near one and one of the far.
fn half(sums: &[u16], line: &mut [u8]) {
    let mix = |near: u16, far: u16, bias: u16| ((3 * near + far + bias) / 16) as u8;
    let pairs = line.as_chunks_mut::<2>().0;
    for (pair, three) in pairs[1..].iter_mut().zip(sums.windows(3)) {
        *pair = [mix(three[1], three[0], 8), mix(three[1], three[2], 7)];
    }
    let last = sums.len() - 1;
    pairs[0] = [mix(sums[0], sums[0], 8), mix(sums[0], sums[1], 7)];
    pairs[last] = [
        mix(sums[last], sums[last - 1], 8),
        mix(sums[last], sums[last], 7),
    ];
}
