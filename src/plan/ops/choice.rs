//! Which kernels a convolution goes by: those that compute it on this adapter, what the built-in model takes among them, and
//! what measured times say.

use super::convolution::Convolution;
use super::tiled::Tiling;
use super::winograd::{LISTED, WinogradCall};
use super::winograd_tiled::WinogradTiled;
use crate::kernels::{CONV2D_SUBGROUP_POSITIONS, TILED_LARGE, WINOGRAD_SIZE, WINOGRAD_SMALL_SIZE};
use crate::layout::{Direction, blocks};
use crate::network::{Activation, NodeId};
use crate::plan::builder::Builder;
use crate::plan::choices::Choice;
use crate::plan::costs::{Algorithm, Batch, Decision, LayerCall, LayerShape, Variant};
use crate::plan::schedule::Takes;
use crate::plan::{Hardware, KernelFamily, Subgroup, Winograd};

impl Takes for Builder<'_> {
    fn sum(&self, id: NodeId) -> bool {
        let call = self.forward_convolution(id, self.nothing);
        call.is_some_and(|call| self.adds_as_it_stores(&call))
    }

    fn activation(&self, id: NodeId, activation: &Activation) -> bool {
        let takes_one: &[Variant] = match activation {
            Activation::Clip { .. } | Activation::Silu | Activation::HardSwish => {
                &[Variant::Windows, Variant::DepthwiseImages]
            }
            Activation::Sigmoid | Activation::HardSigmoid { .. } => &[Variant::Windows],
            _ => &[],
        };
        let variant = self.forward_variant(id);
        variant.is_some_and(|variant| takes_one.contains(&variant))
    }

    /// Where a tile holds whole windows, as Winograd's do: the direct kernels' positions follow one another by rows, and a window's
    /// lie in two of these.
    fn pool(&self, id: NodeId) -> bool {
        self.is_winograd(id)
    }

    /// Where no place outside the input is read, which is zero after the norm and not before it.
    fn norm(&self, id: NodeId) -> bool {
        let call = self.forward_convolution(id, self.nothing);
        call.is_some_and(|call| call.reads_no_outside() && self.variant(&call) == Variant::Windows)
    }

    /// There, and where all positions that a workgroup makes are of one image.
    fn scale(&self, id: NodeId) -> bool {
        let call = self.forward_convolution(id, self.nothing);
        call.is_some_and(|call| {
            let positions = call.out_shape.h * call.out_shape.w;
            let of_one = call.n == 1 || positions.is_multiple_of(CONV2D_SUBGROUP_POSITIONS);
            of_one && Takes::norm(self, id)
        })
    }
}

impl Convolution<'_> {
    /// The same layer the other way.
    pub(super) fn turned(&self) -> Self {
        Self {
            direction: match self.direction {
                Direction::Forward => Direction::Backward,
                Direction::Backward => Direction::Forward,
            },
            in_shape: self.out_shape,
            out_shape: self.in_shape,
            ..self.clone()
        }
    }

    /// Whether its window is one tap that is never outside the input.
    fn reads_no_outside(&self) -> bool {
        let window = self.window;
        window.size == [1, 1] && [window.pad_before, window.pad_after] == [[0, 0]; 2]
    }

    /// The layer's own shape, whichever way it goes.
    pub(super) fn layer(&self) -> LayerShape {
        let [input, output] = match self.direction {
            Direction::Forward => [self.in_shape, self.out_shape],
            Direction::Backward => [self.out_shape, self.in_shape],
        };
        LayerShape::new(input, output, self.window, self.groups)
    }
}

