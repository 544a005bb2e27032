//! The JPEG matrix: sampling by scans by restarts by colour, against libjpeg's pixels (fixtures/pictures/jpeg/make.py).

use std::fs;
use std::path::{Path, PathBuf};

use gradcam::low_level::picture;

/// Two decoders need not round alike; this one does.
const LEVELS: u8 = 0;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/jpeg")
}

/// Every `NAME~KIND.jpg`, and what is in it.
fn matrix() -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains('~'))
        .collect();
    names.sort();
    assert!(names.len() > 200, "make.py's pictures");
    let read = |name: String| {
        let bytes = fs::read(folder().join(&name)).unwrap();
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

#[test]
fn every_sampling_division_into_scans_restart_and_colour_is_read_as_libjpeg_reads_it() {
    let mut wrong = vec![];
    for (name, bytes) in matrix() {
        let (stem, _) = name.split_once('~').unwrap();
        let expected = ::image::open(folder().join(format!("{stem}.png")))
            .unwrap()
            .into_rgb8();
        match picture::decode(&bytes, Path::new(&name)) {
            Err(e) => wrong.push(e.to_string()),
            Ok(picture) => {
                assert_eq!(picture.rgb.dimensions(), expected.dimensions(), "{name}");
                let pairs = picture.rgb.iter().zip(expected.iter());
                let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                if worst > LEVELS {
                    wrong.push(format!("{name}: {worst} levels from libjpeg's"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    for (name, kind) in [
        ("arithmetic.jpg", "arithmetic coding"),
        ("fractions.jpg", "colour sampled at a fraction"),
    ] {
        let error = picture::open(&folder().join("refused").join(name)).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("this kind of JPEG is not read"),
            "{message}"
        );
        assert!(message.contains(kind), "{message}");
    }
}

#[test]
fn a_jpeg_cut_off_anywhere_is_truncated_or_whole_and_never_grey_in_part() {
    for (name, bytes) in matrix().iter().step_by(3) {
        let path = Path::new(name);
        let whole = picture::decode(bytes, path).unwrap();
        for length in 0..bytes.len() {
            if let Ok(cut) = picture::decode(&bytes[..length], path) {
                assert!(cut.rgb == whole.rgb, "{name} cut to {length} bytes");
            }
        }
    }
}

#[test]
fn a_jpeg_without_its_end_marker_is_read_with_a_note() {
    for name in ["420~one.jpg", "422~each_restart.jpg", "444~progressive.jpg"] {
        let bytes = fs::read(folder().join(name)).unwrap();
        let whole = picture::decode(&bytes, Path::new(name)).unwrap();
        assert!(whole.notes.is_empty(), "{name}: {:?}", whole.notes);
        let cut = picture::decode(&bytes[..bytes.len() - 2], Path::new(name)).unwrap();
        assert!(cut.rgb == whole.rgb, "{name}");
        assert!(
            cut.notes[0].contains("end marker is missing"),
            "{:?}",
            cut.notes
        );
    }
}

#[test]
fn data_left_over_are_told() {
    let name = "420~one.jpg";
    let mut bytes = fs::read(folder().join(name)).unwrap();
    let end = bytes.len() - 2;
    bytes.splice(end..end, [7; 30]);
    let picture = picture::decode(&bytes, Path::new(name)).unwrap();
    assert!(picture.notes[0].contains("30 bytes"), "{:?}", picture.notes);
}
