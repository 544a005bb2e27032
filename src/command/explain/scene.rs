//! What all classes of a picture share, and how what methods gave is drawn for it: sizes, scales, colours.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ::image::RgbImage;

use super::box_file::BoxOfClass;
use super::values::{MethodValues, methods, values};
use crate::cli::{Colormap, PixelScale, Scale, Size};
use crate::command::Error;
use crate::draw::colorbar::Bar;
use crate::draw::composite::{self, Overlay, Rectangle};
use crate::explainer::Explanation;
use crate::methods::Method;
use crate::methods::map::Map;
use crate::methods::verdict::Circumstances;
use crate::options::Options;
use crate::output::provenance::Origin;
use crate::output::{self, Content, Destination, ProtectedFiles, Question, Subject};
use crate::picture::preprocess::{Geometry, Normalization};

/// What all classes of a picture share.
pub struct Scene<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// Where the files go.
    pub destination: &'a Destination,
    /// How many classes are drawn at once, at most.
    pub threads: usize,
    /// Files that are not written over.
    pub kept: &'a ProtectedFiles,
    /// The picture as it was opened, where maps are placed back on it.
    pub original: Option<&'a RgbImage>,
    /// Boxes of the picture that maps are held against.
    pub known_boxes: &'a [BoxOfClass],
    /// The picture as the network saw it.
    pub seen: &'a RgbImage,
    /// Where the one lies on the other.
    pub geometry: &'a Geometry,
    /// How pixels became the network's input.
    pub normalization: &'a Normalization,
    /// What is asked of the class.
    pub question: Question,
    /// What is asked and found, for advice.
    pub asked: Circumstances<'a>,
    /// What made the files, for those that can say it.
    pub origin: &'a Origin,
    /// What was differentiated, in a word or three.
    pub score: &'a str,
    /// The target layers' names.
    pub layers: &'a [String],
    /// Nanoseconds that were spent writing, of all threads together.
    pub writing: AtomicU64,
}

/// What is drawn at full strength where a scale is shared, in the units of a method's values: for each of its pictures of
/// pixel values, and for its heat.
pub(super) type Shared = Vec<(Method, f64)>;

