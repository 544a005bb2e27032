//! Maps whose rows and columns are each made of a few rows and columns of another: other sizes, places around a map that repeat
//! it, every so many places.
//!
//! All are linear, alike for all channels, and rows do not depend on columns: a list of [`Taps`] for each of the two says all
//! that a kernel needs, and the backward pass has the same lists turned round.

use serde::{Deserialize, Serialize};

use super::MAX_SIDE;

/// What rows and columns a map is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resample {
    /// The same picture in another size.
    Resize(Resize),
    /// Rows and columns added that repeat those of the map; cut off where their number is negative.
    Repeat {
        /// Before the first row and column.
        before: [i32; 2],
        /// After the last.
        after: [i32; 2],
        /// Which are repeated.
        by: RepeatMode,
    },
    /// Every so many rows and columns.
    Pick {
        /// The first row and column.
        first: [usize; 2],
        /// From one to the next; below zero for those before.
        step: [i32; 2],
        /// How many.
        count: [usize; 2],
    },
}

/// Which places are repeated around a map `abcd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatMode {
    /// `cb|abcd|cb`
    Reflect,
    /// `aa|abcd|dd`
    Edge,
    /// `cd|abcd|ab`
    Wrap,
}

/// Another size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resize {
    /// Rows and columns.
    pub to: ResizeTo,
    /// What lies between places.
    pub filter: Interpolation,
    /// Where an output's place lies among the input's.
    pub places: Coordinates,
    /// Whether a smaller map takes the mean over all that an output's place covers, instead of the nearest places only.
    pub antialias: bool,
    /// Whether what lies beyond the edge counts as the edge; else only the places that there are count.
    pub edge: bool,
}

/// How large a map becomes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeTo {
    /// So many rows and columns.
    Size([usize; 2]),
    /// So many times as many, rounded down.
    Times([f32; 2]),
}

/// What lies between places.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest place.
    Nearest(NearestMode),
    /// The two places around, by distance.
    Linear,
    /// The four places around, by a cubic of this parameter.
    Cubic(f32),
}

/// The nearest of two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NearestMode {
    /// The nearer one, the first of two as near.
    RoundDown,
    /// The nearer one, the second of two as near.
    RoundUp,
    /// The one before.
    Before,
    /// The one after.
    After,
}

/// Where an output's place lies among the input's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coordinates {
    /// Places have a width, and both maps cover the same: `PyTorch`'s and Keras' usual.
    HalfPixel,
    /// The same, but in the middle of all where the size that was asked for was not whole.
    HalfPixelSymmetric,
    /// As half pixels, but the first place for an output of one place.
    HalfPixelOrFirst,
    /// First on first and last on last.
    AlignCorners,
    /// First on first, and from there by the ratio.
    Asymmetric,
    /// Half an output's place after that, as TensorFlow's first nearest has it.
    HalfOutput,
}

/// Of each place of an axis the places of another that it is made of, and their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Taps {
    /// Places of the other axis.
    pub inputs: usize,
    /// A list each.
    pub of: Vec<Vec<(usize, f32)>>,
}

impl Taps {
    /// The backward pass: of each place of the other axis the places that are made of it.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut of = vec![vec![]; self.inputs];
        for (to, taps) in self.of.iter().enumerate() {
            for &(from, weight) in taps {
                of[from].push((to, weight));
            }
        }
        Self {
            inputs: self.of.len(),
            of,
        }
    }
}

impl Resample {
    /// Rows and columns of what `h` x `w` becomes, or `None` where it cannot.
    pub fn output(&self, h: usize, w: usize) -> Option<[usize; 2]> {
        Some([self.along(0, h)?, self.along(1, w)?])
    }

    /// How long axis `axis` becomes.
    fn along(&self, axis: usize, length: usize) -> Option<usize> {
        let made = match self {
            Self::Resize(resize) => resize.output(axis, length)?,
            Self::Repeat { before, after, by } => repeated(length, before[axis], after[axis], *by)?,
            Self::Pick { first, step, count } => {
                let steps = i64::try_from(count[axis].checked_sub(1)?).ok()?;
                let reach = steps.checked_mul(i64::from(step[axis]))?;
                let last = i64::try_from(first[axis]).ok()?.checked_add(reach)?;
                let inside = first[axis] < length && (0..length as i64).contains(&last);
                (inside && step[axis] != 0).then_some(count[axis])?
            }
        };
        (1..=MAX_SIDE).contains(&made).then_some(made)
    }

    /// What each row (axis 0) or column (axis 1) is made of, of a map that has `length` of them; `None` where it cannot.
    pub fn taps(&self, axis: usize, length: usize) -> Option<Taps> {
        let made = self.along(axis, length)?;
        let of = (0..made).map(|to| match self {
            Self::Resize(resize) => resize.taps(axis, length, made, to),
            Self::Repeat { before, after, by } => {
                let cut = before[axis].min(0).unsigned_abs() as usize;
                let kept = length - cut - after[axis].min(0).unsigned_abs() as usize;
                let at = to as i64 - i64::from(before[axis].max(0));
                vec![(cut + by.place(at, kept), 1.0)]
            }
            Self::Pick { first, step, .. } => {
                let at = first[axis] as i64 + to as i64 * i64::from(step[axis]);
                vec![(at as usize, 1.0)]
            }
        });
        Some(Taps {
            inputs: length,
            of: of.collect(),
        })
    }
}

