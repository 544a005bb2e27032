//! The methods of all three kinds as one type, as the command line and the report name them.

use std::fmt;
use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;

pub mod attribution;
pub mod cam;
pub mod fuse;
pub mod map;
pub mod noise;
pub mod perturbation;
mod setting;
pub mod spread;
pub mod verdict;

pub use setting::Setting;

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

static ALL: LazyLock<Vec<Method>> = LazyLock::new(|| {
    let cams = cam::Method::value_variants().iter();
    let pixels = attribution::Method::value_variants().iter();
    let perturbations = perturbation::Method::value_variants().iter();
    cams.map(|&method| Method::Cam(method))
        .chain(pixels.map(|&method| Method::Pixel(method)))
        .chain(perturbations.map(|&method| Method::Perturbation(method)))
        .collect()
});

impl ValueEnum for Method {
    fn value_variants<'a>() -> &'a [Self] {
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Cam(method) => method.to_possible_value(),
            Self::Pixel(method) => method.to_possible_value(),
            Self::Perturbation(method) => method.to_possible_value(),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cam(method) => method.fmt(f),
            Self::Pixel(method) => method.fmt(f),
            Self::Perturbation(method) => method.fmt(f),
        }
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
    fn no_two_methods_share_a_name() {
        let mut names: Vec<String> = ALL.iter().map(ToString::to_string).collect();
        names.sort();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
