//! From what a user calls a class to its number.

use std::fmt;

use thiserror::Error;

use super::{Label, Labels};

/// Candidates listed in an error.
const LISTED: usize = 8;

/// Near misses suggested.
const SUGGESTED: usize = 3;

/// Why a text names no class.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClassNotFound {
    /// A number beyond the last class.
    #[error("no class {number}: the network's classes are 0 to {}", count.saturating_sub(1))]
    OutOfRange {
        /// The number as given.
        number: String,
        /// Classes the network has.
        count: usize,
    },
    /// Several classes go by this name.
    #[error("`{text}` may be any of {}: give the number", Listed(candidates))]
    Ambiguous {
        /// The text as given.
        text: String,
        /// Number and label of each.
        candidates: Vec<(usize, Label)>,
    },
    /// A name, in a network whose classes have none.
    #[error(
        "no class called `{text}`: this network brings no class names; \
         give a number from 0 to {}, or --labels FILE",
        count.saturating_sub(1)
    )]
    Unnamed {
        /// The text as given.
        text: String,
        /// Classes the network has.
        count: usize,
    },
    /// No class goes by this name.
    #[error("no class called `{text}`{}", Suggestion(similar))]
    Unknown {
        /// The text as given.
        text: String,
        /// Number and label of the nearest, best first; may be empty.
        similar: Vec<(usize, Label)>,
    },
}

/// How well a label fits what was typed, from worst to best. The best that occurs decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// Whole words of one of its names.
    Words,
    /// One of its names.
    Synonym,
    /// Its usual name, or all its names.
    Name,
    /// Its usual name to the letter, so that every name this program prints finds its class unless
    /// two share it: `Cardigan` is a dog, `cardigan` a garment.
    ExactName,
    /// Its synset.
    Synset,
}

