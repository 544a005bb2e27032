//! From a network and what is asked of it to buffers and dispatches: pure data, made and tested without a GPU.
//!
//! A plan has one forward phase and any number of backward phases. A phase may run again as it is (the next image, the
//! next classes), so what a phase reads from an earlier one stays until that phase is over; everything else shares
//! memory as soon as it is no longer read.

mod ops;
mod slots;

use std::ops::Range;

use crate::kernels::{IMAGE_ROW, Kernel};
use crate::layout::{Direction, padded_len};
use crate::network::{FilterLayout, Network, NodeId, Op, Shape};
use crate::weights::Tensor;

/// What an adapter can do, as far as a plan depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest storage binding, bytes.
    pub binding: u64,
    /// Largest buffer, bytes.
    pub buffer: u64,
    /// Most workgroups along one dimension of a dispatch.
    pub workgroups: u32,
    /// Rows that an image may have where `conv3x3_subgroup.wgsl` runs well; 0 where it does not run.
    pub image_rows: u32,
}

impl Limits {
    /// Largest tensor that one buffer and one binding hold, bytes.
    pub const fn tensor(&self) -> u64 {
        if self.binding < self.buffer {
            self.binding
        } else {
            self.buffer
        }
    }
}

/// What a ReLU lets through on the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReluRule {
    /// The gradient where the activation was above zero.
    Plain,
    /// The same, and only gradients above zero (arXiv 1412.6806).
    Guided,
    /// Gradients above zero, wherever they are (arXiv 1311.2901).
    Deconv,
}

/// A backward pass: the gradient of some combination of logits at an earlier node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackwardRequest {
    /// Where it ends; [`NodeId`] 0 is the picture.
    pub to: NodeId,
    /// Combinations of logits (classes) at once.
    pub classes: usize,
    /// What each ReLU lets through.
    pub rule: ReluRule,
}

/// What is asked of a network.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Images at once in the forward pass; 1 where there is a backward pass.
    pub images: usize,
    /// Nodes whose values are read back.
    pub keep: Vec<NodeId>,
    /// Backward passes.
    pub backward: Vec<BackwardRequest>,
}

/// Index of a buffer in [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub usize);

/// A buffer of the plan.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// For people: the layer's name, `d_` before it for a gradient.
    pub name: String,
    /// Size, bytes.
    pub bytes: u64,
    /// What it holds.
    pub contents: Contents,
}

/// What a buffer holds.
#[derive(Clone, Debug)]
pub enum Contents {
    /// Written by dispatches or the host; lives in a slot of [`Plan::slots`], which others use before and after.
    Scratch {
        /// Index of the slot.
        slot: usize,
    },
    /// Weights, uploaded once.
    Weights(Upload),
    /// An image that convolutions read their input through, one after the other.
    Image,
}

/// Where a weight buffer's bytes come from.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The tensor in the file.
    pub tensor: Tensor,
    /// How it lies on the GPU.
    pub packing: Packing,
}

/// How a weight tensor lies on the GPU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// One value after the other, rounded up to 4.
    Vector,
    /// [`crate::layout::pack_filters`].
    Filters(FilterLayout, Direction),
    /// [`crate::layout::pack_texels`], in an image.
    Texels(FilterLayout, Direction),
    /// Rows of a matrix as the file has them; columns and rows rounded up to 4 with zeros.
    Rows(Range<usize>),
}

/// One call of a kernel.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// Which kernel.
    pub kernel: Kernel,
    /// The layer, for timings and errors.
    pub label: String,
    /// The kernel's uniform.
    pub params: Vec<u8>,
    /// What is copied before it runs, from a buffer to an image.
    pub copy: Option<CopyToImage>,
    /// Its buffers, in the order of [`crate::kernels::KernelInfo::bindings`].
    pub buffers: Vec<BufferId>,
    /// Workgroups in x, y, z.
    pub workgroups: [u32; 3],
    /// Multiply-adds, for the length of a submission and for GFLOP/s.
    pub multiply_adds: u64,
}

/// A copy from a buffer of vec4 to an image, from the image's second row on: its first row stays zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyToImage {
    /// The buffer.
    pub from: BufferId,
    /// The image.
    pub to: BufferId,
    /// Texels, 16 bytes each.
    pub texels: usize,
}

