//! `DenseNet` (arXiv 1608.06993) as torchvision and timm name its tensors.

use super::step::{Act, Conv, Step, pool, stage};
use super::{FAMILY, Family, published};

/// Names with a dot before the number are those of the published files.
const LAYER: &[Step] = &[Step::Grow(&[Step::Forms(&[
    &[
        Step::Norm("norm1", Act::Own),
        Step::Conv(Conv::beside("conv1", "norm2")),
        Step::Conv(Conv::bare("conv2")),
    ],
    &[
        Step::Norm("norm.1", Act::Own),
        Step::Conv(Conv::beside("conv.1", "norm.2")),
        Step::Conv(Conv::bare("conv.2")),
    ],
])])];

const TRANSITION: &[Step] = &[
    Step::Norm("norm", Act::Own),
    Step::Conv(Conv::bare("conv")),
    Step::MeanPool(pool("pool", 2, 2)),
];

pub(super) const DENSENET: Family = Family {
    name: "densenet",
    marks: &["features.conv0.weight", "features.denseblock1.denselayer1."],
    stem: Conv::beside("features.conv0", "features.norm0")
        .stride(2)
        .taps(7),
    steps: &[
        Step::MaxPool(pool("features.pool0", 3, 2).pad(1)),
        stage("features.denseblock1.denselayer{}", 1, 1, LAYER).step(),
        Step::Part("features.transition1", TRANSITION),
        stage("features.denseblock2.denselayer{}", 1, 1, LAYER).step(),
        Step::Part("features.transition2", TRANSITION),
        stage("features.denseblock3.denselayer{}", 1, 1, LAYER).step(),
        Step::Part("features.transition3", TRANSITION),
        stage("features.denseblock4.denselayer{}", 1, 1, LAYER).step(),
        Step::Norm("features.norm5", Act::Own),
        Step::Mean("avgpool"),
        Step::Head("classifier", &[("classifier", Act::None)]),
    ],
    published: published::DENSENET,
    ..FAMILY
};
