//! Colours on the command line, as three numbers.

/// Why a text is no `R,G,B`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RgbError {
    /// Not three parts.
    #[error("{0} numbers where three are needed, as in 123.68,116.779,103.939")]
    Count(usize),
    /// A part that is no number.
    #[error("`{0}` is not a number; write three, as in 123.68,116.779,103.939")]
    NotANumber(String),
}

/// Three numbers separated by commas: `123.68,116.779,103.939`.
pub(super) fn parse_rgb(text: &str) -> Result<[f32; 3], RgbError> {
    let numbers = text
        .split(',')
        .map(|part| {
            part.trim()
                .parse()
                .map_err(|_| RgbError::NotANumber(part.trim().to_owned()))
        })
        .collect::<Result<Vec<f32>, _>>()?;
    <[f32; 3]>::try_from(numbers).map_err(|numbers| RgbError::Count(numbers.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_make_a_colour() {
        assert_eq!(parse_rgb("1, 2.5,-3"), Ok([1.0, 2.5, -3.0]));
        assert_eq!(parse_rgb("1,2"), Err(RgbError::Count(2)));
        assert_eq!(parse_rgb("1,2,3,4"), Err(RgbError::Count(4)));
        assert_eq!(
            parse_rgb("1,two,3"),
            Err(RgbError::NotANumber("two".into()))
        );
    }
}
