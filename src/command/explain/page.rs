//! What the page of `--report` shows: pictures made smaller, maps as numbers.

use ::image::RgbImage;

use super::Jobs;
use super::scene::{Scene, Shared};
use super::values::{MethodValues, values};
use crate::cli::{Colormap, PixelScale};
use crate::command::Error;
use crate::command::whole_page::Look;
use crate::draw::composite::{self, Rectangle};
use crate::explainer::Explanation;
use crate::methods::map::Map;
use crate::options::Options;
use crate::output::page::{Media, Page, PageMap, PagePicture, Values};
use crate::output::provenance::Origin;
use crate::picture;
use crate::picture::preprocess::Geometry;
use crate::picture::resize::{self, Region};
use crate::printable::quoted_os;

/// Pixels along the longer side of a picture in the page.
const INSIDE: u32 = 1024;
/// The same of one beside it: there are many of them.
const BESIDE: u32 = 800;
/// The same of one among others.
const SMALL: u32 = 320;
/// Values along a side of a map: no method's pictures show more places than that.
const VALUES: usize = 128;

/// Begins the page, if there is to be one: where it cannot be written, nothing needs to be computed.
pub(super) fn begin(options: &Options, jobs: &Jobs) -> Result<Option<Page>, Error> {
    let Some(path) = &options.report else {
        return Ok(None);
    };
    jobs.kept.check(path)?;
    let words = options.command.iter().map(|word| quoted_os(word));
    let command = words.collect::<Vec<_>>().join(" ");
    let common = Look::of(options).common(command);
    Ok(Some(Page::begin(path, &common)?))
}

/// A picture as the page has it.
pub(super) fn reduced(picture: &RgbImage, media: &Media) -> RgbImage {
    within(picture, if media.is_inside() { INSIDE } else { BESIDE })
}

/// The picture, its longer side not above `side`.
pub(super) fn within(picture: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let longer = width.max(height);
    if longer <= side {
        return picture.clone();
    }
    let shorter = |length: u32| {
        let exact = f64::from(length) * f64::from(side) / f64::from(longer);
        (exact.round() as u32).max(1)
    };
    let region = Region::whole(picture);
    resize::bilinear(picture, region, shorter(width), shorter(height))
}

/// Where pictures and maps of one picture go.
pub(super) struct PictureMedia<'a> {
    pub(super) media: &'a Media,
    /// The picture's, see [`Media::key`].
    pub(super) key: String,
}

impl PictureMedia<'_> {
    fn jpeg(&self, picture: &RgbImage, name: &str) -> Result<String, Error> {
        Ok(self.media.jpeg(&encoded(picture)?, &self.key, name)?)
    }
}

/// A JPEG for the page.
fn encoded(picture: &RgbImage) -> Result<Vec<u8>, Error> {
    Ok(Origin::embed_page(picture::encode_for_page(picture)?))
}

/// What the page shows of a picture; `picture` as [`reduced`] made it.
pub(super) fn shown(
    to: &PictureMedia<'_>,
    scene: &Scene<'_>,
    explanations: &[Explanation],
    picture: &RgbImage,
) -> Result<PagePicture, Error> {
    let geometry = scaled(scene.geometry, picture);
    let shared = scene.shared(explanations);
    let mut maps = vec![];
    for (rank, explanation) in explanations.iter().enumerate() {
        maps.extend(of_class(to, scene, &shared, rank, explanation)?);
    }
    let small = match explanations {
        [first, ..] if to.media.is_of_several() => Some(small(to, scene, first, picture)?),
        _ => None,
    };
    let (address, maps) = to
        .media
        .picture_and_maps(&encoded(picture)?, maps, &to.key)?;
    Ok(PagePicture {
        picture: address,
        small,
        size: picture.dimensions().into(),
        seen: [geometry.x, geometry.y, geometry.width, geometry.height],
        maps,
    })
}

/// The maps of one class, by method and layer.
fn of_class(
    to: &PictureMedia<'_>,
    scene: &Scene<'_>,
    shared: &Shared,
    rank: usize,
    explanation: &Explanation,
) -> Result<Vec<PageMap>, Error> {
    let mut maps = vec![];
    for (method, given) in values(scene, explanation) {
        let shown = |layer: Option<String>, size, values| PageMap {
            class: rank,
            method: method.to_string(),
            layer,
            size,
            values,
        };
        if given.of_pixels {
            let full = shared.iter().find(|(m, _)| *m == method);
            let drawn = pixels(scene, &given, full.map(|&(_, full)| full));
            let name = format!("{rank}_{method}");
            let picture = to.jpeg(&drawn, &name)?;
            let [rows, columns, _] = given.shape;
            maps.push(shown(None, [columns, rows], Values::Picture { picture }));
            continue;
        }
        let (size, values) = levels(&given);
        maps.push(shown(None, size, values));
        for (map, layer) in explanation.layers_of(method).iter().zip(scene.layers) {
            let (size, values) = levels(&MethodValues::of_map(map));
            maps.push(shown(Some(layer.clone()), size, values));
        }
    }
    Ok(maps)
}

