//! The published networks of the families, each known by its family and by how many elements its filters have.

use crate::picture::preprocess::Normalization;

/// A published network.
pub(super) struct Published {
    pub(super) name: &'static str,
    /// Elements of all filters and gates before the head; heads are as people need them.
    filters: usize,
    /// Pixels along each side.
    pub(super) size: usize,
    /// Where it differs from the family's.
    pub(super) normalization: Option<Normalization>,
}

const fn row(name: &'static str, filters: usize, size: usize) -> Published {
    Published {
        name,
        filters,
        size,
        normalization: None,
    }
}

impl Published {
    const fn scaled(mut self, normalization: Normalization) -> Self {
        self.normalization = Some(normalization);
        self
    }
}

/// The published network of that family with so many elements in its filters.
pub(super) fn published(family: &str, filters: usize) -> Option<&'static Published> {
    let mut rows = PUBLISHED.iter();
    let (_, rows) = rows.find(|(name, _)| *name == family)?;
    rows.iter().find(|row| row.filters == filters)
}

/// By family.
static PUBLISHED: &[(&str, &[Published])] = &[
    (
        "resnet",
        &[
            row("resnet18", 11_166_912, 224),
            row("resnet34", 21_267_648, 224),
            row("resnet50", 23_454_912, 224),
            row("resnet101", 42_394_816, 224),
            row("resnet152", 57_992_384, 224),
            row("resnext50_32x4d", 22_911_680, 224),
            row("resnext101_32x8d", 86_539_456, 224),
            row("resnext101_64x4d", 81_203_392, 224),
            row("wide_resnet50_2", 66_766_016, 224),
            row("wide_resnet101_2", 124_699_840, 224),
        ],
    ),
    (
        "densenet",
        &[
            row("densenet121", 6_870_208, 224),
            row("densenet161", 26_252_064, 224),
            row("densenet169", 12_326_080, 224),
            row("densenet201", 17_863_872, 224),
        ],
    ),
    ("mobilenet_v2", &[row("mobilenet_v2", 2_189_760, 224)]),
    (
        "mobilenet_v3_small",
        &[row("mobilenet_v3_small", 912_008, 224)],
    ),
    (
        "mobilenet_v3_large",
        &[row("mobilenet_v3_large", 2_942_472, 224)],
    ),
    (
        "mnasnet",
        &[
            row("mnasnet0_5", 916_888, 224),
            row("mnasnet0_75", 1_859_400, 224),
            row("mnasnet1_0", 3_064_392, 224),
            row("mnasnet1_3", 4_952_440, 224),
        ],
    ),
    (
        "efficientnet",
        &[
            row("efficientnet_b0", 3_956_192, 224),
            row("efficientnet_b1", 6_436_976, 240),
            row("efficientnet_b2", 7_618_016, 288),
            row("efficientnet_b3", 10_588_856, 300),
            row("efficientnet_b4", 17_394_376, 380),
            row("efficientnet_b5", 28_127_728, 456),
            row("efficientnet_b6", 40_458_672, 528),
            row("efficientnet_b7", 63_403_040, 600),
        ],
    ),
    (
        "efficientnet_v2",
        &[
            row("efficientnet_v2_s", 19_988_424, 384),
            row("efficientnet_v2_m", 52_498_504, 480),
            row("efficientnet_v2_l", 116_602_144, 480).scaled(Normalization::TF),
        ],
    ),
    (
        "convnext",
        &[
            row("convnext_tiny", 27_756_000, 224),
            row("convnext_small", 49_328_352, 224),
            row("convnext_base", 87_398_016, 224),
            row("convnext_large", 195_977_664, 224),
        ],
    ),
    (
        "regnet",
        &[
            row("regnet_x_400mf", 5_057_120, 224),
            row("regnet_x_800mf", 6_549_344, 224),
            row("regnet_x_1_6gf", 8_233_632, 224),
            row("regnet_x_3_2gf", 14_224_992, 224),
            row("regnet_x_8gf", 37_561_184, 224),
            row("regnet_x_16gf", 52_118_368, 224),
            row("regnet_x_32gf", 105_128_544, 224),
            row("regnet_y_400mf", 3_870_784, 224),
            row("regnet_y_800mf", 5_611_488, 224),
            row("regnet_y_1_6gf", 10_250_592, 224),
            row("regnet_y_3_2gf", 17_844_768, 224),
            row("regnet_y_8gf", 37_261_920, 224),
            row("regnet_y_16gf", 80_419_552, 224),
            row("regnet_y_32gf", 141_145_952, 224),
        ],
    ),
    (
        "shufflenet_v2",
        &[
            row("shufflenet_v2_x0_5", 333_840, 224),
            row("shufflenet_v2_x1_0", 1_237_424, 224),
            row("shufflenet_v2_x1_5", 2_455_184, 224),
            row("shufflenet_v2_x2_0", 5_311_280, 224),
        ],
    ),
    ("squeezenet1_0", &[row("squeezenet1_0", 732_448, 224)]),
    ("squeezenet1_1", &[row("squeezenet1_1", 719_552, 224)]),
    ("googlenet", &[row("googlenet", 5_585_344, 224)]),
    ("inception_v3", &[row("inception_v3", 21_751_136, 299)]),
    ("alexnet", &[row("alexnet", 2_468_544, 224)]),
];
