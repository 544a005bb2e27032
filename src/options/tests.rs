use clap::Parser;

use super::*;
use crate::cli::{Channels, Cli, Preprocessing};
use crate::methods::cam;

fn options(line: &str) -> Result<Options, UsageError> {
    let words = std::iter::once("gradcam").chain(line.split_whitespace());
    let flags = Cli::try_parse_from(words)
        .expect("clap accepts the line")
        .explain;
    Options::new(flags, |path| {
        path.extension().is_some_and(|extension| extension == "npy")
    })
}

fn refused(line: &str) -> UsageError {
    options(line).expect_err(line)
}

fn top(count: usize) -> Classes {
    Classes::Top(NonZeroUsize::new(count).unwrap())
}

#[test]
fn the_original_programs_line_is_understood() {
    let options = options("photo.jpg VGG16.npy 5").unwrap();
    assert_eq!(options.images, [Path::new("photo.jpg")]);
    assert_eq!(options.weights.as_deref(), Some(Path::new("VGG16.npy")));
    assert_eq!(options.classes, top(5));
}

#[test]
fn the_flags_say_the_same() {
    assert_eq!(
        options("photo.jpg -w VGG16.npy -n 5"),
        options("photo.jpg VGG16.npy 5")
    );
    assert_eq!(
        options("photo.jpg -w VGG16.npy 5"),
        options("photo.jpg VGG16.npy -n 5")
    );
}

#[test]
fn a_picture_alone_takes_the_built_in_network_and_the_default_count() {
    let options = options("photo.jpg").unwrap();
    assert_eq!((options.weights, options.classes), (None, Classes::Default));
    assert_eq!(options.preprocess, None);
}

#[test]
fn weights_are_found_wherever_a_glob_puts_them() {
    let options = options("VGG16.npy a.jpg b.jpg").unwrap();
    assert_eq!(options.images, [Path::new("a.jpg"), Path::new("b.jpg")]);
    assert_eq!(options.weights.as_deref(), Some(Path::new("VGG16.npy")));
}

#[test]
fn a_contrast_is_of_logits_unless_the_score_is_named() {
    let score = |line: &str| options(line).unwrap().score;
    assert_eq!(score("a.jpg"), Score::Prob);
    assert_eq!(score("a.jpg --versus dog"), Score::Logit);
    assert_eq!(score("a.jpg --versus dog --score prob"), Score::Prob);
    let empty = refused("a.jpg --versus=");
    assert_eq!(empty, UsageError::EmptyClass("--versus"));
    let finer = refused("a.jpg --versus dog -m gradcam,finercam");
    assert_eq!(finer, UsageError::FinerVersus);
}

#[test]
fn smoothing_is_for_methods_that_weigh_channels() {
    let options = options("a.jpg -m eigencam,hirescam --smooth eigen").unwrap();
    assert_eq!(options.smooth, [Smooth::Eigen]);
    for method in ["eigencam", "fullgrad", "smoothgrad"] {
        let error = refused(&format!("a.jpg -m {method} --smooth eigen")).to_string();
        assert!(
            error.contains(&format!("{method} has none to weigh")),
            "{error}"
        );
    }
}

#[test]
fn a_number_that_is_no_file_is_the_count_wherever_it_stands() {
    for line in [
        "a.jpg 4 VGG16.npy",
        "4 a.jpg VGG16.npy",
        "VGG16.npy 4 a.jpg",
        "VGG16.npy a.jpg 4",
    ] {
        let options = options(line).unwrap();
        assert_eq!(options.images, [Path::new("a.jpg")], "{line}");
        assert_eq!(options.weights.as_deref(), Some(Path::new("VGG16.npy")));
        assert_eq!(options.classes, top(4), "{line}");
    }
    let path = options("a.jpg ./5").unwrap();
    assert_eq!(path.images, [Path::new("a.jpg"), Path::new("./5")]);
    assert_eq!(path.classes, Classes::Default);
    let two = UsageError::TwoNumbers("2".into(), "3".into());
    assert_eq!(refused("a.jpg 2 VGG16.npy 3"), two);
}

