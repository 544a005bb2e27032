//! A plan under construction: buffers by name and life, dispatches in order.

use std::collections::BTreeMap;

use super::slots::{self, Life};
use super::{
    BackwardRequest, Buffer, BufferId, Contents, CopyToImage, Dispatch, ImageUse, Limits, Listed,
    MatrixDtype, Packing, PlanError, Request, Sums, TileLayer, Upload,
};
use crate::kernels::{IMAGE_ROW, Kernel};
use crate::layout::padded_len;
use crate::network::{Network, NodeId, Shape};
use crate::weights::Tensor;

/// Rows of an image that holds a row of zeros and `texels` after it.
pub(super) fn image_rows(texels: usize) -> usize {
    1 + texels.div_ceil(IMAGE_ROW)
}

/// A plan under construction.
pub(super) struct Builder<'a> {
    pub(super) network: &'a Network,
    request: &'a Request,
    pub(super) images: usize,
    /// Gradients that go back through the same image.
    pub(super) sharing: usize,
    pub(super) limits: Limits,
    pub(super) matrices: MatrixDtype,
    /// What goes through each node.
    traffic: Vec<Traffic>,
    /// Whether a node's value or its gradient is asked for.
    asked: Vec<bool>,
    buffers: Vec<Draft>,
    /// The buffer of each node's value; a node fused into the one after it has none.
    pub(super) values: Vec<Option<BufferId>>,
    /// What a node leaves for the way back beside its value: where a max-pool's maxima were, what an LRN divided by.
    pub(super) saved: Vec<Option<BufferId>>,
    /// Of each max-pool whose repeated taps are to be known the buffer that holds them, and where its maxima were after it.
    pub(super) repeats: Vec<Option<BufferId>>,
    /// Bound where a kernel has nothing to read.
    pub(super) nothing: BufferId,
    /// The images that layers use one after the other.
    images_of: BTreeMap<ImageUse, BufferId>,
    preparation: Vec<Dispatch>,
    dispatches: Vec<Dispatch>,
    /// Dispatches of the phases that are over.
    done: usize,
    /// Where a rerun is recorded, the buffer of each node's value in the forward phase.
    pub(super) around: Option<Vec<Option<BufferId>>>,
    /// Where a rerun with a base is recorded, what that needs.
    pub(super) beside: Option<BesideBase>,
}

/// A rerun beside its base.
pub(super) struct BesideBase {
    /// The buffer of each node's value in the base's pass.
    pub(super) values: Vec<Option<BufferId>>,
    /// The layers recorded so far that compute listed tiles.
    pub(super) layers: Vec<TileLayer>,
}

/// Where a backward phase begins and ends.
pub(super) struct Back {
    pub(super) seed: BufferId,
    pub(super) gradient: BufferId,
    /// Of `gradient`, one class's.
    pub(super) shape: Shape,
    /// The gradients kept on the way.
    pub(super) kept: Vec<BufferId>,
}

/// What goes through a node, as far as is known.
#[derive(Clone)]
pub(super) struct Traffic {
    /// Of each pass the images or gradients at once, and how often it runs.
    pub(super) passes: Vec<(usize, usize)>,
    /// How often all the passes run.
    pub(super) runs: usize,
}

impl Traffic {
    fn new(request: &Request, id: NodeId) -> Self {
        let reruns = request.reruns.iter().filter(|rerun| id > rerun.from);
        let backward = request.backward.iter().filter(|pass| id > pass.to);
        let mut passes = vec![(request.images, 1)];
        passes.extend(reruns.map(|rerun| (rerun.images, rerun.times)));
        passes.extend(backward.map(|pass| (pass.classes, 1)));
        for walk in &request.walks {
            let gradients = walk.images * walk.back.classes;
            passes.extend([(walk.images, walk.times), (gradients, walk.times)]);
        }
        Self {
            passes,
            runs: request.runs.max(1),
        }
    }

    /// Images and gradients in all.
    pub(super) fn images(&self) -> usize {
        let passes = self.passes.iter();
        let images = passes.map(|(images, times)| images.saturating_mul(*times));
        let images = images.fold(0, usize::saturating_add);
        images.saturating_mul(self.runs)
    }
}

