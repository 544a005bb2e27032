//! `ShuffleNetV2` (arXiv 1807.11164) as torchvision names its tensors.

use super::step::{Act, Conv, Step, pool, stage};
use super::{FAMILY, Family, published};

const BLOCK: &[Step] = &[Step::Shuffle(
    &[
        Step::Conv(
            Conv::beside("branch1.0", "branch1.1")
                .strided()
                .act(Act::None),
        ),
        Step::Conv(Conv::beside("branch1.2", "branch1.3")),
    ],
    &[
        Step::Conv(Conv::beside("branch2.0", "branch2.1")),
        Step::Conv(
            Conv::beside("branch2.3", "branch2.4")
                .strided()
                .act(Act::None),
        ),
        Step::Conv(Conv::beside("branch2.5", "branch2.6")),
    ],
)];

pub(super) const V2: Family = Family {
    name: "shufflenet_v2",
    marks: &["stage2.0.branch1.0.weight"],
    stem: Conv::pair("conv1").stride(2).taps(3),
    steps: &[
        Step::MaxPool(pool("maxpool", 3, 2).pad(1)),
        stage("stage2.{}", 0, 2, BLOCK).step(),
        stage("stage3.{}", 0, 2, BLOCK).step(),
        stage("stage4.{}", 0, 2, BLOCK).step(),
        Step::Conv(Conv::pair("conv5")),
        Step::Mean("mean"),
        Step::Head("fc", &[("fc", Act::None)]),
    ],
    published: published::SHUFFLENET,
    ..FAMILY
};
