use serde_json::{Value, json};

use super::*;
use crate::architectures::Evidence;
use crate::architectures::keras::outputs;
use crate::network::Activation;
use crate::weights::Tensor;

fn layer(class: &str, name: &str, config: Value, shapes: &[&[usize]]) -> KerasLayer {
    let weights = shapes
        .iter()
        .map(|shape| Tensor::repeated(shape.to_vec(), 0.5));
    KerasLayer {
        class: class.into(),
        name: name.into(),
        config,
        weights: weights.collect(),
        arguments: vec![],
    }
}

fn input(side: usize) -> KerasLayer {
    layer(
        "InputLayer",
        "in",
        json!({ "batch_shape": [null, side, side, 3] }),
        &[],
    )
}

fn convolution(config: Value) -> KerasLayer {
    layer("Conv2D", "c", config, &[&[3, 3, 3, 4], &[4]])
}

fn head(inputs: usize) -> KerasLayer {
    layer(
        "Dense",
        "d",
        json!({ "activation": "softmax" }),
        &[&[inputs, 2], &[2]],
    )
}

fn batch_normalization(channels: usize) -> KerasLayer {
    let shape: &[usize] = &[channels];
    layer("BatchNormalization", "bn", json!({}), &[shape; 4])
}

fn mean() -> KerasLayer {
    layer("GlobalAveragePooling2D", "mean", json!({}), &[])
}

fn classifier(
    layers: impl Into<Vec<KerasLayer>>,
    size: Option<usize>,
) -> Result<Classifier, ArchitectureError> {
    outputs::classifier(&Model::in_a_row("test", layers.into()), size, None)
}

fn network(layers: impl Into<Vec<KerasLayer>>) -> Network {
    classifier(layers, None).unwrap().network
}

fn error(layers: impl Into<Vec<KerasLayer>>) -> String {
    let error = classifier(layers, None).unwrap_err();
    error.to_string()
}

#[test]
fn padding_same_puts_the_odd_zero_behind() {
    let config = json!({ "kernel_size": [3, 3], "strides": [2, 2], "padding": "same" });
    let network = network([input(8), convolution(config), mean(), head(4)]);
    let Op::Conv2d { window, .. } = &network.nodes[1].op else {
        panic!("{:?}", network.nodes[1]);
    };
    assert_eq!((window.pad_before, window.pad_after), ([0, 0], [1, 1]));
    assert_eq!(network.nodes[1].shape, Shape::new(4, 4, 4));
}

#[test]
fn the_largest_of_all_positions_is_a_pool_as_large_as_the_map() {
    let config = json!({ "kernel_size": 3 });
    let pool = layer("GlobalMaxPooling2D", "max", json!({}), &[]);
    let network = network([input(8), convolution(config), pool, head(4)]);
    assert!(matches!(network.nodes[2].op, Op::MaxPool(window) if window.size == [6, 6]));
    assert_eq!(network.classes(), 2);
}

#[test]
fn the_largest_of_many_positions_is_taken_along_columns_and_then_along_rows() {
    let pool = layer("GlobalMaxPooling2D", "max", json!({}), &[]);
    let first = convolution(json!({ "kernel_size": 3 }));
    let network = network([input(20), first, pool, head(4)]);
    let size = |i: usize| match network.nodes[i].op {
        Op::MaxPool(window) => window.size,
        ref op => panic!("{op:?}"),
    };
    assert_eq!([size(2), size(3)], [[1, 18], [18, 1]]);
}

#[test]
fn layers_of_the_same_name_are_told_apart() {
    let again = layer(
        "Conv2D",
        "c",
        json!({ "kernel_size": 1 }),
        &[&[1, 1, 4, 4], &[4]],
    );
    let layers = [
        input(8),
        convolution(json!({ "kernel_size": 3 })),
        again,
        mean(),
        head(4),
    ];
    let network = network(layers);
    assert_eq!(
        (&*network.nodes[1].name, &*network.nodes[2].name),
        ("c", "c_2")
    );
}