/// A buffer whose memory is not yet chosen.
struct Draft {
    name: String,
    bytes: u64,
    kind: Kind,
    /// First and last dispatch that use it, counted over all phases.
    life: Option<Life>,
}

enum Kind {
    Scratch,
    Weights(Upload),
    Source(Upload),
    Prepared,
    Sums(Sums),
    Image,
}

/// A dispatch that waits for no copy.
fn dispatch<P: bytemuck::Pod>(
    kernel: Kernel,
    label: &str,
    params: &P,
    buffers: Vec<BufferId>,
    workgroups: [u32; 3],
    multiply_adds: usize,
) -> Dispatch {
    Dispatch {
        kernel,
        label: label.into(),
        params: bytemuck::bytes_of(params).to_vec(),
        listed: None,
        copy: None,
        image_texels: 0,
        buffers,
        workgroups,
        multiply_adds: multiply_adds as u64,
    }
}

/// For each node whether its value or its gradient is asked for.
fn asked(network: &Network, request: &Request) -> Vec<bool> {
    let mut asked = vec![false; network.nodes.len()];
    let walks = request.walks.iter().map(|walk| &walk.back);
    let backward = request.backward.iter().chain(walks);
    let gradients = backward.flat_map(|pass| pass.keep.iter().chain([&pass.to]));
    for id in request.keep.iter().chain(gradients) {
        asked[id.0] = true;
    }
    asked
}

impl<'a> Builder<'a> {
    pub(super) fn new(network: &'a Network, request: &'a Request, limits: Limits) -> Self {
        let images = request.images;
        let mut builder = Self {
            network,
            request,
            images,
            sharing: 1,
            limits,
            matrices: request.matrices,
            traffic: (0..network.nodes.len())
                .map(|id| Traffic::new(request, NodeId(id)))
                .collect(),
            asked: asked(network, request),
            buffers: vec![],
            values: vec![None; network.nodes.len()],
            saved: vec![None; network.nodes.len()],
            repeats: vec![None; network.nodes.len()],
            nothing: BufferId(0),
            images_of: BTreeMap::new(),
            preparation: vec![],
            dispatches: vec![],
            done: 0,
            around: None,
            beside: None,
        };
        builder.nothing = builder.scratch("nothing".into(), 16);
        let input = builder.tensor("input", images, network.input_shape());
        builder.values[0] = Some(input);
        builder.touch(input, 0);
        builder
    }

    /// Records the forward phase; returns the logits.
    pub(super) fn forward(&mut self) -> BufferId {
        self.find_repeats(&self.request.backward.iter().collect::<Vec<_>>());
        self.record_after(NodeId(0), self.network.output());
        self.value(self.network.output())
    }

    /// The ReLU and the max-pool after `id` that a kernel may take with it: nobody asks for what goes into the pool.
    pub(super) fn fused_pool(&self, id: NodeId) -> Option<[NodeId; 2]> {
        let fused = self.network.fused_pool(id)?;
        let [relu, _] = fused;
        (!self.asked[id.0] && !self.asked[relu.0]).then_some(fused)
    }

    /// Records what computes every node up to `last` that reads of `from`.
    pub(super) fn record_after(&mut self, from: NodeId, last: NodeId) {
        let reached = self.network.descendants(from);
        for id in (from.0 + 1..=last.0).map(NodeId) {
            let is_there = |id: NodeId| self.values[id.0].is_some();
            let fused = is_there(id) || self.network.consumers(id).any(is_there);
            if reached[id.0] && !fused {
                self.record_forward(id);
            }
        }
    }

    /// Gradients that a backward pass of all images carries, those of an image one after the other.
    pub(super) fn gradients(&self, request: &BackwardRequest) -> usize {
        self.images * request.classes
    }

