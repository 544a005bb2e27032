//! Networks of convolutions as Hugging Face's library transformers names their tensors.

use super::step::{Act, Conv, Gate, Shortcut, Step, pool, stage};
use super::{FAMILY, Family, convnext, efficientnet, mobilenet, published};
use crate::picture::preprocess::Normalization;

const EVIDENCE: &str = "its tensors are named as those of Hugging Face's transformers";

/// A convolution and its norm.
const fn pair(at: &'static str) -> Conv {
    Conv {
        own: ".convolution",
        norm: ".normalization",
        ..Conv::bare(at).act(Act::Own)
    }
}

const PROJECTION: &[Step] = &[Step::Conv(pair("shortcut").strided().act(Act::None))];

const RESNET_BLOCK: &[Step] = &[Step::Sum {
    body: &[Step::Forms(&[
        &[
            Step::Conv(pair("layer.0")),
            Step::Conv(pair("layer.1").strided()),
            Step::Conv(pair("layer.2").act(Act::None)),
        ],
        &[
            Step::Conv(pair("layer.0").strided()),
            Step::Conv(pair("layer.1").act(Act::None)),
        ],
    ])],
    shortcut: Shortcut::Projected(PROJECTION),
    act: Act::Own,
}];

pub(super) const RESNET: Family = Family {
    name: "resnet",
    marks: &["resnet.embedder.embedder.convolution.weight"],
    stem: pair("resnet.embedder.embedder").stride(2).taps(7),
    steps: &[
        Step::MaxPool(pool("resnet.embedder.pooler", 3, 2).pad(1)),
        stage("resnet.encoder.stages.0.layers.{}", 0, 1, RESNET_BLOCK).step(),
        stage("resnet.encoder.stages.1.layers.{}", 0, 2, RESNET_BLOCK).step(),
        stage("resnet.encoder.stages.2.layers.{}", 0, 2, RESNET_BLOCK).step(),
        stage("resnet.encoder.stages.3.layers.{}", 0, 2, RESNET_BLOCK).step(),
        Step::Mean("resnet.pooler"),
        HEAD_AFTER_FLATTEN,
    ],
    evidence: EVIDENCE,
    published: published::RESNET,
    notes: &[(
        "resnet.encoder.stages.0.layers.0.layer.2.convolution.weight",
        "blocks of three convolutions are taken to halve the map in the second one (downsample_in_bottleneck is false); an export as \
         ONNX holds which it is",
    )],
    ..FAMILY
};

const HEAD_AFTER_FLATTEN: Step = Step::Head("classifier", &[("classifier.1", Act::None)]);
const HEAD: Step = Step::Head("classifier", &[("classifier", Act::None)]);

const REGNET_BLOCK: &[Step] = &[Step::Sum {
    body: &[Step::Forms(&[
        &[
            Step::Conv(pair("layer.0")),
            Step::Conv(pair("layer.1").strided()),
            Step::Gate(Gate {
                at: "layer.2",
                reduce: ".attention.0",
                expand: ".attention.2",
            }),
            Step::Conv(pair("layer.3").act(Act::None)),
        ],
        &[
            Step::Conv(pair("layer.0")),
            Step::Conv(pair("layer.1").strided()),
            Step::Conv(pair("layer.2").act(Act::None)),
        ],
    ])],
    shortcut: Shortcut::Projected(PROJECTION),
    act: Act::Own,
}];

pub(super) const REGNET: Family = Family {
    name: "regnet",
    marks: &["regnet.embedder.embedder.convolution.weight"],
    stem: pair("regnet.embedder.embedder").stride(2).taps(3),
    steps: &[
        stage("regnet.encoder.stages.0.layers.{}", 0, 2, REGNET_BLOCK).step(),
        stage("regnet.encoder.stages.1.layers.{}", 0, 2, REGNET_BLOCK).step(),
        stage("regnet.encoder.stages.2.layers.{}", 0, 2, REGNET_BLOCK).step(),
        stage("regnet.encoder.stages.3.layers.{}", 0, 2, REGNET_BLOCK).step(),
        Step::Mean("regnet.pooler"),
        HEAD_AFTER_FLATTEN,
    ],
    evidence: EVIDENCE,
    published: published::TIMM_REGNET,
    ..FAMILY
};

const CONVNEXT_BLOCK: &[Step] = &[Step::Sum {
    body: &[
        Step::Conv(Conv::bare("dwconv")),
        Step::LayerNorm("layernorm"),
        Step::Conv(Conv::bare("pwconv1").act(Act::Own)),
        Step::ResponseNorm("grn"),
        Step::Conv(Conv::bare("pwconv2").scale("layer_scale_parameter")),
    ],
    shortcut: Shortcut::WhereItFits,
    act: Act::None,
}];

/// Below the network's own name.
const CONVNEXT_STAGES: &[Step] = &[
    Step::LayerNorm("embeddings.layernorm"),
    stage("encoder.stages.0.layers.{}", 0, 1, CONVNEXT_BLOCK).step(),
    Step::LayerNorm("encoder.stages.1.downsampling_layer.0"),
    convnext::halve("encoder.stages.1.downsampling_layer.1"),
    stage("encoder.stages.1.layers.{}", 0, 1, CONVNEXT_BLOCK).step(),
    Step::LayerNorm("encoder.stages.2.downsampling_layer.0"),
    convnext::halve("encoder.stages.2.downsampling_layer.1"),
    stage("encoder.stages.2.layers.{}", 0, 1, CONVNEXT_BLOCK).step(),
    Step::LayerNorm("encoder.stages.3.downsampling_layer.0"),
    convnext::halve("encoder.stages.3.downsampling_layer.1"),
    stage("encoder.stages.3.layers.{}", 0, 1, CONVNEXT_BLOCK).step(),
    Step::Mean("mean"),
    Step::LayerNormWith("layernorm", 1e-12),
];

