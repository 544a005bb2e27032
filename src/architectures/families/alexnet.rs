//! `AlexNet` (arXiv 1404.5997) as torchvision names its tensors.

use super::step::{Act, Conv, Step, pool};
use super::{FAMILY, Family, published};

const fn conv(at: &'static str) -> Step {
    Step::Conv(Conv::bare(at).act(Act::Own))
}

pub(super) const ALEXNET: Family = Family {
    name: "alexnet",
    marks: &[
        // A VGG may have the same numbers.
        "features.0.weight@11",
        "features.3.weight",
        "features.6.weight",
        "features.8.weight",
        "features.10.weight",
    ],
    stem: Conv::bare("features.0")
        .stride(4)
        .pad(2)
        .taps(11)
        .act(Act::Own),
    steps: &[
        Step::MaxPool(pool("features.2", 3, 2)),
        conv("features.3"),
        Step::MaxPool(pool("features.5", 3, 2)),
        conv("features.6"),
        conv("features.8"),
        conv("features.10"),
        Step::MaxPool(pool("features.12", 3, 2)),
        Step::Bins("avgpool", 6),
        Step::Flatten("flatten"),
        Step::Head(
            "classifier",
            &[
                ("classifier.1", Act::Own),
                ("classifier.4", Act::Own),
                ("classifier.6", Act::None),
            ],
        ),
    ],
    published: published::ALEXNET,
    ..FAMILY
};
