//! The methods that a command needs, and what each gave for a class.

use super::draw::contents;
use super::scene::Scene;
use crate::draw::composite;
use crate::explainer::{Explanation, Values};
use crate::methods::Method;
use crate::methods::map::{Map, RawMap};
use crate::options::Options;
use crate::output::Content;
use crate::picture::preprocess;

/// The methods needed, each once: those asked for, then those that outputs show whatever the method.
pub(super) fn methods(options: &Options) -> Vec<Method> {
    let mut methods: Vec<Method> = vec![];
    let shown = contents(options).into_iter().map(Content::method);
    for method in options.methods.iter().copied().chain(shown) {
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    methods
}

/// What each of [`methods`] gave for a class.
pub(super) fn values(scene: &Scene<'_>, explanation: &Explanation) -> Vec<(Method, MethodValues)> {
    let of =
        |(method, values): &(Method, Values)| (*method, MethodValues::new(scene, *method, values));
    explanation.values.iter().map(of).collect()
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
    fn new(scene: &Scene<'_>, method: Method, values: &Values) -> Self {
        match (method, values) {
            (Method::Pixel(method), Values::Pixels(values)) => {
                let (columns, rows) = scene.seen.dimensions();
                let channels = scene.normalization.channels();
                let degree = method.recipe().value.degree();
                Self {
                    shape: [rows as usize, columns as usize, channels],
                    of_pixels: true,
                    values: preprocess::to_picture(values, scene.normalization, degree),
                    nothing: 0.0,
                }
            }
            (Method::Perturbation(method), Values::Map(map)) => Self {
                nothing: method.nothing(&map.values),
                ..Self::of_map(map)
            },
            (_, Values::Map(map)) => Self::of_map(map),
            (_, Values::Pixels(_)) => unreachable!("{method} gives no values at the pixels"),
        }
    }

    /// A map of which zero is drawn as nothing.
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
