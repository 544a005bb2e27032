//! Other sizes: the picture or a map resized, rows and columns of any value cut off.

use serde_json::Value;

use super::KerasLayer;
use super::build::Builder;
use super::nodes::expect_axes;
use super::value::{Axes, Change, Picture, Signal};
use crate::architectures::ArchitectureError;
use crate::network::{
    Coordinates, Interpolation, MAX_SIDE, NearestMode, Op, Resample, Resize, ResizeTo, Shape,
};

impl Builder<'_> {
    /// A picture or a map in another size; where Keras' filter is none of ours, or a picture may have any size, the network takes
    /// pictures of that size.
    pub(super) fn resize(&mut self, layer: &KerasLayer) -> Result<Signal, ArchitectureError> {
        let signal = self.reads(layer)?;
        let size = match layer.class.as_str() {
            "Resizing" => sides(layer),
            _ => pair(layer.setting(&["size"], 1)),
        };
        let size = size.ok_or_else(|| layer.unsupported("such a size is"))?;
        let there = match &signal {
            Signal::Picture(picture) => picture.size,
            Signal::Map(map) | Signal::Scores { map, .. } => {
                let Shape { h, w, .. } = self.shape(map);
                [h, w]
            }
        };
        if size == there && matches!(signal, Signal::Picture(_)) {
            return Ok(signal);
        }
        let settings = layer.settings();
        let is = |name: &str| settings[name].as_bool() == Some(true);
        let kinds = ["interpolation", "method"].map(|name| settings[name].as_str());
        let kind = kinds.into_iter().flatten().next().unwrap_or("bilinear");
        let alike = there[0] * size[1] == there[1] * size[0];
        let stretches = !is("crop_to_aspect_ratio") && !is("pad_to_aspect_ratio");
        let rule =
            resize(ResizeTo::Size(size), kind).filter(|_| !is("antialias") && (stretches || alike));
        match (signal, rule) {
            (Signal::Picture(picture), Some(rule)) if !self.input.open => {
                let resized = picture.changed(&layer.name, Change::Resize(rule));
                let resized = resized.ok_or_else(|| layer.unsupported("such a size is"))?;
                Ok(Signal::Picture(resized))
            }
            (Signal::Picture(picture), _) => self.resized(layer, picture, size),
            (signal, Some(rule)) => self.resampled(layer, signal, rule),
            (_, None) => Err(layer.unsupported("such a filter over a map is").into()),
        }
    }

    /// `UpSampling2D`.
    pub(super) fn upsampling(&mut self, layer: &KerasLayer) -> Result<Signal, ArchitectureError> {
        let signal = self.reads(layer)?;
        let unsupported = || layer.unsupported("such a size is");
        let [h, w] = pair(layer.setting(&["size"], 1)).ok_or_else(unsupported)?;
        let kind = layer.config["interpolation"].as_str().unwrap_or("nearest");
        if h.max(w) > MAX_SIDE {
            return Err(unsupported().into());
        }
        let rule = resize(ResizeTo::Times([h as f32, w as f32]), kind);
        let rule = rule.ok_or_else(|| layer.unsupported(format!("the filter {kind:?} is")))?;
        match signal {
            // Its pixels may still be scaled after it.
            Signal::Picture(picture) => {
                let larger = picture.changed(&layer.name, Change::Resize(rule));
                Ok(Signal::Picture(larger.ok_or_else(unsupported)?))
            }
            signal => self.resampled(layer, signal, rule),
        }
    }

    fn resampled(
        &mut self,
        layer: &KerasLayer,
        signal: Signal,
        rule: Resize,
    ) -> Result<Signal, ArchitectureError> {
        let map = self.as_map(layer, signal)?;
        expect_axes(layer, &map)?;
        let map = self.padded(layer, &map)?;
        let op = Op::Resample(Resample::Resize(rule));
        Ok(Signal::Map(self.push(&layer.name, op, &map)?))
    }

    /// The network takes pictures of another size than the file says.
    fn resized(
        &mut self,
        layer: &KerasLayer,
        picture: Picture,
        size: [usize; 2],
    ) -> Result<Signal, ArchitectureError> {
        let from = match self.input.open {
            true => "of any size".to_owned(),
            false => format!("of {} x {}", picture.size[1], picture.size[0]),
        };
        let [h, w] = size;
        let picture = picture.of_size(size);
        let picture = picture.ok_or_else(|| layer.unsupported("such a size after a crop is"))?;
        self.note(format!(
            "the network's layer {} turns pictures {from} into {w} x {h} itself; here a picture becomes {w} x {h} in one step, with \
             a filter that Keras' is not: --fit squash takes the whole picture, as Keras does",
            layer.name
        ));
        Ok(Signal::Picture(picture))
    }

    /// Rows and columns cut off.
    pub(super) fn crop(
        &mut self,
        layer: &KerasLayer,
        class: &str,
    ) -> Result<Signal, ArchitectureError> {
        let signal = self.reads(layer)?;
        let unsupported = || layer.unsupported("such a crop is");
        if class == "Cropping2D" {
            let cut = super::windows::sides(layer, "cropping").ok_or_else(unsupported)?;
            return self.cut(layer, signal, cut);
        }
        let [h, w] = sides(layer).ok_or_else(unsupported)?;
        let there = match &signal {
            Signal::Picture(picture) => picture.size,
            Signal::Map(map) | Signal::Scores { map, .. } => {
                let Shape { h, w, .. } = self.shape(map);
                [h, w]
            }
        };
        if [h, w] == there {
            return Ok(signal);
        }
        match signal {
            Signal::Picture(picture) if self.input.open || there[0] < h || there[1] < w => {
                self.resized(layer, picture, [h, w])
            }
            signal if there[0] >= h && there[1] >= w => {
                let before = [(there[0] - h) / 2, (there[1] - w) / 2];
                let after = [there[0] - h - before[0], there[1] - w - before[1]];
                self.cut(layer, signal, [before, after])
            }
            _ => Err(unsupported().into()),
        }
    }

    fn cut(
        &mut self,
        layer: &KerasLayer,
        signal: Signal,
        sides: [[usize; 2]; 2],
    ) -> Result<Signal, ArchitectureError> {
        let unsupported = || layer.unsupported("such a crop is");
        if sides.as_flattened().iter().any(|&side| side > MAX_SIDE) {
            return Err(unsupported().into());
        }
        let said = layer.config["data_format"]
            .as_str()
            .unwrap_or("channels_last");
        if let Signal::Picture(picture) = signal {
            let fits = (picture.axes == Axes::First) == (said == "channels_first");
            let picture = picture
                .changed(&layer.name, Change::Cut(sides))
                .filter(|_| fits);
            return Ok(Signal::Picture(picture.ok_or_else(unsupported)?));
        }
        let map = self.as_map(layer, signal)?;
        expect_axes(layer, &map)?;
        let map = self.padded(layer, &map)?;
        let sides = sides.map(|sides| sides.map(|side| -(side as i32)));
        Ok(Signal::Map(self.pad(&layer.name, &map, sides)?))
    }
}

/// Keras' filter of that name, where all of its backends have the same.
fn resize(to: ResizeTo, kind: &str) -> Option<Resize> {
    let (filter, places) = match kind {
        "nearest" => (
            Interpolation::Nearest(NearestMode::Before),
            Coordinates::HalfOutput,
        ),
        "bilinear" => (Interpolation::Linear, Coordinates::HalfPixel),
        _ => return None,
    };
    Some(Resize {
        to,
        filter,
        places,
        antialias: false,
        edge: true,
    })
}

/// `height` and `width` of a layer.
fn sides(layer: &KerasLayer) -> Option<[usize; 2]> {
    let side = |key: &str| super::windows::size(&layer.config[key]).filter(|&side| side > 0);
    Some([side("height")?, side("width")?])
}

fn pair(value: Option<&Value>) -> Option<[usize; 2]> {
    let side = |value: &Value| super::windows::size(value).filter(|&side| side > 0);
    match value?.as_array()?.as_slice() {
        [h, w] => Some([side(h)?, side(w)?]),
        _ => None,
    }
}