#[test]
fn a_run_without_a_picture_says_what_was_taken_for_what() {
    assert_eq!(refused("-n 3"), UsageError::NoImage);
    assert_eq!(refused("5"), UsageError::OnlyCount(5));
    assert!(refused("5").to_string().contains("./5"));
    assert_eq!(
        refused("VGG16.npy 5"),
        UsageError::OnlyWeights("VGG16.npy".into())
    );
    assert_eq!(
        refused("-w VGG16.npy"),
        UsageError::OnlyWeights("VGG16.npy".into())
    );
}

#[test]
fn one_run_reads_one_weights_file() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a.npy", "b.npy"].map(|name| folder.path().join(name));
    let lines = [
        format!("photo.jpg {} {}", a.display(), b.display()),
        format!("photo.jpg {} -w {}", b.display(), a.display()),
    ];
    std::fs::write(&b, "").unwrap();
    for line in &lines {
        let missing = UsageError::NoSuchWeights {
            missing: a.clone(),
            other: b.clone(),
        };
        assert_eq!(refused(line), missing);
    }
    std::fs::write(&a, "").unwrap();
    for line in &lines {
        assert_eq!(refused(line), UsageError::TwoWeights(a.clone(), b.clone()));
    }
}

#[test]
fn the_count_is_given_once_and_is_at_least_one() {
    assert_eq!(
        refused("photo.jpg 5 -n 3"),
        UsageError::TwoCounts {
            positional: 5,
            flag: 3
        }
    );
    assert_eq!(refused("photo.jpg 0"), UsageError::ZeroCount);
    let digits = "9".repeat(30);
    assert_eq!(
        refused(&format!("photo.jpg {digits}")),
        UsageError::HugeCount(digits)
    );
}

#[test]
fn classes_are_named_or_counted() {
    assert_eq!(
        options("a.jpg -c cat -c dog -c cat").unwrap().classes,
        Classes::Named(vec!["cat".into(), "dog".into()])
    );
    assert_eq!(refused("a.jpg -c cat -n 2"), UsageError::ClassesAndCount(2));
    assert_eq!(refused("a.jpg 2 -c cat"), UsageError::ClassesAndCount(2));
    assert_eq!(refused("a.jpg --class="), UsageError::EmptyClass("--class"));
}

#[test]
fn a_command_after_a_picture_is_pointed_out() {
    assert_eq!(
        refused("--json adapters"),
        UsageError::CommandNotFirst("adapters".into())
    );
    assert_eq!(
        options("--json ./adapters").unwrap().images,
        [Path::new("./adapters")]
    );
}

#[test]
fn a_word_that_is_nearly_a_command_is_told_it() {
    for (word, command) in [("hlep", "help"), ("adapter", "adapters"), ("ifno", "info")] {
        let (word, command) = (word.to_owned(), command.to_owned());
        let mistyped = UsageError::MistypedCommand {
            word: word.clone(),
            command,
        };
        assert_eq!(refused(&word), mistyped);
    }
    // Names of pictures and folders.
    for name in ["help.jpg", "./hlep", "holiday", "cat"] {
        assert!(options(name).is_ok(), "{name}");
    }
}

#[test]
fn an_empty_name_is_refused() {
    let flags = Cli::try_parse_from(["gradcam", "photo.jpg", ""])
        .unwrap()
        .explain;
    assert_eq!(Options::new(flags, |_| false), Err(UsageError::EmptyName));
}

#[test]
fn alpha_is_a_share() {
    let overlay = |line: &str| options(line).unwrap().overlay;
    assert_eq!(overlay("a.jpg --alpha 0"), Overlay::Blend(0.0));
    assert_eq!(overlay("a.jpg --alpha 1"), Overlay::Blend(1.0));
    for bad in ["-0.1", "1.01", "inf", "NaN"] {
        assert!(
            matches!(
                refused(&format!("a.jpg --alpha {bad}")),
                UsageError::AlphaOutOfRange(_)
            ),
            "{bad}"
        );
    }
}

