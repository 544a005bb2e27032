//! Models that are read: layers and weights however they are written, and data beside the file.

use std::fs;
use std::path::Path;

use gradcam::low_level::architectures::recognise_at;
use gradcam::low_level::network::{Network, Op, OutputKind, Shape};
use gradcam::weights;

use super::{network, refused, small};
use crate::common::handmade::open;
use crate::common::onnx_writer::{
    Model, attribute_float, attribute_int, attribute_ints, bytes, floats, int, ints, tensor, varint,
};

#[test]
fn gemm_takes_its_scalars_and_its_matrix_either_way() {
    let gemm = |attributes: &[Vec<u8>]| {
        let model = small().constant(floats("c", &[2], &[5.0, 7.0])).node(
            "Gemm",
            "gemm",
            &["flat", "m", "c"],
            attributes,
        );
        network(model.bytes()).unwrap()
    };
    let plain = gemm(&[]);
    let Op::Linear { bias, .. } = &plain.nodes.last().unwrap().op else {
        panic!("the bias is a part of the layer");
    };
    assert_eq!(bias.as_ref().unwrap().to_vec(), [5.0, 7.0]);
    let scaled = gemm(&[
        attribute_float("alpha", 0.5),
        attribute_float("beta", 2.0),
        attribute_int("transB", 1),
    ]);
    let Op::Linear { weight, bias, .. } = &scaled.nodes.last().unwrap().op else {
        panic!("a scale is a part of the layer");
    };
    assert_eq!(weight.to_vec(), [0.5, 1.0, 1.5, 2.0]);
    assert_eq!(bias.as_ref().unwrap().to_vec(), [10.0, 14.0]);
}

/// Models that were published without their weights have a number in place of each tensor; as a tensor in memory this matrix alone
/// would be 400 MB, of which `network` allows 64.
#[test]
fn weights_that_are_one_number_everywhere_take_no_memory() {
    let value = |value: f32| {
        let tensor = floats("", &[1], &[value]);
        [bytes(1, b"value"), bytes(5, &tensor), int(20, 4)].concat()
    };
    let model = Model::new(&[1, 3, 8, 8])
        .constant(ints("conv.shape", &[2, 3, 3, 3]))
        .constant(ints("long.shape", &[50_000, 2, 1000]))
        .constant(ints("matrix", &[-1, 1000]))
        .node("ConstantOfShape", "w", &["conv.shape"], &[value(0.25)])
        .node("ConstantOfShape", "long", &["long.shape"], &[value(0.5)])
        .node("Reshape", "m", &["long", "matrix"], &[])
        .node("Conv", "conv", &["x", "w"], &[])
        .node("Resize", "large", &["conv", "", "", "size"], &[])
        .constant(ints("size", &[1, 2, 200, 250]))
        .node("Flatten", "flat", &["large"], &[])
        .node("MatMul", "dense", &["flat", "m"], &[]);
    let network = network(model.bytes()).unwrap();
    let Op::Linear { weight, .. } = &network.nodes.last().unwrap().op else {
        panic!("a dense layer at the end");
    };
    assert_eq!(weight.shape(), [100_000, 1000]);
    let mut row = [0.0; 3];
    weight.read(99_999_990, &mut row);
    assert_eq!(row, [0.5; 3]);
    let many = Model::new(&[1, 3, 8, 8])
        .constant(ints("shape", &[1 << 20, 1 << 20]))
        .node("ConstantOfShape", "w", &["shape"], &[value(0.25)])
        .node("MatMul", "dense", &["x", "w"], &[]);
    assert_eq!(
        refused(&many),
        "node \"w\": ConstantOfShape to so many numbers is not supported"
    );
}

#[test]
fn the_end_of_a_graph_says_what_the_logits_mean() {
    let end = |op: &str| {
        let network = network(small().node(op, "p", &["dense"], &[]).bytes()).unwrap();
        assert_eq!(network.nodes.last().unwrap().name, "dense");
        network.output_kind
    };
    assert_eq!(end("Softmax"), OutputKind::Softmax);
    assert_eq!(end("LogSoftmax"), OutputKind::Softmax);
    assert_eq!(end("Sigmoid"), OutputKind::Sigmoid);
}