/// A backward phase.
#[derive(Clone, Debug)]
pub struct Backward {
    /// What was asked.
    pub request: BackwardRequest,
    /// Gradients at the logits: classes x logits. The host writes it.
    pub seed: BufferId,
    /// Gradients at `request.to`: classes x its shape.
    pub gradient: BufferId,
    /// The work, in order.
    pub dispatches: Vec<Dispatch>,
}

/// Everything that the GPU will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Images at once.
    pub images: usize,
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// Sizes of the memory that scratch buffers share, bytes.
    pub slots: Vec<u64>,
    /// Where the preprocessed pictures go.
    pub input: BufferId,
    /// Where the logits are after the forward phase.
    pub logits: BufferId,
    /// Where the values of [`Request::keep`] are after the forward phase, in its order.
    pub kept: Vec<BufferId>,
    /// The forward phase.
    pub forward: Vec<Dispatch>,
    /// The backward phases, in the order asked.
    pub backward: Vec<Backward>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// A tensor larger than what the adapter binds.
    #[error("{name} needs {needs} in one buffer, this adapter has {has}; {advice}", needs = mib(*needs), has = mib(*has))]
    TooLarge {
        /// The buffer.
        name: String,
        /// Bytes it needs.
        needs: u64,
        /// Bytes there are.
        has: u64,
        /// What to do instead.
        advice: &'static str,
    },
    /// More workgroups than a dispatch may have.
    #[error(
        "{name} needs {needs} workgroups along one dimension, this adapter has {has}; explain fewer classes at once"
    )]
    TooManyWorkgroups {
        /// The layer.
        name: String,
        /// Workgroups it needs.
        needs: u32,
        /// Workgroups there are.
        has: u32,
    },
    /// A node with several readers on the way of a gradient.
    #[error("layer {name} feeds several layers; gradients through branches are not supported yet")]
    Branch {
        /// The layer.
        name: String,
    },
}

/// Rows of an image that holds a row of zeros and `texels` after it.
fn image_rows(texels: usize) -> usize {
    1 + texels.div_ceil(IMAGE_ROW)
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

impl Buffer {
    /// Whether it is an image, [`IMAGE_ROW`] texels wide.
    pub fn is_image(&self) -> bool {
        match &self.contents {
            Contents::Image => true,
            Contents::Weights(upload) => matches!(upload.packing, Packing::Texels(..)),
            Contents::Scratch { .. } => false,
        }
    }
}

impl Plan {
    /// Plans `request` for an adapter of `limits`.
    pub fn new(network: &Network, request: &Request, limits: Limits) -> Result<Self, PlanError> {
        assert!(
            request.backward.is_empty() || request.images == 1,
            "the backward kernels share one image's activations among all classes"
        );
        let mut builder = Builder::new(network, request.images, limits);
        let logits = builder.forward();
        let kept = request
            .keep
            .iter()
            .map(|&node| builder.value(node))
            .collect::<Vec<_>>();
        builder.hold_to_end_of_phase(&kept);
        builder.hold_to_end_of_phase(&[logits]);
        let forward = builder.end_phase();
        let mut backward = vec![];
        for &request in &request.backward {
            let (seed, gradient) = builder.backward(request)?;
            builder.hold_to_end_of_phase(&[gradient]);
            let dispatches = builder.end_phase();
            backward.push(Backward {
                request,
                seed,
                gradient,
                dispatches,
            });
        }
        let input = builder.value(NodeId(0));
        builder.check(&forward, &backward)?;
        let (buffers, slots) = builder.finish();
        Ok(Self {
            images: request.images,
            buffers,
            slots,
            input,
            logits,
            kept,
            forward,
            backward,
        })
    }

    /// The buffer.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0]
    }

    /// Bytes of device memory: weights, and what the rest shares.
    pub fn bytes(&self) -> (u64, u64) {
        let mut weights = 0;
        let mut shared = self.slots.iter().sum();
        for buffer in &self.buffers {
            match buffer.contents {
                Contents::Weights(_) => weights += buffer.bytes,
                Contents::Image => shared += buffer.bytes,
                Contents::Scratch { .. } => {}
            }
        }
        (weights, shared)
    }

    /// Every kernel it calls.
    pub fn kernels(&self) -> std::collections::BTreeSet<Kernel> {
        let backward = self.backward.iter().flat_map(|phase| &phase.dispatches);
        self.forward
            .iter()
            .chain(backward)
            .map(|dispatch| dispatch.kernel)
            .collect()
    }
}

