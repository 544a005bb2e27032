//! One value a position: class activation maps, and the resampling that carries them from the layer to the picture.

use crate::picture::preprocess::Geometry;

/// A map as its method made it, before ReLU and scaling: `height` rows of `width` values, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct RawMap {
    /// Values in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width` values.
    pub values: Vec<f64>,
}

impl RawMap {
    /// As float32 holds it, see [`Map::scaled`].
    ///
    /// # Panics
    /// If it has no values.
    pub fn scaled(&self) -> Map {
        Map::scaled(self.width, self.height, &self.values)
    }
}

/// A map of `height` rows of `width` values, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Values in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width` values.
    pub values: Vec<f32>,
}

impl Map {
    /// # Panics
    /// If `values` are not `width * height`, or none.
    pub fn new(width: usize, height: usize, values: Vec<f32>) -> Self {
        assert!(!values.is_empty(), "a map has at least one value");
        assert_eq!(values.len(), width * height, "one value a position");
        Self {
            width,
            height,
            values,
        }
    }

    /// `values` divided by their largest magnitude, so that float32 holds them: the map of a nearly certain class lies far
    /// below its range.
    ///
    /// # Panics
    /// As [`Map::new`].
    pub fn scaled(width: usize, height: usize, values: &[f64]) -> Self {
        let largest = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        // Divided, since the reciprocal of a subnormal number is infinite.
        let divisor = if largest > 0.0 { largest } else { 1.0 };
        let values = values.iter().map(|v| (v / divisor) as f32).collect();
        Self::new(width, height, values)
    }

    /// The least and the greatest of the finite values; `None` where there is none.
    pub fn range(&self) -> Option<(f32, f32)> {
        range(&self.values)
    }

    /// Bilinear, half-pixel centres, clamped at the edges, no antialiasing: `PyTorch`'s
    /// `interpolate(mode="bilinear", align_corners=False)`.
    #[must_use]
    pub fn resize(&self, width: usize, height: usize) -> Self {
        let from = (self.width, self.height);
        Self::new(
            width,
            height,
            resize(&self.values, 1, from, (width, height)),
        )
    }

    /// Back on the original picture: resized to the network's rectangle on it, zero outside. Width and height are the picture's.
    #[must_use]
    pub fn place(&self, geometry: &Geometry) -> Self {
        let (width, height) = geometry.picture;
        let from = (self.width, self.height);
        Self::new(
            width as usize,
            height as usize,
            place(&self.values, 1, from, geometry),
        )
    }

    /// What is drawn: negative values cut to zero (the paper's `ReLU`), then divided by the maximum, so in 0..=1. No epsilon: the
    /// greatest value is exactly 1.
    ///
    /// A map with nothing above zero becomes all zero. Values that are not finite count as zero.
    #[must_use]
    pub fn heat(&self) -> Self {
        self.heat_to(self.range().map_or(0.0, |(_, max)| max))
    }

    /// The same of a scale that maps share: `full` becomes 1, and so does what is more. All zero where `full` is not above
    /// zero.
    #[must_use]
    pub fn heat_to(&self, full: f32) -> Self {
        self.drawn(full, 0.0)
    }

    /// The same with what lies below zero: in -1..=1.
    #[must_use]
    pub fn signed_heat_to(&self, full: f32) -> Self {
        self.drawn(full, -1.0)
    }

    /// The largest magnitude of the finite values; 0 where there is none.
    pub fn reach(&self) -> f32 {
        self.range()
            .map_or(0.0, |(min, max)| max.max(-min).max(0.0))
    }

    fn drawn(&self, full: f32, least: f32) -> Self {
        let value = |&v: &f32| match v.is_finite() && full > 0.0 {
            true => (v / full).clamp(least, 1.0),
            false => 0.0,
        };
        let values = self.values.iter().map(value).collect();
        Self::new(self.width, self.height, values)
    }
}

/// The least and the greatest of the finite values.
pub(crate) fn range(values: &[f32]) -> Option<(f32, f32)> {
    values
        .iter()
        .filter(|v| v.is_finite())
        .fold(None, |range, &v| match range {
            None => Some((v, v)),
            Some((min, max)) => Some((v.min(min), v.max(max))),
        })
}

