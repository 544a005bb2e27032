//! What convolutions were measured to take on a device, kernel by kernel, and which of these a plan takes for that.
//!
//! A layer is known by its shape. Where it has been measured, what took least time is taken; of all others the built-in model
//! decides, [`Model`](super::Model) for subgroups and [`Hardware`](super::Hardware) for GPUs.

use serde::{Deserialize, Serialize};

use crate::layout::Direction;
use crate::named::named;
use crate::network::{Network, NodeId, Op, Shape, Window};

/// A convolution as far as its time depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerShape {
    /// Channels, rows and columns of the layer's own input.
    pub input: [usize; 3],
    /// The same of its output.
    pub output: [usize; 3],
    /// Taps down and across.
    pub taps: [usize; 2],
    /// Steps between outputs.
    pub stride: [usize; 2],
    /// Steps between taps.
    pub dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
}

impl LayerShape {
    /// Of node `id`; none where it is no convolution.
    pub fn of(network: &Network, id: NodeId) -> Option<Self> {
        let node = network.node(id);
        let Op::Conv2d { window, groups, .. } = &node.op else {
            return None;
        };
        let input = network.node(node.inputs[0]).shape;
        Some(Self::new(input, node.shape, window, *groups))
    }

    pub(super) fn new(input: Shape, output: Shape, window: &Window, groups: usize) -> Self {
        let sizes = |shape: Shape| [shape.c, shape.h, shape.w];
        Self {
            input: sizes(input),
            output: sizes(output),
            taps: window.size,
            stride: window.stride,
            dilation: window.dilation,
            groups,
        }
    }
}

named! {
    /// A kernel, or several that belong together, by which a convolution or its input gradient goes.
    pub enum Variant {
        /// `conv2d.wgsl`
        Plain = "plain",
        /// `depthwise.wgsl`
        Depthwise = "depthwise",
        /// `depthwise_subgroup.wgsl`
        DepthwiseImages = "depthwise-images",
        /// `conv2d_subgroup.wgsl`
        Windows = "windows",
        /// `conv2d_few.wgsl`, for an input gradient of few channels
        Few = "few",
        /// `conv3x3_subgroup.wgsl`
        Direct3x3 = "direct-3x3",
        /// `winograd_product_subgroup.wgsl` with filters handed round by shuffles, and the transforms around it
        Winograd = "winograd",
        /// The same with filters loaded by each invocation
        WinogradLoads = "winograd-loads",
        /// The same by shuffles, with more tiles a workgroup
        WinogradWide = "winograd-wide",
        /// The same by `winograd_product_quads.wgsl`, for subgroups of 4
        WinogradQuads = "winograd-quads",
        /// `conv2d_tiled.wgsl` in large tiles
        TilesLarge = "tiles-large",
        /// `conv2d_tiled.wgsl` in small tiles
        TilesSmall = "tiles-small",
        /// `conv2d_tiled.wgsl` in small tiles and parts of the sums
        TilesParts = "tiles-parts",
        /// Winograd's F(4x4) by `winograd_product_tiled.wgsl` in large tiles
        F4x4Large = "f4x4-large",
        /// Winograd's F(4x4) in small tiles
        F4x4Small = "f4x4-small",
        /// Winograd's F(2x2) in large tiles
        F2x2Large = "f2x2-large",
        /// Winograd's F(2x2) in small tiles
        F2x2Small = "f2x2-small",
    }
}

/// How a convolution is computed. One for a layer there and back, since transformed filters serve both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Direct,
    F2x2,
    F4x4,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Direct, Self::F2x2, Self::F4x4];
}