#[test]
fn what_is_not_supported_is_named_with_its_layer() {
    let three = || json!({ "kernel_size": 3 });
    let with = |key: &str, value: Value| {
        let mut config = three();
        config[key] = value;
        convolution(config)
    };
    for (layer, expected) in [
        (
            with("groups", json!(0)),
            r#"layer "c" (Conv2D): such a number of groups is not supported"#,
        ),
        (
            with("data_format", json!("channels_first")),
            "channels_first for a map with its channels last is not supported",
        ),
        (
            with("activation", json!("my_own")),
            r#"the activation "my_own" is not supported"#,
        ),
        (
            with("strides", json!([0, 1])),
            "a window without extent is not supported",
        ),
        (
            with("dilation_rate", json!(1e9)),
            "dilation_rate 1000000000.0 is not supported",
        ),
        (
            layer("Lambda", "l", json!({}), &[]),
            r#"layer "l" (Lambda) is Python code, which is not run here"#,
        ),
        (
            layer("Conv3D", "l", json!({}), &[]),
            r#"layer "l" (Conv3D): this layer is not supported"#,
        ),
    ] {
        let error = error([input(8), layer, mean(), head(4)]);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn batch_normalization_that_no_layer_can_take_in_is_a_layer() {
    let relu = json!({ "kernel_size": 3, "activation": "relu" });
    let pool = layer("MaxPooling2D", "p", json!({ "pool_size": 2 }), &[]);
    let layers = [
        input(8),
        convolution(relu),
        batch_normalization(4),
        pool,
        mean(),
        head(4),
    ];
    let network = network(layers);
    assert!(matches!(network.nodes[3].op, Op::Affine { .. }));
    assert_eq!(network.nodes[3].name, "bn");
}

#[test]
fn means_of_windows_leave_padding_out() {
    let config = json!({ "pool_size": 3, "strides": 2, "padding": "same" });
    let pool = layer("AveragePooling2D", "p", config, &[]);
    let first = convolution(json!({ "kernel_size": 3, "padding": "same" }));
    let network = network([input(8), first, pool, mean(), head(4)]);
    let Op::AvgPool {
        window,
        count_include_pad,
    } = network.nodes[2].op
    else {
        panic!("{:?}", network.nodes[2]);
    };
    assert!(!count_include_pad);
    assert_eq!((window.pad_before, window.pad_after), ([0, 0], [1, 1]));
}

#[test]
fn slopes_of_rows_are_not_taken_for_those_of_as_many_channels() {
    let config = json!({ "kernel_size": 3, "padding": "same" });
    let layers = |slopes: &[usize]| {
        let prelu = layer("PReLU", "p", json!({}), &[slopes]);
        [
            input(4),
            convolution(config.clone()),
            prelu,
            mean(),
            head(4),
        ]
    };
    let known = network(layers(&[1, 1, 4]));
    let is_prelu = |op: &Op| matches!(op, Op::Activate(Activation::PRelu { .. }));
    assert!(known.nodes.iter().any(|node| is_prelu(&node.op)));
    let error = error(layers(&[4, 1, 1]));
    assert!(error.contains("a slope for each place"), "{error}");
}

#[test]
fn another_size_works_padding_out_again_or_is_refused() {
    let config = json!({ "kernel_size": 3, "strides": 2, "padding": "same" });
    let layers = [input(8), convolution(config), mean(), head(4)];
    let network = classifier(layers, Some(9)).unwrap().network;
    let Op::Conv2d { window, .. } = &network.nodes[1].op else {
        panic!("{:?}", network.nodes[1]);
    };
    assert_eq!((window.pad_before, window.pad_after), ([1, 1], [1, 1]));
    let flatten = layer("Flatten", "f", json!({}), &[]);
    let first = convolution(json!({ "kernel_size": 3 }));
    let error = classifier([input(8), first, flatten, head(144)], Some(9));
    let error = error.unwrap_err().to_string();
    assert_eq!(
        error,
        "pictures of 9 pixels do not fit: this network takes 8 x 8"
    );
}

#[test]
fn a_base_without_a_head_is_told_from_a_classifier() {
    let relu = || convolution(json!({ "kernel_size": 3, "activation": "relu" }));
    for layers in [vec![input(8), relu()], vec![input(8), relu(), mean()]] {
        let error = error(layers);
        assert!(error.contains("include_top=False"), "{error}");
    }
    let head = convolution(json!({ "kernel_size": 3 }));
    assert_eq!(network([input(8), head, mean()]).classes(), 4);
}

#[test]
fn scaling_of_the_picture_becomes_its_preprocessing() {
    let layers = [
        input(8),
        layer(
            "Rescaling",
            "r",
            json!({ "scale": 0.5, "offset": 1.0 }),
            &[],
        ),
        layer(
            "Normalization",
            "n",
            json!({ "mean": [1.0, 2.0, 3.0], "variance": 4.0 }),
            &[],
        ),
        convolution(json!({ "kernel_size": 3 })),
        mean(),
        head(4),
    ];
    let Classifier {
        normalization,
        normalization_evidence,
        ..
    } = classifier(layers, None).unwrap();
    assert_eq!(normalization_evidence, Evidence::Metadata);
    for (c, mean) in [1.0, 2.0, 3.0].into_iter().enumerate() {
        let value = 100.0;
        let ours = (value * normalization.scale - normalization.mean[c]) / normalization.std[c];
        assert!((ours - (value * 0.5 + 1.0 - mean) / 2.0).abs() < 1e-4);
    }
}

#[test]
fn a_model_that_resizes_all_pictures_takes_them_in_that_size_and_says_so() {
    let open = json!({ "batch_shape": [null, null, null, 3] });
    let resizing = || layer("Resizing", "r", json!({ "height": 8, "width": 8 }), &[]);
    let of = |input: Value| {
        let three = convolution(json!({ "kernel_size": 3 }));
        let input = layer("InputLayer", "in", input, &[]);
        vec![input, resizing(), three, mean(), head(4)]
    };
    let seen = classifier(of(open.clone()), None).unwrap();
    assert_eq!(seen.network.input_shape(), Shape::new(3, 8, 8));
    assert!(
        seen.notes[0].contains("r turns pictures of any size into 8 x 8"),
        "{:?}",
        seen.notes
    );
    let error = classifier(of(open), Some(16)).unwrap_err().to_string();
    assert!(error.contains("takes 8 x 8"), "{error}");
    // Two by three places become one: a layer of the network, and nothing to say.
    let seen = classifier(of(json!({ "batch_shape": [null, 16, 24, 3] })), None).unwrap();
    assert_eq!(seen.network.input_shape(), Shape::new(3, 16, 24));
    assert!(seen.notes.is_empty());
    // No whole number of places either.
    let twelve = json!({ "batch_shape": [null, 12, 12, 3] });
    let seen = classifier(of(twelve.clone()), None).unwrap();
    assert_eq!(seen.network.input_shape(), Shape::new(3, 12, 12));
    assert!(seen.notes.is_empty());
    // A filter that differs between Keras' backends.
    let cubic = json!({ "height": 8, "width": 8, "interpolation": "bicubic" });
    let mut layers = of(twelve);
    layers[1] = layer("Resizing", "r", cubic, &[]);
    let seen = classifier(layers, None).unwrap();
    assert_eq!(seen.network.input_shape(), Shape::new(3, 8, 8));
    assert!(
        seen.notes[0].contains("of 12 x 12 into 8 x 8"),
        "{:?}",
        seen.notes
    );
}

#[test]
fn a_model_of_four_channels_is_refused_with_how_many_a_picture_has() {
    let input = json!({ "batch_shape": [null, 8, 8, 4] });
    let input = layer("InputLayer", "in", input, &[]);
    let layers = [
        input,
        convolution(json!({ "kernel_size": 3 })),
        mean(),
        head(4),
    ];
    let error = classifier(layers, None).unwrap_err().to_string();
    let words = "pictures of 4 channels (not 3, or 1 in grey) are not supported";
    assert!(error.contains(words), "{error}");
}

#[test]
fn a_picture_with_zeros_around_it_may_be_scaled_afterwards() {
    let zeros = || layer("ZeroPadding2D", "z", json!({ "padding": 1 }), &[]);
    let of = |scaled: KerasLayer| {
        let three = convolution(json!({ "kernel_size": 3 }));
        classifier([input(8), zeros(), scaled, three, mean(), head(4)], None).unwrap()
    };
    let names = |seen: &Classifier| {
        let names = seen.network.nodes.iter().map(|node| node.name.clone());
        names.collect::<Vec<String>>()
    };
    // Zeros stay zeros: the factor goes before them.
    let factor = json!({ "scale": 1.0 / 255.0 });
    let seen = of(layer("Rescaling", "r", factor, &[]));
    assert_eq!(seen.normalization.to_string(), "unit");
    assert!(seen.scales_itself() && !names(&seen).contains(&"r".into()));
    // Black becomes another value in each channel: the means stay behind it.
    let means = json!({ "mean": [120.0, 110.0, 100.0], "variance": [3000.0, 3100.0, 3200.0] });
    let seen = of(layer("Normalization", "n", means, &[]));
    assert_eq!(seen.normalization, Normalization::NONE);
    assert!(seen.scales_itself() && names(&seen).contains(&"n".into()));
}
