//! The table of kernels: for each shader its source, its bindings and its uniform. No GPU is touched here.
//!
//! `tests/shaders.rs` holds the table against the shaders; a struct below and its twin in WGSL cannot drift apart.

use bytemuck::{Pod, Zeroable};

/// What a kernel does with its result as it stores it; `EPILOGUE_*` in the shaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epilogue {
    /// Stored as it is.
    None = 0,
    /// Plus the bias.
    Bias = 1,
    /// Plus the bias, then max(., 0).
    BiasRelu = 2,
    /// Kept where the activation is above zero: ReLU backward.
    Mask = 3,
    /// Kept where the activation and the gradient are above zero: guided backpropagation.
    MaskGuided = 4,
    /// Kept where the gradient is above zero: deconvolution.
    MaskDeconv = 5,
}

impl Epilogue {
    /// Every epilogue with the name of its constant in the shaders.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("EPILOGUE_BIAS", Self::Bias),
        ("EPILOGUE_BIAS_RELU", Self::BiasRelu),
        ("EPILOGUE_MASK", Self::Mask),
        ("EPILOGUE_MASK_GUIDED", Self::MaskGuided),
        ("EPILOGUE_MASK_DECONV", Self::MaskDeconv),
    ];
}

/// How a kernel uses a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Written, perhaps read before.
    Write,
    /// Only read, through an image of float32 texels (rgba32float).
    Image,
}

/// A shader of `shaders/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kernel {
    /// `conv2d.wgsl`
    Conv2d,
    /// `conv3x3_subgroup.wgsl`
    Conv3x3Subgroup,
    /// `affine.wgsl`
    Affine,
    /// `avg_pool.wgsl`
    AvgPool,
    /// `avg_pool_backward.wgsl`
    AvgPoolBackward,
    /// `max_pool.wgsl`
    MaxPool,
    /// `max_pool_backward.wgsl`
    MaxPoolBackward,
    /// `global_mean.wgsl`
    GlobalMean,
    /// `global_mean_backward.wgsl`
    GlobalMeanBackward,
    /// `flatten.wgsl`
    Flatten,
    /// `flatten_backward.wgsl`
    FlattenBackward,
    /// `relu.wgsl`
    Relu,
    /// `linear_rows.wgsl`
    LinearRows,
    /// `linear_columns.wgsl`
    LinearColumns,
    /// `linear_rows_subgroup.wgsl`
    LinearRowsSubgroup,
    /// `linear_columns_subgroup.wgsl`
    LinearColumnsSubgroup,
    /// `multiply_add.wgsl`: no layer's, a measure of the device
    MultiplyAdd,
}

/// What the host must know of a shader.
#[derive(Clone, Copy, Debug)]
pub struct KernelInfo {
    /// File name without its extension.
    pub name: &'static str,
    /// WGSL.
    pub source: &'static str,
    /// Bytes of the uniform at binding 0.
    pub params_size: usize,
    /// The buffers and images at bindings 1, 2, ...
    pub bindings: &'static [Access],
}

macro_rules! kernel {
    ($name:literal, $params:ty, $bindings:expr) => {
        KernelInfo {
            name: $name,
            source: include_str!(concat!("../shaders/", $name, ".wgsl")),
            params_size: size_of::<$params>(),
            bindings: $bindings,
        }
    };
}

impl Kernel {
    /// Every kernel.
    pub const ALL: [Self; 17] = [
        Self::Conv2d,
        Self::Conv3x3Subgroup,
        Self::Affine,
        Self::AvgPool,
        Self::AvgPoolBackward,
        Self::MaxPool,
        Self::MaxPoolBackward,
        Self::GlobalMean,
        Self::GlobalMeanBackward,
        Self::Flatten,
        Self::FlattenBackward,
        Self::Relu,
        Self::LinearRows,
        Self::LinearColumns,
        Self::LinearRowsSubgroup,
        Self::LinearColumnsSubgroup,
        Self::MultiplyAdd,
    ];

    /// Its row of the table.
    pub const fn info(self) -> KernelInfo {
        use Access::{Image, Read, Write};
        match self {
            Self::Conv2d => kernel!("conv2d", Conv2dParams, &[Read, Read, Read, Write]),
            Self::Conv3x3Subgroup => kernel!(
                "conv3x3_subgroup",
                Conv3x3Params,
                &[Image, Image, Read, Write]
            ),
            Self::Affine => kernel!("affine", AffineParams, &[Read, Read, Read, Write]),
            Self::AvgPool => kernel!("avg_pool", AvgPoolParams, &[Read, Write]),
            Self::AvgPoolBackward => kernel!("avg_pool_backward", AvgPoolParams, &[Read, Write]),
            Self::MaxPool => kernel!("max_pool", MaxPoolParams, &[Read, Write, Write]),
            Self::MaxPoolBackward => {
                kernel!(
                    "max_pool_backward",
                    MaxPoolBackwardParams,
                    &[Read, Read, Write]
                )
            }
            Self::GlobalMean => kernel!("global_mean", GlobalMeanParams, &[Read, Write]),
            Self::GlobalMeanBackward => {
                kernel!("global_mean_backward", GlobalMeanParams, &[Read, Write])
            }
            Self::Flatten => kernel!("flatten", FlattenParams, &[Read, Write]),
            Self::FlattenBackward => kernel!("flatten_backward", FlattenParams, &[Read, Write]),
            Self::Relu => kernel!("relu", ReluParams, &[Read, Read, Write]),
            Self::LinearRows => {
                kernel!("linear_rows", LinearRowsParams, &[Read, Read, Read, Write])
            }
            Self::LinearColumns => {
                kernel!(
                    "linear_columns",
                    LinearColumnsParams,
                    &[Read, Read, Read, Write]
                )
            }
            Self::LinearRowsSubgroup => kernel!(
                "linear_rows_subgroup",
                LinearRowsParams,
                &[Image, Image, Read, Write]
            ),
            Self::LinearColumnsSubgroup => kernel!(
                "linear_columns_subgroup",
                LinearColumnsParams,
                &[Image, Image, Read, Write]
            ),
            Self::MultiplyAdd => kernel!("multiply_add", MultiplyAddParams, &[Write]),
        }
    }
}