impl Builder<'_> {
    /// What there is for the convolution of node `node`, which way it goes, with so many images or gradients; none where the node
    /// is something else.
    pub(in crate::plan) fn choice(
        &self,
        node: NodeId,
        way: Direction,
        images: usize,
    ) -> Option<Choice> {
        let call = self.call(node, way, images)?;
        Some(Choice {
            node,
            layer: call.layer(),
            way,
            images,
            variants: self.variants(&call),
            model: self.by_model(&call),
            taken: self.variant(&call),
        })
    }

    /// The convolution of node `id`, which way it goes, with so many images or gradients, but for where it goes; none where the node
    /// is something else.
    fn call(&self, id: NodeId, way: Direction, images: usize) -> Option<Convolution<'_>> {
        let there = self.forward_convolution(id, self.nothing)?;
        let call = match way {
            Direction::Forward => there,
            Direction::Backward => there.turned(),
        };
        Some(Convolution { n: images, ..call })
    }

    /// Whether the kernel of the way back from node `id`, with so many gradients, can add what came back to its input from all other
    /// readers: where it is the last of them, and a convolution whose kernel does that as it stores.
    pub(in crate::plan) fn adds(&self, id: NodeId, gradients: usize) -> bool {
        let Some(call) = self.call(id, Direction::Backward, gradients) else {
            return false;
        };
        let input = self.network.node(id).inputs[0];
        let [.., up] = call.window_steps();
        let is_last = self.network.consumers(input).next() == Some(id);
        is_last && up == [1, 1] && self.adds_as_it_stores(&call)
    }

    /// Whether a convolution goes by the kernel that adds another value as it stores, which it reads through an image.
    fn adds_as_it_stores(&self, call: &Convolution<'_>) -> bool {
        self.variant(call) == Variant::Windows && call.output_fits(self.limits.image_rows())
    }

    /// What the convolution of node `id` goes by on the way there; none where the node is something else.
    fn forward_variant(&self, id: NodeId) -> Option<Variant> {
        let call = self.forward_convolution(id, self.nothing)?;
        Some(self.variant(&call))
    }

    /// Whether node `id` is a convolution that goes by Winograd's algorithm.
    pub(super) fn is_winograd(&self, id: NodeId) -> bool {
        let variant = self.forward_variant(id);
        variant.is_some_and(|variant| variant.algorithm() != Algorithm::Direct)
    }

    /// Whether a convolution can compute listed tiles: by Winograd's algorithm for subgroups.
    pub(super) fn computes_listed_tiles(&self, call: &Convolution<'_>) -> bool {
        matches!(self.limits.family, KernelFamily::Subgroup(_))
            && self.variant(call).algorithm() == Algorithm::F4x4
    }

    /// What a convolution goes by.
    pub(super) fn variant(&self, call: &Convolution<'_>) -> Variant {
        let model = self.by_model(call);
        if self.limits.costs.layers.is_empty() {
            return model;
        }
        let runs = call.traffic.runs;
        let passes = call.traffic.passes.iter();
        let batches: Vec<Batch> = passes
            .map(|&batch| Batch {
                times: batch.times.saturating_mul(runs),
                ..batch
            })
            .collect();
        let [here, other] = [call, &call.turned()].map(|call| self.variants(call));
        let variants = match call.direction {
            Direction::Forward => [&here[..], &other],
            Direction::Backward => [&other[..], &here],
        };
        let decision = self.limits.costs.decide(&LayerCall {
            layer: call.layer(),
            batches: &batches,
            way: call.direction,
            images: call.n,
            variants,
            model,
            listed: if call.in_tiles { LISTED } else { 1 },
        });
        match decision {
            Decision::Variant(variant) => variant,
            Decision::Algorithm(algorithm) => self.by_model_within(call, algorithm),
        }
    }

    /// Everything that computes a convolution here, the model's choice among it.
    pub(super) fn variants(&self, call: &Convolution<'_>) -> Vec<Variant> {
        let here = Variant::ALL.iter().copied();
        here.filter(|&variant| self.computes(call, variant))
            .collect()
    }

    fn computes(&self, call: &Convolution<'_>, variant: Variant) -> bool {
        let is_3x3 = call.groups == 1 && call.window.is_3x3_same();
        let is_asked = match (variant.algorithm(), self.limits.winograd) {
            (_, Winograd::WhereFaster) | (Algorithm::Direct, Winograd::Never) => true,
            (Algorithm::F4x4 | Algorithm::F2x2, Winograd::Never) => false,
            // What does not fit goes directly, by the model.
            (algorithm, Winograd::Everywhere | Winograd::Everywhere2x2) => {
                self.by_model(call).algorithm() == algorithm
            }
        };
        let fits = match self.limits.family {
            KernelFamily::Plain => variant == plain(call),
            KernelFamily::Subgroup(subgroup) if call.is_depthwise() => match variant {
                Variant::Depthwise => true,
                Variant::DepthwiseImages => self.fits_depthwise(call, subgroup.image_rows),
                _ => false,
            },
            _ if call.is_depthwise() || call.groups > 1 => variant == plain(call),
            KernelFamily::Subgroup(subgroup) => {
                let most = subgroup.image_rows;
                let winograd = || {
                    let it = WinogradCall::new(call, subgroup, variant);
                    is_3x3 && call.fits(most) && it.fits(most)
                };
                match variant {
                    Variant::Windows => call.fits_in_eights(most),
                    Variant::Few => call.makes_few() && call.fits_in_eights(most),
                    Variant::Direct3x3 => is_3x3 && call.fits(most),
                    Variant::Winograd | Variant::WinogradLoads => winograd(),
                    Variant::WinogradWide => call.is_worth_wide() && winograd(),
                    Variant::WinogradQuads => subgroup.width == 4 && winograd(),
                    // A hundred times slower than any of those.
                    Variant::Plain => self.by_model(call) == Variant::Plain,
                    _ => false,
                }
            }
            KernelFamily::Tiled(_) => {
                let winograd =
                    |size| is_3x3 && WinogradTiled::new(call, size, &self.limits).is_some();
                match variant {
                    Variant::TilesLarge | Variant::TilesSmall => true,
                    Variant::TilesParts => Tiling::can_be_parted(call),
                    Variant::F4x4Large | Variant::F4x4Small => winograd(WINOGRAD_SIZE),
                    Variant::F2x2Large | Variant::F2x2Small => winograd(WINOGRAD_SMALL_SIZE),
                    _ => false,
                }
            }
        };
        is_asked && fits
    }

    /// The built-in model's choice.
    pub(super) fn by_model(&self, call: &Convolution<'_>) -> Variant {
        self.by_model_within(call, self.algorithm_by_model(call))
    }

    fn algorithm_by_model(&self, call: &Convolution<'_>) -> Algorithm {
        if call.groups > 1 || !call.window.is_3x3_same() {
            return Algorithm::Direct;
        }
        match self.limits.family {
            KernelFamily::Plain => Algorithm::Direct,
            KernelFamily::Subgroup(subgroup) => {
                let it = || WinogradCall::by_model(call, subgroup);
                let is_chosen = call.fits(subgroup.image_rows)
                    && match self.limits.winograd {
                        Winograd::Never | Winograd::Everywhere2x2 => false,
                        Winograd::WhereFaster => it().is_faster(),
                        Winograd::Everywhere => true,
                    };
                match is_chosen && it().fits(subgroup.image_rows) {
                    true => Algorithm::F4x4,
                    false => Algorithm::Direct,
                }
            }
            KernelFamily::Tiled(hardware) => {
                let fits = |size| WinogradTiled::new(call, size, &self.limits);
                let winograd = match self.limits.winograd {
                    Winograd::Never => None,
                    Winograd::WhereFaster => {
                        WinogradTiled::where_faster(call, &self.limits, hardware)
                    }
                    Winograd::Everywhere => fits(WINOGRAD_SIZE),
                    Winograd::Everywhere2x2 => fits(WINOGRAD_SMALL_SIZE),
                };
                winograd.map_or(Algorithm::Direct, |it| it.algorithm())
            }
        }
    }

    /// The same where the algorithm is decided.
    pub(super) fn by_model_within(&self, call: &Convolution<'_>, algorithm: Algorithm) -> Variant {
        match self.limits.family {
            KernelFamily::Plain => plain(call),
            KernelFamily::Subgroup(subgroup) if call.is_depthwise() => {
                match self.fits_depthwise(call, subgroup.image_rows) {
                    true => Variant::DepthwiseImages,
                    false => Variant::Depthwise,
                }
            }
            // Other groups are rare, and of a few channels each: the plain kernel reads no others.
            _ if call.is_depthwise() || call.groups > 1 => plain(call),
            KernelFamily::Subgroup(subgroup) => match algorithm {
                Algorithm::Direct => direct_by_rule(call, subgroup, self.limits.winograd),
                Algorithm::F2x2 | Algorithm::F4x4 => WinogradCall::variant_by_model(call, subgroup),
            },
            KernelFamily::Tiled(hardware) => {
                let tile = |size| {
                    let it = WinogradTiled::new(call, size, &self.limits);
                    it.expect("it was chosen").tile_by_model(hardware)
                };
                match algorithm {
                    Algorithm::Direct => tiling_by_model(call, hardware),
                    Algorithm::F4x4 if tile(WINOGRAD_SIZE) == TILED_LARGE => Variant::F4x4Large,
                    Algorithm::F4x4 => Variant::F4x4Small,
                    Algorithm::F2x2 if tile(WINOGRAD_SMALL_SIZE) == TILED_LARGE => {
                        Variant::F2x2Large
                    }
                    Algorithm::F2x2 => Variant::F2x2Small,
                }
            }
        }
    }
}

