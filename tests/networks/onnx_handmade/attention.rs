//! Attention between positions: what a graph's products of layers are read as, and which are refused.

use gradcam::low_level::network::{Network, Op, Shape, SoftmaxOver};

use super::{network, refused};
use crate::common::onnx_writer::{
    Model, attribute_float, attribute_int, attribute_ints, bytes, floats, ints, tensor, varint,
};

/// Eight channels of 8 x 8 positions as two heads: `k` channels by positions, and `q` positions by channels.
fn heads(batch: i64) -> Model {
    Model::new(&[batch, 3, 8, 8])
        .constant(floats("w", &[8, 3, 1, 1], &[0.25; 24]))
        .constant(ints("heads", &[batch, 2, 4, 64]))
        .constant(ints("map", &[batch, 8, 8, 8]))
        .constant(floats("m", &[8, 2], &[0.5; 16]))
        .node("Conv", "conv", &["x", "w"], &[])
        .node("Reshape", "k", &["conv", "heads"], &[])
        .node("Transpose", "q", &["k"], &[turned()])
}

fn turned() -> Vec<u8> {
    attribute_ints("perm", &[0, 1, 3, 2])
}

/// The value `last`, of channels in heads by positions, as a map and two scores.
fn ended(model: Model, last: &str) -> Model {
    model
        .node("Reshape", "back", &[last, "map"], &[])
        .node("GlobalAveragePool", "mean", &["back"], &[])
        .node("Flatten", "flat", &["mean"], &[])
        .node("MatMul", "dense", &["flat", "m"], &[])
}

/// What a network is made of, but for its input and its end.
fn ops(network: &Network) -> Vec<(String, Shape)> {
    let nodes = network.nodes.iter().map(|node| {
        let op = match &node.op {
            Op::AttentionScores { heads, scale } => format!("scores {heads} {scale}"),
            Op::AttentionSum { heads } => format!("sum {heads}"),
            Op::Softmax(SoftmaxOver::Channels { count, apart: 1 }) => format!("softmax {count}"),
            op => format!("{op:?}")
                .split([' ', '('])
                .next()
                .unwrap()
                .to_owned(),
        };
        let inputs: Vec<usize> = node.inputs.iter().map(|input| input.0).collect();
        (format!("{op} of {inputs:?}"), node.shape)
    });
    nodes.collect()
}

#[test]
fn products_of_layers_are_scores_of_positions_and_sums_by_them() {
    for batch in [1, 3] {
        let scores = heads(batch)
            .constant(floats("scale", &[], &[0.5]))
            .node("MatMul", "product", &["q", "k"], &[])
            .node("Mul", "scaled", &["product", "scale"], &[])
            .node(
                "Softmax",
                "shares",
                &["scaled"],
                &[attribute_int("axis", -1)],
            );
        // Positions by channels, and the other way round.
        let by_rows = scores
            .clone()
            .node("MatMul", "sum", &["shares", "q"], &[])
            .node("Transpose", "last", &["sum"], &[turned()]);
        let by_columns = scores
            .node("Transpose", "other", &["shares"], &[turned()])
            .node("MatMul", "last", &["k", "other"], &[]);
        for model in [by_rows, by_columns] {
            let network = network(ended(model, "last").bytes()).unwrap();
            let found = ops(&network);
            let map = Shape::new(8, 8, 8);
            let expected = [
                ("scores 2 0.5 of [1, 1]".to_owned(), Shape::new(128, 8, 8)),
                ("softmax 64 of [2]".to_owned(), Shape::new(128, 8, 8)),
                ("sum 2 of [3, 1]".to_owned(), map),
            ];
            assert_eq!(found[2..5], expected, "{found:?}");
            assert_eq!(found.len(), 7, "{found:?}");
        }
    }
}

/// The first input's positions are the channels of the scores, so that a softmax over them is one over channels.
#[test]
fn a_softmax_over_the_rows_of_scores_is_one_of_the_keys_as_queries() {
    let model = heads(1)
        .constant(floats("other", &[8, 3, 1, 1], &[0.5; 24]))
        .node("Conv", "second", &["x", "other"], &[])
        .node("Reshape", "k2", &["second", "heads"], &[])
        .node("MatMul", "product", &["q", "k2"], &[])
        .node(
            "Softmax",
            "shares",
            &["product"],
            &[attribute_int("axis", 2)],
        )
        .node("MatMul", "last", &["k", "shares"], &[]);
    let network = network(ended(model, "last").bytes()).unwrap();
    let found = ops(&network);
    let lines: Vec<&str> = found.iter().map(|(op, _)| op.as_str()).collect();
    // The first convolution's map is node 1, the second's node 2.
    let expected = [
        "scores 2 1 of [2, 1]",
        "softmax 64 of [3]",
        "sum 2 of [4, 1]",
    ];
    assert_eq!(lines[3..6], expected, "{lines:?}");
}

