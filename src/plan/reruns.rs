//! Further forward phases, and the passes of their bases.

use super::builder::{BesideBase, Builder};
use super::{Base, BufferId, Rerun, RerunRequest};
use crate::network::NodeId;

impl Builder<'_> {
    /// Records a further forward phase, and a phase before it for its base where layers gain by one.
    pub(super) fn rerun(&mut self, request: RerunRequest) -> Rerun {
        let RerunRequest { from, images, .. } = request;
        let output = self.network.output();
        let base = self.base(request).map(|(input, values)| {
            let layers = vec![];
            self.beside = Some(BesideBase { values, layers });
            (input, self.end_phase())
        });
        let (input, values) = self.again(from, output, images, "again");
        let logits = values[output.0].expect("the output depends on every node");
        self.hold_to_end_of_phase(&[logits]);
        let dispatches = self.end_phase();
        let layers = self.beside.take().map(|beside| beside.layers);
        let base = base.zip(layers);
        Rerun {
            request,
            input,
            logits,
            base: base.map(|((input, dispatches), layers)| Base {
                input,
                dispatches,
                layers,
            }),
            dispatches,
        }
    }

    /// Records the pass of a rerun's base up to the last layer that computes tiles beside it, if there is any; returns where
    /// the base goes, and the values.
    fn base(&mut self, request: RerunRequest) -> Option<(BufferId, Vec<Option<BufferId>>)> {
        let RerunRequest {
            from,
            images,
            based,
            ..
        } = request;
        let reached = self.network.descendants(from);
        let in_tiles = |&id: &NodeId| based && reached[id.0] && self.computes_tiles(id, images);
        let last = (from.0 + 1..reached.len())
            .rev()
            .map(NodeId)
            .find(in_tiles)?;
        Some(self.again(from, last, 1, "base"))
    }

    /// Records what computes every node up to `last` that reads of `from`, for so many images, apart from the first pass;
    /// returns where the values of `from` go, and those computed.
    fn again(
        &mut self,
        from: NodeId,
        last: NodeId,
        images: usize,
        what: &str,
    ) -> (BufferId, Vec<Option<BufferId>>) {
        let node = self.network.node(from);
        let input = self.tensor(&format!("{} {what}", node.name), images, node.shape);
        self.written_before_phase(input);
        // What the first pass left stays for the backward phases.
        let first_images = std::mem::replace(&mut self.images, images);
        let none = vec![None; self.network.nodes.len()];
        let first_values = std::mem::replace(&mut self.values, none.clone());
        let first_argmax = std::mem::replace(&mut self.argmax, none);
        self.values[from.0] = Some(input);
        self.record_after(from, last);
        self.images = first_images;
        self.argmax = first_argmax;
        let values = std::mem::replace(&mut self.values, first_values);
        (input, values)
    }
}