/// How the model cuts a direct convolution on a GPU.
fn tiling_by_model(call: &Convolution<'_>, hardware: Hardware) -> Variant {
    let positions = call.out_shape.h * call.out_shape.w;
    let channels = blocks(call.out_shape.c) * 4;
    let steps = call.steps();
    Tiling::new([positions, channels], call.n, steps, hardware).variant()
}

/// What needs no feature of the adapter.
fn plain(call: &Convolution<'_>) -> Variant {
    match call.is_depthwise() {
        true => Variant::Depthwise,
        false => Variant::Plain,
    }
}

/// The direct kernel for subgroups. That of 3 x 3 windows is for who asks for direct convolutions, for subgroups of 4, for small maps,
/// for outputs that leave invocations of the other idle, which makes four each, and for few by subgroups of 8; elsewhere that of any
/// window is faster.
fn direct_by_rule(call: &Convolution<'_>, subgroup: Subgroup, winograd: Winograd) -> Variant {
    let most = subgroup.image_rows;
    let fits = call.fits_in_eights(most);
    let positions = call.n * call.out_shape.h * call.out_shape.w;
    let (outputs, width) = (blocks(call.out_shape.c), subgroup.width as usize);
    // Channels that the invocations have room for, by a block each and by one each.
    let [by_blocks, by_ones] = [
        4 * outputs.next_multiple_of(width),
        (4 * outputs).next_multiple_of(width),
    ];
    let leaves_idle = 3 * by_blocks > 4 * by_ones;
    let is_3x3_better = !fits
        || leaves_idle && !call.makes_few()
        || winograd == Winograd::Never
        || subgroup.width == 4
        || positions <= 2 * CONV2D_SUBGROUP_POSITIONS
        || call.makes_few() && subgroup.width == 8;
    if is_3x3_better && call.window.is_3x3_same() && call.fits(most) {
        return Variant::Direct3x3;
    }
    match fits {
        true if call.makes_few() => Variant::Few,
        true => Variant::Windows,
        false => Variant::Plain,
    }
}
