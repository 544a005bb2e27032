//! A picture's channels, each as a function of one at the network's input; and what the numbers tell of the pixels expected there.

use crate::architectures::Evidence;
use crate::picture::preprocess::{Normalization, Preprocessing};

/// One channel as a function of the network's input: channel `from`, times `a`, plus `b`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Channel {
    from: usize,
    a: f64,
    b: f64,
}

/// A picture's channels after the steps so far.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pixels {
    channels: Vec<Channel>,
    /// What the first steps alone told of the input, where they told: learned numbers behind them may hide it.
    told: Option<Normalization>,
}

impl Pixels {
    /// As they come.
    pub(in crate::architectures) fn new(channels: usize) -> Self {
        let channel = |from| Channel {
            from,
            a: 1.0,
            b: 0.0,
        };
        Self::of((0..channels).map(channel).collect())
    }

    fn of(channels: Vec<Channel>) -> Self {
        Self {
            channels,
            told: None,
        }
    }

    /// Number of channels.
    pub(in crate::architectures) fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether nothing was done.
    pub(in crate::architectures) fn is_untouched(&self) -> bool {
        *self == Self::new(self.len())
    }

    /// `scale` x + `offset`, each one number for all channels or one a channel; `None` for another number of them, and where
    /// a channel loses what it says.
    pub(in crate::architectures) fn scaled(&self, scale: &[f64], offset: &[f64]) -> Option<Self> {
        let each = |values: &[f64], c: usize| match *values {
            [value] => Some(value),
            _ if values.len() == self.len() => Some(values[c]),
            _ => None,
        };
        let channels = self.channels.iter().enumerate().map(|(c, channel)| {
            let scale = each(scale, c)?;
            let (a, b) = (channel.a * scale, channel.b * scale + each(offset, c)?);
            let kept = (a as f32).is_normal() && (b as f32).is_finite();
            kept.then_some(Channel { a, b, ..*channel })
        });
        let mut scaled = Self::of(channels.collect::<Option<_>>()?);
        scaled.told = self.told.or_else(|| match scaled.by_numbers() {
            (input, Evidence::Metadata) => Some(input),
            _ => None,
        });
        Some(scaled)
    }

    /// Channel `order[i]` in place `i`; `None` where there is no such channel.
    pub(in crate::architectures) fn ordered(&self, order: &[usize]) -> Option<Self> {
        let channels = order.iter().map(|&c| self.channels.get(c).copied());
        Some(Self {
            channels: channels.collect::<Option<_>>()?,
            told: self.told,
        })
    }

    /// Channels of several, one after the other.
    pub(in crate::architectures) fn joined(parts: &[Self]) -> Self {
        let channels = parts
            .iter()
            .flat_map(|pixels| pixels.channels.iter().copied());
        let told = parts.first().and_then(|first| first.told);
        Self {
            channels: channels.collect(),
            told: told.filter(|_| parts.iter().all(|part| part.told == parts[0].told)),
        }
    }

    /// The same as a matrix over `inputs` channels, a row for each channel, and as summands.
    pub(in crate::architectures) fn matrix(&self, inputs: usize) -> (Vec<f32>, Vec<f32>) {
        let mut matrix = vec![0.0; self.len() * inputs];
        for (row, channel) in matrix.chunks_mut(inputs).zip(&self.channels) {
            row[channel.from] = channel.a as f32;
        }
        let summands = self.channels.iter().map(|channel| channel.b as f32);
        (matrix, summands.collect())
    }

    /// How pictures are scaled for the network behind these steps, and how that is known; `bytes` where the file says that its
    /// input are bytes. `None` where the channels are not red, green and blue in this order or the reverse, or
    /// grey alone.
    pub(in crate::architectures) fn normalization(
        &self,
        bytes: bool,
    ) -> Option<(Normalization, Evidence)> {
        self.normalization_told_by(self, bytes)
    }

    /// The same, where it is `all`, these steps and others after them, that tells what goes in.
    pub(super) fn normalization_told_by(
        &self,
        all: &Self,
        bytes: bool,
    ) -> Option<(Normalization, Evidence)> {
        let reversed = all.is_reversed()?;
        let (mut input, evidence) = all.input(bytes, reversed);
        input.bgr = all.has_means_of_bgr(&input);
        Some((self.behind(input)?, evidence))
    }

    /// Whether the channels are those of the input from the last to the first; `None` for any other order than that and theirs.
    fn is_reversed(&self) -> Option<bool> {
        let order: Vec<usize> = self.channels.iter().map(|channel| channel.from).collect();
        match order.as_slice() {
            [0, 1, 2] | [0] => Some(false),
            [2, 1, 0] => Some(true),
            _ => None,
        }
    }

