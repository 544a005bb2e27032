//! From one explained class to its files.

use ::image::RgbImage;

use crate::cam::Method;
use crate::cli::{Output, Size};
use crate::composite;
use crate::explain::Error;
use crate::explainer::{Explanation, Prediction};
use crate::image;
use crate::labels::Label;
use crate::map::Map;
use crate::network::Shape;
use crate::options::Options;
use crate::output::{self, Content, Destination, Subject};
use crate::preprocess::{self, Geometry, Normalization};
use crate::report;

/// What all classes of a picture share.
pub struct Scene<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// Where the files go.
    pub destination: &'a Destination,
    /// The picture as it was opened.
    pub original: &'a RgbImage,
    /// The picture as the network saw it.
    pub seen: &'a RgbImage,
    /// Where the one lies on the other.
    pub geometry: &'a Geometry,
    /// How pixels became the network's input.
    pub normalization: &'a Normalization,
    /// Shape of the target layer.
    pub map_shape: Shape,
}

/// The methods whose maps are needed: those asked for, and Grad-CAM where guided Grad-CAM is.
pub fn methods(options: &Options) -> Vec<Method> {
    let mut methods = options.methods.clone();
    if options.outputs.contains(&Output::GuidedGradcam) && !methods.contains(&Method::GradCam) {
        methods.push(Method::GradCam);
    }
    methods
}

/// Whether any output needs the gradient at the pixels.
pub fn needs_pixels(options: &Options) -> bool {
    let of_pixels = |output: &Output| match output {
        Output::GuidedBprop | Output::GuidedGradcam | Output::Raw => true,
        Output::Heatmap | Output::Gradcam | Output::Segmented => false,
    };
    options.outputs.iter().any(of_pixels)
}

/// Files of a class, in the order written: those of each method, then those of none.
fn contents(options: &Options) -> Vec<Content> {
    let of_method = |method, output: &Output| match output {
        Output::Heatmap => Some(Content::Heatmap(method)),
        Output::Gradcam => Some(Content::Overlay(method)),
        Output::Segmented => Some(Content::Segmented(method)),
        Output::Raw => Some(Content::RawMap(method)),
        Output::GuidedBprop | Output::GuidedGradcam => None,
    };
    let of_none = |output: &Output| match output {
        Output::GuidedBprop => Some(Content::GuidedBprop),
        Output::GuidedGradcam => Some(Content::GuidedGradcam),
        Output::Raw => Some(Content::RawGuidedBprop),
        Output::Heatmap | Output::Gradcam | Output::Segmented => None,
    };
    let outputs = &options.outputs;
    let with_method = options.methods.iter().flat_map(|&method| {
        outputs
            .iter()
            .filter_map(move |output| of_method(method, output))
    });
    with_method
        .chain(outputs.iter().filter_map(of_none))
        .collect()
}

/// Writes the files of one class, and says what is in them.
pub fn class(
    scene: &Scene<'_>,
    rank: usize,
    explanation: &Explanation,
    prediction: &Prediction,
    label: &Label,
) -> Result<report::Class, Error> {
    let Scene { options, .. } = scene;
    let id = explanation.class;
    let probability = prediction.probabilities[id] as f32;
    let subject = Subject {
        rank,
        class_id: id,
        class_name: label.name(),
        probability,
    };
    let picture = match options.size {
        Size::Model => scene.seen,
        Size::Original => scene.original,
    };
    let methods = methods(options);
    let raw = |method| {
        let place = methods.iter().position(|&m| m == method);
        &explanation.maps[place.expect("a map for each method needed")]
    };
    let heat = |method| scene.heat(raw(method));
    let gradient = scene.pixel_gradient(explanation);
    let mut class = report::Class::new(rank, id, label, probability, prediction.logits[id]);
    for &method in &options.methods {
        class.maps.push(report::Map::new(method, raw(method)));
    }
    for content in contents(options) {
        let path = scene.destination.path(subject, content);
        let write = |drawn: &RgbImage| {
            let bytes = image::encode(drawn, scene.destination.format.into())?;
            output::write(&path, &bytes).map_err(Error::from)
        };
        match content {
            Content::Overlay(method) => write(&composite::overlay(
                &heat(method),
                picture,
                options.colormap,
                options.alpha,
            )),
            Content::Heatmap(method) => write(&composite::heatmap(&heat(method))),
            Content::Segmented(method) => write(&composite::segmented(&heat(method), picture)),
            Content::GuidedBprop => write(&scene.guided(&gradient)),
            Content::GuidedGradcam => {
                let placed = scene.place(&gradient);
                let lit = composite::guided_gradcam(&placed, &heat(Method::GradCam));
                write(&composite::guided(&lit, picture.width(), picture.height()))
            }
            Content::RawMap(method) => {
                let values: Vec<f32> = raw(method).iter().map(|&v| v as f32).collect();
                let shape = [scene.map_shape.h, scene.map_shape.w];
                output::write_array(&path, &values, &shape).map_err(Error::from)
            }
            Content::RawGuidedBprop => {
                let scaled = |&g: &f32| (f64::from(g) * explanation.scale) as f32;
                let values: Vec<f32> = gradient.iter().map(scaled).collect();
                let (h, w) = (scene.seen.height() as usize, scene.seen.width() as usize);
                output::write_array(&path, &values, &[h, w, 3]).map_err(Error::from)
            }
        }?;
        class.wrote(content, path);
    }
    Ok(class)
}

impl Scene<'_> {
    /// The map as drawn, at the size of the pictures written.
    fn heat(&self, raw: &[f64]) -> Map {
        // To float32's range first: the map of a nearly certain class lies far below it.
        let largest = raw.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        let scale = if largest > 0.0 { largest.recip() } else { 1.0 };
        let values = raw.iter().map(|v| (v * scale) as f32).collect();
        let map = Map::new(self.map_shape.w, self.map_shape.h, values);
        let resized = match self.options.size {
            Size::Model => map.resize(self.seen.width() as usize, self.seen.height() as usize),
            Size::Original => map.place(self.geometry),
        };
        resized.heat()
    }

    /// The gradient at the pixels the network saw, H x W x 3, divided by the explanation's scale; empty where there
    /// is none.
    fn pixel_gradient(&self, explanation: &Explanation) -> Vec<f32> {
        let gradient = explanation.guided.as_deref();
        gradient
            .map(|gradient| preprocess::pixel_gradient(gradient, self.normalization))
            .unwrap_or_default()
    }

    /// A pixel gradient at the size of the pictures written.
    fn place(&self, gradient: &[f32]) -> Vec<f32> {
        let (w, h) = self.seen.dimensions();
        match self.options.size {
            Size::Model => gradient.to_vec(),
            Size::Original => composite::place_gradient(gradient, w, h, self.geometry),
        }
    }

    fn guided(&self, gradient: &[f32]) -> RgbImage {
        let (w, h) = match self.options.size {
            Size::Model => self.seen.dimensions(),
            Size::Original => self.original.dimensions(),
        };
        composite::guided(&self.place(gradient), w, h)
    }
}
