//! `Resize`, `Upsample`: maps in another size.

use crate::network::{Filter, Nearest, Op, Places, Resample, Resize, To};
use crate::weights::onnx::Constant;

use super::attributes::axis;
use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, View};

/// Dimensions that a node may list.
const MAX_RANK: usize = 8;

/// What becomes of each dimension.
enum Asked {
    Lengths(Vec<i64>),
    Times(Vec<f32>),
}

impl Import<'_> {
    /// Rows and columns in another number; other dimensions must stay as they are.
    pub(super) fn resized(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        call.open(&layer)?;
        let lengths = self.dimensions(&layer);
        let rank = lengths.len();
        if call
            .node
            .text("keep_aspect_ratio_policy")
            .unwrap_or("stretch")
            != "stretch"
        {
            return Err(call.unsupported("that keeps the ratio of the sides"));
        }
        let along = match call.node.ints("axes") {
            Some(axes) => axes.iter().map(|&at| axis(at, rank)).collect(),
            None => Some((0..rank).collect::<Vec<usize>>()),
        };
        let along = along.ok_or_else(|| call.unusable("axes"))?;
        let asked = call.asked()?;
        let count = match &asked {
            Asked::Lengths(lengths) => lengths.len(),
            Asked::Times(times) => times.len(),
        };
        if count != along.len() || count > MAX_RANK {
            return Err(call.unusable("scales or sizes"));
        }
        let (mut size, mut times) = ([1; 2], [1.0; 2]);
        let mut sides = 0;
        for (i, &at) in along.iter().enumerate() {
            let side = match layer.axes[at] {
                Axis::H => 0,
                Axis::W => 1,
                _ => {
                    let stays = match &asked {
                        Asked::Lengths(asked) => asked[i] == lengths[at] as i64,
                        Asked::Times(times) => times[i] == 1.0,
                    };
                    match stays {
                        true => continue,
                        false => return Err(call.unsupported("of other than rows and columns")),
                    }
                }
            };
            sides += 1;
            match &asked {
                Asked::Lengths(asked) => {
                    let length = usize::try_from(asked[i]).ok();
                    size[side] = length.ok_or_else(|| call.unusable("sizes"))?;
                }
                Asked::Times(asked) => times[side] = asked[i],
            }
        }
        let shape = self.shape_of(&layer);
        let to = match asked {
            // A dimension that is not listed stays as it is.
            Asked::Lengths(_) if sides == 2 => To::Size(size),
            Asked::Lengths(_) if sides == 0 => return Ok(layer),
            Asked::Lengths(_) => {
                let has = |wanted| along.iter().any(|&at| layer.axes[at] == wanted);
                To::Size([
                    if has(Axis::H) { size[0] } else { shape.h },
                    if has(Axis::W) { size[1] } else { shape.w },
                ])
            }
            Asked::Times(_) => To::Times(times),
        };
        let shrinks = match to {
            To::Size([h, w]) => h < shape.h || w < shape.w,
            To::Times(times) => times.iter().any(|&times| times < 1.0),
        };
        let resize = call.resize(to, shrinks)?;
        let kept = matches!(to, To::Size(size) if size == [shape.h, shape.w])
            || matches!(to, To::Times(times) if times == [1.0; 2]);
        if kept && resize.places != Places::HalfOutput {
            return Ok(layer);
        }
        let op = Op::Resample(Resample::Resize(resize));
        let node = self.push(call.node, None, op, layer.node)?;
        Ok(View { node, ..layer })
    }
}

impl Call<'_> {
    /// The scales or the sizes, of which one is given.
    fn asked(&self) -> Result<Asked, GraphError> {
        if let Some(crate::weights::onnx::Attribute::Floats(times)) =
            self.node.attributes.get("scales")
        {
            return Ok(Asked::Times(times.clone()));
        }
        // Before opset 11 there was no region of interest, and no sizes.
        let scales = match self.node.op_type == "Upsample" || self.opset < 11 {
            true => 1,
            false => 2,
        };
        match (self.input(3), self.constant(3)) {
            (Some(_), Some(Constant::Ints(sizes))) => {
                return Ok(Asked::Lengths(sizes.values.clone()));
            }
            (Some(_), _) => return Err(self.unsupported("to a size that is not known")),
            (None, _) => {}
        }
        match self.constant(scales) {
            Some(Constant::Floats(times)) if times.len() <= MAX_RANK => {
                Ok(Asked::Times(times.to_vec()))
            }
            _ => Err(self.unsupported("to a size that is not known")),
        }
    }

    fn resize(&self, to: To, shrinks: bool) -> Result<Resize, GraphError> {
        let text = |name: &str, usual| self.node.text(name).unwrap_or(usual).to_owned();
        let mode = text("mode", "nearest");
        let antialias = self.node.int("antialias").unwrap_or(0) != 0;
        if self.node.op_type == "Upsample" || self.opset < 11 {
            // The standard did not say which place is the nearest; onnxruntime takes the next one where the map gets smaller.
            let filter = match mode.as_str() {
                "nearest" if shrinks => Filter::Nearest(Nearest::After),
                "nearest" => Filter::Nearest(Nearest::Before),
                "linear" | "bilinear" => Filter::Linear,
                _ => return Err(self.unusable("mode")),
            };
            return Ok(Resize {
                to,
                filter,
                places: Places::Asymmetric,
                antialias: false,
                edge: true,
            });
        }
        let filter = match mode.as_str() {
            "nearest" => {
                Filter::Nearest(match text("nearest_mode", "round_prefer_floor").as_str() {
                    "round_prefer_floor" => Nearest::RoundDown,
                    "round_prefer_ceil" => Nearest::RoundUp,
                    "floor" => Nearest::Before,
                    "ceil" => Nearest::After,
                    _ => return Err(self.unusable("nearest_mode")),
                })
            }
            "linear" => Filter::Linear,
            "cubic" => Filter::Cubic(self.node.float("cubic_coeff_a").unwrap_or(-0.75)),
            _ => return Err(self.unusable("mode")),
        };
        let places = match text("coordinate_transformation_mode", "half_pixel").as_str() {
            "half_pixel" => Places::HalfPixel,
            "half_pixel_symmetric" => Places::HalfPixelSymmetric,
            "pytorch_half_pixel" => Places::HalfPixelOrFirst,
            "align_corners" => Places::AlignCorners,
            "asymmetric" => Places::Asymmetric,
            "tf_half_pixel_for_nn" => Places::HalfOutput,
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