    /// Whether the means that are subtracted are `ImageNet`'s of blue, green and red, in the order of the input's channels.
    fn has_means_of_bgr(&self, input: &Normalization) -> bool {
        const CLOSE: f64 = 1.5;
        let means = &Normalization::CAFFE.mean;
        let three = self.len() == means.len();
        three
            && self.channels.iter().all(|channel| {
                let mean = -channel.b / channel.a / f64::from(input.scale);
                (mean - f64::from(means[channel.from])).abs() < CLOSE
            })
    }

    /// What goes in at the input where [`Self::normalization`] knows no order of the channels, by the steps' numbers alone.
    pub(in crate::architectures) fn input_of_numbers(
        &self,
        bytes: bool,
    ) -> (Normalization, Evidence) {
        match bytes {
            true => (Normalization::NONE, Evidence::Metadata),
            false => self.by_numbers(),
        }
    }

    /// What goes in at the input so that the steps make something known of it.
    fn input(&self, bytes: bool, reversed: bool) -> (Normalization, Evidence) {
        let certain = |input| (input, Evidence::Metadata);
        if bytes {
            return certain(Normalization::NONE);
        }
        let inputs = [
            Normalization::NONE,
            Normalization::UNIT,
            Normalization::TF,
            Normalization::TORCH,
        ];
        if self.changes_values()
            && let Some(input) = inputs
                .into_iter()
                .find(|&input| self.scaled_behind(input, reversed).name().is_some())
        {
            return certain(input);
        }
        self.by_numbers()
    }

    /// What goes in at the input so that the steps' numbers mean something.
    fn by_numbers(&self) -> (Normalization, Evidence) {
        let certain = |input| (input, Evidence::Metadata);
        // The value that becomes zero, and what becomes a difference of one: a mean and a deviation in the input's own units.
        let mean = |channel: &Channel| -channel.b / channel.a;
        let deviation = |channel: &Channel| channel.a.abs().recip();
        let within = |most: f64| {
            self.channels
                .iter()
                .all(|c| (0.0..=most).contains(&mean(c)))
        };
        let of_bytes = |c: &Channel| mean(c) > 2.0 || deviation(c) > 16.0;
        if within(255.0) && self.channels.iter().any(of_bytes) {
            return certain(Normalization::NONE);
        }
        // Values in 0..1 deviate by a half at most; what was scaled to a deviation of one before is not in 0..1.
        let of_fractions = |c: &Channel| mean(c) > 0.0 && deviation(c) <= 0.5;
        if within(1.0) && self.channels.iter().all(of_fractions) {
            return certain(Normalization::UNIT);
        }
        if let Some(input) = self.told {
            return certain(input);
        }
        let reason =
            "pixels in 0..1 are the most common, and the network's own first steps do not tell";
        (Normalization::UNIT, Evidence::Guess(reason))
    }

    /// Whether there is more than an order of channels.
    pub(in crate::architectures) fn changes_values(&self) -> bool {
        let changed = |channel: &Channel| channel.a != 1.0 || channel.b != 0.0;
        self.channels.iter().any(changed)
    }

    /// The steps behind `input` as one normalisation, by its name where it has one. `None` as for
    /// [`Pixels::normalization`].
    pub(in crate::architectures) fn behind(&self, input: Normalization) -> Option<Normalization> {
        let reversed = self.is_reversed()?;
        Some(self.scaled_behind(input, reversed != input.bgr))
    }

