//! Which scratch buffers share memory: two whose lives do not overlap may have the same slot.

/// First and last use of a buffer, as positions in the list of dispatches, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Life {
    pub(super) fn extended(self, at: usize) -> Self {
        Self {
            first: self.first.min(at),
            last: self.last.max(at),
        }
    }
}

/// For each buffer (size in bytes and life; `None` needs no memory of its own and gets slot 0) its slot, and the sizes
/// of the slots. Greedy by first use: the smallest free slot that is large enough, else the largest free one, grown.
pub(super) fn assign(buffers: &[Option<(u64, Life)>]) -> (Vec<usize>, Vec<u64>) {
    struct Slot {
        bytes: u64,
        busy_until: usize,
    }
    let mut order: Vec<usize> = (0..buffers.len())
        .filter(|&i| buffers[i].is_some())
        .collect();
    order.sort_by_key(|&i| buffers[i].map(|(_, life)| life.first));
    let mut slots: Vec<Slot> = vec![];
    let mut assigned = vec![0; buffers.len()];
    for i in order {
        let Some((bytes, life)) = buffers[i] else {
            continue;
        };
        let free = |slot: &Slot| slot.busy_until < life.first;
        let candidates = || slots.iter().enumerate().filter(|(_, slot)| free(slot));
        let fitting = candidates()
            .filter(|(_, slot)| slot.bytes >= bytes)
            .min_by_key(|(_, slot)| slot.bytes);
        let chosen = fitting.or_else(|| candidates().max_by_key(|(_, slot)| slot.bytes));
        let slot = chosen.map_or(slots.len(), |(slot, _)| slot);
        if slot == slots.len() {
            slots.push(Slot {
                bytes: 0,
                busy_until: 0,
            });
        }
        slots[slot].bytes = slots[slot].bytes.max(bytes);
        slots[slot].busy_until = life.last;
        assigned[i] = slot;
    }
    (assigned, slots.into_iter().map(|slot| slot.bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(first: usize, last: usize) -> Life {
        Life { first, last }
    }

    #[test]
    fn buffers_whose_lives_overlap_never_share() {
        let lives = [
            (16, life(0, 1)),
            (32, life(1, 2)),
            (16, life(2, 3)),
            (8, life(3, 9)),
            (64, life(4, 4)),
        ];
        let (slot, sizes) = assign(&lives.map(Some));
        for a in 0..lives.len() {
            for b in 0..a {
                let (x, y) = (lives[a].1, lives[b].1);
                let overlap = x.first <= y.last && y.first <= x.last;
                assert!(
                    !overlap || slot[a] != slot[b],
                    "{a} and {b} share slot {}",
                    slot[a]
                );
            }
            assert!(sizes[slot[a]] >= lives[a].0);
        }
        assert_eq!(sizes.len(), 2);
    }
}
