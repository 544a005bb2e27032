//! `ConvNeXt` (arXiv 2201.03545) as torchvision names its tensors.

use super::step::{Act, Conv, Shortcut, Step, stage};
use super::{FAMILY, Family};

const BLOCK: &[Step] = &[Step::Sum {
    body: &[
        Step::Conv(Conv::bare("block.0")),
        Step::LayerNorm("block.2"),
        Step::Conv(Conv::bare("block.3").act(Act::Own)),
        Step::Conv(Conv::bare("block.5").scale("layer_scale")),
    ],
    shortcut: Shortcut::WhereItFits,
    act: Act::None,
}];

/// Between stages: the map's sides halve.
const fn halve(at: &'static str) -> Step {
    Step::Conv(Conv::bare(at).stride(2).pad(0).taps(2))
}

pub(super) const TORCHVISION: Family = Family {
    name: "convnext",
    marks: &["features.1.0.layer_scale"],
    stem: Conv::bare("features.0.0").stride(4).pad(0).taps(4),
    steps: &[
        Step::LayerNorm("features.0.1"),
        stage("features.1.{}", 0, 1, BLOCK).step(),
        Step::LayerNorm("features.2.0"),
        halve("features.2.1"),
        stage("features.3.{}", 0, 1, BLOCK).step(),
        Step::LayerNorm("features.4.0"),
        halve("features.4.1"),
        stage("features.5.{}", 0, 1, BLOCK).step(),
        Step::LayerNorm("features.6.0"),
        halve("features.6.1"),
        stage("features.7.{}", 0, 1, BLOCK).step(),
        Step::Mean("avgpool"),
        Step::LayerNorm("classifier.0"),
        Step::Head("classifier", &[("classifier.2", Act::None)]),
    ],
    act: Act::Gelu,
    ..FAMILY
};
