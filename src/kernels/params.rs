//! The uniform of each shader, as 32-bit words one after the other.

use bytemuck::{Pod, Zeroable};

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
    pub sharing: u32,
}

/// Uniform of `conv2d_tiled.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct Conv2dTiledParams {
    pub in_blocks: u32,
    pub in_size: [i32; 2],
    pub out_blocks: u32,
    pub out_size: [i32; 2],
    pub taps: [i32; 2],
    pub stride: [i32; 2],
    pub pad: [i32; 2],
    pub dilation: [i32; 2],
    pub up: [i32; 2],
    pub images: u32,
    pub steps: u32,
    pub part_steps: u32,
    pub epilogue: u32,
    pub sharing: u32,
}

/// Uniform of `split_sum.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct SplitSumParams {
    pub count: u32,
    pub image: u32,
    pub positions: u32,
    pub parts: u32,
    pub epilogue: u32,
    pub sharing: u32,
}

/// Uniform of `conv2d_subgroup.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct Conv2dSubgroupParams {
    pub in_blocks: i32,
    pub in_size: [i32; 2],
    pub out_blocks: i32,
    pub out_size: [i32; 2],
    pub taps: [i32; 2],
    pub stride: [i32; 2],
    pub pad: [i32; 2],
    pub dilation: [i32; 2],
    pub up: [i32; 2],
    pub count: i32,
    pub epilogue: u32,
    pub sharing: i32,
    pub bounds: [f32; 2],
}

/// Uniform of `conv2d_few.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct Conv2dFewParams {
    pub in_blocks: i32,
    pub in_size: [i32; 2],
    pub out_blocks: i32,
    pub out_size: [i32; 2],
    pub taps: [i32; 2],
    pub stride: [i32; 2],
    pub pad: [i32; 2],
    pub dilation: [i32; 2],
    pub up: [i32; 2],
    pub tap_step: [i32; 2],
    pub epilogue: u32,
    pub sharing: i32,
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
    pub sharing: i32,
}

/// Uniform of `winograd_input.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct WinogradInputParams {
    pub blocks: i32,
    pub size: [i32; 2],
    pub row_tiles: i32,
    pub first: i32,
    pub end: i32,
    pub stride: i32,
    pub listed: u32,
    pub transform: [[f32; 8]; 6],
}

/// Uniform of `winograd_product_subgroup.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct WinogradProductParams {
    pub depth: i32,
    pub stride: i32,
    pub u_lane: i32,
    pub u_step: i32,
    pub u_plane: i32,
    pub m_blocks: i32,
}

/// Uniform of `winograd_output.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct WinogradOutputParams {
    pub blocks: i32,
    pub size: [i32; 2],
    pub row_tiles: i32,
    pub image_tiles: i32,
    pub first: i32,
    pub end: i32,
    pub stride: i32,
    pub m_blocks: i32,
    pub rows: i32,
    pub epilogue: u32,
    pub sharing: i32,
    pub listed: u32,
}

/// Uniform of `winograd_output_pool.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct WinogradOutputPoolParams {
    pub blocks: i32,
    pub size: [i32; 2],
    pub row_tiles: i32,
    pub image_tiles: i32,
    pub first: i32,
    pub end: i32,
    pub stride: i32,
    pub m_blocks: i32,
    pub listed: u32,
    pub known: u32,
}

/// Uniform of `copy_tiles.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct CopyTilesParams {
    pub blocks: i32,
    pub size: [i32; 2],
    pub row_tiles: i32,
    pub image_tiles: i32,
    pub side: i32,
}

/// Uniform of `winograd_filters_tiled.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct WinogradFiltersTiledParams {
    pub plane: u32,
}

/// Uniform of `winograd_input_tiled.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct WinogradInputTiledParams {
    pub blocks: i32,
    pub size: [i32; 2],
    pub row_tiles: i32,
    pub image_tiles: i32,
    pub first: i32,
    pub tiles: i32,
}

/// Uniform of `winograd_product_tiled.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct WinogradProductTiledParams {
    pub depth: u32,
    pub blocks: u32,
    pub tiles: u32,
    pub row: u32,
    pub plane: u32,
    pub side: u32,
    pub turned: u32,
}

/// Uniform of `winograd_output_tiled.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct WinogradOutputTiledParams {
    pub blocks: i32,
    pub size: [i32; 2],
    pub row_tiles: i32,
    pub image_tiles: i32,
    pub first: i32,
    pub tiles: i32,
    pub epilogue: u32,
    pub sharing: i32,
}

/// Uniform of `winograd_output_pool_tiled.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct WinogradOutputPoolTiledParams {
    pub blocks: i32,
    pub size: [i32; 2],
    pub row_tiles: i32,
    pub image_tiles: i32,
    pub first: i32,
    pub tiles: i32,
    pub known: u32,
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
    pub epilogue: u32,
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

/// Uniform of `adaptive_avg_pool.wgsl` and `adaptive_avg_pool_backward.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct AdaptiveAvgPoolParams {
    pub count: u32,
    pub in_size: [u32; 2],
    pub out_size: [u32; 2],
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
    pub known: u32,
}

/// Uniform of `alike.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct AlikeParams {
    pub shifts: [[i32; 4]; 8],
    pub count: u32,
    pub blocks: i32,
    pub size: [i32; 2],
}

/// Uniform of `alike_window.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct AlikeWindowParams {
    pub shifts: [[i32; 4]; 8],
    pub count: u32,
    pub in_plane: i32,
    pub out_plane: i32,
    pub levels: u32,
    pub in_size: [i32; 2],
    pub out_size: [i32; 2],
    pub taps: [i32; 2],
    pub stride: [i32; 2],
    pub pad: [i32; 2],
    pub dilation: [i32; 2],
}