/// [`Map::resize`] of `channels` interleaved values a position.
pub(crate) fn resize(
    values: &[f32],
    channels: usize,
    from: (usize, usize),
    to: (usize, usize),
) -> Vec<f32> {
    let columns = taps(from.0, to.0, 0.0, to.0 as f64);
    let rows = taps(from.1, to.1, 0.0, to.1 as f64);
    resample(values, channels, from.0, &columns, &rows)
}

/// [`Map::place`] of `channels` interleaved values a position.
pub(crate) fn place(
    values: &[f32],
    channels: usize,
    from: (usize, usize),
    geometry: &Geometry,
) -> Vec<f32> {
    let (width, height) = geometry.picture;
    let columns = taps(from.0, width as usize, geometry.x, geometry.width);
    let rows = taps(from.1, height as usize, geometry.y, geometry.height);
    resample(values, channels, from.0, &columns, &rows)
}

/// Where one output position reads along one axis: `(1 - t) * input[low] + t * input[high]`.
#[derive(Debug, Clone, Copy)]
struct Tap {
    low: usize,
    high: usize,
    t: f32,
}

/// One tap for each of `output` positions, when the `input` positions span `extent` output positions from `start` on; `None`
/// where the output position's centre is outside that span.
///
/// With s = input / extent, output centre o + 1/2 lies at s (o + 1/2 - start) - 1/2 between input centres, clamped to 0.
fn taps(input: usize, output: usize, start: f64, extent: f64) -> Vec<Option<Tap>> {
    let scale = input as f64 / extent;
    (0..output)
        .map(|o| {
            let centre = o as f64 + 0.5 - start;
            if !(0.0..extent).contains(&centre) {
                return None;
            }
            let at = (scale * centre - 0.5).max(0.0);
            let low = (at as usize).min(input - 1);
            let high = (low + 1).min(input - 1);
            let t = (at - low as f64).min(1.0) as f32;
            Some(Tap { low, high, t })
        })
        .collect()
}

