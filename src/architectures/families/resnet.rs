//! `ResNet`, `ResNeXt` and Wide `ResNet` (arXiv 1512.03385, 1611.05431, 1605.07146) as torchvision and timm name their tensors.

use super::step::{Act, Conv, Gate, Shortcut, Smoothing, Step, pool, stage};
use super::{FAMILY, Family, published};
use crate::picture::preprocess::Normalization;

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
    &[Step::Conv(
        Conv::beside("shortcut.0", "shortcut.1")
            .strided()
            .act(Act::None),
    )],
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
    Step::Part("", STAGES_ALONE),
];

/// Without the pool before them.
const STAGES_ALONE: &[Step] = &[
    stage("layer1.{}", 0, 1, BLOCK).step(),
    stage("layer2.{}", 0, 2, BLOCK).step(),
    stage("layer3.{}", 0, 2, BLOCK).step(),
    stage("layer4.{}", 0, 2, BLOCK).step(),
    Step::Mean("avgpool"),
    Step::Head("fc", &[("fc", Act::None)]),
];

/// The stages of a network whose children were put in a `Sequential`, which numbers them.
const NUMBERED: &[Step] = &[
    Step::MaxPool(pool("3", 3, 2).pad(1)),
    stage("4.{}", 0, 1, BLOCK).step(),
    stage("5.{}", 0, 2, BLOCK).step(),
    stage("6.{}", 0, 2, BLOCK).step(),
    stage("7.{}", 0, 2, BLOCK).step(),
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
    lacks: &["conv1.0.weight", "conv1.weight@3"],
    stem: Conv::beside("conv1", "bn1").stride(2).taps(7),
    steps: STAGES,
    group_norms: true,
    notes: STRIDES,
    published: published::RESNET,
    ..FAMILY
};

/// For pictures as small as CIFAR's: a stem of smaller filters, and no pool after it.
pub(super) const SMALL: Family = Family {
    name: "resnet-cifar",
    marks: SMALL_MARKS,
    lacks: &["conv1.0.weight"],
    stem: SMALL_STEM,
    steps: STAGES_ALONE,
    size: 32,
    normalization: CIFAR,
    evidence: "its first convolution is as small as those of networks for CIFAR-10, whose mean and deviation these are",
    notes: &[(
        "",
        "its first convolution, of 3 x 3 taps, is taken to go by single steps with no max-pool after it, as in networks for CIFAR's \
         pictures, and blocks of three convolutions to halve the map in the second one: --architecture resnet-cifar-pool says that \
         torchvision's max-pool follows; export the network as ONNX, which holds it all, if it is another",
    )],
    published: &[],
    ..RESNET
};

/// The same with the pool.
pub(super) const SMALL_POOLED: Family = Family {
    name: "resnet-cifar-pool",
    steps: STAGES,
    ..SMALL
};

/// The paper's own for CIFAR, of three stages.
pub(super) const THREE_STAGES: Family = Family {
    marks: &[
        "layer1.0.conv1.weight",
        "conv1.weight@3",
        "bn1.running_mean",
        "layer3.0.conv1.weight",
    ],
    lacks: &["conv1.0.weight", "layer4."],
    steps: &[
        stage("layer1.{}", 0, 1, BLOCK).step(),
        stage("layer2.{}", 0, 2, BLOCK).step(),
        stage("layer3.{}", 0, 2, BLOCK).step(),
        Step::Mean("avgpool"),
        Step::Head("fc", &[("fc", Act::None)]),
    ],
    notes: &[(
        "",
        "its first convolution, of 3 x 3 taps, is taken to go by single steps with no pool after it, as in networks for CIFAR's \
         pictures, and blocks of three convolutions to halve the map in the second one; export the network as ONNX, which holds it \
         all, if it is another",
    )],
    ..SMALL
};

/// Without the norm of the stem, norms stand before convolutions instead (arXiv 1603.05027), under the same names.
const SMALL_MARKS: &[&str] = &[
    "layer1.0.conv1.weight",
    "conv1.weight@3",
    "bn1.running_mean",
    "layer4.0.conv1.weight",
];

const SMALL_STEM: Conv = Conv::beside("conv1", "bn1").taps(3);

/// The mean and the deviation of CIFAR-10 that most programs have.
const CIFAR: Normalization = Normalization {
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.2023, 0.1994, 0.2010],
    ..Normalization::TORCH
};

/// `nn.Sequential(*resnet.children())`, whole or without its head.
pub(super) const CHILDREN: Family = Family {
    marks: &[
        "4.0.conv1.weight",
        "7.0.conv1.weight",
        "0.weight",
        "1.running_mean",
    ],
    lacks: &[],
    stem: Conv::beside("0", "1").stride(2).taps(7),
    steps: &[
        Step::Part("", NUMBERED),
        Step::Mean("8"),
        Step::Head("fc", &[("fc", Act::None)]),
    ],
    notes: NUMBERED_STRIDES,
    ..RESNET
};

/// fastai's body and head: the same children, the largest value and the mean of all positions, and two dense layers with norms
/// before them.
pub(super) const FASTAI: Family = Family {
    marks: &[
        "0.4.0.conv1.weight",
        "0.7.0.conv1.weight",
        "1.2.running_mean",
        "1.4.weight",
        "1.6.running_mean",
        "1.8.weight",
    ],
    lacks: &[],
    stem: Conv::beside("0.0", "0.1").stride(2).taps(7),
    steps: &[
        Step::Part("0", NUMBERED),
        Step::Branches("1.0", &[&[Step::Max("1.0.mp")], &[Step::Mean("1.0.ap")]]),
        Step::Norm("1.2", Act::None),
        Step::Dense("1.4", Act::Relu),
        Step::Norm("1.6", Act::None),
        Step::Dense("1.8", Act::None),
    ],
    evidence: "its tensors are named as fastai's",
    published: &[],
    notes: &[
        (
            "0.4.0.conv3.weight",
            "its head is taken to be fastai's: the largest value and the mean of each channel, and a ReLU after the first dense layer; \
             blocks of three convolutions are taken to halve the map in the second one, as torchvision's do; export the network as \
             ONNX, which holds it all, if it is another",
        ),
        (
            "",
            "its head is taken to be fastai's: the largest value and the mean of each channel, and a ReLU after the first dense layer; \
             export the network as ONNX, which holds it all, if it is another",
        ),
    ],
    ..RESNET
};

/// As [`STRIDES`], of numbered stages.
const NUMBERED_STRIDES: &[(&str, &str)] = &[("4.0.conv3.weight", STRIDES[0].1), ("", STRIDES[1].1)];

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