impl Variant {
    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::Plain
            | Self::Depthwise
            | Self::DepthwiseImages
            | Self::Windows
            | Self::Few
            | Self::Direct3x3
            | Self::TilesLarge
            | Self::TilesSmall
            | Self::TilesParts => Algorithm::Direct,
            Self::Winograd
            | Self::WinogradLoads
            | Self::WinogradWide
            | Self::WinogradQuads
            | Self::F4x4Large
            | Self::F4x4Small => Algorithm::F4x4,
            Self::F2x2Large | Self::F2x2Small => Algorithm::F2x2,
        }
    }

    /// Whether it suits so many images at once and not others: its tiles are cut so that they keep a GPU busy.
    const fn is_for_a_number_of_images(self) -> bool {
        match self {
            Self::TilesLarge
            | Self::TilesSmall
            | Self::TilesParts
            | Self::F4x4Large
            | Self::F4x4Small
            | Self::F2x2Large
            | Self::F2x2Small => true,
            Self::Plain
            | Self::Depthwise
            | Self::DepthwiseImages
            | Self::Windows
            | Self::Few
            | Self::Direct3x3
            | Self::Winograd
            | Self::WinogradLoads
            | Self::WinogradWide
            | Self::WinogradQuads => false,
        }
    }
}

/// What a variant takes, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// One image of the layer, there; none where it is not for that way.
    pub forward: Option<u64>,
    /// One gradient, back.
    pub backward: Option<u64>,
    /// What is made once of the layer's filters, for both ways.
    #[serde(default)]
    pub once: u64,
}

impl Times {
    /// Those of one way.
    pub const fn of(self, way: Direction) -> Option<u64> {
        match way {
            Direction::Forward => self.forward,
            Direction::Backward => self.backward,
        }
    }
}

/// A layer measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The layer.
    pub layer: LayerShape,
    /// Images at once.
    pub images: usize,
    /// What each variant took.
    pub variants: Vec<(Variant, Times)>,
}

impl Measured {
    fn times(&self, variant: Variant) -> Option<Times> {
        let mut variants = self.variants.iter();
        variants.find_map(|&(there, times)| (there == variant).then_some(times))
    }
}

/// The layers measured on a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Each layer and number of images once.
    pub layers: Vec<Measured>,
}

/// A difference of less than a part of so many is noise, and changes no plan.
const NOISE: u64 = 16;

/// Images, or gradients, that go through a layer at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) way: Direction,
    pub(super) images: usize,
    /// How often so many do.
    pub(super) times: usize,
}

/// A call of a layer, as far as the choice of its variant depends on it.
pub(super) struct LayerCall<'q> {
    pub(super) layer: LayerShape,
    /// All that goes through the layer.
    pub(super) batches: &'q [Batch],
    /// What is to be computed now.
    pub(super) way: Direction,
    pub(super) images: usize,
    /// What computes the layer there, and back.
    pub(super) variants: [&'q [Variant]; 2],
    /// The model's choice among them.
    pub(super) model: Variant,
    /// Of how many tiles one is computed on the way there by [`Algorithm::F4x4`].
    pub(super) listed: u64,
}

impl LayerCall<'_> {
    fn computing(&self, way: Direction) -> &[Variant] {
        match way {
            Direction::Forward => self.variants[0],
            Direction::Backward => self.variants[1],
        }
    }

    /// What computes what is to be computed now.
    fn here(&self) -> &[Variant] {
        self.computing(self.way)
    }
}

/// What measurements say of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// This one.
    Variant(Variant),
    /// What the model takes within this algorithm.
    Algorithm(Algorithm),
}