    /// Records a backward phase, of the images whose values are there.
    pub(super) fn backward(&mut self, request: &BackwardRequest) -> Back {
        self.sharing = request.classes;
        let network = self.network;
        let output = network.output();
        let seed = self.tensor(
            &format!("d_{}", network.node(output).name),
            self.gradients(request),
            network.node(output).shape,
        );
        self.touch(seed, self.done);
        let dense = self.ends_at(request);
        let on_the_way = network.descendants(request.to);
        let mut gradients: Vec<Option<BufferId>> = vec![None; network.nodes.len()];
        gradients[output.0] = Some(seed);
        for id in (request.to.0 + 1..=output.0).rev().map(NodeId) {
            let Some(gradient) = gradients[id.0] else {
                continue;
            };
            if let Some(dense) = dense.filter(|dense| dense.id == id) {
                return Back {
                    seed,
                    gradient: self.record_means(&dense, gradient, request),
                    shape: Shape::vector(network.node(request.to).shape.c),
                    kept: vec![],
                };
            }
            for (at, input) in network.node(id).inputs.iter().enumerate() {
                if !on_the_way[input.0] {
                    continue;
                }
                let (reached, more) = self.record_backward(id, at, gradient, request);
                // A node with several readers has the sum of what comes back from each: all of them come after it in the list.
                let sum = match gradients[reached.0] {
                    None => more,
                    Some(before) => {
                        self.sum_of_gradients(reached, [before, more], self.gradients(request))
                    }
                };
                gradients[reached.0] = Some(sum);
            }
        }
        let at = |id: NodeId| gradients[id.0].expect("the output depends on every target");
        Back {
            seed,
            gradient: at(request.to),
            shape: network.node(request.to).shape,
            kept: request.keep.iter().map(|&id| at(id)).collect(),
        }
    }

    /// Readings of a matrix by all passes together that go back as `pass` does, each of `at_once` gradients, as far as is known.
    pub(super) fn readings_like(&self, pass: &BackwardRequest, at_once: usize) -> usize {
        let same = |other: &&BackwardRequest| (other.to, other.means) == (pass.to, pass.means);
        let passes = self.request.backward.iter().filter(same);
        let each = passes.map(|pass| pass.classes.div_ceil(at_once));
        each.sum::<usize>().saturating_mul(self.request.runs.max(1))
    }

    /// What goes through a node.
    pub(super) fn traffic(&self, id: NodeId) -> Traffic {
        self.traffic[id.0].clone()
    }

    /// The buffer of a node's value, and of how many images of this pass it is one's: of all where a rerun reads what goes around
    /// the node that it begins with, which is the forward phase's own value.
    pub(super) fn value_for(&self, id: NodeId) -> (BufferId, usize) {
        match (self.values[id.0], &self.around) {
            (Some(value), _) => (value, 1),
            (None, Some(around)) => {
                let value = around[id.0].expect("the forward phase computes every node");
                (value, self.images)
            }
            (None, None) => (self.value(id), 1),
        }
    }

    /// The buffer of a node's value.
    pub(super) fn value(&self, id: NodeId) -> BufferId {
        self.values[id.0]
            .expect("values are planned in topological order, and a fused one is not asked for")
    }

    /// A buffer for what node `id` leaves for the way back beside its value.
    pub(super) fn save(&mut self, id: NodeId, what: &str, bytes: u64) -> BufferId {
        let name = format!("{}_{what}", self.network.node(id).name);
        let saved = self.scratch(name, bytes);
        self.saved[id.0] = Some(saved);
        saved
    }

    /// What node `id` left for the way back.
    pub(super) fn saved(&self, id: NodeId) -> BufferId {
        self.saved[id.0].expect("forward comes before backward")
    }

    pub(super) fn scratch(&mut self, name: String, bytes: u64) -> BufferId {
        self.add(name, bytes, Kind::Scratch)
    }

    fn add(&mut self, name: String, bytes: u64, kind: Kind) -> BufferId {
        self.buffers.push(Draft {
            name,
            bytes,
            kind,
            life: None,
        });
        BufferId(self.buffers.len() - 1)
    }

    /// A scratch buffer of `n` tensors of `shape`.
    pub(super) fn tensor(&mut self, name: &str, n: usize, shape: Shape) -> BufferId {
        self.scratch(name.into(), (padded_len(n, shape) as u64).saturating_mul(4))
    }

