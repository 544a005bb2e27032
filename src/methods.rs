//! The methods of all three kinds as one type, as the command line and the report name them.

use std::fmt;
use std::str::FromStr;

use crate::named::UnknownName;

pub mod attribution;
pub mod cam;
pub mod fuse;
pub mod known;
pub mod map;
pub mod noise;
pub mod perturbation;
pub mod region;
mod setting;
pub mod spread;
pub mod verdict;

pub use setting::{Setting, TriedChannels};

/// A method of any kind. Each kind's list is in its own module; this one only joins them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// One value a position of the target layer.
    Cam(cam::Method),
    /// Values at the pixels.
    Pixel(attribution::Method),
    /// One value a pixel.
    Perturbation(perturbation::Method),
}

impl Method {
    /// All of them, in the order in which they are listed.
    pub fn all() -> impl Iterator<Item = Self> {
        let cams = cam::Method::ALL.iter().copied().map(Self::Cam);
        let pixels = attribution::Method::ALL.iter().copied().map(Self::Pixel);
        let perturbations = perturbation::Method::ALL.iter().copied();
        cams.chain(pixels)
            .chain(perturbations.map(Self::Perturbation))
    }

    /// The name that it is asked for by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cam(method) => method.name(),
            Self::Pixel(method) => method.name(),
            Self::Perturbation(method) => method.name(),
        }
    }
}

impl FromStr for Method {
    type Err = UnknownName;

    /// By any name of any method, whatever its spelling: `gradcam`, `GradCAM++`, `guided_bprop`.
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let cam = text.parse().map(Self::Cam);
        let pixel = || text.parse().map(Self::Pixel);
        let perturbation = || text.parse().map(Self::Perturbation);
        let found = cam.or_else(|_| pixel()).or_else(|_| perturbation());
        found.map_err(|error: UnknownName| UnknownName {
            there: Self::all().map(Self::name).collect(),
            ..error
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<cam::Method> for Method {
    fn from(method: cam::Method) -> Self {
        Self::Cam(method)
    }
}

impl From<attribution::Method> for Method {
    fn from(method: attribution::Method) -> Self {
        Self::Pixel(method)
    }
}

impl From<perturbation::Method> for Method {
    fn from(method: perturbation::Method) -> Self {
        Self::Perturbation(method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_method_is_its_own() {
        for method in Method::all() {
            assert_eq!(method.name().parse(), Ok(method));
        }
        assert_eq!(
            "GradCAMPlusPlus".parse::<Method>(),
            Ok(cam::Method::GradCamPlusPlus.into())
        );
        assert!(
            "cam"
                .parse::<Method>()
                .unwrap_err()
                .to_string()
                .contains("gradcam, gradcam++")
        );
    }
}
