use super::*;
use crate::labels::Labels;
use crate::picture::preprocess::Normalization;

fn report() -> Report {
    let labels = Labels::imagenet();
    let mut class = Class::new(0, 920, labels.get(920).unwrap(), 0.104_67, 7.5);
    class.maps.push(Map {
        method: Method::Cam(crate::methods::cam::Method::GradCam),
        min: -0.25,
        max: 1.5,
        mean: 0.5,
        spread: Some(Spread {
            centre: [12.5, 7.0],
            entropy: 0.75,
        }),
        empty: false,
        verdict: Verdict::Ok,
        note: None,
        regions: None,
        regions_note: None,
        energy_in_box: None,
        pointing_hit: None,
        each_box: vec![],
        unread: vec![],
        files: vec![
            (
                "gradcam".to_owned(),
                "street_0_920_traffic_light_0.105_gradcam.jpg".into(),
            ),
            (
                "gradcam.npy".to_owned(),
                "street_0_920_traffic_light_0.105_gradcam.npy".into(),
            ),
        ],
    });
    Report {
        image: "street.jpg".into(),
        tiles: None,
        image_sha256: None,
        image_size: [640, 480],
        weights: Weights {
            path: Some("VGG16.npy".into()),
            sha256: "ab".repeat(32),
            architecture: "vgg16".into(),
        },
        adapter: Adapter {
            name: "llvmpipe".into(),
            backend: "vulkan".into(),
            kind: "cpu".into(),
        },
        layer: "conv5_3".into(),
        fuse: None,
        score: Score::Prob,
        settings: Settings {
            smooth: vec![],
            fit: "crop".into(),
            preprocess: Preprocess::of(&Normalization {
                mean: [1.0, 2.0, 3.5],
                ..Normalization::CAFFE
            }),
            input_size: [224, 224],
            activation: "softmax".into(),
            weights_dtype: "f32".into(),
            dtype: "f32".into(),
            convolution: "fast".into(),
            channels: None,
            samples: Some(25),
            masks: None,
            noise: Some(0.15),
            steps: None,
            patch: None,
            stride: None,
            baseline: None,
            regions: None,
            known_box: None,
            known_boxes: None,
            drawing: settings::Drawing {
                size: Some("model".into()),
                overlay: Some("sum"),
                ..settings::Drawing::default()
            },
            seed: Some(0),
        },
        versus: None,
        counterfactual: false,
        unread: vec![],
        notes: vec![],
        timings_ms: vec![("decode", 1.234_56), ("forward", 20.0)],
        classes: vec![class],
    }
}

#[test]
fn the_printed_line_is_that_of_the_original_program() {
    assert_eq!(
        report().text(false),
        "0: class id: 920, class name: traffic_light, probability: 0.105, \
         synset: n06874185 traffic light, traffic signal, stoplight\n"
    );
}

#[test]
fn names_stand_in_where_there_is_no_synset() {
    let labels = Labels::assumed(21);
    let class = Class::new(1, 17, labels.get(17).unwrap(), 0.5, 1.0);
    assert_eq!(
        class.line(),
        "1: class id: 17, class name: class_17, probability: 0.500, synset: class_17"
    );
    assert_eq!(class.synset, None);
}

#[test]
fn several_pictures_are_told_apart() {
    assert!(
        report()
            .text(true)
            .starts_with("street.jpg\n0: class id: 920")
    );
}

