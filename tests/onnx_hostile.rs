//! Odd, damaged and hostile ONNX files: the right numbers, or an error in words that names the node; never a panic, never
//! more memory than the file and 64 MiB beside it.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use gradcam::architectures::graph_network;
use gradcam::network::{Network, Op, OutputKind};
use gradcam::weights;

#[allow(dead_code, reason = "every test program uses a part")]
mod common {
    pub(crate) mod handmade;
    pub(crate) mod memory;
    pub(crate) mod onnx_writer;
}
use common::handmade::open;
use common::memory;
use common::onnx_writer::{
    Model, attribute_float, attribute_int, attribute_ints, bytes, floats, int, ints, tensor, varint,
};

/// What comes of a model, its weights read and its graph understood.
fn network(bytes: Vec<u8>) -> Result<Network, String> {
    let weights = open(bytes).map_err(|error| error.to_string())?;
    let graph = weights.graph.as_ref().expect("an ONNX file has a graph");
    let (network, taken) = memory::peak(|| graph_network(graph, 8));
    assert!(taken < 64 << 20, "{taken} bytes for a graph");
    network.map_err(|error| error.to_string())
}

#[track_caller]
fn refused(model: &Model) -> String {
    network(model.bytes()).expect_err("refused")
}

/// conv over 3 channels to 2, and a dense layer to 2 classes over the mean.
fn small() -> Model {
    Model::new(&[1, 3, 8, 8])
        .constant(floats("w", &[2, 3, 3, 3], &[0.25; 54]))
        .constant(floats("m", &[2, 2], &[1.0, 2.0, 3.0, 4.0]))
        .node(
            "Conv",
            "conv",
            &["x", "w"],
            &[attribute_ints("pads", &[1; 4])],
        )
        .node("Relu", "relu", &["conv"], &[])
        .node("GlobalAveragePool", "mean", &["relu"], &[])
        .node("Flatten", "flat", &["mean"], &[])
        .node("MatMul", "dense", &["flat", "m"], &[])
}

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "onnx"))
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read(path).unwrap(),
            )
        })
        .filter(|(name, _)| !name.contains("external"))
        .collect();
    files.sort();
    assert!(files.len() >= 10);
    files
}

#[test]
fn the_small_model_is_a_network() {
    let network = network(small().bytes()).unwrap();
    assert_eq!(network.classes(), 2);
    let names: Vec<&str> = network.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["input", "conv", "relu", "mean", "dense"]);
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    let whole = small().bytes();
    for length in 0..whole.len() {
        let error = network(whole[..length].to_vec()).expect_err("cut");
        let told = [
            "cut off",
            "empty",
            "damaged",
            "no graph",
            "no opset",
            "known here",
            "text file",
        ];
        assert!(
            told.iter().any(|part| error.contains(part)),
            "{length}: {error}"
        );
    }
    // Where the file of an exporter ends within metadata, all that counts is there.
    let (name, whole) = files().remove(0);
    for length in (0..whole.len()).step_by(7) {
        let outcome = network(whole[..length].to_vec());
        assert!(
            outcome.is_err() || length + 64 > whole.len(),
            "{name} at {length}"
        );
    }
}

/// A generator of numbers, small, fast and repeatable (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) % end as u64) as usize
    }
}

#[test]
fn random_damage_gives_an_error_or_a_network_but_no_panic() {
    let mut random = Random(1);
    let mut files: Vec<Vec<u8>> = files().into_iter().map(|(_, bytes)| bytes).collect();
    files.push(small().bytes());
    let mut errors = 0;
    for round in 0..6000 {
        let mut bytes = files[round % files.len()].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = match round % 3 {
                0 => bytes[at] ^ 1 << random.below(8),
                1 => random.below(256) as u8,
                _ => [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            };
        }
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| network(bytes).is_err()));
        errors += usize::from(outcome.unwrap_or_else(|_| panic!("round {round}")));
    }
    assert!(
        errors > 600,
        "only {errors} errors: the damage misses what matters"
    );
}