#[test]
fn weights_are_read_however_they_are_stored() {
    let values = [1.0f32, 2.0, 3.0, 4.0];
    let packed: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let single = values
        .iter()
        .flat_map(|v| [varint(4 << 3 | 5), v.to_le_bytes().to_vec()].concat());
    let doubles: Vec<u8> = values
        .iter()
        .flat_map(|&v| f64::from(v).to_le_bytes())
        .collect();
    let halves = [0x3c00_u64, 0x4000, 0x4200, 0x4400];
    let half: Vec<u8> = halves.iter().flat_map(|&v| varint(v)).collect();
    let half_single: Vec<u8> = halves.iter().flat_map(|&v| int(5, v as i64)).collect();
    // As long as protobuf allows: with groups of seven bits that are zero.
    let half_padded: Vec<u8> = halves
        .iter()
        .flat_map(|&v| {
            let [low, middle, high] = [v & 127, v >> 7 & 127, v >> 14].map(|bits| bits as u8);
            [5 << 3, low | 0x80, middle | 0x80, high | 0x80, 0]
        })
        .collect();
    let forms = [
        tensor("m", 1, &[2, 2], &bytes(4, &packed)),
        tensor(
            "m",
            1,
            &[2, 2],
            &[bytes(4, &packed[..8]), bytes(4, &packed[8..])].concat(),
        ),
        tensor("m", 1, &[2, 2], &single.collect::<Vec<u8>>()),
        tensor("m", 11, &[2, 2], &bytes(10, &doubles)),
        tensor("m", 11, &[2, 2], &bytes(9, &doubles)),
        tensor("m", 10, &[2, 2], &bytes(5, &half)),
        tensor("m", 10, &[2, 2], &half_single),
        tensor("m", 10, &[2, 2], &half_padded),
        tensor(
            "m",
            16,
            &[2, 2],
            &bytes(9, &[0x80, 0x3f, 0, 0x40, 0x40, 0x40, 0x80, 0x40]),
        ),
    ];
    for form in forms {
        let mut model = small();
        model.constants[1] = form;
        let weights = open(model.bytes()).unwrap();
        assert_eq!(weights.tensor("m").unwrap().to_vec(), values);
    }
    let mut short = small();
    short.constants[1] = tensor("m", 1, &[2, 2], &bytes(4, &packed[..12]));
    assert!(refused(&short).contains("takes 16 bytes, but there are 12"));
}

#[test]
fn one_matrix_used_two_thousand_times_is_not_read_as_often() {
    let mut model = Model::new(&[1, 3, 1, 1])
        .constant(floats("w", &[512, 3, 1, 1], &[0.5; 3 * 512]))
        .constant(floats("v", &[512], &[0.5; 512]))
        .constant(floats("m", &[512, 512], &vec![0.5; 512 * 512]))
        .node("Conv", "conv", &["x", "w"], &[])
        .node("Flatten", "y0", &["conv"], &[]);
    for i in 0..2000 {
        let [y, relu, scaled, next] = [
            format!("y{i}"),
            format!("relu{i}"),
            format!("scaled{i}"),
            format!("y{}", i + 1),
        ];
        model = model
            .node("Relu", &relu, &[&y], &[])
            .node("Mul", &scaled, &[&relu, "v"], &[])
            .node("MatMul", &next, &[&scaled, "m"], &[]);
    }
    let network = network(model.bytes()).unwrap();
    let left = network.nodes.iter();
    let left = left.filter(|node| matches!(node.op, Op::Affine { .. }));
    assert_eq!(left.count(), 2000 - 1024);
}

