//! The rules between the options that say how maps are drawn.

use super::UsageError;
use crate::cli::{Colormap, Explain, Overlay as Flag};
use crate::draw::composite::Overlay;

/// Share of the heat map in an overlay that is no sum.
const ALPHA: f32 = 0.5;
/// Heat from which it is shown: what Grad-CAM's authors cut their maps at to find objects.
const THRESHOLD: f32 = 0.15;

/// The overlay, and the options that only some of them read.
pub(super) fn overlay(flags: &Explain) -> Result<Overlay, UsageError> {
    let is_share = |share: &f32| (0.0..=1.0).contains(share);
    if let Some(alpha) = flags.alpha.filter(|alpha| !is_share(alpha)) {
        return Err(UsageError::AlphaOutOfRange(alpha));
    }
    if let Some(least) = flags.threshold.filter(|least| !is_share(least)) {
        return Err(UsageError::ThresholdOutOfRange(least));
    }
    let implied = match flags.alpha.is_some() || flags.signed {
        true => Flag::Blend,
        false => Flag::Sum,
    };
    let alpha = flags.alpha.unwrap_or(ALPHA);
    match (flags.overlay.unwrap_or(implied), flags.threshold) {
        (Flag::Threshold, least) => Ok(Overlay::Threshold {
            alpha,
            least: least.unwrap_or(THRESHOLD),
        }),
        (_, Some(_)) => Err(UsageError::ThresholdAlone),
        (Flag::Sum, _) if flags.alpha.is_some() => Err(UsageError::AlphaOfSum),
        (Flag::Sum, _) => Ok(Overlay::Sum),
        (Flag::Blend, _) => Ok(Overlay::Blend(alpha)),
    }
}

/// Colours with a middle are for maps of both signs, and only these.
pub(super) fn colormap(chosen: Option<Colormap>, signed: bool) -> Result<Colormap, UsageError> {
    match (chosen, signed) {
        (None, false) => Ok(Colormap::Jet),
        (None, true) => Ok(Colormap::Bwr),
        (Some(map), true) if !map.is_diverging() => Err(UsageError::NoMiddle(map)),
        (Some(map), false) if map.is_diverging() => Err(UsageError::OneSign(map)),
        (Some(map), _) => Ok(map),
    }
}
