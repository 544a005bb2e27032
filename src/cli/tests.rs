//! What clap takes and refuses.

use clap::ValueEnum;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::*;
use crate::methods::cam;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

fn refused(line: &str) -> clap::Error {
    parse(line).expect_err(line)
}

#[test]
fn clap_finds_the_definition_sound() {
    command().debug_assert();
}

#[test]
fn pictures_and_commands_live_side_by_side() {
    let cli = parse("gradcam photo.jpg VGG16.npy 5").unwrap();
    assert!(cli.command.is_none());
    assert_eq!(cli.explain.inputs, ["photo.jpg", "VGG16.npy", "5"]);
    assert!(matches!(
        parse("gradcam adapters --json").unwrap().command,
        Some(Command::Adapters { json: true })
    ));
    assert_eq!(
        parse("gradcam ./adapters").unwrap().explain.inputs,
        ["./adapters"]
    );
    assert_eq!(
        parse("gradcam photo.jpg adapters").unwrap().explain.inputs,
        ["photo.jpg", "adapters"]
    );
}

#[test]
fn no_arguments_show_the_help_as_wrong_usage() {
    let error = refused("gradcam");
    assert_eq!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    assert_eq!(error.exit_code(), 2);
    assert!(
        error
            .to_string()
            .contains("gradcam [OPTIONS] IMAGE... [WEIGHTS] [TOP_N]")
    );
}

#[test]
fn options_may_stand_before_or_after_the_pictures() {
    for line in [
        "gradcam -n 5 -c cat -c dog photo.jpg",
        "gradcam photo.jpg -n 5 -c cat -c dog",
    ] {
        let flags = parse(line).unwrap().explain;
        assert_eq!(flags.top_n, Some(5));
        assert_eq!(flags.classes, ["cat", "dog"]);
        assert_eq!(flags.inputs, ["photo.jpg"]);
    }
}

#[test]
fn defaults_are_those_of_the_original_program() {
    let flags = parse("gradcam photo.jpg").unwrap().explain;
    assert_eq!(flags.methods, [Method::Cam(cam::Method::GradCam)]);
    assert_eq!(
        (flags.score, flags.versus, flags.counterfactual),
        (None, None, false)
    );
    assert_eq!(flags.outputs, []);
    assert_eq!(
        (flags.size, flags.fit, flags.colormap),
        (None, Fit::Crop, None)
    );
}

#[test]
fn lists_take_commas_and_repetition() {
    let flags =
        parse("gradcam a.jpg --outputs raw,guided-bprop --outputs heatmap -m gradcam -m gradcam++")
            .unwrap();
    assert_eq!(
        flags.explain.outputs,
        [Output::Raw, Output::GuidedBprop, Output::Heatmap].map(Outputs::One)
    );
    assert_eq!(
        flags.explain.methods,
        [cam::Method::GradCam, cam::Method::GradCamPlusPlus].map(Method::Cam)
    );
}

#[test]
fn a_mistyped_value_is_answered_with_the_nearest() {
    for (line, nearest) in [
        ("gradcam a.jpg --backend vulcan", "vulkan"),
        ("gradcam a.jpg --method gradcan", "gradcam"),
        ("gradcam a.jpg --outputs heatmap,segment", "segmented"),
        ("gradcam a.jpg --preprocess cafe", "caffe"),
    ] {
        let error = refused(line);
        assert_eq!(
            (error.kind(), error.exit_code()),
            (ErrorKind::InvalidValue, 2)
        );
        let Some(ContextValue::String(suggested)) = error.get(ContextKind::SuggestedValue) else {
            panic!("no suggestion: {error}");
        };
        assert_eq!(suggested, nearest);
    }
    assert!(
        refused("gradcam a.jpg --colourmap jet")
            .to_string()
            .contains("--colormap")
    );
}

#[test]
fn negative_numbers_reach_the_rules() {
    let flags = parse("gradcam a.jpg --mean -1,0,2.5 --alpha -1")
        .unwrap()
        .explain;
    assert_eq!(flags.mean, Some([-1.0, 0.0, 2.5]));
    assert_eq!(flags.alpha, Some(-1.0));
    assert!(
        refused("gradcam a.jpg -n -1")
            .to_string()
            .contains("invalid value '-1'")
    );
}

#[test]
fn a_word_after_an_option_is_its_value_if_it_takes_one() {
    for word in ["-o", "-qo", "--out-dir", "--out", "-m", "--mean"] {
        assert!(takes_value(word.as_ref()), "{word}");
    }
    for word in [
        "-q",
        "--json",
        "--out-dir=maps",
        "--boxes",
        "--",
        "-",
        "photo.jpg",
        "o",
    ] {
        assert!(!takes_value(word.as_ref()), "{word}");
    }
}

#[test]
fn every_shell_gets_a_completion_script() {
    for shell in Shell::value_variants() {
        let script = String::from_utf8(completion_script(*shell)).unwrap();
        assert!(script.contains("out-dir"), "{shell}");
    }
}
