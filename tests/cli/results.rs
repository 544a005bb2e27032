//! What is printed: the lines, the JSON, the numbers in them, and the names of classes.

use crate::harness::Folder;

#[test]
fn each_class_is_one_line_and_nothing_else_is_printed() {
    let folder = Folder::new();
    assert_eq!(
        folder.prints("cat.png tiny.npy --outputs heatmap"),
        "0: class id: 1, class name: class_1, probability: 0.797, synset: class_1\n\
         1: class id: 0, class name: class_0, probability: 0.143, synset: class_0\n\
         2: class id: 4, class name: class_4, probability: 0.058, synset: class_4\n"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_error_does_not_hide_the_exit_code() {
    use crate::harness::Run;
    use std::fs::File;

    let folder = Folder::new();
    for (line, code) in [
        ("missing.png cat.png tiny.npy", 1),
        ("cat.png tiny.npy 0", 2),
        ("cat.png tiny.npy -o new", 0),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let full = File::options().write(true).open("/dev/full").unwrap();
        Run::of(folder.command(&arguments).stderr(full)).exits(code);
    }
}
