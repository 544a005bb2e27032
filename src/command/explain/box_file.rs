//! Boxes of many pictures that maps are held against: a file of `--box`, as CSV, lines of JSON or COCO annotations.

mod forms;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use self::forms::{Boxes, Named};
use super::{Job, Jobs, Message};
use crate::labels::{ClassNotFound, Labels};
use crate::methods::known::KnownBox;

/// The largest file that is read: boxes of millions of pictures.
const LONGEST: u64 = 1 << 30;
/// The most of one picture.
const MOST: usize = 1000;
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
    /// More boxes of one picture than anybody draws.
    #[error("{}: {} has {boxes} boxes; at most {MOST} of a picture are read", path.display(), image.display())]
    TooMany {
        /// The file.
        path: PathBuf,
        /// As named there.
        image: PathBuf,
        /// Of it.
        boxes: usize,
    },
    /// A class that the network does not have.
    #[error("{}: {source}", path.display())]
    Class {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ClassNotFound,
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

/// A box of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxOfClass {
    /// Where it is.
    pub place: KnownBox,
    /// The class whose maps alone are held against it; `None`: all maps.
    pub class: Option<usize>,
}

impl BoxOfClass {
    /// A box for all maps.
    pub(super) fn of(place: KnownBox) -> Self {
        Self { place, class: None }
    }
}

/// What boxes of a file belong to, which is looked up once the network's classes are known.
pub(super) struct Classes {
    path: PathBuf,
    /// As the file calls them.
    names: Vec<String>,
    /// Whether they are COCO's categories, which need not be the network's.
    are_categories: bool,
}

/// Gives each picture its boxes: those whose name is the end of the picture's path, with the number of their class in the list that
/// is returned. Says how many have none.
pub(super) fn assign(
    path: &Path,
    jobs: &mut Jobs,
    tell: &impl Fn(Message),
) -> Result<Classes, BoxFileError> {
    let Boxes {
        list,
        are_categories,
    } = read(path)?;
    let boxes = list.len();
    let (pictures, names) = by_picture(list);
    if let Some((image, known)) = pictures.iter().find(|(_, known)| known.len() > MOST) {
        return Err(BoxFileError::TooMany {
            path: path.to_owned(),
            image: image.clone(),
            boxes: known.len(),
        });
    }
    let with_boxes = hand_out(&pictures, &mut jobs.list, path)?;
    let (of, lacking) = (jobs.list.len(), jobs.list.len() - with_boxes);
    if with_boxes == 0 && lacking > 0 {
        return Err(BoxFileError::OfOthers {
            path: path.to_owned(),
            boxes,
        });
    }
    if lacking > 0 {
        let note = format!(
            "{}: {lacking} of {of} pictures have no box in it",
            path.display()
        );
        tell(Message::Note(note));
    }
    Ok(Classes {
        path: path.to_owned(),
        names,
        are_categories,
    })
}

/// A picture as the file names it, and its boxes.
type BoxesOf = (PathBuf, Vec<BoxOfClass>);

/// The boxes of each picture, and the classes' names, of which each box has its number.
fn by_picture(list: Vec<Named>) -> (Vec<BoxesOf>, Vec<String>) {
    let (mut pictures, mut names): (Vec<BoxesOf>, Vec<String>) = (vec![], vec![]);
    let mut places: HashMap<PathBuf, usize> = HashMap::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for Named {
        image,
        place,
        class,
    } in list
    {
        let image = Path::new(&image);
        let image = image.strip_prefix(".").unwrap_or(image).to_owned();
        let number = places.entry(image.clone()).or_insert(pictures.len());
        if *number == pictures.len() {
            pictures.push((image, vec![]));
        }
        let class = class.map(|name| {
            *numbers.entry(name).or_insert_with_key(|name| {
                names.push(name.clone());
                names.len() - 1
            })
        });
        pictures[*number].1.push(BoxOfClass { place, class });
    }
    (pictures, names)
}

/// Gives each job the boxes of the name that fits it best; returns how many got some.
fn hand_out(pictures: &[BoxesOf], jobs: &mut [Job], path: &Path) -> Result<usize, BoxFileError> {
    let mut of_name: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, (image, _)) in pictures.iter().enumerate() {
        of_name.entry(image.file_name()).or_default().push(index);
    }
    let mut owners: HashMap<usize, PathBuf> = HashMap::new();
    for job in jobs {
        let named = of_name.get(&job.image.file_name());
        let fitting = named.into_iter().flatten().copied();
        let fitting = fitting.filter(|&index| job.image.ends_with(&pictures[index].0));
        // A name with more folders says more.
        let Some(index) = fitting.max_by_key(|&index| pictures[index].0.components().count())
        else {
            continue;
        };
        if let Some(other) = owners.insert(index, job.image.clone()) {
            return Err(BoxFileError::Ambiguous {
                path: path.to_owned(),
                image: pictures[index].0.clone(),
                pictures: [other, job.image.clone()],
            });
        }
        job.known_boxes.clone_from(&pictures[index].1);
    }
    Ok(owners.len())
}

impl Classes {
    /// Puts the network's numbers in the place of the file's. Where no category of COCO is a class, as where objects of one kind are
    /// marked, boxes are for all maps; where some are, boxes of the others are for none.
    pub(super) fn find(
        self,
        labels: &Labels,
        jobs: &mut Jobs,
        tell: &impl Fn(Message),
    ) -> Result<(), BoxFileError> {
        let ids: Vec<Option<usize>> = if self.are_categories {
            self.names.iter().map(|name| labels.named(name)).collect()
        } else {
            let each = self.names.iter().map(|name| labels.find(name).map(Some));
            let each: Result<_, _> = each.collect();
            each.map_err(|source| BoxFileError::Class {
                path: self.path.clone(),
                source,
            })?
        };
        let lacking: Vec<&String> = self
            .names
            .iter()
            .zip(&ids)
            .filter(|(_, id)| id.is_none())
            .map(|(name, _)| name)
            .collect();
        let is_none = lacking.len() == ids.len();
        if let Some(first) = lacking.first() {
            let path = self.path.display();
            let (count, of) = (lacking.len(), ids.len());
            tell(Message::Note(match is_none {
                true => format!(
                    "{path}: its categories, {first:?} first, are no classes of the network: each map is held against all boxes of its picture"
                ),
                false => format!(
                    "{path}: {count} of its {of} categories, {first:?} first, are no classes of the network: no map is held against their boxes"
                ),
            }));
        }
        for job in &mut jobs.list {
            job.known_boxes.retain_mut(|known| {
                let Some(name) = known.class else {
                    return true;
                };
                known.class = ids[name];
                is_none || known.class.is_some()
            });
        }
        Ok(())
    }
}

/// The boxes of a file.
fn read(path: &Path) -> Result<Boxes, BoxFileError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
    read.map_err(|reason| BoxFileError::Read {
        path: path.to_owned(),
        reason,
    })?;
    if text.len() as u64 > LONGEST {
        return Err(BoxFileError::TooLong(path.to_owned()));
    }
    let found = forms::boxes(text.strip_prefix('\u{feff}').unwrap_or(&text));
    found.map_err(|(place, what)| BoxFileError::Form {
        path: path.to_owned(),
        place,
        what,
    })
}
