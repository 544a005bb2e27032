//! Wrong usage, help, version and completions.

use crate::harness::{Folder, Run, json_lines};

/// A line that only its reader can have meant otherwise: exit code 2, nothing on standard output, nothing written.
#[track_caller]
fn assert_wrong_usage(line: &str, parts: &[&str]) {
    let folder = Folder::new();
    folder.put("two.npy", &folder.read("tiny.npy"));
    let before = folder.contents();
    let run = folder.run(line);
    run.exits(2);
    assert_eq!(run.stdout, "", "{run:#?}");
    for part in parts {
        assert!(run.stderr.contains(part), "`{part}` is missing: {run:#?}");
    }
    assert!(folder.contents() == before, "{line}");
}

#[test]
fn no_arguments_at_all_show_the_usage_as_an_error() {
    assert_wrong_usage("", &["gradcam [OPTIONS] IMAGE... [WEIGHTS] [TOP_N]"]);
}

#[test]
fn no_classes_are_wrong_usage_and_too_many_are_told_how_many_there_are() {
    assert_wrong_usage("cat.png tiny.npy 0", &["0 classes", "starts at 1"]);
    for number in ["0", "-1", "some", "1.5"] {
        let invalid = format!("invalid value '{number}'");
        let line = format!("cat.png tiny.npy -n {number}");
        assert_wrong_usage(&line, &[&invalid, "write a whole number from 1\n"]);
    }
    assert_wrong_usage("cat.png tiny.npy 99999999999999999999", &["too large"]);
    let folder = Folder::new();
    for line in [
        "cat.png tiny.npy 6",
        "cat.png tiny.npy -n 6",
        "cat.png -w tiny.npy -n 1000000000000",
    ] {
        folder.refuses(
            line,
            1,
            &["classes asked for, tiny.npy has 5", "from 1 to 5"],
        );
    }
    folder.refuses("cat.png tiny.npy -c -1", 1, &["`-1`", "0 to 4"]);
    folder.refuses(
        "cat.png 22",
        1,
        &["22 classes asked for, the built-in network has 21"],
    );
}

#[test]
fn a_line_without_a_picture_is_told_how_it_goes() {
    assert_wrong_usage(
        "tiny.npy",
        &["no picture named", "gradcam photo.jpg tiny.npy"],
    );
    assert_wrong_usage("5", &["no picture named", "./5"]);
    assert_wrong_usage(
        "--json",
        &["no picture named", "IMAGE... [WEIGHTS] [TOP_N]"],
    );
}

#[test]
fn contradictions_between_arguments_are_wrong_usage() {
    assert_wrong_usage(
        "cat.png tiny.npy two.npy",
        &["two weights files, tiny.npy and two.npy"],
    );
    assert_wrong_usage("cat.png tiny.npy -w two.npy", &["two weights files"]);
    assert_wrong_usage(
        "cat.png tiny.npy toe.npy",
        &["no such file: toe.npy", "tiny.npy is a weights file too"],
    );
    assert_wrong_usage("cat.png tiny.npy 2 -n 3", &["given twice, 2 and --top-n 3"]);
    assert_wrong_usage("cat.png tiny.npy 2 -c 1", &["drop --class, or the 2"]);
    assert_wrong_usage(
        "cat.png --preprocess caffe --mean 0,0,0",
        &["drop one of the two"],
    );
    assert_wrong_usage("-q adapters", &["adapters"]);
    assert_wrong_usage(
        "cat.png adapters",
        &["a command comes first: gradcam adapters"],
    );
}

