//! Values of closed lists, whatever spelling of their names people bring from other programs.

use std::ffi::OsStr;
use std::marker::PhantomData;

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, Command, Error, ValueEnum};

use crate::named::folded;

/// Reads a name of `T`'s list without regard to case, `-`, `_` and spaces, and to `+` or `plus`: `ScoreCAM`, `guided-bprop`,
/// `GradCAMPlusPlus`.
pub(super) fn spelled<T: ValueEnum + Send + Sync + 'static>() -> Spelled<T> {
    Spelled(PhantomData)
}

/// See [`spelled`].
#[derive(Clone)]
pub(super) struct Spelled<T>(PhantomData<T>);

impl<T: ValueEnum + Send + Sync + 'static> TypedValueParser for Spelled<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, Error> {
        let text = value.to_str();
        match text.and_then(|text| named(text)) {
            Some(named) => Ok(named),
            // What is said of a value that is none.
            None => EnumValueParser::new().parse_ref(command, argument, value),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = T::value_variants().iter();
        Some(Box::new(values.filter_map(T::to_possible_value)))
    }
}

/// The value that goes by this name.
fn named<T: ValueEnum>(text: &str) -> Option<T> {
    let wanted = folded(text);
    let goes_by = |value: &&T| {
        let value = value.to_possible_value();
        value.is_some_and(|value| {
            value
                .get_name_and_aliases()
                .any(|name| folded(name) == wanted)
        })
    };
    T::value_variants().iter().find(goes_by).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Method};
    use crate::methods::attribution;
    use crate::methods::cam;
    use crate::methods::perturbation;

    #[test]
    fn methods_are_known_by_the_names_that_other_programs_give_them() {
        use attribution::Method as Pixel;
        use cam::Method as Cam;
        let cams = [
            ("GradCAM", Cam::GradCam),
            ("grad-cam", Cam::GradCam),
            ("Grad_CAM", Cam::GradCam),
            ("GradCAMPlusPlus", Cam::GradCamPlusPlus),
            ("grad-cam++", Cam::GradCamPlusPlus),
            ("gradcampp", Cam::GradCamPlusPlus),
            ("Grad-CAM-plus-plus", Cam::GradCamPlusPlus),
            ("GradCAMElementWise", Cam::GradCamElementwise),
            ("HiResCAM", Cam::HiResCam),
            ("ScoreCAM", Cam::ScoreCam),
            ("score_cam", Cam::ScoreCam),
            ("Eigen-Grad-CAM", Cam::EigenGradCam),
            ("Layer-CAM", Cam::LayerCam),
            ("XGradCAM", Cam::XGradCam),
            ("FullGrad", Cam::FullGrad),
        ];
        for (text, cam) in cams {
            assert_eq!(named(text), Some(Method::Cam(cam)), "{text}");
        }
        let pixels = [
            ("guided_bprop", Pixel::GuidedBprop),
            ("GuidedBackprop", Pixel::GuidedBprop),
            ("guided-backpropagation", Pixel::GuidedBprop),
            ("GuidedGradCam", Pixel::GuidedGradcam),
            ("Guided_Grad-CAM", Pixel::GuidedGradcam),
            ("IntegratedGradients", Pixel::IntegratedGradients),
            ("integrated_gradients", Pixel::IntegratedGradients),
            ("InputXGradient", Pixel::GradientXInput),
            ("Saliency", Pixel::Gradient),
            ("Deconvolution", Pixel::Deconvnet),
            ("SmoothGrad", Pixel::SmoothGrad),
            ("smoothgrad_sq", Pixel::SquareGrad),
        ];
        for (text, pixel) in pixels {
            assert_eq!(named(text), Some(Method::Pixel(pixel)), "{text}");
        }
        let rise = Method::Perturbation(perturbation::Method::Rise);
        assert_eq!(named("RISE"), Some(rise));
        for none in ["", "+", "cam", "gradcam+", "gradcam+++"] {
            assert_eq!(named::<Method>(none), None, "{none}");
        }
    }

    /// Were two names one, the second could not be asked for.
    fn each_is_itself<T: ValueEnum + PartialEq + std::fmt::Debug>() {
        for value in T::value_variants() {
            let possible = value.to_possible_value().unwrap();
            for name in possible.get_name_and_aliases() {
                let read = named::<T>(name);
                assert_eq!(read.as_ref(), Some(value), "{name}");
            }
        }
    }

    #[test]
    fn every_name_stays_its_own() {
        each_is_itself::<Method>();
        each_is_itself::<cli::Output>();
        each_is_itself::<cli::Format>();
        each_is_itself::<cli::Colormap>();
        each_is_itself::<cli::Preprocessing>();
        each_is_itself::<cli::Backend>();
        each_is_itself::<cli::StoredDtype>();
        each_is_itself::<cli::Precision>();
    }
}
