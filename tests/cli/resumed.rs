//! Runs of many pictures that are stopped, resumed, divided and joined: what is kept of them, and that it is the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Folder, Run, json_lines};
#[cfg(target_os = "linux")]
use crate::harness::{more_than_at_work, put_pipe};

const ASK: &str = "tiny.npy -c 1 --outputs heatmap,segmented -r -o maps";

/// What a picture's heat map is called behind its stem.
const END: &str = "_0_1_class_1_0.797_heatmap.png";

/// A tree of so many pictures, and one of them that is none.
fn tree(pictures: usize) -> Folder {
    let folder = Folder::new();
    for i in 0..pictures {
        folder.put(format!("in/{}/{i:02}.png", i % 3), &folder.read("cat.png"));
    }
    folder.put("in/1/bad.png", b"no picture");
    folder
}

/// A line without its times.
fn timeless(line: &str) -> String {
    let mut value: Value = serde_json::from_str(line).unwrap();
    if let Some(report) = value.as_object_mut() {
        report.shift_remove("timings_ms");
    }
    value.to_string()
}

/// The manifest's lines without their times; each must be whole.
fn manifest(folder: &Folder, name: &str) -> Vec<String> {
    let text = String::from_utf8(folder.read(name)).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    json_lines(&text);
    text.lines().map(timeless).collect()
}

/// Everything below `maps`, the manifest without its times.
fn results(folder: &Folder) -> BTreeMap<PathBuf, Vec<u8>> {
    let contents = folder.contents().into_iter();
    let below = contents.filter(|(path, _)| path.starts_with("maps"));
    let files = below.filter_map(|(path, content)| {
        let content = match path.extension().is_some_and(|e| e == "jsonl") {
            true => manifest(folder, path.to_str()?).join("\n").into_bytes(),
            false => content?,
        };
        Some((path, content))
    });
    files.collect()
}

#[test]
fn the_manifest_has_the_lines_of_the_json_in_order_and_their_status() {
    let folder = tree(4);
    let run = folder.run(&format!("in {ASK} --json -q"));
    run.exits(1);
    let printed = json_lines(&run.stdout);
    let kept: Vec<Value> = manifest(&folder, "maps/manifest.jsonl")
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(kept.len(), 5);
    for (place, (mut kept, mut printed)) in kept.into_iter().zip(printed).enumerate() {
        let line = kept.as_object_mut().unwrap();
        let status = if printed.get("error").is_some() {
            "failed"
        } else {
            "ok"
        };
        assert_eq!(line.shift_remove("status").unwrap(), status);
        assert_eq!(line.shift_remove("place").unwrap(), place);
        assert_eq!(line.shift_remove("of").unwrap(), 5);
        let settings = line.shift_remove("run").unwrap();
        assert_eq!(
            settings["outputs"],
            serde_json::json!(["heatmap", "segmented"])
        );
        printed.as_object_mut().unwrap().shift_remove("timings_ms");
        assert_eq!(kept, printed);
    }
    // One picture that was named is no run of many.
    folder.prints("cat.png tiny.npy -c 1 --outputs heatmap -o single -q");
    assert!(!folder.names().contains(&"single/manifest.jsonl".to_owned()));
}

#[test]
fn the_table_has_a_row_for_each_map_and_each_failure() {
    let folder = tree(2);
    folder.put("in/1/a, \"b\".png", &folder.read("cat.png"));
    let run = folder.run("in tiny.npy 2 -r --outputs raw -m gradcam,gradcam++ --csv table.csv -q");
    run.exits(1);
    let text = String::from_utf8(folder.read("table.csv")).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[0].starts_with("image,image_bytes,status,error,rank,class_id,"));
    // Three pictures of two classes and two methods, and one that failed.
    assert_eq!(rows.len(), 1 + 3 * 2 * 2 + 1);
    assert!(
        rows[1].starts_with("in/0/00.png,,ok,,0,1,class_1,,0.7965"),
        "{}",
        rows[1]
    );
    assert!(rows[1].contains(",gradcam,") && rows[2].contains(",gradcam++,"));
    assert!(text.contains("\n\"in/1/a, \"\"b\"\".png\",,ok,"));
    assert!(text.contains("\nin/1/bad.png,,failed,\"in/1/bad.png is not a picture"));
    folder.refuses(
        "in tiny.npy -r --csv tiny.npy",
        1,
        &["tiny.npy: this file is read"],
    );
}

