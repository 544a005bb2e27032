//! `ConvNeXt` (arXiv 2201.03545) as torchvision, timm and its authors name its tensors.

use super::step::{Act, Conv, Shortcut, Step, stage};
use super::{FAMILY, Family, published};

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
pub(super) const fn halve(at: &'static str) -> Step {
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
    published: published::CONVNEXT,
    ..FAMILY
};

const TIMM_BLOCK: &[Step] = &[Step::Sum {
    body: &[
        Step::Conv(Conv::bare("conv_dw")),
        Step::LayerNorm("norm"),
        Step::Conv(Conv::bare("mlp.fc1").act(Act::Own)),
        Step::ResponseNorm("mlp.grn"),
        Step::Conv(Conv::bare("mlp.fc2").scale("gamma")),
    ],
    shortcut: Shortcut::WhereItFits,
    act: Act::None,
}];

pub(super) const TIMM: Family = Family {
    marks: &[
        "stages.0.blocks.0.mlp.fc1.weight",
        "stages.0.blocks.0.conv_dw.weight",
        "stem.0.weight",
        "head.norm.weight",
    ],
    // As deep, and with another epsilon: xxlarge.
    lacks: &["stages.2.blocks.29.", "stages.0.blocks.0.mlp.grn."],
    stem: Conv::bare("stem.0").stride(4).pad(0).taps(4),
    steps: &[
        Step::LayerNorm("stem.1"),
        stage("stages.0.blocks.{}", 0, 1, TIMM_BLOCK).step(),
        Step::LayerNorm("stages.1.downsample.0"),
        halve("stages.1.downsample.1"),
        stage("stages.1.blocks.{}", 0, 1, TIMM_BLOCK).step(),
        Step::LayerNorm("stages.2.downsample.0"),
        halve("stages.2.downsample.1"),
        stage("stages.2.blocks.{}", 0, 1, TIMM_BLOCK).step(),
        Step::LayerNorm("stages.3.downsample.0"),
        halve("stages.3.downsample.1"),
        stage("stages.3.blocks.{}", 0, 1, TIMM_BLOCK).step(),
        Step::Mean("head.global_pool"),
        Step::LayerNorm("head.norm"),
        Step::Head("head.fc", &[("head.fc", Act::None)]),
    ],
    evidence: "its tensors are named as timm's",
    published: published::TIMM_CONVNEXT,
    ..TORCHVISION
};

/// `ConvNeXt` V2 (arXiv 2301.00808).
pub(super) const TIMM_V2: Family = Family {
    name: "convnextv2",
    marks: &[
        "stages.0.blocks.0.mlp.grn.weight",
        "stages.0.blocks.0.conv_dw.weight",
        "stem.0.weight",
        "head.norm.weight",
    ],
    lacks: &[],
    published: published::TIMM_CONVNEXT_V2,
    ..TIMM
};

const AUTHORS_BLOCK: &[Step] = &[Step::Sum {
    body: &[
        Step::Conv(Conv::bare("dwconv")),
        Step::LayerNorm("norm"),
        Step::Conv(Conv::bare("pwconv1").act(Act::Own)),
        Step::ResponseNorm("grn"),
        Step::Conv(Conv::bare("pwconv2").scale("gamma")),
    ],
    shortcut: Shortcut::WhereItFits,
    act: Act::None,
}];

pub(super) const AUTHORS: Family = Family {
    marks: &[
        "downsample_layers.0.0.weight",
        "stages.0.0.pwconv1.weight",
        "norm.weight",
    ],
    lacks: &["stages.0.0.grn."],
    stem: Conv::bare("downsample_layers.0.0").stride(4).pad(0).taps(4),
    steps: &[
        Step::LayerNorm("downsample_layers.0.1"),
        stage("stages.0.{}", 0, 1, AUTHORS_BLOCK).step(),
        Step::LayerNorm("downsample_layers.1.0"),
        halve("downsample_layers.1.1"),
        stage("stages.1.{}", 0, 1, AUTHORS_BLOCK).step(),
        Step::LayerNorm("downsample_layers.2.0"),
        halve("downsample_layers.2.1"),
        stage("stages.2.{}", 0, 1, AUTHORS_BLOCK).step(),
        Step::LayerNorm("downsample_layers.3.0"),
        halve("downsample_layers.3.1"),
        stage("stages.3.{}", 0, 1, AUTHORS_BLOCK).step(),
        Step::Mean("mean"),
        Step::LayerNorm("norm"),
        Step::Head("head", &[("head", Act::None)]),
    ],
    evidence: "its tensors are named as its authors'",
    ..TORCHVISION
};

pub(super) const AUTHORS_V2: Family = Family {
    name: "convnextv2",
    marks: &[
        "stages.0.0.grn.gamma",
        "downsample_layers.0.0.weight",
        "stages.0.0.pwconv1.weight",
        "norm.weight",
    ],
    lacks: &[],
    published: published::TIMM_CONVNEXT_V2,
    ..AUTHORS
};
