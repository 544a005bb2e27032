//! From a network and what is asked of it to buffers and dispatches: pure data, made and tested without a GPU.
//!
//! A plan is a list of passes. A pass goes forward from the picture or from a node in the middle, with one value or many at once,
//! and has any number of backward passes, from the logits to an earlier node through what the forward pass left. Before all of
//! them a preparation runs once, for what is made of weights alone.
//!
//! The first pass is the picture's. What its backward passes read is never written over, so that other passes, with their own
//! backward passes, may run at any time. A pass from a node in the middle reads the picture's own values of what goes around that
//! node, such as the other branch of a skip connection. Where the values of a pass share a [`Base`], the base's pass runs before
//! it. A phase may run again as it is (the next picture, the next classes): what it reads of an earlier phase stays until it is
//! over. All else shares memory as soon as it is no longer read.
//!
//! Nodes go together into steps first, one a kernel (`schedule.rs`); the steps are recorded as dispatches (`ops.rs` and below).

mod at_once;
mod buffers;
mod builder;
mod choices;
mod concats;
mod costs;
mod dispatches;
mod half;
mod limits;
mod memory;
mod model;
mod ops;
mod phases;
mod request;
mod schedule;
mod slices;
mod slots;
mod tiles;

use std::ops::Range;

use crate::kernels::half::Halves;
use crate::kernels::{IMAGE_ROW, Kernel};
use crate::layout::{Direction, PositionSums};
use crate::named::named;
use crate::network::{FilterLayout, Network, NodeId, Shape};
use crate::weights::Tensor;
pub use at_once::{Budget, classes_at_once, images_at_once, walks_at_once};
use builder::Builder;
pub use choices::{Choice, choices};
pub use costs::{Costs, LayerShape, Measured, Times, Variant};
pub use limits::{Broadcast, Hardware, KernelFamily, Limits, SUBMISSION, Subgroup, Winograd};
pub(crate) use memory::STAGED;
pub use model::Model;
pub use request::{BackwardRequest, ForwardRequest, Means, Request};
pub use tiles::{Base, TileLayer, TileList, TileListPart, TileLists, lists};

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
    /// Whether its numbers are float16 and not float32; of matrices their packing says it.
    pub half: bool,
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
    /// Part of another scratch buffer, which is as long in use: a concatenation's operand, or one that begins as another does.
    Part {
        /// The whole, earlier in [`Plan::buffers`].
        of: BufferId,
        /// Where it begins there, bytes: a multiple of [`PART`].
        offset: u64,
    },
    /// Weights, uploaded once.
    Weights(Upload),
    /// Weights that only [`Plan::prepare`] reads, uploaded for it and freed after it.
    Source(Upload),
    /// What [`Plan::prepare`] makes of weights.
    Prepared,
    /// What the host makes of a matrix while it uploads it, in an image of float32.
    Sums(Sums),
    /// An image that layers use one after the other, see [`ImageUse`].
    Image,
}

/// What the images are for that layers use one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageUse {
    /// A layer's input, copied from its buffer.
    Input,
    /// The same of a value that a later layer reads too, or what a layer adds, beside its input.
    Kept,
    /// Winograd's transformed tiles.
    Tiles,
}

/// Where a weight buffer's bytes come from.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The tensor in the file.
    pub tensor: Tensor,
    /// How it lies on the GPU.
    pub packing: Packing,
}

/// A matrix summed over positions: rows rounded up to 4 and columns to a whole element, zero beyond the sums.
#[derive(Clone, Debug)]
pub struct Sums {
    /// The parts of the matrix, as they are stored.
    pub of: Vec<BufferId>,
    /// What is summed.
    pub sums: PositionSums,
    /// Rows and columns, with those that round them up.
    pub size: [usize; 2],
    /// Factor of the sums.
    pub scale: f32,
}

/// How a weight tensor lies on the GPU.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// One value after the other, rounded up to 4.
    Vector,
    /// The same, in an image.
    VectorTexels,
    /// [`crate::layout::pack_filters`], in so many groups.
    Filters(FilterLayout, usize, Direction),
    /// [`crate::layout::pack_depthwise`].
    Depthwise(FilterLayout, Direction),
    /// The same, in an image.
    DepthwiseTexels(FilterLayout, Direction),
    /// [`crate::layout::pack_depths`].
    Depths(FilterLayout, Direction),
    /// [`crate::layout::pack_texels`], in an image.
    Texels(FilterLayout, Direction),
    /// [`crate::layout::pack_blocks`], in an image.
    TexelBlocks(FilterLayout, Direction),
    /// [`crate::layout::transform_filters`], in an image.
    Winograd(FilterLayout),
    /// Rows of a matrix as the file has them; rows rounded up to 4 with zeros, columns to a whole element.
    Rows(Range<usize>, StoredDtype),
    /// The same, in an image: a row of the matrix in each of its rows.
    TexelRows(Range<usize>, StoredDtype),
}

