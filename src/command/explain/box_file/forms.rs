//! The forms that a file of boxes may have.

use std::collections::HashMap;

use serde::Deserialize;

use super::COLUMNS;
use crate::methods::known::KnownBox;

/// A box as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    /// Its picture's name.
    pub(super) image: String,
    pub(super) place: KnownBox,
    /// What its class or category is called, if it has any.
    pub(super) class: Option<String>,
}

/// The boxes of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Boxes {
    pub(super) list: Vec<Named>,
    /// Whether classes are COCO's categories, which need not be the network's.
    pub(super) are_categories: bool,
}

/// Where a file is wrong, and how.
type Wrong = (String, String);

/// Whichever form the text has.
pub(super) fn boxes(text: &str) -> Result<Boxes, Wrong> {
    let of_lines = |list| Boxes {
        list,
        are_categories: false,
    };
    if text.trim_start().starts_with('{') {
        // One object is COCO's, unless it is the only line.
        return match serde_json::from_str::<Coco>(text) {
            Ok(coco) => of_coco(coco),
            Err(_) => each_line(text, of_json).map(of_lines),
        };
    }
    let mut has_class = false;
    let of_csv = |line: &str| {
        let heading: String = line.to_lowercase().split_whitespace().collect();
        match heading.strip_prefix(COLUMNS) {
            Some("") => Ok(vec![]),
            Some(",class") => {
                has_class = true;
                Ok(vec![])
            }
            _ => of_csv(line, has_class).map(|named| vec![named]),
        }
    };
    each_line(text, of_csv).map(of_lines)
}

fn each_line(
    text: &str,
    mut read: impl FnMut(&str) -> Result<Vec<Named>, String>,
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

/// A line of CSV; the name may hold commas, quoted or not, since it is what stands before four numbers. `has_class`: whether a class
/// stands behind them.
fn of_csv(line: &str, has_class: bool) -> Result<Named, String> {
    let (line, class) = match (has_class, line.trim_end().strip_suffix('"')) {
        (false, _) => (line, None),
        (true, None) => line
            .rsplit_once(',')
            .map(|(line, class)| (line, Some(class.trim().to_owned())))
            .unwrap_or_default(),
        // A name with commas stands in quotes.
        (true, Some(line)) => line
            .rsplit_once(",\"")
            .map(|(line, class)| (line, Some(class.replace("\"\"", "\""))))
            .unwrap_or_default(),
    };
    let mut parts = line.rsplitn(5, ',');
    let mut next = || parts.next().map(str::trim);
    let (Some(height), Some(width), Some(y), Some(x), Some(image)) =
        (next(), next(), next(), next(), next())
    else {
        return Err(match has_class {
            false => "not a name and four numbers".into(),
            true => "not a name, four numbers and a class".into(),
        });
    };
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number"));
    let place = known([number(x)?, number(y)?, number(width)?, number(height)?])?;
    let quoted = image
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let image = quoted.map_or_else(|| image.to_owned(), |inner| inner.replace("\"\"", "\""));
    Ok(Named {
        image,
        place,
        class: class.filter(|class| !class.is_empty()),
    })
}

/// A line of JSON.
fn of_json(line: &str) -> Result<Vec<Named>, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Box {
        One([f64; 4]),
        Several(Vec<[f64; 4]>),
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Class {
        Number(u32),
        Name(String),
    }
    #[derive(Deserialize)]
    struct Line {
        image: String,
        #[serde(rename = "box")]
        known: Box,
        #[serde(default)]
        class: Option<Class>,
    }
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let class = line.class.map(|class| match class {
        Class::Number(id) => id.to_string(),
        Class::Name(name) => name,
    });
    let boxes = match line.known {
        Box::One(one) => vec![one],
        Box::Several(list) => list,
    };
    let mut named = vec![];
    for numbers in boxes {
        named.push(Named {
            image: line.image.clone(),
            place: known(numbers)?,
            class: class.clone(),
        });
    }
    Ok(named)
}

#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
    #[serde(default)]
    categories: Vec<CocoCategory>,
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
    #[serde(default)]
    category_id: serde_json::Value,
}

#[derive(Deserialize)]
struct CocoCategory {
    id: serde_json::Value,
    name: String,
}

fn of_coco(coco: Coco) -> Result<Boxes, Wrong> {
    let names = coco.images.into_iter();
    let names: HashMap<String, String> = names
        .map(|image| (image.id.to_string(), image.file_name))
        .collect();
    let categories = coco.categories.into_iter();
    let categories: HashMap<String, String> = categories
        .map(|category| (category.id.to_string(), category.name))
        .collect();
    let annotations = (1..).zip(coco.annotations);
    let each = annotations.map(|(number, annotation)| {
        let place = || format!("annotation {number}");
        let id = annotation.image_id.to_string();
        let name = names.get(&id);
        let name = name.ok_or_else(|| (place(), format!("no image has the id {id}")))?;
        Ok::<_, Wrong>(Named {
            image: name.clone(),
            place: known(annotation.bbox).map_err(|what| (place(), what))?,
            class: categories.get(&annotation.category_id.to_string()).cloned(),
        })
    });
    Ok(Boxes {
        list: each.collect::<Result<_, _>>()?,
        are_categories: true,
    })
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
        let named = boxes(text)?.list.into_iter();
        let named = named.map(|named| (named.image, named.place.to_string()));
        Ok(named.collect())
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

    #[test]
    fn a_picture_may_have_several_boxes_each_with_a_class() {
        let expected = [
            ("a.jpg", "1,2,3,4", Some("cat, tom")),
            ("a.jpg", "5,6,7,8", Some("7")),
            ("b.jpg", "1,1,1,1", None),
        ];
        for text in [
            "image,x,y,width,height,class\na.jpg,1,2,3,4,\"cat, tom\"\na.jpg,5,6,7,8, 7\nb.jpg,1,1,1,1,\n",
            "{\"image\":\"a.jpg\",\"box\":[[1,2,3,4]],\"class\":\"cat, tom\"}\n{\"image\":\"a.jpg\",\"box\":[5,6,7,8],\"class\":7}\n\
             {\"image\":\"b.jpg\",\"box\":[1,1,1,1]}\n",
            "{\"images\":[{\"id\":1,\"file_name\":\"a.jpg\"},{\"id\":2,\"file_name\":\"b.jpg\"}],\"annotations\":[\
             {\"image_id\":1,\"bbox\":[1,2,3,4],\"category_id\":3},{\"image_id\":1,\"bbox\":[5,6,7,8],\"category_id\":4},\
             {\"image_id\":2,\"bbox\":[1,1,1,1],\"category_id\":9}],\"categories\":[{\"id\":3,\"name\":\"cat, tom\"},{\"id\":4,\"name\":\"7\"}]}",
        ] {
            let list = boxes(text).unwrap().list;
            let places: Vec<String> = list.iter().map(|named| named.place.to_string()).collect();
            let found = list.iter().zip(&places);
            let found =
                found.map(|(named, place)| (&*named.image, &**place, named.class.as_deref()));
            assert_eq!(found.collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
