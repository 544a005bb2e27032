//! `MobileNetV2`, `MobileNetV3`, `MNASNet` and `EfficientNet` as timm names their tensors, which are the same ones for all of them:
//! gates, kinds of blocks and taps tell them apart. What timm's `tf_` names stand for, TensorFlow's padding and epsilon, they do not
//! tell.

use super::published::Published;
use super::step::{Act, Conv, Gate, Shortcut, Step, stage};
use super::{FAMILY, Family, published};
use crate::picture::preprocess::Normalization;

const GATE: Step = Step::Gate(Gate {
    at: "se",
    reduce: ".conv_reduce",
    expand: ".conv_expand",
});

const BLOCK: &[Step] = &[Step::Sum {
    body: &[Step::Forms(&[
        &[
            Step::Conv(Conv::beside("conv_pw", "bn1")),
            Step::Conv(Conv::beside("conv_dw", "bn2").strided()),
            GATE,
            Step::Conv(Conv::beside("conv_pwl", "bn3").act(Act::None)),
        ],
        &[
            Step::Conv(Conv::beside("conv_dw", "bn1").strided()),
            GATE,
            Step::Conv(Conv::beside("conv_pw", "bn2").act(Act::None)),
        ],
        &[
            Step::Conv(Conv::beside("conv_exp", "bn1").strided()),
            GATE,
            Step::Conv(Conv::beside("conv_pwl", "bn2").act(Act::None)),
        ],
        &[Step::Conv(Conv::beside("conv", "bn1").strided())],
    ])],
    shortcut: Shortcut::WhereItFits,
    act: Act::None,
}];

/// The first block of a `MNASNet` has no shortcut whatever its widths, and neither has the last one of the first kind.
const FIRST: &[Step] = &[
    Step::Conv(Conv::beside("conv_dw", "bn1").strided()),
    Step::Conv(Conv::beside("conv_pw", "bn2").act(Act::None)),
];

const WITHOUT_SHORTCUT: &[Step] = &[
    Step::Conv(Conv::beside("conv_pw", "bn1")),
    Step::Conv(Conv::beside("conv_dw", "bn2").strided()),
    Step::Conv(Conv::beside("conv_pwl", "bn3").act(Act::None)),
];

const LAST: Step = Step::Conv(Conv::beside("conv_head", "bn2"));
const MEAN: Step = Step::Mean("global_pool");
const HEAD: Step = Step::Head("classifier", &[("classifier", Act::None)]);

const SEVEN_STAGES: &[Step] = &[
    stage("blocks.0.{}", 0, 1, BLOCK).step(),
    Step::Part("", SIX_STAGES),
];

const SEMNASNET_STAGES: &[Step] = &[
    stage("blocks.0.{}", 0, 1, FIRST).step(),
    Step::Part("", SIX_STAGES),
];

const MNASNET_STAGES: &[Step] = &[
    stage("blocks.0.{}", 0, 1, FIRST).step(),
    stage("blocks.1.{}", 0, 2, BLOCK).step(),
    stage("blocks.2.{}", 0, 2, BLOCK).step(),
    stage("blocks.3.{}", 0, 2, BLOCK).step(),
    stage("blocks.4.{}", 0, 1, BLOCK).step(),
    stage("blocks.5.{}", 0, 2, BLOCK).step(),
    stage("blocks.6.{}", 0, 1, WITHOUT_SHORTCUT).step(),
    LAST,
    MEAN,
    HEAD,
];

const SIX_STAGES: &[Step] = &[
    stage("blocks.1.{}", 0, 2, BLOCK).step(),
    stage("blocks.2.{}", 0, 2, BLOCK).step(),
    stage("blocks.3.{}", 0, 2, BLOCK).step(),
    stage("blocks.4.{}", 0, 1, BLOCK).step(),
    stage("blocks.5.{}", 0, 2, BLOCK).step(),
    stage("blocks.6.{}", 0, 1, BLOCK).step(),
    LAST,
    MEAN,
    HEAD,
];