named! {
    /// What numbers are stored as on the device; all arithmetic is float32.
    pub enum StoredDtype, default F32 {
        /// float32: as exact as the file
        F32 = "f32",
        /// float16: half the memory and half the bytes to read, eleven binary digits a number
        F16 = "f16",
    }
}

impl StoredDtype {
    /// Bytes of a number.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// Columns in 16 bytes.
    pub const fn columns(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 8,
        }
    }
}

impl Packing {
    /// Whether it holds a convolution's filters as they are.
    pub fn is_filters(&self) -> bool {
        match self {
            Self::Filters(..)
            | Self::Depthwise(..)
            | Self::DepthwiseTexels(..)
            | Self::Depths(..)
            | Self::Texels(..)
            | Self::TexelBlocks(..) => true,
            Self::Vector
            | Self::VectorTexels
            | Self::Winograd(_)
            | Self::Rows(..)
            | Self::TexelRows(..) => false,
        }
    }

    /// Whether it lies in an image.
    pub fn is_image(&self) -> bool {
        matches!(
            self,
            Self::VectorTexels
                | Self::Texels(..)
                | Self::TexelBlocks(..)
                | Self::DepthwiseTexels(..)
                | Self::Winograd(_)
                | Self::TexelRows(..)
        )
    }
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
    /// Where it takes listed tiles, which.
    pub listed: Option<TileListPart>,
    /// What is copied before it runs, from buffers to images. It may read of an image too what was copied for one before it.
    pub copies: Vec<CopyToImage>,
    /// Texels of [`Contents::Image`] that it reads, one of float16 half of one: those images are as large as the largest
    /// layer needs.
    pub image_texels: usize,
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

/// A forward pass with its backward passes.
#[derive(Clone, Debug)]
pub struct Forward {
    /// What was asked.
    pub request: ForwardRequest,
    /// Values of `request.from`: images x its shape. The host writes it.
    pub input: BufferId,
    /// Where the logits are afterwards, images x classes.
    pub logits: BufferId,
    /// Where the values of `request.keep` are afterwards, in its order.
    pub kept: Vec<BufferId>,
    /// The pass of the base; none where no base was asked for or no layer gains by it.
    pub base: Option<Base>,
    /// The nodes that the host computes, in order.
    pub by_host: Vec<ByHost>,
    /// The work, in order.
    pub dispatches: Vec<Dispatch>,
    /// The backward passes, in the order asked.
    pub backs: Vec<Backward>,
}

/// A node that the host computes in place of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByHost {
    /// The node.
    pub node: NodeId,
    /// Where its values go: images x its shape.
    pub value: BufferId,
    /// Of a max-pool where the taps of its maxima go, a byte each, as its values lie.
    pub maxima: Option<BufferId>,
}

/// A backward pass of a forward pass.
#[derive(Clone, Debug)]
pub struct Backward {
    /// What was asked.
    pub request: BackwardRequest,
    /// Gradients at the logits: images x classes x logits. The host writes it.
    pub seed: BufferId,
    /// Gradients at `request.to`, or their means: images x classes x `shape`.
    pub gradient: BufferId,
    /// Of `request.to`, or one mean a channel.
    pub shape: Shape,
    /// The same at each of `request.keep`.
    pub kept: Vec<BufferId>,
    /// The work, in order.
    pub dispatches: Vec<Dispatch>,
}

/// Everything that the GPU will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Invocations of the subgroups for which its kernels are compiled, see [`Limits::subgroup`].
    pub subgroup: u32,
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// Sizes of the memory that scratch buffers share, bytes.
    pub slots: Vec<u64>,
    /// What runs once before all phases: it makes every [`Contents::Prepared`].
    pub prepare: Vec<Dispatch>,
    /// The forward passes, in the order asked, the picture's first.
    pub passes: Vec<Forward>,
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
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Parts of buffers begin at multiples of so many bytes: every adapter binds from there.
pub const PART: u64 = 256;

impl Buffer {
    /// Where it begins in the memory that it lies in, bytes.
    pub fn offset(&self) -> u64 {
        match self.contents {
            Contents::Part { offset, .. } => offset,
            _ => 0,
        }
    }

    /// Whether it is an image.
    pub fn is_image(&self) -> bool {
        self.image_columns().is_some()
    }

    /// Whether it holds rows of a matrix.
    pub fn is_matrix(&self) -> bool {
        match &self.contents {
            Contents::Weights(Upload { packing, .. }) => {
                matches!(packing, Packing::Rows(..) | Packing::TexelRows(..))
            }
            Contents::Sums(_) => true,
            Contents::Source(_)
            | Contents::Scratch { .. }
            | Contents::Part { .. }
            | Contents::Prepared
            | Contents::Image => false,
        }
    }

