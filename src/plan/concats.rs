//! Concatenations without copies: what makes an operand writes it where the concatenation has it, and of concatenations that begin
//! alike, as DenseNet's, the shorter ones are parts of the longest. For one image: those of several lie each by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::schedule::Step;
use crate::layout::padded_bytes;
use crate::network::{Network, NodeId, Op, Shape};

/// Where values lie in concatenations.
#[derive(Default)]
pub(super) struct Concats {
    /// Of each concatenation its operands, those of one that is an operand in its place.
    pub(super) operands: BTreeMap<NodeId, Vec<NodeId>>,
    /// Of each concatenation the one that it is the beginning of, perhaps itself.
    pub(super) whole: BTreeMap<NodeId, NodeId>,
    /// Of each operand that is written in place the whole, and the bytes before it.
    pub(super) homes: BTreeMap<NodeId, (NodeId, u64)>,
    /// Operands of wholes that were copied there.
    pub(super) copied: BTreeSet<(NodeId, usize)>,
}

impl Concats {
    /// Of a pass of one image in these steps, where a part may begin at multiples of `part` bytes of float32.
    pub(super) fn new(network: &Network, steps: &[Step], part: u64) -> Self {
        let mut concats = Self::default();
        let is_concat = |id: &NodeId| matches!(network.node(*id).op, Op::Concat);
        let nodes = steps.iter().map(|step| step.node).filter(is_concat);
        for id in nodes.clone() {
            let inputs = network.node(id).inputs.iter();
            let operands = inputs.flat_map(|input| match concats.operands.get(input) {
                Some(operands) => operands.clone(),
                None => vec![*input],
            });
            let operands = operands.collect();
            concats.operands.insert(id, operands);
        }
        // The longest come last: each reads what the shorter ones do, and more.
        for id in nodes.rev() {
            let whole = concats.whole.values().copied().find(|whole| {
                // Behind its last channel lies the next operand's first.
                concats.operands[whole].starts_with(&concats.operands[&id])
                    && network.node(id).shape.c.is_multiple_of(4)
            });
            concats.whole.insert(id, whole.unwrap_or(id));
        }
        for step in steps {
            concats.find_home(network, step, part);
        }
        concats
    }

    /// Has the value of a step written where a concatenation has it, where that can be.
    fn find_home(&mut self, network: &Network, step: &Step, part: u64) {
        let made = step.made();
        let readers = network.consumers(made);
        let wholes: BTreeSet<NodeId> = readers
            .filter_map(|id| self.whole.get(&id).copied())
            .collect();
        let of_made = network.node(made).shape;
        for whole in wholes {
            let inputs = &self.operands[&whole];
            let mut places = inputs
                .iter()
                .enumerate()
                .filter(|(_, input)| **input == made);
            let Some((at, _)) = places.next() else {
                continue;
            };
            let before = inputs[..at].iter().map(|id| network.node(*id).shape.c);
            let bytes = bytes_before(before.sum(), of_made, part);
            // A kernel may not read the buffer that it writes.
            let reads = step.reads(network);
            let reads_it = reads
                .iter()
                .any(|&input| self.lies_in(input) == Some(whole));
            if let Some(bytes) = bytes
                && places.next().is_none()
                && !reads_it
                && !self.whole.contains_key(&made)
            {
                self.homes.insert(made, (whole, bytes));
                return;
            }
        }
    }

    /// The whole that a value is part of.
    fn lies_in(&self, id: NodeId) -> Option<NodeId> {
        let home = self.homes.get(&id).map(|(whole, _)| *whole);
        home.or(self.whole.get(&id).copied())
    }
}

/// The bytes of float32 before an operand of `shape` that comes after `before` channels of one image, if it is a part that can be bound
/// by itself, as one is that begins at a multiple of `part` bytes: nothing of its neighbours may lie in its first or last block.
pub(super) fn bytes_before(before: usize, shape: Shape, part: u64) -> Option<u64> {
    let bytes = padded_bytes(1, Shape { c: before, ..shape });
    let in_blocks = before.is_multiple_of(4) && shape.c.is_multiple_of(4);
    (in_blocks && bytes.is_multiple_of(part)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{FilterLayout, Window};
    use crate::plan::ForwardRequest;
    use crate::plan::PART;
    use crate::plan::schedule::{TakesNothing, steps};
    use crate::weights::Tensor;

    /// A dense block of maps of `side` x `side`: each layer of two convolutions reads all before it, one by one or the last
    /// concatenation.
    fn dense(side: usize, nested: bool) -> Network {
        let mut network = Network::new("dense", Shape::new(8, side, side));
        let convolution = |inputs: usize| Op::Conv2d {
            weight: Tensor::repeated(vec![4, inputs, 1, 1], 0.0),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(1, 1, 0),
            groups: 1,
        };
        let first = network.chain("first", convolution(8)).unwrap();
        let mut features = vec![first];
        for i in 0..3 {
            let channels = network.node(network.output()).shape.c;
            let neck = convolution(channels);
            network.chain(format!("neck{i}"), neck).unwrap();
            let grown = network.chain(format!("grown{i}"), convolution(4));
            features.push(grown.unwrap());
            let concat = network.push(format!("concat{i}"), Op::Concat, features.clone());
            if nested {
                features = vec![concat.unwrap()];
            }
        }
        network
    }

    fn concats(network: &Network) -> Concats {
        Concats::new(
            network,
            &steps(network, &ForwardRequest::default(), &TakesNothing),
            PART,
        )
    }

    #[test]
    fn concatenations_that_begin_alike_are_parts_of_the_longest() {
        // first, then a neck, what is grown and a concatenation three times.
        let [first, grown, concat] = [[1, 1, 1], [3, 6, 9], [4, 7, 10]].map(|ids| ids.map(NodeId));
        let last = concat[2];
        for nested in [false, true] {
            let found = concats(&dense(8, nested));
            assert_eq!(found.whole, concat.map(|id| (id, last)).into());
            let mut homes = BTreeMap::from([(first[0], (last, 0))]);
            homes.extend((1..).zip(grown).map(|(at, id)| (id, (last, at * 1024))));
            assert_eq!(found.homes, homes);
        }
    }

    #[test]
    fn what_reads_a_concatenation_is_not_written_into_it() {
        let mut network = Network::new("one", Shape::new(4, 8, 8));
        let one = network.chain("one", Op::RELU).unwrap();
        let two = network.chain("two", Op::RELU).unwrap();
        let both = network.push("both", Op::Concat, vec![one, two]).unwrap();
        assert_eq!(concats(&network).homes, [(one, (both, 0))].into());
    }

    #[test]
    fn an_operand_that_would_begin_where_no_adapter_binds_is_copied() {
        let mut network = Network::new("two", Shape::new(8, 7, 7));
        let picture = network.output();
        let one = network.chain("one", Op::RELU).unwrap();
        let two = network.push("two", Op::RELU, vec![picture]).unwrap();
        let both = network.push("both", Op::Concat, vec![one, two]).unwrap();
        assert_eq!(concats(&network).homes, [(one, (both, 0))].into());
    }
}