const TIMM: Family = Family {
    stem: Conv::beside("conv_stem", "bn1").stride(2).taps(3),
    steps: SEVEN_STAGES,
    evidence: "its tensors are named as timm's",
    ..FAMILY
};

/// Gates in these stages speak for an `EfficientNet` or for the later `MNASNet`.
const GATES: [&str; 4] = [
    "blocks.0.0.se.",
    "blocks.1.0.se.",
    "blocks.2.0.se.",
    "blocks.3.0.se.",
];

const OURS: (&str, &str) = (
    "",
    "convolutions are taken to be padded on all sides alike and batch norms to have timm's usual epsilon; networks that timm calls \
     tf_... have TensorFlow's under the same names of tensors: --architecture tf_ says that this is one of them",
);
const TENSORFLOWS: (&str, &str) = (
    "",
    "convolutions and batch norms are taken to have TensorFlow's padding and epsilon, as the networks that timm calls tf_... do; \
     others have the same names of tensors: --architecture says which this is, as in --architecture efficientnet",
);

const fn tf(family: Family, name: &'static str, published: &'static [Published]) -> Family {
    let mut tf = family;
    tf.published = published;
    tf.name = name;
    tf.epsilon = 1e-3;
    tf.same = true;
    tf.notes = &[TENSORFLOWS];
    tf
}

pub(super) const MOBILENET_V2: Family = Family {
    name: "mobilenetv2",
    marks: &[
        "blocks.0.0.conv_dw.weight",
        "blocks.2.0.conv_dw.weight@3",
        "blocks.6.0.conv_pwl.weight",
        "conv_head.weight",
    ],
    lacks: &GATES,
    act: Act::Relu6,
    published: published::TIMM_MOBILENET_V2,
    ..TIMM
};

pub(super) const FBNETC: Family = Family {
    name: "fbnetc",
    marks: &[
        "blocks.0.0.conv_pwl.weight",
        "blocks.2.0.conv_dw.weight@5",
        "blocks.5.3.conv_dw.weight@5",
        "blocks.6.0.conv_pwl.weight",
        "conv_head.weight",
    ],
    lacks: &GATES,
    published: published::FBNETC,
    ..TIMM
};

pub(super) const MNASNET: Family = Family {
    steps: MNASNET_STAGES,
    name: "mnasnet",
    marks: &[
        "blocks.0.0.conv_dw.weight",
        "blocks.2.0.conv_dw.weight@5",
        "blocks.3.0.conv_dw.weight@5",
        "blocks.6.0.conv_pwl.weight",
        "conv_head.weight",
    ],
    lacks: &GATES,
    published: published::TIMM_MNASNET,
    ..TIMM
};

pub(super) const SEMNASNET: Family = Family {
    steps: SEMNASNET_STAGES,
    name: "semnasnet",
    marks: &[
        "blocks.2.0.se.conv_reduce.weight",
        "blocks.0.0.conv_dw.weight",
        "blocks.4.0.se.conv_reduce.weight",
        "blocks.6.0.conv_pwl.weight",
        "conv_head.weight",
    ],
    lacks: &["blocks.0.0.se.", "blocks.1.0.se.", "blocks.3.0.se."],
    published: published::TIMM_SEMNASNET,
    ..TIMM
};

pub(super) const LITE: Family = Family {
    name: "efficientnet_lite",
    marks: &[
        "blocks.0.0.conv_dw.weight",
        "blocks.2.0.conv_dw.weight@5",
        "blocks.3.0.conv_dw.weight@3",
        "blocks.6.0.conv_pwl.weight",
        "conv_head.weight",
    ],
    lacks: &GATES,
    act: Act::Relu6,
    notes: &[OURS],
    published: published::TIMM_LITE,
    ..TIMM
};

pub(super) const TF_LITE: Family = Family {
    normalization: Normalization::TF,
    ..tf(LITE, "tf_efficientnet_lite", published::TF_LITE)
};

