//! Vision transformers, which are refused by name: class tokens and sequences are no layers that are run here. Attention between the
//! positions of a map is one, where a graph says how it goes.

use super::ArchitectureError;
use crate::weights::Weights;
use crate::weights::onnx::{Graph, Node};

/// Parts of names of tensors that attention alone has, in torchvision's, timm's, Hugging Face's and the authors' networks.
const ATTENTION: [&str; 16] = [
    ".attn.qkv.",
    ".qkv.",
    ".qkvs.",
    ".qkv_proj.",
    ".attn.q_proj.",
    ".attn.q.",
    ".attn.proj.",
    ".self_attn.",
    ".self_attention.",
    ".attention.attention.query.",
    ".attention.self.query.",
    ".attention.query.",
    ".attention.q_proj.",
    "relative_position_bias_table",
    "class_token",
    "cls_token",
];

/// Parts of names that tell a kind, the first that is found.
const KINDS: [(&str, &str); 15] = [
    ("swin", "Swin"),
    ("cpb_mlp.", "Swin"),
    ("blocks_token_only.", "CaiT"),
    ("MBconv.", "MaxViT"),
    ("attn_grid.", "MaxViT"),
    ("maxvit", "MaxViT"),
    ("dist_token", "DeiT"),
    ("distillation_token", "DeiT"),
    ("deit.", "DeiT"),
    ("beit.", "BEiT"),
    ("dinov2.", "DINOv2, a ViT"),
    ("gamma_1", "BEiT"),
    (".attn.relative_position_bias_table", "Swin"),
    ("cls_token", "ViT"),
    ("class_token", "ViT"),
];

/// Of the names in Ultralytics' networks, which are convolutions with a few blocks of attention.
const YOLO: &str = ".attn.qkv.conv";

/// What has tensors of these names, in words, if that is attention.
fn kind<'a>(names: &(impl Iterator<Item = &'a String> + Clone)) -> Option<String> {
    let has = |part: &str| names.clone().any(|name| name.contains(part));
    ATTENTION.iter().any(|part| has(part)).then(|| {
        let mut kinds = KINDS.into_iter();
        let found = kinds.find(|(part, _)| has(part));
        transformer(found.map_or(UNKNOWN, |(_, kind)| kind))
    })
}

const UNKNOWN: &str = "ViT or a relative of it";

fn transformer(kind: &str) -> String {
    format!("a vision transformer ({kind})")
}

/// Refuses weights whose names speak for a transformer, or for a YOLO with attention, whose graph alone is read.
pub(super) fn refuse(weights: &Weights) -> Result<(), ArchitectureError> {
    if weights.tensors.keys().any(|name| name.contains(YOLO)) {
        return Err(ArchitectureError::Yolo);
    }
    match kind(&weights.tensors.keys()) {
        Some(kind) => Err(ArchitectureError::Transformer { kind }),
        None => Ok(()),
    }
}

/// What a graph which cannot be read is, in words, where it has attention: a softmax whose value is multiplied by a
/// matrix, or names that speak of it. None of a YOLO, whose attention is not what cannot be read.
pub(super) fn of_graph(graph: &Graph) -> Option<String> {
    let nodes = || {
        graph
            .nodes
            .iter()
            .chain(graph.functions.iter().flat_map(|f| &f.nodes))
    };
    let reads = |node: &&Node, value: &String| node.inputs.contains(value);
    // What stands between the two changes no value.
    let passes = |node: &Node| matches!(node.op_type.as_str(), "Cast" | "Dropout" | "Identity");
    let weighs = |softmax: &Node| {
        let mut value = softmax.outputs.first();
        for _ in 0..4 {
            let reader = value.and_then(|value| nodes().find(|node| reads(node, value)));
            match reader {
                Some(node) if node.op_type == "MatMul" => return true,
                Some(node) if passes(node) => value = node.outputs.first(),
                _ => return false,
            }
        }
        false
    };
    let is_attention = |node: &Node| match node.op_type.as_str() {
        "Attention" | "MultiHeadAttention" => true,
        "Softmax" => weighs(node),
        _ => false,
    };
    // A node is called after the modules that it is in.
    let modules = nodes().map(|node| node.name.replace('/', "."));
    let names: Vec<String> = modules.chain(graph.constants.keys().cloned()).collect();
    if names.iter().any(|name| name.contains(YOLO)) {
        return None;
    }
    let told = kind(&names.iter());
    told.or_else(|| nodes().any(is_attention).then(|| transformer(UNKNOWN)))
}
