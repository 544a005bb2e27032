//! The sheets of `--sheet`: for each picture classes by methods and layers, with labels, in one PNG or one each.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ::image::{ImageFormat, RgbImage};

use super::page::{scaled, within};
use super::scene::{Scene, Shared};
use super::values::{MethodValues, values};
use super::{Job, Jobs};
use crate::cli::{PixelScale, Size};
use crate::command::Error;
use crate::draw::colorbar::Bar;
use crate::draw::composite::{self, Rectangle};
use crate::draw::sheet::{self, Cell, Row, Sheet};
use crate::explainer::Explanation;
use crate::methods::verdict::Verdict;
use crate::methods::{Method, Setting};
use crate::options::{Options, STEM, is_each};
use crate::output::manifest::holds_something;
use crate::output::provenance::Origin;
use crate::output::report::{Class, Report};
use crate::output::{self, Destination};
use crate::picture;
use crate::picture::preprocess::Geometry;

/// Pictures on one sheet: more make a picture that few programs open.
const TOGETHER: usize = 20;
/// Pixels along the longer side of a cell.
const CELL: u32 = 256;

/// The one sheet of several pictures, which is written once all are there.
#[derive(Default)]
pub(super) struct JointSheet {
    sheets: Vec<SheetPart>,
}

/// A picture's part of it.
pub(super) struct SheetPart {
    drawn: RgbImage,
    image: String,
    origin: Origin,
}

/// What is wrong with the names of sheets is known before anything is computed. Gives the one of all pictures, where there is
/// to be one.
pub(super) fn begin(options: &Options, jobs: &Jobs) -> Result<Option<JointSheet>, Error> {
    let Some(path) = &options.sheet else {
        return Ok(None);
    };
    if !is_each(path) {
        jobs.kept.check(path)?;
        return match jobs.list.len() <= TOGETHER {
            true => Ok(Some(JointSheet::default())),
            false => Err(Error::SheetOfMany {
                pictures: jobs.list.len(),
                most: TOGETHER,
                path: path.clone(),
            }),
        };
    }
    let mut owners: HashMap<PathBuf, &Path> = HashMap::new();
    for job in &jobs.list {
        let Ok(destination) = &job.destination else {
            continue;
        };
        let file = of(path, destination);
        jobs.kept.check(&file)?;
        if let Some(first) = owners.insert(output::place(&file), &job.image) {
            return Err(Error::SheetTwice {
                first: first.to_owned(),
                second: job.image.clone(),
                path: file,
            });
        }
    }
    Ok(None)
}

/// The sheet's file of a picture.
fn of(path: &Path, destination: &Destination) -> PathBuf {
    let parts = path.components().map(|part| {
        let part = part.as_os_str();
        let Some((before, after)) = part.to_str().and_then(|part| part.split_once(STEM)) else {
            return part.to_owned();
        };
        let mut name = OsString::from(before);
        name.push(&destination.stem);
        name.push(after);
        name
    });
    parts.collect()
}

/// What is there of a picture that an earlier run explained.
pub(super) enum SheetState {
    /// Its own sheet, or it needs none.
    There,
    /// No sheet of its own.
    Missing,
    /// Nothing that the sheet of all pictures could be made of.
    OfAll,
}

/// Whether a picture that an earlier run explained needs to be explained for its sheet.
pub(super) fn shown(options: &Options, job: &Job) -> SheetState {
    let Some(path) = &options.sheet else {
        return SheetState::There;
    };
    let file = job.destination.as_ref().map(|to| of(path, to));
    match file {
        _ if !is_each(path) => SheetState::OfAll,
        Ok(file) if holds_something(&file) => SheetState::There,
        Ok(_) | Err(_) => SheetState::Missing,
    }
}

/// Draws a picture's sheet, if there is to be one; writes it, or gives it for that of all pictures.
pub(super) fn make(
    scene: &Scene<'_>,
    explanations: &[Explanation],
    report: &Report,
) -> Result<Option<SheetPart>, Error> {
    let Some(path) = &scene.options.sheet else {
        return Ok(None);
    };
    let drawn = draw(scene, explanations, report);
    let image = report.image.to_string_lossy().into_owned();
    if is_each(path) {
        write(
            &of(path, scene.destination),
            &drawn,
            scene.origin,
            &[&image],
        )?;
        return Ok(None);
    }
    Ok(Some(SheetPart {
        drawn,
        image,
        origin: scene.origin.clone(),
    }))
}

impl JointSheet {
    /// Adds the next picture's.
    pub(super) fn add(&mut self, sheet: SheetPart) {
        self.sheets.push(sheet);
    }

    /// Writes it, if anything is on it.
    pub(super) fn finish(self, path: &Path) -> Result<(), Error> {
        let Some(SheetPart { origin, .. }) = self.sheets.first() else {
            return Ok(());
        };
        let drawn: Vec<&RgbImage> = self.sheets.iter().map(|sheet| &sheet.drawn).collect();
        let images: Vec<&str> = self.sheets.iter().map(|sheet| &*sheet.image).collect();
        write(path, &sheet::stacked(&drawn), origin, &images)
    }
}

fn write(path: &Path, drawn: &RgbImage, origin: &Origin, images: &[&str]) -> Result<(), Error> {
    let bytes = picture::encode(drawn, ImageFormat::Png)?;
    let bytes = origin.embed_sheet(&bytes, images);
    output::write(path, &bytes).map_err(Error::from)
}

