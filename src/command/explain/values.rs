//! The methods that a command needs, and what each gave for a class.

use super::draw::contents;
use super::scene::Scene;
use crate::draw::composite;
use crate::explainer::Explanation;
use crate::methods::map::{Map, RawMap};
use crate::methods::{Method, attribution, cam, perturbation};
use crate::options::Options;
use crate::output::Content;
use crate::picture::preprocess;

/// Methods of either kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Methods {
    /// Those of the target layer.
    pub cams: Vec<cam::Method>,
    /// Those of the pixels.
    pub pixels: Vec<attribution::Method>,
    /// Those that hide parts of the picture.
    pub perturbations: Vec<perturbation::Method>,
}

/// The methods needed: those asked for, and those that outputs show whatever the method.
pub(super) fn methods(options: &Options) -> Methods {
    let mut methods = Methods::default();
    let shown = contents(options).into_iter().map(Content::method);
    for method in options.methods.iter().copied().chain(shown) {
        match method {
            Method::Cam(method) if !methods.cams.contains(&method) => methods.cams.push(method),
            Method::Pixel(method) if !methods.pixels.contains(&method) => {
                methods.pixels.push(method);
            }
            Method::Perturbation(method) if !methods.perturbations.contains(&method) => {
                methods.perturbations.push(method);
            }
            Method::Cam(_) | Method::Pixel(_) | Method::Perturbation(_) => {}
        }
    }
    methods
}

impl Methods {
    /// All of them.
    pub(super) fn each(&self) -> Vec<Method> {
        let cams = self.cams.iter().map(|&method| method.into());
        let pixels = self.pixels.iter().map(|&method| method.into());
        let perturbations = self.perturbations.iter().map(|&method| method.into());
        cams.chain(pixels).chain(perturbations).collect()
    }

    pub(super) fn values(
        &self,
        scene: &Scene<'_>,
        explanation: &Explanation,
    ) -> Vec<(Method, MethodValues)> {
        let cams = self.cams.iter().zip(&explanation.maps);
        let cams = cams.map(|(&cam, map)| (Method::Cam(cam), MethodValues::of_map(map)));
        let (columns, rows) = scene.seen.dimensions();
        let pixels = self.pixels.iter().zip(&explanation.pixels);
        let pixels = pixels.map(|(&method, values)| {
            let degree = method.recipe().value.degree();
            let values = MethodValues {
                shape: [
                    rows as usize,
                    columns as usize,
                    scene.normalization.channels(),
                ],
                of_pixels: true,
                values: preprocess::to_picture(values, scene.normalization, degree),
                nothing: 0.0,
            };
            (Method::Pixel(method), values)
        });
        let perturbations = self.perturbations.iter().zip(&explanation.perturbations);
        let perturbations = perturbations.map(|(&method, map)| {
            let values = MethodValues {
                shape: [rows as usize, columns as usize, 1],
                of_pixels: false,
                values: map.clone(),
                nothing: method.nothing(map),
            };
            (Method::Perturbation(method), values)
        });
        cams.chain(pixels).chain(perturbations).collect()
    }
}

/// What a method gave for a class.
pub(super) struct MethodValues {
    /// Rows, columns, and 1 or 3 values at each place.
    pub(super) shape: [usize; 3],
    /// Whether these are values of a picture's channels, rather than a map.
    pub(super) of_pixels: bool,
    /// Row by row.
    pub(super) values: Vec<f64>,
    /// What is drawn as nothing.
    pub(super) nothing: f64,
}

impl MethodValues {
    /// A CAM method's map.
    pub(super) fn of_map(map: &RawMap) -> Self {
        Self {
            shape: [map.height, map.width, 1],
            of_pixels: false,
            values: map.values.clone(),
            nothing: 0.0,
        }
    }

    /// What is more than nothing, divided by the largest magnitude, see [`Map::scaled`], and that magnitude.
    pub(super) fn scaled(&self) -> (Map, f64) {
        let [rows, columns, channels] = self.shape;
        let values: Vec<f64> = self.values.iter().map(|v| v - self.nothing).collect();
        let largest = values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        (Map::scaled(columns * channels, rows, &values), largest)
    }

    /// One value a position: of pixel values their magnitude. Divided by the largest magnitude, and that.
    pub(super) fn map(&self) -> (Map, f64) {
        let (scaled, largest) = self.scaled();
        let [rows, columns, _] = self.shape;
        let map = match self.of_pixels {
            true => composite::magnitude(&scaled.values, columns as u32, rows as u32),
            false => scaled,
        };
        (map, largest)
    }
}
