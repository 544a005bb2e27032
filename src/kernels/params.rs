//! The uniform of each shader, as 32-bit words one after the other.

use bytemuck::{Pod, Zeroable};

/// A struct a uniform, of words alone: in the order of the shader's fields, which say what each is.
macro_rules! uniforms {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $words:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Pod, Zeroable)]
        #[expect(missing_docs, reason = "the shader says what each is")]
        pub struct $name {
            $(pub $field: $words,)*
        }
    )*};
}

uniforms! {
    /// Uniform of `conv2d.wgsl`.
    Conv2dParams {
        in_blocks: u32, in_size: [i32; 2], out_blocks: u32, out_size: [i32; 2], taps: [i32; 2], stride: [i32; 2],
        pad: [i32; 2], dilation: [i32; 2], up: [i32; 2], span: u32, group_inputs: u32, group_outputs: u32,
        epilogue: u32, sharing: u32, bounds: [f32; 2],
    }

    /// Uniform of `conv2d_tiled.wgsl`.
    Conv2dTiledParams {
        in_blocks: u32, in_size: [i32; 2], out_blocks: u32, out_size: [i32; 2], taps: [i32; 2], stride: [i32; 2],
        pad: [i32; 2], dilation: [i32; 2], up: [i32; 2], images: u32, steps: u32, part_steps: u32, epilogue: u32,
        sharing: u32, bounds: [f32; 2],
    }

    /// Uniform of `split_sum.wgsl`.
    SplitSumParams {
        count: u32, image: u32, positions: u32, parts: u32, epilogue: u32, sharing: u32, bounds: [f32; 2],
    }

    /// Uniform of `conv2d_subgroup.wgsl`.
    Conv2dSubgroupParams {
        in_blocks: i32, in_size: [i32; 2], out_blocks: i32, out_size: [i32; 2], taps: [i32; 2], stride: [i32; 2],
        pad: [i32; 2], dilation: [i32; 2], up: [i32; 2], tap_step: [i32; 2], count: i32, epilogue: u32, sharing: i32, bounds: [f32; 2],
    }

    /// Uniform of `conv2d_few.wgsl`.
    Conv2dFewParams {
        in_blocks: i32, in_size: [i32; 2], out_blocks: i32, out_size: [i32; 2], taps: [i32; 2], stride: [i32; 2],
        pad: [i32; 2], dilation: [i32; 2], up: [i32; 2], tap_step: [i32; 2], epilogue: u32, sharing: i32, bounds: [f32; 2],
    }

    /// Uniform of `conv3x3_subgroup.wgsl`.
    Conv3x3Params {
        in_blocks: i32, out_blocks: i32, size: [i32; 2], columns: i32, epilogue: u32, sharing: i32, bounds: [f32; 2],
    }

    /// Uniform of `winograd_input.wgsl`.
    WinogradInputParams {
        blocks: i32, size: [i32; 2], row_tiles: i32, first: i32, end: i32, stride: i32, listed: u32,
        transform: [[f32; 8]; 6],
    }

    /// Uniform of `winograd_product_subgroup.wgsl`.
    WinogradProductParams {
        depth: i32, stride: i32, u_lane: i32, u_step: i32, u_plane: i32, m_blocks: i32,
    }

    /// Uniform of `winograd_output.wgsl`.
    WinogradOutputParams {
        blocks: i32, size: [i32; 2], row_tiles: i32, image_tiles: i32, first: i32, end: i32, stride: i32,
        m_blocks: i32, rows: i32, epilogue: u32, sharing: i32, listed: u32, bounds: [f32; 2],
    }

    /// Uniform of `winograd_output_pool.wgsl`.
    WinogradOutputPoolParams {
        blocks: i32, size: [i32; 2], row_tiles: i32, image_tiles: i32, first: i32, end: i32, stride: i32,
        m_blocks: i32, listed: u32, known: u32,
    }

    /// Uniform of `copy_tiles.wgsl`.
    CopyTilesParams {
        blocks: i32, size: [i32; 2], row_tiles: i32, image_tiles: i32, side: i32,
    }

    /// Uniform of `winograd_filters_tiled.wgsl`.
    WinogradFiltersTiledParams {
        plane: u32,
    }

    /// Uniform of `winograd_input_tiled.wgsl`.
    WinogradInputTiledParams {
        blocks: i32, size: [i32; 2], row_tiles: i32, image_tiles: i32, first: i32, tiles: i32,
    }

    /// Uniform of `winograd_product_tiled.wgsl`.
    WinogradProductTiledParams {
        depth: u32, blocks: u32, tiles: u32, row: u32, plane: u32, side: u32, turned: u32,
    }

    /// Uniform of `winograd_output_tiled.wgsl`.
    WinogradOutputTiledParams {
        blocks: i32, size: [i32; 2], row_tiles: i32, image_tiles: i32, first: i32, tiles: i32, epilogue: u32,
        sharing: i32, bounds: [f32; 2],
    }

    /// Uniform of `winograd_output_pool_tiled.wgsl`.
    WinogradOutputPoolTiledParams {
        blocks: i32, size: [i32; 2], row_tiles: i32, image_tiles: i32, first: i32, tiles: i32, known: u32,
    }

    /// Uniform of `affine.wgsl`.
    AffineParams {
        image: u32, positions: u32, epilogue: u32,
    }

    /// Uniform of `avg_pool.wgsl` and `avg_pool_backward.wgsl`.
    AvgPoolParams {
        count: u32, in_size: [i32; 2], out_size: [i32; 2], taps: [i32; 2], stride: [i32; 2], pad: [i32; 2],
        count_include_pad: u32,
    }

    /// Uniform of `adaptive_avg_pool.wgsl` and `adaptive_avg_pool_backward.wgsl`.
    AdaptiveAvgPoolParams {
        count: u32, in_size: [u32; 2], out_size: [u32; 2],
    }

    /// Uniform of `max_pool.wgsl`.
    MaxPoolParams {
        count: u32, in_size: [i32; 2], out_size: [u32; 2], taps: [i32; 2], stride: [i32; 2], pad: [i32; 2],
        known: u32,
    }

    /// Uniform of `alike.wgsl`.
    AlikeParams {
        shifts: [[i32; 4]; 8], count: u32, blocks: i32, size: [i32; 2],
    }

    /// Uniform of `alike_window.wgsl`.
    AlikeWindowParams {
        shifts: [[i32; 4]; 8], count: u32, in_plane: i32, out_plane: i32, levels: u32, in_size: [i32; 2],
        out_size: [i32; 2], taps: [i32; 2], stride: [i32; 2], pad: [i32; 2], dilation: [i32; 2],
    }

    /// Uniform of `repeats.wgsl`.
    RepeatsParams {
        count: u32, blocks: i32, bit: u32, far: u32, in_size: [i32; 2], out_size: [i32; 2], taps: [i32; 2],
        stride: [i32; 2], pad: [i32; 2],
    }

    /// Uniform of `max_pool_backward.wgsl`.
    MaxPoolBackwardParams {
        count: i32, blocks: i32, in_size: [i32; 2], out_size: [i32; 2], taps: [i32; 2], stride: [i32; 2],
        pad: [i32; 2], sharing: i32,
    }

    /// Uniform of `max_pool_backward_disjoint.wgsl`.
    MaxPoolBackwardDisjointParams {
        count: i32, blocks: i32, rows: i32, columns: i32, in_size: [i32; 2], out_size: [i32; 2], taps: [i32; 2],
        epilogue: u32, sharing: i32, bounds: [f32; 2],
    }

    /// Uniform of `global_mean.wgsl`, `global_mean_subgroup.wgsl` and `global_mean_backward.wgsl`.
    GlobalMeanParams {
        count: u32, positions: u32,
    }

    /// Uniform of `flatten.wgsl` and `flatten_backward.wgsl`.
    FlattenParams {
        count: u32, row: u32, channels: u32, blocks: u32, positions: u32, channel_stride: u32, position_stride: u32,
    }

    /// Uniform of `activate.wgsl`.
    ActivateParams {
        image: u32, positions: u32, slopes: u32, a: f32, b: f32,
    }

    /// Uniform of `activate_backward.wgsl`.
    ActivateBackwardParams {
        image: u32, positions: u32, slopes: u32, a: f32, b: f32, sharing: u32,
    }

    /// Uniform of `combine.wgsl`.
    CombineParams {
        image: u32, positions: u32, kind: u32, one_sharing: u32, other_sharing: u32, spread: u32,
        epilogue: u32,
    }

    /// Uniform of `product_sum.wgsl`.
    ProductSumParams {
        count: u32, blocks: u32, positions: u32, multiplied: u32, sharing: u32,
    }

    /// Uniform of `copy_channels.wgsl`.
    CopyChannelsParams {
        image: u32, in_blocks: u32, blocks: u32, first_block: u32, positions: u32,
        from_channel: u32, to: u32, channels: u32, keep: u32, sharing: u32,
    }

    /// Uniform of `transpose.wgsl`.
    TransposeParams {
        count: u32, rows: u32, columns: u32,
    }

    /// Uniform of `softmax.wgsl`.
    SoftmaxParams {
        count: u32, rows: u32, blocks: u32, positions: u32, channels: u32, length: u32, apart: u32,
    }

    /// Uniform of `softmax_backward.wgsl`.
    SoftmaxBackwardParams {
        count: u32, rows: u32, blocks: u32, positions: u32, channels: u32, length: u32, apart: u32, sharing: u32,
    }

    /// Uniform of `attention_scores.wgsl`.
    AttentionScoresParams {
        count: u32, blocks: u32, positions: u32, keys: u32, heads: u32, depth: u32, in_blocks: u32, q_sharing: u32,
        k_sharing: u32, scale: f32,
    }

    /// Uniform of `attention_sum.wgsl` and `attention_sum_transposed.wgsl`.
    AttentionSumParams {
        count: u32, blocks: u32, positions: u32, keys: u32, heads: u32, depth: u32, w_blocks: u32, w_sharing: u32,
        x_sharing: u32, scale: f32,
    }

    /// Uniform of `layer_norm.wgsl`.
    LayerNormParams {
        count: u32, blocks: u32, positions: u32, channels: u32, epsilon: f32,
    }

    /// Uniform of `layer_norm_backward.wgsl`.
    LayerNormBackwardParams {
        count: u32, blocks: u32, positions: u32, channels: u32, epsilon: f32, sharing: u32,
    }

    /// Uniform of `group_norm.wgsl`.
    GroupNormParams {
        count: u32, groups: u32, blocks: u32, positions: u32, channels: u32, epsilon: f32,
    }

    /// Uniform of `group_norm_backward.wgsl`.
    GroupNormBackwardParams {
        count: u32, groups: u32, blocks: u32, positions: u32, channels: u32, epsilon: f32, sharing: u32,
    }

    /// Uniform of `depthwise.wgsl`.
    DepthwiseParams {
        count: u32, blocks: u32, in_size: [i32; 2], out_size: [i32; 2], taps: [i32; 2], stride: [i32; 2],
        pad: [i32; 2], dilation: [i32; 2], up: [i32; 2], step: i32, epilogue: u32, sharing: u32, bounds: [f32; 2],
    }

    /// Uniform of `depthwise_subgroup.wgsl`.
    DepthwiseSubgroupParams {
        blocks: i32, in_size: [i32; 2], out_size: [i32; 2], taps: [i32; 2], stride: [i32; 2], pad: [i32; 2],
        dilation: [i32; 2], up: [i32; 2], tap_step: [i32; 2], step: i32, epilogue: u32, sharing: i32,
        bounds: [f32; 2],
    }

    /// Uniform of `depthwise_square.wgsl`.
    DepthwiseSquareParams {
        blocks: i32, in_size: [i32; 2], out_size: [i32; 2], pad: [i32; 2], epilogue: u32, sharing: i32, bounds: [f32; 2],
    }

    /// Uniform of `pad.wgsl`.
    PadParams {
        count: u32, in_size: [i32; 2], out_size: [i32; 2], before: [i32; 2], value: f32,
    }

    /// Uniform of `resample.wgsl`.
    ResampleParams {
        count: u32, in_size: [i32; 2], out_size: [i32; 2],
    }

    /// Uniform of `lrn.wgsl`.
    LrnParams {
        count: u32, blocks: u32, positions: u32, channels: i32, before: i32, after: i32, scale: f32, beta: f32,
        bias: f32,
    }

    /// Uniform of `lrn_backward.wgsl`.
    LrnBackwardParams {
        count: u32, blocks: u32, positions: u32, channels: i32, before: i32, after: i32, factor: f32, beta: f32,
        sharing: u32,
    }

    /// Uniform of `relu.wgsl`.
    ReluParams {
        image: u32, epilogue: u32, sharing: u32,
    }

    /// Uniform of `clip.wgsl`.
    ClipParams {
        image: u32, low: f32, high: f32, epilogue: u32, sharing: u32,
    }

    /// Uniform of `linear_rows.wgsl` and `linear_rows_subgroup.wgsl`.
    LinearRowsParams {
        n: u32, rows: u32, columns: u32, first_row: u32, y_columns: u32, epilogue: u32, sharing: u32, bounds: [f32; 2],
    }

    /// Uniform of `linear_columns.wgsl` and `linear_columns_subgroup.wgsl`.
    LinearColumnsParams {
        n: u32, rows: u32, columns: u32, first_row: u32, x_columns: u32, accumulate: u32, epilogue: u32,
        sharing: u32, bounds: [f32; 2],
    }

    /// Uniform of `linear_means.wgsl`.
    LinearMeansParams {
        s_columns: u32, rows: u32, columns: u32, first_row: u32, first_position: u32, end_position: u32,
        channels: u32, positions: u32, channel_stride: u32, position_stride: u32, inputs_in_rows: u32, scale: f32,
    }

    /// Uniform of `multiply_add.wgsl`.
    MultiplyAddParams {
        rounds: u32,
    }
}