#[test]
fn sizes_from_nowhere_are_refused() {
    let huge = |shape: &[i64]| {
        let model = Model::new(&[1, 3, 8, 8]).constant(floats("w", shape, &[0.0; 4]));
        refused(&model.node("Conv", "conv", &["x", "w"], &[]))
    };
    for shape in [
        &[i64::MAX, i64::MAX][..],
        &[1_000_000_000_000],
        &[0, i64::MAX, 3],
        &[-4],
    ] {
        let error = huge(shape);
        assert!(error.contains("\"w\""), "{error}");
    }
    assert!(huge(&[1; 100]).contains("more nodes"));
    // A field that announces more than the file has.
    let mut file = small().bytes();
    file.extend([varint(14 << 3 | 2), varint(u64::MAX >> 1)].concat());
    assert!(network(file).unwrap_err().contains("cut off"));
    let open_size = Model {
        input: vec![-1, 3, 1 << 40, 8],
        ..small()
    };
    assert!(refused(&open_size).contains("\"x\""));
    for (name, value) in [
        ("pads", [i64::MAX; 4].as_slice()),
        ("strides", &[0, 1]),
        ("dilations", &[-1, 1]),
    ] {
        let model = Model::new(&[1, 3, 8, 8])
            .constant(floats("w", &[1, 3, 1, 1], &[1.0; 3]))
            .node("Conv", "conv", &["x", "w"], &[attribute_ints(name, value)]);
        let error = refused(&model);
        assert!(
            error.contains("\"conv\"") && error.contains(name),
            "{error}"
        );
    }
    let group = Model::new(&[1, 3, 8, 8])
        .constant(floats("w", &[1, 3, 1, 1], &[1.0; 3]))
        .node(
            "Conv",
            "conv",
            &["x", "w"],
            &[attribute_int("group", i64::MAX)],
        );
    assert!(refused(&group).contains("conv"));
    let wide = Model::new(&[1, 3, 4096, 4096])
        .constant(floats("w", &[1024, 3, 1, 1], &[1.0; 3072]))
        .node("Conv", "conv", &["x", "w"], &[]);
    assert!(refused(&wide).contains("more than any adapter"));
}

#[test]
fn many_small_things_do_not_take_much_memory() {
    let million = |part: &[u8]| {
        let graph: Vec<u8> = part
            .iter()
            .copied()
            .cycle()
            .take(part.len() << 20)
            .collect();
        [int(1, 8), bytes(7, &graph), bytes(8, &int(2, 17))].concat()
    };
    let parts = [
        bytes(1, &[]),
        bytes(1, &bytes(5, &[])),
        bytes(1, &bytes(1, b"")),
        bytes(5, &[]),
        bytes(5, &[int(1, 0), int(2, 1)].concat()),
        bytes(5, &[int(2, 7), bytes(9, &[0; 8])].concat()),
        bytes(11, &[]),
        bytes(12, &[]),
    ];
    for part in parts {
        let error = network(million(&part)).unwrap_err();
        assert!(
            error.contains("more nodes") || error.contains("holds no tensor"),
            "{error}"
        );
    }
    let numbers = vec![1; 30 << 20];
    let attribute = [bytes(1, b"n"), bytes(8, &numbers)].concat();
    let file = [int(1, 8), bytes(7, &bytes(1, &bytes(5, &attribute)))].concat();
    assert!(network(file).is_err());
}

/// Graphs within attributes are not read, so no depth of them matters.
#[test]
fn nested_graphs_are_refused_by_name_at_any_depth() {
    let mut graph = vec![];
    for _ in 0..2000 {
        graph = bytes(6, &bytes(1, &bytes(5, &graph)));
    }
    let model = small();
    let nested = [bytes(1, b"then_branch"), graph, int(20, 5)].concat();
    let error = refused(&model.node("If", "choice", &["dense"], &[nested]));
    assert_eq!(error, "node \"choice\" is a If, which is not supported");
    let groups = vec![0x0b; 100_000];
    assert!(network([int(1, 8), bytes(2, b"x"), groups].concat()).is_err());
}

#[test]
fn a_graph_that_is_no_graph_is_refused_with_the_node() {
    let cycle = Model::new(&[1, 3, 8, 8])
        .constant(floats("w", &[1], &[1.0]))
        .node("Add", "a", &["x", "b"], &[])
        .node("Relu", "b", &["a"], &[]);
    assert_eq!(
        refused(&cycle),
        "node \"a\" reads \"b\", which nothing before it gives"
    );
    let missing = small().node("Relu", "last", &["nowhere"], &[]);
    assert!(
        refused(&missing).contains("reads 0 inputs"),
        "{}",
        refused(&missing)
    );
    let twice = small().node("Relu", "conv", &["dense"], &[]);
    assert!(refused(&twice).contains("\"conv\""));
    let constant = small().constant(floats("dense", &[1], &[1.0]));
    assert!(refused(&constant).contains("given twice"));
    let nothing = Model {
        output: "absent".into(),
        ..small()
    };
    assert!(refused(&nothing).contains("reads 0 inputs"));
    let outside = Model {
        output: "x".into(),
        ..small()
    };
    assert!(refused(&outside).contains("a map"));
}