/// Most classes that one backward pass to `to` may carry, so that no tensor on its way outgrows a binding and all its
/// gradients together stay within `budget` bytes; at least 1.
pub fn classes_at_once(network: &Network, to: NodeId, limits: Limits, budget: u64) -> usize {
    let sizes = network.nodes[to.0..]
        .iter()
        .map(|node| padded_len(1, node.shape) as u64 * 4);
    let largest = sizes.clone().max().unwrap_or(0).max(1);
    // Two gradients are alive at a time: the one that a layer reads and the one that it writes.
    (limits.tensor() / largest)
        .min(budget / (2 * largest))
        .max(1) as usize
}

/// A plan under construction.
struct Builder<'a> {
    network: &'a Network,
    images: usize,
    limits: Limits,
    buffers: Vec<Draft>,
    /// The buffer of each node's value; a node fused into its ReLU has none.
    values: Vec<Option<BufferId>>,
    /// Where each max-pool's maxima were.
    argmax: Vec<Option<BufferId>>,
    /// Bound where a kernel has nothing to read.
    nothing: BufferId,
    /// What convolutions read their input through.
    image: Option<BufferId>,
    dispatches: Vec<Dispatch>,
    /// Dispatches of the phases that are over.
    done: usize,
}

/// A buffer whose memory is not yet chosen.
struct Draft {
    name: String,
    bytes: u64,
    kind: Kind,
    /// First and last dispatch that use it, counted over all phases.
    life: Option<slots::Life>,
}

enum Kind {
    Scratch,
    Weights(Upload),
    Image,
}

impl<'a> Builder<'a> {
    fn new(network: &'a Network, images: usize, limits: Limits) -> Self {
        let mut builder = Self {
            network,
            images,
            limits,
            buffers: vec![],
            values: vec![None; network.nodes.len()],
            argmax: vec![None; network.nodes.len()],
            nothing: BufferId(0),
            image: None,
            dispatches: vec![],
            done: 0,
        };
        builder.nothing = builder.scratch("nothing".into(), 16);
        let input = builder.tensor("input", images, network.input_shape());
        builder.values[0] = Some(input);
        builder.touch(input, 0);
        builder
    }

    /// Records the forward phase; returns the logits.
    fn forward(&mut self) -> BufferId {
        for id in (1..self.network.nodes.len()).map(NodeId) {
            let node = self.network.node(id);
            let fused_into_input = matches!(node.op, Op::Relu) && self.values[id.0].is_some();
            if !fused_into_input {
                self.record_forward(id);
            }
        }
        self.value(self.network.output())
    }

    /// Records a backward phase; returns its seed and its result.
    fn backward(&mut self, request: BackwardRequest) -> Result<(BufferId, BufferId), PlanError> {
        let network = self.network;
        let output = network.output();
        let seed = self.tensor(
            &format!("d_{}", network.node(output).name),
            request.classes,
            network.node(output).shape,
        );
        self.touch(seed, self.done);
        let on_the_way = network.descendants(request.to);
        let mut gradients: Vec<Option<BufferId>> = vec![None; network.nodes.len()];
        gradients[output.0] = Some(seed);
        for id in (request.to.0 + 1..=output.0).rev().map(NodeId) {
            let Some(gradient) = gradients[id.0] else {
                continue;
            };
            for &input in &network.node(id).inputs {
                if !on_the_way[input.0] {
                    continue;
                }
                let (reached, d_input) = self.record_backward(id, input, gradient, request);
                if gradients[reached.0].replace(d_input).is_some() {
                    let name = network.node(reached).name.clone();
                    return Err(PlanError::Branch { name });
                }
            }
        }
        let gradient = gradients[request.to.0].expect("the output depends on every target");
        Ok((seed, gradient))
    }

    /// The buffer of a node's value.
    fn value(&self, id: NodeId) -> BufferId {
        self.values[id.0]
            .expect("values are planned in topological order, and a fused one is not asked for")
    }

    fn scratch(&mut self, name: String, bytes: u64) -> BufferId {
        self.buffers.push(Draft {
            name,
            bytes,
            kind: Kind::Scratch,
            life: None,
        });
        BufferId(self.buffers.len() - 1)
    }

    /// A scratch buffer of `n` tensors of `shape`.
    fn tensor(&mut self, name: &str, n: usize, shape: Shape) -> BufferId {
        self.scratch(name.into(), (padded_len(n, shape) as u64).saturating_mul(4))
    }