#[test]
fn the_json_is_schema_1_on_one_line() {
    let sha256 = "ab".repeat(32);
    let expected = format!(
        concat!(
            r#"{{"schema":1,"image":"street.jpg","image_size":[640,480],"#,
            r#""weights":{{"path":"VGG16.npy","sha256":"{}","architecture":"vgg16"}},"#,
            r#""adapter":{{"name":"llvmpipe","backend":"vulkan","type":"cpu"}},"#,
            r#""layer":"conv5_3","score":"prob","#,
            r#""settings":{{"smooth":[],"fit":"crop","#,
            r#""preprocess":{{"mean":[3.5,2.0,1.0],"std":[1.0,1.0,1.0],"channels":"bgr"}},"#,
            r#""input_size":[224,224],"activation":"softmax","weights_dtype":"f32","dtype":"f32","convolution":"fast","#,
            r#""samples":25,"noise":0.15,"seed":0,"size":"model","overlay":"sum"}},"timings_ms":{{"decode":1.235,"forward":20.0}},"#,
            r#""classes":[{{"rank":0,"id":920,"name":"traffic_light","#,
            r#""synset":"n06874185 traffic light, traffic signal, stoplight","#,
            r#""probability":0.10467,"logit":7.5,"#,
            r#""maps":[{{"method":"gradcam","min":-0.25,"max":1.5,"mean":0.5,"centre":[12.5,7.0],"entropy":0.75,"empty":false,"verdict":"ok","#,
            r#""files":{{"#,
            r#""gradcam":"street_0_920_traffic_light_0.105_gradcam.jpg","#,
            r#""gradcam.npy":"street_0_920_traffic_light_0.105_gradcam.npy"}}}}]}}],"program":"gradcam {}"}}"#,
            "\n"
        ),
        sha256,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(report().json(), expected);
}

#[test]
fn floats_that_are_not_finite_are_null() {
    let mut report = report();
    report.weights.path = None;
    let class = &mut report.classes[0];
    (class.probability, class.logit) = (f32::NAN, f32::INFINITY);
    (class.maps[0].min, class.maps[0].verdict) = (f32::NEG_INFINITY, Verdict::NotFinite);
    report.timings_ms = vec![("forward", f64::NAN)];
    let value: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    let class = &value["classes"][0];
    let map = &class["maps"][0];
    for null in [
        &class["probability"],
        &class["logit"],
        &map["min"],
        &value["timings_ms"]["forward"],
        &value["weights"]["path"],
    ] {
        assert!(null.is_null(), "{value}");
    }
    assert_eq!(map["verdict"], "not finite");
}

#[test]
fn verdicts_have_one_spelling() {
    for verdict in [
        Verdict::Ok,
        Verdict::Empty,
        Verdict::Saturated,
        Verdict::Flat,
        Verdict::NotFinite,
    ] {
        assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.to_string());
    }
}

#[test]
fn a_map_that_misleads_is_noted_in_words() {
    let mut report = report();
    assert!(report.notes().is_empty());
    let asked = Circumstances {
        score: Score::Prob,
        counterfactual: false,
        samples: 25,
        noise: 0.15,
        signed: false,
        not_finite: Some("conv3_1"),
    };
    let gradcam = Method::Cam(crate::methods::cam::Method::GradCam);
    for (values, gradient, told) in [
        (
            [-0.125, -0.5],
            0.5,
            "empty: nothing lies above zero, the largest value is -1.250e-1; written black; \
             try another class, --score logit or --counterfactual",
        ),
        (
            [1e-42, 0.0],
            1e-41,
            "saturated: the network is so sure that the gradient of the probability is lost in float32; \
             try --score logit",
        ),
        (
            [0.5, 0.5],
            0.5,
            "flat: 5.000e-1 everywhere, so it shows no place; try an earlier --layer",
        ),
        (
            [f64::NAN, 0.5],
            0.5,
            "not finite: some values are infinite or no numbers, drawn as zero; \
             it began at layer conv3_1, whose values are not finite",
        ),
    ] {
        report.classes[0].maps[0] = Map::new(gradcam, &values, values[0], None, gradient, &asked);
        let start = "street.jpg: the gradcam map of class 920, traffic_light, is ";
        assert_eq!(report.notes(), [format!("{start}{told}")]);
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        let map = &json["classes"][0]["maps"][0];
        assert!(told.starts_with(map["verdict"].as_str().unwrap()));
        assert!(told.ends_with(map["note"].as_str().unwrap()));
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_unicode_is_still_valid_json() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let mut report = report();
    report.image = OsStr::from_bytes(b"caf\xe9.jpg").into();
    let value: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(value["image"], "caf\u{fffd}.jpg");
}
