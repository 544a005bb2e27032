//! Files that hold several networks side by side, as training leaves them: a teacher and a student, the halves of a pair, a list.

use std::collections::{BTreeMap, BTreeSet};

use super::ArchitectureError;
use crate::weights::Weights;

/// What stands before the names of each whole network, where the tensors are those of several. A whole network has convolutions and
/// a dense layer, and no convolution stands outside of all: stages of one network have their first layer or their head outside.
fn networks(weights: &Weights) -> Vec<String> {
    let common = common(weights);
    let mut groups: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (name, tensor) in &weights.tensors {
        let end = name[common..].find(['.', '/']);
        let end = end.map_or(name.len(), |end| common + end + 1);
        groups
            .entry(&name[..end])
            .or_default()
            .insert(tensor.shape().len());
    }
    let is_whole = |ranks: &BTreeSet<usize>| ranks.contains(&4) && ranks.contains(&2);
    let all_whole = groups
        .values()
        .all(|ranks| is_whole(ranks) || !ranks.contains(&4));
    let whole = groups.iter().filter(|(_, ranks)| is_whole(ranks));
    let whole: Vec<String> = whole.map(|(&prefix, _)| prefix.to_owned()).collect();
    match all_whole && whole.len() > 1 {
        true => whole,
        false => vec![],
    }
}

/// The running averages among the prefixes of several networks, and the others.
fn averages(weights: &Weights, networks: Vec<String>) -> (Vec<String>, Vec<String>) {
    let common = common(weights);
    networks
        .into_iter()
        .partition(|prefix| is_average(&prefix[common..]))
}

/// An error where the tensors are those of several whole networks, running averages of one aside.
pub(super) fn refuse(weights: &Weights) -> Result<(), ArchitectureError> {
    let (_, prefixes) = averages(weights, networks(weights));
    match prefixes.len() > 1 {
        true => Err(ArchitectureError::SeveralNetworks { prefixes }),
        false => Ok(()),
    }
}

/// The weights without running averages of the network that is in them, and a note that tells of the first; `None` where there is
/// nothing to leave out.
///
/// # Errors
/// Where averages are all that there is, and several.
pub(super) fn without_averages(
    weights: &Weights,
) -> Result<Option<(Weights, String)>, ArchitectureError> {
    let (averages, networks) = averages(weights, networks(weights));
    let (Some(average), Some(network)) = (averages.first(), networks.first()) else {
        return match averages.len() > 1 {
            true => Err(ArchitectureError::SeveralNetworks { prefixes: averages }),
            false => Ok(None),
        };
    };
    let stays = |name: &str| !averages.iter().any(|average| name.starts_with(average));
    let mut left = weights.clone();
    left.tensors.retain(|name, _| stays(name));
    left.order.retain(|name| stays(name));
    Ok(Some((left, left_out(network, average))))
}

/// What is told of a network beside its average.
pub(super) fn left_out(network: &str, average: &str) -> String {
    format!(
        "of two networks that named {network}* was taken, and {average}*, by its name a running average, is left out; to explain \
         that one{}",
        extraction(average)
    )
}

/// Bytes of the names' common beginning, up to a dot or a slash.
fn common(weights: &Weights) -> usize {
    let mut names = weights.tensors.keys();
    let (Some(first), last) = (names.next(), names.next_back()) else {
        return 0;
    };
    // Names are sorted: what the first and the last have in common, all have.
    let last = last.unwrap_or(first);
    let alike = first
        .bytes()
        .zip(last.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let same = &first.as_bytes()[..alike];
    same.iter()
        .rposition(|byte| b"./".contains(byte))
        .map_or(0, |place| place + 1)
}

/// Whether the tensors below a prefix are a running average of another network's, as training keeps one.
pub(super) fn is_average(prefix: &str) -> bool {
    let mut words = prefix.split(['.', '/', '_', '-']);
    words.any(|word| {
        let word = word.to_lowercase();
        matches!(
            &*word,
            "ema" | "swa" | "avg" | "average" | "averaged" | "momentum"
        )
    })
}

/// `student.* and teacher.*`.
pub(super) fn listed(prefixes: &[String]) -> String {
    let all: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}*")).collect();
    all.join(" and ")
}

/// How the tensors below a prefix get into a file of their own. Dictionaries within each other are told by `/`.
pub(super) fn extraction(prefix: &str) -> String {
    let mut folders: Vec<&str> = prefix.split('/').collect();
    let dotted = folders.pop().unwrap_or_default();
    let places = folders.iter().map(|key| match key.parse::<usize>() {
        Ok(place) => format!("[{place}]"),
        Err(_) => format!("[{key:?}]"),
    });
    let state = format!("torch.load(file){}", places.collect::<String>());
    let state = match dotted {
        "" => state,
        _ => format!(
            "{{k.removeprefix({dotted:?}): v for k, v in {state}.items() if k.startswith({dotted:?})}}"
        ),
    };
    format!(", in Python, torch.save({state}, 'one.pth')")
}
