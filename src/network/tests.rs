use super::*;
use crate::weights::Tensor;

fn dense(inputs: usize) -> Op {
    Op::Linear {
        weight: Tensor::repeated(vec![2, inputs], 0.5),
        bias: None,
        layout: MatrixLayout::OutIn,
    }
}

fn convolution(padding: usize) -> Op {
    Op::Conv2d {
        weight: Tensor::repeated(vec![4, 3, 1, 1], 0.5),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(1, 1, padding),
        groups: 1,
    }
}

fn refused(op: Op, inputs: &[usize]) -> String {
    let mut network = Network::new("test", Shape::new(3, 32, 32));
    let inputs = inputs.iter().copied().map(NodeId).collect();
    let error = network.push("layer", op, inputs).unwrap_err();
    assert_eq!(network.nodes.len(), 1, "{error}");
    error.to_string()
}

#[test]
fn what_the_kernels_cannot_compute_is_refused_whatever_file_it_comes_from() {
    let dilated = |size| Window {
        dilation: [2, 2],
        ..Window::square(size, 1, 0)
    };
    let still = Window {
        stride: [0, 1],
        ..Window::square(2, 1, 0)
    };
    for (op, said) in [
        (
            Op::MaxPool(Window::square(17, 1, 0)),
            "17 x 17 places; up to 256",
        ),
        (Op::MaxPool(dilated(2)), "pools with dilations"),
        (Op::MaxPool(still), "without taps or steps"),
        (
            Op::MaxPool(Window::square(0, 1, 0)),
            "without taps or steps",
        ),
        (Op::AdaptiveAvgPool([0, 1]), "gives 3x0x1 values: none"),
        (
            dense(3 * 32 * 32),
            "reads a map of 3x32x32, expected a vector",
        ),
        (convolution(1 << 14), "more than any adapter takes"),
        (convolution(usize::MAX), "does not fit its input"),
    ] {
        let error = refused(op, &[0]);
        assert!(error.contains(said), "{error:?} lacks {said:?}");
    }
}

#[test]
fn attention_has_a_score_for_each_key_at_each_query_and_the_channels_of_its_values() {
    let mut network = Network::new("attention", Shape::new(6, 5, 4));
    let picture = NodeId(0);
    let pool = Op::MaxPool(Window::square(2, 2, 0));
    let keys = network.push("keys", pool, vec![picture]).unwrap();
    let scores = |heads, scale| Op::AttentionScores { heads, scale };
    let found = network.push("scores", scores(3, 0.5), vec![picture, keys]);
    let found = found.unwrap();
    assert_eq!(network.node(found).shape, Shape::new(3 * 4, 5, 4));
    // Two channels of each head for four keys at twenty positions.
    assert_eq!(network.multiply_adds_of(found), 2 * 3 * 4 * 20);
    let sum = |heads| Op::AttentionSum { heads };
    let summed = network.push("sum", sum(3), vec![found, keys]).unwrap();
    assert_eq!(network.node(summed).shape, Shape::new(6, 5, 4));
    assert_eq!(network.multiply_adds_of(summed), 6 * 4 * 20);
    let refused = |op, inputs: [NodeId; 2], said: &str| {
        let error = network.clone().push("layer", op, inputs.to_vec());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(said), "{error:?} lacks {said:?}");
    };
    refused(scores(4, 0.5), [picture, keys], "of 4 heads between");
    refused(
        scores(2, 0.5),
        [picture, found],
        "of 2 heads between queries of 6x5x4 and keys of 12x5x4",
    );
    refused(scores(2, f32::NAN), [picture, keys], "a scale of NaN");
    // Shares of more or fewer keys than there are values.
    refused(
        sum(3),
        [found, picture],
        "weights are 12x5x4 and values 6x5x4",
    );
    refused(sum(2), [found, keys], "of 2 heads whose weights");
}

#[test]
fn a_layer_reads_one_layer_before_it() {
    for inputs in [&[][..], &[0, 0], &[1]] {
        assert!(refused(Op::RELU, inputs).contains("one earlier layer"));
    }
}

