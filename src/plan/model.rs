//! What the kernels for subgroups cost by the built-in model, as far as the choice between them depends on it.

/// Nanoseconds of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// A workgroup of `conv3x3_subgroup.wgsl` for a block of inputs.
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
    /// Those of subgroups of `width` on Mesa's software adapter (Zen 4 at 3.7 GHz, Mesa 22.3). The rows of 4 and 16 are what
    /// that of 8 is by whole passes through VGG16, directly and by Winograd's algorithm, and by the product alone.
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
                direct: 351,
                product: 136,
                product_wide: 290,
                transform: 3900,
                filters: 2200,
            },
            9.. => Self {
                direct: 530,
                product: 215,
                product_wide: 620,
                transform: 7000,
                filters: 2200,
            },
        }
    }
}
