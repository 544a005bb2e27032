//! Gradients of concatenations. That of an input is a slice of them, which is cut out when all that read the input have given theirs.
//! Where concatenations begin alike, as DenseNet's, the gradient of the shorter one is added to the beginning of the longer one's
//! before that, all inputs at once.

use super::BufferId;
use super::builder::Builder;
use super::concats::bytes_before;
use super::phases::OfNodes;
use crate::layout::padded_bytes;
use crate::network::NodeId;

/// Where the gradient of a node lies in that of a concatenation.
#[derive(Clone, Copy)]
pub(super) struct Slice {
    concat: NodeId,
    of: BufferId,
    /// Channels before it.
    before: usize,
}

impl Builder<'_> {
    /// Hands the gradient of concatenation `id` on to its inputs that are `on_the_way`, as slices.
    pub(super) fn slice(
        &mut self,
        id: NodeId,
        gradient: BufferId,
        on_the_way: &[bool],
        gradients: &mut OfNodes,
        n: usize,
    ) {
        let network = self.network;
        let mut before = 0;
        let mut places = vec![];
        for &input in &network.node(id).inputs {
            if on_the_way[input.0] {
                places.push((input, before));
            }
            before += network.node(input).shape.c;
        }
        let longer = self.begins_with(id, &places, n);
        let of = match longer {
            Some(longer) => {
                let name = format!("d_{}", network.node(id).name);
                let bytes = padded_bytes(1, network.node(id).shape);
                let beginning = self.buffers.part(&name, longer, 0, bytes);
                self.sum_of_gradients(id, [beginning, gradient], n)
            }
            None => gradient,
        };
        for (input, before) in places {
            if longer.is_none() {
                self.cut_out(input, gradients, n);
            }
            let slice = Slice {
                concat: id,
                of,
                before,
            };
            self.pass.slices.insert(input, slice);
        }
    }

    /// The gradient that begins with slices of the same inputs as that of `id`, if there is one.
    fn begins_with(&self, id: NodeId, places: &[(NodeId, usize)], n: usize) -> Option<BufferId> {
        let (first, _) = places.first()?;
        let longer = *self.pass.slices.get(first)?;
        let alike = places.iter().all(|(input, before)| {
            let slice = self.pass.slices.get(input);
            slice.is_some_and(|slice| slice.of == longer.of && slice.before == *before)
        });
        let [channels, of_longer] = [id, longer.concat].map(|id| self.network.node(id).shape.c);
        // The channels of several gradients do not lie together, and in a last block that is not full lies the next input's.
        let is_beginning = n == 1 && channels.is_multiple_of(4) && channels <= of_longer;
        (alike && is_beginning).then_some(longer.of)
    }

    /// Adds the slice of node `id`, if there is one, to its other gradients.
    pub(super) fn cut_out(&mut self, id: NodeId, gradients: &mut OfNodes, n: usize) {
        let Some(slice) = self.pass.slices.remove(&id) else {
            return;
        };
        let network = self.network;
        let (node, concat) = (network.node(id), network.node(slice.concat));
        let cut = match bytes_before(slice.before, node.shape, self.part_alignment()) {
            Some(offset) if n == 1 => {
                let name = format!("d_{}", node.name);
                let bytes = padded_bytes(1, node.shape);
                self.buffers.part(&name, slice.of, offset, bytes)
            }
            _ => self.channels_of_gradient(id, concat, slice.of, slice.before, n),
        };
        let sum = match gradients.get(&id) {
            None => cut,
            Some(&before) => self.sum_of_gradients(id, [before, cut], n),
        };
        gradients.insert(id, sum);
    }
}
