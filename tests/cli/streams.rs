//! A picture from standard input, a file to standard output, pictures in the terminal, times on standard error.

use std::fs::File;
use std::process::Stdio;

use crate::harness::{Folder, Run, json_lines};

const ONE: &str = "tiny.npy -c 1 --outputs heatmap";

fn with_stdin(folder: &Folder, file: &str, line: &str) -> Run {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let stdin = File::open(folder.path().join(file)).unwrap();
    Run::of(folder.command(&arguments).stdin(stdin))
}

#[test]
fn a_hyphen_is_a_picture_from_standard_input() {
    let folder = Folder::new();
    let run = with_stdin(&folder, "cat.png", &format!("- {ONE} --json"));
    run.exits(0).notes_nothing();
    let report = json_lines(&run.stdout).remove(0);
    assert_eq!(report["image"], "-");
    assert_eq!(folder.names(), ["stdin_0_1_class_1_0.797_heatmap.png"]);
    let from_stdin = folder.picture("stdin_0_1_class_1_0.797_heatmap.png");
    folder.prints(&format!("cat.png {ONE}"));
    assert_eq!(
        from_stdin,
        folder.picture("cat_0_1_class_1_0.797_heatmap.png")
    );
}

#[test]
fn what_is_no_picture_on_standard_input_is_told_as_that() {
    let folder = Folder::new();
    folder.put("empty", b"");
    folder.put("text", b"a letter, not a picture");
    for (file, part) in [
        ("empty", "standard input is empty"),
        ("text", "standard input is not a picture"),
    ] {
        with_stdin(&folder, file, &format!("- {ONE}")).fails(1, &[part]);
    }
}

#[test]
fn a_file_called_hyphen_has_its_folder_before_it() {
    let folder = Folder::new();
    folder.put("-", &folder.read("cat.png"));
    folder.prints(&format!("./- {ONE}"));
    assert!(
        folder
            .names()
            .contains(&"-_0_1_class_1_0.797_heatmap.png".to_owned())
    );
}

