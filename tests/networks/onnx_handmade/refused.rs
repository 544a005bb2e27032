//! Graphs that are whole but cannot be run, refused with the node that is the reason.

use super::{network, refused, small};
use crate::common::onnx_writer::{
    Model, attribute_float, attribute_int, attribute_ints, bytes, floats, int, ints,
};

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
    assert!(
        error.starts_with("node \"choice\": If is not supported: ") && error.contains("one size"),
        "{error}"
    );
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
fn norms_of_more_weights_than_the_file_holds_are_refused() {
    let model = Model::new(&[1, 3, 8, 8])
        .constant(ints("lengths", &[1, 2, 1 << 24]))
        .constant(floats("ones", &[2], &[1.0; 2]))
        .node("ConstantOfShape", "zeros", &["lengths"], &[])
        .node(
            "BatchNormalization",
            "odd",
            &["zeros", "ones", "ones", "ones", "ones"],
            &[attribute_int("training_mode", 1)],
        )
        .node("Conv", "conv", &["x", "odd"], &[]);
    let error = refused(&model);
    assert!(
        error.contains("node \"odd\": BatchNormalization of so many constants"),
        "{error}"
    );
}

#[test]
fn a_batch_norm_that_gives_its_statistics_measures_them_before_opset_14() {
    let model = |further: &str| {
        let mut model = Model::new(&[1, 3, 8, 8])
            .constant(floats("ones", &[3], &[1.0; 3]))
            .constant(floats("m", &[3, 2], &[1.0; 6]))
            .node(
                "BatchNormalization",
                "norm",
                &["x", "ones", "ones", "ones", "ones"],
                &[],
            );
        model.nodes[0].extend(bytes(2, further.as_bytes()));
        model.opset = 9;
        model
            .node("GlobalAveragePool", "mean", &["norm"], &[])
            .node("Flatten", "flat", &["mean"], &[])
            .node("MatMul", "dense", &["flat", "m"], &[])
    };
    let error = refused(&model("statistics"));
    assert!(
        error.contains("node \"norm\": BatchNormalization in training mode"),
        "{error}"
    );
    // One that is left out is not asked for.
    network(model("").bytes()).unwrap();
}

#[test]
fn blocks_of_positions_that_do_not_fit_or_make_too_many_channels_are_refused() {
    for (size, expected) in [
        (0, "no usable blocksize"),
        (5, "of something else than"),
        (32, "of so many constants"),
    ] {
        let attributes = [attribute_int("blocksize", size)];
        let model = Model::new(&[1, 3, 64, 64]).constant(floats("w", &[1], &[1.0]));
        let error = refused(&model.node("SpaceToDepth", "odd", &["x"], &attributes));
        assert!(
            error.contains(expected) && error.contains("\"odd\""),
            "{size}: {error}"
        );
    }
}

#[test]
fn repeats_of_maps_and_a_swish_without_a_slope_are_refused() {
    let model = || {
        Model::new(&[1, 3, 8, 8])
            .constant(floats("weights", &[1], &[0.5]))
            .constant(ints("rows", &[1, 1, 2, 1]))
            .constant(ints("short", &[1, 2]))
            .node("Relu", "relu", &["x"], &[])
    };
    for (repeats, expected) in [
        ("rows", "of other than channels"),
        ("short", "no usable repeats"),
    ] {
        let error = refused(&model().node("Tile", "odd", &["relu", repeats], &[]));
        assert!(
            error.contains(expected) && error.contains("\"odd\""),
            "{repeats}: {error}"
        );
    }
    let swish = model().node("Swish", "odd", &["x"], &[attribute_float("alpha", 0.0)]);
    assert_eq!(refused(&swish), "node \"odd\": Swish has no usable alpha");
}

