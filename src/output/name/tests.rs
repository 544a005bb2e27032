use super::*;

const GRADCAM_PLUS_PLUS: Method = Method::Cam(cam::Method::GradCamPlusPlus);
const GUIDED: Method = Method::Pixel(attribution::Method::GuidedBprop);
const GUIDED_GRADCAM: Method = Method::Pixel(attribution::Method::GuidedGradcam);
const INTEGRATED: Method = Method::Pixel(attribution::Method::IntegratedGradients);

const TRAFFIC_LIGHT: Subject<'_> = Subject {
    rank: 0,
    class_id: 920,
    class_name: "traffic light",
    probability: 0.10467,
    question: Question {
        versus: None,
        counterfactual: false,
    },
};

fn named(class_name: &str) -> String {
    let subject = Subject {
        rank: 2,
        class_id: 7,
        class_name,
        probability: 1.0,
        question: Question::default(),
    };
    file_name(
        OsStr::new("a"),
        subject,
        Content::Picture(GUIDED_GRADCAM),
        "png",
    )
    .into_string()
    .unwrap()
}

#[test]
fn a_name_says_picture_rank_class_probability_and_content() {
    for (content, name) in [
        (
            Content::Picture(GRADCAM),
            "street_0_920_traffic_light_0.105_gradcam.jpg",
        ),
        (
            Content::Heatmap(GRADCAM),
            "street_0_920_traffic_light_0.105_heatmap.jpg",
        ),
        (
            Content::Segmented(GRADCAM),
            "street_0_920_traffic_light_0.105_segmented.jpg",
        ),
        (
            Content::Raw(GRADCAM),
            "street_0_920_traffic_light_0.105_gradcam.npy",
        ),
        (
            Content::Picture(GUIDED),
            "street_0_920_traffic_light_0.105_guided_bprop.jpg",
        ),
        (
            Content::Raw(GUIDED),
            "street_0_920_traffic_light_0.105_guided_bprop.npy",
        ),
        (
            Content::Picture(GUIDED_GRADCAM),
            "street_0_920_traffic_light_0.105_guided_gradcam.jpg",
        ),
        (
            Content::Picture(GRADCAM_PLUS_PLUS),
            "street_0_920_traffic_light_0.105_gradcam++.jpg",
        ),
        (
            Content::Heatmap(GRADCAM_PLUS_PLUS),
            "street_0_920_traffic_light_0.105_gradcam++_heatmap.jpg",
        ),
        (
            Content::Segmented(GRADCAM_PLUS_PLUS),
            "street_0_920_traffic_light_0.105_gradcam++_segmented.jpg",
        ),
        (
            Content::Raw(GRADCAM_PLUS_PLUS),
            "street_0_920_traffic_light_0.105_gradcam++.npy",
        ),
        (
            Content::Picture(INTEGRATED),
            "street_0_920_traffic_light_0.105_integrated-gradients.jpg",
        ),
        (
            Content::Heatmap(INTEGRATED),
            "street_0_920_traffic_light_0.105_integrated-gradients_heatmap.jpg",
        ),
    ] {
        assert_eq!(
            file_name(OsStr::new("street"), TRAFFIC_LIGHT, content, "jpg"),
            name
        );
    }
}

#[test]
fn a_question_stands_before_the_suffix() {
    let question = Question {
        versus: Some(10),
        counterfactual: true,
    };
    let subject = Subject {
        question,
        ..TRAFFIC_LIGHT
    };
    assert_eq!(
        file_name(
            OsStr::new("street"),
            subject,
            Content::Heatmap(GRADCAM),
            "jpg"
        ),
        "street_0_920_traffic_light_0.105_versus_10_counterfactual_heatmap.jpg"
    );
}

#[test]
fn a_method_that_reads_no_question_has_none_in_its_names() {
    let asked = Question {
        versus: Some(10),
        counterfactual: true,
    };
    let shown = |method| asked.of(method).to_string();
    assert_eq!(shown(GRADCAM), "_versus_10_counterfactual");
    assert_eq!(shown(cam::Method::Fem.into()), "");
    assert_eq!(shown(cam::Method::FullGrad.into()), "_versus_10");
    assert_eq!(shown(attribution::Method::VarGrad.into()), "_versus_10");
}

