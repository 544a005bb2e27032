//! The phases of a plan: forward passes, each after the pass of its base where layers gain by one, and their backward passes.

use std::collections::BTreeMap;

use super::builder::Builder;
use super::concats::Concats;
use super::schedule::{self, Step};
use super::slices::Slice;
use super::{
    Backward, BackwardRequest, Base, BufferId, ByHost, Forward, ForwardRequest, PART, TileLayer,
};
use crate::layout::padded_bytes;
use crate::network::{NodeId, Op, Shape};

/// Buffers by the node that they belong to.
pub(super) type OfNodes = BTreeMap<NodeId, BufferId>;

/// What is known of the forward pass that is recorded, and of its backward passes after it.
#[derive(Default)]
pub(super) struct Pass {
    /// Images at once.
    pub(super) images: usize,
    /// Gradients of the backward pass for each image.
    pub(super) sharing: usize,
    /// Where the value of each step is.
    pub(super) values: OfNodes,
    /// What nodes leave for the backward pass beside their values: where a max-pool's maxima were, what an LRN divided by.
    pub(super) saved: OfNodes,
    /// Of each max-pool whose repeated taps are to be known the buffer that holds them, and where its maxima were after it.
    pub(super) repeats: OfNodes,
    /// Where values lie in concatenations.
    pub(super) concats: Concats,
    /// The buffers of concatenations in which other values lie.
    pub(super) wholes: OfNodes,
    /// Gradients that are still part of a concatenation's.
    pub(super) slices: BTreeMap<NodeId, Slice>,
    /// Of a pass whose values share a base.
    pub(super) beside: Option<BasePass>,
    /// The nodes that the host computes.
    pub(super) by_host: Vec<ByHost>,
    /// Of what the step that is being recorded reads that which later ones read too.
    pub(super) read_again: Vec<BufferId>,
    /// The buffer whose values are in the image that is kept.
    pub(super) kept: Option<BufferId>,
}

/// The base of a pass: what its values have in common is computed once, in a pass of its own.
pub(super) struct BasePass {
    /// Where the base's own values are.
    pub(super) values: OfNodes,
    /// The layers recorded so far that compute listed tiles.
    pub(super) layers: Vec<TileLayer>,
}

impl Pass {
    fn of(images: usize) -> Self {
        Self {
            images,
            sharing: 1,
            ..Self::default()
        }
    }
}