impl Scene<'_> {
    /// Where a file goes, unless that is a file that the run reads.
    pub(super) fn path(&self, subject: Subject<'_>, content: Content) -> Result<PathBuf, Error> {
        if self.options.to_stdout {
            return Ok("-".into());
        }
        let path = self.destination.path(subject, content);
        self.kept.check(&path)?;
        Ok(path)
    }

    /// Writes a file, or to standard output.
    pub(super) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let started = Instant::now();
        if self.options.to_stdout {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
            written.map_err(Error::Stdout)?;
        } else {
            output::write(path, bytes)?;
        }
        let nanoseconds = started.elapsed().as_nanos() as u64;
        self.writing.fetch_add(nanoseconds, Ordering::Relaxed);
        Ok(())
    }

    /// What the pictures written show, at their size.
    pub(super) fn picture(&self) -> &RgbImage {
        self.original.unwrap_or(self.seen)
    }

    /// What of the values is drawn at full strength, where classes share that or the user says it.
    pub(super) fn shared(&self, explanations: &[Explanation]) -> Shared {
        match self.options.scale {
            Scale::Class => vec![],
            Scale::Fixed(full) => {
                let methods = methods(self.options).into_iter();
                methods.map(|method| (method, full)).collect()
            }
            Scale::Image => {
                let mut shared = Shared::new();
                for explanation in explanations {
                    for (method, values) in values(self, explanation) {
                        let full = self.full(&values);
                        match shared.iter_mut().find(|(m, _)| *m == method) {
                            Some((_, most)) => *most = most.max(full),
                            None => shared.push((method, full)),
                        }
                    }
                }
                shared
            }
        }
    }

    /// What a class's own scale draws at full strength, in the units of its values.
    fn full(&self, values: &MethodValues) -> f64 {
        let (scaled, largest) = values.scaled();
        let full = match values.of_pixels {
            true => self.reach(&scaled.values),
            false if self.options.signed => self.resized(&scaled).reach(),
            false => self.resized(&scaled).range().map_or(0.0, |(_, max)| max),
        };
        f64::from(full) * largest
    }

    /// What is drawn at full strength, in the units of the values: of a shared scale, or their own.
    pub(super) fn strength(&self, values: &MethodValues, shared: Option<f64>) -> f64 {
        shared.unwrap_or_else(|| self.full(values))
    }

    /// The colours of a method's picture and what they stand for; none where it shows nothing.
    pub(super) fn bar(&self, values: &MethodValues, shared: Option<f64>) -> Option<Bar> {
        let full = self.strength(values, shared);
        let least = match self.options.overlay {
            Overlay::Threshold { least, .. } if !values.of_pixels => least,
            _ => 0.0,
        };
        let (colors, low, high) = if values.of_pixels {
            let (low, high) = match (shared, self.options.pixel_scale) {
                (None, PixelScale::MinMax) => {
                    let (scaled, largest) = values.scaled();
                    let (min, max) = scaled.range()?;
                    (f64::from(min) * largest, f64::from(max) * largest)
                }
                _ => (-full, full),
            };
            (Colormap::Grey, low, high)
        } else {
            let least = if self.is_signed(values) { -full } else { 0.0 };
            (
                self.options.colormap,
                values.nothing + least,
                values.nothing + full,
            )
        };
        (full > 0.0).then_some(Bar {
            colors,
            low,
            high,
            least,
        })
    }

    /// Whether what lies below zero is drawn.
    pub(super) fn is_signed(&self, values: &MethodValues) -> bool {
        self.options.signed && !values.of_pixels
    }

    /// A map at the size of the pictures written.
    pub(super) fn resized(&self, map: &Map) -> Map {
        match self.options.size {
            Size::Model => map.resize(self.seen.width() as usize, self.seen.height() as usize),
            Size::Original => map.place(self.geometry),
        }
    }

    /// The values as a map to draw, at the size of the pictures written. `full` is what a shared scale has at full strength.
    pub(super) fn heat(&self, values: &MethodValues, full: Option<f64>) -> Map {
        let (map, largest) = values.map();
        let resized = self.resized(&map);
        let full = full.map(|full| (full / largest) as f32);
        match self.is_signed(values) {
            true => resized.signed_heat_to(full.unwrap_or_else(|| resized.reach())),
            false => match full {
                Some(full) => resized.heat_to(full),
                None => resized.heat(),
            },
        }
    }

    /// The heat in colour over the picture; what the network did not see stays as it is.
    pub(super) fn overlay(&self, heat: &Map) -> RgbImage {
        let Options {
            colormap, overlay, ..
        } = *self.options;
        match self.options.size {
            Size::Model => composite::overlay(heat, self.seen, colormap, overlay),
            Size::Original => {
                let seen = Rectangle::seen(self.geometry);
                composite::overlay_within(heat, self.picture(), colormap, overlay, &seen)
            }
        }
    }

    /// The magnitude of pixel values that is drawn black or white.
    pub(super) fn reach(&self, values: &[f32]) -> f32 {
        match self.options.pixel_scale {
            PixelScale::Percentile => composite::percentile(values),
            PixelScale::MinMax => values.iter().fold(0.0, |most: f32, v| most.max(v.abs())),
        }
    }

    /// Pixel values as a picture, at the size of the pictures written. `full` is what a shared scale has at full strength.
    pub(super) fn pixels(&self, values: &MethodValues, full: Option<f64>) -> RgbImage {
        let (scaled, largest) = values.scaled();
        let reach = full.map(|full| (full / largest) as f32);
        // Before what was not seen is put around it.
        let own = self.reach(&scaled.values);
        let (w, h) = self.seen.dimensions();
        let (values, (w, h)) = match self.options.size {
            Size::Model => (scaled.values, (w, h)),
            Size::Original => (
                composite::place_gradient(&scaled.values, w, h, self.geometry),
                self.picture().dimensions(),
            ),
        };
        match (reach, self.options.pixel_scale) {
            (None, PixelScale::MinMax) => composite::guided(&values, w, h),
            (reach, _) => composite::around_grey(&values, reach.unwrap_or(own), w, h),
        }
    }
}
