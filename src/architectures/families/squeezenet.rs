//! `SqueezeNet` 1.0 and 1.1 (arXiv 1602.07360) as torchvision names their tensors.

use super::step::{Act, Conv, Pool, Step, pool, stage};
use super::{FAMILY, Family, published};

const FIRE: &[Step] = &[
    Step::Conv(Conv::bare("squeeze").act(Act::Own)),
    Step::Branches(
        "",
        &[
            &[Step::Conv(Conv::bare("expand1x1").act(Act::Own))],
            &[Step::Conv(Conv::bare("expand3x3").act(Act::Own))],
        ],
    ),
];

const fn fire(at: &'static str) -> Step {
    stage(at, 0, 1, FIRE).step()
}

const fn halve(at: &'static str) -> Step {
    const fn halves(at: &'static str) -> Pool {
        pool(at, 3, 2).ceil()
    }
    Step::MaxPool(halves(at))
}

const SCORES: Step = Step::Scores(Conv::bare("classifier.1").act(Act::Own));

pub(super) const V1_0: Family = Family {
    name: "squeezenet1_0",
    marks: &["features.3.squeeze.weight", "features.5.squeeze.weight"],
    stem: Conv::bare("features.0")
        .stride(2)
        .pad(0)
        .taps(7)
        .act(Act::Own),
    steps: &[
        halve("features.2"),
        fire("features.3"),
        fire("features.4"),
        fire("features.5"),
        halve("features.6"),
        fire("features.7"),
        fire("features.8"),
        fire("features.9"),
        fire("features.10"),
        halve("features.11"),
        fire("features.12"),
        SCORES,
    ],
    published: published::SQUEEZENET1_0,
    ..FAMILY
};

pub(super) const V1_1: Family = Family {
    name: "squeezenet1_1",
    marks: &["features.3.squeeze.weight", "features.6.squeeze.weight"],
    stem: V1_0.stem.taps(3),
    steps: &[
        halve("features.2"),
        fire("features.3"),
        fire("features.4"),
        halve("features.5"),
        fire("features.6"),
        fire("features.7"),
        halve("features.8"),
        fire("features.9"),
        fire("features.10"),
        fire("features.11"),
        fire("features.12"),
        SCORES,
    ],
    published: published::SQUEEZENET1_1,
    ..FAMILY
};