impl Labels {
    /// The class that a user means by `text`: its number; else its synset; else one of its names, a
    /// usual name before a synonym; else words that occur in the names of one class only. Case is
    /// ignored where that leaves one class, `_` and `-` are spaces.
    pub fn find(&self, text: &str) -> Result<usize, ClassNotFound> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.numbered(text);
        }
        let matches: Vec<_> = self
            .classes
            .iter()
            .map(|label| match_of(label, text))
            .collect();
        let Some(best) = matches.iter().copied().max().flatten() else {
            return Err(self.unknown(text));
        };
        let ids: Vec<_> = (0..self.len())
            .filter(|&id| matches[id] == Some(best))
            .collect();
        match ids[..] {
            [id] => Ok(id),
            _ => Err(ClassNotFound::Ambiguous {
                text: text.to_owned(),
                candidates: self.listed(&ids),
            }),
        }
    }

    /// The class whose number, synset or whole name `text` is, if it is that of one class alone.
    pub fn named(&self, text: &str) -> Option<usize> {
        let is_name = |&id: &usize| match_of(&self.classes[id], text) > Some(Match::Words);
        let id = self.find(text).ok()?;
        let is_number = text.trim().bytes().all(|byte| byte.is_ascii_digit());
        Some(id).filter(|id| is_number || is_name(id))
    }

    /// [`find`](Self::find) for each of `texts`; a class that two of them mean comes once.
    pub fn find_each<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<usize>, ClassNotFound> {
        let mut ids = Vec::with_capacity(texts.len());
        for text in texts {
            let id = self.find(text.as_ref())?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    fn numbered(&self, digits: &str) -> Result<usize, ClassNotFound> {
        match digits.parse() {
            Ok(id) if id < self.len() => Ok(id),
            _ => Err(ClassNotFound::OutOfRange {
                number: digits.to_owned(),
                count: self.len(),
            }),
        }
    }

    fn unknown(&self, text: &str) -> ClassNotFound {
        let text = text.to_owned();
        if self.named {
            let similar = self.listed(&self.similar(&folded(&text)));
            ClassNotFound::Unknown { text, similar }
        } else {
            ClassNotFound::Unnamed {
                text,
                count: self.len(),
            }
        }
    }

    /// Classes with a name a few slips of the keyboard away, nearest first.
    fn similar(&self, wanted: &str) -> Vec<usize> {
        // One slip in a name of three letters is still near: kat, dig.
        const NEAR: f64 = 0.65;
        let nearness = |label: &Label| {
            let of = |name| strsim::normalized_damerau_levenshtein(&folded(name), wanted);
            label.synonyms().map(of).fold(0.0, f64::max)
        };
        let mut near: Vec<_> = self.classes.iter().map(nearness).zip(0..).collect();
        near.retain(|&(nearness, _)| nearness >= NEAR);
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.into_iter().map(|(_, id)| id).take(SUGGESTED).collect()
    }

    fn listed(&self, ids: &[usize]) -> Vec<(usize, Label)> {
        ids.iter()
            .map(|&id| (id, self.classes[id].clone()))
            .collect()
    }
}

fn match_of(label: &Label, text: &str) -> Option<Match> {
    let wanted = folded(text);
    let is_wanted = |name: &str| folded(name) == wanted;
    if label.synset.as_deref().is_some_and(is_wanted) {
        Some(Match::Synset)
    } else if spaced(label.name()) == spaced(text) {
        Some(Match::ExactName)
    } else if is_wanted(label.name()) || is_wanted(&label.names) {
        Some(Match::Name)
    } else if label.synonyms().any(is_wanted) {
        Some(Match::Synonym)
    } else if label
        .synonyms()
        .any(|name| has_words(&folded(name), &wanted))
    {
        Some(Match::Words)
    } else {
        None
    }
}

/// `_` as a space, runs of spaces as one.
fn spaced(name: &str) -> String {
    name.replace('_', " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// [`spaced`], whatever the case, `-` as a space too but for the sign of a number.
fn folded(name: &str) -> String {
    let (sign, rest) = match name.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", name),
    };
    sign.to_owned() + &spaced(&rest.replace('-', " ")).to_lowercase()
}

fn has_words(name: &str, words: &str) -> bool {
    !words.is_empty() && format!(" {name} ").contains(&format!(" {words} "))
}

struct Listed<'a>(&'a [(usize, Label)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, label)) in self.0.iter().take(LISTED).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{id} {label}")?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

struct Suggestion<'a>(&'a [(usize, Label)]);

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("; give its number, another of its names or its synset");
        }
        write!(f, "; near it: {}", Listed(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn not_found(text: &str) -> ClassNotFound {
        Labels::imagenet().find(text).expect_err(text)
    }

    #[test]
    fn a_class_is_found_by_number_synset_and_any_name() {
        let labels = Labels::imagenet();
        for text in [
            "920",
            " 920 ",
            "n06874185",
            "N06874185",
            "traffic light",
            "Traffic_Light",
            "traffic-light",
            "stoplight",
        ] {
            assert_eq!(labels.find(text), Ok(920), "{text}");
        }
        assert_eq!(
            labels.find("traffic light, traffic signal, stoplight"),
            Ok(920)
        );
    }

    #[test]
    fn every_printed_name_finds_its_class_but_the_two_that_two_classes_share() {
        let labels = Labels::imagenet();
        let printed = |id: usize| labels.classes[id].printed_name();
        let lost: Vec<_> = (0..labels.len())
            .filter(|&id| labels.find(&printed(id)) != Ok(id))
            .map(printed)
            .collect();
        assert_eq!(lost, ["crane", "crane", "maillot", "maillot"]);
        assert_eq!(
            (labels.find("Cardigan"), labels.find("cardigan")),
            (Ok(264), Ok(474))
        );
        assert_eq!(labels.find("maillot, tank suit"), Ok(639));
    }

    #[test]
    fn classes_asked_for_twice_come_once() {
        let labels = Labels::imagenet();
        assert_eq!(
            labels.find_each(&["stoplight", "0", "920", "tench"]),
            Ok(vec![920, 0])
        );
        assert!(labels.find_each(&["stoplight", "quux"]).is_err());
    }

    #[test]
    fn an_ambiguous_name_lists_the_candidates_with_their_numbers() {
        assert_eq!(
            not_found("crane").to_string(),
            "`crane` may be any of 134 n02012849 crane; 517 n03126707 crane: give the number"
        );
        let dogs = not_found("terrier").to_string();
        assert!(dogs.contains(" more: give the number"), "{dogs}");
    }

    #[test]
    fn words_of_one_class_only_are_enough() {
        let labels = Labels::imagenet();
        assert_eq!(labels.find("soap dispenser"), Ok(804));
        assert_eq!(labels.find("chesapeake bay"), Ok(209));
        assert!(matches!(
            labels.find("soa"),
            Err(ClassNotFound::Unknown { .. })
        ));
    }

    #[test]
    fn a_near_miss_is_answered_with_what_is_near() {
        assert_eq!(
            not_found("trafic ligth").to_string(),
            "no class called `trafic ligth`; \
             near it: 920 n06874185 traffic light, traffic signal, stoplight"
        );
        assert_eq!(
            not_found("quux").to_string(),
            "no class called `quux`; give its number, another of its names or its synset"
        );
        let everyday = Labels::from_json(r#"["cat", "dog", "food"]"#, 3, Path::new("w")).unwrap();
        assert_eq!(
            everyday.find("kat").unwrap_err().to_string(),
            "no class called `kat`; near it: 0 cat"
        );
        assert!(matches!(not_found(""), ClassNotFound::Unknown { .. }));
    }

    #[test]
    fn a_number_out_of_range_is_told_the_range() {
        for number in ["1000", "99999999999999999999999"] {
            assert_eq!(
                not_found(number).to_string(),
                format!("no class {number}: the network's classes are 0 to 999")
            );
        }
    }
}
