//! Overlapping rectangles of one picture: one prediction, one score, and maps that are parts of one map.
//!
//! The picture's logits are the means of the rectangles' logits, as a network that ends with a mean over all positions would
//! have them of the whole. The score is differentiated there, so that all rectangles share one gradient at the logits, and
//! their maps one unit: a rectangle without the class stays cold beside one that has it. Methods that run the network again, on
//! changed inputs, compare each rectangle with itself. One rectangle is explained as a picture is.

use super::{ExplainError, Explainer, Explanation, Prediction, Progress, Values, Wanted};
use crate::methods::Method;
use crate::methods::map::{Map, RawMap};
use crate::picture::preprocess::{Blend, Tiles};
use crate::score::probabilities;

/// What the network says of a picture in parts.
#[derive(Clone, Debug, PartialEq)]
pub struct TiledPrediction {
    /// Of the whole; its input is empty.
    pub whole: Prediction,
    /// Of each rectangle, in the order of [`Tiles::corners`].
    pub parts: Vec<Prediction>,
}

impl Explainer {
    /// Runs the network forward on each rectangle's input, at least one.
    ///
    /// # Errors
    /// As [`Explainer::predict`].
    ///
    /// # Panics
    /// If there is no input.
    pub fn predict_tiles(&self, inputs: &[Vec<f32>]) -> Result<TiledPrediction, ExplainError> {
        let parts = inputs.iter().map(|input| self.predict(input));
        let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
        let mean = |class: usize| {
            let logits = parts.iter().map(|part| f64::from(part.logits[class]));
            (logits.sum::<f64>() / parts.len() as f64) as f32
        };
        let logits: Vec<f32> = match &parts[..] {
            // Whatever it is, a NaN too.
            [one] => one.logits.clone(),
            _ => (0..self.network.classes()).map(mean).collect(),
        };
        if parts.len() > 1 {
            for part in &mut parts {
                part.whole = Some(logits.clone());
            }
        }
        let whole = Prediction {
            input: vec![],
            probabilities: probabilities(self.network.output_kind, &logits),
            logits,
            whole: None,
        };
        Ok(TiledPrediction { whole, parts })
    }

    /// Explains classes of a picture in parts. Of several, maps and values are of the size of [`Tiles::canvas`]: those of the
    /// layer are resized first, bilinear.
    ///
    /// # Errors
    /// As [`Explainer::explain`].
    ///
    /// # Panics
    /// If there are not as many parts as rectangles.
    pub fn explain_tiles(
        &self,
        tiles: &Tiles,
        prediction: &TiledPrediction,
        classes: &[usize],
        tell: &dyn Fn(Progress),
    ) -> Result<Vec<Explanation>, ExplainError> {
        let count = prediction.parts.len();
        assert_eq!(count, tiles.corners.len(), "one part a rectangle");
        if let [only] = &prediction.parts[..] {
            return self.explain_telling(only, classes, tell);
        }
        let whole = || BlendedExplanation::new(tiles, &self.wanted, self.network.input_shape().c);
        let mut wholes: Vec<BlendedExplanation<'_>> = classes.iter().map(|_| whole()).collect();
        for (index, part) in prediction.parts.iter().enumerate() {
            let tell = |Progress { done, all }| {
                tell(Progress {
                    done: index * all + done,
                    all: count * all,
                });
            };
            let explained = self.explain_telling(part, classes, &tell)?;
            for (whole, explanation) in wholes.iter_mut().zip(&explained) {
                whole.add(index, explanation);
            }
        }
        let finished = classes.iter().zip(wholes);
        Ok(finished
            .map(|(&class, whole)| whole.finish(class, count))
            .collect())
    }
}

/// The explanation of a class as its parts come: not all of them are held at once.
struct BlendedExplanation<'a> {
    tiles: &'a Tiles,
    /// For each method its map, or each channel of its values at the pixels.
    values: Vec<(Method, Vec<Blend<'a>>)>,
    /// The sum of shares.
    kept: Option<f64>,
    gradient: f64,
}

impl<'a> BlendedExplanation<'a> {
    fn new(tiles: &'a Tiles, wanted: &Wanted, channels: usize) -> Self {
        let blends = |&method: &Method| {
            let planes = match method {
                Method::Cam(_) | Method::Perturbation(_) => 1,
                Method::Pixel(_) => channels,
            };
            (method, vec![tiles.blend(1); planes])
        };
        Self {
            tiles,
            values: wanted.methods.iter().map(blends).collect(),
            kept: Some(0.0),
            gradient: 0.0,
        }
    }

    fn add(&mut self, index: usize, part: &Explanation) {
        for ((_, planes), (_, values)) in self.values.iter_mut().zip(&part.values) {
            match values {
                Values::Map(map) => planes[0].add(index, &resized(map, self.tiles.size)),
                Values::Pixels(values) => {
                    let length = values.len() / planes.len();
                    for (blend, plane) in planes.iter_mut().zip(values.chunks_exact(length)) {
                        blend.add(index, plane);
                    }
                }
            }
        }
        self.kept = self.kept.zip(part.kept).map(|(sum, kept)| sum + kept);
        self.gradient = self.gradient.max(part.gradient);
    }

    fn finish(self, class: usize, parts: usize) -> Explanation {
        let (width, height) = self.tiles.canvas;
        let whole = |(method, planes): (Method, Vec<Blend<'_>>)| {
            let values = planes.into_iter().flat_map(Blend::finish).collect();
            let values = match method {
                Method::Cam(_) | Method::Perturbation(_) => Values::Map(RawMap {
                    width: width as usize,
                    height: height as usize,
                    values,
                }),
                Method::Pixel(_) => Values::Pixels(values),
            };
            (method, values)
        };
        Explanation {
            class,
            values: self.values.into_iter().map(whole).collect(),
            // Several layers have no unit in common.
            layers: vec![],
            kept: self.kept.map(|sum| sum / parts as f64),
            gradient: self.gradient,
        }
    }
}

/// At the size of the network's input, in the map's own units, which float32 may not hold.
fn resized(map: &RawMap, (width, height): (u32, u32)) -> Vec<f64> {
    if (map.width, map.height) == (width as usize, height as usize) {
        return map.values.clone();
    }
    let largest = map
        .values
        .iter()
        .fold(0.0, |most: f64, v| most.max(v.abs()));
    let scaled = Map::scaled(map.width, map.height, &map.values);
    let resized = scaled.resize(width as usize, height as usize);
    let values = resized.values.iter();
    // Of a map of zeros each value is one.
    values.map(|&v| f64::from(v) * largest).collect()
}