pub(super) const CONVNEXT: Family = Family {
    marks: &["convnext.embeddings.patch_embeddings.weight"],
    stem: Conv::bare("convnext.embeddings.patch_embeddings")
        .stride(4)
        .pad(0)
        .taps(4),
    steps: &[Step::Part("convnext", CONVNEXT_STAGES), HEAD],
    evidence: EVIDENCE,
    published: published::TIMM_CONVNEXT,
    ..convnext::TORCHVISION
};

pub(super) const CONVNEXT_V2: Family = Family {
    name: "convnextv2",
    marks: &["convnextv2.embeddings.patch_embeddings.weight"],
    stem: Conv::bare("convnextv2.embeddings.patch_embeddings")
        .stride(4)
        .pad(0)
        .taps(4),
    steps: &[Step::Part("convnextv2", CONVNEXT_STAGES), HEAD],
    published: published::TIMM_CONVNEXT_V2,
    ..CONVNEXT
};

const DEPTHWISE: Step = Step::Conv(
    Conv::beside(
        "depthwise_conv.depthwise_conv",
        "depthwise_conv.depthwise_norm",
    )
    .strided(),
);

const EFFICIENTNET_GATE: Step = Step::Gate(Gate {
    at: "squeeze_excite",
    reduce: ".reduce",
    expand: ".expand",
});

const EFFICIENTNET_PROJECTION: Step =
    Step::Conv(Conv::beside("projection.project_conv", "projection.project_bn").act(Act::None));

const EFFICIENTNET_BLOCK: &[Step] = &[Step::Sum {
    body: &[Step::Forms(&[
        &[
            Step::Conv(Conv::beside("expansion.expand_conv", "expansion.expand_bn")),
            DEPTHWISE,
            EFFICIENTNET_GATE,
            EFFICIENTNET_PROJECTION,
        ],
        &[DEPTHWISE, EFFICIENTNET_GATE, EFFICIENTNET_PROJECTION],
    ])],
    shortcut: Shortcut::WhereItFits,
    act: Act::None,
}];

pub(super) const EFFICIENTNET: Family = Family {
    marks: &["efficientnet.embeddings.convolution.weight"],
    stem: Conv::beside(
        "efficientnet.embeddings.convolution",
        "efficientnet.embeddings.batchnorm",
    )
    .stride(2)
    .taps(3),
    steps: &[
        Step::Stages {
            at: "efficientnet.encoder.blocks.{}",
            last: ".projection.project_conv",
            strides: &[1, 2, 2, 2, 1, 2, 1],
            block: EFFICIENTNET_BLOCK,
        },
        Step::Conv(Conv::beside(
            "efficientnet.encoder.top_conv",
            "efficientnet.encoder.top_bn",
        )),
        Step::Mean("efficientnet.pooler"),
        HEAD,
    ],
    evidence: EVIDENCE,
    notes: &[],
    ..efficientnet::PYTORCH
};

const MOBILENET_BLOCK: &[Step] = &[Step::Sum {
    body: &[
        Step::Conv(pair("expand_1x1")),
        Step::Conv(pair("conv_3x3").strided()),
        Step::Conv(pair("reduce_1x1").act(Act::None)),
    ],
    shortcut: Shortcut::WhereItFits,
    act: Act::None,
}];

const fn inverted(at: &'static str, stride: usize) -> Step {
    stage(at, 0, stride, MOBILENET_BLOCK).step()
}

pub(super) const MOBILENET_V2: Family = Family {
    marks: &["mobilenet_v2.conv_stem.first_conv.convolution.weight"],
    lacks: &["mobilenet_v2.conv_stem.expand_1x1."],
    stem: pair("mobilenet_v2.conv_stem.first_conv").stride(2).taps(3),
    steps: &[
        Step::Conv(pair("mobilenet_v2.conv_stem.conv_3x3")),
        Step::Conv(pair("mobilenet_v2.conv_stem.reduce_1x1").act(Act::None)),
        inverted("mobilenet_v2.layer.0", 2),
        inverted("mobilenet_v2.layer.1", 1),
        inverted("mobilenet_v2.layer.2", 2),
        inverted("mobilenet_v2.layer.3", 1),
        inverted("mobilenet_v2.layer.4", 1),
        inverted("mobilenet_v2.layer.5", 2),
        inverted("mobilenet_v2.layer.6", 1),
        inverted("mobilenet_v2.layer.7", 1),
        inverted("mobilenet_v2.layer.8", 1),
        inverted("mobilenet_v2.layer.9", 1),
        inverted("mobilenet_v2.layer.10", 1),
        inverted("mobilenet_v2.layer.11", 1),
        inverted("mobilenet_v2.layer.12", 2),
        inverted("mobilenet_v2.layer.13", 1),
        inverted("mobilenet_v2.layer.14", 1),
        inverted("mobilenet_v2.layer.15", 1),
        Step::Conv(pair("mobilenet_v2.conv_1x1")),
        Step::Mean("mobilenet_v2.pooler"),
        HEAD,
    ],
    epsilon: 1e-3,
    same: true,
    normalization: Normalization::TF,
    evidence: EVIDENCE,
    published: published::HUGGING_FACE_MOBILENET_V2,
    ..mobilenet::V2
};
