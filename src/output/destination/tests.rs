use super::*;
use crate::methods::Method;
use crate::methods::attribution;
use crate::output::{Question, write};

const GUIDED: Content = Content::Picture(Method::Pixel(attribution::Method::GuidedBprop));

fn check_all(images: &[&str], out_dir: Option<&Path>, arrays: bool) -> Checked {
    let images: Vec<_> = images.iter().map(Path::new).collect();
    let destinations: Vec<_> = images
        .iter()
        .map(|image| Destination::of(image, out_dir, None))
        .collect();
    check(images.into_iter().zip(&destinations), arrays)
}

/// The only picture refused, and why.
#[track_caller]
fn refused(checked: Checked) -> (usize, DestinationError) {
    let [refused] = <[_; 1]>::try_from(checked.refused).expect("one is refused");
    refused
}

#[track_caller]
fn new_folders(checked: Checked) -> Vec<PathBuf> {
    assert!(checked.refused.is_empty(), "{:?}", checked.refused);
    checked.new_folders
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn files_go_beside_the_picture_in_its_own_format() {
    let destination = Destination::of(Path::new("holiday/beach.JPEG"), None, None);
    assert_eq!(destination.folder, Path::new("holiday"));
    assert_eq!(
        (destination.stem.as_os_str(), destination.format),
        (OsStr::new("beach"), Format::Jpg)
    );
    assert_eq!(destination.extension, "JPEG");
    let subject = Subject {
        rank: 0,
        class_id: 3,
        class_name: "sand",
        probability: 0.25,
        question: Question::default(),
    };
    assert_eq!(
        destination.path(subject, GUIDED),
        Path::new("holiday/beach_0_3_sand_0.250_guided_bprop.JPEG")
    );
    let beside = Destination::of(Path::new("beach.jpg"), None, None);
    assert!(!beside.path(subject, GUIDED).starts_with("."));
}

#[cfg(target_os = "linux")]
#[test]
fn files_of_what_is_no_file_go_to_the_current_folder() {
    for (image, stem) in [
        ("/dev/stdin", "stdin"),
        ("/dev/null", "null"),
        ("/proc/self/fd/7", "fd7"),
        ("/dev/../dev/fd/63", "fd63"),
    ] {
        let destination = Destination::of(Path::new(image), None, None);
        assert_eq!(destination.folder, Path::new(""), "{image}");
        assert_eq!(destination.stem, stem, "{image}");
        let chosen = Destination::of(Path::new(image), Some(Path::new("maps")), None);
        assert_eq!(chosen.folder, Path::new("maps"), "{image}");
    }
}

#[test]
fn a_format_that_is_not_written_becomes_png() {
    for image in ["a.gif", "a.pgm", "a", "a.jpg.bak"] {
        let destination = Destination::of(Path::new(image), None, None);
        assert_eq!(
            (destination.format, destination.extension.as_str()),
            (Format::Png, "png"),
            "{image}"
        );
    }
}

#[test]
fn folder_and_format_can_be_chosen() {
    let destination = Destination::of(
        Path::new("a/b.jpg"),
        Some(Path::new("maps")),
        Some(Format::Tiff),
    );
    assert_eq!(destination.folder, Path::new("maps"));
    assert_eq!(
        (destination.format, destination.extension.as_str()),
        (Format::Tiff, "tiff")
    );
}

#[test]
fn a_check_leaves_nothing_behind_and_names_the_folders_to_be_made() {
    let home = tempfile::tempdir().unwrap();
    let deep = home.path().join("deep/er");
    let both = check_all(&["a.jpg", "b.jpg"], Some(&deep), true);
    assert_eq!(new_folders(both), [deep.as_path()]);
    let there = check_all(&["a.jpg"], Some(home.path()), true);
    assert_eq!(new_folders(there), Vec::<PathBuf>::new());
    assert_eq!(entries(home.path()), 0);
    write(&deep.join("a.txt"), b"x").unwrap();
    assert!(deep.join("a.txt").is_file());
}

#[test]
fn of_pictures_that_would_overwrite_each_other_the_first_stays() {
    let home = tempfile::tempdir().unwrap();
    let images = ["day/a.jpg", "night/a.jpg", "b.jpg"];
    let (index, error) = refused(check_all(&images, Some(home.path()), false));
    assert!(
        index == 1 && error.to_string().contains("day/a.jpg and night/a.jpg"),
        "{error}"
    );
    let two = |second, arrays| check_all(&["a.png", second], Some(home.path()), arrays);
    assert!(two("a.jpg", false).refused.is_empty());
    assert_eq!(refused(two("a.jpg", true)).0, 1);
    assert_eq!(refused(two("a.gif", false)).0, 1);
}

#[test]
fn two_spellings_of_a_folder_are_one_folder() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("sub")).unwrap();
    let direct = home.path().join("a.jpg");
    let roundabout = home.path().join("sub/../a.jpg");
    let images = [direct.to_str().unwrap(), roundabout.to_str().unwrap()];
    assert_eq!(refused(check_all(&images, None, false)).0, 1);
}

