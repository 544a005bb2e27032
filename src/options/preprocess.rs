//! How pixels become the network's input, by name or by numbers.

use std::num::NonZeroUsize;

use super::UsageError;
use crate::cli::{Channels, ChannelsFlag, Explain, Preprocessing};

/// Preprocessing that the user chose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Preprocess {
    /// A published one.
    Named(Preprocessing),
    /// `(pixel - mean) / std` for pixels in 0..255.
    Given {
        /// Red, green, blue; finite.
        mean: [f32; 3],
        /// Red, green, blue; finite and above 0.
        std: [f32; 3],
        /// Order in which the network takes the three.
        channels: Channels,
    },
}

/// What `--channels` says, in either meaning.
pub(super) struct ChannelsSetting {
    pub(super) count: Option<NonZeroUsize>,
    pub(super) order: Option<Channels>,
}

pub(super) fn each_channels(flags: &[ChannelsFlag]) -> Result<ChannelsSetting, UsageError> {
    let (mut count, mut order) = (None, None);
    for flag in flags {
        let twice = match *flag {
            ChannelsFlag::Count(new) => count.replace(new).map(|_| "a number"),
            ChannelsFlag::Order(new) => order.replace(new).map(|_| "an order"),
        };
        if let Some(twice) = twice {
            return Err(UsageError::TwoChannels(twice));
        }
    }
    Ok(ChannelsSetting { count, order })
}

pub(super) fn preprocess(
    flags: &Explain,
    channels: Option<Channels>,
) -> Result<Option<Preprocess>, UsageError> {
    let numbers = [
        ("--mean", flags.mean.is_some()),
        ("--std", flags.std.is_some()),
        ("--channels", channels.is_some()),
    ];
    let first_number = numbers
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag));
    match (flags.preprocess, first_number) {
        (Some(name), Some(flag)) => return Err(UsageError::PreprocessTwice { name, flag }),
        (Some(name), None) => return Ok(Some(Preprocess::Named(name))),
        (None, None) => return Ok(None),
        (None, Some(_)) => {}
    }
    if let (None, None, Some(order)) = (flags.mean, flags.std, channels) {
        return Err(UsageError::OrderAlone(order));
    }
    let mean = flags.mean.unwrap_or([0.0; 3]);
    let std = flags.std.unwrap_or([1.0; 3]);
    if let Some(value) = mean.into_iter().find(|value| !value.is_finite()) {
        return Err(UsageError::UnusableNumber {
            flag: "--mean",
            value,
        });
    }
    if let Some(value) = std
        .into_iter()
        .find(|value| !(value.is_finite() && *value > 0.0))
    {
        return Err(UsageError::UnusableNumber {
            flag: "--std",
            value,
        });
    }
    let beyond = |(m, s): (f32, f32)| [0.0, 255.0].iter().any(|v| !((v - m) / s).is_finite());
    if std::iter::zip(mean, std).any(beyond) {
        return Err(UsageError::BeyondFloats);
    }
    if mean.iter().all(|value| (0.0..=1.0).contains(value)) && std.iter().all(|&value| value < 1.0)
    {
        return Err(UsageError::UnitScale { mean, std });
    }
    Ok(Some(Preprocess::Given {
        mean,
        std,
        channels: channels.unwrap_or(Channels::Rgb),
    }))
}