pub(super) const EFFICIENTNET: Family = Family {
    name: "efficientnet",
    marks: &[
        "blocks.0.0.se.conv_reduce.weight",
        "blocks.0.0.conv_dw.weight",
        "blocks.6.0.se.conv_reduce.weight",
        "blocks.6.0.conv_pwl.weight",
        "conv_head.weight",
    ],
    act: Act::Silu,
    gate: [Act::Silu, Act::Sigmoid],
    notes: &[OURS],
    published: published::TIMM_EFFICIENTNET,
    ..TIMM
};

pub(super) const TF_EFFICIENTNET: Family =
    tf(EFFICIENTNET, "tf_efficientnet", published::TF_EFFICIENTNET);

pub(super) const EFFICIENTNET_V2: Family = Family {
    name: "efficientnetv2",
    marks: &[
        "blocks.1.0.conv_exp.weight",
        "blocks.3.0.se.conv_reduce.weight",
        "blocks.5.0.se.conv_reduce.weight",
        "conv_head.weight",
    ],
    lacks: &["blocks.6."],
    steps: &[
        stage("blocks.0.{}", 0, 1, BLOCK).step(),
        stage("blocks.1.{}", 0, 2, BLOCK).step(),
        stage("blocks.2.{}", 0, 2, BLOCK).step(),
        stage("blocks.3.{}", 0, 2, BLOCK).step(),
        stage("blocks.4.{}", 0, 1, BLOCK).step(),
        stage("blocks.5.{}", 0, 2, BLOCK).step(),
        LAST,
        MEAN,
        HEAD,
    ],
    published: published::TIMM_EFFICIENTNET_V2,
    ..EFFICIENTNET
};

pub(super) const TF_EFFICIENTNET_V2: Family = tf(
    EFFICIENTNET_V2,
    "tf_efficientnetv2",
    published::TF_EFFICIENTNET_V2,
);

pub(super) const EFFICIENTNET_V2_LARGE: Family = Family {
    marks: &[
        "blocks.0.0.conv.weight",
        "blocks.1.0.conv_exp.weight",
        "blocks.3.0.se.conv_reduce.weight",
        "blocks.6.0.se.conv_reduce.weight",
        "conv_head.weight",
    ],
    lacks: &["blocks.7."],
    steps: SEVEN_STAGES,
    ..EFFICIENTNET_V2
};

pub(super) const TF_EFFICIENTNET_V2_LARGE: Family = tf(
    EFFICIENTNET_V2_LARGE,
    "tf_efficientnetv2",
    published::TF_EFFICIENTNET_V2,
);

/// The mean comes before the last convolution, which is a dense layer then.
const V3_END: &[Step] = &[MEAN, Step::Dense("conv_head", Act::HardSwish), HEAD];

const V3: Family = Family {
    act: Act::HardSwish,
    gate: [Act::Relu, Act::HardSigmoid],
    notes: &[OURS],
    ..TIMM
};

pub(super) const MOBILENET_V3_LARGE: Family = Family {
    name: "mobilenetv3_large",
    marks: &[
        "blocks.2.0.se.conv_reduce.weight",
        "blocks.0.0.conv_dw.weight",
        "blocks.6.0.conv.weight",
        // Without a bias the first block has no shortcut.
        "conv_head.bias",
    ],
    lacks: &["blocks.0.0.se.", "blocks.7."],
    steps: &[
        stage("blocks.0.{}", 0, 1, BLOCK).act(Act::Relu).step(),
        stage("blocks.1.{}", 0, 2, BLOCK).act(Act::Relu).step(),
        stage("blocks.2.{}", 0, 2, BLOCK).act(Act::Relu).step(),
        stage("blocks.3.{}", 0, 2, BLOCK).step(),
        stage("blocks.4.{}", 0, 1, BLOCK).step(),
        stage("blocks.5.{}", 0, 2, BLOCK).step(),
        stage("blocks.6.{}", 0, 1, V3_LAST).step(),
        Step::Part("", V3_END),
    ],
    published: published::TIMM_MOBILENET_V3_LARGE,
    ..V3
};

