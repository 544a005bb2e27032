//! Boxes of many pictures that maps are held against: a file of `--box`, as CSV, lines of JSON or COCO annotations.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Jobs, Told};
use crate::methods::region::KnownBox;

/// The largest file that is read: boxes of millions of pictures.
const LONGEST: u64 = 1 << 30;
/// What a line of CSV has, and may say in the first line.
const COLUMNS: &str = "image,x,y,width,height";

/// Why there are no boxes.
#[derive(Debug, thiserror::Error)]
pub enum BoxFileError {
    /// It is not there, or is not to be read.
    #[error("cannot read the boxes {}: {reason}; --box takes four numbers, X,Y,WIDTH,HEIGHT, or a file of boxes", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Longer than any list of boxes.
    #[error("{} is longer than {} GiB: is it a file of boxes?", .0.display(), LONGEST >> 30)]
    TooLong(PathBuf),
    /// None of the forms.
    #[error(
        "{}, {place}: {what}; a file of boxes is CSV ({COLUMNS}), lines of JSON ({{\"image\": \"a.jpg\", \"box\": [20, 35, 110, 80]}}) or \
         COCO annotations", path.display()
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// Where in it, in words.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// Several boxes of one picture.
    #[error(
        "{}: {} has several boxes, and its map is held against one: keep the one that is meant", path.display(), image.display()
    )]
    Several {
        /// The file.
        path: PathBuf,
        /// As named there.
        image: PathBuf,
    },
    /// A name that several pictures have.
    #[error(
        "{}: {} may be {} or {}: name it with its folder", path.display(), image.display(), pictures[0].display(), pictures[1].display()
    )]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// As named there.
        image: PathBuf,
        /// Pictures that end so.
        pictures: [PathBuf; 2],
    },
    /// A file of other pictures.
    #[error("{}: none of its {boxes} boxes is of a picture that was named", path.display())]
    OfOthers {
        /// The file.
        path: PathBuf,
        /// Boxes in it.
        boxes: usize,
    },
}

/// Gives each picture its box: that whose name is the end of the picture's path. Says how many have none.
pub(super) fn assign(
    path: &Path,
    jobs: &mut Jobs,
    tell: &impl Fn(Told),
) -> Result<(), BoxFileError> {
    let boxes = read(path)?;
    let mut of_name: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, (image, _)) in boxes.iter().enumerate() {
        of_name.entry(image.file_name()).or_default().push(index);
    }
    let mut owners: HashMap<usize, PathBuf> = HashMap::new();
    for job in &mut jobs.list {
        let named = of_name.get(&job.image.file_name());
        let fitting = named.into_iter().flatten().copied();
        let fitting = fitting.filter(|&index| job.image.ends_with(&boxes[index].0));
        // A name with more folders says more.
        let Some(index) = fitting.max_by_key(|&index| boxes[index].0.components().count()) else {
            continue;
        };
        if let Some(other) = owners.insert(index, job.image.clone()) {
            return Err(BoxFileError::Ambiguous {
                path: path.to_owned(),
                image: boxes[index].0.clone(),
                pictures: [other, job.image.clone()],
            });
        }
        job.known_box = Some(boxes[index].1);
    }
    let lacking = jobs.list.len() - owners.len();
    if owners.is_empty() && lacking > 0 {
        return Err(BoxFileError::OfOthers {
            path: path.to_owned(),
            boxes: boxes.len(),
        });
    }
    if lacking > 0 {
        let of = jobs.list.len();
        let note = format!(
            "{}: {lacking} of {of} pictures have no box in it",
            path.display()
        );
        tell(Told::Note(note));
    }
    Ok(())
}

/// The boxes of a file with their pictures' names, each once.
fn read(path: &Path) -> Result<Vec<(PathBuf, KnownBox)>, BoxFileError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
    read.map_err(|reason| BoxFileError::Read {
        path: path.to_owned(),
        reason,
    })?;
    if text.len() as u64 > LONGEST {
        return Err(BoxFileError::TooLong(path.to_owned()));
    }
    let found = boxes(text.strip_prefix('\u{feff}').unwrap_or(&text));
    let boxes = found.map_err(|(place, what)| BoxFileError::Form {
        path: path.to_owned(),
        place,
        what,
    })?;
    let mut seen = HashSet::new();
    let boxes = boxes.into_iter().map(|(image, known)| {
        let image = Path::new(&image);
        (image.strip_prefix(".").unwrap_or(image).to_owned(), known)
    });
    let boxes: Vec<(PathBuf, KnownBox)> = boxes.collect();
    match boxes.iter().find(|(image, _)| !seen.insert(image)) {
        Some((image, _)) => Err(BoxFileError::Several {
            path: path.to_owned(),
            image: image.clone(),
        }),
        None => Ok(boxes),
    }
}

/// A picture's name and its box.
type Named = (String, KnownBox);
/// Where a file is wrong, and how.
type Wrong = (String, String);

/// Whichever form the text has.
fn boxes(text: &str) -> Result<Vec<Named>, Wrong> {
    if text.trim_start().starts_with('{') {
        // One object is COCO's, unless it is the only line.
        return match serde_json::from_str::<Coco>(text) {
            Ok(coco) => of_coco(coco),
            Err(_) => each_line(text, of_json),
        };
    }
    each_line(text, of_csv)
}

