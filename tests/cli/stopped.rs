//! Long methods: what is said of them before they start, and what is left when they are stopped.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

#[cfg(unix)]
use crate::harness::put_pipe;
use crate::harness::{Folder, more_than_at_work};

/// The command over a folder of so many pictures and what is named after it.
fn over(folder: &Folder, pictures: usize, after: &str) -> Command {
    for i in 0..pictures {
        folder.put(format!("all/{i:04}.png"), &folder.read("cat.png"));
    }
    let line = format!(
        "all{after} tiny.npy --preprocess caffe -c 1 -m smoothgrad --samples 40 --outputs gradcam,raw"
    );
    let arguments: Vec<&str> = line.split(' ').collect();
    folder.command(&arguments)
}

/// What Ctrl-C does.
#[cfg(unix)]
fn interrupt(child: &Child) {
    send("INT", child);
}

#[cfg(unix)]
fn send(signal: &str, child: &Child) {
    let kill = format!("kill -{signal} {}", child.id());
    let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(sent.success());
}

/// Names of the pictures' files: one a picture that is done.
fn done(folder: &Folder) -> Vec<String> {
    let names = folder.names().into_iter();
    names
        .filter(|name| name.ends_with("_smoothgrad.png"))
        .collect()
}

#[test]
fn a_long_method_says_what_it_costs_before_it_starts() {
    let folder = Folder::new();
    let line = "cat.png tiny.npy -c 1 -m integrated-gradients --steps 3 --outputs heatmap";
    let run = folder.run(line);
    run.exits(0);
    let note = "note: 3 passes through the network for a picture, about ";
    assert!(run.stderr.starts_with(note), "{run:#?}");
    // A bar is for terminals.
    assert_eq!(run.stderr.lines().count(), 1, "{run:#?}");
    folder.prints(&format!("{line} --quiet"));
}