#[test]
fn what_is_not_supported_is_named_with_its_node() {
    let cases: [(&str, Vec<Vec<u8>>, &str); 8] = [
        (
            "LSTM",
            vec![],
            "node \"odd\" is a LSTM, which is not supported",
        ),
        ("LRN", vec![], "node \"odd\" is a LRN"),
        (
            "Clip",
            vec![attribute_float("min", 6.0), attribute_float("max", 0.0)],
            "nothing between them",
        ),
        (
            "MaxPool",
            vec![attribute_ints("kernel_shape", &[17, 17])],
            "256 places",
        ),
        (
            "MaxPool",
            vec![
                attribute_ints("kernel_shape", &[2, 2]),
                attribute_ints("dilations", &[2, 2]),
            ],
            "dilations",
        ),
        (
            "ReduceMean",
            vec![attribute_ints("axes", &[1])],
            "all rows and columns",
        ),
        (
            "Transpose",
            vec![attribute_ints("perm", &[0, 1, 2, 2])],
            "perm",
        ),
        (
            "Softmax",
            vec![attribute_int("axis", 3)],
            "over other than the classes",
        ),
    ];
    for (op, attributes, expected) in cases {
        let model = Model::new(&[1, 3, 32, 32]).constant(floats("w", &[1], &[1.0]));
        let error = refused(&model.node(op, "odd", &["x"], &attributes));
        assert!(
            error.contains(expected) && error.contains("\"odd\""),
            "{op}: {error}"
        );
    }
    let residual = small().node("Add", "sum", &["dense", "dense"], &[]);
    assert_eq!(
        refused(&residual),
        "node \"sum\": Add of two layers is not supported"
    );
    let after = small()
        .node("Softmax", "p", &["dense"], &[])
        .node("Relu", "late", &["p"], &[]);
    assert_eq!(
        refused(&after),
        "node \"late\": Relu after a softmax or sigmoid is not supported"
    );
    let map = Model::new(&[1, 3, 8, 8]).constant(floats("w", &[1], &[1.0]));
    assert!(refused(&map.node("Relu", "r", &["x"], &[])).contains("is a map"));
    let grey = Model {
        input: vec![1, 1, 8, 8],
        ..small()
    };
    assert!(refused(&grey).contains("[1, 1, 8, 8]"));
}

#[test]
fn shape_arithmetic_is_checked() {
    let reshape = |make: &dyn Fn(Model) -> Model| {
        let model = small().node("Shape", "s", &["relu"], &[]);
        make(model).node("Reshape", "out", &["relu", "t"], &[])
    };
    let good = reshape(&|m| {
        m.constant(ints("i", &[0]))
            .constant(ints("minus", &[-1]))
            .node("Gather", "n", &["s", "i"], &[])
            .node("Concat", "t", &["n", "minus"], &[attribute_int("axis", 0)])
    });
    assert_eq!(network(good.bytes()).unwrap().classes(), 128);
    let overflow = reshape(&|m| {
        m.constant(ints("big", &[i64::MAX]))
            .node("Mul", "t", &["big", "big"], &[])
    });
    assert!(refused(&overflow).contains("\"t\""));
    let by_zero = reshape(&|m| {
        m.constant(ints("a", &[i64::MIN, 1]))
            .constant(ints("b", &[-1, 0]))
            .node("Div", "t", &["a", "b"], &[])
    });
    assert!(refused(&by_zero).contains("\"t\""));
    let filled = reshape(&|m| {
        m.constant(ints("n", &[1 << 40]))
            .node("ConstantOfShape", "t", &["n"], &[])
    });
    assert!(refused(&filled).contains("\"t\""));
    let wrong = reshape(&|m| m.constant(ints("t", &[1, 129])));
    assert!(refused(&wrong).contains("\"out\""));
    let index = reshape(&|m| {
        m.constant(ints("i", &[9]))
            .node("Gather", "t", &["s", "i"], &[])
    });
    assert!(refused(&index).contains("\"t\""));
    // Each step doubles the list.
    let mut doubling = small().constant(ints("d0", &[1, 1]));
    for i in 0..60 {
        let (from, to) = (format!("d{i}"), format!("d{}", i + 1));
        doubling = doubling.node("Concat", &to, &[&from, &from], &[]);
    }
    assert!(refused(&doubling.node("Reshape", "out", &["relu", "d60"], &[])).contains("d10"));
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