/// A model in `folder` whose matrix is said to lie at `location`.
fn with_data_at(folder: &Path, location: &str, extra: &[(&str, &str)]) -> Result<Vec<f32>, String> {
    let entry = |key: &str, value: &str| {
        bytes(
            13,
            &[bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat(),
        )
    };
    let mut data = entry("location", location);
    for (key, value) in extra {
        data.extend(entry(key, value));
    }
    data.extend(int(14, 1));
    let mut model = small();
    model.constants[1] = tensor("m", 1, &[2, 2], &data);
    let path = folder.join("model.onnx");
    fs::write(&path, model.bytes()).unwrap();
    let weights = weights::open(&path).map_err(|error| error.to_string())?;
    Ok(weights.tensor("m").unwrap().to_vec())
}

#[test]
fn data_beside_the_model_are_found_and_nothing_outside_is() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::create_dir(folder.join("below")).unwrap();
    let data: Vec<u8> = [9.0f32, 1.0, 2.0, 3.0, 4.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    for place in ["model/w.bin", "model/below/w.bin", "secret.bin"] {
        fs::write(above.path().join(place), &data).unwrap();
    }
    let at = |location: &str, extra: &[(&str, &str)]| with_data_at(&folder, location, extra);
    let expected = Ok(vec![1.0, 2.0, 3.0, 4.0]);
    let place = [("offset", "4"), ("length", "16")];
    assert_eq!(at("w.bin", &place), expected);
    assert_eq!(at("./below/w.bin", &[("offset", "4")]), expected);
    let absolute = above.path().join("secret.bin");
    for outside in [
        "../secret.bin",
        "below/../../secret.bin",
        "/etc/passwd",
        absolute.to_str().unwrap(),
        "..\\secret.bin",
    ] {
        let error = at(outside, &place).unwrap_err();
        assert!(
            error.contains("refused") && error.contains("\"m\""),
            "{outside}: {error}"
        );
    }
    for (location, extra, told) in [
        ("", &place[..], "location"),
        ("absent.bin", &place, "absent.bin"),
        ("below", &place, "not a file"),
        ("w.bin", &[("offset", "5")], "1 more bytes"),
        (
            "w.bin",
            &[("offset", "18446744073709551615"), ("length", "16")],
            "cut off",
        ),
        ("w.bin", &[("offset", "-1")], "offset"),
        ("w.bin", &[("length", "8")], "takes 16 bytes"),
    ] {
        let error = at(location, extra).unwrap_err();
        assert!(error.contains(told), "{location}: {error}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../secret.bin", folder.join("link.bin")).unwrap();
        assert!(at("link.bin", &place).unwrap_err().contains("refused"));
        // As a cache of downloads has them: model and data are links into the same folder.
        let cache = above.path().join("cache");
        fs::create_dir(&cache).unwrap();
        fs::rename(folder.join("model.onnx"), cache.join("1")).unwrap();
        fs::write(cache.join("2"), &data).unwrap();
        let links = above.path().join("links");
        fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink("../cache/1", links.join("model.onnx")).unwrap();
        std::os::unix::fs::symlink("../cache/2", links.join("link.bin")).unwrap();
        let weights = weights::open(&links.join("model.onnx")).unwrap();
        assert_eq!(weights.tensor("m").unwrap().to_vec(), [1.0, 2.0, 3.0, 4.0]);
    }
    let in_memory = fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx/torch-vgg-external.onnx"),
    );
    assert!(
        network(in_memory.unwrap())
            .unwrap_err()
            .contains("not in a file")
    );
}

