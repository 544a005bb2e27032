//! What a plan depends on of the adapter.

/// Multiply-adds in one submission, and so in one dispatch as far as that carries several pictures. Windows resets a device
/// after two seconds in one; a GPU that does fewer than 4 x 10^9 a second is slower than any that still has a driver.
pub const SUBMISSION: u64 = 8_000_000_000;

use super::{Costs, Model};
#[cfg(doc)]
use crate::kernels::SUBGROUPS;

/// What an adapter can do, as far as a plan depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits<'a> {
    /// Largest storage binding, bytes.
    pub binding: u64,
    /// Largest buffer, bytes.
    pub buffer: u64,
    /// Most workgroups along one dimension of a dispatch.
    pub workgroups: u32,
    /// Which kernels suit it.
    pub family: KernelFamily,
    /// Where 3x3 convolutions go by Winograd's algorithm, if the family has it.
    pub winograd: Winograd,
    /// What layers were measured to take on it; of others the built-in model decides.
    pub costs: &'a Costs,
}

/// Which 3x3 convolutions of stride 1 go by Winograd's F(4x4, 3x3), a quarter of the multiply-adds at about four times the
/// rounding error, or, for [`KernelFamily::Tiled`] alone, by F(2x2, 3x3), four ninths at no greater error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winograd {
    /// None: the direct kernel.
    Never,
    /// Those that it makes faster: by [`Limits::costs`], or by the model of [`Subgroup`] or [`Hardware`].
    WhereFaster,
    /// All that fit, to test it.
    Everywhere,
    /// All that fit by F(2x2, 3x3), to test that; none for [`KernelFamily::Subgroup`], which has no kernels for it.
    Everywhere2x2,
}

/// The kernels that suit an adapter, where there are several for the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelFamily {
    /// `conv2d.wgsl`, which needs nothing and waits for nobody, and the linear kernels for all: a CPU without anything
    /// better.
    Plain,
    /// The kernels `*_tiled.wgsl` in place of `conv2d.wgsl`: a GPU.
    Tiled(Hardware),
    /// The kernels `*_subgroup.wgsl` where they apply, otherwise as [`Self::Plain`]: a CPU with subgroups of one of
    /// [`SUBGROUPS`].
    Subgroup(Subgroup),
}

/// A CPU whose subgroups are vectors, as far as the choice of its kernels depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subgroup {
    /// Invocations of a subgroup, one of [`SUBGROUPS`].
    pub width: u32,
    /// Rows and columns that an image may have.
    pub image_rows: u32,
    /// How values that one of them has loaded get to the others. Measured when the device is opened.
    pub broadcast: Broadcast,
    /// What its kernels cost where nothing is measured.
    pub model: Model,
}

impl Subgroup {
    /// Of `width` invocations and images of `image_rows`, with fast shuffles and the costs of [`Model::of`].
    pub const fn new(width: u32, image_rows: u32) -> Self {
        Self {
            width,
            image_rows,
            broadcast: Broadcast::Shuffles,
            model: Model::of(width),
        }
    }
}

/// How the invocations of a subgroup come by what they all need, whichever is fastest with a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// One loads it, and shuffles from literal lanes hand it round.
    Shuffles,
    /// Each loads it.
    Loads,
    /// One loads it, and swaps in quads hand it round; images are read as sampled textures
    /// ([`KernelInfo::sampled`](crate::kernels::KernelInfo::sampled)). For subgroups of 4.
    Quads,
}

/// What a GPU is, as far as the choice of its kernels depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// Workgroups that keep it busy; a convolution that makes fewer is cut into smaller tiles, then into parts of its sums.
    pub workgroups: u32,
    /// Multiply-adds of float32 that a tiled kernel does in the time in which the memory moves a byte.
    pub multiply_adds_a_byte: u32,
}

impl Hardware {
    /// The time of a dispatch, in bytes that the memory moves meanwhile: the longer of its arithmetic and its bytes.
    pub(super) fn time(self, multiply_adds: u64, bytes: u64) -> u64 {
        bytes.max(multiply_adds / u64::from(self.multiply_adds_a_byte.max(1)))
    }
}

impl Limits<'_> {
    /// Rows and columns that an image may have; 0 where the kernels that read through images do not run.
    pub const fn image_rows(&self) -> usize {
        match self.family {
            KernelFamily::Subgroup(subgroup) => subgroup.image_rows as usize,
            KernelFamily::Plain | KernelFamily::Tiled(_) => 0,
        }
    }

    /// Invocations of a subgroup; 0 where no kernel depends on it.
    pub const fn subgroup(&self) -> u32 {
        match self.family {
            KernelFamily::Subgroup(subgroup) => subgroup.width,
            KernelFamily::Plain | KernelFamily::Tiled(_) => 0,
        }
    }

    /// Largest tensor that one buffer and one binding hold, bytes.
    pub const fn tensor(&self) -> u64 {
        if self.binding < self.buffer {
            self.binding
        } else {
            self.buffer
        }
    }
}
