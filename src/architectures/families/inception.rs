//! `GoogLeNet` and Inception v3 (arXiv 1409.4842, 1512.00567) as torchvision and timm name their tensors.

use super::step::{Act, Conv, Step, pool, stage};
use super::{FAMILY, Family, published};
use crate::picture::preprocess::Normalization;

const fn conv(at: &'static str) -> Step {
    Step::Conv(Conv::basic(at))
}

/// Without padding.
const fn halve(at: &'static str) -> Step {
    Step::Conv(Conv::basic(at).stride(2).pad(0))
}

const INCEPTION: Family = Family {
    epsilon: 1e-3,
    normalization: Normalization::TF,
    evidence: "torchvision's published weights turn their input into that (transform_input)",
    notes: &[(
        "",
        "pictures are scaled to -1..1, which torchvision's published weights do themselves (transform_input); a network that was \
         made without them, and never had weights=..., takes what it was trained on: --preprocess torch",
    )],
    ..FAMILY
};

const fn module(at: &'static str) -> Step {
    const BRANCHES: &[Step] = &[Step::Branches(
        "",
        &[
            &[conv("branch1")],
            &[conv("branch2.0"), conv("branch2.1")],
            &[conv("branch3.0"), conv("branch3.1")],
            &[
                Step::MaxPool(pool("branch4.0", 3, 1).pad(1).ceil()),
                conv("branch4.1"),
            ],
        ],
    )];
    stage(at, 0, 1, BRANCHES).step()
}

pub(super) const GOOGLENET: Family = Family {
    name: "googlenet",
    marks: &["inception3a.branch1.conv.weight"],
    stem: Conv::basic("conv1").stride(2).taps(7),
    steps: &[
        Step::MaxPool(pool("maxpool1", 3, 2).ceil()),
        conv("conv2"),
        conv("conv3"),
        Step::MaxPool(pool("maxpool2", 3, 2).ceil()),
        module("inception3a"),
        module("inception3b"),
        Step::MaxPool(pool("maxpool3", 3, 2).ceil()),
        module("inception4a"),
        module("inception4b"),
        module("inception4c"),
        module("inception4d"),
        module("inception4e"),
        Step::MaxPool(pool("maxpool4", 2, 2).ceil()),
        module("inception5a"),
        module("inception5b"),
        Step::Mean("avgpool"),
        Step::Head("fc", &[("fc", Act::None)]),
    ],
    aside: &["aux1.", "aux2."],
    published: published::GOOGLENET,
    ..INCEPTION
};

/// The mean around each place, then a convolution.
const AROUND: &[Step] = &[
    Step::MeanPool(pool("branch_mean", 3, 1).pad(1)),
    conv("branch_pool"),
];

const LARGEST: &[Step] = &[Step::MaxPool(pool("branch_max", 3, 2))];

const fn a(at: &'static str) -> Step {
    const BRANCHES: &[Step] = &[Step::Branches(
        "",
        &[
            &[conv("branch1x1")],
            &[conv("branch5x5_1"), conv("branch5x5_2")],
            &[
                conv("branch3x3dbl_1"),
                conv("branch3x3dbl_2"),
                conv("branch3x3dbl_3"),
            ],
            AROUND,
        ],
    )];
    stage(at, 0, 1, BRANCHES).step()
}

const B: &[Step] = &[Step::Branches(
    "",
    &[
        &[halve("branch3x3")],
        &[
            conv("branch3x3dbl_1"),
            conv("branch3x3dbl_2"),
            halve("branch3x3dbl_3"),
        ],
        LARGEST,
    ],
)];

const fn c(at: &'static str) -> Step {
    const BRANCHES: &[Step] = &[Step::Branches(
        "",
        &[
            &[conv("branch1x1")],
            &[
                conv("branch7x7_1"),
                conv("branch7x7_2"),
                conv("branch7x7_3"),
            ],
            &[
                conv("branch7x7dbl_1"),
                conv("branch7x7dbl_2"),
                conv("branch7x7dbl_3"),
                conv("branch7x7dbl_4"),
                conv("branch7x7dbl_5"),
            ],
            AROUND,
        ],
    )];
    stage(at, 0, 1, BRANCHES).step()
}

const D: &[Step] = &[Step::Branches(
    "",
    &[
        &[conv("branch3x3_1"), halve("branch3x3_2")],
        &[
            conv("branch7x7x3_1"),
            conv("branch7x7x3_2"),
            conv("branch7x7x3_3"),
            halve("branch7x7x3_4"),
        ],
        LARGEST,
    ],
)];

const fn e(at: &'static str) -> Step {
    const BRANCHES: &[Step] = &[Step::Branches(
        "",
        &[
            &[conv("branch1x1")],
            &[
                conv("branch3x3_1"),
                Step::Branches(
                    "branch3x3",
                    &[&[conv("branch3x3_2a")], &[conv("branch3x3_2b")]],
                ),
            ],
            &[
                conv("branch3x3dbl_1"),
                conv("branch3x3dbl_2"),
                Step::Branches(
                    "branch3x3dbl",
                    &[&[conv("branch3x3dbl_3a")], &[conv("branch3x3dbl_3b")]],
                ),
            ],
            AROUND,
        ],
    )];
    stage(at, 0, 1, BRANCHES).step()
}

pub(super) const V3: Family = Family {
    name: "inception_v3",
    marks: &[
        "Mixed_5b.branch1x1.conv.weight",
        "Mixed_7a.branch7x7x3_4.conv.weight",
    ],
    stem: Conv::basic("Conv2d_1a_3x3").stride(2).pad(0).taps(3),
    steps: &[
        Step::Conv(Conv::basic("Conv2d_2a_3x3").pad(0)),
        conv("Conv2d_2b_3x3"),
        Step::MaxPool(pool("maxpool1", 3, 2)),
        conv("Conv2d_3b_1x1"),
        Step::Conv(Conv::basic("Conv2d_4a_3x3").pad(0)),
        Step::MaxPool(pool("maxpool2", 3, 2)),
        a("Mixed_5b"),
        a("Mixed_5c"),
        a("Mixed_5d"),
        stage("Mixed_6a", 0, 1, B).step(),
        c("Mixed_6b"),
        c("Mixed_6c"),
        c("Mixed_6d"),
        c("Mixed_6e"),
        stage("Mixed_7a", 0, 1, D).step(),
        e("Mixed_7b"),
        e("Mixed_7c"),
        Step::Mean("avgpool"),
        Step::Head("fc", &[("fc", Act::None)]),
    ],
    size: 299,
    aside: &["AuxLogits."],
    published: published::INCEPTION_V3,
    ..INCEPTION
};