/// As either exporter of torch names a residual block: today's as metadata of nodes, that of before as their paths.
#[test]
fn layers_without_weights_go_by_their_modules() {
    let named = |names: [&str; 4], scopes: bool| {
        let mut model = Model::new(&[1, 3, 8, 8])
            .constant(floats("block.0.conv.weight", &[3, 3, 1, 1], &[0.25; 9]))
            .constant(floats("m", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
            .node("Conv", names[0], &["x", "block.0.conv.weight"], &[])
            .node("Add", names[1], &[names[0], "x"], &[])
            .node("Relu", names[2], &[names[1]], &[])
            .node("GlobalAveragePool", names[3], &[names[2]], &[])
            .node("Flatten", "flat", &[names[3]], &[])
            .node("MatMul", "dense", &["flat", "m"], &[]);
        let said = [
            "['', 'block', 'block.0', 'block.0.conv', 'conv2d']",
            "['', 'block', 'block.0', 'add']",
            "['', 'block', 'block.0', 'block.0.relu', 'relu_1']",
            "['', 'pool', 'mean']",
        ];
        for (node, said) in model.nodes.iter_mut().zip(said).filter(|_| scopes) {
            let key = bytes(1, b"pkg.torch.onnx.name_scopes");
            node.extend(bytes(9, &[key, bytes(2, said.as_bytes())].concat()));
        }
        network(model.bytes()).unwrap()
    };
    let today = ["node_conv2d", "node_add", "node_relu_1", "node_mean"];
    let before = [
        "/block/block.0/conv/Conv",
        "/block/block.0/Add",
        "/block/block.0/relu/Relu",
        "/pool/GlobalAveragePool",
    ];
    for (names, scopes) in [(today, true), (before, false)] {
        let network = named(names, scopes);
        let target = network.target(None).unwrap();
        assert_eq!(network.layer_name(target), "block", "{names:?}");
        assert!(network.nodes.iter().any(|node| node.name == "pool"));
        for name in ["block", "block.0", "block.0.relu"] {
            assert_eq!(network.target(Some(name)).unwrap(), target, "{name}");
        }
        let conv = network.target(Some("block.0.conv")).unwrap();
        assert_eq!(network.node(conv).name, "block.0.conv");
    }
    let network = named(today, true);
    let [node, default] = [Some("node_add"), None].map(|name| network.target(name).unwrap());
    assert_eq!(node, default);
}

#[test]
fn a_size_that_the_graph_leaves_open_is_called_a_guess_and_one_that_it_says_is_not() {
    let guess = |input: &[i64], size: Option<usize>| {
        let model = Model {
            input: input.to_vec(),
            ..small()
        };
        let classifier = recognise_at(&open(model.bytes()).unwrap(), size).unwrap();
        let Shape { h, w, .. } = classifier.network.input_shape();
        let mut notes = classifier.notes.into_iter();
        (h, w, notes.find(|note| note.contains("--input-size")))
    };
    for (input, h, w, said) in [
        ([1, 3, -1, -1], 224, 224, "224 is a guess"),
        ([-1, 3, 96, -1], 96, 96, "96 is a guess"),
    ] {
        let told = guess(&input, None);
        assert!(
            (told.0, told.1) == (h, w) && told.2.as_ref().is_some_and(|note| note.contains(said)),
            "{input:?}: {told:?}"
        );
        assert_eq!(guess(&input, Some(64)), (64, 64, None));
    }
    assert_eq!(guess(&[-1, 3, 96, 64], None), (96, 64, None));
}

/// onnxruntime's own conversion to float16 appends the node that turns the picture into float16, which all others read, and
/// onnxruntime sorts what it is given.
#[test]
fn nodes_may_stand_before_those_whose_values_they_read() {
    let sorted = network(small().bytes()).unwrap();
    let names =
        |of: &Network| -> Vec<String> { of.nodes.iter().map(|node| node.name.clone()).collect() };
    let mut backwards = small();
    backwards.nodes.reverse();
    assert_eq!(names(&network(backwards.bytes()).unwrap()), names(&sorted));
    let mut appended = small();
    appended.nodes.remove(0);
    let appended = appended
        .node(
            "Conv",
            "conv",
            &["cast", "w"],
            &[attribute_ints("pads", &[1; 4])],
        )
        .node("Cast", "cast", &["x"], &[attribute_int("to", 10)]);
    let appended = Model {
        output: "dense".into(),
        ..appended
    };
    assert_eq!(names(&network(appended.bytes()).unwrap()), names(&sorted));
}

#[test]
fn a_dropout_in_training_mode_is_told() {
    let notes = |trains: i64| {
        let model = small()
            .constant(floats("ratio", &[], &[0.5]))
            .constant(tensor("trains", 9, &[], &int(5, trains)))
            .node("Dropout", "once", &["dense", "ratio", "trains"], &[])
            .node("Dropout", "twice", &["once", "ratio", "trains"], &[]);
        recognise_at(&open(model.bytes()).unwrap(), None)
            .unwrap()
            .notes
    };
    let told = |trains| {
        let at_random = |note: &&String| note.contains("at random");
        notes(trains).iter().filter(at_random).count()
    };
    assert_eq!([told(0), told(1)], [0, 1]);
}

/// Which place is the nearest hung on the side's direction then; one layer has one rule.
#[test]
fn sides_in_opposite_directions_before_opset_11_are_refused() {
    let resized = |opset, times: [f32; 4]| {
        let model = Model::new(&[1, 3, 8, 8])
            .constant(floats("w", &[2, 3, 3, 3], &[0.25; 54]))
            .constant(floats("times", &[4], &times))
            .node("Conv", "conv", &["x", "w"], &[])
            .node("Resize", "large", &["conv", "times"], &[])
            .node("GlobalAveragePool", "mean", &["large"], &[])
            .node("Flatten", "flat", &["mean"], &[]);
        network(Model { opset, ..model }.bytes())
    };
    assert!(resized(10, [1.0, 1.0, 2.0, 2.0]).is_ok());
    assert!(resized(10, [1.0, 1.0, 0.5, 1.0]).is_ok());
    let error = resized(10, [1.0, 1.0, 0.5, 2.0]).unwrap_err();
    assert!(error.contains("one side longer"), "{error}");
}

/// In a graph that was converted to float16 the root of two is 1.4140625.
#[test]
fn a_gelu_is_known_by_numbers_of_float16() {
    let written_out = |root: f32| {
        let model = Model::new(&[1, 3, 8, 8])
            .constant(floats("w", &[2, 3, 3, 3], &[0.25; 54]))
            .constant(floats("root", &[], &[root]))
            .constant(floats("one", &[], &[1.0]))
            .constant(floats("half", &[], &[0.5]))
            .node("Conv", "conv", &["x", "w"], &[])
            .node("Div", "inner", &["conv", "root"], &[])
            .node("Erf", "erf", &["inner"], &[])
            .node("Add", "shifted", &["erf", "one"], &[])
            .node("Mul", "gated", &["conv", "shifted"], &[])
            .node("Mul", "gelu", &["gated", "half"], &[])
            .node("GlobalAveragePool", "mean", &["gelu"], &[])
            .node("Flatten", "flat", &["mean"], &[]);
        network(model.bytes())
    };
    for root in [std::f32::consts::SQRT_2, 1.414_062_5] {
        assert_eq!(written_out(root).unwrap().classes(), 2, "{root}");
    }
    let error = written_out(1.4).unwrap_err();
    assert!(error.contains("outside of a GELU"), "{error}");
}
