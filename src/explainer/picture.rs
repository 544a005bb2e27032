//! A picture from its pixels to what is explained of it, in one call.

use ::image::RgbImage;

use super::{ExplainError, Explainer, Explanation, Prediction};
use crate::architectures::Classifier;
use crate::picture::preprocess::{self, Fit, Geometry, Normalization};

/// What is asked of a picture.
#[derive(Clone, Debug)]
pub struct PictureRequest<'a> {
    /// How pixels become the network's input: as
    /// [`Classifier::normalization`](crate::architectures::Classifier::normalization) says, or another.
    pub normalization: &'a Normalization,
    /// How the picture meets the network's rectangle.
    pub fit: Fit,
    /// Which classes are explained.
    pub classes: Classes,
}

/// Classes to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classes {
    /// The most likely ones, so many of them.
    Top(usize),
    /// These, by their numbers.
    Of(Vec<usize>),
}

impl Classifier {
    /// Asks for the `count` most likely classes of a picture, of which the network sees the centre square.
    pub fn top(&self, count: usize) -> PictureRequest<'_> {
        self.request(Classes::Top(count))
    }

    /// Asks for these classes of a picture, by their numbers, of which the network sees the centre square.
    pub fn classes(&self, classes: impl Into<Vec<usize>>) -> PictureRequest<'_> {
        self.request(Classes::Of(classes.into()))
    }

    fn request(&self, classes: Classes) -> PictureRequest<'_> {
        PictureRequest {
            normalization: &self.normalization,
            fit: Fit::Crop,
            classes,
        }
    }
}

/// A picture explained.
#[derive(Clone, Debug)]
pub struct ExplainedPicture {
    /// What the network saw of it.
    pub seen: RgbImage,
    /// Where that lies on the picture.
    pub geometry: Geometry,
    /// What the network says of it.
    pub prediction: Prediction,
    /// One a class, in the order of [`PictureRequest::classes`].
    pub explanations: Vec<Explanation>,
}

impl Explainer {
    /// [`Explainer::predict`] and [`Explainer::explain`] of a picture of any size.
    ///
    /// # Errors
    /// As those two.
    ///
    /// # Panics
    /// If the picture has no pixels.
    pub fn explain_picture(
        &self,
        picture: &RgbImage,
        request: &PictureRequest<'_>,
    ) -> Result<ExplainedPicture, ExplainError> {
        let input = self.network.input_shape();
        let (w, h) = (input.w as u32, input.h as u32);
        let normalization = request.normalization.of_channels(input.c);
        let (seen, geometry) = preprocess::seen(picture, request.fit, [w, h], &normalization);
        let prediction = self.predict(&preprocess::to_tensor(&seen, &normalization))?;
        let explanations = match &request.classes {
            Classes::Top(count) => self.explain(&prediction, &prediction.top(*count))?,
            Classes::Of(classes) => self.explain(&prediction, classes)?,
        };
        Ok(ExplainedPicture {
            seen,
            geometry,
            prediction,
            explanations,
        })
    }
}
