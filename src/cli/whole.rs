//! Whole numbers on the command line: their ranges, and refusals in words.

use std::ops::RangeInclusive;

/// Pixels along each side of a network's input: no adapter holds the activations of more.
pub(super) const INPUT_SIZE: RangeInclusive<u64> = 1..=4096;

/// How often a network may run: more than a million times is a slip.
pub(super) const PASSES: RangeInclusive<u64> = 1..=1_000_000;

/// Pictures at once: far more than any adapter holds.
pub(super) const BATCH: RangeInclusive<u64> = 1..=4096;

/// Pixels along a side of a part of the picture: no network sees more, and a part larger than the picture is all of it.
pub(super) const PIXELS: RangeInclusive<u64> = 1..=4096;

/// Squares along a picture's short side: of a square picture more are too many.
pub(super) const TILES: RangeInclusive<u64> = 1..=14;

/// Classes: as many as there are.
pub(super) const COUNT: RangeInclusive<u64> = 1..=u64::MAX;

/// A seed may be any number.
pub(super) const ANY: RangeInclusive<u64> = 0..=u64::MAX;

/// A text that is no whole number of a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number from {from}{}", up_to(*to))]
pub(super) struct WholeError {
    from: u64,
    to: u64,
}

/// Beyond counting there is nothing to say of the end.
fn up_to(to: u64) -> String {
    match to {
        u64::MAX => String::new(),
        to => format!(" to {to}"),
    }
}

/// Reads a number of `range`, which `T` holds.
pub(super) fn whole<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, WholeError> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let error = WholeError {
            from: *range.start(),
            to: *range.end(),
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_of_the_range_is_told_the_range() {
        let percent = whole::<u32>(1..=100);
        assert_eq!(percent("1"), Ok(1));
        assert_eq!(percent("100"), Ok(100));
        for wrong in ["0", "101", "-1", "1.5", "many", "", "99999999999999999999"] {
            let error = percent(wrong).unwrap_err();
            assert_eq!(
                error.to_string(),
                "write a whole number from 1 to 100",
                "{wrong}"
            );
        }
        let seed = whole::<u64>(0..=u64::MAX);
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(
            seed("-1").unwrap_err().to_string(),
            "write a whole number from 0"
        );
    }
}
