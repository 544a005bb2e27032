//! The table of kernels: for each shader its source, its bindings and its uniform. No GPU is touched here.
//!
//! `tests/shaders` holds the table against the shaders, and this page against the table; a struct below and its twin in
//! WGSL cannot drift apart.
//!
//! # Arithmetic, bytes, bounds
//!
//! Work in multiply-adds and the least bytes moved, each value once, float32 (half of it where values and filters are
//! float16, see [`half`]), for n pictures forward or classes backward; i
//! inputs, o outputs, p positions of the output, q of the input, k x k taps, t tiles of 4 x 4 positions (of 2 x 2 for F(2x2),
//! which has 16 for each 36 below); matrices of r rows and c columns, P elements.
//!
//! | kernel | multiply-adds | bytes | bound by |
//! | --- | --- | --- | --- |
//! | `conv2d`, `conv2d_tiled`, `conv2d_subgroup`, `conv2d_few`, `conv3x3_subgroup` | n p o i k² | 4 (n i q + o i k² + n o p), with a mask 4 o p more, with a sum 4 n o p | arithmetic |
//! | `split_sum`, of s parts | 0 | 4 n o p (s + 1), with a mask 4 o p more | bytes |
//! | `winograd_filters_tiled`, once | 0 | 180 o i, by F(2x2) 100 o i | bytes |
//! | `winograd_input`, `winograd_input_tiled` | 0 | 4 n i (q + 36 t) | bytes |
//! | `winograd_product_subgroup`, `winograd_product_quads`, `winograd_product_tiled` | 36 n t o i | 144 (o i + n t (i + o)) | arithmetic |
//! | `winograd_output_pool`, `winograd_output_pool_tiled` | 0 | 4 n o (36 t + p / 4) + n o p / 4 | bytes |
//! | `winograd_output`, `winograd_output_tiled` | 0 | 4 n o (36 t + p), with a mask 4 o p more | bytes |
//! | `copy_tiles`, of t | 0 | 128 n t o | bytes |
//! | `linear_rows`, `linear_columns`, `linear_rows_subgroup`, `linear_columns_subgroup` | n r c | 4 (r c + n (r + c)), 2 r c less in float16 | bytes: half a multiply-add, n times, a matrix byte |
//! | `linear_means`, once; r c the matrix, P positions | 0 | 4 (r c + r c / P), 2 r c less in float16 | bytes |
//! | `affine`, and backward | n P | 8 n P | bytes |
//! | `avg_pool`, `avg_pool_backward` | 0 | 4 n o (q + p) | bytes |
//! | `adaptive_avg_pool`, `adaptive_avg_pool_backward` | 0 | 4 n o (q + p) | bytes |
//! | `alike`, of i channels | 0 | 4 n q i at each of 4 places a shift; `alike` and the next two only on the way to a gradient | bytes |
//! | `alike_window` | 0 | 4 n (q + p) | bytes |
//! | `repeats` | 0 | 4 n q + n o p | bytes |
//! | `max_pool`, `max_pool_image` | 0 | 4 n o q + 5 n o p: a byte an element says where the maximum was | bytes |
//! | `max_pool_backward`, `max_pool_backward_disjoint` | 0 | 4 n o (q + p) + o p, with a mask 4 o p more | bytes |
//! | `global_mean`, `global_mean_subgroup`, `global_mean_backward` | 0 | 4 n o (q + 1) | bytes |
//! | `flatten`, `flatten_backward` | 0 | 8 n P | bytes |
//! | `activate` | 0 | 8 n P | bytes |
//! | `activate_backward` | 0 | 8 n P + 4 P | bytes |
//! | `combine` | 0 | 12 n P | bytes |
//! | `product_sum` | n P | 4 n P, with a factor 4 P more | bytes |
//! | `copy_channels` | 0 | 8 n P | bytes |
//! | `layer_norm` | 2 n P | 16 n P | bytes |
//! | `layer_norm_backward` | 4 n P | 28 n P | bytes |
//! | `group_norm` | 2 n P | 16 n P | bytes |
//! | `group_norm_backward` | 4 n P | 28 n P | bytes |
//! | `depthwise`, `depthwise_subgroup`, `depthwise_square` | n p o k² | 4 (n o (q + p) + o k²), with a mask 4 o p more | bytes |
//! | `pad`, and backward | 0 | 4 n o (q + p) | bytes |
//! | `resample` of t taps a row and a column, and backward | n P t² | 4 n o (q + p) | bytes |
//! | `transpose`, and backward | 0 | 8 n P | bytes |
//! | `softmax` | 0 | 16 n P | bytes |
//! | `softmax_backward` | 2 n P | 16 n P | bytes |
//! | `attention_scores`, `attention_sum`, `attention_sum_transposed` of h heads, k keys and d channels a head | n h k p d | 4 n h (k p + d (k + p)) | arithmetic |
//! | `lrn` of s channels | n P s | 12 n P | bytes |
//! | `lrn_backward` | 3 n P s | 8 n P + 8 P | bytes |
//! | `clip`, and backward | 0 | 8 n P, backward 4 P more | bytes |
//! | `relu`, and backward | 0 | 8 n P, backward 4 P more | bytes |
//! | `multiply_add` | 96 a round and invocation | 16 an invocation | arithmetic, by intent |
//!
//! What that makes of VGG16 at 224 x 224, one picture, convolutions by the direct kernels. The bounds are quotients, work over
//! the makers' peak of float32 arithmetic or bytes over their memory bandwidth, for each dispatch the longer, so that no
//! kernel of this form can be faster; none is a time taken on these cards. Peaks and bandwidths, in TFLOP/s and GB/s: RTX 4090
//! 82.6 and 1008, H100 SXM 66.9 and 3350, Iris Xe of 96 units (1.3 GHz, LPDDR4X-4266) 2.0 and 68.
//!
//! | layers | GFLOP | MB | RTX 4090 | H100 | Iris Xe |
//! | --- | --- | --- | --- | --- | --- |
//! | conv1_* | 3.87 | 39.5 | 0.058 ms | 0.059 ms | 2.05 ms |
//! | conv2_* | 5.55 | 23.4 | 0.067 ms | 0.083 ms | 2.77 ms |
//! | conv3_* | 9.25 | 23.6 | 0.112 ms | 0.138 ms | 4.62 ms |
//! | conv4_* | 9.25 | 32.4 | 0.112 ms | 0.138 ms | 4.62 ms |
//! | conv5_* | 2.77 | 30.7 | 0.034 ms | 0.041 ms | 1.39 ms |
//! | the 13 convolutions | 30.69 | 149.6 | 0.383 ms | 0.460 ms | 15.5 ms |
//! | the five pools | 0.00 | 32.1 | 0.032 ms | 0.010 ms | 0.473 ms |
//! | `flatten` | 0.00 | 0.2 | 0.0002 ms | 0.0001 ms | 0.003 ms |
//! | fc6, fc7, fc8 | 0.25 | 494.7 | 0.491 ms | 0.148 ms | 7.28 ms |
//!
//! And the backward pass to the pixels for one class, with the masks of the ReLUs, of which deconvolution reads none. Grad-CAM's
//! backward pass ends after pool5.
//!
//! | layers | GFLOP | MB | RTX 4090 | H100 | Iris Xe |
//! | --- | --- | --- | --- | --- | --- |
//! | fc8, fc7, fc6, by `linear_columns` or `linear_rows` | 0.25 | 494.7 | 0.491 ms | 0.148 ms | 7.28 ms |
//! | `flatten_backward` | 0.00 | 0.2 | 0.0002 ms | 0.0001 ms | 0.003 ms |
//! | pool5 | 0.00 | 0.6 | 0.0006 ms | 0.0002 ms | 0.009 ms |
//! | the other four pools | 0.00 | 37.6 | 0.037 ms | 0.011 ms | 0.553 ms |
//! | conv5_* | 2.77 | 31.5 | 0.034 ms | 0.041 ms | 1.39 ms |
//! | conv4_* | 9.25 | 35.6 | 0.112 ms | 0.138 ms | 4.62 ms |
//! | conv3_* | 9.25 | 30.0 | 0.112 ms | 0.138 ms | 4.62 ms |
//! | conv2_* | 5.55 | 29.8 | 0.067 ms | 0.083 ms | 2.77 ms |
//! | conv1_* | 3.87 | 52.3 | 0.058 ms | 0.059 ms | 2.05 ms |
//! | the 13 convolutions | 30.69 | 179.3 | 0.383 ms | 0.460 ms | 15.5 ms |
//!
//! `linear_means` of fc6, once, moves 419.4 MB: 0.416, 0.125 and 6.17 ms. With its sums plain Grad-CAM's backward pass is fc8,
//! fc7 and 8.4 MB: 0.091, 0.027 and 1.35 ms.
//!
//! A tensor of a few megabytes may stay in the caches of the first two, and then beats the bound of its bytes. `gradcam
//! bench` prints the same quotients against the ceilings that it measures on the device at hand.
//!
//! Winograd's products are a quarter of the direct form's arithmetic by F(4x4, 3x3), four ninths by F(2x2, 3x3), so that a
//! kernel of that form may beat the bounds above, but its tiles and filters are many bytes. The same quotients for its three
//! stages on the way there, by F(4x4) where nothing else is said; back, the masks are 1 to 9 % more bytes:
//!
//! | layers | GFLOP | MB | RTX 4090 | H100 | Iris Xe |
//! | --- | --- | --- | --- | --- | --- |
//! | conv1_2 | 0.92 | 141.9 | 0.141 ms | 0.042 ms | 2.09 ms |
//! | conv2_* | 1.39 | 127.2 | 0.126 ms | 0.043 ms | 1.87 ms |
//! | conv3_* | 2.31 | 120.7 | 0.120 ms | 0.052 ms | 2.00 ms |
//! | conv4_* | 2.31 | 142.9 | 0.142 ms | 0.043 ms | 2.10 ms |
//! | conv5_* | 0.91 | 129.8 | 0.129 ms | 0.039 ms | 1.91 ms |
//! | conv5_*, F(2x2) | 1.23 | 72.0 | 0.071 ms | 0.022 ms | 1.06 ms |
//!
//! At the makers' peaks it would lose on the first card. No kernel of float32 in tiles reaches them: others' get 33 to 45 %
//! of the arithmetic, and the planner's model takes that for its own, 12 multiply-adds a byte moved on a card and 6 on an
//! integrated GPU, and chooses the shortest time over all passes with the filters' transform, the same form in both
//! directions. All pictures go directly through conv1_1 and by F(4x4) through the others up to conv4_3. A layer of conv5
//! reads 9 MB of filters as they are, 17 by F(2x2) and 38 by F(4x4): the model has, in MB moved meanwhile on a card and on an
//! integrated GPU, without the filters' transform (28 and 49),
//!
//! | a layer of conv5 | direct | F(2x2) | F(4x4) |
//! | --- | --- | --- | --- |
//! | 1 picture | 49, 101 | 31, 53 | 48, 58 |
//! | 16 at once | 805, 1611 | 359, 650 | 256, 457 |
//!
//! so that one picture goes by F(2x2), but for a single forward pass on a card, which is direct, and sixteen by F(4x4). No GPU
//! was at hand: on these kernels and this model there is correctness, tested on the software adapter, and no time taken.
//! `cargo bench --bench amd_static` shows what Mesa's driver of AMD GPUs makes of them, which takes no GPU.
//!
//! Tiles: on those three `conv2d_tiled` makes 64 positions x 64 outputs a workgroup where that gives workgroups enough,
//! 256 on a card and 32 on an integrated GPU, else 32 x 32.
//!
//! | layers | workgroups of 64 x 64 | RTX 4090, H100 | Iris Xe |
//! | --- | --- | --- | --- |
//! | conv1_* | 784 | 64 | 64 |
//! | conv2_* | 392 | 64 | 64 |
//! | conv3_* | 196 | 32 | 64 |
//! | conv4_* | 104 | 32 | 64 |
//! | conv5_* | 32 | 32, in 3 parts | 64 |
//!
//! Where even small tiles make too few workgroups, the sums are cut into parts, which `split_sum` adds: conv5's 112 on a
//! card make 336, AlexNet's five convolutions (190, 138, 72, 48 and 48) 380, 276, 288, 288 and 288; on the Iris Xe none. For
//! conv5 of one picture `split_sum` moves 4.8 MB, 0.005 ms on the RTX 4090 and 0.001 ms on the H100; back 5.6 MB, 0.006 and
//! 0.002 ms.
//!
//! `winograd_product_tiled` makes 64 tiles x 64 outputs by the same rule, 32 x 32 also where there are no more than 32
//! tiles; 36 matrices are workgroups enough: 1764 for conv1_2, 936, 576 and 288 for the layers down to conv4, on all three.
//! The 16 of F(2x2) make 512 small ones for conv5 on a card, and 128 large ones on the Iris Xe. A tile of 128 x 128, as others
//! have it for large layers, would leave a card idle: of one picture, the layers of VGG16 that have 128 outputs make 252, 144 and
//! 144 of them for their products (conv2, conv3, conv4), and 98 at most directly.
//!
//! The other kernels have one tile for every adapter, see the constants below. Only the software adapter runs `copy_tiles`,
//! `depthwise_square` and the kernels that end in `_subgroup` or begin with `winograd_` and do not end in `_tiled`.
//!
//! # How the software adapter loads and stores
//!
//! Nanoseconds of a core for a vec4 in each of a subgroup's 8 invocations, out of the caches nearest to it: medians of three
//! runs of `cargo bench --bench load_paths` on a shared AMD EPYC (Zen 4), Mesa 22.3.6, 2026-11-28. In a noisier hour
//! loads from storage images and shuffles took as long, the rest two to three times. And one run on two cores of an Intel Xeon
//! (Sapphire Rapids or later by its flags), vectors of 256 bits, 2026-12-01:
//!
//! | from | an address an invocation | one address | Intel: an address an invocation | one address |
//! | --- | --- | --- | --- | --- |
//! | storage image, `textureLoad` | 4.2 | | 8.7 | |
//! | uniform buffer, 64 KiB at most | 8.8 | 8.7 | 16.5 | 18.0 |
//! | immediates, 128 bytes | 9.6 | 9.5 | 16.9 | 20.9 |
//! | workgroup memory | 10.3 | | 18.8 | |
//! | texture, `textureLoad` | 13.1 | | 26.4 | |
//! | storage buffer | 18.5 | 16.1 | 28.4 | 22.8 |
//! | another invocation, `subgroupShuffle` from a literal lane | 1.3 | | 1.0 | |
//! | to a storage buffer | 23 | | 23.2 | |
//! | to a storage image | 98 | | 220.9 | |
//!
//! So that adapter's kernels read what they read often through storage images, hand it round by shuffles, and write what is
//! read once into buffers. Immediates are no faster than a uniform buffer and hold less than an invocation's weights. The driver
//! stores an image's texels word by word, so no kernel writes one: what is read through an image, Winograd's transformed tiles among
//! it, is stored to a buffer, and the device copies it. Winograd's products are read once, and from their buffer.

