//! Names that no other layer of a network has.

use std::collections::{HashMap, HashSet};

/// The names taken so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// The number that each name was given last: a thousand layers of one name are not counted through a thousand times.
    numbers: HashMap<String, usize>,
}

impl Names {
    /// Takes `name` if it is free.
    pub(super) fn take(&mut self, name: &str) -> bool {
        self.taken.insert(name.into())
    }

    /// Takes `name`, or else `name_2`, `name_3` and so on, whichever is free first.
    pub(super) fn numbered(&mut self, name: &str) -> String {
        if self.take(name) {
            return name.into();
        }
        loop {
            let number = self.numbers.entry(name.into()).or_insert(1);
            *number += 1;
            let numbered = format!("{name}_{number}");
            if self.take(&numbered) {
                return numbered;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_numbered_around_those_that_are_taken() {
        let mut names = Names::default();
        assert!(names.take("conv_3"));
        let made: Vec<String> = (0..4).map(|_| names.numbered("conv")).collect();
        assert_eq!(made, ["conv", "conv_2", "conv_4", "conv_5"]);
        assert!(!names.take("conv_5"));
    }
}
