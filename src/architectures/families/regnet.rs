//! `RegNet` X and Y (arXiv 2003.13678) as torchvision names their tensors: Y has gates.

use super::step::{Act, Conv, Gate, Shortcut, Step, stage};
use super::{FAMILY, Family, published};

const BLOCK: &[Step] = &[Step::Sum {
    body: &[
        Step::Conv(Conv::pair("f.a")),
        Step::Conv(Conv::pair("f.b").strided()),
        Step::Gate(Gate {
            at: "f.se",
            reduce: ".fc1",
            expand: ".fc2",
        }),
        Step::Conv(Conv::pair("f.c").act(Act::None)),
    ],
    shortcut: Shortcut::Projected(&[Step::Conv(Conv::pair("proj").strided().act(Act::None))]),
    act: Act::Own,
}];

pub(super) const TORCHVISION: Family = Family {
    name: "regnet",
    marks: &["trunk_output.block1.block1-0.f.a.0.weight"],
    stem: Conv::pair("stem").stride(2).taps(3),
    steps: &[
        Step::Part(
            "trunk_output",
            &[
                stage("block1.block1-{}", 0, 2, BLOCK).step(),
                stage("block2.block2-{}", 0, 2, BLOCK).step(),
                stage("block3.block3-{}", 0, 2, BLOCK).step(),
                stage("block4.block4-{}", 0, 2, BLOCK).step(),
            ],
        ),
        Step::Mean("avgpool"),
        Step::Head("fc", &[("fc", Act::None)]),
    ],
    published: published::REGNET,
    ..FAMILY
};

const TIMM_BLOCK: &[Step] = &[Step::Sum {
    body: &[
        Step::Conv(Conv::basic("conv1")),
        Step::Conv(Conv::basic("conv2").strided()),
        Step::Gate(Gate {
            at: "se",
            reduce: ".fc1",
            expand: ".fc2",
        }),
        Step::Conv(Conv::basic("conv3").act(Act::None)),
    ],
    shortcut: Shortcut::Projected(&[Step::Conv(
        Conv::basic("downsample").strided().act(Act::None),
    )]),
    act: Act::Own,
}];

pub(super) const TIMM: Family = Family {
    marks: &["s1.b1.conv1.conv.weight", "stem.conv.weight"],
    lacks: &["final_conv."],
    stem: Conv::basic("stem").stride(2).taps(3),
    steps: &[
        stage("s1.b{}", 1, 2, TIMM_BLOCK).step(),
        stage("s2.b{}", 1, 2, TIMM_BLOCK).step(),
        stage("s3.b{}", 1, 2, TIMM_BLOCK).step(),
        stage("s4.b{}", 1, 2, TIMM_BLOCK).step(),
        Step::Mean("head.global_pool"),
        Step::Head("head.fc", &[("head.fc", Act::None)]),
    ],
    evidence: "its tensors are named as timm's",
    published: published::TIMM_REGNET,
    ..TORCHVISION
};
