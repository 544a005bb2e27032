//! Each kernel's row: its shader, its uniform, what it binds and what its shader's constants are.

use super::{
    Access, ActivationKind, KernelInfo, TILED_LARGE, TILED_SMALL, WINOGRAD_SIZE,
    WINOGRAD_SMALL_SIZE, params,
};
use Access::{Image, Matrix, Read, Write, WriteSingly};

type Constants = &'static [(&'static str, f64)];

const NONE: Constants = &[];
const FULL: Constants = &[("HALF", 0.0)];
const HALF: Constants = &[("HALF", 1.0)];
const SHIFTED: Constants = &[("SHIFTED", 1.0)];
const NOT_SHIFTED: Constants = &[("SHIFTED", 0.0)];
const EACH: Constants = &[("EACH", 1.0)];
const NOT_EACH: Constants = &[("EACH", 0.0)];
const FEW: Constants = &[("HALF", 0.0), ("MANY", 0.0)];
const FEW_HALF: Constants = &[("HALF", 1.0), ("MANY", 0.0)];
const MANY: Constants = &[("HALF", 0.0), ("MANY", 1.0)];
const MANY_HALF: Constants = &[("HALF", 1.0), ("MANY", 1.0)];
/// What no activation has for its number.
const NO_NUMBER: f64 = 99.0;
const SILU_NUMBER: f64 = ActivationKind::Silu as u32 as f64;
const SIGMOID_NUMBER: f64 = ActivationKind::Sigmoid as u32 as f64;
const HARD_SIGMOID_NUMBER: f64 = ActivationKind::HardSigmoid as u32 as f64;
const HARD_SWISH_NUMBER: f64 = ActivationKind::HardSwish as u32 as f64;
const PLAIN: Constants = &windows([NO_NUMBER, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
const PLAIN_WIDE: Constants = &windows([NO_NUMBER, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
const MASKED: Constants = &windows([NO_NUMBER, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
const MASKED_WIDE: Constants = &windows([NO_NUMBER, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0]);
const SPREAD: Constants = &windows([NO_NUMBER, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
const SPREAD_WIDE: Constants = &windows([NO_NUMBER, 0.0, 0.0, 2.0, 1.0, 0.0, 0.0]);
const SPREAD_MASKED: Constants = &windows([NO_NUMBER, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
const SPREAD_MASKED_WIDE: Constants = &windows([NO_NUMBER, 0.0, 1.0, 2.0, 1.0, 0.0, 0.0]);
const NORMED: Constants = &windows([NO_NUMBER, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
const NORMED_WIDE: Constants = &windows([NO_NUMBER, 0.0, 0.0, 2.0, 0.0, 1.0, 0.0]);
const ADDED: Constants = &windows([NO_NUMBER, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
const ADDED_WIDE: Constants = &windows([NO_NUMBER, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
const ADDED_MASKED: Constants = &windows([NO_NUMBER, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
const ADDED_MASKED_WIDE: Constants = &windows([NO_NUMBER, 1.0, 1.0, 2.0, 0.0, 0.0, 0.0]);
const SCALED: Constants = &windows([NO_NUMBER, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
const SCALED_WIDE: Constants = &windows([NO_NUMBER, 0.0, 0.0, 2.0, 0.0, 0.0, 1.0]);
const SCALED_ADDED: Constants = &windows([NO_NUMBER, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
const SCALED_ADDED_WIDE: Constants = &windows([NO_NUMBER, 1.0, 0.0, 2.0, 0.0, 0.0, 1.0]);
const SILU: Constants = &windows([SILU_NUMBER, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
const SILU_WIDE: Constants = &windows([SILU_NUMBER, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
const HARD_SWISH: Constants = &windows([HARD_SWISH_NUMBER, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
const HARD_SWISH_WIDE: Constants = &windows([HARD_SWISH_NUMBER, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
const SIGMOID: Constants = &windows([SIGMOID_NUMBER, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
const SIGMOID_WIDE: Constants = &windows([SIGMOID_NUMBER, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
const HARD_SIGMOID: Constants = &windows([HARD_SIGMOID_NUMBER, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
const HARD_SIGMOID_WIDE: Constants = &windows([HARD_SIGMOID_NUMBER, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
const NO_ACTIVATION: Constants = &[("ACTIVATION", NO_NUMBER), ("MASKED", 0.0)];
const WITH_MASK: Constants = &[("ACTIVATION", NO_NUMBER), ("MASKED", 1.0)];
const WITH_SILU: Constants = &[("ACTIVATION", SILU_NUMBER), ("MASKED", 0.0)];
const WITH_HARD_SWISH: Constants = &[("ACTIVATION", HARD_SWISH_NUMBER), ("MASKED", 0.0)];
const LEAKY_KIND: Constants = &kind(ActivationKind::Leaky);
const ELU_KIND: Constants = &kind(ActivationKind::Elu);
const SIGMOID_KIND: Constants = &kind(ActivationKind::Sigmoid);
const TANH_KIND: Constants = &kind(ActivationKind::Tanh);
const SILU_KIND: Constants = &kind(ActivationKind::Silu);
const HARD_SIGMOID_KIND: Constants = &kind(ActivationKind::HardSigmoid);
const HARD_SWISH_KIND: Constants = &kind(ActivationKind::HardSwish);
const GELU_KIND: Constants = &kind(ActivationKind::Gelu);
const GELU_TANH_KIND: Constants = &kind(ActivationKind::GeluTanh);
const SOFTPLUS_KIND: Constants = &kind(ActivationKind::Softplus);
const MISH_KIND: Constants = &kind(ActivationKind::Mish);
const SQUARE_KIND: Constants = &kind(ActivationKind::Square);
const SQRT_KIND: Constants = &kind(ActivationKind::Sqrt);
const RECIPROCAL_KIND: Constants = &kind(ActivationKind::Reciprocal);
const ABS_KIND: Constants = &kind(ActivationKind::Abs);
const EXP_KIND: Constants = &kind(ActivationKind::Exp);
const LOG_KIND: Constants = &kind(ActivationKind::Log);
const POWER_KIND: Constants = &kind(ActivationKind::Power);
const SQUARE_3_1: Constants = &square([NO_NUMBER, 0.0, 3.0, 1.0]);
const SQUARE_3_1_MASKED: Constants = &square([NO_NUMBER, 1.0, 3.0, 1.0]);
const SQUARE_3_1_SILU: Constants = &square([SILU_NUMBER, 0.0, 3.0, 1.0]);
const SQUARE_3_1_HARD_SWISH: Constants = &square([HARD_SWISH_NUMBER, 0.0, 3.0, 1.0]);
const SQUARE_3_2: Constants = &square([NO_NUMBER, 0.0, 3.0, 2.0]);
const SQUARE_3_2_SILU: Constants = &square([SILU_NUMBER, 0.0, 3.0, 2.0]);
const SQUARE_3_2_HARD_SWISH: Constants = &square([HARD_SWISH_NUMBER, 0.0, 3.0, 2.0]);
const SQUARE_5_1: Constants = &square([NO_NUMBER, 0.0, 5.0, 1.0]);
const SQUARE_5_1_MASKED: Constants = &square([NO_NUMBER, 1.0, 5.0, 1.0]);
const SQUARE_5_1_SILU: Constants = &square([SILU_NUMBER, 0.0, 5.0, 1.0]);
const SQUARE_5_1_HARD_SWISH: Constants = &square([HARD_SWISH_NUMBER, 0.0, 5.0, 1.0]);
const SQUARE_5_2: Constants = &square([NO_NUMBER, 0.0, 5.0, 2.0]);
const SQUARE_5_2_SILU: Constants = &square([SILU_NUMBER, 0.0, 5.0, 2.0]);
const SQUARE_5_2_HARD_SWISH: Constants = &square([HARD_SWISH_NUMBER, 0.0, 5.0, 2.0]);
const LARGE: Constants = &[("TILE", TILED_LARGE as f64)];
const SMALL: Constants = &[("TILE", TILED_SMALL as f64)];
const F_4X4: Constants = &[("SIZE", WINOGRAD_SIZE as f64)];
const F_2X2: Constants = &[("SIZE", WINOGRAD_SMALL_SIZE as f64)];
const NARROW: Constants = &[("TURNED", 0.0), ("WIDE", 0.0), ("SHUFFLED", 1.0)];
const NARROW_TURNED: Constants = &[("TURNED", 1.0), ("WIDE", 0.0), ("SHUFFLED", 1.0)];
const LOADED: Constants = &[("TURNED", 0.0), ("WIDE", 0.0), ("SHUFFLED", 0.0)];
const LOADED_TURNED: Constants = &[("TURNED", 1.0), ("WIDE", 0.0), ("SHUFFLED", 0.0)];
const AS_IT_IS: Constants = &[("TURNED", 0.0)];
const TURNED: Constants = &[("TURNED", 1.0)];
const WIDE: Constants = &[("TURNED", 0.0), ("WIDE", 1.0), ("SHUFFLED", 1.0)];
const WIDE_TURNED: Constants = &[("TURNED", 1.0), ("WIDE", 1.0), ("SHUFFLED", 1.0)];

/// What `conv2d_subgroup.wgsl` is compiled for.
const fn windows(values: [f64; 7]) -> [(&'static str, f64); 7] {
    let [activation, added, masked, blocks, spread, normed, scaled] = values;
    [
        ("ACTIVATION", activation),
        ("ADDED", added),
        ("MASKED", masked),
        ("BLOCKS", blocks),
        ("SPREAD", spread),
        ("NORMED", normed),
        ("SCALED", scaled),
    ]
}

/// What `activate.wgsl` and `activate_backward.wgsl` are compiled for.
const fn kind(kind: ActivationKind) -> [(&'static str, f64); 1] {
    [("KIND", kind as u32 as f64)]
}

/// What `depthwise_square.wgsl` is compiled for.
const fn square(values: [f64; 4]) -> [(&'static str, f64); 4] {
    let [activation, masked, taps, stride] = values;
    [
        ("ACTIVATION", activation),
        ("MASKED", masked),
        ("TAPS", taps),
        ("STRIDE", stride),
    ]
}

/// One list makes the enum, the list of all and what is known of each, so that none can be left out of one of them.
macro_rules! kernels {
    ($(
        $(#[$doc:meta])*
        $kernel:ident: $name:literal, $params:ident, [$($binding:ident),*] $(, $constants:ident $(, $by:ident)?)?;
    )*) => {
        /// A shader of `shaders/` with its constants.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kernel {
            $(#[doc = concat!("`", $name, ".wgsl`.")] $(#[$doc])* $kernel,)*
        }

        impl Kernel {
            /// Every kernel.
            pub const ALL: &[Self] = &[$(Self::$kernel),*];

            /// Its row of the table.
            pub const fn info(self) -> KernelInfo {
                match self {
                    $(Self::$kernel => KernelInfo {
                        name: $name,
                        source: include_str!(concat!("../../shaders/", $name, ".wgsl")),
                        constants: kernels!(@constants $($constants)?),
                        by_subgroup: kernels!(@by $($($by)?)?),
                        params_size: size_of::<params::$params>(),
                        bindings: &[$($binding),*],
                    },)*
                }
            }
        }
    };
    (@constants) => { &[] };
    (@constants $constants:ident) => { $constants };
    (@by) => { false };
    (@by subgroup) => { true };
}

kernels! {
    Conv2d: "conv2d", Conv2dParams, [Read, Read, Read, Write];
    /// [`TILED_LARGE`].
    Conv2dTiledLarge: "conv2d_tiled", Conv2dTiledParams, [Read, Read, Read, Write], LARGE;
    /// [`TILED_SMALL`].
    Conv2dTiledSmall: "conv2d_tiled", Conv2dTiledParams, [Read, Read, Read, Write], SMALL;
    SplitSum: "split_sum", SplitSumParams, [Read, Read, Write];
    Conv2dSubgroup: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], PLAIN, subgroup;
    /// Two blocks an invocation.
    Conv2dSubgroupWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], PLAIN_WIDE, subgroup;
    /// With the mask of an activation.
    Conv2dSubgroupMasked: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], MASKED, subgroup;
    /// With the mask of an activation, two blocks an invocation.
    Conv2dSubgroupMaskedWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], MASKED_WIDE, subgroup;
    /// The input gradient of a layer of strides.
    Conv2dSubgroupSpread: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SPREAD, subgroup;
    /// The input gradient of a layer of strides, two blocks an invocation.
    Conv2dSubgroupSpreadWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SPREAD_WIDE, subgroup;
    /// The input gradient of a layer of strides, with the mask of an activation.
    Conv2dSubgroupSpreadMasked: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SPREAD_MASKED, subgroup;
    /// The input gradient of a layer of strides, with the mask of an activation, two blocks an invocation.
    Conv2dSubgroupSpreadMaskedWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SPREAD_MASKED_WIDE, subgroup;
    /// Another value is added before it ends.
    Conv2dSubgroupAdded: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], ADDED, subgroup;
    /// Another value is added before it ends, two blocks an invocation.
    Conv2dSubgroupAddedWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], ADDED_WIDE, subgroup;
    /// Another gradient is added before the mask of an activation.
    Conv2dSubgroupAddedMasked: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], ADDED_MASKED, subgroup;
    /// Another gradient is added before the mask of an activation, two blocks an invocation.
    Conv2dSubgroupAddedMaskedWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], ADDED_MASKED_WIDE, subgroup;
    /// It ends with a SiLU.
    Conv2dSubgroupSilu: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SILU, subgroup;
    /// It ends with a SiLU, two blocks an invocation.
    Conv2dSubgroupSiluWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SILU_WIDE, subgroup;
    /// It ends with a hard swish.
    Conv2dSubgroupHardSwish: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], HARD_SWISH, subgroup;
    /// It ends with a hard swish, two blocks an invocation.
    Conv2dSubgroupHardSwishWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], HARD_SWISH_WIDE, subgroup;
    /// It ends with a sigmoid.
    Conv2dSubgroupSigmoid: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SIGMOID, subgroup;
    /// It ends with a sigmoid, two blocks an invocation.
    Conv2dSubgroupSigmoidWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SIGMOID_WIDE, subgroup;
    /// It ends with a hard sigmoid.
    Conv2dSubgroupHardSigmoid: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], HARD_SIGMOID, subgroup;
    /// It ends with a hard sigmoid, two blocks an invocation.
    Conv2dSubgroupHardSigmoidWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], HARD_SIGMOID_WIDE, subgroup;
    /// Its input is scaled, shifted and goes through a ReLU as it is read.
    Conv2dSubgroupNormed: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], NORMED, subgroup;
    /// Its input is scaled, shifted and goes through a ReLU as it is read, two blocks an invocation.
    Conv2dSubgroupNormedWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], NORMED_WIDE, subgroup;
    /// Its input is multiplied by a value a channel as it is read.
    Conv2dSubgroupScaled: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SCALED, subgroup;
    /// Its input is multiplied by a value a channel as it is read, two blocks an invocation.
    Conv2dSubgroupScaledWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SCALED_WIDE, subgroup;
    /// Its input is multiplied by a value a channel as it is read, another value is added before it ends.
    Conv2dSubgroupScaledAdded: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SCALED_ADDED, subgroup;
    /// Its input is multiplied by a value a channel as it is read, another value is added before it ends, two blocks an invocation.
    Conv2dSubgroupScaledAddedWide: "conv2d_subgroup", Conv2dSubgroupParams,
        [Image, Image, Image, Read, Read, Image, Write], SCALED_ADDED_WIDE, subgroup;
    Conv2dFew: "conv2d_few", Conv2dFewParams, [Image, Image, Read, Write], NONE, subgroup;
    Conv3x3Subgroup: "conv3x3_subgroup", Conv3x3Params, [Image, Image, Read, Write], NONE, subgroup;
    WinogradInput: "winograd_input", WinogradInputParams, [Image, Read, Write], NONE, subgroup;
    WinogradProduct: "winograd_product_subgroup", WinogradProductParams,
        [Image, Image, Write], NARROW, subgroup;
    /// For the input gradient.
    WinogradProductTurned: "winograd_product_subgroup", WinogradProductParams,
        [Image, Image, Write], NARROW_TURNED, subgroup;
    /// Where shuffles are slow.
    WinogradProductLoaded: "winograd_product_subgroup", WinogradProductParams,
        [Image, Image, Write], LOADED, subgroup;
    /// Where shuffles are slow, for the input gradient.
    WinogradProductLoadedTurned: "winograd_product_subgroup", WinogradProductParams,
        [Image, Image, Write], LOADED_TURNED, subgroup;
    /// [`WINOGRAD_PRODUCT_WIDE`](super::WINOGRAD_PRODUCT_WIDE).
    WinogradProductWide: "winograd_product_subgroup", WinogradProductParams,
        [Image, Image, Write], WIDE, subgroup;
    /// [`WINOGRAD_PRODUCT_WIDE`](super::WINOGRAD_PRODUCT_WIDE), for the input gradient.
    WinogradProductWideTurned: "winograd_product_subgroup", WinogradProductParams,
        [Image, Image, Write], WIDE_TURNED, subgroup;
    /// By swaps in quads.
    WinogradProductQuads: "winograd_product_quads", WinogradProductParams,
        [Image, Image, Write], AS_IT_IS, subgroup;
    /// By swaps in quads, for the input gradient.
    WinogradProductQuadsTurned: "winograd_product_quads", WinogradProductParams,
        [Image, Image, Write], TURNED, subgroup;
    WinogradOutput: "winograd_output", WinogradOutputParams, [Read, Read, Read, Write], NONE, subgroup;
    WinogradOutputPool: "winograd_output_pool", WinogradOutputPoolParams,
        [Read, Read, Read, Write, Write], NONE, subgroup;
    CopyTiles: "copy_tiles", CopyTilesParams, [Read, Read, Write], NONE, subgroup;
    /// [`WINOGRAD_SIZE`].
    WinogradFiltersTiled: "winograd_filters_tiled", WinogradFiltersTiledParams,
        [Read, Write], F_4X4;
    /// [`WINOGRAD_SMALL_SIZE`].
    WinogradFiltersTiled2x2: "winograd_filters_tiled", WinogradFiltersTiledParams,
        [Read, Write], F_2X2;
    /// [`WINOGRAD_SIZE`].
    WinogradInputTiled: "winograd_input_tiled", WinogradInputTiledParams, [Read, Write], F_4X4;
    /// [`WINOGRAD_SMALL_SIZE`].
    WinogradInputTiled2x2: "winograd_input_tiled", WinogradInputTiledParams, [Read, Write], F_2X2;
    /// [`TILED_LARGE`].
    WinogradProductTiledLarge: "winograd_product_tiled", WinogradProductTiledParams,
        [Read, Read, Write], LARGE;
    /// [`TILED_SMALL`].
    WinogradProductTiledSmall: "winograd_product_tiled", WinogradProductTiledParams,
        [Read, Read, Write], SMALL;
    /// [`WINOGRAD_SIZE`].
    WinogradOutputTiled: "winograd_output_tiled", WinogradOutputTiledParams,
        [Read, Read, Write], F_4X4;
    /// [`WINOGRAD_SMALL_SIZE`].
    WinogradOutputTiled2x2: "winograd_output_tiled", WinogradOutputTiledParams,
        [Read, Read, Write], F_2X2;
    /// [`WINOGRAD_SIZE`].
    WinogradOutputPoolTiled: "winograd_output_pool_tiled", WinogradOutputPoolTiledParams,
        [Read, Read, Write, Write], F_4X4;
    /// [`WINOGRAD_SMALL_SIZE`].
    WinogradOutputPoolTiled2x2: "winograd_output_pool_tiled", WinogradOutputPoolTiledParams,
        [Read, Read, Write, Write], F_2X2;
    Affine: "affine", AffineParams, [Read, Read, Read, Write], SHIFTED;
    /// The input gradient.
    AffineBackward: "affine", AffineParams, [Read, Read, Read, Write], NOT_SHIFTED;
    AvgPool: "avg_pool", AvgPoolParams, [Read, Write];
    AvgPoolBackward: "avg_pool_backward", AvgPoolParams, [Read, Write];
    AdaptiveAvgPool: "adaptive_avg_pool", AdaptiveAvgPoolParams, [Read, Write];
    AdaptiveAvgPoolBackward: "adaptive_avg_pool_backward", AdaptiveAvgPoolParams, [Read, Write];
    Alike: "alike", AlikeParams, [Read, Write];
    AlikeWindow: "alike_window", AlikeWindowParams, [Read, Write];
    Repeats: "repeats", RepeatsParams, [Read, Write];
    MaxPool: "max_pool", MaxPoolParams, [Read, Write, Write];
    MaxPoolImage: "max_pool_image", MaxPoolParams, [Image, Write, Write];
    MaxPoolBackward: "max_pool_backward", MaxPoolBackwardParams, [Read, Read, Write];
    MaxPoolBackwardDisjoint: "max_pool_backward_disjoint", MaxPoolBackwardDisjointParams,
        [Read, Read, Read, Write];
    GlobalMean: "global_mean", GlobalMeanParams, [Read, Write];
    GlobalMeanSubgroup: "global_mean_subgroup", GlobalMeanParams, [Read, Write], NONE, subgroup;
    GlobalMeanBackward: "global_mean_backward", GlobalMeanParams, [Read, Write];
    Flatten: "flatten", FlattenParams, [Read, WriteSingly];
    FlattenBackward: "flatten_backward", FlattenParams, [Read, WriteSingly];
    ActivateLeaky: "activate", ActivateParams, [Read, Read, Write], LEAKY_KIND;
    ActivateElu: "activate", ActivateParams, [Read, Read, Write], ELU_KIND;
    ActivateSigmoid: "activate", ActivateParams, [Read, Read, Write], SIGMOID_KIND;
    ActivateTanh: "activate", ActivateParams, [Read, Read, Write], TANH_KIND;
    ActivateSilu: "activate", ActivateParams, [Read, Read, Write], SILU_KIND;
    ActivateHardSigmoid: "activate", ActivateParams, [Read, Read, Write], HARD_SIGMOID_KIND;
    ActivateHardSwish: "activate", ActivateParams, [Read, Read, Write], HARD_SWISH_KIND;
    ActivateGelu: "activate", ActivateParams, [Read, Read, Write], GELU_KIND;
    ActivateGeluTanh: "activate", ActivateParams, [Read, Read, Write], GELU_TANH_KIND;
    ActivateSoftplus: "activate", ActivateParams, [Read, Read, Write], SOFTPLUS_KIND;
    ActivateMish: "activate", ActivateParams, [Read, Read, Write], MISH_KIND;
    ActivateSquare: "activate", ActivateParams, [Read, Read, Write], SQUARE_KIND;
    ActivateSqrt: "activate", ActivateParams, [Read, Read, Write], SQRT_KIND;
    ActivateReciprocal: "activate", ActivateParams, [Read, Read, Write], RECIPROCAL_KIND;
    ActivateAbs: "activate", ActivateParams, [Read, Read, Write], ABS_KIND;
    ActivateExp: "activate", ActivateParams, [Read, Read, Write], EXP_KIND;
    ActivateLog: "activate", ActivateParams, [Read, Read, Write], LOG_KIND;
    ActivatePower: "activate", ActivateParams, [Read, Read, Write], POWER_KIND;
    ActivateLeakyBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], LEAKY_KIND;
    ActivateEluBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], ELU_KIND;
    ActivateSigmoidBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], SIGMOID_KIND;
    ActivateTanhBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], TANH_KIND;
    ActivateSiluBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], SILU_KIND;
    ActivateHardSigmoidBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], HARD_SIGMOID_KIND;
    ActivateHardSwishBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], HARD_SWISH_KIND;
    ActivateGeluBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], GELU_KIND;
    ActivateGeluTanhBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], GELU_TANH_KIND;
    ActivateSoftplusBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], SOFTPLUS_KIND;
    ActivateMishBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], MISH_KIND;
    ActivateSquareBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], SQUARE_KIND;
    ActivateSqrtBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], SQRT_KIND;
    ActivateReciprocalBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], RECIPROCAL_KIND;
    ActivateAbsBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], ABS_KIND;
    ActivateExpBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], EXP_KIND;
    ActivateLogBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], LOG_KIND;
    ActivatePowerBackward: "activate_backward", ActivateBackwardParams, [Read, Read, Read, Write], POWER_KIND;
    Combine: "combine", CombineParams, [Read, Read, Write], NOT_EACH;
    /// Of two values for each n and position.
    CombineEach: "combine", CombineParams, [Read, Read, Write], EACH;
    ProductSum: "product_sum", ProductSumParams, [Read, Read, Write];
    CopyChannels: "copy_channels", CopyChannelsParams, [Read, Write];
    LayerNorm: "layer_norm", LayerNormParams, [Read, Read, Read, Write];
    LayerNormBackward: "layer_norm_backward", LayerNormBackwardParams, [Read, Read, Read, Write];
    GroupNorm: "group_norm", GroupNormParams, [Read, Read, Read, WriteSingly];
    GroupNormBackward: "group_norm_backward", GroupNormBackwardParams, [Read, Read, Read, WriteSingly];
    Depthwise: "depthwise", DepthwiseParams, [Read, Read, Read, Write];
    DepthwiseSubgroup: "depthwise_subgroup", DepthwiseSubgroupParams, [Image, Image, Read, Write], NO_ACTIVATION, subgroup;
    /// With the mask of an activation.
    DepthwiseSubgroupMasked: "depthwise_subgroup", DepthwiseSubgroupParams,
        [Image, Image, Read, Write], WITH_MASK, subgroup;
    /// It ends with a SiLU.
    DepthwiseSubgroupSilu: "depthwise_subgroup", DepthwiseSubgroupParams,
        [Image, Image, Read, Write], WITH_SILU, subgroup;
    /// It ends with a hard swish.
    DepthwiseSubgroupHardSwish: "depthwise_subgroup", DepthwiseSubgroupParams,
        [Image, Image, Read, Write], WITH_HARD_SWISH, subgroup;
    /// Three taps, stride 1.
    Depthwise3x3: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_3_1, subgroup;
    /// Three taps, stride 1, with the mask of an activation.
    Depthwise3x3Masked: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_3_1_MASKED, subgroup;
    /// Three taps, stride 1, it ends with a SiLU.
    Depthwise3x3Silu: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_3_1_SILU, subgroup;
    /// Three taps, stride 1, it ends with a hard swish.
    Depthwise3x3HardSwish: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_3_1_HARD_SWISH, subgroup;
    /// Three taps, stride 2.
    Depthwise3x3Strided: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_3_2, subgroup;
    /// Three taps, stride 2, it ends with a SiLU.
    Depthwise3x3StridedSilu: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_3_2_SILU, subgroup;
    /// Three taps, stride 2, it ends with a hard swish.
    Depthwise3x3StridedHardSwish: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_3_2_HARD_SWISH, subgroup;
    /// Five taps, stride 1.
    Depthwise5x5: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_5_1, subgroup;
    /// Five taps, stride 1, with the mask of an activation.
    Depthwise5x5Masked: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_5_1_MASKED, subgroup;
    /// Five taps, stride 1, it ends with a SiLU.
    Depthwise5x5Silu: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_5_1_SILU, subgroup;
    /// Five taps, stride 1, it ends with a hard swish.
    Depthwise5x5HardSwish: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_5_1_HARD_SWISH, subgroup;
    /// Five taps, stride 2.
    Depthwise5x5Strided: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_5_2, subgroup;
    /// Five taps, stride 2, it ends with a SiLU.
    Depthwise5x5StridedSilu: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_5_2_SILU, subgroup;
    /// Five taps, stride 2, it ends with a hard swish.
    Depthwise5x5StridedHardSwish: "depthwise_square", DepthwiseSquareParams, [Image, Image, Read, Write], SQUARE_5_2_HARD_SWISH, subgroup;
    Pad: "pad", PadParams, [Read, Write];
    Resample: "resample", ResampleParams, [Read, Read, Write];
    Transpose: "transpose", TransposeParams, [Read, Write];
    Softmax: "softmax", SoftmaxParams, [Read, WriteSingly];
    SoftmaxBackward: "softmax_backward", SoftmaxBackwardParams, [Read, Read, WriteSingly];
    AttentionScores: "attention_scores", AttentionScoresParams, [Read, Read, Write];
    AttentionSum: "attention_sum", AttentionSumParams, [Read, Read, Write];
    AttentionSumTransposed: "attention_sum_transposed", AttentionSumParams, [Read, Read, Write];
    Lrn: "lrn", LrnParams, [Read, Write, Write];
    LrnBackward: "lrn_backward", LrnBackwardParams, [Read, Read, Read, Write];
    Relu: "relu", ReluParams, [Read, Read, Write];
    Clip: "clip", ClipParams, [Read, Read, Write];
    LinearRows: "linear_rows", LinearRowsParams, [Read, Read, Read, Write], FULL;
    /// The matrix in float16.
    LinearRowsHalf: "linear_rows", LinearRowsParams, [Read, Read, Read, Write], HALF;
    LinearColumns: "linear_columns", LinearColumnsParams, [Read, Read, Read, Write], FULL;
    /// The matrix in float16.
    LinearColumnsHalf: "linear_columns", LinearColumnsParams, [Read, Read, Read, Write], HALF;
    LinearRowsSubgroup: "linear_rows_subgroup", LinearRowsParams, [Image, Matrix, Read, Write], FEW, subgroup;
    /// The matrix in float16.
    LinearRowsSubgroupHalf: "linear_rows_subgroup", LinearRowsParams,
        [Image, Matrix, Read, Write], FEW_HALF, subgroup;
    /// [`LINEAR_MANY`](super::LINEAR_MANY).
    LinearRowsMany: "linear_rows_subgroup", LinearRowsParams, [Image, Matrix, Read, Write], MANY, subgroup;
    /// [`LINEAR_MANY`](super::LINEAR_MANY), the matrix in float16.
    LinearRowsManyHalf: "linear_rows_subgroup", LinearRowsParams,
        [Image, Matrix, Read, Write], MANY_HALF, subgroup;
    LinearColumnsSubgroup: "linear_columns_subgroup", LinearColumnsParams,
        [Image, Matrix, Read, Write], FEW, subgroup;
    /// The matrix in float16.
    LinearColumnsSubgroupHalf: "linear_columns_subgroup", LinearColumnsParams,
        [Image, Matrix, Read, Write], FEW_HALF, subgroup;
    /// [`LINEAR_MANY`](super::LINEAR_MANY).
    LinearColumnsMany: "linear_columns_subgroup", LinearColumnsParams,
        [Image, Matrix, Read, Write], MANY, subgroup;
    /// [`LINEAR_MANY`](super::LINEAR_MANY), the matrix in float16.
    LinearColumnsManyHalf: "linear_columns_subgroup", LinearColumnsParams,
        [Image, Matrix, Read, Write], MANY_HALF, subgroup;
    LinearMeans: "linear_means", LinearMeansParams, [Read, Write], FULL;
    /// The matrix in float16.
    LinearMeansHalf: "linear_means", LinearMeansParams, [Read, Write], HALF;
    /// No layer's, a measure of the device.
    MultiplyAdd: "multiply_add", MultiplyAddParams, [Write];
}

impl ActivationKind {
    /// The kernel of this activation, and that of its input gradient.
    pub const fn kernels(self) -> [Kernel; 2] {
        match self {
            Self::Leaky => [Kernel::ActivateLeaky, Kernel::ActivateLeakyBackward],
            Self::Elu => [Kernel::ActivateElu, Kernel::ActivateEluBackward],
            Self::Sigmoid => [Kernel::ActivateSigmoid, Kernel::ActivateSigmoidBackward],
            Self::Tanh => [Kernel::ActivateTanh, Kernel::ActivateTanhBackward],
            Self::Silu => [Kernel::ActivateSilu, Kernel::ActivateSiluBackward],
            Self::HardSigmoid => [
                Kernel::ActivateHardSigmoid,
                Kernel::ActivateHardSigmoidBackward,
            ],
            Self::HardSwish => [Kernel::ActivateHardSwish, Kernel::ActivateHardSwishBackward],
            Self::Gelu => [Kernel::ActivateGelu, Kernel::ActivateGeluBackward],
            Self::GeluTanh => [Kernel::ActivateGeluTanh, Kernel::ActivateGeluTanhBackward],
            Self::Softplus => [Kernel::ActivateSoftplus, Kernel::ActivateSoftplusBackward],
            Self::Mish => [Kernel::ActivateMish, Kernel::ActivateMishBackward],
            Self::Square => [Kernel::ActivateSquare, Kernel::ActivateSquareBackward],
            Self::Sqrt => [Kernel::ActivateSqrt, Kernel::ActivateSqrtBackward],
            Self::Reciprocal => [
                Kernel::ActivateReciprocal,
                Kernel::ActivateReciprocalBackward,
            ],
            Self::Abs => [Kernel::ActivateAbs, Kernel::ActivateAbsBackward],
            Self::Exp => [Kernel::ActivateExp, Kernel::ActivateExpBackward],
            Self::Log => [Kernel::ActivateLog, Kernel::ActivateLogBackward],
            Self::Power => [Kernel::ActivatePower, Kernel::ActivatePowerBackward],
        }
    }
}