fn each_line(
    text: &str,
    read: impl Fn(&str) -> Result<Option<Named>, String>,
) -> Result<Vec<Named>, Wrong> {
    let mut boxes = vec![];
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let place = || format!("line {number}");
        boxes.extend(read(line).map_err(|what| (place(), what))?);
    }
    match boxes.is_empty() {
        true => Err(("its end".into(), "no box".into())),
        false => Ok(boxes),
    }
}

/// A line of CSV; the name may hold commas, quoted or not, since it is what stands before four numbers.
fn of_csv(line: &str) -> Result<Option<Named>, String> {
    let heading: String = line.to_lowercase().split_whitespace().collect();
    if heading == COLUMNS {
        return Ok(None);
    }
    let mut parts = line.rsplitn(5, ',');
    let mut next = || parts.next().map(str::trim);
    let (Some(height), Some(width), Some(y), Some(x), Some(image)) =
        (next(), next(), next(), next(), next())
    else {
        return Err("not a name and four numbers".into());
    };
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number"));
    let known = known([number(x)?, number(y)?, number(width)?, number(height)?])?;
    let quoted = image
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let image = quoted.map_or_else(|| image.to_owned(), |inner| inner.replace("\"\"", "\""));
    Ok(Some((image, known)))
}

/// A line of JSON.
fn of_json(line: &str) -> Result<Option<Named>, String> {
    #[derive(Deserialize)]
    struct Line {
        image: String,
        #[serde(rename = "box")]
        known: [f64; 4],
    }
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    Ok(Some((line.image, known(line.known)?)))
}

#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: serde_json::Value,
    file_name: String,
}

#[derive(Deserialize)]
struct CocoAnnotation {
    image_id: serde_json::Value,
    bbox: [f64; 4],
}

fn of_coco(coco: Coco) -> Result<Vec<Named>, Wrong> {
    let names = coco.images.into_iter();
    let names: HashMap<String, String> = names
        .map(|image| (image.id.to_string(), image.file_name))
        .collect();
    let annotations = (1..).zip(coco.annotations);
    let each = annotations.map(|(number, annotation)| {
        let place = || format!("annotation {number}");
        let id = annotation.image_id.to_string();
        let name = names.get(&id);
        let name = name.ok_or_else(|| (place(), format!("no image has the id {id}")))?;
        let known = known(annotation.bbox).map_err(|what| (place(), what))?;
        Ok((name.clone(), known))
    });
    each.collect()
}

fn known([x, y, width, height]: [f64; 4]) -> Result<KnownBox, String> {
    match KnownBox::new([x, y, width, height]) {
        Some(known) => Ok(known),
        None => Err(format!(
            "{x},{y},{width},{height} is no box: width and height are above 0"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<(String, String)>, Wrong> {
        let named = boxes(text)?.into_iter();
        Ok(named
            .map(|(image, known)| (image, known.to_string()))
            .collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs.map(|&(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    #[test]
    fn each_form_gives_the_same_boxes() {
        let expected = pairs(&[("a, b.jpg", "1.5,2,30,40"), ("in/c.png", "0,-1,5,6")]);
        for text in [
            "image,x,y,width,height\n\"a, b.jpg\",1.5,2,30,40\nin/c.png,0,-1,5,6\n",
            "Image, X, Y, Width, Height\r\na, b.jpg, 1.5, 2, 30, 40\r\n\r\nin/c.png,0,-1,5,6",
            "{\"image\":\"a, b.jpg\",\"box\":[1.5,2,30,40]}\n{\"image\":\"in/c.png\",\"box\":[0,-1,5,6]}\n",
            "{\"images\":[{\"id\":7,\"file_name\":\"in/c.png\"},{\"id\":2,\"file_name\":\"a, b.jpg\"}],\n\
             \"annotations\":[{\"image_id\":2,\"bbox\":[1.5,2,30,40]},{\"image_id\":7,\"bbox\":[0,-1,5,6],\"area\":3}]}",
        ] {
            assert_eq!(of(text).as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!(
            of("{\"image\":\"a\",\"box\":[1,2,3,4]}"),
            Ok(pairs(&[("a", "1,2,3,4")]))
        );
    }

    #[test]
    fn what_is_no_box_is_refused_with_its_place() {
        for (text, place, what) in [
            ("", "its end", "no box"),
            ("image,x,y,width,height\n", "its end", "no box"),
            ("a.png,1,2,3\n", "line 1", "not a name"),
            ("a.png,1,2,3,4\nb.png,1,2,three,4\n", "line 2", "\"three\""),
            ("a.png,1,2,0,4\n", "line 1", "above 0"),
            ("a.png,1,2,nan,4\n", "line 1", "above 0"),
            ("{\"image\":\"a\"}\n", "line 1", "box"),
            (
                "{\"images\":[],\"annotations\":[{\"image_id\":1,\"bbox\":[1,2,3,4]}]}",
                "annotation 1",
                "no image has the id 1",
            ),
        ] {
            let (at, said) = of(text).unwrap_err();
            assert_eq!(at, place, "{text}");
            assert!(said.contains(what), "{text}: {said}");
        }
    }
}
