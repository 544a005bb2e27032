//! The published networks of the families, as `tests/fixtures/families/published.py` prints them.

use crate::picture::preprocess::Normalization;

/// A published network.
pub(super) struct Published {
    pub(super) name: &'static str,
    /// Elements of all filters, gates and dense layers before the head; heads are as people need them.
    pub(super) filters: usize,
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

pub(super) const RESNET: &[Published] = &[
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
    row("resnet26", 13_915_328, 224),
    row("seresnet50", 25_969_856, 224),
    row("seresnet152", 64_570_560, 224),
    row("seresnext50_32x4d", 25_426_624, 224),
    row("seresnext101_32x8d", 91_282_624, 224),
    row("resnext101_32x4d", 41_990_848, 224),
    row("resnext101_32x16d", 191_644_864, 224),
];

pub(super) const RESNET_D: &[Published] = &[
    row("resnet10t", 4_916_616, 176),
    row("resnet14t", 8_013_192, 176),
    row("resnet18d", 11_186_016, 224),
    row("resnet26d", 13_934_432, 224),
    row("resnet26t", 13_931_912, 256),
    row("resnet34d", 21_286_752, 224),
    row("resnet50d", 23_474_016, 224),
    row("resnet50t", 23_471_496, 224),
    row("resnet101d", 42_413_920, 256),
    row("resnet152d", 58_011_488, 256),
    row("resnet200d", 62_467_936, 256),
    row("resnext50d_32x4d", 22_930_784, 224),
    row("ecaresnet26t", 13_931_956, 256),
    row("ecaresnet50d", 23_474_102, 224),
    row("ecaresnet50t", 23_471_582, 256),
    row("ecaresnet101d", 42_414_091, 224),
    row("seresnet152d", 64_589_664, 256),
    row("seresnext101d_32x8d", 91_301_728, 224),
];

pub(super) const DENSENET: &[Published] = &[
    row("densenet121", 6_870_208, 224),
    row("densenet161", 26_252_064, 224),
    row("densenet169", 12_326_080, 224),
    row("densenet201", 17_863_872, 224),
];

pub(super) const MOBILENET_V2: &[Published] = &[row("mobilenet_v2", 2_189_760, 224)];

pub(super) const MOBILENET_V3_SMALL: &[Published] = &[row("mobilenet_v3_small", 912_008, 224)];

pub(super) const MOBILENET_V3_LARGE: &[Published] = &[row("mobilenet_v3_large", 2_942_472, 224)];

pub(super) const MNASNET: &[Published] = &[
    row("mnasnet0_5", 916_888, 224),
    row("mnasnet0_75", 1_859_400, 224),
    row("mnasnet1_0", 3_064_392, 224),
    row("mnasnet1_3", 4_952_440, 224),
];

pub(super) const EFFICIENTNET: &[Published] = &[
    row("efficientnet_b0", 3_956_192, 224),
    row("efficientnet_b1", 6_436_976, 240),
    row("efficientnet_b2", 7_618_016, 288),
    row("efficientnet_b3", 10_588_856, 300),
    row("efficientnet_b4", 17_394_376, 380),
    row("efficientnet_b5", 28_127_728, 456),
    row("efficientnet_b6", 40_458_672, 528),
    row("efficientnet_b7", 63_403_040, 600),
];

pub(super) const EFFICIENTNET_PYTORCH: &[Published] = &[
    row("efficientnet-b0", 3_956_192, 224),
    row("efficientnet-b1", 6_436_976, 240),
    row("efficientnet-b2", 7_618_016, 260),
    row("efficientnet-b3", 10_588_856, 300),
    row("efficientnet-b4", 17_394_376, 380),
    row("efficientnet-b5", 28_127_728, 456),
    row("efficientnet-b6", 40_458_672, 528),
    row("efficientnet-b7", 63_403_040, 600),
    row("efficientnet-b8", 84_126_400, 672),
];

pub(super) const EFFICIENTNET_V2: &[Published] = &[
    row("efficientnet_v2_s", 19_988_424, 384),
    row("efficientnet_v2_m", 52_498_504, 480),
    row("efficientnet_v2_l", 116_602_144, 480).scaled(Normalization::TF),
];

pub(super) const CONVNEXT: &[Published] = &[
    row("convnext_tiny", 27_756_000, 224),
    row("convnext_small", 49_328_352, 224),
    row("convnext_base", 87_398_016, 224),
    row("convnext_large", 195_977_664, 224),
];

pub(super) const TIMM_CONVNEXT: &[Published] = &[
    row("convnext_atto", 3_356_080, 224),
    row("convnext_femto", 4_810_656, 224),
    row("convnext_pico", 8_503_168, 224),
    row("convnext_nano", 14_909_920, 224),
    row("convnext_tiny", 27_756_000, 224),
    row("convnext_small", 49_328_352, 224),
    row("convnext_base", 87_398_016, 224),
    row("convnext_large", 195_977_664, 224),
    row("convnext_xlarge", 347_811_072, 224),
];

pub(super) const TIMM_CONVNEXT_V2: &[Published] = &[
    row("convnextv2_atto", 3_356_080, 224),
    row("convnextv2_femto", 4_810_656, 224),
    row("convnextv2_pico", 8_503_168, 224),
    row("convnextv2_nano", 14_909_920, 224),
    row("convnextv2_tiny", 27_756_000, 224),
    row("convnextv2_base", 87_398_016, 224),
    row("convnextv2_large", 195_977_664, 224),
    row("convnextv2_huge", 656_661_984, 384),
];

pub(super) const REGNET: &[Published] = &[
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
];

pub(super) const TIMM_REGNET: &[Published] = &[
    row("regnetx_002", 2_294_944, 224),
    row("regnetx_004", 4_735_840, 224),
    row("regnetx_006", 5_633_760, 224),
    row("regnetx_008", 6_549_344, 224),
    row("regnetx_016", 8_233_632, 224),
    row("regnetx_032", 14_224_992, 224),
    row("regnetx_040", 20_681_184, 224),
    row("regnetx_064", 24_510_048, 224),
    row("regnetx_080", 37_561_184, 224),
    row("regnetx_120", 43_768_672, 224),
    row("regnetx_160", 52_118_368, 224),
    row("regnetx_320", 105_128_544, 224),
    row("regnety_002", 2_769_152, 224),
    row("regnety_004", 3_870_784, 224),
    row("regnety_006", 5_410_784, 224),
    row("regnety_008", 5_458_784, 224),
    row("regnety_016", 10_250_592, 224),
    row("regnety_032", 17_844_768, 224),
    row("regnety_040", 19_483_488, 224),
    row("regnety_064", 29_187_936, 224),
    row("regnety_080", 37_061_440, 224),
    row("regnety_120", 49_467_232, 224),
    row("regnety_160", 80_419_552, 224),
    row("regnety_320", 141_145_952, 224),
];

pub(super) const SHUFFLENET: &[Published] = &[
    row("shufflenet_v2_x0_5", 333_840, 224),
    row("shufflenet_v2_x1_0", 1_237_424, 224),
    row("shufflenet_v2_x1_5", 2_455_184, 224),
    row("shufflenet_v2_x2_0", 5_311_280, 224),
];

pub(super) const SQUEEZENET1_0: &[Published] = &[row("squeezenet1_0", 732_448, 224)];

pub(super) const SQUEEZENET1_1: &[Published] = &[row("squeezenet1_1", 719_552, 224)];

pub(super) const GOOGLENET: &[Published] = &[row("googlenet", 5_585_344, 224)];

pub(super) const INCEPTION_V3: &[Published] = &[row("inception_v3", 21_751_136, 299)];

pub(super) const ALEXNET: &[Published] = &[row("alexnet", 2_468_544, 224)];

pub(super) const TIMM_MOBILENET_V2: &[Published] = &[
    row("mobilenetv2_035", 382_048, 224),
    row("mobilenetv2_050", 669_136, 224),
    row("mobilenetv2_075", 1_328_784, 224),
    row("mobilenetv2_100", 2_189_760, 224),
    row("mobilenetv2_110d", 3_188_032, 224),
    row("mobilenetv2_120d", 4_486_368, 224),
    row("mobilenetv2_140", 4_267_840, 224),
];

pub(super) const FBNETC: &[Published] = &[row("fbnetc_100", 3_542_832, 224)];

pub(super) const TIMM_MNASNET: &[Published] = &[
    row("mnasnet_050", 916_888, 224),
    row("mnasnet_075", 1_859_400, 224),
    row("mnasnet_100", 3_064_392, 224),
    row("mnasnet_140", 5_782_280, 224),
];

pub(super) const TIMM_SEMNASNET: &[Published] = &[
    row("semnasnet_050", 780_448, 224),
    row("semnasnet_075", 1_601_160, 224),
    row("semnasnet_100", 2_568_312, 224),
    row("semnasnet_140", 4_773_008, 224),
];

pub(super) const TIMM_LITE: &[Published] = &[row("efficientnet_lite0", 3_328_992, 224)];

pub(super) const TF_LITE: &[Published] = &[
    row("tf_efficientnet_lite1", 4_082_016, 240).scaled(Normalization::TF),
    row("tf_efficientnet_lite2", 4_752_976, 260).scaled(Normalization::TF),
    row("tf_efficientnet_lite3", 6_839_424, 300).scaled(Normalization::TF),
    row("tf_efficientnet_lite4", 11_613_200, 380).scaled(Normalization::TF),
];

pub(super) const TIMM_EFFICIENTNET: &[Published] = &[
    row("efficientnet_b0", 3_956_192, 224),
    row("efficientnet_b1", 6_436_976, 240).scaled(Normalization::TF),
    row("efficientnet_b2", 7_618_016, 256),
    row("efficientnet_b3", 10_588_856, 288),
    row("efficientnet_b4", 17_394_376, 320),
];

pub(super) const TF_EFFICIENTNET: &[Published] = &[
    row("tf_efficientnet_b5", 28_127_728, 456),
    row("tf_efficientnet_b6", 40_458_672, 528),
    row("tf_efficientnet_b7", 63_403_040, 600),
    row("tf_efficientnet_b8", 84_126_400, 672).scaled(Normalization::TF),
    row("tf_efficientnet_l2", 473_454_600, 475),
];

pub(super) const TIMM_EFFICIENTNET_V2: &[Published] = &[
    row("efficientnetv2_rw_t", 12_478_200, 224),
    row("efficientnetv2_rw_s", 21_950_856, 288),
    row("efficientnetv2_rw_m", 50_705_248, 320),
];

pub(super) const TF_EFFICIENTNET_V2: &[Published] = &[
    row("tf_efficientnetv2_b0", 5_784_576, 192),
    row("tf_efficientnetv2_b1", 6_773_152, 192),
    row("tf_efficientnetv2_b2", 8_586_384, 208),
    row("tf_efficientnetv2_b3", 12_687_448, 240).scaled(Normalization::TF),
    row("tf_efficientnetv2_s", 19_988_424, 300).scaled(Normalization::TF),
    row("tf_efficientnetv2_m", 52_498_504, 384).scaled(Normalization::TF),
    row("tf_efficientnetv2_l", 116_602_144, 384).scaled(Normalization::TF),
    row("tf_efficientnetv2_xl", 205_879_136, 384).scaled(Normalization::TF),
];

pub(super) const TIMM_MOBILENET_V3_LARGE: &[Published] = &[
    row("mobilenetv3_large_075", 2_688_208, 224),
    row("mobilenetv3_large_100", 4_171_272, 224),
    row("mobilenetv3_large_150d", 13_275_600, 256).scaled(Normalization::TF),
];

pub(super) const MOBILENET_V3_RW: &[Published] = &[row("mobilenetv3_rw", 4_169_448, 224)];

pub(super) const FBNET_V3: &[Published] = &[
    row("fbnetv3_b", 6_558_224, 224),
    row("fbnetv3_d", 8_253_552, 224),
    row("fbnetv3_g", 14_529_648, 240),
];

pub(super) const TIMM_MOBILENET_V3_SMALL: &[Published] = &[
    row("mobilenetv3_small_050", 559_136, 224),
    row("mobilenetv3_small_075", 1_003_880, 224),
    row("mobilenetv3_small_100", 1_501_832, 224),
];

pub(super) const HUGGING_FACE_MOBILENET_V2: &[Published] = &[
    row("mobilenet_v2_0.35_96", 382_048, 96),
    row("mobilenet_v2_0.75_160", 1_328_784, 160),
    row("mobilenet_v2_1.0_224", 2_189_760, 224),
    row("mobilenet_v2_1.4_224", 4_267_840, 224),
];