    /// A weight buffer of so many float32; the same tensor in the same packing is uploaded once.
    pub(super) fn weights(
        &mut self,
        name: String,
        values: usize,
        tensor: &Tensor,
        packing: Packing,
    ) -> BufferId {
        let same = |draft: &Draft| match &draft.kind {
            Kind::Weights(upload) => draft.name == name && upload.packing == packing,
            Kind::Scratch | Kind::Source(_) | Kind::Prepared | Kind::Sums(_) | Kind::Image => false,
        };
        if let Some(found) = self.buffers.iter().position(same) {
            return BufferId(found);
        }
        let upload = Upload {
            tensor: tensor.clone(),
            packing,
        };
        self.add(name, values as u64 * 4, Kind::Weights(upload))
    }

    /// What the preparation makes of a weight tensor, so many vec4, and whether it is new.
    pub(super) fn prepared(&mut self, name: &str, elements: usize) -> (BufferId, bool) {
        let same = |draft: &Draft| matches!(draft.kind, Kind::Prepared) && draft.name == name;
        if let Some(found) = self.buffers.iter().position(same) {
            return (BufferId(found), false);
        }
        let made = self.add(name.into(), elements as u64 * 16, Kind::Prepared);
        (made, true)
    }

    /// What the host makes of a matrix, once.
    pub(super) fn sums(&mut self, name: &str, sums: Sums) -> BufferId {
        let same = |draft: &Draft| matches!(draft.kind, Kind::Sums(_)) && draft.name == name;
        if let Some(found) = self.buffers.iter().position(same) {
            return BufferId(found);
        }
        let [rows, columns] = sums.size;
        self.add(name.into(), (rows * columns) as u64 * 4, Kind::Sums(sums))
    }

    /// Weights for the preparation alone, so many vec4.
    pub(super) fn source(
        &mut self,
        name: String,
        elements: usize,
        tensor: &Tensor,
        packing: Packing,
    ) -> BufferId {
        let upload = Upload {
            tensor: tensor.clone(),
            packing,
        };
        self.add(name, elements as u64 * 16, Kind::Source(upload))
    }

    /// Records a dispatch of the preparation.
    pub(super) fn prepare<P: bytemuck::Pod>(
        &mut self,
        kernel: Kernel,
        label: &str,
        params: &P,
        buffers: Vec<BufferId>,
        workgroups: [u32; 3],
    ) {
        let dispatch = dispatch(kernel, label, params, buffers, workgroups, 0);
        self.preparation.push(dispatch);
    }

    pub(super) fn take_preparation(&mut self) -> Vec<Dispatch> {
        std::mem::take(&mut self.preparation)
    }

    /// The image that layers use for one thing after the other, with room for `texels` beside its row of zeros.
    pub(super) fn image(&mut self, image_use: ImageUse, texels: usize) -> BufferId {
        let bytes = (image_rows(texels) * IMAGE_ROW * 16) as u64;
        let id = if let Some(&id) = self.images_of.get(&image_use) {
            id
        } else {
            let name = match image_use {
                ImageUse::Input => "image",
                ImageUse::Tiles => "tiles",
                ImageUse::Products => "products",
            };
            let id = self.scratch(name.into(), 0);
            self.buffers[id.0].kind = Kind::Image;
            self.images_of.insert(image_use, id);
            id
        };
        let draft = &mut self.buffers[id.0];
        draft.bytes = draft.bytes.max(bytes);
        id
    }

    pub(super) fn dispatch<P: bytemuck::Pod>(
        &mut self,
        kernel: Kernel,
        label: &str,
        params: &P,
        buffers: Vec<BufferId>,
        workgroups: [u32; 3],
        multiply_adds: usize,
    ) {
        let at = self.done + self.dispatches.len();
        for &buffer in &buffers {
            self.touch(buffer, at);
        }
        let dispatch = dispatch(kernel, label, params, buffers, workgroups, multiply_adds);
        self.dispatches.push(dispatch);
    }

    /// Has the dispatch recorded last wait for a copy.
    pub(super) fn copy_before_last(&mut self, copy: CopyToImage) {
        self.copy_before(1, copy);
    }

