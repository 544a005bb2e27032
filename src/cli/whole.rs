//! Whole numbers on the command line, refused in words.

use std::ops::RangeInclusive;

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