pub mod half;
pub mod half_words;
mod params;
mod table;

pub use params::*;
pub use table::Kernel;

/// What a kernel does with its result as it stores it; `EPILOGUE_*` in the shaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epilogue {
    /// Stored as it is.
    None = 0,
    /// Plus the bias.
    Bias = 1,
    /// Plus the bias, then max(., 0).
    BiasRelu = 2,
    /// Kept where the activation is between two bounds: a ReLU backward, above zero, or a clip.
    Mask = 3,
    /// Kept where that is so and the gradient is above zero: guided backpropagation.
    MaskGuided = 4,
    /// Kept where the gradient is above zero: deconvolution.
    MaskDeconv = 5,
    /// Plus the bias, then between two bounds.
    BiasClip = 6,
}

impl Epilogue {
    /// Every epilogue with the name of its constant in the shaders.
    pub const NAMED: [(&'static str, Self); 6] = [
        ("EPILOGUE_BIAS", Self::Bias),
        ("EPILOGUE_BIAS_RELU", Self::BiasRelu),
        ("EPILOGUE_MASK", Self::Mask),
        ("EPILOGUE_MASK_GUIDED", Self::MaskGuided),
        ("EPILOGUE_MASK_DECONV", Self::MaskDeconv),
        ("EPILOGUE_BIAS_CLIP", Self::BiasClip),
    ];
}

/// What `activate.wgsl` and `activate_backward.wgsl` compute; `ACTIVATION_*` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the shader has the formulas")]
pub enum ActivationKind {
    Leaky = 0,
    Elu = 1,
    Sigmoid = 2,
    Tanh = 3,
    Silu = 4,
    HardSigmoid = 5,
    HardSwish = 6,
    Gelu = 7,
    GeluTanh = 8,
    Softplus = 9,
    Mish = 10,
    Square = 11,
    Sqrt = 12,
    Reciprocal = 13,
    Abs = 14,
    Exp = 15,
    Log = 16,
    Power = 17,
}

impl ActivationKind {
    /// Every kind with the name of its constant in the shaders.
    pub const NAMED: [(&'static str, Self); 18] = [
        ("ACTIVATION_LEAKY", Self::Leaky),
        ("ACTIVATION_ELU", Self::Elu),
        ("ACTIVATION_SIGMOID", Self::Sigmoid),
        ("ACTIVATION_TANH", Self::Tanh),
        ("ACTIVATION_SILU", Self::Silu),
        ("ACTIVATION_HARD_SIGMOID", Self::HardSigmoid),
        ("ACTIVATION_HARD_SWISH", Self::HardSwish),
        ("ACTIVATION_GELU", Self::Gelu),
        ("ACTIVATION_GELU_TANH", Self::GeluTanh),
        ("ACTIVATION_SOFTPLUS", Self::Softplus),
        ("ACTIVATION_MISH", Self::Mish),
        ("ACTIVATION_SQUARE", Self::Square),
        ("ACTIVATION_SQRT", Self::Sqrt),
        ("ACTIVATION_RECIPROCAL", Self::Reciprocal),
        ("ACTIVATION_ABS", Self::Abs),
        ("ACTIVATION_EXP", Self::Exp),
        ("ACTIVATION_LOG", Self::Log),
        ("ACTIVATION_POWER", Self::Power),
    ];
}

/// What `combine.wgsl` makes of two values; `COMBINE_*` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CombineKind {
    /// Their sum.
    Add = 0,
    /// Their product.
    Mul = 1,
    /// The larger one.
    Max = 2,
    /// 1 where the first is at least the second, else 0.
    AtLeast = 3,
    /// 1 where the first is above the second, else 0.
    Above = 4,
}

/// How a kernel uses a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Written, perhaps read before.
    Write,
    /// The same, one value after the other: in float16 the other half of a word would be another invocation's.
    WriteSingly,
    /// Only read, through an image of float32 texels (rgba32float).
    Image,
    /// Only read, through such an image whose texels may be the bits of eight float16. It is not one of words: Mesa 25.0.7 with LLVM
    /// 19.1.7 loads zeros from those in half of a subgroup of 8 on some processors with AVX-512.
    Matrix,
}