#[test]
fn attention_of_one_position_and_of_heads_of_one_channel_is_read() {
    let model = |lengths: &[i64], map: &[i64]| {
        heads(1)
            .node("GlobalAveragePool", "one", &["conv"], &[])
            .constant(ints("lengths", lengths))
            .constant(ints("end", map))
    };
    let attended = |model: Model, of: &str| {
        let model = model
            .node("Reshape", "keys", &[of, "lengths"], &[])
            .node("Transpose", "queries", &["keys"], &[turned()])
            .node("MatMul", "product", &["queries", "keys"], &[])
            .node(
                "Softmax",
                "shares",
                &["product"],
                &[attribute_int("axis", -1)],
            )
            .node("MatMul", "sum", &["shares", "queries"], &[])
            .node("Transpose", "last", &["sum"], &[turned()])
            .node("Reshape", "back", &["last", "end"], &[])
            .node("GlobalAveragePool", "mean", &["back"], &[])
            .node("Flatten", "flat", &["mean"], &[])
            .node("MatMul", "dense", &["flat", "m"], &[]);
        ops(&network(model.bytes()).unwrap())
    };
    let one = attended(model(&[1, 2, 4, 1], &[1, 8, 1, 1]), "one");
    assert!(
        one.contains(&("scores 2 1 of [2, 2]".into(), Shape::new(2, 1, 1))),
        "{one:?}"
    );
    assert!(
        one.contains(&("softmax 1 of [3]".into(), Shape::new(2, 1, 1))),
        "{one:?}"
    );
    assert!(
        one.contains(&("sum 2 of [4, 2]".into(), Shape::new(8, 1, 1))),
        "{one:?}"
    );
    let single = attended(model(&[1, 8, 1, 64], &[1, 8, 8, 8]), "conv");
    assert!(
        single.contains(&("scores 8 1 of [1, 1]".into(), Shape::new(512, 8, 8))),
        "{single:?}"
    );
    assert!(
        single.contains(&("sum 8 of [3, 1]".into(), Shape::new(8, 8, 8))),
        "{single:?}"
    );
}

/// Queries, keys and values as parts of one layer's channels, each in heads: three dimensions of channels until one is taken.
#[test]
fn parts_of_the_channels_that_are_heads_each_are_taken_one_by_one() {
    let model = Model::new(&[1, 3, 8, 8])
        .constant(floats("w", &[24, 3, 1, 1], &[0.25; 72]))
        .constant(ints("parts", &[1, 3, 2, 4, 64]))
        .constant(ints("map", &[1, 8, 8, 8]))
        .constant(floats("m", &[8, 2], &[0.5; 16]))
        .node("Conv", "conv", &["x", "w"], &[])
        .node("Reshape", "all", &["conv", "parts"], &[]);
    let taken = (0..3).fold(model.clone(), |model, i| {
        let at = format!("at{i}");
        let index = tensor(&at, 7, &[], &bytes(7, &varint(i)));
        let name = ["q", "k", "v"][i as usize];
        model
            .constant(index)
            .node("Gather", name, &["all", &at], &[attribute_int("axis", 1)])
    });
    let attended = taken
        .node("Transpose", "turned", &["q"], &[turned()])
        .node("MatMul", "product", &["turned", "k"], &[])
        .node(
            "Softmax",
            "shares",
            &["product"],
            &[attribute_int("axis", -1)],
        )
        .node("Transpose", "other", &["shares"], &[turned()])
        .node("MatMul", "last", &["v", "other"], &[]);
    let network = network(ended(attended, "last").bytes()).unwrap();
    let picks = network
        .nodes
        .iter()
        .filter(|node| node.inputs.first().is_some_and(|input| input.0 == 1));
    let first_of_each: Vec<usize> = picks
        .map(|node| {
            let Op::Conv2d { weight, .. } = &node.op else {
                panic!("a convolution of zeros and ones");
            };
            assert_eq!(weight.shape(), [8, 24, 1, 1]);
            let values = weight.to_vec();
            // Each row is one channel, the next of them in the next row.
            let place = values.iter().position(|&value| value == 1.0).unwrap();
            assert!((0..8).all(|row| values[row * 24 + place + row] == 1.0));
            place
        })
        .collect();
    assert_eq!(first_of_each, [0, 8, 16]);
    let lines = ops(&network);
    let has = |op: &str| lines.iter().any(|(line, _)| line.starts_with(op));
    assert!(
        has("scores 2 1") && has("softmax 64") && has("sum 2"),
        "{lines:?}"
    );
    // What would take heads for all channels' is refused.
    let ints_of = |name: &str, lengths: &[i64]| model.clone().constant(ints(name, lengths));
    for wrong in [
        model.clone().node("Relu", "wrong", &["all"], &[]),
        model
            .clone()
            .node("Softmax", "wrong", &["all"], &[attribute_int("axis", 2)]),
        ints_of("lengths", &[1, 3, 8, 64]).node("Reshape", "wrong", &["all", "lengths"], &[]),
        ints_of("lengths", &[1, 24, 64]).node("Reshape", "wrong", &["all", "lengths"], &[]),
        ints_of("zero", &[0]).node(
            "Gather",
            "wrong",
            &["all", "zero"],
            &[attribute_int("axis", 2)],
        ),
    ] {
        let error = refused(&wrong);
        assert!(error.starts_with("node \"wrong\": "), "{error}");
    }
}

