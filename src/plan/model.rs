//! What the kernels for subgroups cost by the built-in model, as far as the choice between them depends on it.

/// Nanoseconds of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// 28 positions of an output an invocation for a block of inputs of a 3 x 3 window, by the direct kernel for them.
    pub direct: u32,
    /// A workgroup of `winograd_product_subgroup.wgsl` for a block of inputs.
    pub product: u32,
    /// The same of its wide form.
    pub product_wide: u32,
    /// A workgroup of either of Winograd's transforms.
    pub transform: u32,
    /// What eight outputs by four inputs of filters take longer on their way to the device when they are transformed.
    pub filters: u32,
}

impl Model {
    /// Those of subgroups of `width` on Mesa's software adapter (Mesa 22.3). The rows of 8 and 16 fit what `gradcam tune` measured of
    /// the layers of VGG16 and ResNet-50 on Zen 5; that of 4 is what an older one of 8, measured on Zen 4, is by whole passes through
    /// VGG16, directly and by Winograd's algorithm, and by the product alone. Winograd's stages have become faster since, by storing to
    /// buffers: its figures are too high, and what the model chose was still the fastest where layers were measured again.
    pub const fn of(width: u32) -> Self {
        match width {
            ..=4 => Self {
                direct: 392,
                product: 110,
                product_wide: 370,
                transform: 2100,
                filters: 2200,
            },
            5..=8 => Self {
                direct: 245,
                product: 97,
                product_wide: 207,
                transform: 2700,
                filters: 2200,
            },
            9.. => Self {
                direct: 340,
                product: 150,
                product_wide: 432,
                transform: 5400,
                filters: 2200,
            },
        }
    }
}