#[test]
fn an_overlay_takes_the_options_that_are_its_own() {
    let overlay = |line: &str| options(&format!("a.jpg {line}")).unwrap().overlay;
    let threshold = |alpha, least| Overlay::Threshold { alpha, least };
    assert_eq!(overlay(""), Overlay::Sum);
    assert_eq!(overlay("--overlay blend"), Overlay::Blend(0.5));
    assert_eq!(overlay("--signed"), Overlay::Blend(0.5));
    assert_eq!(overlay("--signed --overlay sum"), Overlay::Sum);
    assert_eq!(overlay("--overlay threshold"), threshold(0.5, 0.15));
    assert_eq!(
        overlay("--overlay threshold --alpha 0.25 --threshold 0.5"),
        threshold(0.25, 0.5)
    );
    assert_eq!(refused("a.jpg --threshold 0.5"), UsageError::ThresholdAlone);
    assert_eq!(
        refused("a.jpg --overlay sum --alpha 0.5"),
        UsageError::AlphaOfSum
    );
    let out_of_range = refused("a.jpg --overlay threshold --threshold 15");
    assert_eq!(out_of_range, UsageError::ThresholdOutOfRange(15.0));
}

#[test]
fn colours_with_a_middle_are_for_maps_of_both_signs() {
    let colormap = |line: &str| options(&format!("a.jpg {line}")).unwrap().colormap;
    assert_eq!(colormap(""), Colormap::Jet);
    assert_eq!(colormap("--signed"), Colormap::Bwr);
    assert_eq!(colormap("--signed --colormap bwr"), Colormap::Bwr);
    let no_middle = refused("a.jpg --signed --colormap turbo");
    assert_eq!(no_middle, UsageError::NoMiddle(Colormap::Turbo));
    let one_sign = refused("a.jpg --colormap bwr");
    assert_eq!(one_sign, UsageError::OneSign(Colormap::Bwr));
}

#[test]
fn repeated_names_count_once_and_keep_their_order() {
    let options =
        options("b.jpg a.jpg b.jpg --outputs raw,heatmap,raw -m gradcam++ -m gradcam -m gradcam++")
            .unwrap();
    assert_eq!(options.images, [Path::new("b.jpg"), Path::new("a.jpg")]);
    assert_eq!(options.outputs, [Output::Raw, Output::Heatmap]);
    assert_eq!(
        options.methods,
        [cam::Method::GradCamPlusPlus, cam::Method::GradCam].map(Method::Cam)
    );
    assert!(options.wants(Output::Raw) && !options.wants(Output::Gradcam));
}

#[test]
fn preprocessing_comes_by_name_or_by_numbers() {
    let preprocess = |line| options(line).unwrap().preprocess;
    assert_eq!(
        preprocess("a.jpg --preprocess torch"),
        Some(Preprocess::Named(Preprocessing::Torch))
    );
    let (mean, std) = ([123.68, 116.779, 103.939], [1.0; 3]);
    assert_eq!(
        preprocess("a.jpg --mean 123.68,116.779,103.939 --channels bgr"),
        Some(Preprocess::Given {
            mean,
            std,
            channels: Channels::Bgr
        })
    );
    assert_eq!(
        refused("a.jpg --channels bgr"),
        UsageError::OrderAlone(Channels::Bgr)
    );
    assert_eq!(
        preprocess("a.jpg --std 255,255,255"),
        Some(Preprocess::Given {
            mean: [0.0; 3],
            std: [255.0; 3],
            channels: Channels::Rgb
        })
    );
    assert_eq!(
        refused("a.jpg --preprocess tf --std 2,2,2"),
        UsageError::PreprocessTwice {
            name: Preprocessing::Tf,
            flag: "--std"
        }
    );
}

