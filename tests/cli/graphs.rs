//! Networks with branches, from files that have their graph in the metadata.

use serde_json::{Value, json};

use crate::harness::{Folder, json_lines};
use crate::safetensors_writer::safetensors;

/// A skip connection around a convolution, gated by its own means; two classes. The graph is what `convert` writes.
fn branched(activation: &str) -> Vec<u8> {
    let window = |size: usize, pad: usize| {
        let (size, pad) = ([size, size], [pad, pad]);
        json!({"size": size, "stride": [1, 1], "pad_before": pad, "pad_after": pad, "dilation": [1, 1]})
    };
    let conv = |name: &str, input: usize, window: serde_json::Value| json!({"name": name, "inputs": [input], "op": "conv2d", "layout": "oihw", "window": window});
    let graph = json!({"input": [3, 32, 32], "nodes": [
        {"name": "pool", "inputs": [0], "op": "avg_pool", "count_include_pad": true,
         "window": {"size": [4, 4], "stride": [4, 4], "pad_before": [0, 0], "pad_after": [0, 0], "dilation": [1, 1]}},
        conv("stem", 1, window(3, 1)),
        {"name": "stem_act", "inputs": [2], "op": activation},
        conv("body", 3, window(3, 1)),
        {"name": "means", "inputs": [4], "op": "global_mean"},
        {"name": "gate", "inputs": [5], "op": "sigmoid"},
        {"name": "gated", "inputs": [6, 4], "op": "mul"},
        {"name": "skip", "inputs": [7, 3], "op": "add"},
        {"name": "skip_act", "inputs": [8], "op": "relu"},
        {"name": "both", "inputs": [9, 3], "op": "concat"},
        {"name": "mean", "inputs": [10], "op": "global_mean"},
        {"name": "dense", "inputs": [11], "op": "linear", "layout": "out_in"},
    ]});
    let tensors: [(&str, &[usize]); 3] = [
        ("stem.weight", &[4, 3, 3, 3]),
        ("body.weight", &[4, 4, 3, 3]),
        ("dense.weight", &[2, 8]),
    ];
    let tensors = tensors.map(|(name, shape)| {
        let values = (0..shape.iter().product::<usize>()).map(|i| (i as f32 * 1.3).sin() * 0.4);
        (name, shape, values.collect())
    });
    let metadata = json!({"gradcam_graph": graph.to_string(), "preprocessing": "unit"});
    safetensors(&metadata, tensors)
}

#[test]
fn info_says_what_a_layer_reads_where_it_is_not_the_one_above() {
    let folder = Folder::new();
    folder.put("net.safetensors", &branched("silu"));
    let text = folder.prints("info net.safetensors");
    let line = |name: &str| {
        let starts = |line: &&str| line.trim_start().split(' ').next() == Some(name);
        text.lines()
            .find(starts)
            .unwrap_or_else(|| panic!("{name} in {text}"))
    };
    assert!(line("skip").ends_with("of gated, stem_act"), "{text}");
    assert!(line("both").ends_with("of skip_act, stem_act"), "{text}");
    assert!(!line("body").contains(" of "), "{text}");
    assert!(text.contains("(default both)"), "{text}");
    let info = &json_lines(&folder.prints("info net.safetensors --json"))[0];
    let layers = info["network"]["layers"].as_array().unwrap();
    let skip = layers.iter().find(|layer| layer["name"] == "skip").unwrap();
    assert_eq!(skip["inputs"], json!(["gated", "stem_act"]));
}

#[test]
fn a_network_with_branches_is_kept_by_convert_and_explained_alike() {
    let folder = Folder::new();
    folder.put("net.safetensors", &branched("hard_swish"));
    folder.prints("convert net.safetensors other.safetensors");
    let line = |file: &str| {
        format!(
            "cat.png {file} 2 --json --outputs heatmap -m gradcam -m ablationcam -m scorecam -m gradient -o {file}.d"
        )
    };
    let [one, other] = ["net.safetensors", "other.safetensors"].map(|file| {
        // How many passes there are is noted.
        let run = folder.run(&line(file));
        run.exits(0);
        let report = json_lines(&run.stdout).swap_remove(0);
        let classes = report["classes"].as_array().unwrap();
        let maps = |class: &Value| {
            let maps = class["maps"].as_array().unwrap().iter();
            let numbers = maps.map(|map| [map["min"].clone(), map["max"].clone()]);
            numbers.collect::<Vec<_>>()
        };
        let maps: Vec<_> = classes.iter().map(maps).collect();
        (report["layer"].clone(), maps)
    });
    assert_eq!(one, other);
    assert_eq!(one.0, "both");
}

#[test]
fn guided_backpropagation_tells_which_activations_have_no_rule() {
    let folder = Folder::new();
    folder.put("net.safetensors", &branched("silu"));
    folder.put("relus.safetensors", &branched("relu"));
    let notes = |line: &str| {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = folder.command(&arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let guided = notes("cat.png net.safetensors 1 --outputs guided_bprop");
    let rule = "has a rule for ReLUs alone: through sigmoid (1), silu (1) the plain gradient goes";
    assert!(guided.contains(rule), "{guided}");
    assert!(!notes("cat.png net.safetensors 1 --outputs heatmap").contains("rule"));
    let guided = notes("cat.png relus.safetensors 1 --outputs guided_bprop");
    assert!(guided.contains("through sigmoid (1) the plain"), "{guided}");
}
