//! `Resize`, `Upsample`: maps in another size.

use crate::network::{
    Coordinates, Interpolation, NearestMode, Op, Resample, Resize, ResizeTo, Shape,
};
use crate::weights::onnx::Constant;

use super::attributes::axis;
use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, View};

/// Dimensions that a node may list.
const MAX_RANK: usize = 8;

/// What becomes of each dimension.
enum AskedSize {
    Lengths(Vec<i64>),
    Times(Vec<f32>),
}

impl Import<'_> {
    /// Rows and columns in another number; other dimensions must stay as they are.
    pub(super) fn resized(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        call.open(&layer)?;
        let policy = call.node.text("keep_aspect_ratio_policy");
        if policy.unwrap_or("stretch") != "stretch" {
            return Err(call.unsupported("that keeps the ratio of the sides"));
        }
        let shape = self.shape_of(&layer);
        let Some(to) = self.resized_to(call, &layer)? else {
            return Ok(layer);
        };
        let (shrinks, grows) = match to {
            ResizeTo::Size([h, w]) => (h < shape.h || w < shape.w, h > shape.h || w > shape.w),
            ResizeTo::Times(times) => (
                times.iter().any(|&times| times < 1.0),
                times.iter().any(|&times| times > 1.0),
            ),
        };
        let resize = call.resize(to, shrinks, grows)?;
        let kept = matches!(to, ResizeTo::Size(size) if size == [shape.h, shape.w])
            || matches!(to, ResizeTo::Times(times) if times == [1.0; 2]);
        if kept && resize.places != Coordinates::HalfOutput {
            return Ok(layer);
        }
        let op = Op::Resample(Resample::Resize(resize));
        let node = self.push(call.node, None, op, layer.node)?;
        Ok(View { node, ..layer })
    }

    /// What becomes of the rows and columns of `layer`; none where sizes of other dimensions alone are given.
    fn resized_to(&self, call: &Call<'_>, layer: &View) -> Result<Option<ResizeTo>, GraphError> {
        let lengths = self.dimensions(layer);
        let rank = lengths.len();
        let along = match call.node.ints("axes") {
            Some(axes) => axes.iter().map(|&at| axis(at, rank)).collect(),
            None => Some((0..rank).collect::<Vec<usize>>()),
        };
        let along = along.ok_or_else(|| call.unusable("axes"))?;
        let asked = call.asked()?;
        let count = match &asked {
            AskedSize::Lengths(lengths) => lengths.len(),
            AskedSize::Times(times) => times.len(),
        };
        if count != along.len() || count > MAX_RANK {
            return Err(call.unusable("scales or sizes"));
        }
        let Shape { h, w, .. } = self.shape_of(layer);
        // A dimension that is not listed stays as it is.
        let (mut size, mut times) = ([h, w], [1.0; 2]);
        let mut sides = 0;
        for (i, &at) in along.iter().enumerate() {
            let side = match layer.axes[at] {
                Axis::H => 0,
                Axis::W => 1,
                _ => {
                    let stays = match &asked {
                        AskedSize::Lengths(asked) => asked[i] == lengths[at] as i64,
                        AskedSize::Times(times) => times[i] == 1.0,
                    };
                    match stays {
                        true => continue,
                        false => return Err(call.unsupported("of other than rows and columns")),
                    }
                }
            };
            sides += 1;
            match &asked {
                AskedSize::Lengths(asked) => {
                    let length = usize::try_from(asked[i]).ok();
                    size[side] = length.ok_or_else(|| call.unusable("sizes"))?;
                }
                AskedSize::Times(asked) => times[side] = asked[i],
            }
        }
        Ok(match asked {
            AskedSize::Lengths(_) if sides == 0 => None,
            AskedSize::Lengths(_) => Some(ResizeTo::Size(size)),
            AskedSize::Times(_) => Some(ResizeTo::Times(times)),
        })
    }
}

impl Call<'_> {
    /// The scales or the sizes, of which one is given.
    fn asked(&self) -> Result<AskedSize, GraphError> {
        if let Some(crate::weights::onnx::Attribute::Floats(times)) =
            self.node.attributes.get("scales")
        {
            return Ok(AskedSize::Times(times.clone()));
        }
        // Before opset 11 there was no region of interest, and no sizes.
        let scales = match self.node.op_type == "Upsample" || self.opset < 11 {
            true => 1,
            false => 2,
        };
        match (self.input(3), self.constant(3)) {
            (Some(_), Some(Constant::Ints(sizes))) => {
                return Ok(AskedSize::Lengths(sizes.values.clone()));
            }
            (Some(_), _) => return Err(self.unsupported("to a size that is not known")),
            (None, _) => {}
        }
        match self.constant(scales) {
            Some(Constant::Floats(times)) if times.len() <= MAX_RANK => {
                Ok(AskedSize::Times(times.to_vec()))
            }
            _ => Err(self.unsupported("to a size that is not known")),
        }
    }

    fn resize(&self, to: ResizeTo, shrinks: bool, grows: bool) -> Result<Resize, GraphError> {
        let text = |name: &str, usual| self.node.text(name).unwrap_or(usual).to_owned();
        let mode = text("mode", "nearest");
        let antialias = self.node.int("antialias").unwrap_or(0) != 0;
        if self.node.op_type == "Upsample" || self.opset < 11 {
            // The standard did not say which place is the nearest; onnxruntime takes the next one along a side that gets shorter.
            let filter = match mode.as_str() {
                "nearest" if shrinks && grows => {
                    return Err(self.unsupported("that makes one side longer and one shorter"));
                }
                "nearest" if shrinks => Interpolation::Nearest(NearestMode::After),
                "nearest" => Interpolation::Nearest(NearestMode::Before),
                "linear" | "bilinear" => Interpolation::Linear,
                _ => return Err(self.unusable("mode")),
            };
            return Ok(Resize {
                to,
                filter,
                places: Coordinates::Asymmetric,
                antialias: false,
                edge: true,
            });
        }
        let filter = match mode.as_str() {
            "nearest" => {
                Interpolation::Nearest(match text("nearest_mode", "round_prefer_floor").as_str() {
                    "round_prefer_floor" => NearestMode::RoundDown,
                    "round_prefer_ceil" => NearestMode::RoundUp,
                    "floor" => NearestMode::Before,
                    "ceil" => NearestMode::After,
                    _ => return Err(self.unusable("nearest_mode")),
                })
            }
            "linear" => Interpolation::Linear,
            "cubic" => Interpolation::Cubic(self.node.float("cubic_coeff_a").unwrap_or(-0.75)),
            _ => return Err(self.unusable("mode")),
        };
        let places = match text("coordinate_transformation_mode", "half_pixel").as_str() {
            "half_pixel" => Coordinates::HalfPixel,
            "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
            "pytorch_half_pixel" => Coordinates::HalfPixelOrFirst,
            "align_corners" => Coordinates::AlignCorners,
            "asymmetric" => Coordinates::Asymmetric,
            "tf_half_pixel_for_nn" => Coordinates::HalfOutput,
            "tf_crop_and_resize" => return Err(self.unsupported("of a region")),
            _ => return Err(self.unusable("coordinate_transformation_mode")),
        };
        Ok(Resize {
            to,
            filter,
            places,
            antialias,
            edge: self.node.int("exclude_outside").unwrap_or(0) == 0,
        })
    }
}
