//! `MobileNetV2`, `MobileNetV3` and `MNASNet` (arXiv 1801.04381, 1905.02244, 1807.11626) as torchvision names their tensors.

use super::efficientnet::BLOCK;
use super::step::{Act, Conv, Shortcut, Stage, Step, stage};
use super::{FAMILY, Family, published};

/// The first convolution widens; the first block of all has none.
const INVERTED: &[Step] = &[Step::Sum {
    body: &[Step::Forms(&[
        &[
            Step::Conv(Conv::pair("conv.0")),
            Step::Conv(Conv::pair("conv.1").strided()),
            Step::Conv(Conv::beside("conv.2", "conv.3").act(Act::None)),
        ],
        &[
            Step::Conv(Conv::pair("conv.0").strided()),
            Step::Conv(Conv::beside("conv.1", "conv.2").act(Act::None)),
        ],
    ])],
    shortcut: Shortcut::WhereItFits,
    act: Act::None,
}];

const fn inverted(at: &'static str, stride: usize) -> Step {
    stage(at, 0, stride, INVERTED).step()
}

pub(super) const V2: Family = Family {
    name: "mobilenet_v2",
    marks: &["features.1.conv.0.0.weight"],
    stem: Conv::pair("features.0").stride(2).taps(3),
    steps: &[
        inverted("features.1", 1),
        inverted("features.2", 2),
        inverted("features.3", 1),
        inverted("features.4", 2),
        inverted("features.5", 1),
        inverted("features.6", 1),
        inverted("features.7", 2),
        inverted("features.8", 1),
        inverted("features.9", 1),
        inverted("features.10", 1),
        inverted("features.11", 1),
        inverted("features.12", 1),
        inverted("features.13", 1),
        inverted("features.14", 2),
        inverted("features.15", 1),
        inverted("features.16", 1),
        inverted("features.17", 1),
        Step::Conv(Conv::pair("features.18")),
        Step::Mean("avgpool"),
        Step::Head("classifier", &[("classifier.1", Act::None)]),
    ],
    act: Act::Relu6,
    published: published::MOBILENET_V2,
    ..FAMILY
};

const fn relu(at: &'static str, stride: usize) -> Step {
    stage(at, 0, stride, BLOCK).act(Act::Relu).step()
}

const fn swish(at: &'static str, stride: usize) -> Step {
    stage(at, 0, stride, BLOCK).act(Act::HardSwish).step()
}

const V3: Family = Family {
    act: Act::HardSwish,
    gate: [Act::Relu, Act::HardSigmoid],
    stem: Conv::pair("features.0").stride(2).taps(3),
    epsilon: 1e-3,
    ..FAMILY
};

const V3_HEAD: Step = Step::Head(
    "classifier",
    &[
        ("classifier.0", Act::HardSwish),
        ("classifier.3", Act::None),
    ],
);

pub(super) const V3_SMALL: Family = Family {
    name: "mobilenet_v3_small",
    marks: &["features.1.block.0.0.weight", "features.12.0.weight"],
    steps: &[
        relu("features.1", 2),
        relu("features.2", 2),
        relu("features.3", 1),
        swish("features.4", 2),
        swish("features.5", 1),
        swish("features.6", 1),
        swish("features.7", 1),
        swish("features.8", 1),
        swish("features.9", 2),
        swish("features.10", 1),
        swish("features.11", 1),
        Step::Conv(Conv::pair("features.12")),
        Step::Mean("avgpool"),
        V3_HEAD,
    ],
    published: published::MOBILENET_V3_SMALL,
    ..V3
};

pub(super) const V3_LARGE: Family = Family {
    name: "mobilenet_v3_large",
    marks: &["features.1.block.0.0.weight", "features.16.0.weight"],
    steps: &[
        relu("features.1", 1),
        relu("features.2", 2),
        relu("features.3", 1),
        relu("features.4", 2),
        relu("features.5", 1),
        relu("features.6", 1),
        swish("features.7", 2),
        swish("features.8", 1),
        swish("features.9", 1),
        swish("features.10", 1),
        swish("features.11", 1),
        swish("features.12", 1),
        swish("features.13", 2),
        swish("features.14", 1),
        swish("features.15", 1),
        Step::Conv(Conv::pair("features.16")),
        Step::Mean("avgpool"),
        V3_HEAD,
    ],
    published: published::MOBILENET_V3_LARGE,
    ..V3
};

const fn mnasnet(at: &'static str, stride: usize) -> Stage {
    const BLOCK: &[Step] = &[Step::Sum {
        body: &[
            Step::Conv(Conv::beside("layers.0", "layers.1")),
            Step::Conv(Conv::beside("layers.3", "layers.4").strided()),
            Step::Conv(Conv::beside("layers.6", "layers.7").act(Act::None)),
        ],
        shortcut: Shortcut::WhereItFits,
        act: Act::None,
    }];
    stage(at, 0, stride, BLOCK)
}

pub(super) const MNASNET: Family = Family {
    name: "mnasnet",
    marks: &["layers.8.0.layers.0.weight"],
    stem: Conv::beside("layers.0", "layers.1").stride(2).taps(3),
    steps: &[
        Step::Conv(Conv::beside("layers.3", "layers.4")),
        Step::Conv(Conv::beside("layers.6", "layers.7").act(Act::None)),
        mnasnet("layers.8.{}", 2).step(),
        mnasnet("layers.9.{}", 2).step(),
        mnasnet("layers.10.{}", 2).step(),
        mnasnet("layers.11.{}", 1).step(),
        mnasnet("layers.12.{}", 2).step(),
        mnasnet("layers.13.{}", 1).step(),
        Step::Conv(Conv::beside("layers.14", "layers.15")),
        Step::Mean("mean"),
        Step::Head("classifier", &[("classifier.1", Act::None)]),
    ],
    published: published::MNASNET,
    ..FAMILY
};