#[test]
fn numbers_that_cannot_be_meant_are_refused() {
    for (line, flag) in [
        ("--mean 1,inf,2", "--mean"),
        ("--std 1,0,1", "--std"),
        ("--std -1,1,1", "--std"),
    ] {
        let error = refused(&format!("a.jpg {line}"));
        assert!(
            matches!(error, UsageError::UnusableNumber { flag: named, .. } if named == flag),
            "{line}"
        );
    }
    assert_eq!(refused("a.jpg --std 1,1e-40,1"), UsageError::BeyondFloats);
    let error = refused("a.jpg --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5");
    assert!(
        error
            .to_string()
            .contains("--mean 127.5,127.5,127.5 --std 127.5,127.5,127.5"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_pass_through() {
    use std::os::unix::ffi::OsStringExt;

    let name = OsString::from_vec(b"caf\xe9.jpg".to_vec());
    let flags = Cli::try_parse_from([OsString::from("gradcam"), name.clone()])
        .unwrap()
        .explain;
    assert_eq!(
        Options::new(flags, |_| false).unwrap().images,
        [PathBuf::from(name)]
    );
}

#[test]
fn noise_is_a_number_from_zero_on() {
    assert_eq!(options("photo.jpg --noise 0").unwrap().noise, 0.0);
    for noise in ["-0.1", "inf", "NaN"] {
        let error = refused(&format!("photo.jpg --noise {noise}"));
        assert!(matches!(error, UsageError::NoiseOutOfRange(_)), "{noise}");
    }
}

#[test]
fn channels_are_given_once_as_a_number_and_once_as_an_order() {
    let both = options("a.jpg --channels 64 --channels bgr --mean 100,100,100").unwrap();
    assert_eq!(both.channels.map(NonZeroUsize::get), Some(64));
    assert!(matches!(
        both.preprocess,
        Some(Preprocess::Given {
            channels: Channels::Bgr,
            ..
        })
    ));
    let number = options("a.jpg --channels 64").unwrap();
    assert_eq!(number.preprocess, None);
    for (twice, what) in [
        ("64 --channels 65", "a number"),
        ("rgb --channels bgr", "an order"),
    ] {
        let error = options(&format!("a.jpg --channels {twice}")).unwrap_err();
        assert_eq!(error, UsageError::TwoChannels(what));
    }
}

#[test]
fn patches_of_occlusion_meet() {
    let stride = |line| options(line).map(|options| options.stride);
    assert_eq!(stride("a.jpg"), Ok(16));
    assert_eq!(stride("a.jpg --patch 9"), Ok(4));
    assert_eq!(stride("a.jpg --patch 1"), Ok(1));
    assert_eq!(stride("a.jpg --patch 8 --stride 8"), Ok(8));
    let apart = stride("a.jpg --patch 8 --stride 9").unwrap_err();
    assert!(apart.to_string().contains("make it 8 or less"), "{apart}");
}

#[test]
fn maps_that_augmenting_averages_are_of_cam_methods() {
    let both = options("a.jpg --smooth aug,eigen").unwrap();
    assert_eq!(both.smooth, [Smooth::Aug, Smooth::Eigen]);
    let none = refused("a.jpg -m occlusion --smooth aug");
    assert!(none.to_string().contains("occlusion is none"), "{none}");
}

#[test]
fn options_that_no_method_reads_are_told_with_those_that_do() {
    let told = |line: &str| -> Vec<String> {
        let unread = options(&format!("photo.jpg {line}")).unwrap().unread;
        unread.iter().map(ToString::to_string).collect()
    };
    let says = |option: &str, readers: &str| {
        vec![format!("no method asked for reads {option}; {readers}")]
    };
    assert_eq!(
        told("--channels 64"),
        says("--channels", "scorecam and ablationcam do")
    );
    assert_eq!(
        told("--samples 9"),
        says("--samples", "smoothgrad, squaregrad, vargrad and rise do")
    );
    assert_eq!(
        told("-m smoothgrad --steps 50"),
        says("--steps", "integrated-gradients does")
    );
    assert_eq!(
        told("-m vargrad -l conv4_3"),
        says("--layer", "gradcam, gradcam++, hirescam and 11 others do")
    );
    assert_eq!(
        told("-m gradient -l conv4_3 --outputs guided_gradcam"),
        [] as [&str; 0]
    );
    assert_eq!(
        told("--channels 4 --samples 9 --noise 0.1 --steps 3 --patch 8 --stride 4 --baseline white --seed 1").len(),
        8
    );
    let readers = "scorecam,smoothgrad,integrated-gradients,occlusion";
    let all = "--channels 4 --samples 9 --noise 0.1 --steps 3 --patch 8 --stride 4 --baseline white --seed 1";
    assert_eq!(told(&format!("-m {readers} {all}")), [] as [&str; 0]);
    // The order of the input's channels is another matter.
    assert_eq!(told("--channels bgr --mean 9,9,9"), [] as [&str; 0]);
}

#[test]
fn what_is_asked_of_a_class_is_told_of_each_method_that_does_not_read_it() {
    let told = |line: &str| -> Vec<String> {
        let unread = options(&format!("photo.jpg {line}")).unwrap().unread;
        unread.iter().map(ToString::to_string).collect()
    };
    // That guided backpropagation, of the usual outputs, reads it does not matter.
    assert_eq!(
        told("-m gradcam,fem --score logit"),
        [
            "fem does not read --score and gives the same without; gradcam, gradcam++, hirescam and 17 others do"
        ]
    );
    assert_eq!(
        told("-m vargrad,gradcam,fullgrad,vargrad --counterfactual"),
        [
            "vargrad and fullgrad do not read --counterfactual and give the same without; \
          gradcam, gradcam++, hirescam and 16 others do"
        ]
    );
    assert_eq!(told("-m vargrad,fullgrad --versus 1"), [] as [&str; 0]);
    // The score says which channels are tried.
    assert_eq!(told("-m scorecam --score logit").len(), 1);
    assert_eq!(
        told("-m scorecam --score logit --channels 4"),
        [] as [&str; 0]
    );
    let both = options("photo.jpg -m gradcam,eigencam --score logit --counterfactual").unwrap();
    assert_eq!(
        both.unread_by(cam::Method::EigenCam.into()),
        ["--score", "--counterfactual"]
    );
    assert_eq!(both.unread_by(cam::Method::GradCam.into()), [] as [&str; 0]);
}

#[test]
fn options_that_no_output_reads_are_told_with_those_that_do() {
    let told = |line: &str| -> Vec<String> {
        let unread = options(&format!("photo.jpg {line}")).unwrap().unread;
        unread.iter().map(ToString::to_string).collect()
    };
    let colours = "--colormap viridis --alpha 0.5";
    assert_eq!(told(&format!("{colours} --size original")), [] as [&str; 0]);
    assert_eq!(
        told(&format!("{colours} --outputs heatmap")),
        [
            "no output asked for reads --colormap; gradcam does",
            "no output asked for reads --alpha; gradcam does"
        ]
    );
    // Its values have colours of their own.
    assert_eq!(
        told("-m gradient --colormap viridis"),
        ["no method asked for reads --colormap; gradcam, gradcam++, hirescam and 13 others do"]
    );
    assert_eq!(told("-m gradient,fem --colormap viridis"), [] as [&str; 0]);
    assert_eq!(
        told("--outputs raw --size original --format png"),
        [
            "no output asked for reads --format; \
             heatmap, gradcam, segmented, guided_bprop and guided_gradcam do",
            "no output asked for reads --size; \
             heatmap, heatmap16, gradcam and 4 others do"
        ]
    );
}

/// The help says them in words.
#[test]
fn numbers_that_are_not_given_are_the_usual_ones() {
    let options = options("photo.jpg").unwrap();
    let pixels = attribution::Settings::default();
    assert_eq!((options.noise, options.steps, options.seed), (0.15, 50, 0));
    assert_eq!(
        (pixels.noise, pixels.steps, pixels.samples, pixels.seed),
        (0.15, 50, 25, 0)
    );
    let masks = perturbation::Settings::default();
    assert_eq!((options.patch, options.stride), (masks.patch, masks.stride));
    assert_eq!((masks.patch, masks.masks), (32, 1000));
    assert_eq!(options.baseline, Baseline::Mean);
}