/// A last stage of one convolution with its activation.
const V3_LAST: &[Step] = &[Step::Conv(Conv::beside("conv", "bn1"))];

pub(super) const TF_MOBILENET_V3_LARGE: Family =
    tf(MOBILENET_V3_LARGE, "tf_mobilenetv3_large", &[]);

/// Its first block has no shortcut, and its head no bias.
pub(super) const MOBILENET_V3_RW: Family = Family {
    name: "mobilenetv3_rw",
    marks: &[
        "blocks.2.0.se.conv_reduce.weight",
        "blocks.0.0.conv_dw.weight",
        "blocks.6.0.conv.weight",
        "conv_head.weight",
    ],
    lacks: &[
        "blocks.0.0.se.",
        "blocks.0.1.",
        "blocks.7.",
        "conv_head.bias",
    ],
    steps: &[
        stage("blocks.0.{}", 0, 1, FIRST).act(Act::Relu).step(),
        stage("blocks.1.{}", 0, 2, BLOCK).act(Act::Relu).step(),
        stage("blocks.2.{}", 0, 2, BLOCK).act(Act::Relu).step(),
        stage("blocks.3.{}", 0, 2, BLOCK).step(),
        stage("blocks.4.{}", 0, 1, BLOCK).step(),
        stage("blocks.5.{}", 0, 2, BLOCK).step(),
        stage("blocks.6.{}", 0, 1, V3_LAST).step(),
        Step::Part("", V3_END),
    ],
    epsilon: 1e-3,
    // Between a gate's layers is what the block has.
    gate: [Act::Own, Act::HardSigmoid],
    published: published::MOBILENET_V3_RW,
    notes: &[],
    ..V3
};

/// A `MobileNetV3` of other blocks, whose first stage has several and whose activations are alike throughout.
pub(super) const FBNET_V3: Family = Family {
    name: "fbnetv3",
    marks: &[
        "blocks.2.0.se.conv_reduce.weight",
        "blocks.0.1.conv_dw.weight",
        "blocks.6.0.conv.weight",
        "conv_head.weight",
    ],
    lacks: &["blocks.0.0.se.", "blocks.7.", "conv_head.bias"],
    steps: &[
        stage("blocks.0.{}", 0, 1, BLOCK).step(),
        stage("blocks.1.{}", 0, 2, BLOCK).step(),
        stage("blocks.2.{}", 0, 2, BLOCK).step(),
        stage("blocks.3.{}", 0, 2, BLOCK).step(),
        stage("blocks.4.{}", 0, 1, BLOCK).step(),
        stage("blocks.5.{}", 0, 2, BLOCK).step(),
        stage("blocks.6.{}", 0, 1, V3_LAST).step(),
        Step::Part("", V3_END),
    ],
    gate: [Act::Own, Act::HardSigmoid],
    published: published::FBNET_V3,
    notes: &[],
    ..V3
};

pub(super) const MOBILENET_V3_SMALL: Family = Family {
    name: "mobilenetv3_small",
    marks: &[
        "blocks.0.0.se.conv_reduce.weight",
        "blocks.0.0.conv_dw.weight",
        "blocks.5.0.conv.weight",
        "conv_head.bias",
    ],
    lacks: &["blocks.6."],
    steps: &[
        stage("blocks.0.{}", 0, 2, BLOCK).act(Act::Relu).step(),
        stage("blocks.1.{}", 0, 2, BLOCK).act(Act::Relu).step(),
        stage("blocks.2.{}", 0, 2, BLOCK).step(),
        stage("blocks.3.{}", 0, 1, BLOCK).step(),
        stage("blocks.4.{}", 0, 2, BLOCK).step(),
        stage("blocks.5.{}", 0, 1, V3_LAST).step(),
        Step::Part("", V3_END),
    ],
    published: published::TIMM_MOBILENET_V3_SMALL,
    ..V3
};

pub(super) const TF_MOBILENET_V3_SMALL: Family =
    tf(MOBILENET_V3_SMALL, "tf_mobilenetv3_small", &[]);