/// Values of a map for the page, and their columns and rows: means of neighbours where there are many.
fn levels(given: &MethodValues) -> ([usize; 2], Values) {
    let [rows, columns, _] = given.shape;
    let less = |v: &f64| v - given.nothing;
    let values: Vec<f64> = given.values.iter().map(less).collect();
    let size = [columns.min(VALUES), rows.min(VALUES)];
    let narrow = means(&values, columns, 1, size[0]);
    let means = means(&narrow, rows, size[0], size[1]);
    (size, Values::levels(&means, given.nothing))
}

/// Along one axis of `length` positions, `stride` values each, the means of `to` equal parts.
fn means(values: &[f64], length: usize, stride: usize, to: usize) -> Vec<f64> {
    if to == length {
        return values.to_vec();
    }
    let part = length as f64 / to as f64;
    let mut out = vec![];
    for line in values.chunks_exact(length * stride) {
        for place in 0..to {
            let (start, end) = (place as f64 * part, (place + 1) as f64 * part);
            let last = (end.ceil() as usize).min(length);
            out.extend((0..stride).map(|offset| {
                let share = |at: usize| end.min((at + 1) as f64) - start.max(at as f64);
                let reached = start as usize..last;
                let sum: f64 = reached
                    .map(|at| share(at) * line[at * stride + offset])
                    .sum();
                sum / part
            }));
        }
    }
    out
}

/// Pixel values as a picture of the size that the network saw.
fn pixels(scene: &Scene<'_>, given: &MethodValues, full: Option<f64>) -> RgbImage {
    let (scaled, largest) = given.scaled();
    let (w, h) = scene.seen.dimensions();
    match (full, scene.options.pixel_scale) {
        (None, PixelScale::MinMax) => composite::guided(&scaled.values, w, h),
        (full, _) => {
            let own = || scene.reach(&scaled.values);
            let reach = full.map_or_else(own, |full| (full / largest) as f32);
            composite::around_grey(&scaled.values, reach, w, h)
        }
    }
}

/// A small picture under the map of the most likely class and the first method.
fn small(
    to: &PictureMedia<'_>,
    scene: &Scene<'_>,
    explanation: &Explanation,
    picture: &RgbImage,
) -> Result<String, Error> {
    let options = scene.options;
    let picture = within(picture, SMALL);
    let geometry = scaled(scene.geometry, &picture);
    let values = values(scene, explanation);
    let first = values.iter().find(|(m, _)| *m == options.methods[0]);
    let (_, given) = first.expect("values of each method asked for");
    let placed = given.map().0.place(&geometry);
    let heat: Map = match scene.is_signed(given) {
        true => placed.signed_heat_to(placed.reach()),
        false => placed.heat(),
    };
    let colors = match given.of_pixels && options.signed {
        // Magnitudes have no middle.
        true => Colormap::Jet,
        false => options.colormap,
    };
    let seen = Rectangle::seen(&geometry);
    let drawn = composite::overlay_within(&heat, &picture, colors, options.overlay, &seen);
    to.jpeg(&drawn, "small")
}

/// Where the network's rectangle lies on a smaller copy of the picture.
pub(super) fn scaled(geometry: &Geometry, copy: &RgbImage) -> Geometry {
    let along = |now: u32, was: u32| f64::from(now) / f64::from(was);
    let across = along(copy.width(), geometry.picture.0);
    let down = along(copy.height(), geometry.picture.1);
    Geometry {
        picture: copy.dimensions(),
        x: geometry.x * across,
        y: geometry.y * down,
        width: geometry.width * across,
        height: geometry.height * down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_many_values_becomes_means_of_equal_parts() {
        assert_eq!(means(&[1.0, 3.0, 5.0, 7.0], 4, 1, 2), [2.0, 6.0]);
        let thirds = means(&[3.0, 6.0, 9.0], 3, 1, 2);
        assert!((thirds[0] - 4.0).abs() < 1e-12 && (thirds[1] - 8.0).abs() < 1e-12);
        // Two columns, of which each keeps to itself.
        let rows = [1.0, 10.0, 3.0, 30.0, 5.0, 50.0, 7.0, 70.0];
        assert_eq!(means(&rows, 4, 2, 2), [2.0, 20.0, 6.0, 60.0]);
    }

    #[test]
    fn pictures_become_smaller_and_never_larger() {
        assert_eq!(
            within(&RgbImage::new(3000, 2), 1024).dimensions(),
            (1024, 1)
        );
        assert_eq!(within(&RgbImage::new(30, 20), 1024).dimensions(), (30, 20));
        assert_eq!(
            within(&RgbImage::new(600, 1200), 320).dimensions(),
            (160, 320)
        );
    }
}