#[test]
fn one_file_goes_to_standard_output_and_its_line_to_standard_error() {
    let folder = Folder::new();
    folder.prints(&format!("cat.png {ONE}"));
    let file = "cat_0_1_class_1_0.797_heatmap.png";
    let expected = folder.picture(file);
    let before = folder.names();
    for (out, quiet) in [("--out", false), ("-o", true)] {
        let mut line = format!("cat.png {ONE} {out} -");
        if quiet {
            line += " -q";
        }
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let output = folder.command(&arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        let picture = image::load_from_memory(&output.stdout).unwrap().into_rgb8();
        assert_eq!(picture, expected);
        assert_eq!(
            stderr.contains("0: class id: 1, class name: class_1"),
            !quiet,
            "{stderr}"
        );
    }
    assert_eq!(folder.names(), before);
    // Through a pipe on both sides.
    let arguments: Vec<&str> = "- tiny.npy -c 1 --outputs raw -q --out -"
        .split(' ')
        .collect();
    let stdin = File::open(folder.path().join("cat.png")).unwrap();
    let _ = folder.command(&arguments).stdin(stdin).output().unwrap();
    let arguments: Vec<&str> = "- tiny.npy -c 1 -m hirescam --outputs mask -q --out -"
        .split(' ')
        .collect();
    let stdin = File::open(folder.path().join("cat.png")).unwrap();
    let output = folder.command(&arguments).stdin(stdin).output().unwrap();
    assert!(image::load_from_memory(&output.stdout).is_ok());
}

#[test]
fn more_than_one_file_for_standard_output_is_refused_with_what_to_type() {
    let folder = Folder::new();
    for (line, part) in [
        (
            "cat.png tiny.npy --out -",
            "1 x 3 x 4: pictures, classes, files of each; write as in",
        ),
        (
            "cat.png tiny.npy -c 1 --outputs heatmap -m gradcam,hirescam --out -",
            "1 x 1 x 2",
        ),
        (
            "cat.png tiny.npy -c 1 --outputs heatmap --json --out -",
            "drop one of the two",
        ),
    ] {
        folder.refuses(line, 2, &[part]);
    }
}

#[test]
fn times_of_every_stage_are_told_where_that_is_asked_for() {
    let folder = Folder::new();
    let run = folder.run(&format!("cat.png {ONE} --verbose"));
    run.exits(0);
    let line = run
        .stderr
        .lines()
        .find(|line| line.starts_with("time: cat.png: "));
    let line = line.unwrap_or_else(|| panic!("{run:#?}"));
    for stage in [
        "open device",
        "set up",
        "decode",
        "forward",
        "backward",
        "draw",
        "write",
    ] {
        assert!(line.contains(&format!("{stage} ")), "{stage}: {line}");
    }
    let quiet = folder.run(&format!("cat.png {ONE} -v -q"));
    assert_eq!(quiet.code, Some(2));
    let report = folder.json(&format!("cat.png {ONE}")).remove(0);
    let took = |stage: &str| report["timings_ms"][stage].as_f64().unwrap();
    assert!((took("draw") + took("write") - took("draw_and_write")).abs() < 0.01);
}

#[test]
fn without_a_terminal_a_preview_is_a_note_and_no_message_has_colour() {
    let folder = Folder::new();
    let run = folder.run(&format!("cat.png gone.png {ONE} --preview"));
    run.exits(1);
    assert!(run.stderr.contains("--preview draws nothing"), "{run:#?}");
    assert!(
        !run.stderr.contains('\x1b') && !run.stdout.contains('\x1b'),
        "{run:#?}"
    );
}

/// A terminal of 80 x 30: what is written to the second file comes out of the first.
#[cfg(unix)]
fn terminal() -> (File, File) {
    use std::os::fd::FromRawFd;
    use std::ptr::null_mut;

    let (mut screen, mut end) = (0, 0);
    let mut size = libc::winsize {
        ws_row: 30,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    #[expect(unsafe_code, reason = "the standard library opens no terminal")]
    // SAFETY: the pointers are to values that outlive the call, and the files it opens are nobody else's.
    unsafe {
        let opened = libc::openpty(
            &raw mut screen,
            &raw mut end,
            null_mut(),
            null_mut(),
            &raw mut size,
        );
        assert_eq!(opened, 0);
        (File::from_raw_fd(screen), File::from_raw_fd(end))
    }
}

/// What a command shows in a terminal on standard error.
#[cfg(unix)]
fn shown(folder: &Folder, line: &str, variables: &[(&str, &str)]) -> String {
    use std::io::Read;

    let (mut screen, end) = terminal();
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let mut command = folder.command(&arguments);
    for name in [
        "NO_COLOR",
        "COLORTERM",
        "TMUX",
        "KITTY_WINDOW_ID",
        "KONSOLE_VERSION",
        "TERM_PROGRAM",
        "LC_TERMINAL",
    ] {
        command.env_remove(name);
    }
    command
        .env("TERM", "xterm-256color")
        .envs(variables.iter().copied());
    let mut child = command.stdout(Stdio::null()).stderr(end).spawn().unwrap();
    drop(command);
    let mut bytes = vec![];
    // Ends with an error once nobody holds the other end.
    let _ = screen.read_to_end(&mut bytes);
    child.wait().unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(unix)]
#[test]
fn a_preview_is_drawn_in_the_terminal_by_the_way_it_knows() {
    let folder = Folder::new();
    let line = format!("cat.png {ONE} --quiet --preview");
    let caption = "cat.png: gradcam of class 1, class_1";
    let blocks = shown(&folder, &line, &[]);
    assert!(blocks.contains(caption), "{blocks}");
    let rows = blocks.lines().filter(|row| row.contains('▀'));
    // A square picture on 28 of 30 rows.
    assert_eq!(rows.clone().count(), 28);
    assert!(
        rows.clone()
            .all(|row| row.matches('▀').count() == 56 && row.contains("\x1b[38;5;"))
    );
    assert!(shown(&folder, &line, &[("COLORTERM", "truecolor")]).contains("\x1b[38;2;"));
    for (variables, start) in [
        ([("TERM", "xterm-kitty")], "\x1b_Ga=T,f=100"),
        ([("TERM_PROGRAM", "iTerm.app")], "\x1b]1337;File=inline=1"),
        ([("TERM", "foot")], "\x1bP0;1q"),
    ] {
        let text = shown(&folder, &line, &variables);
        assert!(
            text.contains(start) && !text.contains('▀'),
            "{variables:?}: {text}"
        );
    }
    assert!(shown(&folder, &format!("{line}=sixel"), &[]).contains("\x1bP0;1q"));
    let dumb = shown(
        &folder,
        &format!("cat.png {ONE} --preview"),
        &[("TERM", "dumb")],
    );
    assert!(
        dumb.contains("--preview draws nothing") && !dumb.contains('▀'),
        "{dumb}"
    );
}

#[cfg(unix)]
#[test]
fn messages_are_in_colour_on_a_terminal_unless_that_is_unwanted() {
    let folder = Folder::new();
    let line = format!("gone.png cat.png {ONE} -m layercam --size original --overlay blend");
    let coloured = shown(&folder, &line, &[]);
    assert!(
        coloured.contains("\x1b[1;31merror:\x1b[0m no such file: gone.png"),
        "{coloured:?}"
    );
    assert!(coloured.contains("\x1b[36mnote:\x1b[0m "), "{coloured:?}");
    let plain = shown(&folder, &line, &[("NO_COLOR", "1")]);
    assert!(
        plain.contains("error: no such file: gone.png")
            && !["\x1b[1;31m", "\x1b[36m"]
                .iter()
                .any(|colour| plain.contains(colour)),
        "{plain:?}"
    );
}

#[cfg(unix)]
#[test]
fn bytes_of_a_picture_are_not_for_a_screen() {
    let folder = Folder::new();
    let (_screen, end) = terminal();
    let line = format!("cat.png {ONE} --out -");
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let mut command = folder.command(&arguments);
    let output = command
        .stdout(end)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("standard output is a terminal: add > file.png"),
        "{stderr}"
    );
    let (_screen, end) = terminal();
    let arguments: Vec<&str> = "- tiny.npy".split(' ').collect();
    Run::of(folder.command(&arguments).stdin(end)).fails(1, &["that is a terminal: pipe one in"]);
}