#[test]
fn products_that_are_no_attention_between_positions_are_refused() {
    let between = "of two layers, but for attention between positions";
    // Channels by channels, of all positions.
    let channels = heads(1).node("MatMul", "product", &["k", "q"], &[]);
    assert!(
        refused(&channels).contains(between),
        "{}",
        refused(&channels)
    );
    let more = heads(1)
        .constant(ints("four", &[1, 4, 2, 64]))
        .node("Reshape", "of_four", &["conv", "four"], &[])
        .node("MatMul", "product", &["q", "of_four"], &[]);
    assert!(refused(&more).contains(between), "{}", refused(&more));
    // Shares of 64 positions for values of 16.
    let fewer = heads(1)
        .constant(ints("fewer", &[1, 2, 4, 16]))
        .node("MatMul", "scores", &["q", "k"], &[])
        .node(
            "MaxPool",
            "pooled",
            &["conv"],
            &[
                attribute_ints("kernel_shape", &[2, 2]),
                attribute_ints("strides", &[2, 2]),
            ],
        )
        .node("Reshape", "values", &["pooled", "fewer"], &[])
        .node("Transpose", "turned", &["values"], &[turned()])
        .node("MatMul", "sum", &["scores", "turned"], &[]);
    let error = refused(&fewer);
    assert!(
        error.contains("weights are 128x8x8 and values 8x4x4"),
        "{error}"
    );
    // A scale that makes no numbers.
    let infinite = heads(1)
        .constant(floats("zero", &[1], &[0.0]))
        .node("MatMul", "scores", &["q", "k"], &[])
        .node("Div", "scaled", &["scores", "zero"], &[]);
    assert!(
        refused(&infinite).contains("a scale of inf"),
        "{}",
        refused(&infinite)
    );
}

#[test]
fn the_operator_is_read_without_masks_in_heads_of_positions_by_channels() {
    let plain = heads(1)
        .node(
            "Attention",
            "sum",
            &["q", "q", "q"],
            &[attribute_float("scale", 0.25)],
        )
        .node("Transpose", "last", &["sum"], &[turned()]);
    let found = ops(&network(ended(plain, "last").bytes()).unwrap());
    let lines: Vec<&str> = found.iter().map(|(op, _)| op.as_str()).collect();
    let expected = [
        "scores 2 0.25 of [1, 1]",
        "softmax 64 of [2]",
        "sum 2 of [3, 1]",
    ];
    assert_eq!(lines[2..5], expected, "{lines:?}");
    let masked = heads(1)
        .constant(floats("mask", &[64, 64], &[0.0; 4096]))
        .node("Attention", "sum", &["q", "q", "q", "mask"], &[]);
    assert!(
        refused(&masked).contains("Attention with a mask"),
        "{}",
        refused(&masked)
    );
    let causal = heads(1).node(
        "Attention",
        "sum",
        &["q"; 3],
        &[attribute_int("is_causal", 1)],
    );
    assert!(
        refused(&causal).contains("Attention with a mask"),
        "{}",
        refused(&causal)
    );
    let turned = heads(1).node("Attention", "sum", &["k"; 3], &[]);
    assert!(
        refused(&turned).contains("other than positions by channels"),
        "{}",
        refused(&turned)
    );
    let two = heads(1).node("Attention", "sum", &["q", "q"], &[]);
    assert!(
        refused(&two).contains("node \"sum\": Attention"),
        "{}",
        refused(&two)
    );
}