/// Separable bilinear sampling; positions without a tap on either axis are zero.
fn resample(
    values: &[f32],
    channels: usize,
    width: usize,
    columns: &[Option<Tap>],
    rows: &[Option<Tap>],
) -> Vec<f32> {
    // Weights on both terms: `a + t * (b - a)` would overflow for values of opposite sign near the largest float.
    let mix = |a: f32, b: f32, t: f32| (1.0 - t) * a + t * b;
    let stride = width * channels;
    let mut out = vec![0.0; columns.len() * rows.len() * channels];
    let mut row = vec![0.0; stride];
    for (row_tap, line) in rows
        .iter()
        .zip(out.chunks_exact_mut(columns.len() * channels))
    {
        let Some(y) = row_tap else { continue };
        let (upper, lower) = (&values[y.low * stride..], &values[y.high * stride..]);
        for ((r, &a), &b) in row.iter_mut().zip(upper).zip(lower) {
            *r = mix(a, b, y.t);
        }
        for (column, pixel) in columns.iter().zip(line.chunks_exact_mut(channels)) {
            let Some(x) = column else { continue };
            let (left, right) = (&row[x.low * channels..], &row[x.high * channels..]);
            for ((p, &a), &b) in pixel.iter_mut().zip(left).zip(right) {
                *p = mix(a, b, x.t);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(width: usize, height: usize, values: &[f32]) -> Map {
        Map::new(width, height, values.to_vec())
    }

    fn assert_close(got: &Map, expected: &[f32]) {
        assert_eq!(got.values.len(), expected.len());
        for (i, (g, e)) in got.values.iter().zip(expected).enumerate() {
            assert!(
                (g - e).abs() < 1e-6,
                "({}, {}): {g}, expected {e}",
                i % got.width,
                i / got.width
            );
        }
    }

    #[test]
    fn the_same_size_is_the_same_map() {
        let m = map(3, 2, &[1.0, -2.0, 3.5, 0.0, 1e30, -1e-30]);
        assert_eq!(m.resize(3, 2), m);
    }

    #[test]
    fn twice_the_size_has_quarters_between_and_the_edge_value_outside() {
        // torch.nn.functional.interpolate(torch.tensor([[[[0., 4.]]]]), (1, 4), mode="bilinear")
        assert_close(&map(2, 1, &[0.0, 4.0]).resize(4, 1), &[0.0, 1.0, 3.0, 4.0]);
        let square = map(2, 2, &[0.0, 4.0, 8.0, 12.0]).resize(4, 4);
        assert_close(
            &square,
            &[
                0.0, 1.0, 3.0, 4.0, 2.0, 3.0, 5.0, 6.0, 6.0, 7.0, 9.0, 10.0, 8.0, 9.0, 11.0, 12.0,
            ],
        );
    }

    #[test]
    fn half_the_size_reads_two_neighbours_without_antialiasing() {
        // Six to two: scale 3, so centres at 1 and 4 and no other value counts.
        let m = map(6, 1, &[0.0, 1.0, 100.0, 200.0, 4.0, 5.0]);
        assert_close(&m.resize(2, 1), &[1.0, 4.0]);
        // Four to two: between 0 and 1, between 2 and 3.
        assert_close(&map(4, 1, &[0.0, 1.0, 2.0, 3.0]).resize(2, 1), &[0.5, 2.5]);
    }

    #[test]
    fn a_single_value_fills_any_size() {
        assert_close(&map(1, 1, &[7.0]).resize(3, 2), &[7.0; 6]);
    }

    #[test]
    fn values_near_the_largest_float_do_not_overflow() {
        let resized = map(2, 1, &[f32::MAX, -f32::MAX]).resize(5, 1);
        assert!(resized.values.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn placed_maps_fill_the_crop_and_are_zero_outside() {
        let geometry = Geometry {
            picture: (6, 3),
            x: 2.0,
            y: 0.0,
            width: 2.0,
            height: 3.0,
        };
        let placed = map(2, 1, &[1.0, 2.0]).place(&geometry);
        let row = [0.0, 0.0, 1.0, 2.0, 0.0, 0.0];
        assert_close(&placed, &[row, row, row].concat());
    }

    #[test]
    fn placed_maps_lose_what_lay_on_the_padding() {
        // A 4 x 2 picture padded to a square: the map's rows 0 and 3 are padding.
        let geometry = Geometry {
            picture: (4, 2),
            x: 0.0,
            y: -1.0,
            width: 4.0,
            height: 4.0,
        };
        let rows: Vec<f32> = (0..16u8).map(|i| f32::from(i / 4)).collect();
        let placed = map(4, 4, &rows).place(&geometry);
        assert_close(&placed, &[1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn channels_do_not_mix() {
        let two = [0.0, 10.0, 4.0, 30.0];
        assert_eq!(
            resize(&two, 2, (2, 1), (4, 1)),
            [0.0, 10.0, 1.0, 15.0, 3.0, 25.0, 4.0, 30.0]
        );
    }

    #[test]
    fn heat_is_relu_over_the_maximum() {
        let heat = map(2, 2, &[-1.0, 0.0, 2.0, 8.0]).heat();
        assert_eq!(heat.values, [0.0, 0.0, 0.25, 1.0]);
    }

    #[test]
    fn a_map_with_nothing_above_zero_is_black_and_never_nan() {
        for values in [[0.0, 0.0], [-3.0, -0.0], [f32::NAN, -1.0], [f32::NAN; 2]] {
            assert_eq!(map(2, 1, &values).heat().values, [0.0, 0.0], "{values:?}");
        }
    }

    #[test]
    fn values_that_are_not_finite_count_as_zero() {
        let wild = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            2.0,
            f32::MIN_POSITIVE,
        ];
        let heat = map(5, 1, &wild).heat();
        assert_eq!(heat.values[..4], [0.0, 0.0, 0.0, 1.0]);
        assert!(heat.values[4].is_finite());
        assert_eq!(map(5, 1, &wild).range(), Some((f32::MIN_POSITIVE, 2.0)));
    }

    #[test]
    fn the_smallest_doubles_scale_too() {
        assert_eq!(Map::scaled(2, 1, &[0.0, 5e-324]).values, [0.0, 1.0]);
    }

    #[test]
    fn the_smallest_floats_still_scale_to_one() {
        assert_eq!(map(2, 1, &[1e-45, 0.0]).heat().values, [1.0, 0.0]);
    }
}