impl Builder<'_> {
    /// Records a forward pass, without its backward passes.
    pub(super) fn forward(&mut self, request: &ForwardRequest, input: &str) -> Forward {
        let output = self.network.output();
        let base = self.base(request).map(|(input, values)| {
            let layers = vec![];
            (input, self.end_phase(), BasePass { values, layers })
        });
        self.pass = Pass::of(request.images);
        let base = base.map(|(input, dispatches, beside)| {
            self.pass.beside = Some(beside);
            (input, dispatches)
        });
        let input = self.record_from(request.from, output, input, request);
        let logits = self.value(output);
        let kept = request.keep.iter().map(|&node| self.value(node));
        let kept: Vec<BufferId> = kept.collect();
        self.hold_to_end_of_phase(&kept);
        self.hold_to_end_of_phase(&[logits]);
        let dispatches = self.end_phase();
        let layers = self.pass.beside.take().map(|beside| beside.layers);
        let base = base.zip(layers);
        Forward {
            request: request.clone(),
            input,
            logits,
            kept,
            base: base.map(|((input, dispatches), layers)| Base {
                input,
                dispatches,
                layers,
            }),
            by_host: std::mem::take(&mut self.pass.by_host),
            dispatches,
            backs: vec![],
        }
    }

    /// Records the pass of a base up to the last layer that computes tiles beside it, if there is any; returns where the base
    /// goes, and the values.
    fn base(&mut self, request: &ForwardRequest) -> Option<(BufferId, OfNodes)> {
        if !request.based {
            return None;
        }
        let reached = self.network.descendants(request.from);
        let in_tiles = |&id: &NodeId| reached[id.0] && self.computes_tiles(id, request.images);
        let later = (request.from.0 + 1..reached.len()).rev().map(NodeId);
        let last = { later }.find(in_tiles)?;
        self.pass = Pass::of(1);
        let alone = ForwardRequest {
            from: request.from,
            ..ForwardRequest::default()
        };
        let input = self.record_from(request.from, last, "base", &alone);
        Some((input, std::mem::take(&mut self.pass.values)))
    }

    /// Records what computes every node up to `last` that reads of `from`, as `request` asks for it; returns where the values of
    /// `from` go.
    fn record_from(
        &mut self,
        from: NodeId,
        last: NodeId,
        what: &str,
        request: &ForwardRequest,
    ) -> BufferId {
        let node = self.network.node(from);
        let name = match what {
            "" => node.name.clone(),
            _ => format!("{} {what}", node.name),
        };
        let input = self.buffers.tensor(&name, self.pass.images, node.shape);
        self.written_before_phase(input);
        self.pass.values.insert(from, input);
        self.find_repeats(request);
        let steps = schedule::steps(self.network, request, self);
        if self.pass.images == 1 {
            self.pass.concats = Concats::new(self.network, &steps, self.part_alignment());
        }
        let reads = steps.iter().flat_map(|step| step.reads(self.network));
        let mut readers: BTreeMap<NodeId, usize> = BTreeMap::new();
        for id in reads {
            *readers.entry(id).or_default() += 1;
        }
        for step in steps {
            self.pass.read_again.clear();
            for id in step.reads(self.network) {
                let left = readers.get_mut(&id).expect("it was counted");
                *left -= 1;
                if *left > 0 {
                    self.pass.read_again.extend(self.pass.values.get(&id));
                }
            }
            if request.by_host.is_some_and(|last| step.made() <= last) {
                self.leave_to_host(&step);
            } else if step.node <= last {
                self.record_forward(&step);
            }
        }
        input
    }

    /// Makes room for what the host computes of a step.
    fn leave_to_host(&mut self, step: &Step) {
        let network = self.network;
        let node = step.made();
        let value = self.value_buffer(node, node);
        let is_pool = matches!(network.node(node).op, Op::MaxPool(_));
        let maxima = is_pool.then(|| self.argmax(node));
        for buffer in [Some(value), maxima].into_iter().flatten() {
            self.written_before_phase(buffer);
        }
        self.pass.by_host.push(ByHost {
            node,
            value,
            maxima,
        });
    }

    /// The picture's values that a pass from `from` reads: of the nodes beside those that `from` reaches.
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
        around
            .filter_map(|input| self.pass.values.get(input).copied())
            .collect()
    }

    /// Records the backward passes of the pass recorded last.
    pub(super) fn backs(&mut self, request: &ForwardRequest) -> Vec<Backward> {
        let backs = request.backs.iter();
        backs.map(|back| self.back(back)).collect()
    }

    /// Records a backward pass.
    fn back(&mut self, request: &BackwardRequest) -> Backward {
        self.pass.sharing = request.classes;
        self.pass.slices.clear();
        let network = self.network;
        let output = network.output();
        let seed = self.buffers.tensor(
            &format!("d_{}", network.node(output).name),
            self.gradients(request),
            network.node(output).shape,
        );
        self.written_before_phase(seed);
        let mut gradients = OfNodes::from([(output, seed)]);
        let means = self.record_back(request, &mut gradients);
        let at = |id: NodeId| gradients[&id];
        let of_target = network.node(request.to).shape;
        let (gradient, shape) = match means {
            Some(means) => (means, Shape::vector(of_target.c)),
            None => (at(request.to), of_target),
        };
        // With means nothing is kept.
        let kept: Vec<BufferId> = request.keep.iter().map(|&id| at(id)).collect();
        self.hold_to_end_of_phase(&[gradient]);
        self.hold_to_end_of_phase(&kept);
        Backward {
            request: request.clone(),
            seed,
            gradient,
            shape,
            kept,
            dispatches: self.end_phase(),
        }
    }

    /// Records the backward pass from the gradient at the output, and notes where the others are; returns the means at the
    /// target where it ends with them.
    fn record_back(
        &mut self,
        request: &BackwardRequest,
        gradients: &mut OfNodes,
    ) -> Option<BufferId> {
        let network = self.network;
        let dense = self.ends_at(request);
        let on_the_way = network.descendants(request.to);
        let n = self.gradients(request);
        for id in (request.to.0 + 1..network.nodes.len()).rev().map(NodeId) {
            self.cut_out(id, gradients, n);
            let Some(&gradient) = gradients.get(&id) else {
                continue;
            };
            let later = gradients.range(..id);
            let read_again = later.filter(|(_, there)| **there == gradient);
            self.pass.read_again = read_again.map(|(_, there)| *there).collect();
            if let Some(dense) = dense.filter(|dense| dense.id == id) {
                return Some(self.record_means(&dense, gradient, request));
            }
            if matches!(network.node(id).op, Op::Concat) {
                self.slice(id, gradient, &on_the_way, gradients, n);
                continue;
            }
            for (at, input) in network.node(id).inputs.iter().enumerate() {
                if !on_the_way[input.0] {
                    continue;
                }
                // A node with several readers has the sum of what comes back from each: all of them come after it in the list.
                let added = match self.adds(id, n) {
                    true => {
                        self.cut_out(*input, gradients, n);
                        gradients.remove(input)
                    }
                    false => None,
                };
                let (reached, more) = self.record_backward(id, at, gradient, added, request);
                let sum = match gradients.get(&reached) {
                    None => more,
                    Some(&before) => self.sum_of_gradients(reached, [before, more], n),
                };
                gradients.insert(reached, sum);
            }
        }
        self.cut_out(request.to, gradients, n);
        None
    }

    /// Bytes of float32 at multiples of which a part of a buffer may begin.
    pub(super) fn part_alignment(&self) -> u64 {
        PART * 4 / self.request.dtype.bytes()
    }

    /// Gradients that a backward pass carries, those of an image one after the other.
    pub(super) fn gradients(&self, request: &BackwardRequest) -> usize {
        self.pass.images * request.classes
    }

    /// The buffer of a node's value, and how many images of this pass share each value in it: one, or all where a pass that
    /// begins in the middle reads the picture's own value of a node around that.
    pub(super) fn value_for(&self, id: NodeId) -> (BufferId, usize) {
        match (self.pass.values.get(&id), self.picture.get(&id)) {
            (None, Some(&around)) => (around, self.pass.images),
            _ => (self.value(id), 1),
        }
    }

    /// A buffer for the value of node `made`, of the name of `named`: where it lies in a concatenation, part of that one's.
    pub(super) fn value_buffer(&mut self, made: NodeId, named: NodeId) -> BufferId {
        let network = self.network;
        let (name, shape) = (&network.node(named).name, network.node(made).shape);
        let home = self.pass.concats.homes.get(&made).copied();
        let buffer = match home {
            Some((whole, offset)) => {
                let of = self.whole_buffer(whole);
                let bytes = padded_bytes(self.pass.images, shape);
                self.buffers.part(name, of, offset, bytes)
            }
            None => self.buffers.tensor(name, self.pass.images, shape),
        };
        self.pass.values.insert(made, buffer);
        buffer
    }

    /// The buffer of a concatenation in which other values lie; made when it is first needed.
    pub(super) fn whole_buffer(&mut self, whole: NodeId) -> BufferId {
        if let Some(&buffer) = self.pass.wholes.get(&whole) {
            return buffer;
        }
        let node = self.network.node(whole);
        let buffer = self
            .buffers
            .tensor(&node.name, self.pass.images, node.shape);
        self.pass.wholes.insert(whole, buffer);
        buffer
    }

    /// The buffer of a node's value.
    pub(super) fn value(&self, id: NodeId) -> BufferId {
        *self
            .pass
            .values
            .get(&id)
            .unwrap_or_else(|| unreachable!("{} is no step's value", self.network.node(id).name))
    }

    /// A buffer for what node `id` leaves for the backward pass beside its value.
    pub(super) fn save(&mut self, id: NodeId, what: &str, bytes: u64) -> BufferId {
        let name = format!("{}_{what}", self.network.node(id).name);
        let saved = self.buffers.scratch(name, bytes);
        self.pass.saved.insert(id, saved);
        saved
    }

    /// What node `id` left for the backward pass.
    pub(super) fn saved(&self, id: NodeId) -> BufferId {
        self.pass.saved[&id]
    }
}