/// Invocations of a workgroup in the kernels that take their elements one by one.
pub const LANES: u32 = 64;
/// Columns and rows of y that a workgroup of `conv2d.wgsl` makes.
pub const CONV2D_TILE: [u32; 2] = [8, 32];
/// Columns, rows and outputs of y that a workgroup of `conv3x3_subgroup.wgsl` makes.
pub const CONV3X3_TILE: [u32; 3] = [7, 4, 8];
/// Invocations that the kernels `*_subgroup.wgsl` expect in a subgroup.
pub const CONV3X3_SUBGROUP: u32 = 8;
/// Texels in a row of an image, but for those of matrices.
pub const IMAGE_ROW: usize = 4096;
/// Images or classes that a workgroup of the linear kernels makes.
pub const LINEAR_BATCH: u32 = 4;
/// Columns (vec4) that a workgroup of `linear_columns.wgsl` makes.
pub const LINEAR_COLUMNS_TILE: u32 = 16;
/// Columns (vec4) and images or classes that a workgroup of `linear_columns_subgroup.wgsl` makes.
pub const LINEAR_COLUMNS_SUBGROUP_TILE: [u32; 2] = [32, 2];
/// Multiply-adds of an invocation of `multiply_add.wgsl` in one round.
pub const MULTIPLY_ADDS_A_ROUND: u32 = 3 * 4 * 8;

/// Uniform of `conv2d.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct Conv2dParams {
    pub in_blocks: u32,
    pub in_size: [i32; 2],
    pub out_blocks: u32,
    pub out_size: [i32; 2],
    pub taps: [i32; 2],
    pub stride: [i32; 2],
    pub pad: [i32; 2],
    pub dilation: [i32; 2],
    pub up: [i32; 2],
    pub span: u32,
    pub group_inputs: u32,
    pub group_outputs: u32,
    pub epilogue: u32,
}

/// Uniform of `conv3x3_subgroup.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct Conv3x3Params {
    pub in_blocks: i32,
    pub out_blocks: i32,
    pub size: [i32; 2],
    pub columns: i32,
    pub epilogue: u32,
}

/// Uniform of `affine.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct AffineParams {
    pub count: u32,
    pub blocks: u32,
    pub positions: u32,
    pub shifted: u32,
}

/// Uniform of `avg_pool.wgsl` and `avg_pool_backward.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct AvgPoolParams {
    pub count: u32,
    pub in_size: [i32; 2],
    pub out_size: [i32; 2],
    pub taps: [i32; 2],
    pub stride: [i32; 2],
    pub pad: [i32; 2],
    pub count_include_pad: u32,
}

/// Uniform of `max_pool.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct MaxPoolParams {
    pub count: u32,
    pub in_size: [i32; 2],
    pub out_size: [u32; 2],
    pub taps: [i32; 2],
    pub stride: [i32; 2],
    pub pad: [i32; 2],
}

/// Uniform of `max_pool_backward.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct MaxPoolBackwardParams {
    pub count: u32,
    pub blocks: u32,
    pub in_size: [u32; 2],
    pub out_size: [i32; 2],
    pub taps: [i32; 2],
    pub stride: [i32; 2],
    pub pad: [i32; 2],
}

/// Uniform of `global_mean.wgsl` and `global_mean_backward.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct GlobalMeanParams {
    pub count: u32,
    pub positions: u32,
}

/// Uniform of `flatten.wgsl` and `flatten_backward.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct FlattenParams {
    pub count: u32,
    pub row: u32,
    pub channels: u32,
    pub blocks: u32,
    pub positions: u32,
    pub channel_stride: u32,
    pub position_stride: u32,
}

/// Uniform of `relu.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct ReluParams {
    pub count: u32,
    pub elements: u32,
    pub epilogue: u32,
}

/// Uniform of `linear_rows.wgsl` and `linear_rows_subgroup.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct LinearRowsParams {
    pub n: u32,
    pub rows: u32,
    pub columns: u32,
    pub first_row: u32,
    pub y_columns: u32,
    pub epilogue: u32,
}

/// Uniform of `linear_columns.wgsl` and `linear_columns_subgroup.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct LinearColumnsParams {
    pub n: u32,
    pub rows: u32,
    pub columns: u32,
    pub first_row: u32,
    pub x_columns: u32,
    pub accumulate: u32,
    pub epilogue: u32,
}

/// Uniform of `multiply_add.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct MultiplyAddParams {
    pub rounds: u32,
}