/// The length with so many places before and after, or `None` where a map has not so many to repeat, or none are left.
fn repeated(length: usize, before: i32, after: i32, by: RepeatMode) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let (before, after) = (i64::from(before), i64::from(after));
    let kept = length.checked_add(before.min(0) + after.min(0))?;
    let most = match by {
        RepeatMode::Reflect => kept - 1,
        RepeatMode::Edge => i64::MAX,
        RepeatMode::Wrap => kept,
    };
    let fits = kept > 0 && before <= most && after <= most;
    let made = kept + before.max(0) + after.max(0);
    usize::try_from(made).ok().filter(|_| fits)
}

impl RepeatMode {
    /// The place that stands at `at`, which may lie outside of 0..length.
    fn place(self, at: i64, length: usize) -> usize {
        let length = length as i64;
        let place = match self {
            Self::Reflect if at < 0 => -at,
            Self::Reflect if at >= length => 2 * (length - 1) - at,
            Self::Reflect => at,
            Self::Edge => at.clamp(0, length - 1),
            Self::Wrap => at.rem_euclid(length),
        };
        place as usize
    }
}

impl Resize {
    fn output(&self, axis: usize, length: usize) -> Option<usize> {
        let cubic = matches!(self.filter, Interpolation::Cubic(a) if !a.is_finite());
        let smooth = !matches!(self.filter, Interpolation::Nearest(_)) || !self.antialias;
        let made = match self.to {
            ResizeTo::Size(size) => size[axis],
            ResizeTo::Times(times) => {
                let made = (length as f32 * times[axis]).floor();
                (made >= 1.0 && made <= MAX_SIDE as f32).then_some(made as usize)?
            }
        };
        (!cubic && smooth).then_some(made)
    }

    /// Of place `to` of `made`, from a map of `length`.
    fn taps(&self, axis: usize, length: usize, made: usize, to: usize) -> Vec<(usize, f32)> {
        let scale = match self.to {
            ResizeTo::Size(_) => made as f32 / length as f32,
            ResizeTo::Times(times) => times[axis],
        };
        let at = self.places.of(to, length, made, scale);
        let last = length - 1;
        let clamped = |place: f32| place.clamp(0.0, last as f32) as usize;
        if self.antialias && scale < 1.0 {
            return self.averaged(at, length, scale);
        }
        match self.filter {
            Interpolation::Nearest(nearest) => vec![(clamped(nearest.of(at)), 1.0)],
            Interpolation::Linear => {
                let at = at.clamp(0.0, last as f32);
                let before = at.floor() as usize;
                let share = at - at.floor();
                let taps = [(before, 1.0 - share), (before + 1, share)];
                let there = taps.into_iter().filter(|&(_, weight)| weight != 0.0);
                there.collect()
            }
            Interpolation::Cubic(a) => {
                let before = at.floor() as i64;
                let taps =
                    (before - 1..=before + 2).map(|place| (place, cubic(at - place as f32, a)));
                self.within(taps.collect(), length)
            }
        }
    }

    /// The mean over all that an output's place covers, by the filter made as wide as that.
    fn averaged(&self, at: f32, length: usize, scale: f32) -> Vec<(usize, f32)> {
        let (reach, a) = match self.filter {
            Interpolation::Cubic(a) => (2.0, Some(a)),
            _ => (1.0, None),
        };
        let (centre, reach) = (at + 0.5, reach / scale);
        let [first, end] = [centre - reach, centre + reach].map(|at| (at + 0.5).floor() as i64);
        let weight = |place: i64| {
            let away = (place as f32 - centre + 0.5) * scale;
            match a {
                Some(a) => cubic(away, a),
                None => (1.0 - away.abs()).max(0.0),
            }
        };
        let taps = (first..end).map(|place| (place, weight(place)));
        self.within(taps.collect(), length)
    }

    /// Taps among the places of the map, that add up to one.
    fn within(&self, mut taps: Vec<(i64, f32)>, length: usize) -> Vec<(usize, f32)> {
        let last = length as i64 - 1;
        if !self.edge {
            taps.retain(|(place, _)| (0..=last).contains(place));
        }
        let sum: f32 = taps.iter().map(|&(_, weight)| weight).sum();
        let mut within: Vec<(usize, f32)> = vec![];
        for (place, weight) in taps {
            let place = place.clamp(0, last) as usize;
            match within.last_mut() {
                Some((last, all)) if *last == place => *all += weight / sum,
                _ => within.push((place, weight / sum)),
            }
        }
        within
    }
}