#[test]
fn passes_are_told_as_many_as_there_are() {
    let folder = Folder::new();
    // The last layer has 8 channels; patches of 112 every 56 pixels are 3 x 3.
    for (method, passes) in [
        ("scorecam", Some("note: 8 passes")),
        ("scorecam --channels 3", Some("note: 3 passes")),
        ("smoothgrad,vargrad --samples 3", Some("note: 3 passes")),
        (
            "smoothgrad,integrated-gradients --samples 3 --steps 4",
            Some("note: 7 passes"),
        ),
        ("occlusion --patch 112", Some("note: 9 passes")),
        ("rise --samples 5", Some("note: 5 passes")),
        ("gradcam --smooth aug", Some("note: 6 passes")),
        ("gradcam,gradient", None),
    ] {
        let line = format!("cat.png tiny.npy 2 -m {method} --outputs heatmap");
        let run = folder.run(&line);
        run.exits(0);
        let mut told = run
            .stderr
            .lines()
            .filter_map(|note| note.split_once(" through the network"));
        assert_eq!(told.next().map(|(told, _)| told), passes, "{method}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_before_the_first_picture_is_done_leaves_nothing() {
    let methods = [
        "rise --samples 100000",
        "scorecam,smoothgrad --samples 100000",
    ];
    // Drivers that were torn down at work crashed once in a dozen times.
    for method in methods.iter().cycle().take(10) {
        let folder = Folder::new();
        let line = format!("cat.png tiny.npy -o maps -c 1 -m {method}");
        let arguments: Vec<&str> = line.split(' ').collect();
        let mut command = folder.command(&arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut notes = BufReader::new(child.stderr.take().unwrap());
        let mut note = String::new();
        while !note.contains(" passes through the network") {
            note.clear();
            assert_ne!(notes.read_line(&mut note).unwrap(), 0, "no cost told");
        }
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{method}");
        assert_eq!(output.stdout, b"", "{method}");
        let mut rest = String::new();
        notes.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert_eq!(folder.names(), [] as [&str; 0], "{method}");
        assert!(!folder.path().join("maps").exists(), "{method}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_what_is_done_and_nothing_half_done() {
    stopped_leaves_what_is_done("INT", 130);
}

#[cfg(unix)]
#[test]
fn termination_leaves_what_is_done_and_nothing_half_done() {
    stopped_leaves_what_is_done("TERM", 143);
}

#[cfg(unix)]
fn stopped_leaves_what_is_done(signal: &str, exit_code: i32) {
    let folder = Folder::new();
    put_pipe(&folder, "pipe.png");
    let mut command = over(&folder, 20, " pipe.png");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap());
    let mut cost = String::new();
    notes.read_line(&mut cost).unwrap();
    assert!(cost.starts_with("note: 40 passes"), "{cost}");
    let mut results = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    results.read_line(&mut first).unwrap();
    assert!(first.ends_with("0000.png\n"), "{first}");

    send(signal, &child);
    assert_eq!(child.wait().unwrap().code(), Some(exit_code));
    std::fs::remove_file(folder.path().join("pipe.png")).unwrap();
    let mut rest = String::new();
    notes.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    let done = done(&folder);
    assert!(!done.is_empty());
    for name in &done {
        assert_eq!(folder.picture(name).dimensions(), (224, 224), "{name}");
    }
    let names = folder.names();
    assert!(
        !names.iter().any(|name| name.contains(".gradcam-")),
        "{names:?}"
    );
}

#[test]
fn what_a_killed_run_left_unfinished_goes_and_nothing_else() {
    let folder = Folder::new();
    let put = |name: &str, hours: u64| {
        folder.put(name, b"");
        let file = std::fs::File::options()
            .write(true)
            .open(folder.path().join(name));
        let age = std::time::Duration::from_secs(hours * 3600);
        let then = std::time::SystemTime::now() - age;
        file.unwrap().set_modified(then).unwrap();
    };
    // Of a machine that nobody can ask: left behind, perhaps at work, and in a folder that is not written to.
    put("maps/.gradcam-12-345-0123abcd-AbC123", 25);
    put("maps/.gradcam-13-345-0123abcd-AbC123", 1);
    put(".gradcam-12-345-0123abcd-AbC123", 25);
    put("maps/.gradcam-notes", 25);
    let line = "cat.png tiny.npy -c 1 --outputs heatmap -o maps";
    // Nothing goes where nothing is written.
    folder.refuses(&format!("{line} -l none"), 1, &[]);
    let run = folder.run(line);
    run.exits(0);
    let note = "note: maps: 1 unfinished file of a run that was killed is removed\n";
    assert_eq!(run.stderr, note);
    assert_eq!(
        folder.names(),
        [
            ".gradcam-12-345-0123abcd-AbC123",
            "maps/.gradcam-13-345-0123abcd-AbC123",
            "maps/.gradcam-notes",
            "maps/cat_0_1_class_1_0.797_heatmap.png"
        ]
    );
    folder.prints(line);
}

/// The process of an unfinished file is asked after, not its age.
#[cfg(target_os = "linux")]
#[test]
fn an_unfinished_file_goes_with_its_process_and_not_before() {
    let folder = Folder::new();
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    // As the program names it.
    let name = {
        use sha2::{Digest, Sha256};

        let id = child.id();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let start = fields.split(' ').nth(19).unwrap();
        let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap();
        let space = std::fs::read_link("/proc/self/ns/pid").unwrap();
        let digest = Sha256::new()
            .chain_update(boot)
            .chain_update(space.to_str().unwrap())
            .finalize();
        let [a, b, c, d, ..] = digest[..] else {
            unreachable!("a digest has 32 bytes");
        };
        let system = format!("{:08x}", u32::from_be_bytes([a, b, c, d]));
        format!(".gradcam-{id}-{start}-{system}-AbC123")
    };
    folder.put(&name, b"half a pict");
    let line = "cat.png tiny.npy -c 1 --outputs heatmap";
    folder.prints(line);
    assert!(folder.path().join(&name).exists(), "{name}");
    child.kill().unwrap();
    // Dead, and not yet waited for.
    let run = folder.run(line);
    child.wait().unwrap();
    let note = "note: 1 unfinished file of a run that was killed is removed\n";
    assert_eq!(run.stderr, note);
    assert!(!folder.path().join(&name).exists());
}

#[test]
fn a_reader_that_goes_away_ends_the_work_without_a_word() {
    let folder = Folder::new();
    let pictures = more_than_at_work();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = over(&folder, pictures, "").stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.lines().all(|line| line.starts_with("note: ")),
        "{stderr}"
    );
    assert!(done(&folder).len() < pictures);
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_error_to_speak_of_whatever_is_printed() {
    use crate::harness::Run;

    let folder = Folder::new();
    for line in ["adapters", "completions bash", "info tiny.npy"] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Run::of(folder.command(&arguments).stdout(writer))
            .exits(1)
            .notes_nothing();
    }
}
