//! Transformers, which are refused by name.

use gradcam::low_level::architectures::{recognise, recognise_at};
use gradcam::weights;
use safetensors::tensor::TensorView;

use super::open;

/// Tensors of these names.
fn named(names: &[&str]) -> weights::Weights {
    let view = |name: &&str| {
        let view = TensorView::new(safetensors::Dtype::F32, vec![2, 2], &[0; 16]).unwrap();
        ((*name).to_owned(), view)
    };
    let bytes = safetensors::serialize(names.iter().map(view), None).unwrap();
    weights::from_bytes(bytes).unwrap()
}

#[test]
fn transformers_are_refused_by_name() {
    for (names, kind) in [
        (
            &[
                "class_token",
                "encoder.layers.encoder_layer_0.self_attention.in_proj_weight",
            ][..],
            "ViT",
        ),
        (
            &[
                "features.1.0.attn.relative_position_bias_table",
                "features.0.0.weight",
            ],
            "Swin",
        ),
        (
            &[
                "blocks.0.layers.0.layers.window_attention.attn_layer.relative_position_bias_table",
                "blocks.0.layers.0.layers.MBconv.layers.pre_norm.weight",
            ],
            "MaxViT",
        ),
        (
            &[
                "cls_token",
                "patch_embed.proj.weight",
                "blocks.0.attn.qkv.weight",
            ],
            "ViT",
        ),
        (
            &["cls_token", "dist_token", "blocks.0.attn.qkv.weight"],
            "DeiT",
        ),
        (
            &["cls_token", "blocks.0.gamma_1", "blocks.0.attn.qkv.weight"],
            "BEiT",
        ),
        (
            &[
                "layers.0.blocks.0.attn.qkv.weight",
                "layers.0.blocks.0.attn.relative_position_bias_table",
            ],
            "Swin",
        ),
        (
            &[
                "vit.embeddings.cls_token",
                "vit.encoder.layer.0.attention.attention.query.weight",
            ],
            "ViT",
        ),
        (
            &["swin.encoder.layers.0.blocks.0.attention.self.query.weight"],
            "Swin",
        ),
        (
            &["model.stages.0.blocks.0.attn_grid.attn.qkv.weight"],
            "MaxViT",
        ),
        (
            &["stages.2.1.transformer.0.attn.qkv_proj.weight"],
            "ViT or a relative of it",
        ),
        (
            &["stages.2.blocks.1.context_module.main.qkv.conv.weight"],
            "ViT or a relative of it",
        ),
        // Between blocks of a ConvNeXt's names.
        (
            &[
                "stages.0.blocks.0.mlp.fc1.weight",
                "stages.0.blocks.0.conv_dw.weight",
                "stem.0.weight",
                "head.norm.weight",
                "stages.1.blocks.1.xca.qkv.weight",
            ],
            "ViT or a relative of it",
        ),
    ] {
        let weights = named(names);
        let error = recognise(&weights).unwrap_err().to_string();
        let said = format!("a vision transformer ({kind}): attention over tokens is not supported");
        assert!(error.contains(&said), "{names:?}: {error}");
        assert!(error.contains("such as a ResNet"), "{error}");
    }
}

#[test]
fn a_yolo_with_attention_is_called_one_and_asked_for_its_graph() {
    for block in ["model.9.m.0", "model.6.m.0.1"] {
        let block = format!("{block}.attn.qkv.conv.weight");
        let weights = named(&["model.0.conv.weight", &block]);
        let error = recognise(&weights).unwrap_err().to_string();
        assert!(
            error.starts_with("a YOLO with attention between positions"),
            "{error}"
        );
        assert!(error.contains("yolo export model=FILE.pt format=onnx"));
    }
}

#[test]
fn transformers_as_graphs_are_refused_by_name_too() {
    for file in [
        "vit-legacy.onnx",
        "vit-dynamo.onnx",
        "linear-attention-legacy.onnx",
    ] {
        for size in [None, Some(32), Some(64)] {
            let error = recognise_at(&open(file), size).unwrap_err().to_string();
            assert!(
                error.contains("a vision transformer (ViT"),
                "{file}: {error}"
            );
        }
    }
}