/// The share of a place so far away.
fn cubic(away: f32, a: f32) -> f32 {
    let x = away.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

impl NearestMode {
    fn of(self, at: f32) -> f32 {
        match self {
            Self::RoundDown => (at - 0.5).ceil(),
            Self::RoundUp => (at + 0.5).floor(),
            Self::Before => at.floor(),
            Self::After => at.ceil(),
        }
    }
}

impl Coordinates {
    /// Where place `to` of `made` lies among `length`, the first at 0; `scale` outputs are one input.
    fn of(self, to: usize, length: usize, made: usize, scale: f32) -> f32 {
        let at = to as f32;
        let half = (at + 0.5) / scale - 0.5;
        match self {
            Self::HalfPixelSymmetric => {
                let whole = made as f32 / (scale * length as f32);
                length as f32 / 2.0 * (1.0 - whole) + half
            }
            Self::HalfPixelOrFirst | Self::AlignCorners if made == 1 => 0.0,
            Self::HalfPixel | Self::HalfPixelOrFirst => half,
            Self::AlignCorners => at * (length - 1) as f32 / (made - 1) as f32,
            Self::Asymmetric => at / scale,
            Self::HalfOutput => (at + 0.5) / scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of `abcd` that a repeated axis has.
    fn around(by: RepeatMode, before: i32, after: i32) -> Option<String> {
        let sides = |n| [n, 0];
        let op = Resample::Repeat {
            before: sides(before),
            after: sides(after),
            by,
        };
        let taps = op.taps(0, 4)?;
        let letters = taps.of.iter().map(|taps| ["a", "b", "c", "d"][taps[0].0]);
        Some(letters.collect())
    }

    #[test]
    fn places_around_are_repeated_as_onnx_has_them() {
        let at = |by, before, after| around(by, before, after).unwrap();
        assert_eq!(at(RepeatMode::Reflect, 2, 3), "cbabcdcba");
        assert_eq!(at(RepeatMode::Edge, 2, 5), "aaabcdddddd");
        assert_eq!(at(RepeatMode::Wrap, 4, 1), "abcdabcda");
        // What is cut off is not repeated.
        assert_eq!(at(RepeatMode::Reflect, -1, 2), "bcdcb");
        assert_eq!(at(RepeatMode::Wrap, 2, -2), "abab");
        assert_eq!(around(RepeatMode::Reflect, 4, 0), None);
        assert_eq!(around(RepeatMode::Wrap, 0, 5), None);
        assert_eq!(around(RepeatMode::Edge, -2, -2), None);
        assert_eq!(around(RepeatMode::Edge, i32::MIN, i32::MAX), None);
    }

    #[test]
    fn sizes_that_no_map_can_have_are_none() {
        let resize = |to, filter, antialias| {
            Resample::Resize(Resize {
                to,
                filter,
                places: Coordinates::HalfPixel,
                antialias,
                edge: true,
            })
        };
        let linear = |to| resize(to, Interpolation::Linear, false).output(8, 8);
        assert_eq!(linear(ResizeTo::Times([1.5, 0.25])), Some([12, 2]));
        for to in [
            ResizeTo::Size([0, 4]),
            ResizeTo::Size([4, MAX_SIDE + 1]),
            ResizeTo::Times([0.1, 1.0]),
            ResizeTo::Times([f32::NAN, 1.0]),
            ResizeTo::Times([f32::INFINITY, 1.0]),
            ResizeTo::Times([-1.0, 1.0]),
        ] {
            assert_eq!(linear(to), None, "{to:?}");
        }
        let size = ResizeTo::Size([4, 4]);
        assert_eq!(
            resize(size, Interpolation::Cubic(f32::NAN), false).output(8, 8),
            None
        );
        let nearest = Interpolation::Nearest(NearestMode::Before);
        assert_eq!(resize(size, nearest, true).output(8, 8), None);
        let pick = |first, step, count| {
            let both = |n| [n; 2];
            let op = Resample::Pick {
                first: both(first),
                step: [step; 2],
                count: both(count),
            };
            op.output(8, 8)
        };
        assert_eq!(pick(7, -3, 3), Some([3, 3]));
        assert_eq!(pick(1, 2, 4), Some([4, 4]));
        for (first, step, count) in [(1, 2, 5), (8, 1, 1), (7, -3, 4), (0, 0, 2), (0, 1, 0)] {
            assert_eq!(pick(first, step, count), None);
        }
        assert_eq!(pick(0, i32::MAX, usize::MAX), None);
    }

    #[test]
    fn the_way_back_has_each_tap_once() {
        let op = Resample::Resize(Resize {
            to: ResizeTo::Size([7, 3]),
            filter: Interpolation::Cubic(-0.75),
            places: Coordinates::HalfPixel,
            antialias: false,
            edge: true,
        });
        for axis in 0..2 {
            let taps = op.taps(axis, 5).unwrap();
            assert_eq!(taps.transposed().transposed(), taps);
            for taps in &taps.of {
                let sum: f32 = taps.iter().map(|&(_, weight)| weight).sum();
                assert!((sum - 1.0).abs() < 1e-6, "{taps:?}");
            }
        }
    }
}