#[test]
fn values_of_unlike_shapes_do_not_meet() {
    let mut network = Network::new("test", Shape::new(3, 32, 32));
    let half = network
        .chain("half", Op::MaxPool(Window::square(2, 2, 0)))
        .unwrap();
    let four = network
        .push("four", convolution(0), vec![NodeId(0)])
        .unwrap();
    let mut refused = |op, inputs: &[NodeId]| {
        let error = network.push("layer", op, inputs.to_vec()).unwrap_err();
        error.to_string()
    };
    let unlike = refused(Op::Add, &[NodeId(0), half]);
    assert!(unlike.contains("joins 3x32x32 and 3x16x16"), "{unlike}");
    let unlike = refused(Op::Mul, &[NodeId(0), four]);
    assert!(unlike.contains("joins 3x32x32 and 4x32x32"), "{unlike}");
    let unlike = refused(Op::Concat, &[four, half]);
    assert!(unlike.contains("joins 4x32x32 and 3x16x16"), "{unlike}");
    assert!(refused(Op::Add, &[half]).contains("reads 1, expected two layers"));
    assert!(refused(Op::Concat, &[]).contains("reads 0"));
    let mean = network.push("mean", Op::GlobalMean, vec![four]).unwrap();
    let shape = |network: &Network, id| network.node(id).shape;
    let gated = network.push("gated", Op::Mul, vec![mean, four]).unwrap();
    assert_eq!(shape(&network, gated), Shape::new(4, 32, 32));
    let both = network.push("both", Op::Concat, vec![four, NodeId(0)]);
    assert_eq!(shape(&network, both.unwrap()), Shape::new(7, 32, 32));
}

#[test]
fn by_default_what_branches_make_together_is_looked_at() {
    let mut network = Network::new("test", Shape::new(4, 8, 8));
    let same = || Op::Conv2d {
        weight: Tensor::repeated(vec![4, 4, 3, 3], 0.5),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(3, 1, 1),
        groups: 1,
    };
    let first = network.chain("first", Op::RELU).unwrap();
    let conv = network.chain("conv", same()).unwrap();
    let add = network.push("add", Op::Add, vec![first, conv]).unwrap();
    let relu = network.chain("relu", Op::RELU).unwrap();
    network.chain("mean", Op::GlobalMean).unwrap();
    network
        .chain("dense", Op::Flatten(FlattenOrder::Chw))
        .unwrap();
    assert_eq!(network.target(None).unwrap(), relu);
    assert_eq!(network.target(Some("conv")).unwrap(), conv);
    assert_eq!(network.target(Some("add")).unwrap(), relu);
    assert_eq!(network.layer_name(relu), "add");
    assert!(network.descendants(conv)[add.0]);
}

#[test]
fn no_two_layers_have_one_name() {
    let mut network = Network::new("test", Shape::new(3, 32, 32));
    network.chain("same", Op::RELU).unwrap();
    let error = network.chain("same", Op::RELU).unwrap_err();
    assert_eq!(error.to_string(), "two layers are called \"same\"");
    assert!(network.chain("input", Op::RELU).is_err());
    network.chain("other", Op::RELU).unwrap();
}

/// A head of convolutions over all places, as VGG-Face has it, and over one place each.
#[test]
fn by_default_the_last_convolution_with_more_than_one_place_is_looked_at() {
    let over = |channels: usize, size: usize| Op::Conv2d {
        weight: Tensor::repeated(vec![4, channels, size, size], 0.5),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(size, 1, 0),
        groups: 1,
    };
    let name = |network: &Network| {
        let target = network.target(None).unwrap();
        network.layer_name(target).to_owned()
    };
    let mut network = Network::new("test", Shape::new(3, 6, 6));
    network.chain("only", over(3, 6)).unwrap();
    assert_eq!(name(&network), "only");

    let mut network = Network::new("test", Shape::new(3, 6, 6));
    for (layer, channels, size) in [("body", 3, 3), ("head", 4, 4), ("classes", 4, 1)] {
        network.chain(layer, over(channels, size)).unwrap();
        network
            .chain(format!("{layer}_relu"), Op::Activate(Activation::Relu))
            .unwrap();
    }
    assert_eq!(name(&network), "body");
    let of_one_place = network.target(Some("head")).unwrap_err();
    assert!(matches!(of_one_place, NetworkError::NoPositions { .. }));
}