#[test]
fn a_class_name_becomes_what_a_file_name_can_hold() {
    assert_eq!(
        named("a/b\\c:d*e?f\"g<h>i|j\tk"),
        "a_2_7_a_b_c_d_e_f_g_h_i_j_k_1.000_guided_gradcam.png"
    );
    assert_eq!(
        named("../../etc/passwd"),
        "a_2_7____.._etc_passwd_1.000_guided_gradcam.png"
    );
    assert_eq!(
        named("jack-o'-lantern"),
        "a_2_7_jack-o'-lantern_1.000_guided_gradcam.png"
    );
    assert_eq!(named("信号機"), "a_2_7_信号機_1.000_guided_gradcam.png");
}

#[test]
fn a_long_class_name_is_cut_between_characters() {
    let name = named(&"機".repeat(200));
    assert_eq!(
        name,
        format!(
            "a_2_7_{}_1.000_guided_gradcam.png",
            "機".repeat(CLASS_NAME_MAX / 3)
        )
    );
}

#[test]
fn no_name_passes_what_a_file_system_takes() {
    let class_name = "x".repeat(300);
    let subject = Subject {
        rank: 99_999,
        class_id: 999_999,
        class_name: &class_name,
        probability: 1.0,
        question: Question {
            versus: Some(999_999),
            counterfactual: true,
        },
    };
    for content in Content::all() {
        let name = file_name(OsStr::new(&"s".repeat(STEM_MAX)), subject, content, "webp");
        assert!(name.len() <= NAME_MAX, "{} bytes: {name:?}", name.len());
        assert!(
            name.to_string_lossy()
                .contains("x_1.000_versus_999999_counterfactual_")
        );
    }
}

#[test]
fn reports_tell_arrays_from_pictures() {
    assert_eq!(Content::Picture(GRADCAM).key(), "gradcam");
    assert_eq!(Content::Raw(GRADCAM).key(), "gradcam.npy");
    assert_eq!(Content::Raw(GUIDED).key(), "guided_bprop.npy");
}

#[test]
fn the_programs_own_files_are_recognised() {
    for content in Content::all() {
        let name = file_name(OsStr::new("my_photo_1"), TRAFFIC_LIGHT, content, "png");
        assert!(
            is_output(Path::new("folder").join(&name).as_path()),
            "{name:?}"
        );
    }
    let content = Content::Segmented(GRADCAM);
    for (versus, counterfactual) in [(Some(10), false), (None, true), (Some(10), true)] {
        let question = Question {
            versus,
            counterfactual,
        };
        let subject = Subject {
            question,
            ..TRAFFIC_LIGHT
        };
        let name = file_name(OsStr::new("my_photo_1"), subject, content, "png");
        assert!(is_output(Path::new(&name)), "{name:?}");
    }
    for other in [
        "photo_versus_10_gradcam.png",
        "photo.jpg",
        "photo_gradcam.png",
        "2024_01_02_heatmap.png",
        "a_0_1_b_2.000_gradcam.png",
        "0_1_b_0.500_gradcam.png",
        "",
    ] {
        assert!(!is_output(Path::new(other)), "{other}");
    }
}

#[test]
fn a_stem_is_shortened_between_characters_and_keeps_what_tells_it_apart() {
    let fits = "é".repeat(STEM_MAX / 2);
    assert_eq!(short_stem(OsStr::new(&fits)), fits.as_str());
    let shortened = |stem: String| short_stem(OsStr::new(&stem)).into_string().unwrap();
    let [one, two] = ["1", "2"].map(|end| shortened("機".repeat(80) + end));
    assert_ne!(one, two);
    assert!(one.len() <= STEM_MAX && one.len() > STEM_MAX - 3, "{one}");
    assert!(one.starts_with(&format!("{}-", "機".repeat((STEM_MAX - TELLING) / 3))));
    let name = file_name(
        OsStr::new(&one),
        TRAFFIC_LIGHT,
        Content::Picture(GUIDED),
        "png",
    );
    assert!(is_output(Path::new(&name)) && name.len() <= NAME_MAX);
}

#[cfg(unix)]
#[test]
fn a_long_stem_that_is_not_unicode_is_shortened_all_the_same() {
    use std::os::unix::ffi::OsStrExt;

    for byte in [0xe9, 0x80] {
        let short = short_stem(OsStr::from_bytes(&[byte; 250]));
        assert!(short.len() <= STEM_MAX && short.len() > STEM_MAX - 4);
    }
}

#[cfg(unix)]
#[test]
fn a_stem_that_is_not_unicode_keeps_its_bytes() {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    let name = file_name(
        OsStr::from_bytes(b"caf\xe9"),
        TRAFFIC_LIGHT,
        Content::Picture(GUIDED),
        "png",
    );
    assert_eq!(
        name.into_vec(),
        b"caf\xe9_0_920_traffic_light_0.105_guided_bprop.png"
    );
}