    /// Has the first of the dispatches recorded last, so many of them, wait for a copy.
    pub(super) fn copy_before(&mut self, last: usize, copy: CopyToImage) {
        let at = self.dispatches.len() - last;
        self.dispatches[at].copy = Some(copy);
        self.dispatches[at].image_texels += copy.texels;
        self.touch(copy.from, self.done + at);
    }

    /// Counts texels that the dispatch recorded last reads or writes in images that layers share.
    pub(super) fn count_image_texels(&mut self, texels: usize) {
        let last = self.dispatches.last_mut().expect("recorded just now");
        last.image_texels += texels;
    }

    /// Has the dispatch recorded last take part of a list.
    pub(super) fn list_last(&mut self, listed: Option<Listed>) {
        let last = self.dispatches.last_mut().expect("recorded just now");
        last.listed = listed;
    }

    /// Has a buffer live from the beginning of the phase on, when the host writes it.
    pub(super) fn written_before_phase(&mut self, buffer: BufferId) {
        self.touch(buffer, self.done);
    }

    fn touch(&mut self, buffer: BufferId, at: usize) {
        let life = &mut self.buffers[buffer.0].life;
        *life = Some(life.map_or(
            Life {
                first: at,
                last: at,
            },
            |life| life.extended(at),
        ));
    }

    /// Keeps buffers that the host reads after the phase.
    pub(super) fn hold_to_end_of_phase(&mut self, buffers: &[BufferId]) {
        let end = self.done + self.dispatches.len().max(1) - 1;
        for &buffer in buffers {
            self.touch(buffer, end);
        }
    }

    /// Closes a phase. What it read from earlier phases lives to its end, since it may run again.
    pub(super) fn end_phase(&mut self) -> Vec<Dispatch> {
        let dispatches = std::mem::take(&mut self.dispatches);
        let end = self.done + dispatches.len().max(1) - 1;
        for draft in &mut self.buffers {
            if let Some(life) = &mut draft.life
                && life.first < self.done
                && life.last >= self.done
            {
                life.last = end;
            }
        }
        self.done = end + 1;
        dispatches
    }

    pub(super) fn check(&self) -> Result<(), PlanError> {
        for draft in &self.buffers {
            // What goes into images was measured against their limit when the kernel was chosen.
            let image = match &draft.kind {
                Kind::Image | Kind::Sums(_) => true,
                Kind::Weights(upload) | Kind::Source(upload) => upload.packing.is_image(),
                Kind::Scratch | Kind::Prepared => false,
            };
            if !image && draft.bytes > self.limits.tensor() {
                return Err(PlanError::TooLarge {
                    name: draft.name.clone(),
                    needs: draft.bytes,
                    has: self.limits.tensor(),
                    advice: match draft.kind {
                        Kind::Weights(_) | Kind::Source(_) | Kind::Prepared | Kind::Sums(_) => {
                            "choose another with --adapter"
                        }
                        Kind::Scratch | Kind::Image => {
                            "use smaller pictures or fewer classes, or choose another with --adapter"
                        }
                    },
                });
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> (Vec<Buffer>, Vec<u64>) {
        let scratch = self.buffers.iter().map(|draft| match draft.kind {
            Kind::Scratch => Some((draft.bytes, draft.life?)),
            Kind::Weights(_) | Kind::Source(_) | Kind::Prepared | Kind::Sums(_) | Kind::Image => {
                None
            }
        });
        let (assigned, slots) = slots::assign(&scratch.collect::<Vec<_>>());
        let buffers = self
            .buffers
            .into_iter()
            .zip(assigned)
            .map(|(draft, slot)| Buffer {
                name: draft.name,
                bytes: draft.bytes,
                contents: match draft.kind {
                    Kind::Scratch => Contents::Scratch { slot },
                    Kind::Weights(upload) => Contents::Weights(upload),
                    Kind::Source(upload) => Contents::Source(upload),
                    Kind::Prepared => Contents::Prepared,
                    Kind::Sums(sums) => Contents::Sums(sums),
                    Kind::Image => Contents::Image,
                },
            })
            .collect();
        (buffers, slots)
    }
}