/// The picture that cells show, and where the network's rectangle lies on it.
fn ground(scene: &Scene<'_>) -> (RgbImage, Geometry) {
    if let (Size::Original, Some(original)) = (scene.options.size, scene.original) {
        let picture = within(original, CELL);
        let geometry = scaled(scene.geometry, &picture);
        return (picture, geometry);
    }
    let picture = within(scene.seen, CELL);
    let (width, height) = picture.dimensions();
    let geometry = Geometry {
        picture: (width, height),
        x: 0.0,
        y: 0.0,
        width: width.into(),
        height: height.into(),
    };
    (picture, geometry)
}

/// The sheet of one picture; `report` says what is in it.
fn draw(scene: &Scene<'_>, explanations: &[Explanation], report: &Report) -> RgbImage {
    let (picture, geometry) = ground(scene);
    let shared = scene.shared(explanations);
    let all = match (scene.layers, &report.fuse) {
        ([_], _) | (_, None) => report.layer.clone(),
        (_, Some(fuse)) => format!("{fuse} of {}", scene.layers.join(", ")),
    };
    let of_method = |method: Method| match method.reads(Setting::Layer) {
        true => all.clone(),
        false => String::new(),
    };
    let mut columns: Vec<[String; 2]> = vec![];
    let rows = explanations.iter().zip(&report.classes);
    let rows = rows.map(|(explanation, class)| {
        let place = (&picture, &geometry);
        let mut cells = vec![];
        columns.clear();
        for (method, given) in values(scene, explanation) {
            let shared = full_of(&shared, method);
            let remark = remark(class, &method.to_string());
            columns.push([method.to_string(), of_method(method)]);
            cells.push(cell(scene, &given, shared, place, remark));
            for (map, layer) in explanation.layers_of(method).iter().zip(scene.layers) {
                let given = MethodValues::of_map(map);
                columns.push([method.to_string(), layer.clone()]);
                cells.push(cell(scene, &given, None, place, None));
            }
        }
        Row {
            name: class.name.replace('_', " "),
            detail: detail(class),
            probability: class.probability,
            cells,
        }
    });
    let rows = rows.collect();
    let name = report.image.file_name().unwrap_or(report.image.as_os_str());
    let weights = report.weights.path.as_deref();
    let weights = weights.map_or("built in".into(), |path| path.to_string_lossy());
    let sha256 = &report.weights.sha256;
    let [height, width] = report.settings.input_size;
    sheet::draw(&Sheet {
        title: name.to_string_lossy().into_owned(),
        subtitle: format!(
            "{}, score {}, layer {}, {} to {width} x {height}",
            report.weights.architecture, scene.score, report.layer, report.settings.fit,
        ),
        picture,
        columns,
        rows,
        footer: format!(
            "gradcam {}. Weights: {weights}, SHA-256 {}. Adapter: {} ({}). The command is in this file: gradcam show",
            env!("CARGO_PKG_VERSION"),
            sha256.get(..16).unwrap_or(sha256),
            report.adapter.name,
            report.adapter.backend,
        ),
    })
}

/// The number of a class, and its synset where it has one.
fn detail(class: &Class) -> String {
    let Class { id, synset, .. } = class;
    match synset.as_ref().and_then(|synset| synset.split(' ').next()) {
        Some(synset) => format!("class {id}, {synset}"),
        None => format!("class {id}"),
    }
}

fn full_of(shared: &Shared, method: Method) -> Option<f64> {
    let found = shared.iter().find(|(m, _)| *m == method);
    found.map(|&(_, full)| full)
}

/// What is to be known of a method's map.
fn remark(class: &Class, method: &str) -> Option<String> {
    let map = class
        .maps
        .iter()
        .find(|map| map.method.to_string() == method)?;
    (map.verdict != Verdict::Ok).then(|| map.verdict.to_string())
}

/// One map over the picture. `shared` is what a shared scale has at full strength.
fn cell(
    scene: &Scene<'_>,
    given: &MethodValues,
    shared: Option<f64>,
    (picture, geometry): (&RgbImage, &Geometry),
    remark: Option<String>,
) -> Cell {
    let options = scene.options;
    let full = scene.strength(given, shared);
    let drawn = if given.of_pixels {
        let (scaled, largest) = given.scaled();
        let (w, h) = scene.seen.dimensions();
        let values = composite::place_gradient(&scaled.values, w, h, geometry);
        let (width, height) = picture.dimensions();
        match (shared, options.pixel_scale) {
            (None, PixelScale::MinMax) => composite::guided(&values, width, height),
            _ => composite::around_grey(&values, (full / largest) as f32, width, height),
        }
    } else {
        let (map, largest) = given.map();
        let placed = map.place(geometry);
        let full = (full / largest) as f32;
        let heat = match scene.is_signed(given) {
            true => placed.signed_heat_to(full),
            false => placed.heat_to(full),
        };
        let seen = Rectangle::seen(geometry);
        composite::overlay_within(&heat, picture, options.colormap, options.overlay, &seen)
    };
    let bar: Option<Bar> = scene.bar(given, shared);
    Cell {
        picture: drawn,
        bar,
        remark,
    }
}