#[test]
fn an_out_dir_that_is_no_folder_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "kept").unwrap();
    for out_dir in [file.clone(), file.join("below")] {
        let (_, error) = refused(check_all(&["a.jpg"], Some(&out_dir), false));
        assert!(
            matches!(&error, DestinationError::NotAFolder(path) if *path == file),
            "{error}"
        );
    }
    assert_eq!(fs::read(&file).unwrap(), b"kept");
}

#[cfg(unix)]
#[test]
fn a_broken_link_is_no_folder() {
    let home = tempfile::tempdir().unwrap();
    let link = home.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let (_, error) = refused(check_all(&["a.jpg"], Some(&link), false));
    assert!(matches!(error, DestinationError::NotAFolder(_)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_found_out_before_the_work() {
    // Refuses the superuser as well, whom a folder's mode would not stop.
    let (_, error) = refused(check_all(&["a.jpg"], Some(Path::new("/proc/self")), false));
    assert!(
        matches!(error, DestinationError::NotWritable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("--out-dir"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_leaves_other_folders_be() {
    let home = tempfile::tempdir().unwrap();
    let good = home.path().join("b.jpg");
    let images = [
        "/proc/self/a.jpg",
        "/proc/self/b.jpg",
        good.to_str().unwrap(),
    ];
    // Beside the pictures, of which those below /proc count as no files in a folder.
    let destinations = images.map(|image| Destination {
        folder: Path::new(image).parent().unwrap().to_owned(),
        ..Destination::of(Path::new(image), None, None)
    });
    let checked = check(images.iter().map(Path::new).zip(&destinations), false);
    let refused: Vec<usize> = checked.refused.iter().map(|(index, _)| *index).collect();
    assert_eq!(refused, [0, 1]);
    assert!(
        checked
            .refused
            .iter()
            .all(|(_, error)| error.is_of_folder())
    );
}

#[test]
fn names_too_long_for_their_files_are_shortened_and_stay_apart() {
    let home = tempfile::tempdir().unwrap();
    let long = |end: &str| format!("{}{end}.jpg", "x".repeat(STEM_MAX));
    let images = [long("1"), long("2"), long("")];
    let images = images.each_ref().map(String::as_str);
    assert_eq!(
        new_folders(check_all(&images, Some(home.path()), true)),
        Vec::<PathBuf>::new()
    );
    let [one, two, fits] = images.map(|image| Destination::of(Path::new(image), None, None));
    assert!(one.is_shortened && two.is_shortened && !fits.is_shortened);
    assert!(one.stem != two.stem && one.stem.len() <= STEM_MAX);
    assert_eq!(fits.stem, "x".repeat(STEM_MAX).as_str());
}
