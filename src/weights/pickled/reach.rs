//! What leads where in a pickle.

use super::{Id, Pickle, Value};

impl<G> Pickle<G> {
    /// For each value, whether one that `wanted` says yes to is reached from it, or is it: through items of lists, tuples
    /// and dictionaries, and through arguments, state and items of objects. Takes time and memory for each link once,
    /// however values hold each other.
    pub(in crate::weights) fn leads_to(&self, wanted: impl Fn(&Value<G>) -> bool) -> Vec<bool> {
        let holders = self.holders();
        let mut leads = vec![false; self.values.len()];
        let mut open: Vec<usize> = (0..self.values.len())
            .filter(|&id| wanted(&self.values[id]))
            .collect();
        for &id in &open {
            leads[id] = true;
        }
        while let Some(id) = open.pop() {
            for &holder in holders.of(id) {
                if !std::mem::replace(&mut leads[holder as usize], true) {
                    open.push(holder as usize);
                }
            }
        }
        leads
    }

    /// For each value, those that hold it.
    fn holders(&self) -> Holders {
        let mut starts = vec![0; self.values.len() + 1];
        for value in &self.values {
            value.each_held(|held| starts[held.0 as usize + 1] += 1);
        }
        for id in 0..self.values.len() {
            starts[id + 1] += starts[id];
        }
        let mut next = starts.clone();
        let mut ids = vec![0; starts.last().copied().unwrap_or(0) as usize];
        for (holder, value) in self.values.iter().enumerate() {
            value.each_held(|held| {
                let next = &mut next[held.0 as usize];
                ids[*next as usize] = holder as u32;
                *next += 1;
            });
        }
        Holders { starts, ids }
    }
}

/// Lists of values, one after the other.
struct Holders {
    /// Where the list of each value begins in `ids`, and where the last one ends.
    starts: Vec<u32>,
    ids: Vec<u32>,
}

impl Holders {
    fn of(&self, id: usize) -> &[u32] {
        &self.ids[self.starts[id] as usize..self.starts[id + 1] as usize]
    }
}

impl<G> Value<G> {
    /// Calls `found` with every value that this one holds.
    fn each_held(&self, mut found: impl FnMut(Id)) {
        let mut pairs = |items: &[(Id, Id)]| {
            for &(key, value) in items {
                found(key);
                found(value);
            }
        };
        match self {
            Self::Dict(items) => pairs(items),
            Self::Tuple(items) => items.iter().copied().for_each(found),
            Self::List(items) => items.iter().copied().for_each(found),
            Self::Object(object) => {
                pairs(&object.items);
                found(object.args);
                object.state.into_iter().for_each(&mut found);
                object.appended.iter().copied().for_each(found);
            }
            Self::None
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Other
            | Self::Float(_)
            | Self::Bytes(_)
            | Self::Text(_)
            | Self::Global(_) => {}
        }
    }
}
