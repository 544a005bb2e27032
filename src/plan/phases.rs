//! The phases after the forward one: further forward phases with the passes of their bases, backward phases, and passes
//! there and back.

use super::builder::{BesideBase, Builder};
use super::{Backward, BackwardRequest, Base, BufferId, Rerun, RerunRequest, Walk, WalkRequest};
use crate::network::NodeId;

impl Builder<'_> {
    /// Records a further forward phase, and a phase before it for its base where layers gain by one.
    pub(super) fn rerun(&mut self, request: RerunRequest) -> Rerun {
        let RerunRequest { from, images, .. } = request;
        let output = self.network.output();
        self.around = Some(self.values.clone());
        let base = self.base(request).map(|(input, values)| {
            let layers = vec![];
            self.beside = Some(BesideBase { values, layers });
            (input, self.end_phase())
        });
        let first = self.begin_again(images);
        let input = self.again(from, output, "again", &[]);
        let logits = self.value(output);
        self.hold_to_end_of_phase(&[logits]);
        let dispatches = self.end_phase();
        self.come_back(first);
        self.around = None;
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

    /// What reruns from `from` read of the forward phase: what goes around that node.
    pub(super) fn read_around(&self, from: NodeId) -> Vec<BufferId> {
        let network = self.network;
        let reached = network.descendants(from);
        let readers = network
            .nodes
            .iter()
            .zip(&reached)
            .filter(|(_, reached)| **reached);
        let later = readers.skip(1);
        let read = later.flat_map(|(node, _)| &node.inputs);
        let around = read.filter(|input| !reached[input.0]);
        around.filter_map(|input| self.values[input.0]).collect()
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
        let first = self.begin_again(1);
        let input = self.again(from, last, "base", &[]);
        Some((input, self.come_back(first).values))
    }

    /// Records a backward phase.
    pub(super) fn backward_phase(&mut self, request: &BackwardRequest) -> Backward {
        let back = self.backward(request);
        self.hold_to_end_of_phase(&[back.gradient]);
        self.hold_to_end_of_phase(&back.kept);
        Backward {
            request: request.clone(),
            seed: back.seed,
            gradient: back.gradient,
            shape: back.shape,
            kept: back.kept,
            dispatches: self.end_phase(),
        }
    }

    /// Records a pass there and back.
    pub(super) fn walk(&mut self, request: &WalkRequest) -> Walk {
        let output = self.network.output();
        let first = self.begin_again(request.images);
        let input = self.again(NodeId(0), output, "walked", &[&request.back]);
        let logits = self.value(output);
        self.hold_to_end_of_phase(&[logits]);
        let there = self.end_phase();
        let back = self.backward_phase(&request.back);
        self.come_back(first);
        Walk {
            images: request.images,
            input,
            logits,
            there,
            back,
        }
    }

    /// Sets aside what the first pass left, which stays for the backward phases, for a pass of so many images.
    fn begin_again(&mut self, images: usize) -> Pass {
        let none = vec![None; self.network.nodes.len()];
        self.come_back(Pass {
            images,
            values: none.clone(),
            saved: none.clone(),
            repeats: none,
        })
    }

    /// Takes up a pass that was set aside; returns the one that was there.
    fn come_back(&mut self, pass: Pass) -> Pass {
        Pass {
            images: std::mem::replace(&mut self.images, pass.images),
            values: std::mem::replace(&mut self.values, pass.values),
            saved: std::mem::replace(&mut self.saved, pass.saved),
            repeats: std::mem::replace(&mut self.repeats, pass.repeats),
        }
    }

    /// Records what computes every node up to `last` that reads of `from`, and is gone back through as `backs` do; returns where
    /// the values of `from` go.
    fn again(
        &mut self,
        from: NodeId,
        last: NodeId,
        what: &str,
        backs: &[&BackwardRequest],
    ) -> BufferId {
        let node = self.network.node(from);
        let input = self.tensor(&format!("{} {what}", node.name), self.images, node.shape);
        self.written_before_phase(input);
        self.values[from.0] = Some(input);
        self.find_repeats(backs);
        self.record_after(from, last);
        input
    }
}

/// A forward pass: its images, and where its values are, and what it left for the way back.
struct Pass {
    images: usize,
    values: Vec<Option<BufferId>>,
    saved: Vec<Option<BufferId>>,
    repeats: Vec<Option<BufferId>>,
}