#[test]
fn what_is_not_supported_is_named_with_its_node() {
    let cases: [(&str, Vec<Vec<u8>>, &str); 10] = [
        (
            "LSTM",
            vec![],
            "node \"odd\": LSTM is not supported: it goes from step to step",
        ),
        (
            "LRN",
            vec![attribute_int("size", 0)],
            "LRN has no usable size",
        ),
        (
            "Clip",
            vec![attribute_float("min", 6.0), attribute_float("max", 0.0)],
            "nothing between them",
        ),
        ("LayerNormalization", vec![], "over other than channels"),
        ("MeanVarianceNormalization", vec![], "without an epsilon"),
        ("InstanceNormalization", vec![], "no usable scale"),
        ("GroupNormalization", vec![], "no usable num_groups"),
        (
            "GroupNormalization",
            vec![attribute_int("num_groups", 2)],
            "no usable num_groups",
        ),
        (
            "Transpose",
            vec![attribute_ints("perm", &[0, 1, 2, 2])],
            "perm",
        ),
        (
            "Softmax",
            vec![attribute_int("axis", 3)],
            "over other than channels or all positions",
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
    // Groups that are not turned back into the map that they are of.
    let grouped = Model::new(&[1, 3, 8, 8])
        .constant(ints("lengths", &[0, 2, -1]))
        .constant(floats("ones", &[2], &[1.0; 2]))
        .constant(floats("zeros", &[2], &[0.0; 2]))
        .node("Reshape", "groups", &["x", "lengths"], &[])
        .node(
            "InstanceNormalization",
            "norm",
            &["groups", "ones", "zeros"],
            &[],
        )
        .node("Relu", "late", &["norm"], &[]);
    assert_eq!(
        refused(&grouped),
        "node \"groups\": Reshape to something else than a vector is not supported"
    );
    let power = small().node("Pow", "power", &["flat", "dense"], &[]);
    assert_eq!(
        refused(&power),
        "node \"power\": Pow of other than a layer by a number is not supported"
    );
    let zeroth = small().constant(floats("none", &[1], &[0.0])).node(
        "Pow",
        "power",
        &["dense", "none"],
        &[],
    );
    assert!(refused(&zeroth).contains("node \"power\": Pow by 0"));
    let product = small().node("MatMul", "product", &["relu", "conv"], &[]);
    let error = refused(&product);
    assert!(
        error.contains("node \"product\": MatMul of two layers") && error.contains("attention"),
        "{error}"
    );
    let map = Model::new(&[1, 3, 8, 8]).constant(floats("w", &[1], &[1.0]));
    assert!(refused(&map.node("Relu", "r", &["x"], &[])).contains("is a map"));
    let two_channels = Model {
        input: vec![1, 2, 8, 8],
        ..small()
    };
    assert!(refused(&two_channels).contains("[1, 2, 8, 8]"));
}

#[test]
fn functions_that_call_themselves_or_double_at_every_step_are_refused() {
    let function = |name: &str, calls: &[&str]| {
        let ends = [
            bytes(1, name.as_bytes()),
            bytes(4, b"a"),
            bytes(5, b"b"),
            bytes(10, b"own"),
        ];
        let nodes = calls.iter().enumerate().flat_map(|(i, called)| {
            let from = if i == 0 { "a".into() } else { format!("v{i}") };
            let to = match i + 1 == calls.len() {
                true => "b".into(),
                false => format!("v{}", i + 1),
            };
            let parts = [
                bytes(1, from.as_bytes()),
                bytes(2, to.as_bytes()),
                bytes(4, called.as_bytes()),
                bytes(7, b"own"),
            ];
            bytes(7, &parts.concat())
        });
        [ends.concat(), nodes.collect()].concat()
    };
    let calling = |functions: Vec<Vec<u8>>| {
        let mut model = small();
        let call = [
            bytes(1, b"dense"),
            bytes(2, b"out"),
            bytes(4, b"f0"),
            bytes(7, b"own"),
        ];
        model.nodes.push(call.concat());
        refused(&Model {
            output: "out".into(),
            functions,
            ..model
        })
    };
    let itself = calling(vec![function("f0", &["f0"])]);
    assert!(itself.contains("functions"), "{itself}");
    let doubling = (0..30).map(|i| {
        let next = format!("f{}", i + 1);
        function(&format!("f{i}"), &[&next, &next])
    });
    let doubling = calling(doubling.collect());
    assert!(doubling.contains("functions"), "{doubling}");
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
    assert!(refused(&doubling.node("Reshape", "out", &["relu", "d60"], &[])).contains("d12"));
}
