//! "Did you mean": the names nearest to what was typed.

/// Those of `names` that `wanted` may have been meant as, nearest first, at most `most`: the same letters and digits whatever
/// stands between them, or a few slips of the keyboard away. `least` is how near a name must be, 1 for the same.
pub(crate) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
    least: f64,
    most: usize,
) -> Vec<&'a str> {
    let lower = wanted.to_lowercase();
    let letters = letters(wanted);
    let nearness = |name: &'a str| {
        let same = !letters.is_empty() && self::letters(name) == letters;
        let slips = strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &lower);
        (if same { 1.0 } else { slips }, name)
    };
    let mut near: Vec<_> = names.into_iter().map(nearness).collect();
    near.retain(|&(nearness, _)| nearness >= least);
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    // What is certain needs no company.
    if near.first().is_some_and(|&(nearness, _)| nearness == 1.0) {
        near.retain(|&(nearness, _)| nearness == 1.0);
    }
    near.into_iter().map(|(_, name)| name).take(most).collect()
}

fn letters(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_are_nearer_than_slips() {
        let names = ["conv5_1", "conv5_2", "conv5_3", "pool5"];
        for spelling in ["conv5-3", "Conv5_3", "CONV53", "conv5.3"] {
            assert_eq!(nearest(spelling, names, 0.7, 3), ["conv5_3"], "{spelling}");
        }
        assert_eq!(nearest("conv5_4", names, 0.7, 2), ["conv5_1", "conv5_2"]);
        assert_eq!(nearest("pol5", names, 0.7, 3), ["pool5"]);
        assert_eq!(nearest("layer4", names, 0.7, 3), [""; 0]);
        assert_eq!(nearest("-", names, 0.7, 3), [""; 0]);
    }
}