/// Uniform of `repeats.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct RepeatsParams {
    pub count: u32,
    pub blocks: i32,
    pub bit: u32,
    pub far: u32,
    pub in_size: [i32; 2],
    pub out_size: [i32; 2],
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
    pub sharing: u32,
}

/// Uniform of `max_pool_backward_disjoint.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct MaxPoolBackwardDisjointParams {
    pub count: u32,
    pub blocks: u32,
    pub rows: u32,
    pub columns: u32,
    pub in_size: [u32; 2],
    pub out_size: [u32; 2],
    pub taps: [u32; 2],
    pub epilogue: u32,
    pub sharing: u32,
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

/// Uniform of `activate.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct ActivateParams {
    pub count: u32,
    pub blocks: u32,
    pub positions: u32,
    pub kind: u32,
    pub slopes: u32,
    pub a: f32,
    pub b: f32,
}

/// Uniform of `activate_backward.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct ActivateBackwardParams {
    pub count: u32,
    pub blocks: u32,
    pub positions: u32,
    pub kind: u32,
    pub slopes: u32,
    pub a: f32,
    pub b: f32,
    pub sharing: u32,
}

/// Uniform of `combine.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct CombineParams {
    pub count: u32,
    pub image: u32,
    pub positions: u32,
    pub kind: u32,
    pub one_sharing: u32,
    pub other_sharing: u32,
    pub spread: u32,
    pub epilogue: u32,
}

/// Uniform of `product_sum.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct ProductSumParams {
    pub count: u32,
    pub blocks: u32,
    pub positions: u32,
    pub multiplied: u32,
    pub sharing: u32,
}

/// Uniform of `copy_channels.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct CopyChannelsParams {
    pub count: u32,
    pub in_blocks: u32,
    pub blocks: u32,
    pub first_block: u32,
    pub made_blocks: u32,
    pub positions: u32,
    pub from_channel: u32,
    pub to: u32,
    pub channels: u32,
    pub keep: u32,
    pub sharing: u32,
}

/// Uniform of `layer_norm.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct LayerNormParams {
    pub count: u32,
    pub blocks: u32,
    pub positions: u32,
    pub channels: u32,
    pub epsilon: f32,
}

/// Uniform of `layer_norm_backward.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct LayerNormBackwardParams {
    pub count: u32,
    pub blocks: u32,
    pub positions: u32,
    pub channels: u32,
    pub epsilon: f32,
    pub sharing: u32,
}

/// Uniform of `depthwise.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct DepthwiseParams {
    pub count: u32,
    pub blocks: u32,
    pub in_size: [i32; 2],
    pub out_size: [i32; 2],
    pub taps: [i32; 2],
    pub stride: [i32; 2],
    pub pad: [i32; 2],
    pub dilation: [i32; 2],
    pub up: [i32; 2],
    pub step: i32,
    pub epilogue: u32,
    pub sharing: u32,
}

/// Uniform of `depthwise_subgroup.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct DepthwiseSubgroupParams {
    pub blocks: i32,
    pub in_size: [i32; 2],
    pub out_size: [i32; 2],
    pub taps: [i32; 2],
    pub stride: [i32; 2],
    pub pad: [i32; 2],
    pub dilation: [i32; 2],
    pub up: [i32; 2],
    pub tap_step: [i32; 2],
    pub step: i32,
    pub epilogue: u32,
    pub sharing: i32,
    pub bounds: [f32; 2],
}

/// Uniform of `pad.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct PadParams {
    pub count: u32,
    pub in_size: [i32; 2],
    pub out_size: [i32; 2],
    pub before: [i32; 2],
    pub value: f32,
}

/// Uniform of `resample.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct ResampleParams {
    pub count: u32,
    pub in_size: [i32; 2],
    pub out_size: [i32; 2],
}

/// Uniform of `lrn.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct LrnParams {
    pub count: u32,
    pub blocks: u32,
    pub positions: u32,
    pub channels: i32,
    pub before: i32,
    pub after: i32,
    pub scale: f32,
    pub beta: f32,
    pub bias: f32,
}

/// Uniform of `lrn_backward.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct LrnBackwardParams {
    pub count: u32,
    pub blocks: u32,
    pub positions: u32,
    pub channels: i32,
    pub before: i32,
    pub after: i32,
    pub factor: f32,
    pub beta: f32,
    pub sharing: u32,
}

/// Uniform of `relu.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct ReluParams {
    pub count: u32,
    pub elements: u32,
    pub epilogue: u32,
    pub sharing: u32,
}

/// Uniform of `clip.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct ClipParams {
    pub count: u32,
    pub elements: u32,
    pub low: f32,
    pub high: f32,
    pub epilogue: u32,
    pub sharing: u32,
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
    pub sharing: u32,
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
    pub sharing: u32,
}

/// Uniform of `linear_means.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct LinearMeansParams {
    pub s_columns: u32,
    pub rows: u32,
    pub columns: u32,
    pub first_row: u32,
    pub first_position: u32,
    pub end_position: u32,
    pub channels: u32,
    pub positions: u32,
    pub channel_stride: u32,
    pub position_stride: u32,
    pub inputs_in_rows: u32,
    pub scale: f32,
}

/// Uniform of `multiply_add.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[expect(missing_docs, reason = "the shader says what each is")]
pub struct MultiplyAddParams {
    pub rounds: u32,
}