#[test]
fn values_out_of_range_or_unknown_are_wrong_usage() {
    assert_wrong_usage("cat.png --alpha 1.5", &["--alpha 1.5 is not a share"]);
    assert_wrong_usage("cat.png --std 0,1,1", &["--std 0 cannot be used"]);
    assert_wrong_usage(
        "cat.png --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
        &["multiply them by 255"],
    );
    assert_wrong_usage("cat.png --mean 1,2", &["2 numbers where three are needed"]);
    assert_wrong_usage("cat.png --outputs heatmaps", &["heatmap", "guided_gradcam"]);
    assert_wrong_usage("cat.png --method gradcan", &["gradcam++"]);
    assert_wrong_usage("cat.png --format gif", &["png", "webp"]);
    assert_wrong_usage("cat.png --colour jet", &["unexpected argument", "--help"]);
    assert_wrong_usage("cat.png --samples 0", &["'0'", "--samples", "1 to 1000000"]);
    assert_wrong_usage(
        "cat.png -m smoothgrad --samples 18446744073709551615",
        &["--samples", "1 to 1000000"],
    );
    assert_wrong_usage(
        "cat.png --patch 0",
        &["write a whole number from 1 to 4096"],
    );
    assert_wrong_usage(
        "cat.png --steps some",
        &["write a whole number from 1 to 1000000"],
    );
    assert_wrong_usage("cat.png --seed -1", &["write a whole number from 0\n"]);
    for option in ["--steps", "--patch", "--stride", "--input-size", "--seed"] {
        let line = format!("cat.png {option} -1");
        assert_wrong_usage(&line, &["invalid value '-1'", option]);
    }
    assert_wrong_usage(
        "bench tiny.npy --batch 99999999999",
        &["--batch", "1 to 4096"],
    );
    for command in ["cat.png", "bench"] {
        let empty = Run::of(&mut Folder::new().command(&[command, "--adapter", ""]));
        empty.exits(2);
        let required = "a value is required for '--adapter <TEXT>'";
        assert!(empty.stderr.contains(required), "{empty:#?}");
    }
    assert_wrong_usage("completions shellfish", &["bash", "zsh", "fish"]);
}

#[test]
fn names_of_closed_lists_are_read_in_any_spelling() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 -m GradCAM,HiResCAM --outputs Heat-Map --format PNG";
    folder.prints(&format!(
        "{line} --fit Crop --size Model --preprocess Caffe --score Logit"
    ));
    let names = ["heatmap", "hirescam_heatmap"];
    assert_eq!(
        folder.names(),
        names.map(|name| format!("cat_0_1_class_1_0.797_{name}.png"))
    );
    let plain = folder.json("cat.png tiny.npy -c 1 -m gradcam++,guided-bprop --outputs raw");
    for methods in [
        "GradCAMPlusPlus,GuidedBackprop",
        "grad-cam++,guided_bprop",
        "gradcampp,Guided-Backpropagation",
    ] {
        let line = format!("cat.png tiny.npy -c 1 -m {methods} --outputs raw");
        assert_eq!(
            folder.json(&line)[0]["classes"],
            plain[0]["classes"],
            "{methods}"
        );
    }
    assert_wrong_usage("cat.png tiny.npy -m ScoreCAN", &["scorecam"]);
}

#[test]
fn more_channels_than_there_are_are_told() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 --outputs heatmap -m ablationcam --channels";
    let run = folder.run(&format!("{line} 9999"));
    run.exits(0);
    let note = "note: --channels 9999: conv5_3 has 8, and all of them are tried\n";
    assert!(run.stderr.contains(note), "{run:#?}");
    let run = folder.run(&format!("{line} 8"));
    assert!(!run.stderr.contains("all of them"), "{run:#?}");
}

#[test]
fn a_word_that_is_nearly_a_command_is_told_it() {
    assert_wrong_usage("hlep", &["no such file: hlep", "gradcam help"]);
    assert_wrong_usage("adpaters", &["gradcam adapters"]);
    assert_wrong_usage("cat.png help", &["gradcam help"]);
}

#[test]
fn an_option_that_no_method_reads_is_told_and_changes_nothing() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 --outputs heatmap";
    let plain = folder.json(line).remove(0);
    assert!(plain.get("unread").is_none(), "{plain}");
    let run = folder.run(&format!("{line} --json --steps 7 --channels 3"));
    run.exits(0);
    let notes: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(
        notes,
        [
            "note: no method asked for reads --channels; scorecam and ablationcam do",
            "note: no method asked for reads --steps; integrated-gradients does",
        ]
    );
    let told = json_lines(&run.stdout).remove(0);
    assert_eq!(told["unread"], serde_json::json!(["--channels", "--steps"]));
    assert_eq!(told["classes"], plain["classes"]);
    folder.prints(&format!("{line} --steps 7 -q"));
}

#[test]
fn an_empty_name_is_an_unset_variable_most_likely() {
    let folder = Folder::new();
    let run = Run::of(&mut folder.command(&["cat.png", ""]));
    run.fails(2, &["one of the names is empty", "variable"]);
}