/// How often runs are killed: few in every test, more where the environment says so.
fn kills() -> u64 {
    let asked = std::env::var("GRADCAM_TEST_KILLS").ok();
    asked.map_or(3, |count| count.parse().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn killed_at_any_moment_and_resumed_the_result_is_that_of_an_undisturbed_run() {
    let folder = tree(12);
    let line = format!("in {ASK} --csv maps/table.csv -q");
    let start = Instant::now();
    folder.run(&line).exits(1);
    // How late a run is killed at most. A machine may be any fast: later after each kill, so that a start is not all there ever
    // is; sooner after each run that came to its end, so that some are killed.
    let mut latest = start.elapsed();
    let undisturbed = results(&folder);
    // Moments that differ and that a failure can be had again with.
    let mut seed = 1_u64;
    let mut killed = 0;
    while killed < kills() {
        fs::remove_dir_all(folder.path().join("maps")).unwrap();
        loop {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let arguments: Vec<&str> = line.split(' ').chain(["--resume"]).collect();
            let mut command = folder.command(&arguments);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            let share = f64::from((seed >> 32) as u32) / f64::from(u32::MAX);
            thread::sleep(latest.mul_f64(share));
            if child.try_wait().unwrap().is_some() {
                latest = latest.mul_f64(0.75);
                break;
            }
            killed += 1;
            if killed % 4 == 0 {
                // Now and then a resumed run comes to its end.
                child.wait().unwrap();
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            latest = latest.mul_f64(1.1);
        }
        folder.run(&format!("{line} --resume")).exits(1);
        let resumed = results(&folder);
        let names =
            |results: &BTreeMap<PathBuf, Vec<u8>>| results.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&resumed), names(&undisturbed), "after {killed} kills");
        for (path, content) in &resumed {
            let same = undisturbed[path] == *content;
            assert!(same, "{} differs after {killed} kills", path.display());
        }
    }
}

#[test]
fn what_failed_or_lost_its_files_is_done_again_and_takes_its_place() {
    let folder = tree(4);
    folder
        .run(&format!("in {ASK} --json --csv maps/table.csv"))
        .exits(1);
    fs::remove_file(folder.path().join(format!("maps/0/03{END}"))).unwrap();
    folder.put(format!("maps/2/02{END}"), b"");
    folder.put("in/1/bad.png", &folder.read("cat.png"));
    let run = folder.run(&format!("in {ASK} --resume --json --csv maps/table.csv"));
    run.exits(0);
    assert!(
        run.stderr
            .contains("note: maps/manifest.jsonl: 2 of 5 pictures are done"),
        "{run:#?}"
    );
    let done: Vec<Value> = json_lines(&run.stdout)
        .iter()
        .map(|line| line["image"].clone())
        .collect();
    assert_eq!(done, ["in/0/03.png", "in/1/bad.png", "in/2/02.png"]);
    let resumed = results(&folder);
    fs::remove_dir_all(folder.path().join("maps")).unwrap();
    folder.run(&format!("in {ASK} --json --csv maps/table.csv"));
    assert!(resumed == results(&folder));
    // Nothing is left to do.
    let run = folder.run(&format!("in {ASK} --resume --json --csv maps/table.csv"));
    run.exits(0);
    assert_eq!(run.stdout, "");
    assert!(resumed == results(&folder));
}

#[test]
fn a_picture_that_changed_is_explained_again_and_one_that_was_only_touched_is_not() {
    let folder = tree(4);
    folder.run(&format!("in {ASK} -q")).exits(1);
    let mut other = folder.picture("in/0/03.png");
    image::imageops::invert(&mut other);
    other.save(folder.path().join("in/0/03.png")).unwrap();
    folder.put("in/2/02.png", &folder.read("in/2/02.png"));
    let run = folder.run(&format!("in {ASK} --resume --json"));
    run.exits(1);
    for note in [
        "note: maps/manifest.jsonl: 3 of 5 pictures are done",
        "note: 1 picture has changed since: explained again; earlier files of another name stay where they are",
    ] {
        assert!(run.stderr.lines().any(|line| line == note), "{run:#?}");
    }
    let done = json_lines(&run.stdout);
    assert_eq!(done.len(), 2);
    assert_eq!(done[0]["image"], "in/0/03.png");
    let resumed = manifest(&folder, "maps/manifest.jsonl");
    fs::remove_dir_all(folder.path().join("maps")).unwrap();
    folder.run(&format!("in {ASK} -q")).exits(1);
    assert_eq!(resumed, manifest(&folder, "maps/manifest.jsonl"));
}

#[test]
fn new_pictures_of_a_resumed_run_take_their_places_among_the_others() {
    let folder = tree(12);
    fs::remove_file(folder.path().join("in/1/bad.png")).unwrap();
    folder.prints(&format!("in {ASK} -q"));
    folder.put("in/0/new.png", &folder.read("cat.png"));
    folder.prints(&format!("in {ASK} -q --resume"));
    let resumed = results(&folder);
    fs::remove_dir_all(folder.path().join("maps")).unwrap();
    folder.prints(&format!("in {ASK} -q"));
    assert!(resumed == results(&folder));
}

#[test]
fn a_run_with_other_settings_is_not_gone_on_with() {
    let folder = tree(2);
    fs::remove_file(folder.path().join("in/1/bad.png")).unwrap();
    folder.prints(&format!("in {ASK} -q"));
    let mut other = crate::harness::Tiny::new().bytes();
    other.extend(b" ");
    folder.put("other.npz.npy", &folder.read("tiny.npy"));
    for (more, said) in [
        (
            "-m hirescam",
            "method was gradcam there and is hirescam here",
        ),
        ("--seed 5", "seed was 0 there and is 5 here"),
        ("--format jpg", "format was not given there and is jpg here"),
    ] {
        let line = format!("in {ASK} --resume {more}");
        folder.refuses(
            &line,
            2,
            &["maps/manifest.jsonl: ", said, "type the same settings"],
        );
    }
    fs::rename(folder.path().join("in/0"), folder.path().join("in/9")).unwrap();
    let parts = ["1 of its pictures are not among those that were named, in/0/00.png first"];
    folder.refuses(&format!("in {ASK} --resume"), 2, &parts);
    folder.put("maps/manifest.jsonl", b"{}\n");
    folder.refuses(
        &format!("in {ASK} --resume"),
        1,
        &["maps/manifest.jsonl, line 1: not a line of a manifest"],
    );
    folder.refuses("in tiny.npy --resume", 2, &["--out-dir"]);
}

#[test]
fn a_run_without_a_manifest_is_resumed_from_its_beginning() {
    let folder = tree(1);
    let run = folder.run(&format!("in {ASK} --resume"));
    run.exits(1);
    assert!(
        run.stderr
            .contains("note: maps/manifest.jsonl is not there: all pictures are explained"),
        "{run:#?}"
    );
    // And a run that is not resumed says whose results it replaces.
    let run = folder.run(&format!("in {ASK}"));
    assert!(
        run.stderr
            .contains("manifest.jsonl of an earlier run is replaced; --resume would go on"),
        "{run:#?}"
    );
}

#[test]
fn parts_joined_are_the_whole() {
    let folder = tree(7);
    folder
        .run(&format!("in {ASK} -q --csv maps/table.csv"))
        .exits(1);
    let whole = results(&folder);
    fs::remove_dir_all(folder.path().join("maps")).unwrap();
    // Of a command its pictures tell all words but those of parts.
    let first = folder.run(&format!("in {ASK} -q --csv maps/table.csv --shard 1/2"));
    assert_eq!(manifest(&folder, "maps/manifest-1-of-2.jsonl").len(), 4);
    let missing = folder.run("merge maps");
    missing.exits(1);
    assert_eq!(
        missing.stdout,
        format!(
            "maps{}manifest.jsonl: 8 pictures, {} ok, {} failed, 4 missing\npart 2/2: all of its 4 pictures are missing\n",
            std::path::MAIN_SEPARATOR,
            4 - usize::from(first.code == Some(1)),
            usize::from(first.code == Some(1))
        )
    );
    let mut command = folder.command(
        &format!("in {ASK} -q --csv maps/table.csv --shard=slurm")
            .split(' ')
            .collect::<Vec<_>>(),
    );
    for (variable, value) in [("ID", "1"), ("MIN", "0"), ("MAX", "1"), ("COUNT", "2")] {
        command.env(format!("SLURM_ARRAY_TASK_{variable}"), value);
    }
    Run::of(&mut command);
    let joined = folder.run("merge maps --csv maps/table.csv");
    joined.exits(1);
    assert!(
        joined
            .stdout
            .ends_with("manifest.jsonl: 8 pictures, 7 ok, 1 failed, 0 missing\n"),
        "{joined:#?}"
    );
    for part in ["1-of-2", "2-of-2"] {
        for name in [
            format!("manifest-{part}.jsonl"),
            format!("table-{part}.csv"),
        ] {
            fs::remove_file(folder.path().join("maps").join(name)).unwrap();
        }
    }
    assert!(results(&folder) == whole);
}

#[test]
fn manifests_of_different_runs_are_not_joined() {
    let folder = tree(3);
    folder.run(&format!("in {ASK} -q --shard 1/2"));
    folder.run(&format!("in {ASK} -q --shard 2/2 --seed 1"));
    folder.refuses(
        "merge all.jsonl maps/manifest-1-of-2.jsonl maps/manifest-2-of-2.jsonl",
        2,
        &["seed was 0 there and is 1 here"],
    );
    fs::remove_file(folder.path().join("in/0/00.png")).unwrap();
    folder.run(&format!("in {ASK} -q --shard 2/2"));
    folder.refuses("merge maps", 2, &["not parts of one run"]);
    folder.refuses("merge in", 1, &["no manifest of a part"]);
    folder.refuses(
        "merge all.jsonl absent.jsonl",
        1,
        &["cannot read absent.jsonl"],
    );
}

/// The command in a shell that lets files grow to so many kilobytes.
#[cfg(target_os = "linux")]
fn limited(folder: &Folder, kilobytes: usize, line: &str) -> Run {
    let script = format!(
        r#"trap "" XFSZ; ulimit -f {}; exec "$0" {line}"#,
        2 * kilobytes
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_gradcam")])
        .current_dir(folder.path())
        .env_remove("XDG_RUNTIME_DIR");
    Run::of(&mut command)
}

#[cfg(target_os = "linux")]
#[test]
fn a_manifest_that_cannot_grow_ends_the_run_with_whole_lines_and_is_gone_on_with() {
    let folder = tree(45);
    let line = "in tiny.npy -c 1 --outputs heatmap -r -o maps";
    let run = limited(&folder, 32, line);
    run.exits(1);
    let errors = run.errors();
    let last = errors.last().unwrap();
    assert!(
        last.contains("maps/manifest.jsonl: cannot be written"),
        "{run:#?}"
    );
    let kept = manifest(&folder, "maps/manifest.jsonl").len();
    assert!((1..45).contains(&kept), "{kept}");
    folder.run(&format!("{line} --resume -q")).exits(1);
    assert_eq!(manifest(&folder, "maps/manifest.jsonl").len(), 46);
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_that_stops_taking_files_fails_its_pictures_alone() {
    let folder = tree(6);
    // The folder of some pictures is a file by the time that they are written.
    folder.put("maps/1", b"");
    let run = folder.run(&format!("in {ASK} --json -q"));
    run.exits(1);
    let failed: Vec<Value> = json_lines(&run.stdout)
        .into_iter()
        .filter(|line| line.get("error").is_some())
        .map(|line| line["image"].clone())
        .collect();
    assert_eq!(failed, ["in/1/01.png", "in/1/04.png", "in/1/bad.png"]);
    assert_eq!(manifest(&folder, "maps/manifest.jsonl").len(), 7);
}

/// A folder of pictures behind a pipe, at which the run waits.
#[cfg(target_os = "linux")]
fn waiting(folder: &Folder, pictures: usize) -> std::process::Child {
    put_pipe(folder, "pipe.png");
    for i in 0..pictures {
        folder.put(format!("in/{i:04}.png"), &folder.read("cat.png"));
    }
    let line = "pipe.png in tiny.npy -c 1 --outputs heatmap -o maps";
    let mut command = folder.command(&line.split(' ').collect::<Vec<_>>());
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Until the run has its manifest, or has ended without one.
#[cfg(target_os = "linux")]
#[track_caller]
fn until_it_has_begun(folder: &Folder, child: &mut std::process::Child) {
    while !folder.path().join("maps/manifest.jsonl").exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended before it began");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Lets the run go on, and gives what it says.
#[cfg(target_os = "linux")]
fn go_on(folder: &Folder, child: std::process::Child) -> (Option<i32>, String) {
    fs::write(folder.path().join("pipe.png"), folder.read("cat.png")).unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_vanishes_is_told_once_and_its_pictures_fail() {
    let folder = Folder::new();
    let pictures = more_than_at_work();
    let mut child = waiting(&folder, pictures);
    until_it_has_begun(&folder, &mut child);
    fs::remove_dir_all(folder.path().join("in")).unwrap();
    let (code, stderr) = go_on(&folder, child);
    assert_eq!(code, Some(1));
    assert_eq!(
        stderr.matches("the folder in is gone").count(),
        1,
        "{stderr}"
    );
    assert!(stderr.matches("no such file").count() < 2, "{stderr}");
    let lines = manifest(&folder, "maps/manifest.jsonl");
    assert_eq!(lines.len(), pictures + 1);
    let last = format!("no such file: in/{:04}.png", pictures - 1);
    assert!(lines[pictures].contains(&last), "{}", lines[pictures]);
}

#[cfg(target_os = "linux")]
#[test]
fn results_whose_folder_is_removed_end_the_run() {
    let folder = Folder::new();
    let mut child = waiting(&folder, 1);
    until_it_has_begun(&folder, &mut child);
    fs::remove_dir_all(folder.path().join("maps")).unwrap();
    let (code, stderr) = go_on(&folder, child);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("maps/manifest.jsonl: this file was removed while"),
        "{stderr}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn names_of_every_kind_have_their_line_and_are_found_again() {
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::new();
    let long = format!("in/{}.png", "x".repeat(251));
    let names: [&[u8]; 6] = [
        b"in/a\nb.png",
        b"in/a \"b\".png",
        b"in/it's.png",
        b"in/caf\xe9.png",
        b"in/100%.png",
        long.as_bytes(),
    ];
    for name in names {
        folder.put(
            Path::new(std::ffi::OsStr::from_bytes(name)),
            &folder.read("cat.png"),
        );
    }
    folder
        .run(&format!("in {ASK} -q --csv maps/table.csv"))
        .exits(0);
    assert_eq!(manifest(&folder, "maps/manifest.jsonl").len(), 6);
    let run = folder.run(&format!("in {ASK} --resume"));
    run.exits(0);
    assert!(run.stderr.contains("6 of 6 pictures are done"), "{run:#?}");
}

#[test]
fn many_bad_files_each_have_their_line() {
    let folder = Folder::new();
    for i in 0..300 {
        folder.put(format!("in/{i:03}.png"), b"no picture");
    }
    folder.put("in/good.png", &folder.read("cat.png"));
    let run = folder.run(&format!("in {ASK}"));
    run.exits(1);
    assert_eq!(run.errors().len(), 300);
    let lines = manifest(&folder, "maps/manifest.jsonl");
    assert_eq!(lines.len(), 301);
    assert!(lines[300].contains("\"status\":\"ok\""));
}

/// As a run leaves it that was killed after its first picture: the lines of the others, and files of all pictures, are not there.
fn killed_after_the_first(folder: &Folder, of_all: &[&str]) {
    let text = String::from_utf8(folder.read("maps/manifest.jsonl")).unwrap();
    let first = text.lines().next().unwrap();
    folder.put("maps/manifest.jsonl", format!("{first}\n").as_bytes());
    for file in of_all {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
}

#[test]
fn files_of_all_pictures_of_a_resumed_run_are_those_of_an_undisturbed_one() {
    let folder = Folder::new();
    for name in ["a", "b", "c"] {
        folder.put(format!("in/{name}.png"), &folder.read("cat.png"));
    }
    let line = "in tiny.npy -c 1 --outputs heatmap -o maps --boxes=all --coco all.json";
    let same = |sheet: &str, files: &[&str], lost: &[&str], left: usize| {
        let line = format!("{line} --sheet {sheet}");
        folder.run(&line).exits(0);
        let undisturbed: Vec<Vec<u8>> = files.iter().map(|file| folder.read(file)).collect();
        assert!(
            String::from_utf8(folder.read("all.json"))
                .unwrap()
                .contains("\"bbox\"")
        );
        killed_after_the_first(&folder, lost);
        let run = folder.run(&format!("{line} --resume"));
        run.exits(0);
        assert_eq!(run.stdout.matches("class id").count(), left);
        for (file, undisturbed) in files.iter().zip(&undisturbed) {
            assert!(folder.read(file) == *undisturbed, "{file}");
        }
        run.stderr
    };
    let each = ["all.json", "s/a.png", "s/b.png", "s/c.png"];
    same("s/{stem}.png", &each, &["all.json", "s/c.png"], 2);
    // A picture whose sheet is lost is explained again, and COCO's file is made of the manifest where nothing is left to do.
    fs::remove_file(folder.path().join("s/b.png")).unwrap();
    let again = format!("{line} --sheet s/{{stem}}.png --resume");
    let run = folder.run(&again);
    run.exits(0);
    assert!(run.stdout.contains("in/b.png") && !run.stdout.contains("in/a.png"));
    let whole = folder.read("all.json");
    fs::remove_file(folder.path().join("all.json")).unwrap();
    assert_eq!(folder.prints(&format!("{again} -q")), "");
    assert_eq!(folder.read("all.json"), whole);
    let told = same("s.png", &["all.json", "s.png"], &["all.json", "s.png"], 3);
    assert!(
        told.contains("1 that were done are explained again") && told.contains("{stem}"),
        "{told}"
    );
}