    /// A weight buffer; the same tensor in the same packing is uploaded once.
    fn weights(
        &mut self,
        name: String,
        values: usize,
        tensor: &Tensor,
        packing: Packing,
    ) -> BufferId {
        let same = |draft: &Draft| match &draft.kind {
            Kind::Weights(upload) => draft.name == name && upload.packing == packing,
            Kind::Scratch | Kind::Image => false,
        };
        if let Some(found) = self.buffers.iter().position(same) {
            return BufferId(found);
        }
        let upload = Upload {
            tensor: tensor.clone(),
            packing,
        };
        self.buffers.push(Draft {
            name,
            bytes: values as u64 * 4,
            kind: Kind::Weights(upload),
            life: None,
        });
        BufferId(self.buffers.len() - 1)
    }

    /// The image that convolutions read through, with room for `texels` beside its row of zeros.
    fn image(&mut self, texels: usize) -> BufferId {
        let bytes = (image_rows(texels) * IMAGE_ROW * 16) as u64;
        let id = self.image.unwrap_or_else(|| {
            let id = self.scratch("image".into(), 0);
            self.buffers[id.0].kind = Kind::Image;
            id
        });
        self.image = Some(id);
        let draft = &mut self.buffers[id.0];
        draft.bytes = draft.bytes.max(bytes);
        id
    }

    fn dispatch<P: bytemuck::Pod>(
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
        self.dispatches.push(Dispatch {
            kernel,
            label: label.into(),
            params: bytemuck::bytes_of(params).to_vec(),
            copy: None,
            buffers,
            workgroups,
            multiply_adds: multiply_adds as u64,
        });
    }

    /// Has the dispatch recorded last wait for a copy.
    fn copy_before_last(&mut self, copy: CopyToImage) {
        let last = self.dispatches.last_mut().expect("recorded just now");
        last.copy = Some(copy);
        self.touch(copy.from, self.done + self.dispatches.len() - 1);
    }

    fn touch(&mut self, buffer: BufferId, at: usize) {
        let life = &mut self.buffers[buffer.0].life;
        *life = Some(life.map_or(
            slots::Life {
                first: at,
                last: at,
            },
            |life| life.extended(at),
        ));
    }

    /// Keeps buffers that the host reads after the phase.
    fn hold_to_end_of_phase(&mut self, buffers: &[BufferId]) {
        let end = self.done + self.dispatches.len().max(1) - 1;
        for &buffer in buffers {
            self.touch(buffer, end);
        }
    }

    /// Closes a phase. What it read from earlier phases lives to its end, since it may run again.
    fn end_phase(&mut self) -> Vec<Dispatch> {
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

    fn check(&self, forward: &[Dispatch], backward: &[Backward]) -> Result<(), PlanError> {
        for draft in &self.buffers {
            // What goes into images was measured against their limit when the kernel was chosen.
            let image = match &draft.kind {
                Kind::Image => true,
                Kind::Weights(upload) => matches!(upload.packing, Packing::Texels(..)),
                Kind::Scratch => false,
            };
            if !image && draft.bytes > self.limits.tensor() {
                return Err(PlanError::TooLarge {
                    name: draft.name.clone(),
                    needs: draft.bytes,
                    has: self.limits.tensor(),
                    advice: match draft.kind {
                        Kind::Weights(_) => "choose another with --adapter",
                        Kind::Scratch | Kind::Image => {
                            "use smaller pictures or fewer classes, or choose another with --adapter"
                        }
                    },
                });
            }
        }
        let phases = backward.iter().map(|phase| phase.dispatches.as_slice());
        for dispatch in phases.chain([forward]).flatten() {
            let most = dispatch.workgroups.into_iter().max().unwrap_or(0);
            if most > self.limits.workgroups {
                return Err(PlanError::TooManyWorkgroups {
                    name: dispatch.label.clone(),
                    needs: most,
                    has: self.limits.workgroups,
                });
            }
        }
        Ok(())
    }

    fn finish(self) -> (Vec<Buffer>, Vec<u64>) {
        let scratch = self.buffers.iter().map(|draft| match draft.kind {
            Kind::Scratch => Some((draft.bytes, draft.life?)),
            Kind::Weights(_) | Kind::Image => None,
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
                    Kind::Image => Contents::Image,
                },
            })
            .collect();
        (buffers, slots)
    }
}
