//! `EfficientNet` and `EfficientNetV2` (arXiv 1905.11946, 2104.00298) as torchvision and `efficientnet_pytorch` name their tensors.

use super::step::{Act, Conv, Gate, Shortcut, Step, stage};
use super::{FAMILY, Family, published};

const fn gate(at: &'static str) -> Step {
    Step::Gate(Gate {
        at,
        reduce: ".fc1",
        expand: ".fc2",
    })
}

/// Parts of a block are numbered through, whichever there are: a convolution that widens, the one with the steps, a gate, one
/// that narrows. Where there is no depthwise convolution the one that widens has the steps.
pub(super) const BLOCK: &[Step] = &[Step::Sum {
    body: &[Step::Forms(&[
        &[
            Step::Conv(Conv::pair("block.0")),
            Step::Conv(Conv::pair("block.1").strided()),
            gate("block.2"),
            Step::Conv(Conv::pair("block.3").act(Act::None)),
        ],
        &[
            Step::Conv(Conv::pair("block.0")),
            Step::Conv(Conv::pair("block.1").strided()),
            Step::Conv(Conv::pair("block.2").act(Act::None)),
        ],
        &[
            Step::Conv(Conv::pair("block.0").strided()),
            gate("block.1"),
            Step::Conv(Conv::pair("block.2").act(Act::None)),
        ],
        &[
            Step::Conv(Conv::pair("block.0").strided()),
            Step::Conv(Conv::pair("block.1").act(Act::None)),
        ],
        &[Step::Conv(Conv::pair("block.0").strided())],
    ])],
    shortcut: Shortcut::WhereItFits,
    act: Act::None,
}];

const EFFICIENTNET: Family = Family {
    name: "efficientnet",
    stem: Conv::pair("features.0").stride(2).taps(3),
    act: Act::Silu,
    gate: [Act::Silu, Act::Sigmoid],
    ..FAMILY
};

const HEAD: Step = Step::Head("classifier", &[("classifier.1", Act::None)]);

pub(super) const B0_TO_B4: Family = Family {
    marks: &[
        "features.1.0.block.1.fc1.weight",
        "features.7.0.",
        "features.8.0.weight",
    ],
    // Three blocks of the first kind: B5.
    lacks: &["features.1.2."],
    steps: &[
        stage("features.1.{}", 0, 1, BLOCK).step(),
        stage("features.2.{}", 0, 2, BLOCK).step(),
        stage("features.3.{}", 0, 2, BLOCK).step(),
        stage("features.4.{}", 0, 2, BLOCK).step(),
        stage("features.5.{}", 0, 1, BLOCK).step(),
        stage("features.6.{}", 0, 2, BLOCK).step(),
        stage("features.7.{}", 0, 1, BLOCK).step(),
        Step::Conv(Conv::pair("features.8")),
        Step::Mean("avgpool"),
        HEAD,
    ],
    published: published::EFFICIENTNET,
    ..EFFICIENTNET
};

pub(super) const B5_TO_B7: Family = Family {
    marks: &[
        "features.1.0.block.1.fc1.weight",
        "features.1.2.block.1.fc1.weight",
        "features.7.0.",
        "features.8.0.weight",
    ],
    lacks: &[],
    epsilon: 1e-3,
    ..B0_TO_B4
};

pub(super) const V2_S: Family = Family {
    name: "efficientnet_v2",
    marks: &[
        "features.1.0.block.0.0.weight",
        "features.4.0.block.2.fc1.weight",
        "features.6.0.block.2.fc1.weight",
        "features.7.0.weight",
    ],
    steps: &[
        stage("features.1.{}", 0, 1, BLOCK).step(),
        stage("features.2.{}", 0, 2, BLOCK).step(),
        stage("features.3.{}", 0, 2, BLOCK).step(),
        stage("features.4.{}", 0, 2, BLOCK).step(),
        stage("features.5.{}", 0, 1, BLOCK).step(),
        stage("features.6.{}", 0, 2, BLOCK).step(),
        Step::Conv(Conv::pair("features.7")),
        Step::Mean("avgpool"),
        HEAD,
    ],
    epsilon: 1e-3,
    size: 384,
    published: published::EFFICIENTNET_V2,
    ..EFFICIENTNET
};

pub(super) const V2_M_AND_L: Family = Family {
    marks: &[
        "features.1.0.block.0.0.weight",
        "features.4.0.block.2.fc1.weight",
        "features.7.0.block.2.fc1.weight",
        "features.8.0.weight",
    ],
    steps: B0_TO_B4.steps,
    size: 480,
    ..V2_S
};

/// Of `efficientnet_pytorch`: one list of blocks, and TensorFlow's padding.
const PYTORCH_BLOCK: &[Step] = &[Step::Sum {
    body: &[Step::Forms(&[
        &[
            Step::Conv(Conv::beside("_expand_conv", "_bn0")),
            Step::Conv(Conv::beside("_depthwise_conv", "_bn1").strided()),
            PYTORCH_GATE,
            Step::Conv(Conv::beside("_project_conv", "_bn2").act(Act::None)),
        ],
        &[
            Step::Conv(Conv::beside("_depthwise_conv", "_bn1").strided()),
            PYTORCH_GATE,
            Step::Conv(Conv::beside("_project_conv", "_bn2").act(Act::None)),
        ],
    ])],
    shortcut: Shortcut::WhereItFits,
    act: Act::None,
}];

const PYTORCH_GATE: Step = Step::Gate(Gate {
    at: "_se",
    reduce: "_reduce",
    expand: "_expand",
});

pub(super) const PYTORCH: Family = Family {
    marks: &[
        "_conv_stem.weight",
        "_blocks.0._depthwise_conv.weight",
        "_conv_head.weight",
    ],
    stem: Conv::beside("_conv_stem", "_bn0").stride(2).taps(3),
    steps: &[
        Step::Stages {
            at: "_blocks.{}",
            last: "._project_conv",
            strides: &[1, 2, 2, 2, 1, 2, 1],
            block: PYTORCH_BLOCK,
        },
        Step::Conv(Conv::beside("_conv_head", "_bn1")),
        Step::Mean("_avg_pooling"),
        Step::Head("_fc", &[("_fc", Act::None)]),
    ],
    epsilon: 1e-3,
    same: true,
    evidence: "its tensors are named as efficientnet_pytorch's",
    published: published::EFFICIENTNET_PYTORCH,
    notes: &[(
        "",
        "pictures are taken to be scaled as for efficientnet_pytorch's usual weights; those called advprop take -1 to 1, under the same \
         names of tensors: --preprocess tf says so",
    )],
    ..EFFICIENTNET
};