impl Costs {
    /// None measured: the built-in model decides of every layer.
    pub fn model() -> &'static Self {
        static NONE: Costs = Costs { layers: vec![] };
        &NONE
    }

    /// Made-up times by which a layer goes by `wanted` wherever that computes it.
    pub fn forcing(layer: LayerShape, wanted: Variant) -> Self {
        let times = |&variant: &Variant| {
            let each = Some(u64::from(variant != wanted) * 1_000_000_000);
            let times = Times {
                forward: each,
                backward: each,
                once: 0,
            };
            (variant, times)
        };
        Self {
            layers: vec![Measured {
                layer,
                images: 1,
                variants: Variant::ALL.iter().map(times).collect(),
            }],
        }
    }

    /// What has been measured of a layer with so many images at once: of several numbers the next below, else the least.
    pub fn of(&self, layer: &LayerShape, images: usize) -> Option<&Measured> {
        let of_layer = self.layers.iter().filter(|there| there.layer == *layer);
        of_layer.min_by_key(|there| match images.checked_sub(there.images) {
            Some(more) => (false, more),
            None => (true, there.images),
        })
    }

    /// Adds a layer, in place of what was known of it with so many images.
    pub fn insert(&mut self, measured: Measured) {
        let is_same =
            |there: &Measured| (there.layer, there.images) == (measured.layer, measured.images);
        match self.layers.iter_mut().find(|there| is_same(there)) {
            Some(there) => *there = measured,
            None => self.layers.push(measured),
        }
    }

    /// What computes a call; the model's own choice where that has not been measured or nothing is faster.
    pub(super) fn decide(&self, call: &LayerCall<'_>) -> Decision {
        let model = call.model;
        let by_model = Decision::Variant(model);
        let Some(of_model) = self.whole_time(call, model.algorithm()) else {
            return by_model;
        };
        let others = Algorithm::ALL.into_iter().filter(|&other| {
            let mut variants = call.here().iter();
            other != model.algorithm() && variants.any(|variant| variant.algorithm() == other)
        });
        let others = others.filter_map(|other| Some((self.whole_time(call, other)?, other)));
        match others.min_by_key(|&(time, _)| time) {
            Some((time, other)) if is_less(time, of_model) => self
                .within(call, other)
                .map_or(Decision::Algorithm(other), |(_, best)| {
                    Decision::Variant(best)
                }),
            _ => match self.within(call, model.algorithm()) {
                Some((time, best))
                    if self
                        .image_time(call, model)
                        .is_some_and(|of_model| is_less(time, of_model)) =>
                {
                    Decision::Variant(best)
                }
                _ => by_model,
            },
        }
    }

    /// What all images take that go through the layer, with what is made once; none where one of these has not been measured.
    fn whole_time(&self, call: &LayerCall<'_>, algorithm: Algorithm) -> Option<u64> {
        let mut whole = 0_u64;
        let mut once = 0;
        for batch in call.batches {
            let measured = self.of(&call.layer, batch.images)?;
            let variants = measured.variants.iter();
            let variants = variants.filter(|(variant, _)| {
                variant.algorithm() == algorithm && call.computing(batch.way).contains(variant)
            });
            let times = variants.filter_map(|(_, times)| Some((times.of(batch.way)?, times.once)));
            let (mut time, of_filters) = times.min()?;
            if algorithm == Algorithm::F4x4 && batch.way == Direction::Forward {
                time /= call.listed;
            }
            once = once.max(of_filters);
            let images = batch.images.saturating_mul(batch.times) as u64;
            whole = whole.saturating_add(time.saturating_mul(images));
        }
        Some(whole.saturating_add(once))
    }

    /// The fastest variant of an algorithm for the call's images, with its time.
    fn within(&self, call: &LayerCall<'_>, algorithm: Algorithm) -> Option<(u64, Variant)> {
        let variants = call.here().iter();
        let variants = variants.filter(|variant| variant.algorithm() == algorithm);
        let times =
            variants.filter_map(|&variant| Some((self.image_time(call, variant)?, variant)));
        times.min_by_key(|&(time, _)| time)
    }

    fn image_time(&self, call: &LayerCall<'_>, variant: Variant) -> Option<u64> {
        let measured = self.of(&call.layer, call.images)?;
        let is_meant = !variant.is_for_a_number_of_images() || measured.images == call.images;
        measured.times(variant)?.of(call.way).filter(|_| is_meant)
    }
}

/// Whether a time is less by more than noise.
fn is_less(time: u64, than: u64) -> bool {
    time < than - than / NOISE
}
