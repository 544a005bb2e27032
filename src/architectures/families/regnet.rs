//! `RegNet` X and Y (arXiv 2003.13678) as torchvision names their tensors: Y has gates.

use super::step::{Act, Conv, Gate, Shortcut, Step, stage};
use super::{FAMILY, Family};

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
    ..FAMILY
};