/// What the host must know of a shader.
#[derive(Clone, Copy, Debug)]
pub struct KernelInfo {
    /// File name without its extension.
    pub name: &'static str,
    /// WGSL.
    pub source: &'static str,
    /// Values of the shader's `override` constants, but for `SUBGROUP`.
    pub constants: &'static [(&'static str, f64)],
    /// Whether it has the constant `SUBGROUP`: the invocations of a subgroup and of a workgroup.
    pub by_subgroup: bool,
    /// Bytes of the uniform at binding 0.
    pub params_size: usize,
    /// The buffers and images at bindings 1, 2, ...
    pub bindings: &'static [Access],
}

impl KernelInfo {
    /// The source with sampled textures in place of the storage images that it only reads, for drivers that load from those
    /// faster: they hold the same.
    pub fn sampled(&self) -> String {
        sampled(self.source)
    }
}

/// [`KernelInfo::sampled`] of any WGSL.
pub fn sampled(source: &str) -> String {
    const LOAD: &str = "textureLoad(";
    let source = source
        .replace("texture_storage_2d<rgba32float, read>", "texture_2d<f32>")
        .replace("texture_storage_2d<rgba16float, read>", "texture_2d<f32>");
    let mut parts = source.split(LOAD);
    let mut sampled = parts.next().unwrap_or_default().to_owned();
    // How deep in parentheses each load is that has begun; a load in the argument of another is in two.
    let mut open = vec![];
    let mut depth = 0_usize;
    for part in parts {
        sampled.push_str(LOAD);
        depth += 1;
        open.push(depth);
        for letter in part.chars() {
            match letter {
                '(' => depth += 1,
                ')' => {
                    if open.pop_if(|load| *load == depth).is_some() {
                        sampled.push_str(", 0");
                    }
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
            sampled.push(letter);
        }
    }
    sampled
}

/// Invocations of a workgroup in the kernels that take their elements one by one.
pub const LANES: u32 = 64;
/// Columns and rows of y that a workgroup of `conv2d.wgsl` makes.
pub const CONV2D_TILE: [u32; 2] = [8, 32];
/// Rows of y that an invocation of `depthwise.wgsl` makes.
pub const DEPTHWISE_ROWS: usize = 4;
/// Rows of y that a workgroup of `depthwise_subgroup.wgsl` and `conv2d_few.wgsl` makes, of a column for each invocation.
pub const COLUMNS_ROWS: usize = 7;
/// Blocks of outputs up to which `conv2d_few.wgsl` makes an input gradient: `conv2d_subgroup.wgsl` has an invocation for each
/// of eight.
pub const FEW_BLOCKS: usize = 2;
/// Columns and rows of y that a workgroup of `depthwise_square.wgsl` makes, of a block for each invocation.
pub const DEPTHWISE_SQUARE_TILE: [usize; 2] = [4, 14];
/// Positions, or tiles, and outputs that a workgroup of `conv2d_tiled.wgsl` and `winograd_product_tiled.wgsl` makes where
/// there is work enough.
pub const TILED_LARGE: usize = 64;
/// The same where there is less.
pub const TILED_SMALL: usize = 32;
/// Invocations of a subgroup that the kernels `*_subgroup.wgsl` are written for. A workgroup of theirs, of `winograd_input.wgsl`,
/// `winograd_output.wgsl`, `winograd_output_pool.wgsl` and `copy_tiles.wgsl` is a subgroup.
pub const SUBGROUPS: [u32; 3] = [4, 8, 16];
/// Storage buffers that one of those kernels binds at most; the others bind as many as every device allows.
pub const SUBGROUP_BUFFERS: u32 = 5;
/// Positions of y that a workgroup of `conv2d_subgroup.wgsl` makes, for one or two blocks of four outputs an invocation.
pub const CONV2D_SUBGROUP_POSITIONS: usize = 28;
/// Columns and rows of y that a workgroup of `conv3x3_subgroup.wgsl` makes, for an output an invocation.
pub const CONV3X3_TILE: [u32; 2] = [7, 4];
/// Tiles that a workgroup of `winograd_product_subgroup.wgsl` makes, for a block of four channels an invocation.
pub const WINOGRAD_PRODUCT_TILES: usize = 17;
/// The same where many images go through.
pub const WINOGRAD_PRODUCT_WIDE: usize = 49;
/// Tiles that a workgroup of `winograd_input_tiled.wgsl`, `winograd_output_tiled.wgsl` and `winograd_output_pool_tiled.wgsl`,
/// and elements that one of `winograd_filters_tiled.wgsl` takes.
pub const WINOGRAD_TILED_TILES: usize = 64;
/// Rows and columns of outputs that a Winograd tile makes.
pub const WINOGRAD_SIZE: usize = 4;
/// The same of the smaller tiles that `winograd_*_tiled.wgsl` make as well.
pub const WINOGRAD_SMALL_SIZE: usize = 2;
/// Positions of a transformed tile of [`WINOGRAD_SIZE`]: a product each in place of 9 for each of its 16 outputs.
pub const WINOGRAD_POSITIONS: usize = 36;
/// Texels in a row of an image, but for those of matrices.
pub const IMAGE_ROW: usize = 4096;
/// Most bytes of a matrix in one image: the image is written at once, so that nothing clears it first.
pub const MATRIX_IMAGE: usize = 32 << 20;
/// Images or classes that a workgroup of `linear_rows.wgsl`, `linear_columns.wgsl` and `linear_rows_subgroup.wgsl` makes.
pub const LINEAR_BATCH: u32 = 4;
/// Columns (vec4) that a workgroup of `linear_columns.wgsl` makes.
pub const LINEAR_COLUMNS_TILE: u32 = 16;
/// Columns (vec4) that a workgroup of `linear_columns_subgroup.wgsl` makes, of one image or class.
pub const LINEAR_COLUMNS_SEGMENT: u32 = 128;
/// Images or classes that a workgroup of `linear_rows_subgroup.wgsl` or `linear_columns_subgroup.wgsl` makes where there are more
/// than [`LINEAR_BATCH`]. Ten at once take less time than eight by four along rows, or one by one along columns, however many of the
/// ten are idle.
pub const LINEAR_MANY: u32 = 10;
/// Columns (vec4) for an invocation that a workgroup of `linear_columns_subgroup.wgsl` makes then.
pub const LINEAR_COLUMNS_MANY: u32 = 2;
/// Multiply-adds of an invocation of `multiply_add.wgsl` in one round.
pub const MULTIPLY_ADDS_A_ROUND: u32 = 3 * 4 * 8;
