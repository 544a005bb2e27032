//! `ResNet`, `ResNeXt` and Wide `ResNet` (arXiv 1512.03385, 1611.05431, 1605.07146) as torchvision and timm name their tensors.

use super::step::{Act, Conv, Gate, Shortcut, Smoothing, Step, pool, stage};
use super::{FAMILY, Family, published};

/// timm's networks whose names begin with `se` or `eca` have them.
const GATE: Step = Step::Gate(Gate {
    at: "se",
    reduce: ".fc1",
    expand: ".fc2",
});

/// A convolution of the block's input; in timm's networks whose names end in `d` after a mean.
const PROJECTION: &[Step] = &[Step::Forms(&[
    &[Step::Conv(
        Conv::beside("downsample.0", "downsample.1")
            .strided()
            .act(Act::None),
    )],
    &[
        Step::MeanByStride("downsample.0"),
        Step::Conv(Conv::beside("downsample.1", "downsample.2").act(Act::None)),
    ],
])];

const BLOCK: &[Step] = &[Step::Sum {
    body: &[
        Step::Forms(&[
            &[
                Step::Conv(Conv::beside("conv1", "bn1")),
                Step::Conv(Conv::beside("conv2", "bn2").strided().smoothed()),
                Step::Conv(Conv::beside("conv3", "bn3").act(Act::None)),
            ],
            &[
                Step::Conv(Conv::beside("conv1", "bn1").strided().smoothed()),
                Step::Conv(Conv::beside("conv2", "bn2").act(Act::None)),
            ],
        ]),
        GATE,
    ],
    shortcut: Shortcut::Projected(PROJECTION),
    act: Act::Own,
}];

const STAGES: &[Step] = &[
    Step::MaxPool(pool("maxpool", 3, 2).pad(1)),
    stage("layer1.{}", 0, 1, BLOCK).step(),
    stage("layer2.{}", 0, 2, BLOCK).step(),
    stage("layer3.{}", 0, 2, BLOCK).step(),
    stage("layer4.{}", 0, 2, BLOCK).step(),
    Step::Mean("avgpool"),
    Step::Head("fc", &[("fc", Act::None)]),
];

/// Of blocks of three convolutions, and of those of two.
const STRIDES: &[(&str, &str)] = &[
    (
        "layer1.0.conv3.weight",
        "blocks of three convolutions are taken to halve the map in the second one, as torchvision's do, by steps alone; others halve \
         it in the first, which an export as ONNX tells, or smooth it, as timm's resnetblur and resnetaa do: --architecture \
         resnetblur or resnetaa says so",
    ),
    (
        "layer1.0.conv2.weight",
        "the map is taken to be halved by steps alone, as in torchvision's networks; timm's resnetblur and resnetaa, which smooth it, \
         have the same names of tensors: --architecture resnetblur or resnetaa says so",
    ),
];

pub(super) const RESNET: Family = Family {
    name: "resnet",
    marks: &["layer1.0.conv1.weight"],
    lacks: &["conv1.0.weight"],
    // Smaller filters stand without the pool, or with it: names do not tell.
    stem: Conv::beside("conv1", "bn1").stride(2).taps(7),
    steps: STAGES,
    group_norms: true,
    notes: STRIDES,
    published: published::RESNET,
    ..FAMILY
};

/// timm's, with three convolutions in place of the first one.
pub(super) const DEEP_STEM: Family = Family {
    name: "resnet-d",
    marks: &["layer1.0.conv1.weight", "conv1.6.weight"],
    lacks: &[],
    stem: Conv::beside("conv1.0", "conv1.1").stride(2).taps(3),
    steps: &[
        Step::Conv(Conv::beside("conv1.3", "conv1.4")),
        Step::Conv(Conv::beside("conv1.6", "bn1")),
        Step::Part("", STAGES),
    ],
    evidence: "its tensors are named as timm's",
    published: published::RESNET_D,
    ..RESNET
};

const fn smooth(family: Family, name: &'static str, smoothing: Smoothing) -> Family {
    let mut smooth = family;
    smooth.name = name;
    smooth.smoothing = smoothing;
    smooth.evidence = "its tensors are named as timm's";
    smooth.published = &[];
    smooth.notes = &[];
    smooth
}

pub(super) const BLUR: Family = smooth(RESNET, "resnetblur", Smoothing::Blur);
pub(super) const MEAN: Family = smooth(RESNET, "resnetaa", Smoothing::Mean);
pub(super) const DEEP_STEM_BLUR: Family = smooth(DEEP_STEM, "resnetblur", Smoothing::Blur);
pub(super) const DEEP_STEM_MEAN: Family = smooth(DEEP_STEM, "resnetaa", Smoothing::Mean);
