//! A picture from its file to what the network takes.

use std::time::Instant;

use ::image::RgbImage;
use sha2::{Digest, Sha256};

use super::compute::Engines;
use super::ending::Failure;
use super::pictures::Run;
use super::{Job, milliseconds, page, record};
use crate::cli::{self, Size};
use crate::command::Error;
use crate::output::Destination;
use crate::picture::preprocess::{self, Fit, Geometry, Tiles};
use crate::picture::{self, Picture};
use crate::weights;

/// A picture as the network sees it.
pub(super) struct Prepared {
    /// Where maps are placed back on it: pictures wait their turn, and one may be of 800 MB.
    pub(super) original: Option<RgbImage>,
    /// For the page.
    pub(super) reduced: Option<RgbImage>,
    pub(super) seen: RgbImage,
    pub(super) geometry: Geometry,
    /// What of it is seen at once; one, but for `--fit tiles`.
    pub(super) tiles: Tiles,
    /// Of each of them.
    pub(super) inputs: Vec<Vec<f32>>,
    pub(super) destination: Destination,
    /// What was assumed on decoding, and what its files are called where they have not its name.
    pub(super) notes: Vec<String>,
    /// Of its file, where a run keeps it to know the file again.
    pub(super) sha256: Option<String>,
    pub(super) milliseconds: f64,
}

impl Run<'_> {
    /// The picture from its file to what the network takes.
    pub(super) fn prepare(&self, engines: &Engines, job: &Job) -> Result<Prepared, Failure> {
        let started = Instant::now();
        let destination = job
            .destination
            .as_ref()
            .map_err(|words| Failure::told(words))?;
        let bytes = picture::read(&job.image).map_err(Error::from)?;
        let is_kept = record::is_kept(self.options, self.jobs);
        let sha256 = is_kept.then(|| weights::hex(&Sha256::digest(&bytes)));
        let Picture {
            rgb: original,
            mut notes,
            ..
        } = picture::decode_up_to(&bytes, &job.image, self.options.max_pixels)
            .map_err(Error::from)?;
        drop(bytes);
        check_boxes(job, original.dimensions())?;
        let normalization = &self.model.classifier.normalization;
        let (seen, geometry, tiles) = self.seen(engines, job, &original, &mut notes)?;
        let inputs = tiles.cut(&seen);
        let inputs = inputs.map(|tile| preprocess::to_tensor(&tile, normalization));
        let inputs = inputs.collect();
        if destination.is_shortened && !self.options.outputs.is_empty() {
            notes.push(format!(
                "its name leaves no room for class and suffix: its files are called {}_...",
                destination.stem.display()
            ));
        }
        Ok(Prepared {
            reduced: (self.media.as_ref()).map(|media| page::reduced(&original, media)),
            original: (self.options.size == Size::Original).then_some(original),
            seen,
            geometry,
            tiles,
            inputs,
            destination: destination.clone(),
            notes,
            sha256,
            milliseconds: milliseconds(started),
        })
    }

    /// What the network sees of a picture and where that lies on it, as `--fit` says, and the tiles that it is cut into.
    fn seen(
        &self,
        engines: &Engines,
        job: &Job,
        original: &RgbImage,
        notes: &mut Vec<String>,
    ) -> Result<(RgbImage, Geometry, Tiles), Error> {
        let input = self.model.classifier.network.input_shape();
        let (w, h) = (input.w as u32, input.h as u32);
        let normalization = &self.model.classifier.normalization;
        let fit = match self.options.fit {
            cli::Fit::Crop => Fit::Crop,
            cli::Fit::Squash => Fit::Squash,
            cli::Fit::Pad => Fit::Pad,
            cli::Fit::Tiles => {
                let tiles = self.tiles(engines, job, original.dimensions(), notes)?;
                let (seen, geometry) = preprocess::tiled(original, &tiles, normalization);
                return Ok((seen, geometry, tiles));
            }
        };
        let (seen, geometry) = preprocess::seen(original, fit, [w, h], normalization);
        Ok((seen, geometry, Tiles::one((w, h))))
    }

    /// Squares over a picture of this size, as many as were asked for; or else one rectangle, where it means the same.
    fn tiles(
        &self,
        engines: &Engines,
        job: &Job,
        picture: (u32, u32),
        notes: &mut Vec<String>,
    ) -> Result<Tiles, Error> {
        let input = self.model.classifier.network.input_shape();
        let square = (input.w as u32, input.h as u32);
        let asked = self.options.tiles;
        let tiles = Tiles::over(picture, square, asked.unwrap_or(1));
        let tiles = tiles.map_err(|source| Error::Tiles {
            image: job.image.clone(),
            source,
        })?;
        let whole = match asked {
            Some(_) => None,
            None => engines.whole(self, &tiles),
        };
        let Some(whole) = whole else {
            return Ok(tiles);
        };
        let (w, h) = whole.canvas;
        notes.push(format!(
            "one pass of {w} x {h} pixels rather than {} squares, since the network ends with a mean over all positions; --tiles 1 takes squares",
            tiles.corners.len()
        ));
        Ok(whole)
    }
}

/// An error where a box that maps are held against lies outside its picture.
fn check_boxes(job: &Job, (width, height): (u32, u32)) -> Result<(), Error> {
    let mut boxes = job.known_boxes.iter();
    match boxes.find(|known| !known.place.meets((width, height))) {
        None => Ok(()),
        Some(known) => Err(Error::BoxOutside {
            image: job.image.clone(),
            known: known.place,
            width,
            height,
        }),
    }
}