#[test]
fn of_pictures_whose_files_would_have_one_name_the_first_is_explained() {
    let folder = Folder::new();
    folder.put("day/cat.png", &folder.read("cat.png"));
    folder.put("night/cat.png", &folder.read("cat.png"));
    folder.put("night/owl.png", &folder.read("cat.png"));
    let both = "day/cat.png and night/cat.png would write files of the same names in maps";
    let line = "tiny.npy -o maps -c 1 --outputs heatmap";
    for pictures in ["day/cat.png night/cat.png night/owl.png", "day night"] {
        let run = folder.run(&format!("{pictures} {line} --json"));
        run.exits(1);
        let errors = run.errors();
        assert!(
            errors.len() == 1 && errors[0].contains(both) && errors[0].contains("rename one"),
            "{run:#?}"
        );
        let reports = json_lines(&run.stdout);
        let images: Vec<_> = reports.iter().map(|report| &report["image"]).collect();
        assert_eq!(images, ["day/cat.png", "night/cat.png", "night/owl.png"]);
        assert!(reports[1]["error"].as_str().unwrap().contains(both));
    }
    folder.prints("day night tiny.npy -c 1 --outputs heatmap -q");
    assert!(
        folder
            .names()
            .contains(&"night/cat_0_1_class_1_0.797_heatmap.png".to_owned())
    );
}

#[test]
fn help_and_version_are_results() {
    let folder = Folder::empty();
    let short = folder.prints("-h");
    let long = folder.prints("--help");
    for option in [
        "--weights",
        "--top-n",
        "--class",
        "--outputs",
        "--json",
        "--adapter",
        "Examples:",
    ] {
        assert!(short.contains(option) && long.contains(option), "{option}");
    }
    assert!(long.len() > short.len());
    // Averages of scaled maps are no maps before scaling.
    for way in ["--smooth", "--fuse"] {
        let after = long.split_once(&format!("      {way} <HOW>")).unwrap().1;
        let help = after.split("\n      --").next().unwrap();
        let words: Vec<&str> = help.split_whitespace().collect();
        let words = words.join(" ");
        assert!(
            words.contains("scaled to 0..1") && words.contains("`--outputs raw` writes"),
            "{words}"
        );
    }
    assert!(folder.prints("help adapters").contains("--json"));
    assert_eq!(
        folder.prints("--version"),
        format!("gradcam {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(folder.names(), [] as [&str; 0]);
}

#[test]
fn every_shell_gets_its_completions() {
    let folder = Folder::empty();
    for (shell, sign) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef gradcam"),
        ("fish", "complete -c gradcam"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let script = folder.prints(&format!("completions {shell}"));
        assert!(
            script.contains(sign) && script.contains("out-dir"),
            "{shell}"
        );
    }
}

#[test]
fn the_short_help_fits_a_screen_and_the_long_one_has_everything() {
    let folder = Folder::empty();
    let short = folder.prints("-h");
    let lines = short.lines().count();
    assert!(lines <= 50, "{lines} lines:\n{short}");
    for word in [
        "--class",
        "--method",
        "--outputs",
        "--boxes",
        "Examples:",
        "gradcam photo.jpg",
    ] {
        assert!(short.contains(word), "{word} is missing in: {short}");
    }
    let long = folder.prints("--help");
    let headings = [
        "What is explained:",
        "How methods work:",
        "What is written:",
        "Boxes and masks:",
        "What the network sees:",
        "Where it runs:",
        "Examples:",
    ];
    for word in headings
        .into_iter()
        .chain(["--mean", "--box-area", "--verbose", "--tiles"])
    {
        assert!(long.contains(word), "{word} is missing in: {long}");
    }
}

#[test]
fn manual_pages_are_made_of_the_same_definitions() {
    let folder = Folder::empty();
    let page = folder.prints("man");
    assert!(page.contains(".TH gradcam 1"), "{page}");
    for part in [
        ".SH SYNOPSIS",
        "box\\-threshold",
        "gradcam holiday/",
        "What the network sees",
    ] {
        assert!(
            page.to_lowercase().contains(&part.to_lowercase()),
            "{part} is missing in: {page}"
        );
    }
    let of_command = folder.prints("man bench");
    assert!(
        of_command.contains("weights\\-dtype") && !of_command.contains("counterfactual"),
        "{of_command}"
    );
    folder.refuses("man walk", 2, &["no command is called walk"]);
}