    fn scaled_behind(&self, input: Normalization, bgr: bool) -> Normalization {
        let factors = |n: &Normalization, c: usize| {
            let (mean, std) = n.of_channels(self.len()).numbers(c);
            let std = f64::from(std);
            (f64::from(n.scale) / std, -f64::from(mean) / std)
        };
        let channels: [(f64, f64); 3] = std::array::from_fn(|c| {
            let Channel { from, a, b } = self.channels[c.min(self.len() - 1)];
            let (scale, offset) = factors(&input, from);
            (a * scale, a * offset + b)
        });
        let same = |n: &Normalization| {
            n.bgr == bgr
                && (0..3).all(|c| {
                    let ((a, b), (scale, offset)) = (channels[c], factors(n, c));
                    // Of what a white pixel becomes: constants are kept in float32, some as their reciprocals.
                    let close = |x: f64, y: f64| (x - y).abs() <= 1e-6 * (255.0 * scale).max(1.0);
                    close(255.0 * a, 255.0 * scale) && close(b, offset)
                })
        };
        let named = Preprocessing::ALL.iter();
        let mut named = named.map(|preprocessing| preprocessing.normalization());
        let named = named.find(same).map(|named| named.of_channels(self.len()));
        named.unwrap_or(Normalization {
            bgr,
            grey: self.len() == 1,
            scale: 1.0,
            // Nothing is no negative nothing.
            mean: channels.map(|(a, b)| (-b / a) as f32 + 0.0),
            std: channels.map(|(a, _)| a.recip() as f32),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn known(pixels: &Pixels) -> (String, Evidence) {
        let (normalization, evidence) = pixels.normalization(false).unwrap();
        (normalization.to_string(), evidence)
    }

    #[test]
    fn steps_that_everybody_takes_go_by_their_names() {
        let rgb = Pixels::new(3);
        let bgr = rgb.ordered(&[2, 1, 0]).unwrap();
        let means = [-103.939, -116.779, -123.68].map(|mean| f64::from(mean as f32));
        let unit = rgb.scaled(&[1.0 / 255.0], &[0.0]).unwrap();
        let means_of_torch = [-0.485, -0.456, -0.406];
        let torch = |pixels: &Pixels| {
            let centred = pixels.scaled(&[1.0], &means_of_torch).unwrap();
            centred
                .scaled(&[0.229, 0.224, 0.225].map(f64::recip), &[0.0])
                .unwrap()
        };
        for (name, pixels) in [
            ("caffe", bgr.scaled(&[1.0], &means).unwrap()),
            ("tf", rgb.scaled(&[1.0 / 127.5], &[-1.0]).unwrap()),
            ("tf", rgb.scaled(&[2.0], &[-1.0]).unwrap()),
            ("torch", torch(&unit)),
            ("torch", torch(&rgb)),
            ("unit", unit),
        ] {
            assert_eq!(known(&pixels), (name.into(), Evidence::Metadata));
        }
    }

    #[test]
    fn what_was_scaled_for_another_network_is_known_by_what_it_becomes() {
        // torchvision's Inception turns pixels scaled as for its other networks into -1..1.
        let (means, deviations) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let offset = means.map(|mean| (mean - 0.5) / 0.5);
        let pixels = Pixels::new(3).scaled(&deviations.map(|deviation| deviation / 0.5), &offset);
        assert_eq!(known(&pixels.unwrap()), ("tf".into(), Evidence::Metadata));
    }

    #[test]
    fn the_size_of_means_and_deviations_tells_bytes_from_fractions() {
        let of = |mean: f64, deviation: f64| {
            Pixels::new(3)
                .scaled(&[deviation.recip()], &[-mean / deviation])
                .unwrap()
        };
        for (mean, deviation, scale) in [(120.0, 60.0, 1.0), (0.4, 0.25, 255.0), (0.0, 250.0, 1.0)]
        {
            let (normalization, evidence) = of(mean, deviation).normalization(false).unwrap();
            assert_eq!(evidence, Evidence::Metadata, "{mean} {deviation}");
            let white = 255.0 * normalization.scale;
            let ours = (f64::from(white) - f64::from(normalization.mean[0]))
                / f64::from(normalization.std[0]);
            let expected = (255.0 / scale - mean) / deviation;
            assert!((ours - expected).abs() < 1e-4, "{ours} and {expected}");
        }
        for (mean, deviation) in [(0.0, 1.0), (0.0, 2.0), (-0.3, 1.0)] {
            let (_, evidence) = of(mean, deviation).normalization(false).unwrap();
            assert!(matches!(evidence, Evidence::Guess(_)), "{mean} {deviation}");
        }
        let (normalization, evidence) = of(0.0, 1.0).normalization(true).unwrap();
        assert_eq!(
            (normalization, evidence),
            (Normalization::NONE, Evidence::Metadata)
        );
    }

    #[test]
    fn what_the_first_step_tells_holds_whatever_is_learned_behind_it() {
        let bytes = Pixels::new(3).scaled(&[1.0 / 255.0], &[0.0]).unwrap();
        // A batch norm over values whose mean and deviation no picture has.
        let behind = bytes.scaled(&[0.02, -3.0, 1.5], &[8.0, -0.2, 0.7]).unwrap();
        let (normalization, evidence) = behind.normalization(false).unwrap();
        assert_eq!(evidence, Evidence::Metadata);
        let white = (255.0 - normalization.mean[0]) / normalization.std[0];
        assert!((white - 8.02).abs() < 1e-4, "{white}");
        let reversed = behind.ordered(&[2, 1, 0]).unwrap();
        let (_, evidence) = reversed.normalization(false).unwrap();
        assert_eq!(evidence, Evidence::Metadata);
    }

    #[test]
    fn channels_in_no_known_order_have_no_normalization() {
        for order in [&[0, 1][..], &[0, 0, 0], &[1, 0, 2]] {
            let pixels = Pixels::new(3).ordered(order).unwrap();
            assert_eq!(pixels.normalization(false), None);
        }
        assert_eq!(Pixels::new(3).ordered(&[3]), None);
        assert_eq!(Pixels::new(3).scaled(&[0.0], &[0.0]), None);
        assert_eq!(Pixels::new(3).scaled(&[1.0, 2.0], &[0.0]), None);
    }
}
