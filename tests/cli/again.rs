//! Methods that run the network again, and their options.

use crate::harness::Folder;

#[test]
fn what_is_hidden_or_tried_is_drawn_as_a_map() {
    let folder = Folder::new();
    let options = "--patch 112 --samples 3 --channels 2 --outputs heatmap,segmented,raw -c 1";
    let methods = "-m occlusion,rise -m scorecam -m ablationcam";
    let run = folder.run(&format!("cat.png tiny.npy {methods} {options}"));
    run.exits(0);
    for (name, size) in [
        ("occlusion", 224),
        ("rise", 224),
        ("scorecam", 14),
        ("ablationcam", 14),
    ] {
        let stem = format!("cat_0_1_class_1_0.797_{name}");
        let (map, shape) = folder.array(&format!("{stem}.npy"));
        assert_eq!(shape, [size, size], "{name}");
        assert!(map.iter().any(|&v| v != map[0]), "{name} shows no place");
        for suffix in ["heatmap", "segmented"] {
            let drawn = folder.picture(&format!("{stem}_{suffix}.png"));
            assert_eq!(drawn.dimensions(), (224, 224), "{name}");
        }
    }
    // Patches of 112 every 56 pixels are 3 x 3; 3 masks; 2 channels, and after the target next to nothing.
    let notes = &run.stderr;
    for note in [
        "15 passes through the network",
        "the 2 channels tried hold ",
        " % of the weight for class_1, to first order",
    ] {
        assert!(notes.contains(note), "{note:?} is missing in: {notes}");
    }
}

#[test]
fn the_same_seed_hides_the_same_and_another_does_not() {
    let folder = Folder::new();
    let map = |options: &str| {
        let line = "cat.png tiny.npy -q -m rise --samples 2 --outputs raw -c 1";
        folder.prints(&format!("{line} {options}"));
        folder.array("cat_0_1_class_1_0.797_rise.npy").0
    };
    let first = map("");
    assert_eq!(first, map("--seed 0"));
    assert_ne!(first, map("--seed 1"));
    assert_ne!(first, map("--baseline white"));
}

/// Scores are all above zero, their logarithms all below: RISE tells by differences.
#[test]
fn rise_is_drawn_from_its_least_value_up_whatever_the_sign() {
    let folder = Folder::new();
    let file = |suffix: &str| format!("cat_0_1_class_1_0.797{suffix}");
    for (options, infix) in [
        ("", ""),
        ("--score logprob", ""),
        ("--counterfactual", "_counterfactual"),
    ] {
        let line = "cat.png tiny.npy -q -m rise --samples 5 --outputs heatmap,raw -c 1";
        let report = folder.json(&format!("{line} {options}")).remove(0);
        let map = &report["classes"][0]["maps"][0];
        assert_eq!(map["verdict"], "ok", "{options}: {map}");
        let (values, _) = folder.array(&file(&format!("{infix}_rise.npy")));
        let drawn = folder.picture(&file(&format!("{infix}_rise_heatmap.png")));
        let least = values.iter().copied().fold(f32::INFINITY, f32::min);
        let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (value, pixel) in values.iter().zip(drawn.pixels()) {
            let share = 255.0 * (value - least) / (most - least);
            assert!((f32::from(pixel[0]) - share).abs() <= 1.0, "{options}");
        }
    }
}

#[test]
fn advice_for_an_empty_map_fits_its_method() {
    let folder = Folder::new();
    for (method, advice) in [
        ("vargrad --samples 1", "try --samples 2 or more"),
        ("vargrad --samples 2 --noise 0", "try a --noise above 0"),
    ] {
        let line = format!("cat.png tiny.npy -c 1 --outputs heatmap -m {method}");
        let run = folder.run(&line);
        run.exits(0);
        assert!(run.stderr.contains(advice), "{run:#?}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let folder = Folder::new();
    for (options, part) in [
        ("--patch 8 --stride 9", "make it 8 or less"),
        ("--channels 3 --channels 4", "--channels is given twice"),
        ("-m occlusion --smooth aug", "occlusion is none"),
    ] {
        folder.refuses(&format!("cat.png tiny.npy {options}"), 2, &[part]);
    }
}
