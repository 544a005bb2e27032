//! The layers that maps are made of, and what is said of those that give none.

use crate::harness::Folder;

#[test]
fn several_layers_give_one_map_of_the_size_that_the_network_sees() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 --outputs raw,heatmap --score logit";
    let report = &folder.json(&format!("{line} -l conv4_3 -l conv5_3"))[0];
    assert_eq!(report["layer"], "conv4_3+conv5_3");
    assert_eq!(report["fuse"], "mean");
    let read = || folder.array("cat_0_1_class_1_0.797_gradcam.npy");
    let (mean, shape) = read();
    folder.prints(&format!("{line} -l conv4_3,conv5_3"));
    assert_eq!(read().0, mean);
    assert_eq!(shape, [224, 224]);
    assert!(mean.iter().all(|v| (0.0..=1.0).contains(v)));
    folder.prints(&format!("{line} -l conv5_3 -l conv4_3 --fuse max"));
    let (max, _) = read();
    folder.prints(&format!("{line} -l conv5_3 -l conv4_3 --fuse product"));
    let (product, _) = read();
    for ((mean, max), product) in mean.iter().zip(max).zip(product) {
        assert!(product <= mean + 1e-6 && *mean <= max + 1e-6);
    }
    let report = &folder.json(&format!("{line} -l conv4_3"))[0];
    assert_eq!(
        (&report["layer"], report.get("fuse")),
        (&"conv4_3".into(), None)
    );
    assert_eq!(read().1, [28, 28]);
}

/// A layer's own name is the layer after its ReLU; the ReLU has a name as well.
#[test]
fn any_layer_with_rows_and_columns_will_do() {
    let folder = Folder::new();
    for (layer, size) in [("pool5", 7), ("relu2_1", 112), ("conv2_1", 112)] {
        folder.prints(&format!("cat.png tiny.npy -c 1 --outputs raw -l {layer}"));
        let (map, shape) = folder.array("cat_0_1_class_1_0.797_gradcam.npy");
        assert_eq!(shape, [size, size], "{layer}");
        assert!(map.iter().any(|&v| v != 0.0), "{layer}");
    }
}

#[test]
fn layers_that_give_no_map_are_refused_with_those_that_do() {
    let folder = Folder::new();
    folder.refuses(
        "cat.png tiny.npy -l fc6",
        1,
        &[
            "layer fc6 has no rows and columns, its value is a list of 10 numbers",
            "conv5_3, pool5",
        ],
    );
    folder.refuses(
        "cat.png tiny.npy -l conv5_3 -l input",
        1,
        &["input is the picture itself", "--method gradient"],
    );
    folder.refuses(
        "cat.png tiny.npy -l conv9_9",
        1,
        &["no layer \"conv9_9\"", "conv5_3, pool5"],
    );
    let example = "--layer conv4_3,conv5_3 --fuse max";
    for line in ["--fuse max", "-l conv4_3 -l conv4_3 --fuse max"] {
        folder.refuses(&format!("cat.png tiny.npy {line}"), 2, &[example]);
    }
}

#[test]
fn layers_go_by_the_names_of_their_file_and_of_keras_too() {
    let folder = Folder::new();
    // The built-in network has torchvision's names: a convolution, its ReLU and its pool.
    for (layer, known_as) in [
        ("features.28", "conv5_3"),
        ("features.29", "conv5_3"),
        ("features.30", "pool5"),
        ("module.features.26", "conv5_2"),
        ("block5_conv3", "conv5_3"),
        ("block4_pool", "pool4"),
    ] {
        let report = &folder.json(&format!("cat.png 1 --outputs heatmap -l {layer}"))[0];
        assert_eq!(report["layer"], known_as, "{layer}");
    }
    let report = &folder.json("cat.png tiny.npy 1 --outputs heatmap -l vgg_16/conv5/conv5_3")[0];
    assert_eq!(report["layer"], "conv5_3");
}

#[test]
fn a_layer_spelled_another_way_is_answered_with_the_near_one() {
    let folder = Folder::new();
    for layer in [
        "conv5-3",
        "Conv5_3",
        "conv53",
        "CONV5.3",
        "features.28",
        "Block5_Conv3",
    ] {
        let line = format!("cat.png tiny.npy -l {layer}");
        folder.refuses(&line, 1, &[layer, "did you mean conv5_3?"]);
    }
    folder.refuses("cat.png tiny.npy -l pol5", 1, &["did you mean pool5?"]);
    let run = folder.refuses("cat.png tiny.npy -l layer4", 1, &["no layer \"layer4\""]);
    assert!(!run.stderr.contains("did you mean"), "{run:#?}");
}