    /// Texels in a row of the image that it is, if it is one.
    pub fn image_columns(&self) -> Option<usize> {
        match &self.contents {
            Contents::Weights(Upload { tensor, packing })
            | Contents::Source(Upload { tensor, packing }) => match packing {
                Packing::VectorTexels
                | Packing::Texels(..)
                | Packing::TexelBlocks(..)
                | Packing::DepthwiseTexels(..)
                | Packing::Winograd(_) => Some(IMAGE_ROW),
                Packing::TexelRows(_, dtype) => Some(tensor.shape()[1].div_ceil(dtype.columns())),
                Packing::Vector
                | Packing::Filters(..)
                | Packing::Depthwise(..)
                | Packing::Depths(..)
                | Packing::Rows(..) => None,
            },
            Contents::Sums(sums) => Some(sums.size[1] / 4),
            Contents::Image => Some(IMAGE_ROW),
            Contents::Scratch { .. } | Contents::Part { .. } | Contents::Prepared => None,
        }
    }
}

impl Plan {
    /// Plans `request` for an adapter of `limits`.
    pub fn new(
        network: &Network,
        request: &Request,
        limits: Limits<'_>,
    ) -> Result<Self, PlanError> {
        let [picture, others @ ..] = &request.passes[..] else {
            panic!("a request begins with the picture's pass");
        };
        for pass in &request.passes {
            let begins = pass.from == NodeId(0);
            assert!(
                begins || pass.backs.is_empty(),
                "a way back leads through what goes around the node that its pass begins with"
            );
        }
        let mut builder = Builder::new(network, request, limits);
        let mut passes = vec![builder.forward(picture, "")];
        let of_picture = std::mem::take(&mut builder.pass);
        builder.picture.clone_from(&of_picture.values);
        for request in others {
            let mut pass = builder.forward(request, "again");
            pass.backs = builder.backs(request);
            passes.push(pass);
        }
        builder.pass = of_picture;
        passes[0].backs = builder.backs(picture);
        // The host may read these at any time, and other passes may run at any time.
        builder.hold_to_end_of_phase(&passes[0].kept);
        for request in others {
            let around = builder.read_around(request.from);
            builder.hold_to_end_of_phase(&around);
        }
        if request.dtype == StoredDtype::F16 {
            builder
                .buffers
                .halve(&mut passes, &mut builder.dispatches.preparation);
        }
        builder.buffers.check(limits)?;
        let (buffers, slots) = builder.buffers.in_slots();
        let plan = Self {
            subgroup: limits.subgroup(),
            buffers,
            slots,
            prepare: builder.dispatches.preparation,
            passes,
        };
        plan.check_workgroups(limits.workgroups)?;
        Ok(plan)
    }

    /// The picture's pass.
    pub fn picture(&self) -> &Forward {
        &self.passes[0]
    }

    /// The work of every phase: of each pass that of its base, its own and its backward passes.
    pub fn phases(&self) -> impl Iterator<Item = &[Dispatch]> {
        dispatches::phases(&self.passes)
    }

    fn check_workgroups(&self, has: u32) -> Result<(), PlanError> {
        for dispatch in self.phases().flatten().chain(&self.prepare) {
            let needs = dispatch.workgroups.into_iter().max().unwrap_or(0);
            if needs > has {
                let name = dispatch.label.clone();
                return Err(PlanError::TooManyWorkgroups { name, needs, has });
            }
        }
        Ok(())
    }

    /// The buffer.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0]
    }

    /// Bytes of all that a dispatch reads and writes, each once: the least that it moves.
    pub fn bytes_touched(&self, dispatch: &Dispatch) -> u64 {
        let each = dispatch.buffers.iter().map(|&id| {
            let buffer = self.buffer(id);
            match &buffer.contents {
                Contents::Image => 0,
                _ => buffer.bytes,
            }
        });
        each.sum::<u64>() + dispatch.image_texels as u64 * 16
    }

    /// Which of a dispatch's bindings hold float16 in place of what its shader says.
    pub fn halves(&self, dispatch: &Dispatch) -> Halves {
        let bindings = dispatch.buffers.iter().zip(1..);
        let half = bindings.filter(|(id, _)| self.buffer(**id).half);
        Halves::of(half.map(|(_, binding)| binding))
    }

    /// Whether it stores values in float16.
    pub fn has_halves(&self) -> bool {
        self.buffers.iter().any(|buffer| buffer.half)
    }

    /// Every kernel it calls, in each form.
    pub fn forms(&self) -> std::collections::BTreeSet<(Kernel, Halves)> {
        let all = self.phases().flatten().chain(&self.prepare);
        all.map(|dispatch| (dispatch.kernel, self.halves(dispatch)))
            .collect()
    }

    /// Every kernel it calls.
    pub fn kernels(&self) -> std::collections::BTreeSet<Kernel> {
        self.phases()
            .flatten()
            .chain(&self.prepare)
            .map(|dispatch| dispatch.kernel)
            .collect()
    }
}