/// Means and standard deviations of positions, as `x.std()` is written in a graph; positions that a sigmoid weighs.
#[test]
fn by_default_a_layer_is_looked_at_that_nothing_goes_around() {
    let conv = |outputs: usize, inputs: usize| Op::Conv2d {
        weight: Tensor::repeated(vec![outputs, inputs, 1, 1], 0.5),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(1, 1, 0),
        groups: 1,
    };
    let body = || {
        let mut network = Network::new("test", Shape::new(3, 6, 6));
        network.chain("body", conv(4, 3)).unwrap();
        let relu = network.chain("relu", Op::RELU).unwrap();
        (network, relu)
    };
    let (mut spread, x) = body();
    let mean = spread.push("mean", Op::GlobalMean, vec![x]).unwrap();
    let centred = spread.push("centred", Op::Add, vec![x, mean]).unwrap();
    let square = Op::Activate(Activation::Square);
    spread.push("square", square, vec![centred]).unwrap();
    let variance = spread.chain("variance", Op::GlobalMean).unwrap();
    spread
        .push("both", Op::Concat, vec![mean, variance])
        .unwrap();
    let (mut weighed, x) = body();
    weighed.push("weigh", conv(4, 4), vec![x]).unwrap();
    let weights = Op::Activate(Activation::Sigmoid);
    let weights = weighed.chain("weights", weights).unwrap();
    weighed.push("times", Op::Mul, vec![x, weights]).unwrap();
    let above = weighed.chain("above", Op::GlobalMean).unwrap();
    let below = weighed
        .push("below", Op::GlobalMean, vec![weights])
        .unwrap();
    weighed
        .push("quotient", Op::Mul, vec![above, below])
        .unwrap();
    for network in [&spread, &weighed] {
        assert_eq!(network.target(None).unwrap(), x);
    }
    // Branches of their own are no way around.
    let (mut apart, x) = body();
    let mut branches = vec![];
    for name in ["one", "two"] {
        let mut wide = conv(4, 4);
        if let Op::Conv2d { weight, window, .. } = &mut wide {
            *weight = Tensor::repeated(vec![4, 4, 3, 3], 0.5);
            *window = Window::square(3, 1, 1);
        }
        let branch = apart.push(name, wide, vec![x]).unwrap();
        let mean = apart.push(format!("{name} mean"), Op::GlobalMean, vec![branch]);
        branches.push((branch, mean.unwrap()));
    }
    let [(_, one), (last, two)] = branches[..] else {
        panic!("two branches");
    };
    apart.push("both", Op::Concat, vec![one, two]).unwrap();
    assert_eq!(apart.target(None).unwrap(), last);
    // Where all goes through what is weighed, that is it.
    let (mut gated, x) = body();
    let weights = gated.push("weigh", conv(4, 4), vec![x]).unwrap();
    let times = gated.push("times", Op::Mul, vec![x, weights]).unwrap();
    gated.chain("mean", Op::GlobalMean).unwrap();
    assert_eq!(gated.target(None).unwrap(), times);
}

#[test]
fn a_head_that_is_linear_in_one_mean_is_known() {
    let network = |ops: Vec<Op>| {
        let mut network = Network::new("test", Shape::new(3, 4, 4));
        for (number, op) in ops.into_iter().enumerate() {
            network.chain(format!("layer{number}"), op).unwrap();
        }
        network
    };
    let flatten = || Op::Flatten(FlattenOrder::Chw);
    for (ops, is_mean) in [
        (vec![Op::RELU, Op::GlobalMean, dense(3)], true),
        (vec![Op::RELU, Op::GlobalMean], true),
        (
            vec![Op::RELU, Op::AdaptiveAvgPool([1, 1]), flatten(), dense(3)],
            true,
        ),
        (vec![Op::GlobalMean, Op::RELU, dense(3)], false),
        (vec![Op::AdaptiveAvgPool([2, 2]), Op::GlobalMean], false),
        (vec![flatten(), dense(48)], false),
    ] {
        assert_eq!(network(ops).is_mean_over_positions(), is_mean);
    }
    // A mean that gates channels sees the whole picture.
    let mut gated = network(vec![Op::GlobalMean]);
    gated
        .push("gate", Op::Mul, vec![NodeId(0), NodeId(1)])
        .unwrap();
    gated.chain("mean", Op::GlobalMean).unwrap();
    assert!(!gated.is_mean_over_positions());
}
