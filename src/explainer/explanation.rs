//! What methods gave for a class.

use crate::methods::Method;
use crate::methods::map::RawMap;

/// One class explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Its number.
    pub class: usize,
    /// What each of [`Wanted::methods`](super::Wanted::methods) gave, in their order.
    pub values: Vec<(Method, Values)>,
    /// Where there are several target layers, for each CAM method the map of each before they were fused: before ReLU and
    /// scaling, of the layer's size. FullGrad has none, and with [`Wanted::augmented`](super::Wanted::augmented) no method has.
    pub layers: Vec<(Method, Vec<RawMap>)>,
    /// Share of the weight, to first order, that the channels tried hold, the mean over target layers; `None` where all
    /// were tried, or none.
    pub kept: Option<f64>,
    /// Largest magnitude of the score's gradient at the logits, for [`crate::methods::verdict::Verdict::of`].
    pub gradient: f64,
}

/// What a method gave for a class.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Of a CAM method the map before ReLU and scaling, of the target layer's size. Of the size of the network's input are
    /// FullGrad's, and of several layers the fused one, in 0..=1 ([`Fuse::of`](crate::methods::fuse::Fuse::of)); with
    /// [`Wanted::augmented`](super::Wanted::augmented) it is a mean of maps in 0..=1. Of a method that hides parts of the
    /// picture its map, of the size of the network's input.
    Map(RawMap),
    /// Of a method that gives values at the pixels these, C x H x W in the order and units of the network's input.
    Pixels(Vec<f64>),
}

impl Explanation {
    /// The maps, of all methods but those that give values at the pixels.
    pub fn maps(&self) -> Vec<&RawMap> {
        let each = self.values.iter().filter_map(|(_, values)| match values {
            Values::Map(map) => Some(map),
            Values::Pixels(_) => None,
        });
        each.collect()
    }

    /// The values at the pixels, of the methods that give such.
    pub fn pixels(&self) -> Vec<&[f64]> {
        let each = self.values.iter().filter_map(|(_, values)| match values {
            Values::Map(_) => None,
            Values::Pixels(values) => Some(&values[..]),
        });
        each.collect()
    }

    /// The map of each target layer, of a method that has them.
    pub fn layers_of(&self, method: Method) -> &[RawMap] {
        let found = self.layers.iter().find(|(m, _)| *m == method);
        found.map_or(&[], |(_, maps)| maps)
    }

    /// Whether every value of every method is a number, and no infinity.
    pub fn is_finite(&self) -> bool {
        let each = self.values.iter().flat_map(|(_, values)| match values {
            Values::Map(RawMap { values, .. }) | Values::Pixels(values) => values,
        });
        each.copied().all(f64::is_finite)
    }
}
